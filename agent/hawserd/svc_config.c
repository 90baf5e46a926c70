/*
 * hawser.v1.ConfigService: non-volatile settings by nvconfig's steppers.
 *
 * Names and values are judged in prepare, before any device I/O. Changes: svc_config_change.c.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawser/v1/config.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"
#include "hawserd/svc_config_priv.h"
#include "nvconfig/get.h"
#include "nvconfig/plan.h"

/* A command gets at least this long, however near the deadline: a change outlives its caller, and a
 * write that is only slow must not end in doubt. */
#define MIN_READ_MS  250u
#define MIN_WRITE_MS 5000u

HWS_STEPPER(get, hws_nv_get, hws_nv_get)
HWS_STEPPER(plan, hws_nv_plan, hws_nv_plan)

void hws_svc_config__drop(struct hws_task *task)
{
    struct hws_svc_config__work *w = task->work;

    hws_mem_free(w->plan);
    hws_mem_free(w->apply);
    hws_mem_free(w);
    task->work = NULL;
}

enum hws_code hws_svc_config__start(struct hws_task *task, const char *device, struct hws_err *err)
{
    enum hws_code code = hws_svc_adapter(task, device, err);

    if (code != HWS_OK) {
        return code;
    }
    hws_svc_scope(task, "MNVDA",
                  hws_effect_mutates(task->want.effect) ? HWS_REG_WRITE : HWS_REG_READ);
    task->work = hws_mem_zalloc(1, sizeof(struct hws_svc_config__work));
    return task->work == NULL ? hws_err_set(err, HWS_E_NOMEM, "out of memory") : HWS_OK;
}

/* A command may not outlive its caller's patience by much, nor the card's usual limit. */
uint64_t hws_svc_config__command_ms(const struct hws_task *task)
{
    uint64_t now_ms = hws_agent_now(task->agent);

    if (task->deadline_ms == UINT64_MAX || task->deadline_ms >= now_ms + HWS_HCA_CMD_TIMEOUT_MS) {
        return HWS_HCA_CMD_TIMEOUT_MS;
    }
    uint64_t left = task->deadline_ms > now_ms ? task->deadline_ms - now_ms : 0;
    uint64_t least = task->whole ? MIN_WRITE_MS : MIN_READ_MS;
    return left < least ? least : left;
}

Hawser__V1__ResetLevel hws_svc_config__reset_of(enum hws_nv_reset reset)
{
    return (Hawser__V1__ResetLevel)(reset + 1); /* NONE = 1 ... COLD = 5, in the same order */
}

/* ---- names and settings ---------------------------------------------------------------------- */

enum hws_code hws_svc_config__take_names(struct hws_task *task, char **names, size_t n,
                                         struct hws_err *err)
{
    struct hws_svc_config__work *w = task->work;

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
    const struct hws_svc_config__work *w = task->work;
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

enum hws_code hws_svc_config__take_settings(struct hws_task *task, Hawser__V1__Setting **settings,
                                            size_t n, struct hws_err *err)
{
    struct hws_svc_config__work *w = task->work;

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
        if (hws_bounds_check(&task->want.adapter->bounds, param, value, err) != HWS_OK) {
            const char *part = err->code == HWS_E_UNSUPPORTED ? "name" : "value";
            return blame_setting(task, i, part, err);
        }
    }
    w->n_settings = n;
    describe_settings(task);
    return HWS_OK;
}

void hws_svc_config__take_mutation(struct hws_task *task, const Hawser__V1__Mutation *m)
{
    hws_svc_mutation(task, m == NULL ? NULL : &m->base);
}

enum hws_code hws_svc_config__take_hash(struct hws_task *task, const char *text, const char *field,
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
    enum hws_code code = hws_svc_config__start(task, q->device, err);

    return code == HWS_OK ? hws_svc_config__take_names(task, NULL, 0, err) : code;
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
    p->reset = hws_svc_config__reset_of(from->reset);
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
    struct hws_svc_config__work *w = task->work;

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

void hws_svc_config__drive_get(struct hws_task *task, void (*done)(struct hws_run *))
{
    struct hws_svc_config__work *w = task->work;
    struct hws_stepper s = {get_next, get_feed, &w->get.err, &w->get};

    w->get.timeout_ms = hws_svc_config__command_ms(task);
    (void)hws_task_drive(task, &s, done);
}

static void list_run(struct hws_task *task)
{
    hws_svc_config__drive_get(task, list_done);
}

const struct hws_handler hws_handler_CONFIG_LIST_PARAMETERS = {
    .request = &hawser__v1__list_parameters_request__descriptor,
    .prepare = list_prepare,
    .run = list_run,
    .drop = hws_svc_config__drop,
};

/* ---- Get ------------------------------------------------------------------------------------- */

/* Fills values (room for all of get's) and returns how many are supported or were asked for. */
size_t hws_svc_config__values_of(struct hws_arena *arena, const struct hws_nv_get *get, bool all,
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
    enum hws_code code = hws_svc_config__start(task, q->device, err);

    return code == HWS_OK ? hws_svc_config__take_names(task, q->names, q->n_names, err) : code;
}

static void get_done(struct hws_run *run)
{
    Hawser__V1__GetConfigResponse r = HAWSER__V1__GET_CONFIG_RESPONSE__INIT;
    Hawser__V1__ParameterValue *values[HWS_NV_MAX_PARAMS];
    struct hws_task *task = run->data;
    struct hws_svc_config__work *w = task->work;

    if (run->err.code != HWS_OK) {
        hws_task_fail(task, &run->err);
        return;
    }
    r.values = values;
    r.n_values = hws_svc_config__values_of(&task->arena, &w->get, w->n_names == 0, values);
    r.revision = hws_svc_hex(task, &w->get.revision);
    hws_svc_reply(task, &r.base);
}

static void get_run(struct hws_task *task)
{
    hws_svc_config__drive_get(task, get_done);
}

const struct hws_handler hws_handler_CONFIG_GET = {
    .request = &hawser__v1__get_config_request__descriptor,
    .prepare = get_prepare,
    .run = get_run,
    .drop = hws_svc_config__drop,
};

/* ---- Plan ------------------------------------------------------------------------------------ */

static enum hws_code plan_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__PlanConfigRequest *q = task->request;
    enum hws_code code = hws_svc_config__start(task, q->device, err);

    if (code == HWS_OK) {
        code = hws_svc_config__take_settings(task, q->settings, q->n_settings, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    struct hws_svc_config__work *w = task->work;
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
    const struct hws_nv_plan *plan = ((struct hws_svc_config__work *)task->work)->plan;

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
        c->reset = hws_svc_config__reset_of(from->reset);
        c->changes = from->changes;
        changes[r.n_changes++] = c;
    }
    r.changes = changes;
    r.reset = hws_svc_config__reset_of(plan->reset);
    r.plan_hash = hws_svc_hex(task, &plan->hash);
    r.revision = hws_svc_hex(task, &plan->revision);
    r.n_writes = (uint32_t)plan->n_writes;
    hws_svc_reply(task, &r.base);
}

static void plan_run(struct hws_task *task)
{
    struct hws_svc_config__work *w = task->work;
    struct hws_stepper s = {plan_next, plan_feed, &w->plan->err, w->plan};

    w->plan->timeout_ms = hws_svc_config__command_ms(task);
    (void)hws_task_drive(task, &s, plan_done);
}

const struct hws_handler hws_handler_CONFIG_PLAN = {
    .request = &hawser__v1__plan_config_request__descriptor,
    .prepare = plan_prepare,
    .run = plan_run,
    .drop = hws_svc_config__drop,
};
