/*
 * The effect of each journal record on the state, shared by the running machine and by loading:
 * what a record tells is exactly what the move did, so a loaded rollout cannot differ from the one
 * that wrote it.
 */
#ifndef HWS_ROLLOUT_STATE_PRIV_H
#define HWS_ROLLOUT_STATE_PRIV_H

#include "rollout/journal.h"

/* Takes the plan over (on success only), allocates the members and divides them into waves.
 * HWS_E_NOMEM. */
enum hws_code hws_rollout__setup(struct hws_rollout *r, struct hws_rollout_plan *plan,
                                 struct hws_err *err) HWS_MUST_USE;

/* True if the record may follow the present state. */
bool hws_rollout__may_move(const struct hws_rollout *r, const struct hws_rollout_record *rec);

void hws_rollout__member_moved(struct hws_rollout *r, const struct hws_rollout_record *rec);
void hws_rollout__state_moved(struct hws_rollout *r, const struct hws_rollout_record *rec);
void hws_rollout__wave_opened(struct hws_rollout *r, const struct hws_rollout_record *rec);

/* Gives a member that came into its state at now_ms what is to be done in it; ended and pending
 * ones get nothing. */
void hws_rollout__ready_member(struct hws_rollout *r, size_t member, uint64_t now_ms);

#endif
