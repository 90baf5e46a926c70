/* Ends of changes, stored later. */
#include "hawserd/late.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"

/* One end; its texts and bytes follow it. */
struct late_end {
    struct hws_list link;
    struct hws_late *late;
    struct hws_store_end end;
    char code[32];
    char detail[HWS_RECORD_TEXT_MAX_BYTES];
    uint8_t answer[];
};

void hws_late_open(struct hws_late *l, struct hws_agent *agent)
{
    l->agent = agent;
    hws_list_init(&l->ends);
    (void)uv_timer_init(&agent->loop, &l->timer);
    l->timer.data = l;
    l->open = true;
}

void hws_late_close(struct hws_late *l)
{
    if (l->open) {
        l->open = false;
        uv_close((uv_handle_t *)&l->timer, NULL);
    }
}

static void on_timer(uv_timer_t *timer)
{
    hws_late_try(timer->data);
}

static void try_later(struct hws_late *l)
{
    if (l->open && uv_is_active((uv_handle_t *)&l->timer) == 0) {
        (void)uv_timer_start(&l->timer, on_timer, HWS_LATE_AGAIN_MS, 0);
    }
}

static void tell(const struct late_end *e, const char *event, const struct hws_err *err)
{
    struct hws_log_q q;

    hws_log(event, "operation=%llu outcome=%s result=%s reason=%s",
            (unsigned long long)e->end.operation_id, hws_intent_state_name(e->end.state),
            hws_code_name(err->code), hws_log_q(&q, err->msg));
}

static void forget(struct late_end *e)
{
    hws_list_remove(&e->link);
    hws_store_job_deinit(&e->end.job);
    hws_mem_free(e);
}

static void stored(struct hws_store_job *job)
{
    struct late_end *e = job->data;
    struct hws_late *l = e->late;
    enum hws_code code = job->err.code;

    l->storing = false;
    /* NOT_FOUND and STATE: a commit that was in doubt had been done after all. */
    if (code == HWS_OK || code == HWS_E_STATE || code == HWS_E_NOT_FOUND) {
        tell(e, "outcome_stored_late", &job->err);
        forget(e);
        hws_late_try(l);
        return;
    }
    try_later(l);
}

void hws_late_try(struct hws_late *l)
{
    struct hws_err err;

    if (l->storing || hws_list_empty(&l->ends)) {
        return;
    }
    struct late_end *e = hws_container_of(l->ends.next, struct late_end, link);
    l->storing = hws_store_submit(l->agent->store, &e->end.job, &err) == HWS_OK;
    if (!l->storing && err.code != HWS_E_GONE) {
        try_later(
            l); /* a store that is gone takes nothing before the next start, which looks again */
    }
}

void hws_late_take(struct hws_late *l, const struct hws_store_end *end)
{
    struct late_end *e = hws_mem_zalloc(1, sizeof(*e) + end->answer.n);

    if (e == NULL) {
        hws_log("outcome_not_kept", "operation=%llu reason=\"out of memory\"",
                (unsigned long long)end->operation_id);
        return;
    }
    e->late = l;
    hws_store_end_init(&e->end);
    e->end.job.cb = stored;
    e->end.job.data = e;
    e->end.operation_id = end->operation_id;
    e->end.state = end->state;
    e->end.unix_ms = end->unix_ms;
    e->end.status = end->status;
    e->end.taint_after = end->taint_after;
    (void)hws_str_copy(e->code, sizeof(e->code), end->code);
    (void)hws_str_copy(e->detail, sizeof(e->detail), end->detail == NULL ? "" : end->detail);
    if (end->answer.n > 0) {
        memcpy(e->answer, end->answer.bytes, end->answer.n);
    }
    e->end.code = e->code;
    e->end.detail = e->detail;
    e->end.answer = (struct hws_span){e->answer, end->answer.n};
    hws_list_push(&l->ends, &e->link);
    try_later(l);
}

bool hws_late_has(const struct hws_late *l, uint64_t operation_id)
{
    if (l->agent == NULL) {
        return false;
    }
    HWS_LIST_FOREACH (it, tmp, &l->ends) {
        if (hws_container_of(it, struct late_end, link)->end.operation_id == operation_id) {
            return true;
        }
    }
    return false;
}

void hws_late_deinit(struct hws_late *l)
{
    struct hws_list *it;

    while (l->agent != NULL && (it = hws_list_pop(&l->ends)) != NULL) {
        struct late_end *e = hws_container_of(it, struct late_end, link);
        hws_store_job_deinit(&e->end.job);
        hws_mem_free(e);
    }
}
