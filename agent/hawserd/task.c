/*
 * The road of a request; task.h lists its steps.
 *
 * An operation is freed at the end of step 7, which may come inside hws_task_begin, inside the
 * store's turn or inside the devices' turn: whoever calls into it must not touch it afterwards.
 */
#include "hawserd/task.h"

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

static const uint32_t moves[HWS_TASK_N_STATES] = {
    [HWS_TASK_CHECKING] =
        HWS_FSM_TO(HWS_TASK_BEGINNING) | HWS_FSM_TO(HWS_TASK_RUNNING) | HWS_FSM_TO(HWS_TASK_ENDING),
    [HWS_TASK_BEGINNING] = HWS_FSM_TO(HWS_TASK_RUNNING) | HWS_FSM_TO(HWS_TASK_ENDING),
    [HWS_TASK_RUNNING] = HWS_FSM_TO(HWS_TASK_ENDING),
    [HWS_TASK_ENDING] = 0,
};

static void reply(struct hws_task *task);

/* ---- life ------------------------------------------------------------------------------------ */

static struct hws_task *new_task(struct hws_rpc *rpc, struct hws_err *err)
{
    struct hws_agent *agent = rpc->agent;

    if (agent->n_ops >= HWS_TASK_MAX_LIVE) {
        hws_err_set(err, HWS_E_BUSY, "more than %u operations at once", HWS_TASK_MAX_LIVE);
        hws_audit_refused_call(rpc, HWS_REFUSAL_LIMIT, err->code, err->msg);
        return NULL;
    }
    struct hws_task *task = hws_mem_zalloc(1, sizeof(*task));
    if (task == NULL) {
        hws_err_set(err, HWS_E_NOMEM, "out of memory");
        hws_audit_refused_call(rpc, HWS_REFUSAL_LIMIT, err->code, err->msg);
        return NULL;
    }
    task->agent = agent;
    task->caller = hws_caller_ref(rpc->caller);
    task->handler = rpc->handler;
    task->row = rpc->row;
    task->deadline_ms = rpc->deadline_ms;
    task->want.target = "";
    task->want.target_method = "";
    task->want.detail = "";
    task->want.effect = HWS_EFFECT_READ;
    hws_buf_init(&task->answer, HWS_LINK_CALL_MAX_MESSAGE);
    hws_buf_init(&task->details, HWS_LINK_DETAILS_BYTES);
    hws_list_push(&agent->ops, &task->link);
    agent->n_ops++;
    return task;
}

static void free_task(struct hws_task *task)
{
    struct hws_agent *agent = task->agent;

    hws_assert(task->run.state == HWS_RUN_IDLE);
    hws_audit_give_back(task);
    if (task->handler->drop != NULL && task->work != NULL) {
        task->handler->drop(task);
    }
    if (task->rpc != NULL) {
        task->rpc->task = NULL;
    }
    hws_svc_free(task->request);
    hws_list_remove(&task->link);
    hws_arena_deinit(&task->arena);
    hws_buf_deinit(&task->answer);
    hws_buf_deinit(&task->details);
    hws_caller_unref(task->caller);
    hws_mem_free(task);
    agent->n_ops--;
}

bool hws_task_mutates(const struct hws_task *task)
{
    switch (task->row->fenced) {
    case HWS_METHOD_ANSWER_YES:
        return true;
    case HWS_METHOD_ANSWER_BY_EFFECT:
        return hws_effect_mutates(task->want.effect);
    case HWS_METHOD_ANSWER_NO:
    case HWS_METHOD_ANSWER_MISSING:
        break;
    }
    return false;
}

/* ---- 1 to 3 ---------------------------------------------------------------------------------- */

/* What is wanted, and what of it conditions and locks look at. */
static void ask(const struct hws_task *task, struct hws_authorize_what *what,
                struct hws_policy_request *req)
{
    const struct hws_adapter *a = task->want.adapter;

    *what = (struct hws_authorize_what){
        .device = hws_device_card(a),
        .effect = task->want.effect,
        .target = task->want.target,
        .target_method = task->want.target_method,
        .fields = task->want.fields,
        .n_fields = task->want.n_fields,
        .raw = task->want.raw,
        .approved = task->want.approved,
        .unix_s = hws_agent_unix_ms() / 1000,
    };
    hws_authorize_request(task->row, task->caller->principal, what, req);
    what->holds_lock = hws_bars_holds(&task->agent->barred.bars, req);
}

/* Locks bar what the policy allows. */
static enum hws_code check_locks(struct hws_task *task, const struct hws_policy_request *req,
                                 struct hws_err *err)
{
    const struct hws_bar *lock = hws_bars_lock(&task->agent->barred.bars, req);
    char text[200];

    if (lock == NULL) {
        return HWS_OK;
    }
    hws_bar_text(lock, text, sizeof(text));
    (void)hws_str_print(task->rule, sizeof(task->rule), "lock-%llu", (unsigned long long)lock->id);
    hws_err_set(err, HWS_E_DENIED, "%s", text);
    hws_audit_refused(task, HWS_REFUSAL_LOCK, err->code, text);
    return err->code;
}

static enum hws_code authorize(struct hws_task *task, struct hws_err *err)
{
    struct hws_authorize_what what;
    struct hws_policy_request req;
    struct hws_policy_decision d;

    ask(task, &what, &req);
    hws_authorize(task->agent->policy, task->row, task->caller->principal, &what, &d);
    (void)hws_str_copy(task->rule, sizeof(task->rule), d.rule);
    if (d.allowed) {
        return check_locks(task, &req, err);
    }
    hws_authorize_error(&d, task->caller->principal, task->row, err);
    hws_audit_refused(task, HWS_REFUSAL_POLICY, HWS_E_DENIED, d.reason);
    return HWS_E_DENIED;
}

/* The error is the answer and goes on record. */
static enum hws_code refuse(struct hws_task *task, enum hws_refusal why, const struct hws_err *err)
{
    hws_audit_refused(task, why, err->code, err->msg);
    return err->code;
}

/* May the agent and its adapter be changed now? */
static enum hws_code check_state(struct hws_task *task, struct hws_err *err)
{
    const struct hws_adapter *a = task->want.adapter;

    if (hws_agent_may_change(task->agent, err) != HWS_OK) {
        return refuse(task, HWS_REFUSAL_STATE, err);
    }
    if (a != NULL && a->recovering) {
        hws_err_set(err, HWS_E_STATE,
                    "adapter %.80s: an unfinished change is still being resolved (%.90s); "
                    "reads are served",
                    a->id, a->reason[0] == '\0' ? "the card is being read" : a->reason);
        return refuse(task, HWS_REFUSAL_STATE, err);
    }
    return HWS_OK;
}

/* What a change needs beside permission. */
static enum hws_code check_change(struct hws_task *task, struct hws_err *err)
{
    if (check_state(task, err) != HWS_OK) {
        return err->code;
    }
    if (hws_ledger_check(task, err) != HWS_OK) {
        return refuse(task, HWS_REFUSAL_MUTATION, err);
    }
    enum hws_code code = hws_svc_content(task->request, &task->request_hash);
    if (code != HWS_OK) {
        hws_err_set(err, code, "out of memory");
        return refuse(task, HWS_REFUSAL_LIMIT, err);
    }
    return HWS_OK;
}

/* Prepare and authorize; whatever is refused is on record. A caller who may not even ask does not
 * learn what is wrong with the request, nor which adapters there are. */
static enum hws_code check(struct hws_task *task, struct hws_err *err)
{
    struct hws_err denied;

    enum hws_code prepared = task->handler->prepare(task, err);
    if (prepared == HWS_OK && task->arena.failed) {
        prepared = hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    enum hws_code allowed = authorize(task, &denied);
    if (allowed != HWS_OK) {
        *err = denied;
        return allowed;
    }
    if (prepared != HWS_OK) {
        return refuse(task, prepared == HWS_E_NOMEM ? HWS_REFUSAL_LIMIT : HWS_REFUSAL_REQUEST, err);
    }
    if (hws_rates_take(&task->agent->rates, task->caller->principal, task->want.effect,
                       hws_agent_now(task->agent), &task->want.retry_ms, err) != HWS_OK) {
        return refuse(task, HWS_REFUSAL_RATE, err);
    }
    if (task->handler->allow != NULL && task->handler->allow(task, err) != HWS_OK) {
        return refuse(task, HWS_REFUSAL_WARRANT, err);
    }
    return hws_task_mutates(task) ? check_change(task, err) : HWS_OK;
}

/* ---- 4 and 5 --------------------------------------------------------------------------------- */

static void run(struct hws_task *task)
{
    struct hws_err err;

    hws_fsm_move(moves, &task->state, HWS_TASK_RUNNING);
    if (task->aborted && !hws_task_mutates(task)) {
        hws_task_refuse(task, HWS_E_CANCELED, "canceled");
        return;
    }
    bool stream = task->row->kind == HWS_METHOD_KIND_SERVER_STREAM;
    if (stream && hws_audit_read(task, "", &err) != HWS_OK) {
        hws_audit_refused(task, HWS_REFUSAL_LIMIT, err.code, err.msg);
        hws_task_fail(task, &err);
        return;
    }
    task->handler->run(task);
}

void hws_task_go(struct hws_task *task)
{
    struct hws_err err;

    if (hws_audit_reserve(task, &err) != HWS_OK) {
        hws_audit_refused(task, HWS_REFUSAL_LIMIT, err.code, err.msg);
        task->err = err;
        hws_fsm_move(moves, &task->state, HWS_TASK_ENDING);
        reply(task);
        return;
    }
    if (!hws_task_mutates(task)) {
        run(task);
        return;
    }
    hws_fsm_move(moves, &task->state, HWS_TASK_BEGINNING);
    if (hws_ledger_begin(task, run, reply, &err) != HWS_OK) {
        hws_audit_refused(task, HWS_REFUSAL_LIMIT, err.code, err.msg);
        task->err = err;
        reply(task);
    }
}

static enum hws_code unpack(struct hws_task *task, const uint8_t *bytes, size_t n,
                            struct hws_err *err)
{
    if (hws_svc_unpack(task->handler->request, bytes, n, &task->request, err) == HWS_OK) {
        return HWS_OK;
    }
    return refuse(task, err->code == HWS_E_NOMEM ? HWS_REFUSAL_LIMIT : HWS_REFUSAL_FORM, err);
}

void hws_task_begin(struct hws_rpc *rpc, const uint8_t *bytes, size_t n)
{
    struct hws_err err;
    struct hws_task *task = new_task(rpc, &err);

    if (task == NULL) {
        hws_rpc_end(rpc, &err, NULL);
        return;
    }
    task->rpc = rpc;
    rpc->task = task;
    if (unpack(task, bytes, n, &err) != HWS_OK || check(task, &err) != HWS_OK) {
        task->err = err;
        hws_fsm_move(moves, &task->state, HWS_TASK_ENDING);
        reply(task);
        return;
    }
    hws_task_go(task);
}

struct hws_task *hws_task_item(struct hws_rpc *rpc, void *request, struct hws_err *err)
{
    struct hws_task *task = new_task(rpc, err);

    if (task == NULL) {
        hws_svc_free(request);
        return NULL;
    }
    task->request = request;
    if (check(task, err) != HWS_OK) {
        free_task(task);
        return NULL;
    }
    return task;
}

enum hws_code hws_task_recheck(struct hws_task *task, struct hws_err *err)
{
    enum hws_code code = authorize(task, err);

    return code == HWS_OK && hws_task_mutates(task) ? check_state(task, err) : code;
}

void hws_task_discard(struct hws_task *task)
{
    free_task(task);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void deliver(struct hws_task *task)
{
    struct hws_rpc *rpc = task->rpc;

    if (task->err.code != HWS_OK) {
        rpc->retry_ms = task->want.retry_ms;
        hws_rpc_end(rpc, &task->err, task->want.field);
        return;
    }
    if (task->row->kind == HWS_METHOD_KIND_UNARY && hws_rpc_send(rpc, &task->answer) != HWS_OK) {
        hws_err_set(&task->err, HWS_E_NOMEM, "out of memory for the answer");
        hws_rpc_end(rpc, &task->err, NULL);
        return;
    }
    hws_rpc_end_ok(rpc);
}

static void reply(struct hws_task *task)
{
    if (task->ended != NULL) {
        task->ended(task);
    } else if (task->rpc != NULL) {
        deliver(task);
    }
    free_task(task);
}

static void finish(struct hws_task *task)
{
    struct hws_err err;

    hws_fsm_move(moves, &task->state, HWS_TASK_ENDING);
    if (task->err.code != HWS_OK &&
        hws_convert_details(&task->err, task->want.field, 0, &task->details) != HWS_OK) {
        hws_buf_reset(&task->details);
    }
    if (task->operation_id != 0 && !task->handed_over) {
        hws_ledger_end(task, reply);
        return;
    }
    const char *code = hws_convert_name(hws_convert_code(task->err.code, task->err.stage));
    if (!hws_task_mutates(task) && hws_audit_read(task, code, &err) != HWS_OK) {
        hws_audit_refused(task, HWS_REFUSAL_LIMIT, err.code, err.msg);
        task->err = err;
    }
    reply(task);
}

void hws_task_done(struct hws_task *task)
{
    hws_err_clear(&task->err);
    if (task->outcome == 0) {
        task->outcome = HWS_INTENT_NEW;
    }
    finish(task);
}

void hws_task_fail(struct hws_task *task, const struct hws_err *err)
{
    task->err = *err;
    if (task->outcome == 0) {
        task->outcome = hws_task_outcome_of(err);
    }
    finish(task);
}

void hws_task_refuse(struct hws_task *task, enum hws_code code, const char *fmt, ...)
{
    struct hws_err err;
    va_list args;

    va_start(args, fmt);
    (void)hws_err_vset(&err, code, fmt, args);
    va_end(args);
    hws_task_fail(task, &err);
}

enum hws_intent_state hws_task_outcome_of(const struct hws_err *err)
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

void hws_task_orphan(struct hws_task *task)
{
    task->rpc = NULL;
    task->aborted = true;
    if (hws_task_mutates(task) || task->state != HWS_TASK_RUNNING) {
        return;
    }
    if (task->handler->stop != NULL) {
        task->handler->stop(task);
        return;
    }
    hws_run_cancel(&task->run);
}

/* Calls `tell` for every operation that is marked. It may end any number of them, so the walk
 * starts over after each. */
static void tell_marked(struct hws_agent *agent, void (*tell)(struct hws_task *task))
{
    bool found = true;

    while (found) {
        found = false;
        HWS_LIST_FOREACH (it, tmp, &agent->ops) {
            struct hws_task *task = hws_container_of(it, struct hws_task, link);
            if (task->has_news) {
                task->has_news = false;
                found = true;
                tell(task);
                break;
            }
        }
    }
}

static void tell_news(struct hws_task *task)
{
    task->handler->resume(task);
}

static void tell_stop(struct hws_task *task)
{
    hws_task_refuse(task, HWS_E_GONE, "the agent is stopping");
}

void hws_task_news(struct hws_agent *agent, enum hws_follow what)
{
    HWS_LIST_FOREACH (it, tmp, &agent->ops) {
        struct hws_task *task = hws_container_of(it, struct hws_task, link);
        task->has_news = task->follows == what;
    }
    tell_marked(agent, tell_news);
}

void hws_task_stop_followers(struct hws_agent *agent)
{
    HWS_LIST_FOREACH (it, tmp, &agent->ops) {
        struct hws_task *task = hws_container_of(it, struct hws_task, link);
        task->has_news = task->follows != HWS_FOLLOW_NOTHING;
    }
    tell_marked(agent, tell_stop);
}

/* Streams are judged again; a change that has begun goes on to its end. */
static bool still_allowed(struct hws_task *task)
{
    return task->state != HWS_TASK_RUNNING || task->row->kind != HWS_METHOD_KIND_SERVER_STREAM ||
           task->rpc == NULL || authorize(task, &task->err) == HWS_OK;
}

/* The caller hears why; the work stops as if he had gone away. */
static void cut(struct hws_task *task)
{
    struct hws_rpc *rpc = task->rpc;

    if (rpc == NULL) {
        return;
    }
    hws_rpc_end(rpc, &task->err, NULL);
    hws_err_clear(&task->err);
    rpc->task = NULL;
    hws_task_orphan(task);
}

void hws_task_rejudge(struct hws_agent *agent)
{
    HWS_LIST_FOREACH (it, tmp, &agent->ops) {
        struct hws_task *task = hws_container_of(it, struct hws_task, link);
        task->has_news = !still_allowed(task);
    }
    tell_marked(agent, cut);
}

/* A change on an adapter with a command that has not returned would race with it. */
static enum hws_code may_run(const struct hws_adapter *a, enum hws_sched_kind kind,
                             struct hws_err *err)
{
    if (kind == HWS_SCHED_WRITE && a->state == HWS_DEVICE_STUCK) {
        hws_err_set(err, HWS_E_STATE, "adapter %.50s takes no change now: %.170s", a->id,
                    a->reason);
        hws_err_at(err, HWS_STAGE_NOT_SENT);
        return err->code;
    }
    return hws_device_usable(a, err);
}

bool hws_task_drive(struct hws_task *task, const struct hws_stepper *stepper,
                    void (*done)(struct hws_run *run))
{
    enum hws_sched_kind kind = hws_task_mutates(task) ? HWS_SCHED_WRITE : HWS_SCHED_READ;
    struct hws_err err;

    task->run.done = done;
    task->run.data = task;
    task->run.queue_deadline_ms = task->deadline_ms;
    task->run.deadline_ms = task->whole ? UINT64_MAX : task->deadline_ms;
    if (may_run(task->want.adapter, kind, &err) == HWS_OK &&
        hws_run_start(&task->run, task->want.adapter, kind, task->caller->principal, stepper,
                      &err) == HWS_OK) {
        return true;
    }
    task->run.keeps_turn = false;
    task->outcome = HWS_INTENT_VOID;
    hws_task_fail(task, &err);
    return false;
}
