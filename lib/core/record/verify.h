/*
 * Walks audit records in order and names the first one that does not fit: edited, missing, out of
 * order, or the chain cut short of a head that is known from elsewhere. One record at a time, so a
 * log of any length needs no memory. Thread rule: pure, any thread.
 */
#ifndef HWS_RECORD_VERIFY_H
#define HWS_RECORD_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "record/chain.h"

enum hws_verify_fault {
    HWS_VERIFY_SOUND,     /* nothing wrong so far */
    HWS_VERIFY_EDITED,    /* the record's own hash does not match its content */
    HWS_VERIFY_UNLINKED,  /* its prev_hash is not the hash of the record before */
    HWS_VERIFY_MISSING,   /* its seq jumps: records were dropped */
    HWS_VERIFY_REORDERED, /* its seq does not rise: repeated or moved */
    HWS_VERIFY_MALFORMED, /* it has no canonical form */
    HWS_VERIFY_TRUNCATED, /* the walk ended before the expected head */
    HWS_VERIFY_REWRITTEN, /* the record at the expected head has another hash */
    HWS_N_VERIFY_FAULTS
};

struct hws_verify {
    uint64_t n_seen;             /* records fed, the bad one included */
    uint64_t next_seq;           /* the seq that must come; 0 = any */
    struct hws_digest prev;      /* the hash of the last good record */
    bool linked;                 /* prev is known: the next record must name it */
    enum hws_verify_fault fault; /* the first one; later records are not judged */
    uint64_t bad_idx;            /* position (from 0) of the first bad record among those fed */
    uint64_t bad_seq;            /* the seq where the fault lies */
    uint64_t head_seq;           /* an expected head; 0 = none */
    struct hws_digest head_hash;
    bool head_seen; /* the walk passed the expected head */
};

/*
 * Starts a walk. first_seq 0: start at whatever record comes first and trust its prev_hash (the
 * log's horizon moves as old records are dropped); otherwise the first record must have this seq.
 * prev may be NULL, else the first record must follow it (all zero for the first record ever).
 */
void hws_verify_init(struct hws_verify *v, uint64_t first_seq, const struct hws_digest *prev);

/* Also demands that the walk reaches the record seq and that it has this hash: a checkpoint kept
 * elsewhere makes truncation and rewriting visible. */
void hws_verify_expect_head(struct hws_verify *v, uint64_t seq, const struct hws_digest *hash);

/* Judges the next record. HWS_E_PROTO at the first fault and ever after, with a text that names it;
 * HWS_E_NOMEM leaves the walk unchanged. */
enum hws_code hws_verify_feed(struct hws_verify *v, const struct hws_record *r, struct hws_err *err)
    HWS_MUST_USE;

/* Ends the walk: HWS_E_PROTO if a fault was found or the expected head was not reached. */
enum hws_code hws_verify_end(struct hws_verify *v, struct hws_err *err) HWS_MUST_USE;

/* "sound", "edited", "unlinked", ... */
const char *hws_verify_fault_name(enum hws_verify_fault fault);

#endif
