/* Back to the factory's values: plans whose wants are the FACTORY image's bits. */
#include "nvconfig/reset.h"

#include <string.h>

#include "nvconfig/plan_priv.h"

enum hws_code hws_nv_reset_plan_init(struct hws_nv_plan *plan, const char *device_id,
                                     const char *const *names, size_t n_names, struct hws_err *err)
{
    uint8_t chosen[HWS_NV_MAX_PARAMS];
    size_t n = 0;

    enum hws_code rc = hws_nv_plan_start(plan, device_id, err);
    if (rc == HWS_OK) {
        rc = hws_nv_choose(names, n_names, chosen, &n, err);
    }
    if (rc != HWS_OK) {
        return rc;
    }
    plan->is_reset = true;
    plan->reset_all = names == NULL || n_names == 0;
    for (size_t i = 0; i < n; i++) {
        plan->wants[i] = (struct hws_nv_want){.param_idx = chosen[i], .to_default = true};
        plan->reader.records[hws_nv_param_at(chosen[i])->field.tlv_idx].wanted = true;
    }
    plan->n_wants = n;
    return HWS_OK;
}

enum hws_code hws_nv_reset_init(struct hws_nv_apply *apply, const char *device_id,
                                const char *const *names, size_t n_names,
                                const struct hws_digest *plan_hash,
                                const struct hws_digest *expected_revision, struct hws_err *err)
{
    hws_nv_apply_start(apply, plan_hash, expected_revision);
    return hws_nv_reset_plan_init(&apply->plan, device_id, names, n_names, err);
}
