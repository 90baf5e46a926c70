/* Get, plan, apply and reset fed with outboxes of the input's making: they end, and say something
 * that can be. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "fuzz_ctl.h"
#include "nvconfig/get.h"
#include "nvconfig/reset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reading asks at most 4 questions a record; each write has its read-backs, and both again for the
 * undoing. */
#define MAX_CALLS                                                                                  \
    (1u + 4u * HWS_NV_N_TLVS + HWS_NV_N_TLVS * (2u + HWS_NV_READ_TRIES + 2u * HWS_NV_UNDO_TRIES))

static void run_get(struct fuzz_ctl *f)
{
    struct hws_nv_get *get = hws_mem_alloc(sizeof(*get));
    struct hws_ctl_call call = {0};
    enum hws_step step;

    if (get == NULL || hws_nv_get_init(get, NULL, 0, NULL) != HWS_OK) {
        hws_mem_free(get);
        return;
    }
    while ((step = hws_nv_get_next(get, 0, &call)) == HWS_STEP_CALL) {
        fuzz_answer(f, &call);
        hws_nv_get_feed(get, &call);
    }
    for (size_t i = 0; step == HWS_STEP_DONE && i < get->n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(get, i, &v);
        hws_assert(v.supported || v.reason[0] != '\0');
    }
    hws_mem_free(get);
}

static void run_apply(struct fuzz_ctl *f, bool is_reset)
{
    static const struct hws_nv_setting settings[] = {
        {"NUM_OF_VFS", "16"}, {"LINK_TYPE_P1", "ETH"}, {"CQE_COMPRESSION", "AGGRESSIVE"}};
    struct hws_nv_apply *a = hws_mem_alloc(sizeof(*a));
    struct hws_ctl_call call = {0};
    enum hws_step step;
    size_t before = f->n_calls;

    enum hws_code rc = HWS_E_NOMEM;
    if (a != NULL && is_reset) {
        rc = hws_nv_reset_init(a, "d", NULL, 0, NULL, NULL, NULL);
    } else if (a != NULL) {
        rc = hws_nv_apply_init(a, "d", settings, 3, NULL, NULL, NULL);
    }
    if (rc != HWS_OK) {
        hws_mem_free(a);
        return;
    }
    while ((step = hws_nv_apply_next(a, 0, &call)) == HWS_STEP_CALL) {
        fuzz_answer(f, &call);
        hws_nv_apply_feed(a, &call);
        hws_assert(f->n_calls - before <= MAX_CALLS);
    }
    hws_assert((step == HWS_STEP_DONE) == (a->outcome == HWS_NV_APPLIED));
    hws_assert(a->detail[0] != '\0');
    hws_mem_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_ctl f = {data, size, 0};

    if (size < 1) {
        return 0;
    }
    uint8_t what = fuzz_byte(&f) % 3;
    if (what == 0) {
        run_get(&f);
    } else {
        run_apply(&f, what == 2);
    }
    return 0;
}
