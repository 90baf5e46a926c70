/*
 * Drives one stepper over one adapter: waits for its turn (sched), then hands out each call that
 * the stepper wants and feeds the result, until the stepper has ended. This is the one place where
 * commands are submitted.
 *
 * The run is the caller's and on loan from start until done, which is called once, never inside
 * start. A cancel drops a run that waits; one whose command is on the card ends when the channel
 * gives the command up. The turn at the adapter is kept for as long as such a command has not
 * really returned.
 *
 * Work in two parts with something durable between them sets `keeps_turn`: a stepper that ends well
 * then leaves the run HELD, nobody else gets the adapter, and done must lead to resume or give_up.
 * Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_RUN_H
#define HWS_HAWSERD_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "ifc/call.h"
#include "sched/sched.h"

struct hws_adapter;

/* A stepper seen through void pointers; err is where it says why it failed. */
struct hws_stepper {
    enum hws_step (*next)(void *self, uint64_t now_ms, struct hws_ctl_call *call);
    void (*feed)(void *self, const struct hws_ctl_call *call);
    const struct hws_err *err;
    void *self;
};

/* Defines next and feed wrappers PREFIX_next and PREFIX_feed for struct TYPE's stepper FUNCTIONS.
 */
#define HWS_STEPPER(prefix, type, functions)                                                       \
    static enum hws_step prefix##_next(void *self, uint64_t now_ms, struct hws_ctl_call *call)     \
    {                                                                                              \
        return functions##_next((struct type *)self, now_ms, call);                                \
    }                                                                                              \
    static void prefix##_feed(void *self, const struct hws_ctl_call *call)                         \
    {                                                                                              \
        functions##_feed((struct type *)self, call);                                               \
    }

/* A turn at an adapter. It may outlive the run: see above. */
struct hws_lease {
    struct hws_ticket ticket;
    struct hws_list link; /* in the adapter's lingering list */
    struct hws_run *run;  /* NULL when the run has ended before the turn */
    bool unqueued;        /* a probe: it never entered the queue */
    char owner[];         /* principal */
};

enum hws_run_state {
    HWS_RUN_IDLE,
    HWS_RUN_WAITING, /* for its turn */
    HWS_RUN_CALLING, /* a command is on loan */
    HWS_RUN_HELD,    /* between two parts: the turn is kept */
    HWS_RUN_N_STATES
};

struct hws_run {
    int state; /* enum hws_run_state */
    struct hws_adapter *adapter;
    struct hws_stepper stepper;
    struct hws_lease *lease;
    struct hws_ctl_call call;
    uint64_t queue_deadline_ms; /* waiting for the adapter ends here; UINT64_MAX = none */
    uint64_t deadline_ms; /* no command runs longer; UINT64_MAX = the stepper's own limits only */
    bool keeps_turn;      /* the caller's; see above. resume and give_up clear it */
    bool canceled;
    bool started;       /* a command was handed to the channel */
    bool unanswered;    /* the last command was given up */
    struct hws_err err; /* result: HWS_OK or why */
    void (*done)(struct hws_run *run);
    void *data; /* the caller's */
};

/*
 * Enters the adapter's queue. principal is copied. HWS_E_GONE when the adapter takes no commands
 * now (the text says why), HWS_E_BUSY over a queue limit, HWS_E_NOMEM: done is never called.
 * Set done, data and both deadlines before.
 */
enum hws_code hws_run_start(struct hws_run *run, struct hws_adapter *adapter,
                            enum hws_sched_kind kind, const char *principal,
                            const struct hws_stepper *stepper, struct hws_err *err) HWS_MUST_USE;

/* The same past the queue, for the probe of an adapter whose turn is held by a hung command.
 * HWS_E_NOMEM. */
enum hws_code hws_run_probe(struct hws_run *run, struct hws_adapter *adapter,
                            const struct hws_stepper *stepper, struct hws_err *err) HWS_MUST_USE;

/* The second part of a HELD run; the caller may have set another done. It may come inside. */
void hws_run_resume(struct hws_run *run, const struct hws_stepper *stepper);

/* Ends a HELD run: the turn goes back, done is not called. */
void hws_run_give_up(struct hws_run *run);

/* Ends it early; no effect on one that is HELD; done still comes (with HWS_E_CANCELED or what the
 * command came to). */
void hws_run_cancel(struct hws_run *run);

/* Ends the run of a lease that cancel took out of the queue, or begins a probe; the devices' turn.
 */
void hws_run_due(struct hws_lease *lease);

/* Frees a lease that lingered; the adapter's. */
void hws_run_release(struct hws_lease *lease);

#endif
