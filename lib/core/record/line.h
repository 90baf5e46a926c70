/*
 * An audit log as JSON lines: one object a line, its keys always in the same order, numbers in
 * decimal, hashes and keys in lower-case hex, no spaces. Each object has exactly one spelling:
 * reading refuses every other one, so that not a byte of an exported log can change unnoticed.
 *
 *     {"type":"key",...}          a signing key, before what it signs
 *     {"type":"record",...}       the fields of AuditRecord
 *     {"type":"checkpoint",...}   a signed checkpoint
 *     {"type":"gap","first":4,"last":9}   records pruned before they could be exported
 *
 * Thread rule: pure functions, any thread.
 */
#ifndef HWS_RECORD_LINE_H
#define HWS_RECORD_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/chain.h"
#include "record/checkpoint.h"

/* No line is longer: every text doubled by escapes, and the rest. */
#define HWS_LINE_MAX_BYTES (2u * HWS_RECORD_MAX_BYTES + 2048u)

enum hws_line_kind {
    HWS_LINE_KEY,
    HWS_LINE_RECORD,
    HWS_LINE_CHECKPOINT,
    HWS_LINE_GAP,
    HWS_N_LINE_KINDS
};

struct hws_line_gap {
    uint64_t first;
    uint64_t last;
};

struct hws_line {
    enum hws_line_kind kind;
    union {
        struct hws_key_step key;
        struct hws_record record; /* texts point into the line that was read */
        struct hws_checkpoint checkpoint;
        struct hws_line_gap gap;
    } u;
};

/* Appends the line and a newline. HWS_E_NOMEM; HWS_E_INVALID for a text that is not clean. */
enum hws_code hws_line_print(const struct hws_line *line, struct hws_buf *out) HWS_MUST_USE;

/* True if the n bytes begin as a record does; whether they are one, reading tells. */
bool hws_line_is_record(const char *text, size_t n);

/*
 * Reads n bytes (without the newline), changing them: texts are unescaped where they stand, and
 * text[n] must be writable. HWS_E_PROTO with the offset of the first byte that does not fit.
 */
enum hws_code hws_line_read(char *text, size_t n, struct hws_line *out, struct hws_err *err)
    HWS_MUST_USE;

#endif
