/*
 * One request on its way through the keeper; every request of every method takes this road:
 *
 *   1. unpack            bytes -> message (the method's descriptor)
 *   2. prepare           the handler checks the fields and says what it wants: adapter, effect,
 *                        target, a line for the audit record. No I/O.
 *   3. authorize         the one place that asks the policy; a refusal is recorded and ends here
 *   4. ledger            what changes something: fence, request_id and intent become durable, or a
 *                        repeated request gets its first answer
 *   5. run               the handler's work, on the adapter or not
 *   6. outcome           of 4: the outcome and the answer become durable
 *   7. reply             by the rpc, if the caller is still there
 *
 * A handler ends its run with exactly one hws_task_done or hws_task_fail. When the caller goes
 * away, a read stops as soon as it can and a change goes on to its end.
 */
#ifndef HWS_HAWSERD_TASK_H
#define HWS_HAWSERD_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "hawserd/arena.h"
#include "hawserd/device.h"
#include "hawserd/rpc.h"
#include "hawserd/run.h"
#include "policy/policy.h"
#include "store/audit.h"
#include "store/mutation.h"
#include "table/table.h"

#define HWS_TASK_MAX_LIVE 1024u /* operations of all callers, those without a caller included */

enum hws_task_state {
    HWS_TASK_CHECKING,  /* 1 to 3 */
    HWS_TASK_BEGINNING, /* 4: the intent is being stored */
    HWS_TASK_RUNNING,   /* 5 */
    HWS_TASK_ENDING,    /* 6: the outcome is being stored */
    HWS_TASK_N_STATES
};

/* What a running operation wants to hear of: its handler's resume is called when there is news. */
enum hws_follow { HWS_FOLLOW_NOTHING, HWS_FOLLOW_ADAPTERS, HWS_FOLLOW_AUDIT };

/* The part of a mutating request that says who may and which attempt this is. */
struct hws_task_mutation {
    bool given;
    const char *role;
    uint64_t high;
    uint64_t low;
    const char *request_id;
    const char *reason;
};

/* What prepare finds out. Texts live in the arena, the request or static memory. */
struct hws_want {
    struct hws_adapter *adapter; /* NULL: not about one adapter */
    enum hws_effect effect;      /* never NONE */
    uint8_t scope;               /* 1 + the fwctl scope of its commands; 0: runs none */
    const char *target;          /* register or command; "" if none */
    const char *target_method;   /* "read", "write" or "" */
    const char *const *fields;   /* of the register, as given */
    size_t n_fields;
    bool raw;           /* bytes were given instead, or a write gives no field */
    const char *detail; /* decoded arguments, one line */
    const char *field;  /* of a refusal: the field to blame */
    uint32_t retry_ms;  /* of a refusal: when to try again; 0: by its code */
    bool approved;      /* a second person has signed a warrant for this very request */
    struct hws_task_mutation mutation;
    struct hws_span new_state; /* for recovery: what is wanted */
};

struct hws_task {
    struct hws_list link;    /* in the agent's list */
    struct hws_agent *agent; /* borrowed */
    struct hws_rpc *rpc; /* borrowed; NULL when the caller is gone, or for an item of a stream */
    struct hws_caller *caller; /* one reference */
    const struct hws_handler *handler;
    const struct hws_method *row;
    int state; /* enum hws_task_state */
    uint64_t deadline_ms;
    struct hws_arena arena;
    void *request;        /* owned; the unpacked message */
    const uint8_t *bytes; /* of the request; valid until prepare ends */
    size_t n_bytes;
    struct hws_want want;
    char rule[HWS_POLICY_NAME_MAX_BYTES + 1]; /* the policy rule that decided */
    bool whole;         /* once begun it runs to its end, whatever the caller's deadline */
    bool aborted;       /* the caller is gone: a read may stop */
    struct hws_run run; /* its turn at the adapter */
    enum hws_follow follows;
    bool has_news; /* resume is due */
    void *work;    /* the handler's, freed by handler->drop */
    struct hws_store_begin begin;
    struct hws_store_note note;
    struct hws_store_end end;
    struct hws_store_query query;
    struct hws_digest request_hash;           /* over the request's content */
    void (*ledger_go)(struct hws_task *task); /* the ledger's continuations */
    void (*ledger_ended)(struct hws_task *task);
    uint64_t operation_id;
    bool handed_over; /* recovery ends its intent: the outcome is not stored here */
    enum hws_intent_state
        outcome;            /* of a change: what the card holds; the handler may set it before
                               done (default NEW) or fail (default by the error's stage) */
    bool repeated;          /* the answer is an earlier one's */
    bool has_place;         /* the store keeps a place for its last record */
    bool noted;             /* a READ record is written */
    struct hws_err err;     /* result: HWS_OK or why not */
    struct hws_buf answer;  /* result: packed response */
    struct hws_buf details; /* packed google.rpc.Status of a failure */
    void (*ended)(
        struct hws_task *task); /* an item of a stream: called instead of 7; then it is freed */
    void *data;                 /* for ended */
    uint64_t tag;               /* for ended */
};

/* Takes n bytes of request for the rpc's method on this road. The rpc gets its end in any case. */
void hws_task_begin(struct hws_rpc *rpc, const uint8_t *bytes, size_t n);

/*
 * Steps 1 to 3 for an item of a stream: request (owned by the caller of this function's stream
 * message until it hands it over here) is already unpacked. Returns NULL and *err when it ends
 * here. Then hws_task_go does the rest, and ended is called.
 */
struct hws_task *hws_task_item(struct hws_rpc *rpc, void *request, struct hws_err *err);
void hws_task_go(struct hws_task *task);

/* An item that has waited: may it still go? Policy, locks and the agent's state may be others by
 * now. A refusal is on record. */
enum hws_code hws_task_recheck(struct hws_task *task, struct hws_err *err) HWS_MUST_USE;

/* Frees an item that never went. */
void hws_task_discard(struct hws_task *task);

/* True if this operation changes something. */
bool hws_task_mutates(const struct hws_task *task);

/* Ends the run: task->answer holds the packed response. */
void hws_task_done(struct hws_task *task);

/* Ends the run with a failure (copied). */
void hws_task_fail(struct hws_task *task, const struct hws_err *err);

/* Shorthand: hws_err_set and fail. */
void hws_task_refuse(struct hws_task *task, enum hws_code code, const char *fmt, ...)
    HWS_PRINTF(3, 4);

/* Calls resume of every operation that follows this. */
void hws_task_news(struct hws_agent *agent, enum hws_follow what);

/* Ends every operation that follows something: the agent stops. */
void hws_task_stop_followers(struct hws_agent *agent);

/* Something else is allowed now: streams that would not be begun any more end, before it returns to
 * the loop. */
void hws_task_rejudge(struct hws_agent *agent);

/* Its caller is gone. */
void hws_task_orphan(struct hws_task *task);

/* Starts the operation's run on its adapter; done is called as in run.h, with task in run.data. On
 * refusal it ends the operation itself and returns false. */
bool hws_task_drive(struct hws_task *task, const struct hws_stepper *stepper,
                    void (*done)(struct hws_run *run));

/* The intent's end for a failed change by what the card saw, unless the handler knows better. */
enum hws_intent_state hws_task_outcome_of(const struct hws_err *err);

#endif
