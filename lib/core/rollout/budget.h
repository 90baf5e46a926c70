/*
 * The failure budget: how many failed and unknown adapters a rollout may have before it stops. The
 * canary wave always has none. An unknown adapter counts from the moment it is unknown (nothing new
 * starts over the budget) but stops the rollout only when looking at it again has been given up.
 */
#ifndef HWS_ROLLOUT_BUDGET_H
#define HWS_ROLLOUT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct hws_rollout_tally {
    uint32_t n_failed;
    uint32_t n_unknown;  /* all of them */
    uint32_t n_given_up; /* those of them that will not be looked at again by themselves */
};

enum hws_rollout_budget_says {
    HWS_ROLLOUT_BUDGET_GO,   /* more may start */
    HWS_ROLLOUT_BUDGET_HOLD, /* nothing new starts until the unknown ones are known */
    HWS_ROLLOUT_BUDGET_STOP
};

/* budget: the plan's; it counts as 0 while the wave is a canary. */
enum hws_rollout_budget_says hws_rollout_budget_judge(const struct hws_rollout_tally *tally,
                                                      uint32_t budget, bool canary_wave);

#endif
