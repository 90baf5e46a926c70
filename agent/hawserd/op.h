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
 * A handler ends its run with exactly one hws_op_done or hws_op_fail. When the caller goes away, a
 * read stops as soon as it can and a change goes on to its end.
 */
#ifndef HWS_HAWSERD_OP_H
#define HWS_HAWSERD_OP_H

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
#include "table/row.h"

#define HWS_OP_MAX_LIVE 1024u /* operations of all callers, those without a caller included */

enum hws_op_state {
    HWS_OP_CHECKING,  /* 1 to 3 */
    HWS_OP_BEGINNING, /* 4: the intent is being stored */
    HWS_OP_RUNNING,   /* 5 */
    HWS_OP_ENDING,    /* 6: the outcome is being stored */
    HWS_OP_N_STATES
};

/* What a running operation wants to hear of: its handler's resume is called when there is news. */
enum hws_follow { HWS_FOLLOW_NOTHING, HWS_FOLLOW_ADAPTERS, HWS_FOLLOW_AUDIT };

/* The part of a mutating request that says who may and which attempt this is. */
struct hws_op_mutation {
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
    const char *target;          /* register or command; "" if none */
    const char *target_method;   /* "read", "write" or "" */
    const char *detail;          /* decoded arguments, one line */
    const char *field;           /* of a refusal: the field to blame */
    struct hws_op_mutation mutation;
    struct hws_span old_state; /* for recovery: what is replaced; opaque */
    struct hws_span new_state; /* for recovery: what is wanted */
};

struct hws_op {
    struct hws_list link;    /* in the agent's list */
    struct hws_agent *agent; /* borrowed */
    struct hws_rpc *rpc; /* borrowed; NULL when the caller is gone, or for an item of a stream */
    struct hws_caller *caller; /* one reference */
    const struct hws_handler *handler;
    const struct hws_method *row;
    int state; /* enum hws_op_state */
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
    struct hws_store_end end;
    struct hws_store_query query;
    struct hws_digest request_hash;       /* over the request's content */
    void (*ledger_go)(struct hws_op *op); /* the ledger's continuations */
    void (*ledger_ended)(struct hws_op *op);
    uint64_t operation_id;
    enum hws_intent_state
        outcome;            /* of a change: what the card holds; the handler may set it before
                               done (default NEW) or fail (default by the error's stage) */
    bool repeated;          /* the answer is an earlier one's */
    bool noted;             /* a READ record is written */
    struct hws_err err;     /* result: HWS_OK or why not */
    struct hws_buf answer;  /* result: packed response */
    struct hws_buf details; /* packed google.rpc.Status of a failure */
    void (*ended)(
        struct hws_op *op); /* an item of a stream: called instead of 7; then it is freed */
    void *data;             /* for ended */
    uint64_t tag;           /* for ended */
};

/* Takes n bytes of request for the rpc's method on this road. The rpc gets its end in any case. */
void hws_op_begin(struct hws_rpc *rpc, const uint8_t *bytes, size_t n);

/*
 * Steps 1 to 3 for an item of a stream: request (owned by the caller of this function's stream
 * message until it hands it over here) is already unpacked. Returns NULL and *err when it ends
 * here. Then hws_op_go does the rest, and ended is called.
 */
struct hws_op *hws_op_item(struct hws_rpc *rpc, void *request, const uint8_t *bytes, size_t n,
                           struct hws_err *err);
void hws_op_go(struct hws_op *op);

/* Frees an item that never went. */
void hws_op_discard(struct hws_op *op);

/* True if this operation changes something. */
bool hws_op_mutates(const struct hws_op *op);

/* Ends the run: op->answer holds the packed response. */
void hws_op_done(struct hws_op *op);

/* Ends the run with a failure (copied). */
void hws_op_fail(struct hws_op *op, const struct hws_err *err);

/* Shorthand: hws_err_set and fail. */
void hws_op_refuse(struct hws_op *op, enum hws_code code, const char *fmt, ...) HWS_PRINTF(3, 4);

/* Calls resume of every operation that follows this. */
void hws_op_news(struct hws_agent *agent, enum hws_follow what);

/* Ends every operation that follows something: the agent stops. */
void hws_op_stop_followers(struct hws_agent *agent);

/* Its caller is gone. */
void hws_op_orphan(struct hws_op *op);

/* Starts the operation's run on its adapter; done is called as in run.h, with op in run.data. On
 * refusal it ends the operation itself and returns false. */
bool hws_op_drive(struct hws_op *op, const struct hws_stepper *stepper,
                  void (*done)(struct hws_run *run));

/* The intent's end for a failed change by what the card saw, unless the handler knows better. */
enum hws_intent_state hws_op_outcome_of(const struct hws_err *err);

#endif
