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

#define REQUEST_ID_MIN 8u
#define ROLE_CHARS     "abcdefghijklmnopqrstuvwxyz0123456789-"
#define ID_CHARS       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define REASON_MAX     256u

static enum hws_code bad(struct hws_op *op, const char *field, const char *why, struct hws_err *err)
{
    op->want.field = field;
    return hws_err_set(err, HWS_E_INVALID, "%s %s", field, why);
}

enum hws_code hws_ledger_check(struct hws_op *op, struct hws_err *err)
{
    const struct hws_op_mutation *m = &op->want.mutation;

    if (!m->given) {
        return bad(op, "mutation", "is required: this request changes something", err);
    }
    size_t n_role = strlen(m->role);
    if (n_role == 0 || n_role > HWS_STORE_ROLE_MAX_BYTES || strspn(m->role, ROLE_CHARS) != n_role) {
        return bad(op, "mutation.fence.role", "must be 1..64 characters of [a-z0-9-]", err);
    }
    if (m->high == 0 && m->low == 0) {
        return bad(op, "mutation.fence", "needs an election id above zero", err);
    }
    size_t n_id = strlen(m->request_id);
    if (n_id < REQUEST_ID_MIN || n_id > HWS_STORE_REQUEST_ID_MAX_BYTES ||
        strspn(m->request_id, ID_CHARS) != n_id) {
        return bad(op, "mutation.request_id", "must be 8..64 characters of [A-Za-z0-9_.-]", err);
    }
    if (strlen(m->reason) > REASON_MAX) {
        return bad(op, "mutation.reason", "is longer than 256 bytes", err);
    }
    return HWS_OK;
}

/* Marks an answer as a repeat: protobuf takes the last value of a field, so that appending
 * `repeated_request = true` sets it whatever came before. */
static enum hws_code mark_repeated(struct hws_op *op)
{
    uint8_t field[2] = {(uint8_t)(op->handler->repeated_field << 3), 1};

    hws_assert(op->handler->repeated_field > 0 && op->handler->repeated_field < 16);
    return hws_buf_put(&op->answer, field, sizeof(field));
}

/* The first answer of a repeated request. */
static void replay(struct hws_op *op)
{
    const struct hws_store_begin *b = &op->begin;
    enum hws_code code = HWS_OK;

    op->repeated = true;
    op->agent->counters[HWS_COUNT_REPEATED]++;
    if (b->status == HWS_RPC_OK) {
        code = hws_buf_put(&op->answer, b->answer, b->answer_bytes);
        if (code == HWS_OK) {
            code = mark_repeated(op);
        }
        hws_err_clear(&op->err);
    } else {
        code = hws_convert_from_details(b->answer, b->answer_bytes, b->status, &op->err);
    }
    if (code != HWS_OK) {
        hws_err_set(&op->err, code, "the stored answer cannot be read: %s", hws_code_text(code));
    }
}

static void begun(struct hws_store_job *job)
{
    struct hws_op *op = job->data;
    struct hws_store_begin *b = &op->begin;

    if (job->err.code == HWS_OK && !b->replay) {
        op->operation_id = b->operation_id;
        op->agent->counters[HWS_COUNT_MUTATIONS]++;
        hws_store_job_deinit(job);
        op->ledger_go(op);
        return;
    }
    if (job->err.code == HWS_OK) {
        replay(op);
    } else {
        op->err = job->err;
        if (job->err.code == HWS_E_DENIED) {
            op->agent->counters[HWS_COUNT_DENIED]++;
        }
    }
    hws_store_job_deinit(job);
    op->ledger_ended(op);
}

enum hws_code hws_ledger_begin(struct hws_op *op, void (*go)(struct hws_op *),
                               void (*ended)(struct hws_op *), struct hws_err *err)
{
    struct hws_store_begin *b = &op->begin;
    const struct hws_op_mutation *m = &op->want.mutation;

    hws_store_begin_init(b);
    b->job.cb = begun;
    b->job.data = op;
    b->fence.role = m->role;
    b->fence.high = m->high;
    b->fence.low = m->low;
    hws_audit_fill(op, &b->record);
    b->old_state = op->want.old_state;
    b->new_state = op->want.new_state;
    b->request_hash = op->request_hash;
    op->ledger_go = go;
    op->ledger_ended = ended;
    return hws_store_submit(op->agent->store, &b->job, err);
}

static void outcome_stored(struct hws_store_job *job)
{
    struct hws_op *op = job->data;

    if (job->err.code != HWS_OK) {
        struct hws_log_q q;
        hws_log("outcome_not_stored", "operation=%llu reason=%s",
                (unsigned long long)op->operation_id, hws_log_q(&q, job->err.msg));
        hws_err_set(&op->err, HWS_E_CONFLICT,
                    "done as far as the card is concerned (%s), but the outcome could not be "
                    "stored: %.100s",
                    hws_intent_state_name(op->outcome), job->err.msg);
    }
    hws_store_job_deinit(job);
    op->ledger_ended(op);
}

void hws_ledger_end(struct hws_op *op, void (*ended)(struct hws_op *))
{
    struct hws_store_end *e = &op->end;
    enum hws_rpc_code status = hws_convert_code(op->err.code, op->err.stage);
    const struct hws_buf *answer = op->err.code == HWS_OK ? &op->answer : &op->details;
    struct hws_err err;

    hws_store_end_init(e);
    e->job.cb = outcome_stored;
    e->job.data = op;
    e->operation_id = op->operation_id;
    e->state = op->outcome;
    e->unix_ms = hws_agent_unix_ms();
    e->status = (uint32_t)status;
    e->answer.bytes = hws_buf_peek(answer);
    e->answer.n = hws_buf_len(answer);
    e->code = hws_convert_name(status);
    e->detail = op->err.code == HWS_OK ? op->want.detail : op->err.msg;
    op->ledger_ended = ended;
    if (hws_store_submit(op->agent->store, &e->job, &err) != HWS_OK) {
        e->job.err = err;
        outcome_stored(&e->job);
    }
}
