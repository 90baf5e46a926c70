/*
 * Audit records in the store: appending those that belong to no mutation, and reading them back.
 * Sequence numbers and hashes are given by the store's thread, so the chain has one writer.
 */
#ifndef HWS_STORE_AUDIT_H
#define HWS_STORE_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "record/chain.h"
#include "record/checkpoint.h"
#include "store/store.h"

#define HWS_STORE_QUERY_ROWS     256u /* default limit of one query */
#define HWS_STORE_QUERY_MAX_ROWS 1000u

/* Appends one record (a read, a denial). */
struct hws_store_append {
    struct hws_store_job job;
    struct hws_record record; /* in: all but seq and hashes; texts borrowed until cb; cleaned and
                                 cut by the store. Out: seq, prev_hash, hash */
};

#define HWS_STORE_QUERY_SIGNED 64u /* checkpoints of one query at most */

/* The signatures of a query: numbers are those that keys and checkpoints have in the store. */
struct hws_store_signed {
    bool wanted;               /* in */
    uint64_t from_seq;         /* in: checkpoints of this record or later */
    uint64_t after_key;        /* in: the number of the last key known. Out: of the last given */
    uint64_t after_checkpoint; /* the same of checkpoints */
    bool more;                 /* out: the limit left some out */
    struct hws_key_step *keys; /* out; owned by the request */
    size_t n_keys;
    struct hws_checkpoint *checkpoints; /* out; owned by the request */
    size_t n_checkpoints;
};

/*
 * Reads records, oldest first: those with a seq above after_seq, or, if last_n is set, the newest
 * last_n. At most limit (and 1 MiB) at once: go on with after_seq = the last seq given. HWS_E_PROTO
 * when a row does not match its own hash: the records before it are given, bad_seq names it, and
 * after_seq = bad_seq goes on behind it. If signatures are wanted: also keys, and the checkpoints
 * of the record after_seq up to the last one given.
 */
struct hws_store_query {
    struct hws_store_job job;
    uint64_t after_seq;         /* in */
    uint32_t last_n;            /* in: 0 = by after_seq */
    uint32_t limit;             /* in: 0 = HWS_STORE_QUERY_ROWS */
    struct hws_record *records; /* out; owned by the request, texts too */
    size_t n_records;
    uint64_t horizon_seq; /* out: the oldest record kept; 0 if there is none */
    uint64_t head_seq;    /* out: the newest */
    uint64_t bad_seq;     /* out: the damaged row, 0 if none */
    struct hws_store_signed sigs;
    void *bytes; /* the store's: what the records point into */
};

/*
 * The newest checkpoint, made now if there are records that none covers (unless the disk is nearly
 * full), and the log's signing keys, oldest first. HWS_E_NOT_FOUND: nothing was ever signed.
 */
struct hws_store_checkpoint {
    struct hws_store_job job;
    struct hws_checkpoint checkpoint; /* out */
    struct hws_key_step *keys;        /* out; owned by the request */
    size_t n_keys;
    uint64_t head_seq; /* out: the newest record */
};

/*
 * Changes the signing key: a last checkpoint by the old one, a record of phase NOTE, the new key
 * vouched for by the old one, a first checkpoint by the new one; one transaction. HWS_E_STATE
 * without a key, HWS_E_EXISTS if it is the present one.
 */
struct hws_store_rotate {
    struct hws_store_job job;
    const struct hws_signer *next; /* in: borrowed as options.signer, which is free after HWS_OK */
    uint64_t unix_ms;              /* in */
    uint64_t from_seq;             /* out */
};

void hws_store_checkpoint_init(struct hws_store_checkpoint *r);
void hws_store_rotate_init(struct hws_store_rotate *r);
void hws_store_append_init(struct hws_store_append *r);
void hws_store_query_init(struct hws_store_query *r);

/* Appends a record without a callback: copies it, then as hws_store_submit. The chain position is
 * that of the submission. HWS_E_BUSY, HWS_E_GONE, HWS_E_NOMEM: not recorded, so the owner refuses
 * the call that it was about. One that was taken and then cannot be stored (disk full) is counted
 * in the statistics; as soon as writing works again a record of phase NOTE and code DATA_LOSS says
 * in n_others how many were lost before it. */
enum hws_code hws_store_note(struct hws_store *s, const struct hws_record *record,
                             struct hws_err *err) HWS_MUST_USE;

#endif
