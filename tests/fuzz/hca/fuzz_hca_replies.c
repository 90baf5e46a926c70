/* The identity, health and reset steppers fed with outboxes of the input's making. */
#include "base/assert.h"
#include "fuzz_ctl.h"
#include "hca/health.h"
#include "hca/identity.h"
#include "hca/reset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* MGIR and MSGI, and two registers of each port, one of them twice. */
#define MAX_CALLS (2u + 3u * HWS_HCA_MAX_PORTS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_ctl f = {data, size, 0};
    struct hws_ctl_call call = {0};
    struct hws_hca_identify id;
    struct hws_hca_health health;
    struct hws_hca_reset reset;

    hws_hca_identify_init(&id);
    while (hws_hca_identify_next(&id, 0, &call) == HWS_STEP_CALL) {
        fuzz_answer(&f, &call);
        hws_hca_identify_feed(&id, &call);
    }
    hws_assert(f.n_calls <= MAX_CALLS && id.identity.n_ports <= HWS_HCA_MAX_PORTS);
    hws_hca_health_init(&health);
    while (hws_hca_health_next(&health, 0, &call) == HWS_STEP_CALL) {
        fuzz_answer(&f, &call);
        hws_hca_health_feed(&health, &call);
    }
    hws_hca_reset_init(&reset);
    while (hws_hca_reset_next(&reset, 0, &call) == HWS_STEP_CALL) {
        fuzz_answer(&f, &call);
        hws_hca_reset_feed(&reset, &call);
    }
    return 0;
}
