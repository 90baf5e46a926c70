/* The failure budget. */
#include "rollout/budget.h"

enum hws_rollout_budget_says hws_rollout_budget_judge(const struct hws_rollout_tally *tally,
                                                      uint32_t budget, bool canary_wave)
{
    uint64_t allowed = canary_wave ? 0 : budget;
    uint64_t certain = (uint64_t)tally->n_failed + tally->n_given_up;

    if (certain > allowed) {
        return HWS_ROLLOUT_BUDGET_STOP;
    }
    if ((uint64_t)tally->n_failed + tally->n_unknown > allowed) {
        return HWS_ROLLOUT_BUDGET_HOLD;
    }
    return HWS_ROLLOUT_BUDGET_GO;
}
