/*
 * The gate: the last judge before a card. It looks at the raw bytes that will be sent, with an
 * extractor of its own, and lets a command pass only if all of these agree:
 *   - the command table row that the keeper named matches the bytes,
 *   - the hand-written ceiling (ceiling.def) allows them,
 *   - the scope is the lowest that is sufficient, by row and by ceiling,
 *   - inbox and outbox lengths suit the row.
 * Pure; no state; any thread.
 */
#ifndef HWS_GATE_GATE_H
#define HWS_GATE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "table/row.h"

/* What the bytes are, by the gate's own reading. */
struct hws_gate_seen {
    uint16_t opcode;
    uint16_t uid; /* must be 0: the kernel's driver fills it in */
    uint16_t op_mod;
    bool is_register;     /* ACCESS_REG */
    bool is_write;        /* of a register */
    uint16_t register_id; /* 0 unless is_register */
};

struct hws_gate_ask {
    enum hws_kind kind; /* of the adapter */
    uint16_t row;       /* table row id that the keeper named */
    uint8_t scope;      /* fwctl scope that the keeper named */
    const uint8_t *in;  /* inbox; must not change until the command has run */
    size_t in_bytes;
    size_t out_cap_bytes;
};

/* Reads an inbox. HWS_E_DENIED: too short, or a register access that is neither read nor write. */
enum hws_code hws_gate_extract(const uint8_t *in, size_t in_bytes, struct hws_gate_seen *out,
                               struct hws_err *err) HWS_MUST_USE;

/* The ceiling's verdict alone, without any table: HWS_OK and the lowest scope, or HWS_E_DENIED. */
enum hws_code hws_gate_ceiling(const uint8_t *in, size_t in_bytes, uint8_t *out_scope,
                               struct hws_err *err) HWS_MUST_USE;

/* HWS_OK: it may run. HWS_E_DENIED or HWS_E_INVALID (lengths) with the reason, at stage NOT_SENT.
 */
enum hws_code hws_gate_judge(const struct hws_gate_ask *ask, struct hws_err *err) HWS_MUST_USE;

/*
 * judge's last questions: do the row that the keeper named, the bytes that were seen, the ceiling's
 * lowest scope and what is asked for agree? HWS_OK, HWS_E_DENIED, or HWS_E_INVALID for lengths. A
 * function of its own because the gate is there for the day on which the table is wrong, and that
 * can only be asked of rows that the table does not have.
 */
enum hws_code hws_gate_agree(const struct hws_table_row *row, const struct hws_gate_seen *seen,
                             uint8_t lowest, const struct hws_gate_ask *ask, struct hws_err *err)
    HWS_MUST_USE;

/* True for every effect but the four that one person may have: what is unknown is dangerous. */
bool hws_gate_is_dangerous(enum hws_effect effect);

/* True if the command may only run with two persons' signatures: it is on the ceiling's list of
 * these, or the table's row says so, or it is none that could pass at all. */
bool hws_gate_needs_warrant(enum hws_kind kind, const uint8_t *in, size_t in_bytes) HWS_MUST_USE;

#endif
