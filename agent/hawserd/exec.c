/* Building one command from a row, and running it. */
#include "hawserd/exec.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/bits.h"
#include "base/mem.h"
#include "base/str.h"
#include "hca/cmd.h"
#include "table/table.h"

#define OPCODE_ACCESS_REG 0x805u
#define OP_MOD_OFFSET     6u
#define REGISTER_OFFSET   10u /* ACCESS_REG's register id */

void hws_exec_deinit(struct hws_exec *x)
{
    hws_mem_free(x->in);
    hws_mem_free(x->out);
    x->in = NULL;
    x->out = NULL;
}

void hws_exec_name(const struct hws_table_row *row, char *dst, size_t cap)
{
    if (row->method == HWS_REG_NONE) {
        hws_str_copy(dst, cap, row->name);
        return;
    }
    hws_str_print(dst, cap, "ACCESS_REG %s %s", row->name, hws_reg_method_name(row->method));
}

static enum hws_code allocate(struct hws_exec *x, size_t in_bytes, size_t out_cap,
                              struct hws_err *err)
{
    enum hws_code code = hws_table_check_lengths(x->row, in_bytes, out_cap, err);

    if (code != HWS_OK) {
        return code;
    }
    x->in = hws_mem_zalloc(1, in_bytes);
    x->out = hws_mem_zalloc(1, out_cap);
    if (x->in == NULL || x->out == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    x->in_bytes = in_bytes;
    x->out_cap = out_cap;
    return HWS_OK;
}

/* ---- registers ------------------------------------------------------------------------------- */

/* What the request must be, before anything is built. */
static enum hws_code check_access(struct hws_exec *x, const struct hws_reg *reg,
                                  const struct hws_exec_access *q, struct hws_err *err)
{
    const char *name = x->row->name;

    x->field = "register.fields";
    if (q->n_fields > 0 && q->n_data > 0) {
        return hws_err_set(err, HWS_E_INVALID, "give fields or data, not both");
    }
    if (reg == NULL && q->n_data == 0) {
        return hws_err_set(err, HWS_E_INVALID, "register %s has no field layout here: give data",
                           name);
    }
    if (x->row->method == HWS_REG_WRITE && q->n_fields == 0 && q->n_data == 0) {
        return hws_err_set(err, HWS_E_INVALID, "a write of %s needs fields or data", name);
    }
    if (reg != NULL && q->n_data > 0 && q->n_data != reg->size_bytes) {
        x->field = "register.data";
        return hws_err_set(err, HWS_E_INVALID, "data of %s must be %u bytes, not %zu", name,
                           reg->size_bytes, q->n_data);
    }
    return HWS_OK;
}

enum hws_code hws_exec_register(struct hws_exec *x, const struct hws_table_row *row,
                                const struct hws_exec_access *q, struct hws_err *err)
{
    const struct hws_reg *reg = hws_reg_by_id(row->register_id);
    bool write = row->method == HWS_REG_WRITE;

    x->row = row;
    enum hws_code code = check_access(x, reg, q, err);
    if (code != HWS_OK) {
        return code;
    }
    size_t n = q->n_data > 0 ? q->n_data : reg->size_bytes;
    code = allocate(x, HWS_ACCESS_REG_DATA + n, HWS_ACCESS_REG_DATA + n, err);
    if (code != HWS_OK) {
        return code;
    }
    (void)hws_hca_access_reg(x->in, x->in_bytes, row->register_id, write,
                             q->n_data > 0 ? q->data : NULL, n);
    if (q->n_fields > 0) {
        code =
            hws_reg_encode(reg, write, q->fields, q->n_fields, x->in + HWS_ACCESS_REG_DATA, n, err);
    }
    return code == HWS_OK ? hws_table_check_fields(row, x->in, x->in_bytes, err) : code;
}

/* ---- raw commands ---------------------------------------------------------------------------- */

/* Whether the text names the command that the inbox's header is. */
static bool agrees(const char *command, uint16_t opcode, const struct hws_table_row *row)
{
    uint64_t number;

    if (hws_str_to_u64(command, UINT16_MAX, &number, NULL) == HWS_OK) {
        return number == opcode;
    }
    if (opcode == OPCODE_ACCESS_REG && strcasecmp(command, "ACCESS_REG") == 0) {
        return true;
    }
    return row->method == HWS_REG_NONE && strcasecmp(command, row->name) == 0;
}

static enum hws_code no_row(const uint8_t *in, uint16_t opcode, struct hws_err *err)
{
    uint16_t id = opcode == OPCODE_ACCESS_REG ? hws_load_be16(in + REGISTER_OFFSET) : 0;
    const char *why = hws_table_refused(opcode, id);

    return hws_err_set(err, HWS_E_DENIED, "no table row for opcode 0x%x, op_mod 0x%x%s%.120s: %s",
                       opcode, hws_load_be16(in + OP_MOD_OFFSET), why[0] != '\0' ? ": " : "", why,
                       "what has no row does not run");
}

static enum hws_code with_inbox(struct hws_exec *x, enum hws_kind kind,
                                const struct hws_exec_command *q, struct hws_err *err)
{
    if (q->n_inbox < HWS_ACCESS_REG_DATA) {
        return hws_err_set(err, HWS_E_INVALID, "an inbox has at least %u bytes, not %zu",
                           HWS_ACCESS_REG_DATA, q->n_inbox);
    }
    uint16_t opcode = hws_load_be16(q->inbox);
    x->row = hws_table_of_inbox(kind, q->inbox, q->n_inbox);
    if (x->row == NULL) {
        return no_row(q->inbox, opcode, err);
    }
    if (!agrees(q->command, opcode, x->row)) {
        return hws_err_set(err, HWS_E_INVALID,
                           "the inbox is of opcode 0x%x (%s), but command says \"%.40s\"", opcode,
                           x->row->name, q->command);
    }
    return HWS_OK;
}

enum hws_code hws_exec_raw(struct hws_exec *x, enum hws_kind kind, const struct hws_exec_command *q,
                           struct hws_err *err)
{
    enum hws_code code;

    x->field = "raw.op_mod";
    if (q->op_mod > UINT16_MAX) {
        return hws_err_set(err, HWS_E_INVALID, "op_mod 0x%x is over 0xffff", q->op_mod);
    }
    x->field = q->n_inbox > 0 ? "raw.inbox" : "raw.command";
    code = q->n_inbox > 0
               ? with_inbox(x, kind, q, err)
               : hws_table_find_command(kind, q->command, (uint16_t)q->op_mod, &x->row, err);
    if (code != HWS_OK) {
        return code;
    }
    code = allocate(x, q->n_inbox > 0 ? q->n_inbox : x->row->in_min_bytes,
                    q->out_bytes == 0 ? x->row->out_bytes : q->out_bytes, err);
    if (code != HWS_OK) {
        return code;
    }
    if (q->n_inbox > 0) {
        memcpy(x->in, q->inbox, q->n_inbox);
    } else {
        hws_hca_header(x->in, x->in_bytes, x->row->opcode, (uint16_t)q->op_mod);
    }
    return hws_table_check_fields(x->row, x->in, x->in_bytes, err);
}

/* ---- the stepper ----------------------------------------------------------------------------- */

static enum hws_step next(void *self, uint64_t now_ms, struct hws_ctl_call *call)
{
    struct hws_exec *x = self;
    (void)now_ms;

    if (x->fed) {
        return x->err.code == HWS_OK ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    call->in = x->in;
    call->in_bytes = x->in_bytes;
    call->out = x->out;
    call->out_cap_bytes = x->out_cap;
    call->scope = x->row->scope;
    call->deadline_ms = x->deadline_ms;
    call->warrant = x->warrant;
    call->warrant_bytes = x->warrant_bytes;
    return HWS_STEP_CALL;
}

static void feed(void *self, const struct hws_ctl_call *call)
{
    struct hws_exec *x = self;

    x->fed = true;
    x->out_bytes = call->out_bytes;
    if (call->err.stage == HWS_STAGE_REJECTED || call->err.stage == HWS_STAGE_EXECUTED) {
        x->answer = call->err;
        return;
    }
    if (call->err.code != HWS_OK) {
        x->err = call->err;
        return;
    }
    /* The channel is content; the outbox has the last word. */
    (void)!hws_hca_result(call, HWS_ACCESS_REG_DATA, &x->answer);
    if (x->answer.code == HWS_E_PROTO) {
        x->err = x->answer;
    }
}

struct hws_stepper hws_exec_stepper(struct hws_exec *x)
{
    struct hws_stepper s = {next, feed, &x->err, x};

    return s;
}
