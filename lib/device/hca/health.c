/* One read of MTMP; a refusal means there is no sensor to ask. */
#include "hca/health.h"

#include <string.h>

#include "base/assert.h"

enum state { READ, ENDED, BROKEN };

#define ID_MTMP 0x900Au

void hws_hca_health_init(struct hws_hca_health *health)
{
    memset(health, 0, sizeof(*health));
    health->timeout_ms = HWS_HCA_CMD_TIMEOUT_MS;
}

enum hws_step hws_hca_health_next(struct hws_hca_health *health, uint64_t now_ms,
                                  struct hws_ctl_call *call)
{
    if (health->state != READ) {
        return health->state == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    hws_hca_regio_prepare(&health->io, ID_MTMP, false, NULL, hws_reg_by_id(ID_MTMP)->size_bytes,
                          now_ms + health->timeout_ms, call);
    return HWS_STEP_CALL;
}

/* Eighths of a degree, signed 16 bit (adb), to thousandths. */
static int32_t eighths_mc(const uint8_t *b, const char *field)
{
    int32_t v = (int32_t)hws_reg_get(hws_reg_by_id(ID_MTMP), b, field);
    return (v >= 0x8000 ? v - 0x10000 : v) * 125;
}

void hws_hca_health_feed(struct hws_hca_health *health, const struct hws_ctl_call *call)
{
    const uint8_t *b = NULL;

    hws_assert(health->state == READ);
    enum hws_code rc = hws_hca_regio_result(&health->io, call, &b, &health->err);
    if (rc != HWS_OK && !hws_hca_is_refusal(&health->err)) {
        health->state = BROKEN;
        return;
    }
    health->state = ENDED;
    if (rc != HWS_OK) {
        hws_err_clear(&health->err);
        return;
    }
    health->has_temperature = true;
    health->temperature_mc = eighths_mc(b, "temperature");
    health->max_mc = eighths_mc(b, "max_temperature");
    health->threshold_mc = eighths_mc(b, "temperature_threshold_hi");
}
