/*
 * The road of a request; op.h lists its steps.
 *
 * An operation is freed at the end of step 7, which may come inside hws_op_begin, inside the
 * store's turn or inside the devices' turn: whoever calls into it must not touch it afterwards.
 */
#include "hawserd/op.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/authorize.h"
#include "hawserd/convert.h"
#include "hawserd/handler.h"
#include "hawserd/ledger.h"
#include "hawserd/svc.h"

static const uint32_t moves[HWS_OP_N_STATES] = {
    [HWS_OP_CHECKING] =
        HWS_FSM_TO(HWS_OP_BEGINNING) | HWS_FSM_TO(HWS_OP_RUNNING) | HWS_FSM_TO(HWS_OP_ENDING),
    [HWS_OP_BEGINNING] = HWS_FSM_TO(HWS_OP_RUNNING) | HWS_FSM_TO(HWS_OP_ENDING),
    [HWS_OP_RUNNING] = HWS_FSM_TO(HWS_OP_ENDING),
    [HWS_OP_ENDING] = 0,
};

static void reply(struct hws_op *op);

/* ---- life ------------------------------------------------------------------------------------ */

static struct hws_op *new_op(struct hws_rpc *rpc, struct hws_err *err)
{
    struct hws_agent *agent = rpc->agent;

    if (agent->n_ops >= HWS_OP_MAX_LIVE) {
        hws_err_set(err, HWS_E_BUSY, "more than %u operations at once", HWS_OP_MAX_LIVE);
        return NULL;
    }
    struct hws_op *op = hws_mem_zalloc(1, sizeof(*op));
    if (op == NULL) {
        hws_err_set(err, HWS_E_NOMEM, "out of memory");
        return NULL;
    }
    op->agent = agent;
    op->caller = hws_caller_ref(rpc->caller);
    op->handler = rpc->handler;
    op->row = rpc->row;
    op->deadline_ms = rpc->deadline_ms;
    op->want.target = "";
    op->want.target_method = "";
    op->want.detail = "";
    op->want.effect = HWS_EFFECT_READ;
    hws_buf_init(&op->answer, HWS_LINK_CALL_MAX_MESSAGE);
    hws_buf_init(&op->details, HWS_LINK_DETAILS_BYTES);
    hws_list_push(&agent->ops, &op->link);
    agent->n_ops++;
    return op;
}

static void free_op(struct hws_op *op)
{
    struct hws_agent *agent = op->agent;

    hws_assert(op->run.state == HWS_RUN_IDLE);
    if (op->handler->drop != NULL && op->work != NULL) {
        op->handler->drop(op);
    }
    if (op->rpc != NULL) {
        op->rpc->op = NULL;
    }
    hws_svc_free(op->request);
    hws_list_remove(&op->link);
    hws_arena_deinit(&op->arena);
    hws_buf_deinit(&op->answer);
    hws_buf_deinit(&op->details);
    hws_caller_unref(op->caller);
    hws_mem_free(op);
    agent->n_ops--;
}

bool hws_op_mutates(const struct hws_op *op)
{
    switch (op->row->fenced) {
    case HWS_METHOD_ANSWER_YES:
        return true;
    case HWS_METHOD_ANSWER_BY_EFFECT:
        return hws_effect_mutates(op->want.effect);
    case HWS_METHOD_ANSWER_NO:
    case HWS_METHOD_ANSWER_MISSING:
        break;
    }
    return false;
}

/* ---- 1 to 3 ---------------------------------------------------------------------------------- */

static void judge(const struct hws_op *op, struct hws_policy_decision *d)
{
    const struct hws_adapter *a = op->want.adapter;
    struct hws_authorize_what what = {
        .device_id = a == NULL ? "" : a->id,
        .device_pci = a == NULL ? "" : a->port->pci,
        .device_serial = a == NULL || !a->known ? "" : a->identity.serial,
        .effect = op->want.effect,
        .target = op->want.target,
        .target_method = op->want.target_method,
    };

    hws_authorize(op->agent->policy, op->row, op->caller->principal, &what, d);
}

static enum hws_code authorize(struct hws_op *op, struct hws_err *err)
{
    struct hws_policy_decision d;

    judge(op, &d);
    (void)hws_str_copy(op->rule, sizeof(op->rule), d.rule);
    if (d.allowed) {
        return HWS_OK;
    }
    hws_authorize_error(&d, op->caller->principal, op->row, err);
    hws_audit_denied(op, d.reason);
    return HWS_E_DENIED;
}

/* Prepare and authorize. A caller who may not even ask does not learn what is wrong with the
 * request, nor which adapters there are. */
static enum hws_code check(struct hws_op *op, struct hws_err *err)
{
    struct hws_err denied;

    enum hws_code prepared = op->handler->prepare(op, err);
    if (prepared == HWS_OK && op->arena.failed) {
        prepared = hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    enum hws_code allowed = authorize(op, &denied);
    if (allowed != HWS_OK) {
        *err = denied;
        return allowed;
    }
    if (prepared != HWS_OK) {
        struct hws_err ignored;
        enum hws_rpc_code status = hws_convert_code(err->code, err->stage);
        (void)!hws_audit_read(op, hws_convert_name(status), &ignored);
        return prepared;
    }
    if (!hws_op_mutates(op)) {
        return HWS_OK;
    }
    if (hws_agent_may_change(op->agent, err) != HWS_OK) {
        return err->code;
    }
    return hws_ledger_check(op, err);
}

/* ---- 4 and 5 --------------------------------------------------------------------------------- */

static void run(struct hws_op *op)
{
    struct hws_err err;

    hws_fsm_move(moves, &op->state, HWS_OP_RUNNING);
    if (op->aborted && !hws_op_mutates(op)) {
        hws_op_refuse(op, HWS_E_CANCELED, "canceled");
        return;
    }
    bool stream = op->row->kind == HWS_METHOD_KIND_SERVER_STREAM;
    if (stream && hws_audit_read(op, "", &err) != HWS_OK) {
        hws_op_fail(op, &err);
        return;
    }
    op->handler->run(op);
}

void hws_op_go(struct hws_op *op)
{
    struct hws_err err;

    if (!hws_op_mutates(op)) {
        run(op);
        return;
    }
    hws_fsm_move(moves, &op->state, HWS_OP_BEGINNING);
    if (hws_ledger_begin(op, run, reply, &err) != HWS_OK) {
        op->err = err;
        reply(op);
    }
}

static enum hws_code hash_request(struct hws_op *op, const uint8_t *bytes, size_t n,
                                  struct hws_err *err)
{
    if (!hws_op_mutates(op)) {
        return HWS_OK;
    }
    enum hws_code code = hws_sha256_of(bytes, n, &op->request_hash);
    return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "out of memory");
}

void hws_op_begin(struct hws_rpc *rpc, const uint8_t *bytes, size_t n)
{
    struct hws_err err;
    struct hws_op *op = new_op(rpc, &err);

    if (op == NULL) {
        hws_rpc_end(rpc, &err, NULL);
        return;
    }
    op->rpc = rpc;
    rpc->op = op;
    if (hws_svc_unpack(op->handler->request, bytes, n, &op->request, &err) != HWS_OK ||
        check(op, &err) != HWS_OK || hash_request(op, bytes, n, &err) != HWS_OK) {
        op->err = err;
        hws_fsm_move(moves, &op->state, HWS_OP_ENDING);
        reply(op);
        return;
    }
    hws_op_go(op);
}

struct hws_op *hws_op_item(struct hws_rpc *rpc, void *request, const uint8_t *bytes, size_t n,
                           struct hws_err *err)
{
    struct hws_op *op = new_op(rpc, err);

    if (op == NULL) {
        hws_svc_free(request);
        return NULL;
    }
    op->request = request;
    if (check(op, err) != HWS_OK || hash_request(op, bytes, n, err) != HWS_OK) {
        free_op(op);
        return NULL;
    }
    return op;
}

void hws_op_discard(struct hws_op *op)
{
    free_op(op);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void deliver(struct hws_op *op)
{
    struct hws_rpc *rpc = op->rpc;

    if (op->err.code != HWS_OK) {
        hws_rpc_end(rpc, &op->err, op->want.field);
        return;
    }
    if (op->row->kind == HWS_METHOD_KIND_UNARY && hws_rpc_send(rpc, &op->answer) != HWS_OK) {
        hws_err_set(&op->err, HWS_E_NOMEM, "out of memory for the answer");
        hws_rpc_end(rpc, &op->err, NULL);
        return;
    }
    hws_rpc_end_ok(rpc);
}

static void reply(struct hws_op *op)
{
    if (op->ended != NULL) {
        op->ended(op);
    } else if (op->rpc != NULL) {
        deliver(op);
    }
    free_op(op);
}

static void finish(struct hws_op *op)
{
    struct hws_err err;

    hws_fsm_move(moves, &op->state, HWS_OP_ENDING);
    if (op->err.code != HWS_OK &&
        hws_convert_details(&op->err, op->want.field, &op->details) != HWS_OK) {
        hws_buf_reset(&op->details);
    }
    if (op->operation_id != 0) {
        hws_ledger_end(op, reply);
        return;
    }
    const char *code = hws_convert_name(hws_convert_code(op->err.code, op->err.stage));
    if (!hws_op_mutates(op) && hws_audit_read(op, code, &err) != HWS_OK) {
        op->err = err;
    }
    reply(op);
}

void hws_op_done(struct hws_op *op)
{
    hws_err_clear(&op->err);
    if (op->outcome == 0) {
        op->outcome = HWS_INTENT_NEW;
    }
    finish(op);
}

void hws_op_fail(struct hws_op *op, const struct hws_err *err)
{
    op->err = *err;
    if (op->outcome == 0) {
        op->outcome = hws_op_outcome_of(err);
    }
    finish(op);
}

void hws_op_refuse(struct hws_op *op, enum hws_code code, const char *fmt, ...)
{
    struct hws_err err;
    va_list args;

    va_start(args, fmt);
    (void)hws_err_vset(&err, code, fmt, args);
    va_end(args);
    hws_op_fail(op, &err);
}

enum hws_intent_state hws_op_outcome_of(const struct hws_err *err)
{
    switch (err->stage) {
    case HWS_STAGE_NONE:
    case HWS_STAGE_NOT_SENT:
        return HWS_INTENT_VOID;
    case HWS_STAGE_REJECTED:
    case HWS_STAGE_EXECUTED:
        return HWS_INTENT_OLD;
    case HWS_STAGE_UNKNOWN:
    case HWS_N_STAGES:
        break;
    }
    return HWS_INTENT_STUCK;
}

void hws_op_orphan(struct hws_op *op)
{
    op->rpc = NULL;
    op->aborted = true;
    if (hws_op_mutates(op) || op->state != HWS_OP_RUNNING) {
        return;
    }
    if (op->handler->stop != NULL) {
        op->handler->stop(op);
        return;
    }
    hws_run_cancel(&op->run);
}

/* Calls `tell` for every operation that is marked. It may end any number of them, so the walk
 * starts over after each. */
static void tell_marked(struct hws_agent *agent, void (*tell)(struct hws_op *op))
{
    bool found = true;

    while (found) {
        found = false;
        HWS_LIST_FOREACH (it, tmp, &agent->ops) {
            struct hws_op *op = hws_container_of(it, struct hws_op, link);
            if (op->has_news) {
                op->has_news = false;
                found = true;
                tell(op);
                break;
            }
        }
    }
}

static void tell_news(struct hws_op *op)
{
    op->handler->resume(op);
}

static void tell_stop(struct hws_op *op)
{
    hws_op_refuse(op, HWS_E_GONE, "the agent is stopping");
}

void hws_op_news(struct hws_agent *agent, enum hws_follow what)
{
    HWS_LIST_FOREACH (it, tmp, &agent->ops) {
        struct hws_op *op = hws_container_of(it, struct hws_op, link);
        op->has_news = op->follows == what;
    }
    tell_marked(agent, tell_news);
}

void hws_op_stop_followers(struct hws_agent *agent)
{
    HWS_LIST_FOREACH (it, tmp, &agent->ops) {
        struct hws_op *op = hws_container_of(it, struct hws_op, link);
        op->has_news = op->follows != HWS_FOLLOW_NOTHING;
    }
    tell_marked(agent, tell_stop);
}

bool hws_op_drive(struct hws_op *op, const struct hws_stepper *stepper,
                  void (*done)(struct hws_run *run))
{
    enum hws_sched_kind kind = hws_op_mutates(op) ? HWS_SCHED_WRITE : HWS_SCHED_READ;
    struct hws_err err;

    op->run.done = done;
    op->run.data = op;
    op->run.queue_deadline_ms = op->deadline_ms;
    op->run.deadline_ms = op->whole ? UINT64_MAX : op->deadline_ms;
    if (hws_device_usable(op->want.adapter, &err) == HWS_OK &&
        hws_run_start(&op->run, op->want.adapter, kind, op->caller->principal, stepper, &err) ==
            HWS_OK) {
        return true;
    }
    op->outcome = HWS_INTENT_VOID;
    hws_op_fail(op, &err);
    return false;
}
