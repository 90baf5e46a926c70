/*
 * Ending what was cut off between intent and outcome. One intent at a time.
 *
 * Happy path: list -> wait for the adapter -> read its records, put a mixture back -> read the
 * values for the answer -> end in the store -> next.
 * Failures: the adapter never comes (the intent stays open and its adapter refuses changes); it
 * goes away on the way (from the beginning when it is back: the steps may be repeated); the card
 * cannot be read (stuck).
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
#include "hawserd/walls.h"

HWS_STEPPER(settle, hws_nv_recover, hws_nv_recover)
HWS_STEPPER(read, hws_nv_get, hws_nv_get)

enum hws_code hws_recover_describe(struct hws_task *task, const struct hws_nv_setting *settings,
                                   size_t n, struct hws_err *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += strlen(settings[i].name) + strlen(settings[i].value) + 2;
    }
    uint8_t *state = hws_arena_alloc(&task->arena, bytes);
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
    return HWS_OK;
}

/* ---- one intent ------------------------------------------------------------------------------ */

static const struct hws_intent *current(const struct hws_recover *r)
{
    return &r->list.intents[r->next_idx];
}

/* Takes the names out of new_state. False if it is not of settings, or of too many. */
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
        if (nul2 == NULL || r->n_names == HWS_NV_MAX_PARAMS) {
            return false;
        }
        r->names[r->n_names++] = at;
        at = nul2 + 1;
    }
    return r->n_names > 0;
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
    if (job->err.code != HWS_OK && job->err.code != HWS_E_STATE) {
        hws_late_take(&r->agent->late, &r->end); /* what the card holds is known */
    }
    r->resolved[r->next_idx] = true;
    r->n_left--;
    r->busy = false;
    hws_store_job_deinit(job);
    hws_mem_free(r->step);
    r->step = NULL;
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
    if (e->state == HWS_INTENT_NEW && r->get.n_values > 0 &&
        hws_svc_config_recovered(&r->get, e->operation_id, &r->answer) == HWS_OK) {
        e->status = HWS_RPC_OK;
    } else {
        hws_buf_reset(&r->answer);
        hws_err_set(&err, HWS_E_CONFLICT, "%s", r->detail);
        e->status = HWS_RPC_ABORTED;
        if (hws_convert_details(&err, NULL, 0, &r->answer) != HWS_OK) {
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
    e->taint_after = hws_walls_taint();
    e->detail = r->detail;
    make_answer(r, e);
    if (hws_store_submit(r->agent->store, &e->job, &err) != HWS_OK) {
        e->job.err = err;
        ended(&e->job);
    }
}

/* True if the adapter went away: again from the beginning when it is back. */
static bool must_wait(struct hws_recover *r, const struct hws_err *err)
{
    struct hws_log_q q;

    if (err->code != HWS_E_GONE && err->code != HWS_E_CANCELED) {
        return false;
    }
    hws_log("recovery_waits", "reason=%s", hws_log_q(&q, err->msg));
    hws_mem_free(r->step);
    r->step = NULL;
    r->busy = false;
    return true;
}

static void read_done(struct hws_run *run)
{
    struct hws_recover *r = run->data;

    if (run->err.code != HWS_OK && must_wait(r, &run->err)) {
        return;
    }
    if (run->err.code != HWS_OK) {
        r->get.n_values = 0; /* the records are proved; only the answer cannot list the values */
    }
    end_as(r, HWS_INTENT_NEW);
}

/* The new values are there: what the change would have answered. */
static void read_values(struct hws_recover *r)
{
    struct hws_stepper s = {read_next, read_feed, &r->get.err, &r->get};
    struct hws_err err;

    r->run.done = read_done;
    if (hws_nv_get_init(&r->get, r->names, r->n_names, &err) != HWS_OK) {
        r->get.n_values = 0;
        end_as(r, HWS_INTENT_NEW);
    } else if (hws_run_start(&r->run, r->run.adapter, HWS_SCHED_READ, "hawserd", &s, &err) !=
               HWS_OK) {
        r->run.err = err;
        read_done(&r->run);
    }
}

static void settled(struct hws_run *run)
{
    struct hws_recover *r = run->data;

    if (run->err.code != HWS_OK && must_wait(r, &run->err)) {
        return;
    }
    if (run->err.code != HWS_OK) {
        hws_str_print(r->detail, sizeof(r->detail), "looked at again: %.100s (%.120s)",
                      run->err.msg, r->step->detail);
        end_as(r, HWS_INTENT_STUCK);
        return;
    }
    hws_str_print(r->detail, sizeof(r->detail), "cut off, then looked at again: %s",
                  r->step->detail);
    if (r->step->outcome == HWS_NV_APPLIED) {
        read_values(r);
        return;
    }
    end_as(r, HWS_INTENT_OLD);
}

static struct hws_adapter *adapter_of(struct hws_recover *r, const struct hws_intent *intent)
{
    struct hws_adapter *a;

    if (hws_devices_find(&r->agent->devices, intent->record.device, &a, NULL) != HWS_OK) {
        return NULL;
    }
    return a->state == HWS_DEVICE_READY && a->n_hung == 0 ? a : NULL;
}

/* Reads the card against what the change wrote down before its first write. */
static void settle(struct hws_recover *r, struct hws_adapter *a)
{
    const struct hws_span *journal = &current(r)->old_state;
    struct hws_err err;

    r->step = hws_mem_zalloc(1, sizeof(*r->step));
    if (r->step == NULL) {
        r->busy = false;
        return;
    }
    struct hws_stepper s = {settle_next, settle_feed, &r->step->err, r->step};
    if (hws_nv_recover_init(r->step, journal->bytes, journal->n, &err) != HWS_OK) {
        hws_str_print(r->detail, sizeof(r->detail), "cut off: %s", err.msg);
        end_as(r, HWS_INTENT_STUCK);
        return;
    }
    r->run.done = settled;
    r->run.data = r;
    r->run.deadline_ms = UINT64_MAX;
    r->run.queue_deadline_ms = UINT64_MAX;
    if (hws_run_start(&r->run, a, HWS_SCHED_WRITE, "hawserd", &s, &err) != HWS_OK) {
        hws_mem_free(r->step);
        r->step = NULL;
        r->busy = false;
    }
}

static void look_at(struct hws_recover *r, struct hws_adapter *a)
{
    if (!split(r, current(r))) {
        hws_str_copy(r->detail, sizeof(r->detail),
                     "cut off by a restart; its effect cannot be read back by the agent: look at "
                     "what it was to change");
        end_as(r, HWS_INTENT_STUCK);
        return;
    }
    if (current(r)->old_state.n == 0) {
        hws_str_copy(r->detail, sizeof(r->detail),
                     "cut off by a restart before its first write: nothing was changed");
        end_as(r, HWS_INTENT_VOID);
        return;
    }
    settle(r, a);
}

/* ---- the list -------------------------------------------------------------------------------- */

/* True if the operation runs in this keeper and will end its intent itself, or has. */
static bool runs_here(const struct hws_recover *r, uint64_t operation_id)
{
    if (hws_late_has(&r->agent->late, operation_id)) {
        return true;
    }
    HWS_LIST_FOREACH (it, tmp, &r->agent->ops) {
        const struct hws_task *task = hws_container_of(it, struct hws_task, link);
        if (task->operation_id == operation_id && !task->handed_over) {
            return true;
        }
    }
    return false;
}

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
        const struct hws_intent *intent = &r->list.intents[i];
        r->resolved[i] = intent->state != HWS_INTENT_OPEN || runs_here(r, intent->operation_id);
        r->n_left += r->resolved[i] ? 0 : 1;
    }
    r->loaded = true;
    mark_adapters(r);
    r->due = true;
}

static enum hws_code submit_list(struct hws_recover *r, struct hws_err *err)
{
    hws_store_intents_init(&r->list);
    r->list.job.cb = listed;
    r->list.job.data = r;
    enum hws_code code = hws_store_submit(r->agent->store, &r->list.job, err);
    r->loading = code == HWS_OK;
    return code;
}

/* Again, with what was taken over since. */
static void load(struct hws_recover *r)
{
    struct hws_err err;

    if (r->loaded) {
        hws_store_job_deinit(&r->list.job);
        hws_mem_free(r->resolved);
        r->resolved = NULL;
        r->loaded = false;
        r->n_left = 0;
    }
    r->reload = submit_list(r, &err) != HWS_OK;
    r->due = r->reload;
}

enum hws_code hws_recover_start(struct hws_recover *r, struct hws_agent *agent, struct hws_err *err)
{
    r->agent = agent;
    return submit_list(r, err);
}

void hws_recover_take(struct hws_recover *r, struct hws_adapter *a)
{
    a->recovering = true;
    r->reload = true;
    r->due = true;
}

/* ---- turns ----------------------------------------------------------------------------------- */

void hws_recover_turn(struct hws_recover *r)
{
    r->due = false;
    if (r->agent == NULL || r->agent->store == NULL || r->busy || r->loading) {
        return;
    }
    if (r->reload) {
        load(r);
        return;
    }
    if (!r->loaded || r->n_left == 0) {
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
        look_at(r, a);
        return;
    }
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
    hws_mem_free(r->step);
    hws_mem_free(r->resolved);
    hws_buf_deinit(&r->answer);
    r->resolved = NULL;
}
