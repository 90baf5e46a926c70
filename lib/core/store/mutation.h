/*
 * The two durable moments of every mutation, and what is left of those that were cut off between.
 *
 *   begin   one transaction: fence checked and stored, request id checked, intent row and audit
 *           INTENT record written. Only after HWS_OK may the caller touch the card.
 *   end     one transaction: outcome, stored answer, audit OUTCOME record.
 *
 * What a mutation replaces is often known only after the card was read. It is then noted between
 * the two, before the first effect: an intent without it has touched nothing.
 *
 * Between them the card is the truth: at start the owner lists the unfinished intents, reads the
 * card and ends each as old, new or stuck. Requests are used with the functions of store.h.
 */
#ifndef HWS_STORE_MUTATION_H
#define HWS_STORE_MUTATION_H

#include <stddef.h>
#include <stdint.h>

#include "record/chain.h"
#include "store/store.h"

#define HWS_STORE_ROLE_MAX_BYTES       64u
#define HWS_STORE_REQUEST_ID_MAX_BYTES 64u
#define HWS_STORE_BLOB_MAX_BYTES       (4u << 20) /* old, new, answer: each */

/* How an intent stands. */
enum hws_intent_state {
    HWS_INTENT_OPEN = 1,  /* begun, not ended: running now, or in doubt after a restart */
    HWS_INTENT_NEW = 2,   /* ended: the card has the new state */
    HWS_INTENT_OLD = 3,   /* ended: the card has the old state; nothing was changed */
    HWS_INTENT_STUCK = 4, /* neither could be shown: a human decides; repeats stay refused */
    HWS_INTENT_VOID = 5,  /* for end only: nothing was tried, the request id is free again */
    HWS_N_INTENT_STATES
};

/* Who changes things now: the largest 128-bit election id seen for a role wins. */
struct hws_fence {
    const char *role; /* borrowed; 1..64 bytes */
    uint64_t high;
    uint64_t low; /* high = low = 0 is refused */
};

/*
 * Results by job.err:
 *   HWS_OK, replay false   the intent is durable: go on
 *   HWS_OK, replay true    a finished request with this id and hash: status and answer are its
 * result HWS_E_DENIED           the fence is older than the current one, which the text names
 *   HWS_E_CONFLICT         the same request is unfinished (operation_id is set: poll it), or the
 * commit failed and it is in doubt whether the intent was stored (operation_id 0) HWS_E_EXISTS this
 * request id was used for something else HWS_E_INVALID          a missing or too long field
 *   HWS_E_BUSY             disk or ledger full
 * DENIED, CONFLICT and EXISTS leave an audit record of phase DENIED themselves, durable by then.
 */
struct hws_store_begin {
    struct hws_store_job job;
    struct hws_fence fence;
    struct hws_record record; /* in: unix_ms, effect, principal, cert_serial, peer, method, device,
                                 rule, detail, request_id; texts borrowed until cb. principal,
                                 method and request_id make the key */
    struct hws_digest request_hash; /* in: over the request's content */
    struct hws_span old_state;      /* in: what is replaced; opaque, borrowed until cb */
    struct hws_span new_state;      /* in: what is wanted */
    uint64_t operation_id;          /* out: for end; from 1, never used again */
    uint64_t intent_seq;            /* out: seq of the INTENT record */
    bool replay;                    /* out */
    enum hws_intent_state state;    /* out, of a replay: NEW or OLD; of a conflict: OPEN or STUCK */
    uint32_t status;                /* out, of a replay: as given to end */
    uint8_t *answer;                /* out, of a replay: as given to end; owned by the request */
    size_t answer_bytes;
};

/* Stores what an OPEN intent replaces, in place of the old_state given to begin. Only after HWS_OK
 * may the caller touch the card. HWS_E_NOT_FOUND: no such operation. HWS_E_STATE: it has ended.
 * HWS_E_INVALID: too long. HWS_E_CONFLICT: the commit failed, in doubt. */
struct hws_store_note {
    struct hws_store_job job;
    uint64_t operation_id;     /* in */
    struct hws_span old_state; /* in: opaque, borrowed until cb */
};

/* Ends an OPEN or STUCK intent. HWS_E_NOT_FOUND: no such operation. HWS_E_STATE: ended before (then
 * nothing changes). HWS_E_CONFLICT: the commit failed, in doubt. */
struct hws_store_end {
    struct hws_store_job job;
    uint64_t operation_id;       /* in */
    enum hws_intent_state state; /* in: NEW, OLD, STUCK or VOID */
    uint64_t unix_ms;            /* in */
    uint32_t status;             /* in: the gRPC status a repeat will get */
    struct hws_span answer;      /* in: the answer's bytes a repeat will get; borrowed until cb */
    const char *code;     /* in: for the audit record, "OK", "FAILED_PRECONDITION"; borrowed */
    const char *detail;   /* in: for the audit record; borrowed */
    uint64_t taint_after; /* in: for the audit record: the kernel's taint mask now */
    uint64_t outcome_seq; /* out */
};

/* One intent as stored. Everything it points to lives in the request. */
struct hws_intent {
    uint64_t operation_id;
    uint64_t intent_seq;
    enum hws_intent_state state;
    struct hws_record record; /* the INTENT record: who, what, when */
    struct hws_span old_state;
    struct hws_span new_state;
    struct hws_span answer; /* of an ended one */
    uint32_t status;
    uint64_t ended_unix_ms; /* 0 while OPEN */
};

/* Lists intents, oldest first: with operation_id 0 all that are OPEN or STUCK (at most 1000), else
 * that one (HWS_E_NOT_FOUND). HWS_E_PROTO if a row does not match its digest. */
struct hws_store_intents {
    struct hws_store_job job;
    uint64_t operation_id;      /* in */
    struct hws_intent *intents; /* out; owned by the request */
    size_t n_intents;
    void *bytes; /* the store's: what the intents point into */
};

/* Zero the request and make it one of its kind. */
void hws_store_begin_init(struct hws_store_begin *r);
void hws_store_note_init(struct hws_store_note *r);
void hws_store_end_init(struct hws_store_end *r);
void hws_store_intents_init(struct hws_store_intents *r);

/* "open", "new", "old", "stuck", "void". */
const char *hws_intent_state_name(enum hws_intent_state state);

#endif
