/*
 * hawser.v1.ConfigService, the changes: Apply and Reset by nvconfig's apply stepper, which puts
 * everything back on failure.
 *
 *   1. the card is read and the writes are computed; the turn at the adapter is kept
 *   2. the writes, old and new bytes, become durable with the intent (recover.h)
 *   3. the writes are done and read back
 *   4. the values are read for the answer
 *
 * What ends in doubt is handed to recovery, which reads the card again when nothing runs on it.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/ledger.h"
#include "hawserd/svc_config.h"
#include "hawserd/svc_config_priv.h"
#include "nvconfig/recover.h"
#include "nvconfig/reset.h"

HWS_STEPPER(get, hws_nv_get, hws_nv_get)
HWS_STEPPER(plan, hws_nv_plan, hws_nv_plan)
HWS_STEPPER(apply, hws_nv_apply, hws_nv_apply)

/* The highest reset that a value read back still waits for; fallback: nothing was read. */
static Hawser__V1__ResetLevel still_needed(const struct hws_nv_get *get,
                                           Hawser__V1__ResetLevel fallback)
{
    Hawser__V1__ResetLevel level = HAWSER__V1__RESET_LEVEL__RESET_LEVEL_NONE;

    for (size_t i = 0; i < get->n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(get, i, &v);
        if (v.pending && hws_svc_config__reset_of(v.param->reset) > level) {
            level = hws_svc_config__reset_of(v.param->reset);
        }
    }
    return get->n_values == 0 ? fallback : level;
}

/* After the change, the values are read back for the answer. */
static void answer_change(struct hws_task *task, struct hws_svc_config__work *w)
{
    Hawser__V1__ApplyConfigResponse r = HAWSER__V1__APPLY_CONFIG_RESPONSE__INIT;
    Hawser__V1__ParameterValue *values[HWS_NV_MAX_PARAMS];

    r.values = values;
    r.n_values = hws_svc_config__values_of(&task->arena, &w->get, w->n_names == 0, values);
    r.reset = still_needed(&w->get, hws_svc_config__reset_of(w->apply->plan.reset));
    r.revision = hws_svc_hex(task, &w->apply->revision);
    r.operation_id = hws_arena_printf(&task->arena, "%llu", (unsigned long long)task->operation_id);
    hws_svc_reply(task,
                  &r.base); /* ResetConfigResponse: the same fields, see the assertion below */
}

enum hws_code hws_svc_config_recovered(const struct hws_nv_get *get, uint64_t operation_id,
                                       struct hws_buf *out)
{
    Hawser__V1__ApplyConfigResponse r = HAWSER__V1__APPLY_CONFIG_RESPONSE__INIT;
    Hawser__V1__ParameterValue *values[HWS_NV_MAX_PARAMS];
    char hex[HWS_DIGEST_HEX_BYTES];
    char id[24];
    struct hws_arena arena = {0};

    hws_digest_hex(&get->revision, hex);
    hws_str_print(id, sizeof(id), "%llu", (unsigned long long)operation_id);
    r.values = values;
    bool all = get->n_values == hws_nv_param_count();
    r.n_values = hws_svc_config__values_of(&arena, get, all, values);
    r.reset = still_needed(get, HAWSER__V1__RESET_LEVEL__RESET_LEVEL_NONE);
    r.revision = hex;
    r.operation_id = id;
    enum hws_code code = arena.failed ? HWS_E_NOMEM : hws_svc_pack(&r.base, out);
    hws_arena_deinit(&arena);
    return code;
}

static void read_back_done(struct hws_run *run)
{
    struct hws_task *task = run->data;
    struct hws_svc_config__work *w = task->work;

    if (run->err.code != HWS_OK) {
        w->get.n_values = 0; /* the change is proved by apply's own reading; the list is not */
    }
    answer_change(task, w);
}

static enum hws_intent_state outcome_of(const struct hws_nv_apply *apply, const struct hws_err *err)
{
    switch (apply->outcome) {
    case HWS_NV_APPLIED:
        return HWS_INTENT_NEW;
    case HWS_NV_UNTOUCHED:
        return hws_task_outcome_of(err) == HWS_INTENT_VOID ? HWS_INTENT_VOID : HWS_INTENT_OLD;
    case HWS_NV_RESTORED:
        return apply->late_write ? HWS_INTENT_STUCK : HWS_INTENT_OLD;
    case HWS_NV_IN_DOUBT:
        break;
    }
    return HWS_INTENT_STUCK;
}

static void change_failed(struct hws_task *task, const struct hws_nv_apply *apply,
                          const struct hws_err *why)
{
    struct hws_err err = *why;

    task->outcome = outcome_of(apply, why);
    if (task->outcome == HWS_INTENT_STUCK && err.stage != HWS_STAGE_EXECUTED) {
        hws_err_at(&err, HWS_STAGE_UNKNOWN);
    }
    if (apply->detail[0] != '\0') {
        struct hws_err whole = err;
        hws_err_set(&whole, err.code, "%.150s (%.90s)", err.msg, apply->detail);
        memcpy(err.msg, whole.msg, sizeof(err.msg));
    }
    if (task->outcome == HWS_INTENT_STUCK) {
        task->handed_over = true;
        hws_recover_take(&task->agent->recover, task->want.adapter);
    }
    hws_task_fail(task, &err);
}

static void change_done(struct hws_run *run)
{
    struct hws_task *task = run->data;
    struct hws_svc_config__work *w = task->work;

    if (run->err.code != HWS_OK) {
        change_failed(task, w->apply, &run->err);
        return;
    }
    struct hws_stepper s = {get_next, get_feed, &w->get.err, &w->get};
    struct hws_err err;
    w->get.timeout_ms = hws_svc_config__command_ms(task);
    run->done = read_back_done;
    run->queue_deadline_ms = UINT64_MAX;
    if (hws_run_start(run, task->want.adapter, HWS_SCHED_READ, task->caller->principal, &s, &err) !=
        HWS_OK) {
        run->err = err;
        read_back_done(run);
    }
}

/* Step 3. */
static void write_now(struct hws_task *task)
{
    struct hws_svc_config__work *w = task->work;
    struct hws_stepper s = {apply_next, apply_feed, &w->apply->err, w->apply};

    task->run.done = change_done;
    hws_run_resume(&task->run, &s);
}

static void noted(struct hws_task *task)
{
    if (task->err.code == HWS_OK) {
        write_now(task);
        return;
    }
    struct hws_err err = task->err;
    hws_run_give_up(&task->run);
    task->outcome = HWS_INTENT_VOID;
    hws_err_at(&err, HWS_STAGE_NOT_SENT);
    hws_task_fail(task, &err);
}

/* Step 2. The plan has not been compared with the caller's: apply does that before it writes. */
static void planned(struct hws_run *run)
{
    struct hws_task *task = run->data;
    struct hws_svc_config__work *w = task->work;

    if (run->err.code != HWS_OK) {
        change_failed(task, w->apply, &run->err);
        return;
    }
    if (w->apply->plan.n_writes == 0) {
        write_now(task);
        return;
    }
    uint8_t *bytes = hws_arena_alloc(&task->arena, HWS_NV_INTENT_MAX_BYTES);
    if (bytes == NULL) {
        hws_err_set(&task->err, HWS_E_NOMEM, "out of memory");
        noted(task);
        return;
    }
    size_t n = hws_nv_intent_encode(&w->apply->plan, bytes);
    struct hws_err err;
    if (hws_ledger_note(task, bytes, n, noted, &err) != HWS_OK) {
        task->err = err;
        noted(task);
    }
}

/* Step 1. */
static void change_run(struct hws_task *task)
{
    struct hws_svc_config__work *w = task->work;
    struct hws_stepper s = {plan_next, plan_feed, &w->apply->plan.err, &w->apply->plan};

    task->whole = true;
    w->apply->timeout_ms = hws_svc_config__command_ms(task);
    w->apply->plan.timeout_ms = w->apply->timeout_ms;
    task->run.keeps_turn = true;
    (void)hws_task_drive(task, &s, planned);
}

static enum hws_code new_apply(struct hws_svc_config__work *w, struct hws_err *err)
{
    w->apply = hws_mem_zalloc(1, sizeof(*w->apply));
    return w->apply == NULL ? hws_err_set(err, HWS_E_NOMEM, "out of memory") : HWS_OK;
}

static enum hws_code apply_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ApplyConfigRequest *q = task->request;
    struct hws_digest *revision = NULL;
    struct hws_digest hashes[2];

    task->want.effect = HWS_EFFECT_CONFIG_NEXT_RESET;
    hws_svc_config__take_mutation(task, q->mutation);
    enum hws_code code = hws_svc_config__start(task, q->device, err);
    if (code != HWS_OK ||
        (code = hws_svc_config__take_settings(task, q->settings, q->n_settings, err)) != HWS_OK ||
        (code = hws_svc_config__take_hash(task, q->plan_hash, "plan_hash", &hashes[0], err)) !=
            HWS_OK) {
        return code;
    }
    if (q->expected_revision[0] != '\0') {
        revision = &hashes[1];
        code = hws_svc_config__take_hash(task, q->expected_revision, "expected_revision", revision,
                                         err);
        if (code != HWS_OK) {
            return code;
        }
    }
    struct hws_svc_config__work *w = task->work;
    char **names = hws_arena_alloc(&task->arena, w->n_settings * sizeof(*names));
    if (names == NULL || new_apply(w, err) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < w->n_settings; i++) {
        names[i] = q->settings[i]->name;
    }
    code = hws_nv_apply_init(w->apply, task->want.adapter->id, w->settings, w->n_settings,
                             &hashes[0], revision, err);
    if (code != HWS_OK) {
        return hws_svc_blame(task, "settings", err);
    }
    code = hws_svc_config__take_names(task, names, w->n_settings, err);
    return code == HWS_OK ? hws_recover_describe(task, w->settings, w->n_settings, err) : code;
}

const struct hws_handler hws_handler_CONFIG_APPLY = {
    .request = &hawser__v1__apply_config_request__descriptor,
    .prepare = apply_prepare,
    .run = change_run,
    .drop = hws_svc_config__drop,
    .repeated_field = 5,
};

/* "defaults of A B", for the audit record. */
static void describe_names(struct hws_task *task)
{
    const struct hws_svc_config__work *w = task->work;
    char text[1024];

    hws_str_copy(text, sizeof(text),
                 w->n_names == 0 ? "defaults of all parameters" : "defaults of");
    for (size_t i = 0, used = strlen(text); i < w->n_names && used + 1 < sizeof(text); i++) {
        hws_str_print(text + used, sizeof(text) - used, " %s", w->names[i]);
        used += strlen(text + used);
    }
    task->want.detail = hws_arena_str(&task->arena, text);
}

/* For recovery: every name with an empty value, which stands for its default. */
static enum hws_code describe_defaults(struct hws_task *task, struct hws_err *err)
{
    const struct hws_svc_config__work *w = task->work;
    size_t n = w->n_names == 0 ? hws_nv_param_count() : w->n_names;
    struct hws_nv_setting *settings = hws_arena_alloc(&task->arena, n * sizeof(*settings));

    for (size_t i = 0; settings != NULL && i < n; i++) {
        settings[i].name = w->n_names == 0 ? hws_nv_param_at(i)->name : w->names[i];
        settings[i].value = "";
    }
    return settings == NULL ? hws_err_set(err, HWS_E_NOMEM, "out of memory")
                            : hws_recover_describe(task, settings, n, err);
}

static enum hws_code reset_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ResetConfigRequest *q = task->request;

    task->want.effect = HWS_EFFECT_CONFIG_NEXT_RESET;
    hws_svc_config__take_mutation(task, q->mutation);
    enum hws_code code = hws_svc_config__start(task, q->device, err);
    if (code != HWS_OK ||
        (code = hws_svc_config__take_names(task, q->names, q->n_names, err)) != HWS_OK) {
        return code;
    }
    struct hws_svc_config__work *w = task->work;
    describe_names(task);
    if (new_apply(w, err) != HWS_OK) {
        return err->code;
    }
    code =
        hws_nv_reset_init(w->apply, task->want.adapter->id, w->names, w->n_names, NULL, NULL, err);
    return code == HWS_OK ? describe_defaults(task, err) : hws_svc_blame(task, "names", err);
}

/* Apply's answer is packed for both: the messages must stay alike. */
_Static_assert(sizeof(Hawser__V1__ApplyConfigResponse) == sizeof(Hawser__V1__ResetConfigResponse),
               "ApplyConfigResponse and ResetConfigResponse have the same fields");

const struct hws_handler hws_handler_CONFIG_RESET = {
    .request = &hawser__v1__reset_config_request__descriptor,
    .prepare = reset_prepare,
    .run = change_run,
    .drop = hws_svc_config__drop,
    .repeated_field = 5,
};
