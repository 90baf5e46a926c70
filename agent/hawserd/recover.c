/*
 * Ending what was cut off between intent and outcome. One intent at a time.
 *
 * Happy path: list -> wait for the adapter -> read back -> compare -> end in the store -> next.
 * Failures: the adapter never comes (the intent stays open and its adapter refuses changes); the
 * card cannot be read (stuck).
 */
#include "hawserd/recover.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/convert.h"
#include "hawserd/svc_config.h"
#include "hawserd/task.h"

HWS_STEPPER(read, hws_nv_get, hws_nv_get)

enum hws_code hws_recover_describe(struct hws_task *task, const struct hws_nv_setting *settings,
                                   size_t n, const struct hws_digest *revision, struct hws_err *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += strlen(settings[i].name) + strlen(settings[i].value) + 2;
    }
    uint8_t *state = hws_arena_alloc(&task->arena, bytes + HWS_DIGEST_BYTES);
    if (state == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    uint8_t *at = state;
    for (size_t i = 0; i < n; i++) {
        size_t n_name = strlen(settings[i].name) + 1;
        size_t n_value = strlen(settings[i].value) + 1;
        memcpy(at, settings[i].name, n_name);
        memcpy(at + n_name, settings[i].value, n_value);
        at += n_name + n_value;
    }
    task->want.new_state.bytes = state;
    task->want.new_state.n = bytes;
    if (revision != NULL) {
        memcpy(at, revision->b, HWS_DIGEST_BYTES);
        task->want.old_state.bytes = at;
        task->want.old_state.n = HWS_DIGEST_BYTES;
    }
    return HWS_OK;
}

/* ---- one intent ------------------------------------------------------------------------------ */

static const struct hws_intent *current(const struct hws_recover *r)
{
    return &r->list.intents[r->next_idx];
}

/* Splits new_state into names and values. False if it is not of settings, or of too many. */
static bool split(struct hws_recover *r, const struct hws_intent *intent)
{
    const char *at = (const char *)intent->new_state.bytes;
    const char *end = at + intent->new_state.n;

    r->n_names = 0;
    while (at < end) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        const char *value = nul == NULL ? NULL : nul + 1;
        const char *nul2 =
            value == NULL || value >= end ? NULL : memchr(value, '\0', (size_t)(end - value));
        if (nul2 == NULL || r->n_names == HWS_RECOVER_MAX) {
            return false;
        }
        r->names[r->n_names] = at;
        r->values[r->n_names++] = value;
        at = nul2 + 1;
    }
    return r->n_names > 0;
}

/* True if the next boot has the wanted text of every setting. */
static bool has_all_wanted(const struct hws_recover *r)
{
    for (size_t i = 0; i < r->get.n_values; i++) {
        struct hws_nv_value v;
        char wanted[HWS_NV_VALUE_BYTES];
        uint32_t raw;
        hws_nv_get_value(&r->get, i, &v);
        if (r->values[i][0] == '\0') {
            hws_str_copy(wanted, sizeof(wanted), v.default_value);
        } else if (hws_nv_param_parse(v.param, r->values[i], &raw, NULL) == HWS_OK) {
            hws_nv_param_format(v.param, raw, wanted, sizeof(wanted));
        } else {
            return false;
        }
        if (v.supported && !hws_str_eq(wanted, v.next_boot)) {
            return false;
        }
    }
    return true;
}

static enum hws_intent_state compare(struct hws_recover *r, const struct hws_intent *intent)
{
    const struct hws_span *old = &intent->old_state;

    if (has_all_wanted(r)) {
        hws_str_copy(r->detail, sizeof(r->detail), "read back after a restart: the new values");
        return HWS_INTENT_NEW;
    }
    if (old->n == HWS_DIGEST_BYTES && memcmp(old->bytes, r->get.revision.b, old->n) == 0) {
        hws_str_copy(r->detail, sizeof(r->detail), "read back after a restart: the old values");
        return HWS_INTENT_OLD;
    }
    hws_str_copy(r->detail, sizeof(r->detail),
                 "read back after a restart: neither the old nor the new values; read the "
                 "settings and apply what is wanted");
    return HWS_INTENT_STUCK;
}

static void mark_adapters(struct hws_recover *r)
{
    struct hws_devices *d = &r->agent->devices;

    for (size_t i = 0; i < d->n; i++) {
        d->adapters[i]->recovering = hws_recover_concerns(r, d->adapters[i]);
    }
}

static void ended(struct hws_store_job *job)
{
    struct hws_recover *r = job->data;
    const struct hws_intent *intent = current(r);
    struct hws_log_q device;

    hws_log("recovered", "operation=%llu adapter=%s outcome=%s stored=%s",
            (unsigned long long)intent->operation_id, hws_log_q(&device, intent->record.device),
            hws_intent_state_name(r->end.state), hws_code_name(job->err.code));
    r->resolved[r->next_idx] = true;
    r->n_left--;
    r->busy = false;
    hws_store_job_deinit(job);
    mark_adapters(r);
    r->due = true;
}

/* What a repeat of the request will get: its own answer if the change turned out done, else what
 * was found. */
static void make_answer(struct hws_recover *r, struct hws_store_end *e)
{
    struct hws_err err;

    hws_buf_deinit(&r->answer);
    hws_buf_init(&r->answer, HWS_LINK_CALL_MAX_MESSAGE);
    if (e->state == HWS_INTENT_NEW &&
        hws_svc_config_recovered(&r->get, e->operation_id, &r->answer) == HWS_OK) {
        e->status = HWS_RPC_OK;
    } else {
        hws_buf_reset(&r->answer);
        hws_err_set(&err, HWS_E_CONFLICT, "%s", r->detail);
        e->status = HWS_RPC_ABORTED;
        if (hws_convert_details(&err, NULL, &r->answer) != HWS_OK) {
            hws_buf_reset(&r->answer);
        }
    }
    e->answer.bytes = hws_buf_peek(&r->answer);
    e->answer.n = hws_buf_len(&r->answer);
    e->code = hws_convert_name((enum hws_rpc_code)e->status);
}

static void end_as(struct hws_recover *r, enum hws_intent_state state)
{
    struct hws_store_end *e = &r->end;
    struct hws_err err;

    hws_store_end_init(e);
    e->job.cb = ended;
    e->job.data = r;
    e->operation_id = current(r)->operation_id;
    e->state = state;
    e->unix_ms = hws_agent_unix_ms();
    e->detail = r->detail;
    make_answer(r, e);
    if (hws_store_submit(r->agent->store, &e->job, &err) != HWS_OK) {
        /* It stays open; the next start looks again. */
        struct hws_log_q q;
        hws_log("recovery_not_stored", "reason=%s", hws_log_q(&q, err.msg));
    }
}

static void read_done(struct hws_run *run)
{
    struct hws_recover *r = run->data;

    if (run->err.code == HWS_E_GONE || run->err.code == HWS_E_CANCELED) {
        struct hws_log_q q;
        hws_log("recovery_waits", "reason=%s", hws_log_q(&q, run->err.msg));
        r->busy = false; /* the adapter went away: again when it is back */
        return;
    }
    if (run->err.code != HWS_OK) {
        hws_str_print(r->detail, sizeof(r->detail),
                      "after a restart the card could not be read: %s", run->err.msg);
        end_as(r, HWS_INTENT_STUCK);
        return;
    }
    end_as(r, compare(r, current(r)));
}

static struct hws_adapter *adapter_of(struct hws_recover *r, const struct hws_intent *intent)
{
    struct hws_adapter *a;

    if (hws_devices_find(&r->agent->devices, intent->record.device, &a, NULL) != HWS_OK) {
        return NULL;
    }
    return a->state == HWS_DEVICE_READY ? a : NULL;
}

static void read_back(struct hws_recover *r, struct hws_adapter *a)
{
    struct hws_stepper s = {read_next, read_feed, &r->get.err, &r->get};
    struct hws_err err;

    if (!split(r, current(r)) || hws_nv_get_init(&r->get, r->names, r->n_names, &err) != HWS_OK) {
        hws_str_copy(r->detail, sizeof(r->detail),
                     "cut off by a restart; its effect cannot be read back by the agent: look at "
                     "what it was to change");
        end_as(r, HWS_INTENT_STUCK);
        return;
    }
    r->run.done = read_done;
    r->run.data = r;
    r->run.deadline_ms = UINT64_MAX;
    r->run.queue_deadline_ms = UINT64_MAX;
    if (hws_run_start(&r->run, a, HWS_SCHED_READ, "hawserd", &s, &err) != HWS_OK) {
        r->busy = false;
    }
}

void hws_recover_turn(struct hws_recover *r)
{
    r->due = false;
    if (!r->loaded || r->busy || r->n_left == 0 || r->agent->store == NULL) {
        return;
    }
    for (size_t i = 0; i < r->list.n_intents; i++) {
        const struct hws_intent *intent = &r->list.intents[i];
        struct hws_adapter *a = NULL;
        if (r->resolved[i]) {
            continue;
        }
        bool about_agent = intent->record.device == NULL || intent->record.device[0] == '\0';
        if (!about_agent && (a = adapter_of(r, intent)) == NULL) {
            continue;
        }
        r->next_idx = i;
        r->busy = true;
        read_back(r, a);
        return;
    }
}

/* ---- the list -------------------------------------------------------------------------------- */

static void listed(struct hws_store_job *job)
{
    struct hws_recover *r = job->data;

    r->loading = false;
    if (job->err.code != HWS_OK) {
        struct hws_log_q q;
        hws_log("recovery_list_failed", "reason=%s", hws_log_q(&q, job->err.msg));
        hws_agent_be_safe(r->agent, job->err.msg);
        return;
    }
    r->resolved = hws_mem_zalloc(r->list.n_intents + 1, sizeof(*r->resolved));
    if (r->resolved == NULL) {
        hws_agent_be_safe(r->agent, "out of memory for recovery");
        return;
    }
    for (size_t i = 0; i < r->list.n_intents; i++) {
        /* What is stuck waits for a person; it holds up nothing but its own request id. */
        r->resolved[i] = r->list.intents[i].state != HWS_INTENT_OPEN;
        r->n_left += r->resolved[i] ? 0 : 1;
    }
    r->loaded = true;
    mark_adapters(r);
    r->due = true;
}

enum hws_code hws_recover_start(struct hws_recover *r, struct hws_agent *agent, struct hws_err *err)
{
    r->agent = agent;
    hws_store_intents_init(&r->list);
    r->list.job.cb = listed;
    r->list.job.data = r;
    enum hws_code code = hws_store_submit(agent->store, &r->list.job, err);
    r->loading = code == HWS_OK;
    return code;
}

bool hws_recover_concerns(const struct hws_recover *r, const struct hws_adapter *a)
{
    if (!r->loaded) {
        return r->loading;
    }
    for (size_t i = 0; i < r->list.n_intents; i++) {
        const char *device = r->list.intents[i].record.device;
        if (!r->resolved[i] && device != NULL && strstr(device, a->port->pci) != NULL) {
            return true;
        }
    }
    return false;
}

void hws_recover_deinit(struct hws_recover *r)
{
    if (r->loaded) {
        hws_store_job_deinit(&r->list.job);
    }
    hws_mem_free(r->resolved);
    hws_buf_deinit(&r->answer);
    r->resolved = NULL;
}
