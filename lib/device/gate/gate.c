/*
 * The verdict over one command; see gate.h. The offsets of the header are written down here once
 * more, on purpose: the gate shares no extractor with the code that builds or looks up commands.
 *
 *   inbox: opcode u16@0, uid u16@2, op_mod u16@6; ACCESS_REG: register id u16@10, register @16
 *   (include/linux/mlx5/mlx5_ifc.h, Linux 7.2.13)
 */
#include "gate/gate.h"

#include "table/table.h"

#define OFF_OPCODE      0u
#define OFF_UID         2u
#define OFF_OP_MOD      6u
#define OFF_REGISTER_ID 10u
#define OFF_REGISTER    16u
#define MIN_BYTES       16u
#define ACCESS_REG      0x0805u
#define WRITE           0u
#define READ            1u
#define NO_SCOPE        0xffu

struct ceiling_opcode {
    uint16_t opcode;
    uint8_t scope;
};

struct ceiling_ban {
    uint16_t register_id;
    const char *name;
    const char *reason;
};

struct ceiling_zero {
    uint16_t register_id;
    const char *name;
    size_t offset;
    uint32_t mask;
    const char *reason;
};

#define HWS_CEILING_OPCODE(opcode, scope) {(opcode), (scope)},
#define HWS_CEILING_BAN(id, name, reason)
#define HWS_CEILING_ZERO(id, name, offset, mask, reason)
static const struct ceiling_opcode opcodes[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_OPCODE
#undef HWS_CEILING_BAN
#define HWS_CEILING_OPCODE(opcode, scope)
#define HWS_CEILING_BAN(id, name, reason) {(id), (name), (reason)},
static const struct ceiling_ban bans[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_BAN
#undef HWS_CEILING_ZERO
#define HWS_CEILING_BAN(id, name, reason)
#define HWS_CEILING_ZERO(id, name, offset, mask, reason) {(id), (name), (offset), (mask), (reason)},
static const struct ceiling_zero zeros[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_OPCODE
#undef HWS_CEILING_BAN
#undef HWS_CEILING_ZERO

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] * 256 + p[1]);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)u16_at(p) * 65536 + u16_at(p + 2);
}

enum hws_code hws_gate_extract(const uint8_t *in, size_t in_bytes, struct hws_gate_seen *out,
                               struct hws_err *err)
{
    struct hws_gate_seen seen = {0};

    if (in_bytes < MIN_BYTES) {
        return hws_err_set(err, HWS_E_DENIED, "inbox of %zu bytes has no whole header", in_bytes);
    }
    seen.opcode = u16_at(in + OFF_OPCODE);
    seen.uid = u16_at(in + OFF_UID);
    seen.op_mod = u16_at(in + OFF_OP_MOD);
    seen.is_register = seen.opcode == ACCESS_REG;
    if (seen.is_register && seen.op_mod != READ && seen.op_mod != WRITE) {
        return hws_err_set(err, HWS_E_DENIED, "register access with op_mod %u is no read or write",
                           seen.op_mod);
    }
    if (seen.is_register) {
        seen.is_write = seen.op_mod == WRITE;
        seen.register_id = u16_at(in + OFF_REGISTER_ID);
    }
    *out = seen;
    return HWS_OK;
}

/* The ceiling's lowest scope for an opcode; NO_SCOPE if it is not listed. */
static uint8_t opcode_scope(uint16_t opcode)
{
    for (size_t i = 0; i < COUNT(opcodes); i++) {
        if (opcodes[i].opcode == opcode) {
            return opcodes[i].scope;
        }
    }
    return NO_SCOPE;
}

static enum hws_code check_register_bits(const struct hws_gate_seen *seen,
                                         const struct hws_gate_ask *ask, struct hws_err *err)
{
    for (size_t i = 0; i < COUNT(zeros) && !seen->is_write; i++) {
        size_t at = OFF_REGISTER + zeros[i].offset;

        if (zeros[i].register_id == seen->register_id && at + 4 <= ask->in_bytes &&
            (u32_at(ask->in + at) & zeros[i].mask) != 0) {
            return hws_err_set(err, HWS_E_DENIED, "reading register %s: %s", zeros[i].name,
                               zeros[i].reason);
        }
    }
    return HWS_OK;
}

/* Judges by the ceiling alone; *out_scope is the lowest scope it names. */
static enum hws_code check_ceiling(const struct hws_gate_seen *seen, const struct hws_gate_ask *ask,
                                   uint8_t *out_scope, struct hws_err *err)
{
    if (seen->uid != 0) {
        return hws_err_set(err, HWS_E_DENIED, "the inbox carries uid %u", seen->uid);
    }
    if (!seen->is_register) {
        *out_scope = opcode_scope(seen->opcode);
        return *out_scope != NO_SCOPE
                   ? HWS_OK
                   : hws_err_set(err, HWS_E_DENIED, "opcode 0x%04x is above the ceiling",
                                 seen->opcode);
    }
    for (size_t i = 0; i < COUNT(bans); i++) {
        if (bans[i].register_id == seen->register_id) {
            return hws_err_set(err, HWS_E_DENIED, "register %s is banned: %s", bans[i].name,
                               bans[i].reason);
        }
    }
    *out_scope = seen->is_write ? 0 : 1;
    return check_register_bits(seen, ask, err);
}

/* The row that the keeper named, if it is that of the bytes; NULL and the reason otherwise. */
static const struct hws_table_row *row_of(const struct hws_gate_seen *seen,
                                          const struct hws_gate_ask *ask, struct hws_err *err)
{
    const struct hws_table_row *row = hws_table_at(ask->row);
    bool same;

    if (row == NULL) {
        hws_err_set(err, HWS_E_DENIED, "command table row %u does not exist", ask->row);
        return NULL;
    }
    same = row->kind == ask->kind && row->opcode == seen->opcode &&
           (row->op_mod == HWS_OP_MOD_ANY || row->op_mod == seen->op_mod) &&
           row->register_id == seen->register_id &&
           (row->method != HWS_REG_NONE) == seen->is_register &&
           (row->method == HWS_REG_WRITE) == (seen->is_register && seen->is_write);
    if (!same) {
        hws_err_set(err, HWS_E_DENIED,
                    "command table row %u is %s, the bytes are opcode 0x%04x op_mod %u "
                    "register 0x%04x",
                    ask->row, row->name, seen->opcode, seen->op_mod, seen->register_id);
        return NULL;
    }
    return row;
}

static enum hws_code judge(const struct hws_gate_ask *ask, struct hws_err *err)
{
    const struct hws_table_row *row = NULL;
    struct hws_gate_seen seen = {0};
    uint8_t lowest = NO_SCOPE;
    enum hws_code code = hws_gate_extract(ask->in, ask->in_bytes, &seen, err);

    if (code != HWS_OK) {
        return code;
    }
    code = check_ceiling(&seen, ask, &lowest, err);
    if (code != HWS_OK) {
        return code;
    }
    row = row_of(&seen, ask, err);
    if (row == NULL) {
        return HWS_E_DENIED;
    }
    if (ask->scope != lowest || ask->scope != row->scope) {
        return hws_err_set(err, HWS_E_DENIED,
                           "%s: asked for scope %u; the lowest is %u by the ceiling, %u by the "
                           "command table",
                           row->name, ask->scope, lowest, row->scope);
    }
    return hws_table_check_lengths(row, ask->in_bytes, ask->out_cap_bytes, err);
}

enum hws_code hws_gate_judge(const struct hws_gate_ask *ask, struct hws_err *err)
{
    enum hws_code code = judge(ask, err);

    if (code != HWS_OK) {
        (void)hws_err_wrap(err, "gate");
        hws_err_at(err, HWS_STAGE_NOT_SENT);
    }
    return code;
}
