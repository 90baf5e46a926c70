/*
 * When to start another process again: one state machine per child (hawser-wire, the device
 * process), without I/O. The lock file that a child holds for life tells whether one is running:
 * held means wait for its HELLO (it outlived an earlier hawserd and is adopted), free means start
 * one, with a back-off when starts come quickly after each other.
 *
 * The owner calls hws_child_turn when something happened or the returned time came, and does what
 * it says. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_CHILD_H
#define HWS_HAWSERD_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#define HWS_CHILD_POLL_MS  20u   /* how often the lock is looked at while nobody is connected */
#define HWS_CHILD_START_MS 5000u /* how long a started child may take to say HELLO */

enum hws_child_state {
    HWS_CHILD_AWAY,      /* nobody connected, nothing started by us */
    HWS_CHILD_STARTED,   /* we started it; no HELLO yet */
    HWS_CHILD_CONNECTED, /* HELLO came */
    HWS_CHILD_STOPPED    /* the agent ends: never started again */
};

enum hws_child_action {
    HWS_CHILD_WAIT,  /* nothing to do until *out_next_ms */
    HWS_CHILD_SPAWN, /* start it now, then call hws_child_spawned or hws_child_exited */
    HWS_CHILD_KILL   /* started long ago and silent: kill what was started */
};

struct hws_child {
    int state;           /* enum hws_child_state */
    bool no_spawn;       /* a service manager starts it */
    unsigned n_failed;   /* quick ends in a row */
    unsigned n_restarts; /* times it came back after the first HELLO */
    bool seen;           /* a HELLO came before */
    uint64_t since_ms;   /* of the state */
    uint64_t spawned_ms; /* last start */
    uint64_t generation; /* of the last HELLO */
    uint32_t pid;        /* of the last HELLO */
};

void hws_child_init(struct hws_child *c, bool no_spawn, uint64_t now_ms);

/* What to do now. lock_is_free is asked only while nobody is connected. */
enum hws_child_action hws_child_turn(struct hws_child *c, bool lock_is_free, uint64_t now_ms,
                                     uint64_t *out_next_ms);

void hws_child_spawned(struct hws_child *c, uint64_t now_ms);

/* The process that we started ended, or could not be started. */
void hws_child_exited(struct hws_child *c, uint64_t now_ms);

/* Its HELLO came. */
void hws_child_hello(struct hws_child *c, uint32_t pid, uint64_t generation, uint64_t now_ms);

/* Its connection ended. */
void hws_child_lost(struct hws_child *c, uint64_t now_ms);

/* The agent ends. */
void hws_child_stop(struct hws_child *c, uint64_t now_ms);

bool hws_child_connected(const struct hws_child *c);

#endif
