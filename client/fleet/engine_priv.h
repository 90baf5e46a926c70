/* One adapter in flight, and how its steps tell the engine their result. */
#ifndef HWS_FLEET_ENGINE_PRIV_H
#define HWS_FLEET_ENGINE_PRIV_H

#include "fleet/engine.h"

struct hws_fleet_work {
    struct hws_fleet *fleet; /* borrowed */
    size_t member;
    struct hws_client *client; /* owned */
    struct hws_client_call call;
    enum hws_rollout_do what; /* the action under way */
    char request_id[HWS_ROLLOUT_REQUEST_ID_BYTES];
    char device_id[HWS_ROLLOUT_DEVICE_BYTES];
    uint64_t give_up_ms; /* of repeating */
    uv_timer_t timer;    /* the pause before repeating */
    bool calling;        /* a call is on loan */
    bool closing;
    unsigned n_open; /* client and timer, until closed */
};

/* Starts the action; its result comes by one of the functions below, from the loop. */
void hws_fleet__step_begin(struct hws_fleet_work *w);

/* The step's next call after a pause. */
void hws_fleet__step_again(struct hws_fleet_work *w);

/* Results; each ends the action. */
void hws_fleet__planned(struct hws_fleet_work *w, const struct hws_rollout_planned *planned,
                        const struct hws_rollout_cause *cause);
void hws_fleet__applied(struct hws_fleet_work *w, const struct hws_rollout_cause *cause);
void hws_fleet__checked(struct hws_fleet_work *w, enum hws_rollout_health health,
                        const struct hws_rollout_cause *cause);

/* Repeats the step in a moment; false when patience is over. */
bool hws_fleet__retry(struct hws_fleet_work *w);

/* A cause from a call's end; names the setting if the agent's text or field does. */
void hws_fleet__cause(struct hws_rollout_cause *c, enum hws_rollout_step step,
                      const struct hws_client_status *status, const struct hws_rollout_plan *plan);

/* A cause of this side. */
void hws_fleet__cause_text(struct hws_rollout_cause *c, enum hws_rollout_step step,
                           enum hws_code code, const char *fmt, ...) HWS_PRINTF(4, 5);

#endif
