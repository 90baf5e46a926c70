/*
 * The engine's loop: next action, journal or step; results; time.
 *
 * Happy path: pump -> JOURNAL -> on disk -> pump -> PLAN, APPLY, CHECK ... -> results -> pump ->
 * ... -> FINISHED. Where it goes wrong: the journal cannot be written (nothing more is begun;
 * finished is told the error), or memory is short (the same: the journal is the truth, and a resume
 * goes on).
 */
#include "fleet/engine.h"

#include <string.h>

#include "base/mem.h"
#include "fleet/engine_priv.h"

static void pump(struct hws_fleet *f);

/* ---- the end ---- */

static void maybe_closed(struct hws_fleet *f)
{
    if (!f->closing || f->n_work > 0 || f->timer_open || f->journaling) {
        return;
    }
    void (*closed)(void *data) = f->closed;
    f->closing = false;
    hws_mem_free(f->work);
    f->work = NULL;
    if (closed != NULL) {
        closed(f->closed_data);
    }
}

static void end(struct hws_fleet *f, const struct hws_err *err)
{
    if (f->ended || f->closing) {
        return;
    }
    f->ended = true;
    (void)uv_timer_stop(&f->timer);
    f->o.finished(f->o.data, err);
}

/* ---- work ---- */

static void work_part_closed(struct hws_fleet_work *w)
{
    struct hws_fleet *f = w->fleet;

    if (--w->n_open > 0) {
        return;
    }
    hws_client_call_deinit(&w->call);
    hws_mem_free(w);
    f->n_work--;
    maybe_closed(f);
}

static void client_closed(void *data)
{
    work_part_closed(data);
}

static void timer_closed(uv_handle_t *handle)
{
    work_part_closed(handle->data);
}

static void drop_work(struct hws_fleet_work *w)
{
    w->fleet->work[w->member] = NULL;
    w->closing = true;
    uv_close((uv_handle_t *)&w->timer, timer_closed);
    if (w->client != NULL) {
        hws_client_close(w->client, client_closed, w);
    }
}

/* The member's connection, made when it has none. NULL with err set. */
static struct hws_fleet_work *work_for(struct hws_fleet *f, size_t member, struct hws_err *err)
{
    const struct hws_client_options options = {
        .target = f->o.rollout->plan.targets[member].target,
        .creds = f->o.creds,
        .server_identity = f->o.server_identity,
        .default_timeout_ms = f->o.call_timeout_ms,
    };
    struct hws_client_status status;

    if (f->work[member] != NULL) {
        return f->work[member];
    }
    struct hws_fleet_work *w = hws_mem_zalloc(1, sizeof(*w));
    if (w == NULL || uv_timer_init(f->o.loop, &w->timer) != 0) {
        hws_mem_free(w);
        (void)hws_err_set(err, HWS_E_NOMEM, "no memory for an adapter's work");
        return NULL;
    }
    w->fleet = f;
    w->member = member;
    w->timer.data = w;
    w->n_open = 1;
    f->n_work++;
    f->work[member] = w;
    if (hws_client_open(f->o.loop, &options, &w->client, &status) != HWS_CLIENT_OK) {
        (void)hws_err_set(err, HWS_E_INVALID, "host %s: %.160s",
                          f->o.rollout->plan.targets[member].host, status.message);
        w->client = NULL;
        drop_work(w);
        return NULL;
    }
    w->n_open = 2;
    return w;
}

static void on_retry(uv_timer_t *timer)
{
    struct hws_fleet_work *w = timer->data;

    if (!w->closing && !w->calling) {
        hws_fleet__step_again(w);
    }
}

bool hws_fleet__retry(struct hws_fleet_work *w)
{
    if (uv_now(w->fleet->o.loop) >= w->give_up_ms) {
        return false;
    }
    (void)uv_timer_start(&w->timer, on_retry, HWS_FLEET_RETRY_MS, 0);
    return true;
}

/* ---- results ---- */

/* After a result: an adapter that has ended needs its connection no more. */
static void after(struct hws_fleet_work *w, enum hws_code rc, const struct hws_err *err)
{
    struct hws_fleet *f = w->fleet;
    size_t member = w->member;
    const struct hws_rollout_member *m = &f->o.rollout->members[member];

    if (rc != HWS_OK) {
        end(f, err);
        return;
    }
    bool in_flight = m->state == HWS_ROLLOUT_APPLYING || m->state == HWS_ROLLOUT_SETTLING ||
                     (m->state == HWS_ROLLOUT_UNKNOWN && !m->given_up);
    if (!in_flight) {
        drop_work(w);
    }
    if (f->o.changed != NULL) {
        f->o.changed(f->o.data, member);
    }
    pump(f);
}

void hws_fleet__planned(struct hws_fleet_work *w, const struct hws_rollout_planned *planned,
                        const struct hws_rollout_cause *cause)
{
    struct hws_err err;
    enum hws_code rc = hws_rollout_plan_result(w->fleet->o.rollout, w->member, planned, cause,
                                               uv_now(w->fleet->o.loop), &err);

    after(w, rc, &err);
}

void hws_fleet__applied(struct hws_fleet_work *w, const struct hws_rollout_cause *cause)
{
    struct hws_err err;
    enum hws_code rc = hws_rollout_apply_result(w->fleet->o.rollout, w->member, cause,
                                                uv_now(w->fleet->o.loop), &err);

    after(w, rc, &err);
}

void hws_fleet__checked(struct hws_fleet_work *w, enum hws_rollout_health health,
                        const struct hws_rollout_cause *cause)
{
    struct hws_err err;
    enum hws_code rc = hws_rollout_check_result(w->fleet->o.rollout, w->member, health, cause,
                                                uv_now(w->fleet->o.loop), &err);

    after(w, rc, &err);
}

/* ---- the loop ---- */

static void journaled(void *data, const struct hws_err *err)
{
    struct hws_fleet *f = data;

    f->journaling = false;
    if (f->closing) {
        maybe_closed(f);
        return;
    }
    if (err != NULL) {
        end(f, err);
        return;
    }
    pump(f);
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void wait_for_deadline(struct hws_fleet *f)
{
    uint64_t at_ms = hws_rollout_deadline(f->o.rollout);
    uint64_t now_ms = uv_now(f->o.loop);

    if (at_ms == UINT64_MAX) {
        (void)uv_timer_stop(&f->timer);
        return;
    }
    (void)uv_timer_start(&f->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

/* Does one action. False: nothing more can be done now. */
static bool act(struct hws_fleet *f, const struct hws_rollout_action *a, struct hws_err *err)
{
    struct hws_fleet_work *w = NULL;

    switch (a->what) {
    case HWS_ROLLOUT_DO_JOURNAL:
        f->journaling = hws_fleet_journal_append(f->o.journal, a->bytes, a->n_bytes, journaled, f,
                                                 err) == HWS_OK;
        if (!f->journaling) {
            end(f, err);
        }
        return false;
    case HWS_ROLLOUT_DO_PLAN:
    case HWS_ROLLOUT_DO_APPLY:
    case HWS_ROLLOUT_DO_CHECK:
        w = work_for(f, a->member, err);
        if (w == NULL) {
            end(f, err);
            return false;
        }
        w->what = a->what;
        memcpy(w->request_id, a->request_id, sizeof(w->request_id));
        if (f->o.changed != NULL && a->what != HWS_ROLLOUT_DO_CHECK) {
            f->o.changed(f->o.data, a->member);
        }
        hws_fleet__step_begin(w);
        return true;
    case HWS_ROLLOUT_DO_FINISHED:
        end(f, NULL);
        return false;
    case HWS_ROLLOUT_DO_NONE:
        break;
    }
    wait_for_deadline(f);
    return false;
}

static void pump(struct hws_fleet *f)
{
    struct hws_rollout_action a;
    struct hws_err err;
    bool more = true;

    while (more && !f->journaling && !f->ended && !f->closing) {
        if (hws_rollout_next(f->o.rollout, uv_now(f->o.loop), &a, &err) != HWS_OK) {
            end(f, &err);
            return;
        }
        more = act(f, &a, &err);
    }
}

/* ---- open and close ---- */

enum hws_code hws_fleet_open(struct hws_fleet *f, const struct hws_fleet_options *options,
                             struct hws_err *err)
{
    memset(f, 0, sizeof(*f));
    f->o = *options;
    f->work = hws_mem_zalloc(options->rollout->plan.n_targets, sizeof(struct hws_fleet_work *));
    if (f->work == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for the fleet");
    }
    if (uv_timer_init(options->loop, &f->timer) != 0) {
        hws_mem_free(f->work);
        f->work = NULL;
        return hws_err_set(err, HWS_E_IO, "no timer");
    }
    f->timer.data = f;
    f->timer_open = true;
    (void)uv_timer_start(&f->timer, on_timer, 0, 0);
    return HWS_OK;
}

void hws_fleet_pause(struct hws_fleet *f, const char *reason)
{
    struct hws_err err;

    if (f->ended || f->closing) {
        return;
    }
    if (hws_rollout_pause(f->o.rollout, reason, uv_now(f->o.loop), &err) != HWS_OK) {
        end(f, &err);
        return;
    }
    pump(f);
}

static void fleet_timer_closed(uv_handle_t *handle)
{
    struct hws_fleet *f = handle->data;

    f->timer_open = false;
    maybe_closed(f);
}

void hws_fleet_close(struct hws_fleet *f, void (*closed)(void *data), void *data)
{
    f->closing = true;
    f->closed = closed;
    f->closed_data = data;
    for (size_t i = 0; i < f->o.rollout->plan.n_targets; i++) {
        if (f->work[i] != NULL) {
            drop_work(f->work[i]);
        }
    }
    uv_close((uv_handle_t *)&f->timer, fleet_timer_closed);
}
