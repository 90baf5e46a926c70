/* hawser.v1.LockService and KillService: what is refused for a while. */
#include <string.h>

#include "base/str.h"
#include "hawser/v1/lock.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"

/* A bar under way lives in the operation's arena. */
static struct hws_bar *new_bar(struct hws_task *task, uint32_t for_s, struct hws_err *err)
{
    struct hws_bar *bar = hws_arena_alloc(&task->arena, sizeof(*bar));

    if (bar == NULL) {
        hws_err_set(err, HWS_E_NOMEM, "out of memory");
        return NULL;
    }
    bar->since_unix_ms = hws_agent_unix_ms();
    bar->until_unix_ms = bar->since_unix_ms + (uint64_t)for_s * 1000;
    (void)hws_str_copy(bar->who, sizeof(bar->who), task->caller->principal);
    task->work = bar;
    task->want.effect = HWS_EFFECT_CONFIG_LIVE;
    return bar;
}

/* Copies a request's text; HWS_E_INVALID when it is too long. */
static enum hws_code take(struct hws_task *task, const char *field, const char *text, char *dst,
                          size_t cap, struct hws_err *err)
{
    if (hws_str_copy(dst, cap, text)) {
        return HWS_OK;
    }
    hws_err_set(err, HWS_E_INVALID, "%s: longer than %zu bytes", field, cap - 1);
    return hws_svc_blame(task, field, err);
}

/* The policy's rule about an adapter counts for who locks it; the lock is on the adapter's id. */
static enum hws_code take_device(struct hws_task *task, const char *object, struct hws_bar *bar,
                                 struct hws_err *err)
{
    enum hws_code code = hws_devices_find(&task->agent->devices, object, &task->want.adapter, err);

    return code == HWS_OK
               ? take(task, "object", task->want.adapter->id, bar->object, sizeof(bar->object), err)
               : hws_svc_blame(task, "object", err);
}

static void run_add(struct hws_task *task, bool (*answer)(struct hws_task *, uint64_t))
{
    uint64_t id = 0;
    struct hws_err err;

    if (hws_barred_add(&task->agent->barred, task->work, &id, &err) != HWS_OK) {
        task->outcome = HWS_INTENT_OLD;
        hws_task_fail(task, &err);
        return;
    }
    if (!answer(task, id)) {
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory for the answer");
    }
}

/* The bar with this id, if it is of the right kind. */
static const struct hws_bar *find(struct hws_task *task, uint64_t id, bool kill)
{
    const struct hws_bar *bar = hws_bars_find(&task->agent->barred.bars, id);

    return bar != NULL && (bar->kind == HWS_BAR_ROW) == kill ? bar : NULL;
}

static enum hws_code prepare_remove(struct hws_task *task, uint64_t id, bool kill,
                                    const ProtobufCMessage *mutation, struct hws_err *err)
{
    const struct hws_bar *bar = find(task, id, kill);
    char text[512] = "";

    task->want.effect = HWS_EFFECT_CONFIG_LIVE;
    hws_svc_mutation(task, mutation);
    if (bar != NULL) {
        hws_bar_text(bar, text, sizeof(text));
    }
    task->want.detail = hws_arena_printf(&task->arena, "remove %llu%s%s", (unsigned long long)id,
                                         bar == NULL ? "" : ": ", text);
    (void)err;
    return HWS_OK;
}

static void run_remove(struct hws_task *task, uint64_t id, bool kill, const ProtobufCMessage *done)
{
    struct hws_err err;

    if (find(task, id, kill) == NULL) {
        task->want.field = "id";
        task->outcome = HWS_INTENT_OLD;
        hws_task_refuse(task, HWS_E_NOT_FOUND, "no %s %llu here", kill ? "kill" : "lock",
                        (unsigned long long)id);
        return;
    }
    if (hws_barred_remove(&task->agent->barred, id, &err) != HWS_OK) {
        hws_task_fail(task, &err);
        return;
    }
    hws_svc_reply(task, done);
}

static enum hws_code nothing_to_check(struct hws_task *task, struct hws_err *err)
{
    (void)task;
    (void)err;
    return HWS_OK;
}

/* ---- locks ----------------------------------------------------------------------------------- */

static void fill_lock(struct hws_task *task, const struct hws_bar *bar, Hawser__V1__Lock *out)
{
    hawser__v1__lock__init(out);
    out->id = bar->id;
    out->kind = (Hawser__V1__LockKind)bar->kind;
    out->object = hws_arena_str(&task->arena, bar->object);
    out->reason = hws_arena_str(&task->arena, bar->reason);
    out->who = hws_arena_str(&task->arena, bar->who);
    out->since_unix_ms = bar->since_unix_ms;
    out->until_unix_ms = bar->until_unix_ms;
}

static enum hws_code lock_add_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__AddLockRequest *q = task->request;
    struct hws_bar *bar = new_bar(task, q->for_s, err);

    if (bar == NULL) {
        return err->code;
    }
    hws_svc_mutation(task, q->mutation == NULL ? NULL : &q->mutation->base);
    task->want.detail =
        hws_arena_printf(&task->arena, "lock %s%s%.200s for %u s: %.200s",
                         q->kind <= HAWSER__V1__LOCK_KIND__LOCK_KIND_HOST
                             ? hws_bar_kind_name((enum hws_bar_kind)q->kind)
                             : "?",
                         q->object[0] == '\0' ? "" : " ", q->object, q->for_s, q->reason);
    if (q->kind < HAWSER__V1__LOCK_KIND__LOCK_KIND_PRINCIPAL ||
        q->kind > HAWSER__V1__LOCK_KIND__LOCK_KIND_HOST) {
        hws_err_set(err, HWS_E_INVALID, "kind must be one of LOCK_KIND_PRINCIPAL, _DEVICE, _HOST");
        return hws_svc_blame(task, "kind", err);
    }
    bar->kind = (enum hws_bar_kind)q->kind;
    enum hws_code code = take(task, "reason", q->reason, bar->reason, sizeof(bar->reason), err);
    if (code != HWS_OK) {
        return code;
    }
    return bar->kind == HWS_BAR_DEVICE
               ? take_device(task, q->object, bar, err)
               : take(task, "object", q->object, bar->object, sizeof(bar->object), err);
}

static bool lock_added(struct hws_task *task, uint64_t id)
{
    Hawser__V1__AddLockResponse r = HAWSER__V1__ADD_LOCK_RESPONSE__INIT;
    Hawser__V1__Lock lock;

    fill_lock(task, find(task, id, false), &lock);
    r.lock = &lock;
    hws_svc_reply(task, &r.base);
    return true;
}

static void lock_add_run(struct hws_task *task)
{
    run_add(task, lock_added);
}

static void lock_list_run(struct hws_task *task)
{
    Hawser__V1__ListLocksResponse r = HAWSER__V1__LIST_LOCKS_RESPONSE__INIT;
    const struct hws_bars *bars = &task->agent->barred.bars;

    r.locks = hws_arena_ptrs(&task->arena, bars->n + 1);
    for (size_t i = 0; r.locks != NULL && i < bars->n; i++) {
        Hawser__V1__Lock *lock = bars->items[i].kind == HWS_BAR_ROW
                                     ? NULL
                                     : hws_arena_alloc(&task->arena, sizeof(*lock));
        if (lock != NULL) {
            fill_lock(task, &bars->items[i], lock);
            r.locks[r.n_locks++] = lock;
        }
    }
    hws_svc_reply(task, &r.base);
}

static enum hws_code lock_remove_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__RemoveLockRequest *q = task->request;

    return prepare_remove(task, q->id, false, q->mutation == NULL ? NULL : &q->mutation->base, err);
}

static void lock_remove_run(struct hws_task *task)
{
    const Hawser__V1__RemoveLockRequest *q = task->request;
    Hawser__V1__RemoveLockResponse r = HAWSER__V1__REMOVE_LOCK_RESPONSE__INIT;

    run_remove(task, q->id, false, &r.base);
}

const struct hws_handler hws_handler_LOCK_ADD = {
    .request = &hawser__v1__add_lock_request__descriptor,
    .prepare = lock_add_prepare,
    .run = lock_add_run,
    .repeated_field = 2,
};
const struct hws_handler hws_handler_LOCK_LIST = {
    .request = &hawser__v1__list_locks_request__descriptor,
    .prepare = nothing_to_check,
    .run = lock_list_run,
};
const struct hws_handler hws_handler_LOCK_REMOVE = {
    .request = &hawser__v1__remove_lock_request__descriptor,
    .prepare = lock_remove_prepare,
    .run = lock_remove_run,
    .repeated_field = 1,
};

/* ---- kills ----------------------------------------------------------------------------------- */

static void fill_kill(struct hws_task *task, const struct hws_bar *bar, Hawser__V1__Kill *out)
{
    hawser__v1__kill__init(out);
    out->id = bar->id;
    out->row = hws_arena_str(&task->arena, bar->row);
    out->object = hws_arena_str(&task->arena, bar->object);
    out->firmware_from = hws_arena_str(&task->arena, bar->from);
    out->firmware_to = hws_arena_str(&task->arena, bar->to);
    out->reason = hws_arena_str(&task->arena, bar->reason);
    out->who = hws_arena_str(&task->arena, bar->who);
    out->since_unix_ms = bar->since_unix_ms;
    out->until_unix_ms = bar->until_unix_ms;
}

static enum hws_code kill_add_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__AddKillRequest *q = task->request;
    struct hws_bar *bar = new_bar(task, q->for_s, err);

    if (bar == NULL) {
        return err->code;
    }
    hws_svc_mutation(task, q->mutation == NULL ? NULL : &q->mutation->base);
    const char *object = q->object[0] == '\0' ? "*" : q->object;
    task->want.detail =
        hws_arena_printf(&task->arena,
                         "kill %.71s on %.100s, firmware %.31s..%.31s for %u s: "
                         "%.200s",
                         q->row, object, q->firmware_from, q->firmware_to, q->for_s, q->reason);
    bar->kind = HWS_BAR_ROW;
    enum hws_code code = take(task, "row", q->row, bar->row, sizeof(bar->row), err);
    if (code == HWS_OK) {
        code = take(task, "object", object, bar->object, sizeof(bar->object), err);
    }
    if (code == HWS_OK) {
        code = take(task, "firmware_from", q->firmware_from, bar->from, sizeof(bar->from), err);
    }
    if (code == HWS_OK) {
        code = take(task, "firmware_to", q->firmware_to, bar->to, sizeof(bar->to), err);
    }
    return code == HWS_OK ? take(task, "reason", q->reason, bar->reason, sizeof(bar->reason), err)
                          : code;
}

static bool kill_added(struct hws_task *task, uint64_t id)
{
    Hawser__V1__AddKillResponse r = HAWSER__V1__ADD_KILL_RESPONSE__INIT;
    Hawser__V1__Kill kill;

    fill_kill(task, find(task, id, true), &kill);
    r.kill = &kill;
    hws_svc_reply(task, &r.base);
    return true;
}

static void kill_add_run(struct hws_task *task)
{
    run_add(task, kill_added);
}

static void kill_list_run(struct hws_task *task)
{
    Hawser__V1__ListKillsResponse r = HAWSER__V1__LIST_KILLS_RESPONSE__INIT;
    const struct hws_bars *bars = &task->agent->barred.bars;

    r.kills = hws_arena_ptrs(&task->arena, bars->n + 1);
    for (size_t i = 0; r.kills != NULL && i < bars->n; i++) {
        Hawser__V1__Kill *kill = bars->items[i].kind == HWS_BAR_ROW
                                     ? hws_arena_alloc(&task->arena, sizeof(*kill))
                                     : NULL;
        if (kill != NULL) {
            fill_kill(task, &bars->items[i], kill);
            r.kills[r.n_kills++] = kill;
        }
    }
    hws_svc_reply(task, &r.base);
}

static enum hws_code kill_remove_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__RemoveKillRequest *q = task->request;

    return prepare_remove(task, q->id, true, q->mutation == NULL ? NULL : &q->mutation->base, err);
}

static void kill_remove_run(struct hws_task *task)
{
    const Hawser__V1__RemoveKillRequest *q = task->request;
    Hawser__V1__RemoveKillResponse r = HAWSER__V1__REMOVE_KILL_RESPONSE__INIT;

    run_remove(task, q->id, true, &r.base);
}

const struct hws_handler hws_handler_KILL_ADD = {
    .request = &hawser__v1__add_kill_request__descriptor,
    .prepare = kill_add_prepare,
    .run = kill_add_run,
    .repeated_field = 2,
};
const struct hws_handler hws_handler_KILL_LIST = {
    .request = &hawser__v1__list_kills_request__descriptor,
    .prepare = nothing_to_check,
    .run = kill_list_run,
};
const struct hws_handler hws_handler_KILL_REMOVE = {
    .request = &hawser__v1__remove_kill_request__descriptor,
    .prepare = kill_remove_prepare,
    .run = kill_remove_run,
    .repeated_field = 1,
};
