/* Plan and inventory text: never a crash, and an accepted plan survives its stored form. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "rollout/inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(struct hws_rollout_plan *plan)
{
    struct hws_rollout_plan again;
    struct hws_buf out;

    (void)hws_str_copy(plan->id, sizeof(plan->id), "0123456789abcdef");
    hws_buf_init(&out, 0);
    if (plan->n_targets > 0 && hws_rollout_plan_encode(plan, &out) == HWS_OK) {
        if (hws_rollout_plan_decode(&again, hws_buf_peek(&out), hws_buf_len(&out), NULL) !=
                HWS_OK ||
            again.n_targets != plan->n_targets) {
            abort();
        }
        hws_rollout_plan_deinit(&again);
    }
    hws_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_rollout_plan plan;
    struct hws_err err;

    if (hws_rollout_plan_from_yaml(&plan, (const char *)data, size, true, &err) == HWS_OK) {
        round_trip(&plan);
        hws_rollout_plan_deinit(&plan);
    } else if (err.msg[0] == '\0') {
        abort();
    }
    hws_rollout_plan_init(&plan);
    enum hws_code rc = hws_rollout_inventory_from_yaml(&plan, (const char *)data, size, &err);
    if (rc == HWS_OK && plan.n_settings != 0) {
        abort();
    }
    hws_rollout_plan_deinit(&plan);
    return 0;
}
