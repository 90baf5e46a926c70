/*
 * A fleet for rollouts, in virtual time: each adapter has a fixed behaviour, the journal is a
 * buffer, and a "crash" is forgetting the rollout object while journal and adapters stay. Every
 * action is judged as it is handed out.
 */
#ifndef HWS_TESTS_ROLLOUT_WORLD_H
#define HWS_TESTS_ROLLOUT_WORLD_H

#include "rollout/rollout.h"

#define WORLD_MAX 32

enum world_behaviour {
    WORLD_GOOD,
    WORLD_ALREADY_WANTED,
    WORLD_PLAN_REFUSED,
    WORLD_APPLY_REFUSED,    /* firmware status and syndrome */
    WORLD_LOST_APPLIED,     /* the first apply takes effect, its answer is lost */
    WORLD_LOST_NOT_APPLIED, /* the first apply is lost on the way */
    WORLD_ALWAYS_LOST,      /* no apply ever takes effect or is answered */
    WORLD_SICK_AFTER,       /* applied, then never healthy */
    WORLD_SLOW_AFTER,       /* applied, healthy after a while */
    WORLD_GONE_AFTER,       /* applied, answer lost, and never reachable again */
    WORLD_WRONG_VALUE,      /* says it applied, reads back otherwise */
    WORLD_N_BEHAVIOURS
};

struct world_adapter {
    enum world_behaviour behaviour;
    bool wanted;        /* holds the wanted value */
    unsigned n_applies; /* times a write reached it */
    unsigned n_answers; /* applies sent, answered or not */
    uint64_t applied_ms;
};

struct world {
    struct hws_rollout r;
    struct world_adapter adapters[WORLD_MAX];
    size_t n;
    struct hws_buf journal;
    uint64_t now_ms;
    size_t n_journals; /* JOURNAL actions so far, over all lives */
    size_t n_actions;  /* all actions so far, over all lives */
    size_t crash_at;   /* stop before doing action number crash_at; SIZE_MAX: never */
    bool drop_result;  /* ... do it, but forget the answer */
    bool crashed;
    bool finished;
    unsigned max_in_flight_seen;
    uint64_t rand;
    struct hws_rollout_action held[WORLD_MAX]; /* with the world, not answered */
    size_t n_held;
};

/* A plan of n adapters on n hosts, id filled in; the caller may change limits. */
void world_plan(struct hws_rollout_plan *plan, size_t n);

void world_init(struct world *w, struct hws_rollout_plan *plan, uint64_t seed);
void world_deinit(struct world *w);

/* Runs until FINISHED, the crash, or nothing moves. Answers come in random order. */
void world_run(struct world *w);

/* After a crash: loads the journal and resumes. */
void world_restart(struct world *w, enum hws_rollout_retry retry);

size_t world_count(const struct world *w, enum hws_rollout_member_state state);

#endif
