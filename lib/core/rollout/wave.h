/*
 * Waves: which hosts may be touched when. The first wave is the canary; a later wave starts only
 * when every adapter of the one before has ended and the budget holds. All adapters of one host are
 * in one wave.
 */
#ifndef HWS_ROLLOUT_WAVE_H
#define HWS_ROLLOUT_WAVE_H

#include "rollout/plan.h"

/*
 * Writes the wave (from 0) of each of plan->n_targets targets into wave_of, and the number of waves
 * into *out_n_waves. Hosts are taken in the order in which the plan first names them. HWS_E_NOMEM.
 */
enum hws_code hws_rollout_waves(const struct hws_rollout_plan *plan, uint32_t *wave_of,
                                uint32_t *out_n_waves, struct hws_err *err) HWS_MUST_USE;

#endif
