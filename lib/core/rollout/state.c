/* The effect of records: legal moves, the tally, what is in flight. */
#include <string.h>

#include "base/fsm.h"
#include "base/mem.h"
#include "base/str.h"
#include "rollout/state_priv.h"
#include "rollout/wave.h"

static const uint32_t member_moves[HWS_N_ROLLOUT_MEMBER_STATES] = {
    [HWS_ROLLOUT_PENDING] = HWS_FSM_TO(HWS_ROLLOUT_PLANNING),
    [HWS_ROLLOUT_PLANNING] = HWS_FSM_TO(HWS_ROLLOUT_APPLYING) | HWS_FSM_TO(HWS_ROLLOUT_SKIPPED) |
                             HWS_FSM_TO(HWS_ROLLOUT_SETTLING) | HWS_FSM_TO(HWS_ROLLOUT_FAILED) |
                             HWS_FSM_TO(HWS_ROLLOUT_PENDING),
    [HWS_ROLLOUT_APPLYING] = HWS_FSM_TO(HWS_ROLLOUT_SETTLING) | HWS_FSM_TO(HWS_ROLLOUT_FAILED) |
                             HWS_FSM_TO(HWS_ROLLOUT_UNKNOWN),
    [HWS_ROLLOUT_SETTLING] = HWS_FSM_TO(HWS_ROLLOUT_SUCCEEDED) | HWS_FSM_TO(HWS_ROLLOUT_FAILED),
    [HWS_ROLLOUT_SUCCEEDED] = 0,
    [HWS_ROLLOUT_SKIPPED] = 0,
    [HWS_ROLLOUT_FAILED] = HWS_FSM_TO(HWS_ROLLOUT_PENDING),
    [HWS_ROLLOUT_UNKNOWN] = HWS_FSM_TO(HWS_ROLLOUT_SETTLING) | HWS_FSM_TO(HWS_ROLLOUT_PENDING) |
                            HWS_FSM_TO(HWS_ROLLOUT_FAILED) | HWS_FSM_TO(HWS_ROLLOUT_UNKNOWN),
};

static const uint32_t state_moves[HWS_N_ROLLOUT_STATES] = {
    [HWS_ROLLOUT_NEW] = HWS_FSM_TO(HWS_ROLLOUT_RUNNING),
    [HWS_ROLLOUT_RUNNING] = HWS_FSM_TO(HWS_ROLLOUT_RUNNING) | HWS_FSM_TO(HWS_ROLLOUT_PAUSED) |
                            HWS_FSM_TO(HWS_ROLLOUT_STOPPED) | HWS_FSM_TO(HWS_ROLLOUT_DONE),
    [HWS_ROLLOUT_PAUSED] = HWS_FSM_TO(HWS_ROLLOUT_RUNNING) | HWS_FSM_TO(HWS_ROLLOUT_STOPPED),
    [HWS_ROLLOUT_STOPPED] = HWS_FSM_TO(HWS_ROLLOUT_RUNNING),
    [HWS_ROLLOUT_DONE] = 0,
};

enum hws_code hws_rollout__setup(struct hws_rollout *r, struct hws_rollout_plan *plan,
                                 struct hws_err *err)
{
    uint32_t *wave_of = hws_mem_zalloc(plan->n_targets, sizeof(*wave_of));
    struct hws_rollout_member *members = hws_mem_zalloc(plan->n_targets, sizeof(*members));
    enum hws_code rc = HWS_E_NOMEM;

    memset(r, 0, sizeof(*r));
    if (wave_of == NULL || members == NULL) {
        (void)hws_err_set(err, HWS_E_NOMEM, "no memory for %zu adapters", plan->n_targets);
        goto fail;
    }
    rc = hws_rollout_waves(plan, wave_of, &r->n_waves, err);
    if (rc != HWS_OK) {
        goto fail;
    }
    hws_list_init(&r->flight);
    hws_buf_init(&r->out, HWS_ROLLOUT_MAX_JOURNAL_BYTES);
    for (size_t i = 0; i < plan->n_targets; i++) {
        members[i].wave = wave_of[i];
        r->n_open += wave_of[i] == 0 ? 1 : 0;
        hws_list_init(&members[i].link);
    }
    hws_mem_free(wave_of);
    r->members = members;
    r->plan = *plan;
    memset(plan, 0, sizeof(*plan));
    return HWS_OK;
fail:
    hws_mem_free(members);
    hws_mem_free(wave_of);
    return rc;
}

static bool member_may_move(const struct hws_rollout *r, const struct hws_rollout_record *rec)
{
    if (rec->member >= r->plan.n_targets || r->state == HWS_ROLLOUT_NEW) {
        return false;
    }
    const struct hws_rollout_member *m = &r->members[rec->member];
    uint32_t attempt = m->attempt + (rec->member_state == HWS_ROLLOUT_APPLYING ? 1 : 0);
    return (member_moves[m->state] & HWS_FSM_TO(rec->member_state)) != 0 && m->wave <= r->wave &&
           rec->attempt == attempt && (!rec->given_up || rec->member_state == HWS_ROLLOUT_UNKNOWN);
}

bool hws_rollout__may_move(const struct hws_rollout *r, const struct hws_rollout_record *rec)
{
    switch (rec->type) {
    case HWS_ROLLOUT_REC_MEMBER:
        return member_may_move(r, rec);
    case HWS_ROLLOUT_REC_STATE:
        return (state_moves[r->state] & HWS_FSM_TO(rec->state)) != 0;
    case HWS_ROLLOUT_REC_WAVE:
        return rec->wave == r->wave + 1 && rec->wave < r->n_waves && r->n_open == 0;
    case HWS_ROLLOUT_REC_PLAN:
        break;
    }
    return false;
}

static bool in_flight(const struct hws_rollout_member *m)
{
    return m->state == HWS_ROLLOUT_PLANNING || m->state == HWS_ROLLOUT_APPLYING ||
           m->state == HWS_ROLLOUT_SETTLING || (m->state == HWS_ROLLOUT_UNKNOWN && !m->given_up);
}

static bool has_ended(const struct hws_rollout_member *m)
{
    return m->state != HWS_ROLLOUT_PENDING && !in_flight(m);
}

/* Adds (+1) or takes away (-1, as an unsigned number) what a member counts for. */
static void count(struct hws_rollout *r, const struct hws_rollout_member *m, uint32_t one)
{
    r->tally.n_failed += m->state == HWS_ROLLOUT_FAILED ? one : 0;
    r->tally.n_unknown += m->state == HWS_ROLLOUT_UNKNOWN ? one : 0;
    r->tally.n_given_up += m->given_up ? one : 0;
    r->n_in_flight += in_flight(m) ? one : 0;
    r->n_open += has_ended(m) ? 0 : one;
}

void hws_rollout__member_moved(struct hws_rollout *r, const struct hws_rollout_record *rec)
{
    struct hws_rollout_member *m = &r->members[rec->member];
    bool retried = m->state == HWS_ROLLOUT_FAILED || (m->given_up && !rec->given_up);
    bool cut_off = m->state == HWS_ROLLOUT_APPLYING && rec->cause.err.code == HWS_E_CANCELED;

    count(r, m, UINT32_MAX);
    m->state = rec->member_state;
    m->attempt = rec->attempt;
    m->base_attempt = retried || cut_off ? rec->attempt : m->base_attempt;
    m->given_up = rec->given_up;
    memcpy(m->device_id, rec->device_id, sizeof(m->device_id));
    memcpy(m->plan_hash, rec->plan_hash, sizeof(m->plan_hash));
    m->cause = rec->cause;
    m->changed_unix_ms = rec->unix_ms;
    m->queued = HWS_ROLLOUT_DO_NONE;
    count(r, m, 1);
    if (m->state == HWS_ROLLOUT_FAILED || m->given_up) {
        r->last_bad = rec->member;
    }
    if (m->state == HWS_ROLLOUT_PENDING && rec->member < r->next_start) {
        r->next_start = rec->member;
    }
    hws_list_remove(&m->link);
    if (in_flight(m)) {
        hws_list_push(&r->flight, &m->link);
    }
}

void hws_rollout__state_moved(struct hws_rollout *r, const struct hws_rollout_record *rec)
{
    r->state = rec->state;
    r->changed_unix_ms = rec->unix_ms;
    memcpy(r->reason, rec->reason, sizeof(r->reason));
}

void hws_rollout__wave_opened(struct hws_rollout *r, const struct hws_rollout_record *rec)
{
    r->wave = rec->wave;
    r->next_start = 0;
    for (size_t i = 0; i < r->plan.n_targets; i++) {
        r->n_open += r->members[i].wave == rec->wave ? 1 : 0;
    }
}

void hws_rollout__ready_member(struct hws_rollout *r, size_t member, uint64_t now_ms)
{
    struct hws_rollout_member *m = &r->members[member];

    switch (m->state) {
    case HWS_ROLLOUT_PLANNING:
        m->queued = HWS_ROLLOUT_DO_PLAN;
        return;
    case HWS_ROLLOUT_APPLYING:
        m->queued = HWS_ROLLOUT_DO_APPLY;
        return;
    case HWS_ROLLOUT_SETTLING:
        hws_rollout_gate_start(&m->gate, r->plan.settle_ms, r->plan.gate_timeout_ms, now_ms);
        m->queued = HWS_ROLLOUT_DO_CHECK;
        return;
    case HWS_ROLLOUT_UNKNOWN:
        hws_rollout_gate_start(&m->gate, 0, r->plan.gate_timeout_ms, now_ms);
        m->queued = m->given_up ? HWS_ROLLOUT_DO_NONE : HWS_ROLLOUT_DO_CHECK;
        return;
    case HWS_ROLLOUT_PENDING:
    case HWS_ROLLOUT_SUCCEEDED:
    case HWS_ROLLOUT_SKIPPED:
    case HWS_ROLLOUT_FAILED:
    case HWS_N_ROLLOUT_MEMBER_STATES:
        m->queued = HWS_ROLLOUT_DO_NONE;
        return;
    }
}
