/*
 * hawser.v1.ConfigService: non-volatile settings by nvconfig's steppers.
 *
 * Names and values are judged in prepare, before any device I/O. A change carries what recovery
 * needs to judge the card later: the names with the wanted values (new_state) and, when the caller
 * named it, the revision before (old_state); see recover.c for their form.
 */
#include "hawserd/svc_config.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawser/v1/config.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"
#include "nvconfig/apply.h"
#include "nvconfig/get.h"
#include "nvconfig/plan.h"
#include "nvconfig/reset.h"

/* A command gets at least this long, however near the deadline: a change outlives its caller, and a
 * write that is only slow must not end in doubt. */
#define MIN_READ_MS  250u
#define MIN_WRITE_MS 5000u

HWS_STEPPER(get, hws_nv_get, hws_nv_get)
HWS_STEPPER(plan, hws_nv_plan, hws_nv_plan)
HWS_STEPPER(apply, hws_nv_apply, hws_nv_apply)

/* What an operation of this service works with; one allocation. */
struct config_work {
    struct hws_nv_get get;
    struct hws_nv_plan *plan;   /* owned */
    struct hws_nv_apply *apply; /* owned */
    const char **names;         /* in the arena; of a get or a reset */
    size_t n_names;
    struct hws_nv_setting *settings; /* in the arena */
    size_t n_settings;
};

static void drop(struct hws_task *task)
{
    struct config_work *w = task->work;

    hws_mem_free(w->plan);
    hws_mem_free(w->apply);
    hws_mem_free(w);
    task->work = NULL;
}

static enum hws_code start(struct hws_task *task, const char *device, struct hws_err *err)
{
    enum hws_code code = hws_svc_adapter(task, device, err);

    if (code != HWS_OK) {
        return code;
    }
    task->work = hws_mem_zalloc(1, sizeof(struct config_work));
    return task->work == NULL ? hws_err_set(err, HWS_E_NOMEM, "out of memory") : HWS_OK;
}

/* A command may not outlive its caller's patience by much, nor the card's usual limit. */
static uint64_t command_ms(const struct hws_task *task)
{
    uint64_t now_ms = hws_agent_now(task->agent);

    if (task->deadline_ms == UINT64_MAX || task->deadline_ms >= now_ms + HWS_HCA_CMD_TIMEOUT_MS) {
        return HWS_HCA_CMD_TIMEOUT_MS;
    }
    uint64_t left = task->deadline_ms > now_ms ? task->deadline_ms - now_ms : 0;
    uint64_t least = task->whole ? MIN_WRITE_MS : MIN_READ_MS;
    return left < least ? least : left;
}

static Hawser__V1__ResetLevel reset_of(enum hws_nv_reset reset)
{
    return (Hawser__V1__ResetLevel)(reset + 1); /* NONE = 1 ... COLD = 5, in the same order */
}

/* ---- names and settings ---------------------------------------------------------------------- */

static enum hws_code take_names(struct hws_task *task, char **names, size_t n, struct hws_err *err)
{
    struct config_work *w = task->work;

    w->names = hws_arena_ptrs(&task->arena, n);
    if (w->names == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        w->names[i] = names[i];
    }
    w->n_names = n;
    enum hws_code code = hws_nv_get_init(&w->get, n == 0 ? NULL : w->names, n, err);
    return code == HWS_OK ? HWS_OK : hws_svc_blame(task, "names", err);
}

static enum hws_code blame_setting(struct hws_task *task, size_t i, const char *part,
                                   struct hws_err *err)
{
    return hws_svc_blame(task, hws_arena_printf(&task->arena, "settings[%zu].%s", i, part), err);
}

/* "NUM_OF_VFS=16 SRIOV_EN=1", for the audit record. */
static void describe_settings(struct hws_task *task)
{
    const struct config_work *w = task->work;
    char text[1024];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < w->n_settings && used + 1 < sizeof(text); i++) {
        hws_str_print(text + used, sizeof(text) - used, "%s%s=%s", i == 0 ? "" : " ",
                      w->settings[i].name, w->settings[i].value);
        used += strlen(text + used);
    }
    task->want.detail = hws_arena_str(&task->arena, text);
}

static enum hws_code take_settings(struct hws_task *task, Hawser__V1__Setting **settings, size_t n,
                                   struct hws_err *err)
{
    struct config_work *w = task->work;

    if (n == 0 || n > HWS_NV_MAX_SETTINGS) {
        hws_err_set(err, HWS_E_INVALID, "settings must be 1..%u, not %zu", HWS_NV_MAX_SETTINGS, n);
        return hws_svc_blame(task, "settings", err);
    }
    w->settings = hws_arena_alloc(&task->arena, n * sizeof(*w->settings));
    if (w->settings == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const struct hws_nv_param *param;
        uint32_t value;
        w->settings[i].name = settings[i]->name;
        w->settings[i].value = settings[i]->value;
        if (hws_nv_param_find(settings[i]->name, &param, err) != HWS_OK) {
            return blame_setting(task, i, "name", err);
        }
        if (hws_nv_param_parse(param, settings[i]->value, &value, err) != HWS_OK) {
            return blame_setting(task, i, "value", err);
        }
    }
    w->n_settings = n;
    describe_settings(task);
    return HWS_OK;
}

static void take_mutation(struct hws_task *task, const Hawser__V1__Mutation *m)
{
    hws_svc_mutation(task, m == NULL ? NULL : &m->base);
}

static enum hws_code take_hash(struct hws_task *task, const char *text, const char *field,
                               struct hws_digest *out, struct hws_err *err)
{
    if (hws_digest_from_hex(text, out) == HWS_OK) {
        return HWS_OK;
    }
    hws_err_set(err, HWS_E_INVALID, "%s must be 64 hex digits, as Plan gave them", field);
    return hws_svc_blame(task, field, err);
}

/* ---- ListParameters -------------------------------------------------------------------------- */

static enum hws_code list_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ListParametersRequest *q = task->request;
    enum hws_code code = start(task, q->device, err);

    return code == HWS_OK ? take_names(task, NULL, 0, err) : code;
}

static Hawser__V1__Parameter *parameter_of(struct hws_task *task, const struct hws_nv_value *v)
{
    Hawser__V1__Parameter *p = hws_arena_alloc(&task->arena, sizeof(*p));
    const struct hws_nv_param *from = v->param;

    if (p == NULL) {
        return NULL;
    }
    hawser__v1__parameter__init(p);
    p->name = hws_arena_str(&task->arena, from->name);
    p->type = (Hawser__V1__ParameterType)(from->type + 1);
    p->min = from->min;
    p->max = v->supported ? v->max : from->max;
    p->unit = hws_arena_str(&task->arena, from->unit);
    p->description = hws_arena_str(&task->arena, from->description);
    p->reset = reset_of(from->reset);
    p->supported = v->supported;
    p->unsupported_reason = hws_arena_str(&task->arena, v->reason);
    p->values = hws_arena_ptrs(&task->arena, from->n_values);
    for (size_t i = 0; p->values != NULL && i < from->n_values; i++) {
        Hawser__V1__EnumValue *e = hws_arena_alloc(&task->arena, sizeof(*e));
        if (e == NULL) {
            break;
        }
        hawser__v1__enum_value__init(e);
        e->name = hws_arena_str(&task->arena, from->values[i].name);
        e->value = from->values[i].value;
        p->values[p->n_values++] = e;
    }
    return p;
}

static void list_done(struct hws_run *run)
{
    Hawser__V1__ListParametersResponse r = HAWSER__V1__LIST_PARAMETERS_RESPONSE__INIT;
    Hawser__V1__Parameter *list[HWS_NV_MAX_PARAMS];
    struct hws_task *task = run->data;
    struct config_work *w = task->work;

    if (run->err.code != HWS_OK) {
        hws_task_fail(task, &run->err);
        return;
    }
    for (size_t i = 0; i < w->get.n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(&w->get, i, &v);
        list[i] = parameter_of(task, &v);
    }
    r.parameters = list;
    r.n_parameters = w->get.n_values;
    hws_svc_reply(task, &r.base);
}

static void drive_get(struct hws_task *task, void (*done)(struct hws_run *))
{
    struct config_work *w = task->work;
    struct hws_stepper s = {get_next, get_feed, &w->get.err, &w->get};

    w->get.timeout_ms = command_ms(task);
    (void)hws_task_drive(task, &s, done);
}

static void list_run(struct hws_task *task)
{
    drive_get(task, list_done);
}

const struct hws_handler hws_handler_CONFIG_LIST_PARAMETERS = {
    .request = &hawser__v1__list_parameters_request__descriptor,
    .prepare = list_prepare,
    .run = list_run,
    .drop = drop,
};

/* ---- Get ------------------------------------------------------------------------------------- */

/* Fills values (room for all of get's) and returns how many are supported or were asked for. */
static size_t values_of(struct hws_arena *arena, const struct hws_nv_get *get, bool all,
                        Hawser__V1__ParameterValue **values)
{
    size_t n = 0;

    for (size_t i = 0; i < get->n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(get, i, &v);
        if (!v.supported && all) {
            continue;
        }
        Hawser__V1__ParameterValue *p = hws_arena_alloc(arena, sizeof(*p));
        if (p == NULL) {
            break;
        }
        hawser__v1__parameter_value__init(p);
        p->name = hws_arena_str(arena, v.param->name);
        p->default_value = hws_arena_str(arena, v.default_value);
        p->stored = hws_arena_str(arena, v.stored);
        p->next_boot = hws_arena_str(arena, v.next_boot);
        p->running = hws_arena_str(arena, v.running);
        p->pending = v.pending;
        values[n++] = p;
    }
    return n;
}

static enum hws_code get_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__GetConfigRequest *q = task->request;
    enum hws_code code = start(task, q->device, err);

    return code == HWS_OK ? take_names(task, q->names, q->n_names, err) : code;
}

static void get_done(struct hws_run *run)
{
    Hawser__V1__GetConfigResponse r = HAWSER__V1__GET_CONFIG_RESPONSE__INIT;
    Hawser__V1__ParameterValue *values[HWS_NV_MAX_PARAMS];
    struct hws_task *task = run->data;
    struct config_work *w = task->work;

    if (run->err.code != HWS_OK) {
        hws_task_fail(task, &run->err);
        return;
    }
    r.values = values;
    r.n_values = values_of(&task->arena, &w->get, w->n_names == 0, values);
    r.revision = hws_svc_hex(task, &w->get.revision);
    hws_svc_reply(task, &r.base);
}

static void get_run(struct hws_task *task)
{
    drive_get(task, get_done);
}

const struct hws_handler hws_handler_CONFIG_GET = {
    .request = &hawser__v1__get_config_request__descriptor,
    .prepare = get_prepare,
    .run = get_run,
    .drop = drop,
};

/* ---- Plan ------------------------------------------------------------------------------------ */

static enum hws_code plan_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__PlanConfigRequest *q = task->request;
    enum hws_code code = start(task, q->device, err);

    if (code == HWS_OK) {
        code = take_settings(task, q->settings, q->n_settings, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    struct config_work *w = task->work;
    w->plan = hws_mem_zalloc(1, sizeof(*w->plan));
    if (w->plan == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    code = hws_nv_plan_init(w->plan, task->want.adapter->id, w->settings, w->n_settings, err);
    return code == HWS_OK ? HWS_OK : hws_svc_blame(task, "settings", err);
}

static void plan_done(struct hws_run *run)
{
    Hawser__V1__PlanConfigResponse r = HAWSER__V1__PLAN_CONFIG_RESPONSE__INIT;
    Hawser__V1__Change *changes[HWS_NV_MAX_PARAMS];
    struct hws_task *task = run->data;
    const struct hws_nv_plan *plan = ((struct config_work *)task->work)->plan;

    if (run->err.code != HWS_OK) {
        task->want.field = "settings";
        hws_task_fail(task, &run->err);
        return;
    }
    for (size_t i = 0; i < plan->n_changes; i++) {
        const struct hws_nv_change *from = &plan->changes[i];
        Hawser__V1__Change *c = hws_arena_alloc(&task->arena, sizeof(*c));
        if (c == NULL) {
            break;
        }
        hawser__v1__change__init(c);
        c->name = hws_arena_str(&task->arena, from->param->name);
        c->running = hws_arena_str(&task->arena, from->running);
        c->next_boot = hws_arena_str(&task->arena, from->next_boot);
        c->wanted = hws_arena_str(&task->arena, from->wanted);
        c->reset = reset_of(from->reset);
        c->changes = from->changes;
        changes[r.n_changes++] = c;
    }
    r.changes = changes;
    r.reset = reset_of(plan->reset);
    r.plan_hash = hws_svc_hex(task, &plan->hash);
    r.revision = hws_svc_hex(task, &plan->revision);
    r.n_writes = (uint32_t)plan->n_writes;
    hws_svc_reply(task, &r.base);
}

static void plan_run(struct hws_task *task)
{
    struct config_work *w = task->work;
    struct hws_stepper s = {plan_next, plan_feed, &w->plan->err, w->plan};

    w->plan->timeout_ms = command_ms(task);
    (void)hws_task_drive(task, &s, plan_done);
}

const struct hws_handler hws_handler_CONFIG_PLAN = {
    .request = &hawser__v1__plan_config_request__descriptor,
    .prepare = plan_prepare,
    .run = plan_run,
    .drop = drop,
};

/* ---- Apply and Reset: the change ------------------------------------------------------------- */

/* After the change, the values are read back for the answer. */
static void answer_change(struct hws_task *task, struct config_work *w)
{
    Hawser__V1__ApplyConfigResponse r = HAWSER__V1__APPLY_CONFIG_RESPONSE__INIT;
    Hawser__V1__ParameterValue *values[HWS_NV_MAX_PARAMS];

    r.values = values;
    r.n_values = values_of(&task->arena, &w->get, w->n_names == 0, values);
    r.reset = reset_of(w->apply->plan.reset);
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
    r.n_values = values_of(&arena, get, false, values);
    for (size_t i = 0; i < get->n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(get, i, &v);
        if (v.pending && reset_of(v.param->reset) > r.reset) {
            r.reset = reset_of(v.param->reset);
        }
    }
    r.revision = hex;
    r.operation_id = id;
    enum hws_code code = arena.failed ? HWS_E_NOMEM : hws_svc_pack(&r.base, out);
    hws_arena_deinit(&arena);
    return code;
}

static void read_back_done(struct hws_run *run)
{
    struct hws_task *task = run->data;
    struct config_work *w = task->work;

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
    hws_task_fail(task, &err);
}

static void change_done(struct hws_run *run)
{
    struct hws_task *task = run->data;
    struct config_work *w = task->work;

    if (run->err.code != HWS_OK) {
        change_failed(task, w->apply, &run->err);
        return;
    }
    struct hws_stepper s = {get_next, get_feed, &w->get.err, &w->get};
    struct hws_err err;
    w->get.timeout_ms = command_ms(task);
    run->done = read_back_done;
    run->queue_deadline_ms = UINT64_MAX;
    if (hws_run_start(run, task->want.adapter, HWS_SCHED_READ, task->caller->principal, &s, &err) !=
        HWS_OK) {
        run->err = err;
        read_back_done(run);
    }
}

static void change_run(struct hws_task *task)
{
    struct config_work *w = task->work;
    struct hws_stepper s = {apply_next, apply_feed, &w->apply->err, w->apply};

    task->whole = true;
    w->apply->timeout_ms = command_ms(task);
    (void)hws_task_drive(task, &s, change_done);
}

static enum hws_code new_apply(struct config_work *w, struct hws_err *err)
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
    take_mutation(task, q->mutation);
    enum hws_code code = start(task, q->device, err);
    if (code != HWS_OK || (code = take_settings(task, q->settings, q->n_settings, err)) != HWS_OK ||
        (code = take_hash(task, q->plan_hash, "plan_hash", &hashes[0], err)) != HWS_OK) {
        return code;
    }
    if (q->expected_revision[0] != '\0') {
        revision = &hashes[1];
        code = take_hash(task, q->expected_revision, "expected_revision", revision, err);
        if (code != HWS_OK) {
            return code;
        }
    }
    struct config_work *w = task->work;
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
    code = take_names(task, names, w->n_settings, err);
    return code == HWS_OK ? hws_recover_describe(task, w->settings, w->n_settings, revision, err)
                          : code;
}

const struct hws_handler hws_handler_CONFIG_APPLY = {
    .request = &hawser__v1__apply_config_request__descriptor,
    .prepare = apply_prepare,
    .run = change_run,
    .drop = drop,
    .repeated_field = 5,
};

/* "defaults of A B", for the audit record. */
static void describe_names(struct hws_task *task)
{
    const struct config_work *w = task->work;
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
    const struct config_work *w = task->work;
    size_t n = w->n_names == 0 ? hws_nv_param_count() : w->n_names;
    struct hws_nv_setting *settings = hws_arena_alloc(&task->arena, n * sizeof(*settings));

    for (size_t i = 0; settings != NULL && i < n; i++) {
        settings[i].name = w->n_names == 0 ? hws_nv_param_at(i)->name : w->names[i];
        settings[i].value = "";
    }
    return settings == NULL ? hws_err_set(err, HWS_E_NOMEM, "out of memory")
                            : hws_recover_describe(task, settings, n, NULL, err);
}

static enum hws_code reset_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ResetConfigRequest *q = task->request;

    task->want.effect = HWS_EFFECT_CONFIG_NEXT_RESET;
    take_mutation(task, q->mutation);
    enum hws_code code = start(task, q->device, err);
    if (code != HWS_OK || (code = take_names(task, q->names, q->n_names, err)) != HWS_OK) {
        return code;
    }
    struct config_work *w = task->work;
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
    .drop = drop,
    .repeated_field = 5,
};
