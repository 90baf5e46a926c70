/*
 * Judges a whole audit log: its keys, its checkpoints, then its records, and names the first record
 * that is wrong. What was pruned by retention is told from what was cut off by the signed horizon.
 *
 *     init -> key* -> checkpoint* -> pin? -> begin -> record* -> end
 *
 * A chain alone proves nothing: whoever may write the file can make another. What binds is the
 * signatures, so a log whose writer signs at least every max_unsigned records has no more than that
 * without one, and a key that the caller knows (must_be_by) tells that they are the host's.
 *
 * Each step returns HWS_E_PROTO at the first fault and ever after; out->bad_seq is the record where
 * it lies (for a bad key or checkpoint: the record it is about). Thread rule: pure, any thread.
 */
#ifndef HWS_RECORD_LOG_H
#define HWS_RECORD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/checkpoint.h"
#include "record/verify.h"

#define HWS_LOG_MAX_CHECKPOINTS 4000000u /* of one log; more are refused with HWS_E_BUSY */
#define HWS_LOG_MAX_KEYS        1000u

/* What a checkpoint says of a record. */
struct hws_log_mark {
    uint64_t seq;
    struct hws_digest hash;
};

struct hws_log_check {
    struct hws_verify walk;
    struct hws_buf keys;        /* struct hws_key_step, in order */
    struct hws_buf marks;       /* struct hws_log_mark of each checkpoint, in order */
    struct hws_checkpoint last; /* the newest checkpoint, if there are marks */
    struct hws_checkpoint pin;
    bool pinned;
    uint64_t max_unsigned; /* the caller's: records behind the newest signature; 0 = any number */
    bool has_key;          /* the caller's: must_be_by counts */
    struct hws_public must_be_by; /* it or a key that it leads to signed the newest checkpoint */
    size_t next_mark;             /* the walk's place among the marks */
    uint64_t bad_seq;             /* 0 while nothing is wrong */
    const char *fault;  /* hws_verify_fault_name, or "key", "checkpoint", "pin", "rewritten",
                           "missing",  "truncated", "unsigned" */
    uint64_t n_records; /* good ones */
    uint64_t first_seq; /* of the records seen */
    uint64_t last_seq;
    uint64_t signed_seq;  /* the newest record under a signature */
    uint64_t stated_head; /* the newest record by the log's own word; 0 = it says nothing */
    uint64_t n_gaps;      /* places where records had been pruned before they were exported */
    struct hws_err err;
};

void hws_log_check_init(struct hws_log_check *c);
void hws_log_check_deinit(struct hws_log_check *c);

/* The next signing key, oldest first. */
enum hws_code hws_log_check_key(struct hws_log_check *c, const struct hws_key_step *k,
                                struct hws_err *err) HWS_MUST_USE;

/* The next checkpoint, oldest first. */
enum hws_code hws_log_check_checkpoint(struct hws_log_check *c, const struct hws_checkpoint *p,
                                       struct hws_err *err) HWS_MUST_USE;

/* A checkpoint kept elsewhere: the log must still hold (or have pruned) what it names. */
enum hws_code hws_log_check_pin(struct hws_log_check *c, const struct hws_checkpoint *p,
                                struct hws_err *err) HWS_MUST_USE;

/* Starts the walk along all that is kept of a log: it begins at the signed horizon. */
enum hws_code hws_log_check_begin(struct hws_log_check *c, struct hws_err *err) HWS_MUST_USE;

/* Starts the walk along a part of a log, which begins with first_seq; 0 = as a log never pruned. */
enum hws_code hws_log_check_begin_at(struct hws_log_check *c, uint64_t first_seq,
                                     struct hws_err *err) HWS_MUST_USE;

/* The next record. */
enum hws_code hws_log_check_record(struct hws_log_check *c, const struct hws_record *r,
                                   struct hws_err *err) HWS_MUST_USE;

/* Something that should be a record and is none; seq as far as known, 0 = the next. */
enum hws_code hws_log_check_malformed(struct hws_log_check *c, uint64_t seq, struct hws_err *err);

/* Records first_seq to last_seq were pruned before they could be exported; the signed horizon must
 * say the same. */
enum hws_code hws_log_check_gap(struct hws_log_check *c, uint64_t first_seq, uint64_t last_seq,
                                struct hws_err *err) HWS_MUST_USE;

/* The end: nothing that is signed or stated may be missing, and no more than max_unsigned records
 * without a signature. */
enum hws_code hws_log_check_end(struct hws_log_check *c, struct hws_err *err) HWS_MUST_USE;

/* The key that signed the newest checkpoint, or will sign the first one; NULL if there is none. */
const struct hws_public *hws_log_check_signer(const struct hws_log_check *c);

#endif
