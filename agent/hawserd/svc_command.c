/*
 * hawser.v1.CommandService: Execute and Describe. ExecuteStream is svc_stream.c's.
 *
 * A refusal by the card is an answer with its status; an error is what never reached the card or
 * whose outcome is unknown.
 */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawser/v1/command.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/enforce.h"
#include "hawserd/exec.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"
#include "hawserd/svc_exec.h"
#include "hawserd/walls.h"
#include "hca/cmd.h"
#include "ifc/names.h"
#include "table/table.h"

/* ---- Execute: prepare ------------------------------------------------------------------------ */

static enum hws_code take_register(struct hws_task *task, const Hawser__V1__RegisterAccess *q,
                                   struct hws_err *err)
{
    const struct hws_table_row *row;
    enum hws_kind kind = hws_kind_from_name(task->want.adapter->port->kind);
    enum hws_reg_method method = q->write ? HWS_REG_WRITE : HWS_REG_READ;
    enum hws_code code = hws_table_find_register(kind, q->register_, method, &row, err);

    if (code != HWS_OK) {
        return hws_svc_blame(task, "register.register", err);
    }
    struct hws_reg_assign *fields =
        hws_arena_alloc(&task->arena, (q->n_fields + 1) * sizeof(*fields));
    if (fields == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    const char **names = hws_arena_alloc(&task->arena, (q->n_fields + 1) * sizeof(*names));
    if (names == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < q->n_fields; i++) {
        fields[i].name = q->fields[i]->name;
        fields[i].value = q->fields[i]->value;
        names[i] = q->fields[i]->name;
    }
    task->want.fields = names;
    task->want.n_fields = q->n_fields;
    task->want.raw = q->data.len > 0 || (q->write && q->n_fields == 0);
    struct hws_exec_access access = {
        .fields = fields,
        .n_fields = q->n_fields,
        .data = q->data.data,
        .n_data = q->data.len,
    };
    return hws_exec_register(task->work, row, &access, err);
}

static enum hws_code take_raw(struct hws_task *task, const Hawser__V1__RawCommand *q,
                              struct hws_err *err)
{
    struct hws_exec_command command = {
        .command = q->command,
        .op_mod = q->op_mod,
        .inbox = q->inbox.data,
        .n_inbox = q->inbox.len,
        .out_bytes = q->out_bytes,
    };

    task->want.raw = true;
    return hws_exec_raw(task->work, hws_kind_from_name(task->want.adapter->port->kind), &command,
                        err);
}

static void describe(struct hws_task *task, const Hawser__V1__ExecuteRequest *q)
{
    const struct hws_exec *x = task->work;
    char text[512];

    hws_exec_name(x->row, text, sizeof(text));
    if (q->what_case == HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER) {
        size_t used = strlen(text);
        for (size_t i = 0; i < q->register_->n_fields && used + 1 < sizeof(text); i++) {
            hws_str_print(text + used, sizeof(text) - used, " %s=%s", q->register_->fields[i]->name,
                          q->register_->fields[i]->value);
            used += strlen(text + used);
        }
    }
    task->want.detail = hws_arena_str(&task->arena, text);
}

static enum hws_code check_lockdown(const struct hws_task *task, const struct hws_exec *x,
                                    struct hws_err *err)
{
    char lockdown[32];

    if (x->row == NULL || x->row->scope < 2) {
        return HWS_OK; /* the file is read for the few that it concerns */
    }
    hws_walls_lockdown(HWS_WALLS_LOCKDOWN, lockdown, sizeof(lockdown));
    return hws_walls_scope(x->row->scope, lockdown, hws_walls_secure_boot(),
                           task->agent->danger.trust.debug_write_under_lockdown, err);
}

enum hws_code hws_svc_exec_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ExecuteRequest *q = task->request;

    hws_svc_mutation(task, q->mutation == NULL ? NULL : &q->mutation->base);
    enum hws_code code = hws_svc_adapter(task, q->device, err);
    if (code != HWS_OK) {
        return code;
    }
    struct hws_exec *x = hws_mem_zalloc(1, sizeof(*x));
    if (x == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    task->work = x;
    switch (q->what_case) {
    case HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER:
        code = take_register(task, q->register_, err);
        break;
    case HAWSER__V1__EXECUTE_REQUEST__WHAT_RAW:
        code = take_raw(task, q->raw, err);
        break;
    case HAWSER__V1__EXECUTE_REQUEST__WHAT__NOT_SET:
    case _HAWSER__V1__EXECUTE_REQUEST__WHAT__CASE_IS_INT_SIZE:
    default:
        x->field = "what";
        code = hws_err_set(err, HWS_E_INVALID, "give register or raw");
        break;
    }
    if (code != HWS_OK && task->want.field == NULL) {
        task->want.field = x->field;
    }
    if (x->row != NULL) {
        task->want.effect = x->row->effect;
        task->want.scope = (uint8_t)(x->row->scope + 1);
        task->want.target = x->row->name;
        task->want.target_method = hws_reg_method_name(x->row->method);
        describe(task, q);
        hws_enforce_describe(task, x, q->approval);
    }
    return code == HWS_OK ? check_lockdown(task, x, err) : code;
}

void hws_svc_exec_drop(struct hws_task *task)
{
    hws_exec_deinit(task->work);
    hws_mem_free(task->work);
    task->work = NULL;
}

/* ---- Execute: the answer --------------------------------------------------------------------- */

struct rows {
    struct hws_task *task;
    Hawser__V1__FieldValue **fields; /* in the arena */
    size_t n;
    size_t cap;
    size_t skip; /* of the first rows */
};

static void on_row(void *arg, const struct hws_reg_row *row)
{
    struct rows *r = arg;

    if (r->skip > 0) {
        r->skip--;
        return;
    }
    if (r->n == r->cap) {
        size_t cap = r->cap == 0 ? 32 : r->cap * 2;
        Hawser__V1__FieldValue **more = hws_arena_ptrs(&r->task->arena, cap);
        if (more == NULL) {
            return;
        }
        if (r->n > 0) {
            memcpy(more, r->fields, r->n * sizeof(void *));
        }
        r->fields = more;
        r->cap = cap;
    }
    Hawser__V1__FieldValue *f = hws_arena_alloc(&r->task->arena, sizeof(*f));
    if (f == NULL) {
        return;
    }
    hawser__v1__field_value__init(f);
    f->name = hws_arena_str(&r->task->arena, row->name);
    f->value = hws_arena_str(&r->task->arena, row->value);
    f->meaning = hws_arena_str(&r->task->arena, row->meaning);
    r->fields[r->n++] = f;
}

static void fill_status(struct hws_task *task, const struct hws_err *answer,
                        Hawser__V1__CommandStatus *s)
{
    hawser__v1__command_status__init(s);
    s->stage = answer->stage == HWS_STAGE_REJECTED ? HAWSER__V1__STAGE__STAGE_REJECTED
                                                   : HAWSER__V1__STAGE__STAGE_EXECUTED;
    s->delivery_status = answer->delivery_status;
    s->delivery_status_name =
        hws_arena_str(&task->arena, hws_ifc_delivery_text(answer->delivery_status));
    s->status = answer->exec_status;
    s->status_name = hws_arena_str(&task->arena, hws_ifc_fw_status_name(answer->exec_status));
    s->syndrome = answer->syndrome;
}

/* What the command did to the kernel's taint: into the answer and into the outcome's record. */
static void tell_taint(struct hws_task *task, Hawser__V1__ExecuteResponse *r)
{
    const struct hws_exec *x = task->work;

    if (!hws_effect_mutates(x->row->effect)) {
        return;
    }
    r->taint_before = x->taint_before;
    r->taint_after = hws_walls_taint();
    task->want.detail =
        hws_arena_printf(&task->arena, "%s; taint 0x%llx -> 0x%llx", task->want.detail,
                         (unsigned long long)r->taint_before, (unsigned long long)r->taint_after);
}

static void answer(struct hws_task *task)
{
    Hawser__V1__ExecuteResponse r = HAWSER__V1__EXECUTE_RESPONSE__INIT;
    Hawser__V1__CommandStatus status;
    const struct hws_exec *x = task->work;
    /* Status and syndrome come first and stand in CommandStatus already. */
    struct rows rows = {.task = task, .skip = 2};
    struct rows request = {.task = task};
    char name[96];

    fill_status(task, &x->answer, &status);
    hws_exec_name(x->row, name, sizeof(name));
    if (x->answer.code == HWS_OK) {
        /* What has no decoder is shown raw. */
        (void)!hws_hca_decode(x->in, x->in_bytes, x->out, x->out_bytes, on_row, &rows, NULL);
    }
    if (((const Hawser__V1__ExecuteRequest *)task->request)->show_request) {
        (void)!hws_hca_decode_request(x->in, x->in_bytes, on_row, &request, NULL);
    }
    r.status = &status;
    r.name = name;
    r.request = request.fields;
    r.n_request = request.n;
    r.fields = rows.fields;
    r.n_fields = rows.n;
    r.outbox.data = x->out;
    r.outbox.len = x->out_bytes;
    r.scope = x->row->scope;
    r.effect = (Hawser__V1__Effect)x->row->effect;
    r.kernel_api = hws_arena_str(&task->arena, x->row->kernel_api);
    tell_taint(task, &r);
    task->outcome = x->answer.code == HWS_OK ? HWS_INTENT_NEW : HWS_INTENT_OLD;
    hws_svc_reply(task, &r.base);
}

static void exec_done(struct hws_run *run)
{
    struct hws_task *task = run->data;
    struct hws_err err = run->err;

    if (err.code == HWS_OK) {
        answer(task);
        return;
    }
    if (err.stage == HWS_STAGE_UNKNOWN) {
        struct hws_err whole = err;
        hws_err_set(&whole, err.code, "%.150s; its outcome is UNKNOWN: read back before a retry",
                    err.msg);
        memcpy(err.msg, whole.msg, sizeof(err.msg));
    }
    hws_task_fail(task, &err);
}

enum hws_code hws_svc_exec_allow(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ExecuteRequest *q = task->request;

    return hws_enforce_allow(task, task->work, q->approval, err);
}

static void drive(struct hws_task *task);

void hws_svc_exec_run(struct hws_task *task)
{
    const Hawser__V1__ExecuteRequest *q = task->request;

    hws_enforce_use(task, task->work, q->approval, drive);
}

static void drive(struct hws_task *task)
{
    const Hawser__V1__ExecuteRequest *q = task->request;
    struct hws_exec *x = task->work;
    uint64_t limit_ms =
        q->timeout_ms == 0 || q->timeout_ms > HWS_EXEC_MAX_MS ? HWS_EXEC_MAX_MS : q->timeout_ms;
    uint64_t at_ms = hws_agent_now(task->agent) + limit_ms;

    if (at_ms < task->deadline_ms) {
        task->deadline_ms = at_ms;
    }
    x->deadline_ms = task->deadline_ms;
    x->taint_before = hws_effect_mutates(x->row->effect) ? hws_walls_taint() : 0;
    struct hws_stepper s = hws_exec_stepper(x);
    (void)hws_task_drive(task, &s, exec_done);
}

const struct hws_handler hws_handler_COMMAND_EXECUTE = {
    .request = &hawser__v1__execute_request__descriptor,
    .prepare = hws_svc_exec_prepare,
    .allow = hws_svc_exec_allow,
    .run = hws_svc_exec_run,
    .drop = hws_svc_exec_drop,
    .repeated_field = HWS_SVC_EXEC_REPEATED_FIELD,
};

/* ---- Describe -------------------------------------------------------------------------------- */

static enum hws_code describe_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__DescribeRequest *q = task->request;
    (void)err;

    task->want.target = q->name;
    task->want.detail = q->name;
    return HWS_OK;
}

static bool is_asked_for(const struct hws_table_row *row, const char *name)
{
    uint64_t number;

    if (name[0] == '\0' || strcasecmp(row->name, name) == 0) {
        return true;
    }
    if (hws_str_to_u64(name, UINT16_MAX, &number, NULL) != HWS_OK) {
        return false;
    }
    return row->method == HWS_REG_NONE ? row->opcode == number : row->register_id == number;
}

static void add_field_names(struct hws_task *task, const struct hws_table_row *row,
                            Hawser__V1__CommandRow *r)
{
    const struct hws_reg *reg =
        row->method == HWS_REG_NONE ? NULL : hws_reg_by_id(row->register_id);

    if (reg == NULL) {
        return;
    }
    r->fields = hws_arena_ptrs(&task->arena, reg->n_fields);
    for (size_t i = 0; r->fields != NULL && i < reg->n_fields; i++) {
        r->fields[r->n_fields++] = hws_arena_str(&task->arena, reg->fields[i].name);
    }
}

static Hawser__V1__CommandRow *row_of(struct hws_task *task, const struct hws_table_row *row)
{
    Hawser__V1__CommandRow *r = hws_arena_alloc(&task->arena, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    hawser__v1__command_row__init(r);
    r->name = hws_arena_str(&task->arena, row->name);
    r->opcode = row->opcode;
    r->register_id = row->register_id;
    r->method = hws_arena_str(&task->arena, hws_reg_method_name(row->method));
    r->scope = row->scope;
    r->effect = (Hawser__V1__Effect)row->effect;
    r->kernel_api = hws_arena_str(&task->arena, row->kernel_api);
    r->source = hws_arena_str(&task->arena, row->source);
    add_field_names(task, row, r);
    return r;
}

static void describe_run(struct hws_task *task)
{
    Hawser__V1__DescribeResponse r = HAWSER__V1__DESCRIBE_RESPONSE__INIT;
    const Hawser__V1__DescribeRequest *q = task->request;

    r.rows = hws_arena_ptrs(&task->arena, hws_table_n());
    for (uint16_t id = 1; r.rows != NULL && id < hws_table_n(); id++) {
        const struct hws_table_row *row = hws_table_at(id);
        if (is_asked_for(row, q->name)) {
            r.rows[r.n_rows++] = row_of(task, row);
        }
    }
    if (r.rows != NULL && r.n_rows == 0) {
        task->want.field = "name";
        hws_task_refuse(task, HWS_E_NOT_FOUND, "no command or register \"%.60s\" in the table",
                        q->name);
        return;
    }
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_COMMAND_DESCRIBE = {
    .request = &hawser__v1__describe_request__descriptor,
    .prepare = describe_prepare,
    .run = describe_run,
};
