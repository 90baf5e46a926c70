/*
 * Who may use an adapter when: one queue per adapter, pure. Time and events come in, grants go out.
 *
 *   - One mutating command at a time; it has the adapter to itself.
 *   - Reads are shared, at most max_reads in flight.
 *   - A waiting writer stops new reads from starting, so it waits only for those in flight. After a
 * write, readers that waited go first, so neither side starves.
 *   - Turns go round by principal, not by call: a thousand calls of one do not delay the first of
 * another.
 *   - The queue is bounded, in all and per principal; over a limit is HWS_E_BUSY that names it.
 *   - A command that runs longer than hang_ms opens the breaker: new work is refused with
 * HWS_E_GONE until every hung command has returned; what waits stays until its deadline.
 *
 * A ticket is the caller's, on loan from enter until it is left or dropped. Callbacks run inside
 * hws_sched_turn only. Thread rule: one thread at a time.
 */
#ifndef HWS_SCHED_SCHED_H
#define HWS_SCHED_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

#define HWS_SCHED_KERNEL_READS  4u  /* a kernel driver's slots are the network driver's too */
#define HWS_SCHED_QUEUE_READS   31u /* our own command queue, the one slot of a writer kept apart */
#define HWS_SCHED_MAX_WAITING   256u
#define HWS_SCHED_MAX_PER_OWNER 64u
#define HWS_SCHED_HANG_MS       UINT64_C(60000)

enum hws_sched_kind { HWS_SCHED_READ, HWS_SCHED_WRITE };

enum hws_ticket_state {
    HWS_TICKET_IDLE,    /* not on loan */
    HWS_TICKET_WAITING, /* in the queue */
    HWS_TICKET_RUNNING, /* granted: the caller uses the adapter */
    HWS_TICKET_HUNG,    /* running for longer than hang_ms */
    HWS_N_TICKET_STATES
};

/* Zero means the default named above. */
struct hws_sched_options {
    uint32_t max_reads;
    uint32_t max_waiting;   /* tickets in the queue */
    uint32_t max_per_owner; /* of one principal */
    uint64_t hang_ms;
};

/* One turn at the adapter. Zero it once; then reuse it as often as wished. */
struct hws_ticket {
    enum hws_sched_kind kind;
    const char *owner;    /* principal; borrowed until left or dropped */
    uint64_t deadline_ms; /* waiting longer ends with HWS_E_TIMEOUT; UINT64_MAX or 0 = none */
    /* Called once inside turn: HWS_OK = granted, call leave at the end; otherwise it is out of the
     * queue. */
    void (*cb)(struct hws_ticket *t, enum hws_code code, const struct hws_err *err);
    void *data;
    int state;               /* the scheduler's: enum hws_ticket_state */
    uint64_t entered_ms;     /* the scheduler's */
    uint64_t granted_ms;     /* the scheduler's */
    struct hws_list link;    /* the scheduler's */
    struct hws_list sibling; /* the scheduler's */
    struct hws_list entered; /* the scheduler's */
};

/* The scheduler of one adapter; the owner embeds it. All fields are the scheduler's. */
struct hws_sched {
    struct hws_sched_options opt;
    struct hws_list fronts[2]; /* by kind: of each principal that waits its oldest ticket, in turn;
                                  the principal's others hang on that ticket's sibling list */
    struct hws_list waiting;   /* all waiting tickets, oldest first */
    struct hws_list running;   /* granted tickets, oldest grant first */
    uint32_t n_waiting[2];     /* by kind */
    uint32_t n_reads;          /* running reads */
    uint32_t n_hung;           /* running tickets past hang_ms */
    uint32_t n_stalled;        /* commands stuck below that no ticket stands for */
    uint32_t n_owed_reads;     /* reads that go before the next writer: they waited while one ran */
    bool writing;              /* a writer runs */
    bool turning;
};

void hws_sched_init(struct hws_sched *s, const struct hws_sched_options *opt);

/* Puts a ticket into the queue; the callback comes from a later turn. HWS_E_BUSY naming the limit,
 * HWS_E_GONE while the breaker is open; then the ticket is not taken. */
enum hws_code hws_sched_enter(struct hws_sched *s, struct hws_ticket *t, uint64_t now_ms,
                              struct hws_err *err) HWS_MUST_USE;

/* Ends a granted ticket: its command has returned. Call turn afterwards. */
void hws_sched_leave(struct hws_sched *s, struct hws_ticket *t);

/* Takes a waiting ticket out of the queue without a callback; no effect on one that is not waiting.
 */
void hws_sched_drop(struct hws_sched *s, struct hws_ticket *t);

/* Marks hung commands, expires and grants. Returns when to turn again, UINT64_MAX if only events
 * matter. Inside a callback of its own it does nothing: the outer turn goes on. */
uint64_t hws_sched_turn(struct hws_sched *s, uint64_t now_ms);

/* Says how many commands are stuck on the adapter although their callers were told so and left: a
 * timed-out command keeps its slot until firmware answers. Above 0 the breaker is open. Call turn
 * afterwards. */
void hws_sched_set_stalled(struct hws_sched *s, uint32_t n_stalled);

/* True while a hung or stalled command has not returned. */
bool hws_sched_breaker_open(const struct hws_sched *s);

/* Ends every waiting ticket with this code inside the call (the adapter went away, or the owner
 * stops); running ones must still be left. */
void hws_sched_flush(struct hws_sched *s, enum hws_code code, const char *why);

#endif
