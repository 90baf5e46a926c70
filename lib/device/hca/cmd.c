/*
 * Inboxes out, outboxes in: the register access every stepper uses, the judgement of a result, and
 * the rows of a whole outbox.
 */
#include "hca/cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "hca/reg_priv.h"
#include "ifc/names.h"

void hws_hca_header(uint8_t *in, size_t n, uint16_t opcode, uint16_t op_mod)
{
    hws_assert(n >= HWS_BOX_HDR_BYTES);
    memset(in, 0, n);
    hws_store_be16(in + HWS_BOX_OPCODE, opcode);
    hws_store_be16(in + HWS_BOX_OP_MOD, op_mod);
}

size_t hws_hca_access_reg(uint8_t *in, size_t cap, uint16_t reg_id, bool write, const uint8_t *data,
                          size_t n)
{
    if (cap < HWS_ACCESS_REG_DATA || n > cap - HWS_ACCESS_REG_DATA) {
        return 0;
    }
    hws_hca_header(in, HWS_ACCESS_REG_DATA + n, HWS_OP_ACCESS_REG,
                   (uint16_t)(write ? HWS_ACCESS_REG_WRITE : HWS_ACCESS_REG_READ));
    hws_store_be16(in + HWS_ACCESS_REG_ID, reg_id);
    if (data != NULL && n > 0) {
        memcpy(in + HWS_ACCESS_REG_DATA, data, n);
    }
    return HWS_ACCESS_REG_DATA + n;
}

void hws_hca_regio_prepare(struct hws_hca_regio *io, uint16_t reg_id, bool write,
                           const uint8_t *data, size_t reg_bytes, uint64_t deadline_ms,
                           struct hws_ctl_call *call)
{
    hws_assert(reg_bytes >= 1 && reg_bytes <= HWS_REG_MAX_BYTES);
    io->reg_id = reg_id;
    io->reg_bytes = (uint16_t)reg_bytes;
    io->write = write;
    size_t n = hws_hca_access_reg(io->in, sizeof(io->in), reg_id, write, data, reg_bytes);
    memset(io->out, 0, sizeof(io->out));
    call->in = io->in;
    call->in_bytes = n;
    call->out = io->out;
    call->out_cap_bytes = n;
    call->out_bytes = 0;
    call->scope = write ? HWS_SCOPE_CONFIG : HWS_SCOPE_DEBUG_READ;
    call->deadline_ms = deadline_ms;
    hws_err_clear(&call->err);
}

enum hws_code hws_hca_result(const struct hws_ctl_call *call, size_t want_bytes,
                             struct hws_err *err)
{
    if (call->err.code != HWS_OK) {
        if (err != NULL) {
            *err = call->err;
        }
        return call->err.code;
    }
    if (call->out_bytes >= HWS_BOX_MIN_OUT && call->out[HWS_BOX_STATUS] != 0) {
        uint8_t status = call->out[HWS_BOX_STATUS];
        uint32_t syndrome = hws_load_be32(call->out + HWS_BOX_SYNDROME);
        enum hws_code rc =
            hws_err_set(err, HWS_E_DEVICE, "firmware status 0x%02x %s, syndrome 0x%08" PRIx32,
                        status, hws_ifc_fw_status_name(status), syndrome);
        if (err != NULL) {
            err->stage = HWS_STAGE_EXECUTED;
            err->exec_status = status;
            err->syndrome = syndrome;
        }
        return rc;
    }
    if (call->out_bytes < want_bytes) {
        enum hws_code rc = hws_err_set(err, HWS_E_PROTO, "outbox has %zu of %zu bytes",
                                       call->out_bytes, want_bytes);
        hws_err_at(err, HWS_STAGE_UNKNOWN); /* executed or not: such an answer proves nothing */
        return rc;
    }
    return HWS_OK;
}

enum hws_code hws_hca_regio_result(const struct hws_hca_regio *io, const struct hws_ctl_call *call,
                                   const uint8_t **out_data, struct hws_err *err)
{
    enum hws_code rc = hws_hca_result(call, HWS_ACCESS_REG_DATA + (size_t)io->reg_bytes, err);
    if (rc == HWS_OK) {
        *out_data = io->out + HWS_ACCESS_REG_DATA;
        return HWS_OK;
    }
    const struct hws_reg *reg = hws_reg_by_id(io->reg_id);
    const char *method = io->write ? "write" : "read";
    if (reg != NULL) {
        (void)hws_err_wrap(err, "register %s %s", reg->name, method);
    } else {
        (void)hws_err_wrap(err, "register 0x%04x %s", io->reg_id, method);
    }
    return rc;
}

bool hws_hca_is_refusal(const struct hws_err *err)
{
    if (err->stage != HWS_STAGE_EXECUTED) {
        return false;
    }
    switch (err->exec_status) {
    case HWS_FW_BAD_OP:
    case HWS_FW_BAD_PARAM:
    case HWS_FW_BAD_SYS_STATE:
    case HWS_FW_BAD_RES:
    case HWS_FW_IX_ERR:
        return true;
    default:
        return false;
    }
}

/* The header's rows; the status with its name. */
static void header_rows(const uint8_t *out,
                        void (*row_cb)(void *arg, const struct hws_reg_row *row), void *arg)
{
    char value[16];

    (void)snprintf(value, sizeof(value), "0x%02x", out[HWS_BOX_STATUS]);
    struct hws_reg_row status = {"status", value, hws_ifc_fw_status_name(out[HWS_BOX_STATUS])};
    row_cb(arg, &status);
    (void)snprintf(value, sizeof(value), "0x%08" PRIx32, hws_load_be32(out + HWS_BOX_SYNDROME));
    struct hws_reg_row syndrome = {"syndrome", value, ""};
    row_cb(arg, &syndrome);
    for (size_t at = 0; at < HWS_BOX_HDR_BYTES; at += 4) {
        uint32_t v = hws_load_be32(out + at);
        v = at == HWS_BOX_SYNDROME ? 0 : at == HWS_BOX_STATUS ? v & 0xFFFFFF : v;
        if (v != 0) {
            char name[32];
            (void)snprintf(name, sizeof(name), "outbox_header@0x%zx", at);
            (void)snprintf(value, sizeof(value), "0x%08" PRIx32, v);
            struct hws_reg_row row = {name, value, ""};
            row_cb(arg, &row);
        }
    }
}

/* The outbox layout of a plain command; NULL if there is none. */
static const struct hws_reg *outbox_layout(uint16_t opcode, uint16_t op_mod)
{
    if (opcode == HWS_OP_QUERY_ADAPTER) {
        return &hws_hca__query_adapter;
    }
    if (opcode == HWS_OP_QUERY_HCA_CAP && op_mod >> 1 == HWS_HCA_CAP_GENERAL) {
        return &hws_hca__query_hca_cap;
    }
    return NULL;
}

enum hws_code hws_hca_decode(const uint8_t *in, size_t in_bytes, const uint8_t *out,
                             size_t out_bytes,
                             void (*row_cb)(void *arg, const struct hws_reg_row *row), void *arg,
                             struct hws_err *err)
{
    struct hws_hca__sink sink = {row_cb, arg};

    if (in_bytes < HWS_BOX_HDR_BYTES || out_bytes < HWS_BOX_HDR_BYTES) {
        return hws_err_set(err, HWS_E_PROTO, "%zu bytes in and %zu out, cut off before status",
                           in_bytes, out_bytes);
    }
    uint16_t opcode = hws_load_be16(in + HWS_BOX_OPCODE);
    header_rows(out, row_cb, arg);
    if (out[HWS_BOX_STATUS] != 0 || opcode == HWS_OP_NOP) {
        return HWS_OK; /* a refused command leaves nothing else to read */
    }
    if (opcode == HWS_OP_ACCESS_REG) {
        uint16_t id = hws_load_be16(in + HWS_ACCESS_REG_ID);
        const struct hws_reg *reg = hws_reg_by_id(id);
        if (reg == NULL) {
            return hws_err_set(err, HWS_E_UNSUPPORTED, "no layout is known for register 0x%04x",
                               id);
        }
        return hws_hca__decode(reg, 0, out + HWS_ACCESS_REG_DATA, out_bytes - HWS_ACCESS_REG_DATA,
                               out_bytes >= in_bytes, &sink, err);
    }
    const struct hws_reg *layout = outbox_layout(opcode, hws_load_be16(in + HWS_BOX_OP_MOD));
    if (layout == NULL) {
        return hws_err_set(err, HWS_E_UNSUPPORTED, "no layout is known for the reply of %s (0x%x)",
                           hws_ifc_op_name(opcode), opcode);
    }
    return hws_hca__decode(layout, HWS_BOX_HDR_BYTES, out, out_bytes, false, &sink, err);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void number_row(const char *name, uint32_t value, const char *meaning,
                       void (*row_cb)(void *arg, const struct hws_reg_row *row), void *arg)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "0x%" PRIx32, value);
    row_cb(arg, &(struct hws_reg_row){name, text, meaning});
}

static const char *method_name(uint16_t op_mod)
{
    return op_mod == HWS_ACCESS_REG_WRITE ? "write" : op_mod == HWS_ACCESS_REG_READ ? "read" : "";
}

enum hws_code hws_hca_decode_request(const uint8_t *in, size_t in_bytes,
                                     void (*row_cb)(void *arg, const struct hws_reg_row *row),
                                     void *arg, struct hws_err *err)
{
    if (in_bytes < HWS_BOX_HDR_BYTES) {
        return hws_err_set(err, HWS_E_PROTO, "%zu bytes, cut off before the header's %u", in_bytes,
                           HWS_BOX_HDR_BYTES);
    }
    uint16_t opcode = hws_load_be16(in + HWS_BOX_OPCODE);
    uint16_t op_mod = hws_load_be16(in + HWS_BOX_OP_MOD);
    bool is_register = opcode == HWS_OP_ACCESS_REG || opcode == HWS_OP_ACCESS_REGISTER_USER;

    number_row("inbox.opcode", opcode, hws_ifc_op_name(opcode), row_cb, arg);
    number_row("inbox.uid", hws_load_be16(in + HWS_BOX_UID), "", row_cb, arg);
    number_row("inbox.op_mod", op_mod, is_register ? method_name(op_mod) : "", row_cb, arg);
    if (!is_register) {
        return HWS_OK;
    }
    uint16_t id = hws_load_be16(in + HWS_ACCESS_REG_ID);
    const struct hws_reg *reg = hws_reg_by_id(id);
    number_row("inbox.register_id", id, reg == NULL ? "" : reg->name, row_cb, arg);
    number_row("inbox.argument", hws_load_be32(in + HWS_ACCESS_REG_ARGUMENT), "", row_cb, arg);
    if (reg == NULL || in_bytes - HWS_ACCESS_REG_DATA < reg->size_bytes) {
        return HWS_OK;
    }
    return hws_reg_decode(reg, in + HWS_ACCESS_REG_DATA, in_bytes - HWS_ACCESS_REG_DATA, row_cb,
                          arg, err);
}
