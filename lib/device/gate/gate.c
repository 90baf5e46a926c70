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
#define MIN_BYTES       16u
#define ACCESS_REG      0x0805u
#define WRITE           0u
#define READ            1u
#define NO_SCOPE        0xffu

struct ceiling_opcode {
    uint16_t opcode;
    uint8_t scope;
};

struct ceiling_register {
    uint16_t register_id;
    bool write;
};

struct ceiling_ban {
    uint16_t register_id;
    const char *name;
    const char *reason;
};

enum ceiling_method { METHOD_READ, METHOD_WRITE, METHOD_ANY };

struct ceiling_warrant {
    uint16_t opcode;
    uint16_t register_id;
    enum ceiling_method method;
};

struct ceiling_field {
    uint16_t opcode;
    uint16_t register_id;
    enum ceiling_method method;
    size_t offset;
    uint32_t mask;
    uint32_t value;
    const char *name;
    const char *reason;
};

/* Each array takes its own rows of the list. */
#define HWS_CEILING_OPCODE(opcode, scope) {(opcode), (scope)},
#define HWS_CEILING_REGISTER(id, method)
#define HWS_CEILING_BAN(id, name, reason)
#define HWS_CEILING_WARRANT(opcode, id, method)
#define HWS_CEILING_FIELD(opcode, id, method, offset, mask, value, name, reason)
static const struct ceiling_opcode opcodes[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_OPCODE
#undef HWS_CEILING_REGISTER
#define HWS_CEILING_OPCODE(opcode, scope)
#define HWS_CEILING_REGISTER(id, method) {(id), METHOD_##method == METHOD_WRITE},
static const struct ceiling_register registers[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_REGISTER
#undef HWS_CEILING_BAN
#define HWS_CEILING_REGISTER(id, method)
#define HWS_CEILING_BAN(id, name, reason) {(id), (name), (reason)},
static const struct ceiling_ban bans[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_BAN
#undef HWS_CEILING_WARRANT
#define HWS_CEILING_BAN(id, name, reason)
#define HWS_CEILING_WARRANT(opcode, id, method) {(opcode), (id), METHOD_##method},
static const struct ceiling_warrant warrants[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_WARRANT
#undef HWS_CEILING_FIELD
#define HWS_CEILING_WARRANT(opcode, id, method)
#define HWS_CEILING_FIELD(opcode, id, method, offset, mask, value, name, reason)                   \
    {(opcode), (id), METHOD_##method, (offset), (mask), (value), (name), (reason)},
static const struct ceiling_field fields[] = {
#include "gate/ceiling.def"
};
#undef HWS_CEILING_OPCODE
#undef HWS_CEILING_REGISTER
#undef HWS_CEILING_BAN
#undef HWS_CEILING_WARRANT
#undef HWS_CEILING_FIELD

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] * 256 + p[1]);
}

/* The bits at offset; bytes that the inbox lacks are zero for the card too. */
static uint32_t bits_at(const struct hws_gate_ask *ask, size_t offset)
{
    uint32_t bits = 0;

    for (size_t at = offset; at < offset + 4; at++) {
        bits = bits * 256 + (at < ask->in_bytes ? ask->in[at] : 0);
    }
    return bits;
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

/* Does the ceiling's field speak about these bytes? */
static bool is_about(const struct ceiling_field *f, const struct hws_gate_seen *seen)
{
    return f->opcode == seen->opcode && f->register_id == seen->register_id &&
           (f->method == METHOD_ANY || (f->method == METHOD_WRITE) == seen->is_write);
}

static enum hws_code check_bits(const struct hws_gate_seen *seen, const struct hws_gate_ask *ask,
                                struct hws_err *err)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct ceiling_field *f = &fields[i];
        uint32_t bits = bits_at(ask, f->offset);

        if (is_about(f, seen) && (bits & f->mask) != f->value) {
            return hws_err_set(err, HWS_E_DENIED, "%s%s: %s", f->name,
                               !seen->is_register ? ""
                               : seen->is_write   ? " write"
                                                  : " read",
                               f->reason);
        }
    }
    return HWS_OK;
}

static enum hws_code check_register(const struct hws_gate_seen *seen, struct hws_err *err)
{
    for (size_t i = 0; i < COUNT(bans); i++) {
        if (bans[i].register_id == seen->register_id) {
            return hws_err_set(err, HWS_E_DENIED, "register %s is banned: %s", bans[i].name,
                               bans[i].reason);
        }
    }
    for (size_t i = 0; i < COUNT(registers); i++) {
        if (registers[i].register_id == seen->register_id && registers[i].write == seen->is_write) {
            return HWS_OK;
        }
    }
    return hws_err_set(err, HWS_E_DENIED, "%s register 0x%04x is above the ceiling",
                       seen->is_write ? "writing" : "reading", seen->register_id);
}

static enum hws_code check_ceiling(const struct hws_gate_seen *seen, const struct hws_gate_ask *ask,
                                   uint8_t *out_scope, struct hws_err *err)
{
    uint8_t scope = seen->is_register ? (seen->is_write ? 0 : 1) : opcode_scope(seen->opcode);
    enum hws_code code = HWS_OK;

    if (seen->uid != 0) {
        return hws_err_set(err, HWS_E_DENIED, "the inbox carries uid %u", seen->uid);
    }
    if (scope == NO_SCOPE) {
        return hws_err_set(err, HWS_E_DENIED, "opcode 0x%04x is above the ceiling", seen->opcode);
    }
    if (seen->is_register) {
        code = check_register(seen, err);
    }
    if (code == HWS_OK) {
        code = check_bits(seen, ask, err);
    }
    if (code == HWS_OK) {
        *out_scope = scope;
    }
    return code;
}

enum hws_code hws_gate_ceiling(const uint8_t *in, size_t in_bytes, uint8_t *out_scope,
                               struct hws_err *err)
{
    struct hws_gate_ask ask = {.in = in, .in_bytes = in_bytes};
    struct hws_gate_seen seen = {0};
    enum hws_code code = hws_gate_extract(in, in_bytes, &seen, err);

    return code == HWS_OK ? check_ceiling(&seen, &ask, out_scope, err) : code;
}

enum hws_code hws_gate_agree(const struct hws_table_row *row, const struct hws_gate_seen *seen,
                             uint8_t lowest, const struct hws_gate_ask *ask, struct hws_err *err)
{
    bool same = row->kind == ask->kind && row->opcode == seen->opcode &&
                (row->op_mod == HWS_OP_MOD_ANY || row->op_mod == seen->op_mod) &&
                row->register_id == seen->register_id &&
                (row->method != HWS_REG_NONE) == seen->is_register &&
                (row->method == HWS_REG_WRITE) == seen->is_write;

    if (!same) {
        return hws_err_set(err, HWS_E_DENIED,
                           "command table row %u is %s, the bytes are opcode 0x%04x op_mod %u "
                           "register 0x%04x",
                           ask->row, row->name, seen->opcode, seen->op_mod, seen->register_id);
    }
    if (ask->scope != lowest || ask->scope != row->scope) {
        return hws_err_set(err, HWS_E_DENIED,
                           "%s: asked for scope %u; the lowest is %u by the ceiling, %u by the "
                           "command table",
                           row->name, ask->scope, lowest, row->scope);
    }
    return hws_table_check_lengths(row, ask->in_bytes, ask->out_cap_bytes, err);
}

static enum hws_code judge(const struct hws_gate_ask *ask, struct hws_err *err)
{
    const struct hws_table_row *row = hws_table_at(ask->row);
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
    if (row == NULL) {
        return hws_err_set(err, HWS_E_DENIED, "command table row %u does not exist", ask->row);
    }
    return hws_gate_agree(row, &seen, lowest, ask, err);
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

bool hws_gate_is_dangerous(enum hws_effect effect)
{
    return effect != HWS_EFFECT_READ && effect != HWS_EFFECT_READ_SENSITIVE &&
           effect != HWS_EFFECT_CONFIG_NEXT_RESET && effect != HWS_EFFECT_CONFIG_LIVE;
}

bool hws_gate_needs_warrant(enum hws_kind kind, const uint8_t *in, size_t in_bytes)
{
    const struct hws_table_row *row = hws_table_of_inbox(kind, in, in_bytes);
    struct hws_gate_seen seen = {0};

    if (hws_gate_extract(in, in_bytes, &seen, NULL) != HWS_OK || row == NULL) {
        return true; /* it would not pass the gate either */
    }
    for (size_t i = 0; i < COUNT(warrants); i++) {
        const struct ceiling_warrant *w = &warrants[i];

        if (w->opcode == seen.opcode && w->register_id == seen.register_id &&
            (w->method == METHOD_ANY || (w->method == METHOD_WRITE) == seen.is_write)) {
            return true;
        }
    }
    return hws_gate_is_dangerous(row->effect);
}
