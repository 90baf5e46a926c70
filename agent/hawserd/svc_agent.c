/* hawser.v1.AgentService: what runs here, who the caller is, what would be allowed, policy reload.
 */
#include <string.h>

#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "hawserd/authorize.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"
#include "hawserd/walls.h"
#include "table/table.h"

#define MAX_RULES    64u
#define MAX_COUNTERS 340u
#define AUDIT_LOST   "audit_records_lost"

static enum hws_code nothing_to_check(struct hws_task *task, struct hws_err *err)
{
    (void)task;
    (void)err;
    return HWS_OK;
}

/* ---- Info ------------------------------------------------------------------------------------ */

static Hawser__V1__ProcessInfo *add_process(struct hws_task *task, Hawser__V1__InfoResponse *r,
                                            const char *name, uint32_t pid, bool connected)
{
    Hawser__V1__ProcessInfo *p = hws_arena_alloc(&task->arena, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    hawser__v1__process_info__init(p);
    p->name = hws_arena_str(&task->arena, name);
    p->pid = pid;
    p->connected = connected;
    r->processes[r->n_processes++] = p;
    return p;
}

/* The kernel's word counts; the process's own says how far Landlock goes, which /proc does not. */
static void add_walls(struct hws_task *task, Hawser__V1__ProcessInfo *p, const char *lock)
{
    struct hws_walls walls;

    hws_walls_look(task->agent, p->pid, lock, &walls);
    p->sandbox = hws_arena_str(&task->arena, walls.text);
    p->capabilities = walls.capabilities;
    p->confined = walls.known && walls.seccomp && walls.no_new_privs && walls.capabilities == 0;
}

static void add_self(struct hws_task *task, Hawser__V1__InfoResponse *r)
{
    Hawser__V1__ProcessInfo *p = add_process(task, r, "hawserd", (uint32_t)uv_os_getpid(), true);

    if (p != NULL) {
        p->generation = task->agent->generation;
        add_walls(task, p, "");
    }
}

static void add_child(struct hws_task *task, Hawser__V1__InfoResponse *r,
                      const struct hws_process *process)
{
    bool connected = hws_child_connected(&process->child);
    Hawser__V1__ProcessInfo *p = add_process(task, r, process->name, process->child.pid, connected);

    if (p == NULL) {
        return;
    }
    p->generation = process->child.generation;
    p->restarts = process->child.n_restarts;
    if (connected) {
        add_walls(task, p, process->lock);
    }
}

static void add_counter(struct hws_task *task, Hawser__V1__InfoResponse *r, const char *prefix,
                        const char *name, size_t n_name, uint64_t value)
{
    Hawser__V1__Counter *c = hws_arena_alloc(&task->arena, sizeof(*c));

    if (c == NULL || r->n_counters == MAX_COUNTERS) {
        return;
    }
    hawser__v1__counter__init(c);
    c->name = hws_arena_printf(&task->arena, "%s%.*s", prefix, (int)n_name, name);
    c->value = value;
    r->counters[r->n_counters++] = c;
}

/* "name value\n" lines, as hawser-wire sends them. */
static void add_stats(struct hws_task *task, Hawser__V1__InfoResponse *r, const char *stats)
{
    while (*stats != '\0') {
        size_t n = strcspn(stats, "\n");
        const char *space = memchr(stats, ' ', n);
        char number[24];
        uint64_t value;
        if (space != NULL &&
            hws_str_copy_n(number, sizeof(number), space + 1, n - (size_t)(space + 1 - stats)) &&
            hws_str_to_u64(number, UINT64_MAX, &value, NULL) == HWS_OK) {
            add_counter(task, r, "wire.", stats, (size_t)(space - stats), value);
        }
        stats += stats[n] == '\n' ? n + 1 : n;
    }
}

static void add_counters(struct hws_task *task, Hawser__V1__InfoResponse *r)
{
    static const char *const names[HWS_N_COUNTERS] = {
        [HWS_COUNT_CALLS] = "calls",         [HWS_COUNT_OK] = "calls_ok",
        [HWS_COUNT_FAILED] = "calls_failed", [HWS_COUNT_DENIED] = "denied",
        [HWS_COUNT_MUTATIONS] = "mutations", [HWS_COUNT_REPEATED] = "repeated_requests",
        [HWS_COUNT_COMMANDS] = "commands",   [HWS_COUNT_TIMEOUTS] = "command_timeouts",
        [HWS_COUNT_DUMPS] = "dumps",         [HWS_COUNT_SECOND] = "device_process_refused",
    };

    r->counters = hws_arena_ptrs(&task->arena, MAX_COUNTERS);
    if (r->counters == NULL) {
        return;
    }
    for (size_t i = 0; i < HWS_N_COUNTERS; i++) {
        add_counter(task, r, "", names[i], strlen(names[i]), task->agent->counters[i]);
    }
    for (unsigned i = 0; i < HWS_N_REFUSALS; i++) {
        const char *name = hws_refusal_name((enum hws_refusal)i);
        add_counter(task, r, "refused.", name, strlen(name), task->agent->refusals[i]);
    }
    if (task->agent->store != NULL) {
        struct hws_store_stats stats;
        hws_store_stats(task->agent->store, &stats);
        add_counter(task, r, "", AUDIT_LOST, sizeof(AUDIT_LOST) - 1, stats.n_lost);
    }
    add_stats(task, r, task->agent->wire.stats);
}

static void info_run(struct hws_task *task)
{
    Hawser__V1__InfoResponse r = HAWSER__V1__INFO_RESPONSE__INIT;
    Hawser__V1__ProcessInfo *processes[4];
    struct hws_agent *agent = task->agent;
    char lockdown[32];

    hws_walls_lockdown(HWS_WALLS_LOCKDOWN, lockdown, sizeof(lockdown));
    r.lockdown = lockdown;
    r.secure_boot = hws_arena_str(&task->arena, hws_walls_secure_boot());
    r.kernel_taint = hws_walls_taint();
    r.taint_fwctl = (r.kernel_taint & HWS_WALLS_TAINT_FWCTL) != 0;
    r.processes = processes;
    add_self(task, &r);
    add_child(task, &r, &agent->children.wire);
    add_child(task, &r, &agent->children.device);
    r.host = agent->config.host;
    r.version = hws_arena_str(&task->arena, HWS_VERSION);
    r.build_id = agent->build_id;
    r.policy_hash = hws_svc_hex(task, hws_policy_hash(agent->policy));
    r.locks_hash = hws_svc_hex(task, &agent->barred.hash);
    r.policy_source = hws_arena_str(&task->arena, hws_rotation_source(&agent->rotation));
    r.policy_trial_left_ms = hws_rotation_left_ms(&agent->rotation);
    r.table_hash = hws_svc_hex(task, &agent->table_hash);
    r.state = hws_arena_str(&task->arena, hws_agent_state_name(agent->state));
    r.state_reason = agent->state_reason;
    r.uptime_ms = hws_agent_now(agent) - agent->started_ms;
    r.audit_seq = agent->store == NULL ? 0 : hws_store_audit_head(agent->store);
    add_counters(task, &r);
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_AGENT_INFO = {
    .request = &hawser__v1__info_request__descriptor,
    .prepare = nothing_to_check,
    .run = info_run,
};

/* ---- WhoAmI ---------------------------------------------------------------------------------- */

static void who_run(struct hws_task *task)
{
    Hawser__V1__WhoAmIResponse r = HAWSER__V1__WHO_AM_IRESPONSE__INIT;
    const char *names[MAX_RULES];
    char *rules[MAX_RULES];

    size_t n = hws_policy_rules_of(task->agent->policy, task->caller->principal, names, MAX_RULES);
    r.n_rules = n < MAX_RULES ? n : MAX_RULES;
    for (size_t i = 0; i < r.n_rules; i++) {
        rules[i] = hws_arena_str(&task->arena, names[i]);
    }
    r.rules = rules;
    r.principal = task->caller->principal;
    r.cert_serial = task->caller->serial;
    r.peer = task->caller->peer;
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_AGENT_WHO_AM_I = {
    .request = &hawser__v1__who_am_irequest__descriptor,
    .prepare = nothing_to_check,
    .run = who_run,
};

/* ---- Probe ----------------------------------------------------------------------------------- */

/* What is asked about, as the judge takes it; lives in the arena. */
struct probe {
    struct hws_policy_request req;
    char target[HWS_POLICY_NAME_MAX_BYTES + 1];
    struct hws_policy_device device;
};

static void probe_what(struct hws_task *task, const Hawser__V1__ProbeRequest *q, struct probe *p)
{
    struct hws_adapter *a = NULL;

    /* A device that is not here may still be asked about, by its id. */
    if (q->device[0] != '\0') {
        (void)!hws_devices_find(&task->agent->devices, q->device, &a, NULL);
    }
    struct hws_authorize_what what = {
        .device = hws_device_card(a),
        .effect = (enum hws_effect)q->effect,
        .fields = (const char *const *)q->fields,
        .n_fields = q->n_fields,
        .raw = q->raw,
        .unix_s = q->unix_s != 0 ? q->unix_s : hws_agent_unix_ms() / 1000,
        .approved = q->approved,
        .holds_lock = q->holds_lock,
    };
    hws_authorize_request(hws_method_find(q->method, strlen(q->method)), q->principal, &what,
                          &p->req);
    if (a == NULL) {
        hws_policy_device(q->device, &p->device, &p->req);
        p->req.device.part = q->part;
        p->req.device.psid = q->psid;
    }
}

static enum hws_code probe_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ProbeRequest *q = task->request;

    task->want.detail = hws_arena_printf(&task->arena, "may %s %s", q->principal, q->method);
    if (q->principal[0] == '\0') {
        hws_err_set(err, HWS_E_INVALID, "principal is required");
        return hws_svc_blame(task, "principal", err);
    }
    if (hws_method_find(q->method, strlen(q->method)) == NULL) {
        hws_err_set(err, HWS_E_INVALID, "no method \"%.100s\"", q->method);
        return hws_svc_blame(task, "method", err);
    }
    if (q->effect < 0 || (int)q->effect >= HWS_N_EFFECTS) {
        hws_err_set(err, HWS_E_INVALID, "effect must be one of EFFECT_READ..EFFECT_FULL");
        return hws_svc_blame(task, "effect", err);
    }
    struct probe *p = hws_arena_alloc(&task->arena, sizeof(*p));
    if (p == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    probe_what(task, q, p);
    task->work = p;
    if (hws_policy_object(q->target, p->target, sizeof(p->target), &p->req, err) != HWS_OK) {
        return hws_svc_blame(task, q->target[0] == '\0' ? "effect" : "target", err);
    }
    return HWS_OK;
}

static void add_verdicts(struct hws_task *task, const struct probe *p, Hawser__V1__ProbeResponse *r)
{
    const struct hws_policy *policy = task->agent->policy;
    size_t n = hws_policy_n_rules(policy);

    r->rules = hws_arena_ptrs(&task->arena, n);
    for (size_t i = 0; r->rules != NULL && i < n; i++) {
        Hawser__V1__RuleVerdict *out = hws_arena_alloc(&task->arena, sizeof(*out));
        struct hws_policy_verdict v;
        if (out == NULL) {
            return;
        }
        hws_policy_verdict(policy, i, &p->req, &v);
        hawser__v1__rule_verdict__init(out);
        out->rule = hws_arena_str(&task->arena, v.rule);
        out->line = v.line;
        out->deny = v.deny;
        out->matches = v.matches;
        out->why = hws_arena_str(&task->arena, v.why);
        r->rules[r->n_rules++] = out;
    }
}

static void probe_run(struct hws_task *task)
{
    Hawser__V1__ProbeResponse r = HAWSER__V1__PROBE_RESPONSE__INIT;
    const Hawser__V1__ProbeRequest *q = task->request;
    const struct probe *p = task->work;
    struct hws_policy_decision d;

    hws_policy_judge(task->agent->policy, &p->req, &d);
    r.allowed = d.allowed;
    r.rule = hws_arena_str(&task->arena, d.rule);
    r.line = d.line;
    r.reason = d.reason;
    const struct hws_bar *lock = hws_bars_lock(&task->agent->barred.bars, &p->req);
    if (d.allowed && lock != NULL) {
        r.allowed = false;
        hws_bar_text(lock, d.reason, sizeof(d.reason));
    }
    if (q->explain) {
        add_verdicts(task, p, &r);
    }
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_AGENT_PROBE = {
    .request = &hawser__v1__probe_request__descriptor,
    .prepare = probe_prepare,
    .run = probe_run,
};

/* ---- Reload ---------------------------------------------------------------------------------- */

static enum hws_code reload_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__ReloadRequest *q = task->request;
    (void)err;

    task->want.effect = HWS_EFFECT_CONFIG_LIVE;
    task->want.detail =
        hws_arena_printf(&task->arena, "%s, trial %u ms",
                         q->policy.len > 0 ? "pushed policy" : "policy file", q->trial_ms);
    hws_svc_mutation(task, q->mutation == NULL ? NULL : &q->mutation->base);
    return HWS_OK;
}

struct reload {
    struct hws_wire_reload wire;
    const char *serial; /* of the certificate in use; NULL: not asked */
    uint64_t ends_s;
};

static void reload_refused(struct hws_task *task, const struct hws_err *err)
{
    if (err->code == HWS_E_INVALID) {
        hws_audit_count_refusal(task->agent, HWS_REFUSAL_REQUEST, err->code);
    }
    task->outcome = HWS_INTENT_OLD;
    hws_task_fail(task, err);
}

/* The certificates, if they were to be read, are in use: now the policy. */
static void reload_policy(struct hws_task *task)
{
    Hawser__V1__ReloadResponse r = HAWSER__V1__RELOAD_RESPONSE__INIT;
    const Hawser__V1__ReloadRequest *q = task->request;
    const struct reload *x = task->work;
    struct hws_agent *agent = task->agent;
    bool pushed = q->policy.len > 0;
    struct hws_err err;

    enum hws_code code = pushed ? HWS_OK : hws_danger_read_trust(&agent->danger, &err);
    code = code == HWS_OK ? hws_rotation_change(&agent->rotation, pushed ? q->policy.data : NULL,
                                                q->policy.len, q->trial_ms, &err)
                          : code;
    if (code != HWS_OK) {
        reload_refused(task, &err);
        return;
    }
    if (!pushed) {
        hws_audit_keys_reload(agent);
    }
    r.policy_hash = hws_svc_hex(task, hws_policy_hash(agent->policy));
    r.trial_left_ms = hws_rotation_left_ms(&agent->rotation);
    r.policy_source = hws_arena_str(&task->arena, hws_rotation_source(&agent->rotation));
    r.certificate_serial = hws_arena_str(&task->arena, x->serial == NULL ? "" : x->serial);
    r.certificate_ends_s = x->ends_s;
    hws_svc_reply(task, &r.base);
}

static void certificates_read(void *data, const struct hws_link_reloaded *answer,
                              const struct hws_err *why)
{
    struct hws_task *task = data;
    struct reload *x = task->work;
    struct hws_err err;

    if (answer == NULL) {
        (void)hws_err_set(&err, HWS_E_GONE, "hawser-wire ended while it read its files: %.100s",
                          why->msg);
        reload_refused(task, &err);
        return;
    }
    if (answer->state == HWS_LINK_RELOADED_REFUSED) {
        (void)hws_err_set(
            &err, HWS_E_STATE, "certificates: %.*s; those in use stay, the policy was not read",
            (int)(answer->text.n < 190 ? answer->text.n : 190), (const char *)answer->text.bytes);
        reload_refused(task, &err);
        return;
    }
    if (answer->state == HWS_LINK_RELOADED_TAKEN) {
        x->serial = hws_arena_printf(&task->arena, "%.*s", (int)answer->text.n,
                                     (const char *)answer->text.bytes);
        x->ends_s = answer->ends_s;
    }
    reload_policy(task);
}

/* A pushed policy is about the policy alone; what is read from files is read together. */
static void reload_run(struct hws_task *task)
{
    const Hawser__V1__ReloadRequest *q = task->request;
    struct reload *x = hws_arena_alloc(&task->arena, sizeof(*x));
    struct hws_err err;

    if (x == NULL) {
        (void)hws_err_set(&err, HWS_E_NOMEM, "out of memory");
        reload_refused(task, &err);
        return;
    }
    task->work = x;
    x->wire = (struct hws_wire_reload){.done = certificates_read, .data = task};
    if (q->policy.len > 0 || hws_wire_reload(&task->agent->wire, &x->wire, &err) != HWS_OK) {
        reload_policy(task); /* hawser-wire reads the files when it starts */
    }
}

const struct hws_handler hws_handler_AGENT_RELOAD = {
    .request = &hawser__v1__reload_request__descriptor,
    .prepare = reload_prepare,
    .run = reload_run,
    .repeated_field = 2,
};

/* ---- Finalize -------------------------------------------------------------------------------- */

static enum hws_code finalize_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__FinalizeRequest *q = task->request;

    task->want.effect = HWS_EFFECT_CONFIG_LIVE;
    task->want.detail = hws_arena_printf(&task->arena, "%s %.64s",
                                         q->roll_back ? "roll back" : "finalize", q->policy_hash);
    hws_svc_mutation(task, q->mutation == NULL ? NULL : &q->mutation->base);
    if (!q->roll_back && q->policy_hash[0] == '\0') {
        hws_err_set(err, HWS_E_INVALID, "policy_hash is required: the answer to Reload has it");
        return hws_svc_blame(task, "policy_hash", err);
    }
    return HWS_OK;
}

static void finalize_run(struct hws_task *task)
{
    Hawser__V1__FinalizeResponse r = HAWSER__V1__FINALIZE_RESPONSE__INIT;
    const Hawser__V1__FinalizeRequest *q = task->request;
    struct hws_rotation *rotation = &task->agent->rotation;
    struct hws_err err;

    enum hws_code code = q->roll_back
                             ? hws_rotation_roll_back(rotation, task->caller->principal, &err)
                             : hws_rotation_finalize(rotation, q->policy_hash, &err);
    if (code != HWS_OK) {
        task->outcome = HWS_INTENT_OLD;
        hws_task_fail(task, &err);
        return;
    }
    r.policy_hash = hws_svc_hex(task, hws_policy_hash(task->agent->policy));
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_AGENT_FINALIZE = {
    .request = &hawser__v1__finalize_request__descriptor,
    .prepare = finalize_prepare,
    .run = finalize_run,
    .repeated_field = 2,
};
