/* Intent before, outcome after; see store/mutation.h for what is durable when. */
#include "hawserd/ledger.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/convert.h"
#include "hawserd/handler.h"
#include "hawserd/walls.h"

#define REQUEST_ID_MIN 8u
#define ROLE_CHARS     "abcdefghijklmnopqrstuvwxyz0123456789-"
#define ID_CHARS       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define REASON_MAX     256u

static enum hws_code bad(struct hws_task *task, const char *field, const char *why,
                         struct hws_err *err)
{
    task->want.field = field;
    return hws_err_set(err, HWS_E_INVALID, "%s %s", field, why);
}

enum hws_code hws_ledger_check(struct hws_task *task, struct hws_err *err)
{
    const struct hws_task_mutation *m = &task->want.mutation;

    if (!m->given) {
        return bad(task, "mutation", "is required: this request changes something", err);
    }
    size_t n_role = strlen(m->role);
    if (n_role == 0 || n_role > HWS_STORE_ROLE_MAX_BYTES || strspn(m->role, ROLE_CHARS) != n_role) {
        return bad(task, "mutation.fence.role", "must be 1..64 characters of [a-z0-9-]", err);
    }
    if (m->high == 0 && m->low == 0) {
        return bad(task, "mutation.fence", "needs an election id above zero", err);
    }
    size_t n_id = strlen(m->request_id);
    if (n_id < REQUEST_ID_MIN || n_id > HWS_STORE_REQUEST_ID_MAX_BYTES ||
        strspn(m->request_id, ID_CHARS) != n_id) {
        return bad(task, "mutation.request_id", "must be 8..64 characters of [A-Za-z0-9_.-]", err);
    }
    if (strlen(m->reason) > REASON_MAX) {
        return bad(task, "mutation.reason", "is longer than 256 bytes", err);
    }
    return HWS_OK;
}

/* Marks an answer as a repeat: protobuf takes the last value of a field, so that appending
 * `repeated_request = true` sets it whatever came before. */
static enum hws_code mark_repeated(struct hws_task *task)
{
    uint8_t field[2] = {(uint8_t)(task->handler->repeated_field << 3), 1};

    hws_assert(task->handler->repeated_field > 0 && task->handler->repeated_field < 16);
    return hws_buf_put(&task->answer, field, sizeof(field));
}

/* The first answer of a repeated request. */
static void replay(struct hws_task *task)
{
    const struct hws_store_begin *b = &task->begin;
    enum hws_code code = HWS_OK;

    task->repeated = true;
    task->agent->counters[HWS_COUNT_REPEATED]++;
    if (b->status == HWS_RPC_OK) {
        code = hws_buf_put(&task->answer, b->answer, b->answer_bytes);
        if (code == HWS_OK) {
            code = mark_repeated(task);
        }
        hws_err_clear(&task->err);
    } else {
        code = hws_convert_from_details(b->answer, b->answer_bytes, b->status, &task->err);
    }
    if (code != HWS_OK) {
        hws_err_set(&task->err, code, "the stored answer cannot be read: %s", hws_code_text(code));
    }
}

/* What the store refused for fence or request_id it has put on record itself. */
static void tell_refusal(const struct hws_task *task)
{
    const struct hws_err *err = &task->err;
    bool in_doubt = err->code == HWS_E_CONFLICT && task->begin.operation_id == 0;

    if ((err->code == HWS_E_DENIED || err->code == HWS_E_EXISTS || err->code == HWS_E_CONFLICT) &&
        !in_doubt) {
        hws_audit_count_refusal(task->agent, HWS_REFUSAL_MUTATION, err->code);
        return;
    }
    hws_audit_refused(task, HWS_REFUSAL_LIMIT, err->code, err->msg);
}

static void begun(struct hws_store_job *job)
{
    struct hws_task *task = job->data;
    struct hws_store_begin *b = &task->begin;

    if (job->err.code == HWS_OK && !b->replay) {
        task->operation_id = b->operation_id;
        task->agent->counters[HWS_COUNT_MUTATIONS]++;
        hws_store_job_deinit(job);
        task->ledger_go(task);
        return;
    }
    if (job->err.code == HWS_OK) {
        replay(task);
    } else {
        task->err = job->err;
        tell_refusal(task);
    }
    hws_store_job_deinit(job);
    task->ledger_ended(task);
}

/* What the record says of the request: its arguments, and the caller's reason if one was given. */
static const char *detail_of(struct hws_task *task)
{
    const char *reason = task->want.mutation.reason;
    const char *detail = task->want.detail == NULL ? "" : task->want.detail;

    if (reason == NULL || reason[0] == '\0') {
        return detail;
    }
    return hws_arena_printf(&task->arena, "%s%sreason: %s", detail, detail[0] == '\0' ? "" : "; ",
                            reason);
}

enum hws_code hws_ledger_begin(struct hws_task *task, void (*go)(struct hws_task *),
                               void (*ended)(struct hws_task *), struct hws_err *err)
{
    struct hws_store_begin *b = &task->begin;
    const struct hws_task_mutation *m = &task->want.mutation;

    hws_store_begin_init(b);
    b->job.cb = begun;
    b->job.data = task;
    b->fence.role = m->role;
    b->fence.high = m->high;
    b->fence.low = m->low;
    hws_audit_fill(task, &b->record);
    b->record.detail = detail_of(task);
    if (task->arena.failed) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    b->new_state = task->want.new_state;
    b->request_hash = task->request_hash;
    task->ledger_go = go;
    task->ledger_ended = ended;
    return hws_store_submit(task->agent->store, &b->job, err);
}

static void noted(struct hws_store_job *job)
{
    struct hws_task *task = job->data;

    task->err = job->err;
    task->ledger_go(task);
}

enum hws_code hws_ledger_note(struct hws_task *task, const uint8_t *bytes, size_t n,
                              void (*go)(struct hws_task *), struct hws_err *err)
{
    struct hws_store_note *r = &task->note;

    hws_store_note_init(r);
    r->job.cb = noted;
    r->job.data = task;
    r->operation_id = task->operation_id;
    r->old_state.bytes = bytes;
    r->old_state.n = n;
    task->ledger_go = go;
    return hws_store_submit(task->agent->store, &r->job, err);
}

static void outcome_stored(struct hws_store_job *job)
{
    struct hws_task *task = job->data;

    if (job->err.code != HWS_OK) {
        struct hws_log_q q;
        hws_log("outcome_not_stored", "operation=%llu reason=%s",
                (unsigned long long)task->operation_id, hws_log_q(&q, job->err.msg));
        hws_late_take(&task->agent->late, &task->end);
        hws_err_set(&task->err, HWS_E_CONFLICT,
                    "done as far as the card is concerned (%s), but the outcome could not be "
                    "stored yet: %.100s",
                    hws_intent_state_name(task->outcome), job->err.msg);
    }
    hws_store_job_deinit(job);
    task->ledger_ended(task);
}

void hws_ledger_end(struct hws_task *task, void (*ended)(struct hws_task *))
{
    struct hws_store_end *e = &task->end;
    enum hws_rpc_code status = hws_convert_code(task->err.code, task->err.stage);
    const struct hws_buf *answer = task->err.code == HWS_OK ? &task->answer : &task->details;
    struct hws_err err;

    hws_store_end_init(e);
    e->job.cb = outcome_stored;
    e->job.data = task;
    e->operation_id = task->operation_id;
    e->state = task->outcome;
    e->unix_ms = hws_agent_unix_ms();
    e->taint_after = hws_walls_taint();
    e->status = (uint32_t)status;
    e->answer.bytes = hws_buf_peek(answer);
    e->answer.n = hws_buf_len(answer);
    e->code = hws_convert_name(status);
    e->detail = task->err.code == HWS_OK ? task->want.detail : task->err.msg;
    task->ledger_ended = ended;
    hws_audit_give_back(task);
    if (hws_store_submit(task->agent->store, &e->job, &err) != HWS_OK) {
        e->job.err = err;
        outcome_stored(&e->job);
    }
}
