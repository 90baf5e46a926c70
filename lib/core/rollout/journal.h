/*
 * The rollout journal: records one after another, each whole or not there.
 *
 *     0      4      8    9              9 + n
 *     | n    | crc  |type| body n bytes |        n: bytes of the body, big endian; crc: CRC-32C of
 * type and body
 *
 * The first record is the PLAN; the others move one adapter or the rollout. Bytes that do not make
 * a whole record at the very end are an interrupted write and end the reading; a whole record with
 * a wrong sum or content is damage.
 */
#ifndef HWS_ROLLOUT_JOURNAL_H
#define HWS_ROLLOUT_JOURNAL_H

#include "rollout/rollout.h"

#define HWS_ROLLOUT_RECORD_HEAD_BYTES 9u

enum hws_rollout_record_type {
    HWS_ROLLOUT_REC_PLAN = 1,   /* created_unix_ms, then the encoded plan */
    HWS_ROLLOUT_REC_MEMBER = 2, /* one adapter came into a state */
    HWS_ROLLOUT_REC_STATE = 3,  /* the rollout came into a state */
    HWS_ROLLOUT_REC_WAVE = 4    /* a wave was opened */
};

struct hws_rollout_record {
    enum hws_rollout_record_type type;
    uint64_t unix_ms;
    const uint8_t *plan; /* PLAN: borrowed from the bytes */
    size_t n_plan;
    uint32_t member; /* MEMBER */
    enum hws_rollout_member_state member_state;
    uint32_t attempt;
    bool given_up;
    char device_id[HWS_ROLLOUT_DEVICE_BYTES];
    char plan_hash[HWS_ROLLOUT_HASH_BYTES];
    struct hws_rollout_cause cause;
    enum hws_rollout_state state; /* STATE */
    char reason[HWS_ROLLOUT_REASON_BYTES];
    uint32_t wave; /* WAVE */
};

/* Room that any record but PLAN fits in, with its head. */
#define HWS_ROLLOUT_RECORD_MAX_BYTES 1024u

/* Appends one record. HWS_E_NOMEM, HWS_E_BUSY by the buffer's ceiling; the buffer is then
 * unchanged. */
enum hws_code hws_rollout_record_put(struct hws_buf *out, const struct hws_rollout_record *rec)
    HWS_MUST_USE;

/*
 * Reads the record at the front of bytes and sets *out_n to its length. HWS_E_NOT_FOUND: no whole
 * record is there (the end, or an interrupted write). HWS_E_PROTO: damage.
 */
enum hws_code hws_rollout_record_get(const uint8_t *bytes, size_t n, struct hws_rollout_record *rec,
                                     size_t *out_n, struct hws_err *err) HWS_MUST_USE;

#endif
