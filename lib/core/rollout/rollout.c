/*
 * The rollout's state machine: moving, deciding, handing out. Loading a journal is restore.c.
 *
 * Every move goes through one of three functions (move_member, move_state, open_wave). Each appends
 * its record first and changes the state only if that worked, so a failed allocation leaves a state
 * that the records tell of.
 *
 * Happy path: start -> next: JOURNAL, PLAN -> plan_result -> next: JOURNAL, APPLY -> apply_result
 * -> next: JOURNAL, CHECK
 * -> check_result (until settled) -> ... -> next: JOURNAL (done), FINISHED.
 */
#include "rollout/rollout.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "base/str.h"
#include "rollout/journal.h"
#include "rollout/state_priv.h"
#include "rollout/wave.h"

const char *hws_rollout_member_state_name(enum hws_rollout_member_state state)
{
    static const char *const names[HWS_N_ROLLOUT_MEMBER_STATES] = {
        "pending", "planning", "applying", "settling", "succeeded", "skipped", "failed", "unknown"};

    return (unsigned)state < HWS_N_ROLLOUT_MEMBER_STATES ? names[state] : "?";
}

const char *hws_rollout_state_name(enum hws_rollout_state state)
{
    static const char *const names[HWS_N_ROLLOUT_STATES] = {"new", "running", "paused", "stopped",
                                                            "succeeded"};

    return (unsigned)state < HWS_N_ROLLOUT_STATES ? names[state] : "?";
}

const char *hws_rollout_step_name(enum hws_rollout_step step)
{
    static const char *const names[HWS_N_ROLLOUT_STEPS] = {"", "plan", "apply", "read-back",
                                                           "gate"};

    return (unsigned)step < HWS_N_ROLLOUT_STEPS ? names[step] : "?";
}

/* ---- the three kinds of move ---- */

static uint64_t unix_of(const struct hws_rollout *r, uint64_t now_ms)
{
    return now_ms + r->unix_offset_ms;
}

/* What a move changes besides the state; NULL fields keep what the member has. */
struct change {
    const char *device_id;
    const char *plan_hash;
    const struct hws_rollout_cause *cause;
    bool given_up;
};

static enum hws_code move_member(struct hws_rollout *r, size_t i, enum hws_rollout_member_state to,
                                 const struct change *change, uint64_t now_ms)
{
    const struct hws_rollout_member *m = &r->members[i];
    struct hws_rollout_record rec = {
        .type = HWS_ROLLOUT_REC_MEMBER,
        .unix_ms = unix_of(r, now_ms),
        .member = (uint32_t)i,
        .member_state = to,
        .attempt = m->attempt + (to == HWS_ROLLOUT_APPLYING ? 1 : 0),
        .given_up = change->given_up,
        .cause = change->cause != NULL ? *change->cause : m->cause,
    };

    (void)hws_str_copy(rec.device_id, sizeof(rec.device_id),
                       change->device_id != NULL ? change->device_id : m->device_id);
    (void)hws_str_copy(rec.plan_hash, sizeof(rec.plan_hash),
                       change->plan_hash != NULL ? change->plan_hash : m->plan_hash);
    enum hws_code rc = hws_rollout_record_put(&r->out, &rec);
    if (rc == HWS_OK) {
        hws_assert(hws_rollout__may_move(r, &rec));
        hws_rollout__member_moved(r, &rec);
    }
    return rc;
}

static enum hws_code move_state(struct hws_rollout *r, enum hws_rollout_state to,
                                const char *reason, uint64_t now_ms)
{
    struct hws_rollout_record rec = {
        .type = HWS_ROLLOUT_REC_STATE, .unix_ms = unix_of(r, now_ms), .state = to};

    (void)hws_str_copy(rec.reason, sizeof(rec.reason), reason);
    enum hws_code rc = hws_rollout_record_put(&r->out, &rec);
    if (rc == HWS_OK) {
        hws_assert(hws_rollout__may_move(r, &rec));
        hws_rollout__state_moved(r, &rec);
    }
    return rc;
}

static enum hws_code open_wave(struct hws_rollout *r, uint32_t wave, uint64_t now_ms)
{
    struct hws_rollout_record rec = {
        .type = HWS_ROLLOUT_REC_WAVE, .unix_ms = unix_of(r, now_ms), .wave = wave};
    enum hws_code rc = hws_rollout_record_put(&r->out, &rec);

    if (rc == HWS_OK) {
        hws_assert(hws_rollout__may_move(r, &rec));
        hws_rollout__wave_opened(r, &rec);
    }
    return rc;
}

/* ---- begin, go on, pause ---- */

enum hws_code hws_rollout_init(struct hws_rollout *r, struct hws_rollout_plan *plan,
                               struct hws_err *err)
{
    enum hws_code rc = hws_rollout_plan_check(plan, true, err);

    memset(r, 0, sizeof(*r));
    if (rc != HWS_OK) {
        return rc;
    }
    return hws_rollout__setup(r, plan, err);
}

void hws_rollout_deinit(struct hws_rollout *r)
{
    hws_rollout_plan_deinit(&r->plan);
    hws_mem_free(r->members);
    hws_buf_deinit(&r->out);
    memset(r, 0, sizeof(*r));
}

static enum hws_code no_memory(struct hws_err *err)
{
    return hws_err_set(err, HWS_E_NOMEM, "no memory for the rollout's records");
}

static enum hws_code put_plan_record(struct hws_rollout *r, uint64_t unix_ms)
{
    struct hws_buf plan;

    hws_buf_init(&plan, HWS_ROLLOUT_MAX_JOURNAL_BYTES);
    enum hws_code rc = hws_rollout_plan_encode(&r->plan, &plan);
    if (rc == HWS_OK) {
        struct hws_rollout_record rec = {.type = HWS_ROLLOUT_REC_PLAN,
                                         .unix_ms = unix_ms,
                                         .plan = hws_buf_peek(&plan),
                                         .n_plan = hws_buf_len(&plan)};
        rc = hws_rollout_record_put(&r->out, &rec);
    }
    hws_buf_deinit(&plan);
    return rc;
}

enum hws_code hws_rollout_start(struct hws_rollout *r, uint64_t now_ms, uint64_t unix_ms,
                                struct hws_err *err)
{
    if (r->state != HWS_ROLLOUT_NEW || hws_buf_len(&r->out) != 0) {
        return hws_err_set(err, HWS_E_STATE, "rollout %s was started before", r->plan.name);
    }
    r->unix_offset_ms = unix_ms - now_ms;
    r->created_unix_ms = unix_ms;
    if (put_plan_record(r, unix_ms) != HWS_OK ||
        move_state(r, HWS_ROLLOUT_RUNNING, "", now_ms) != HWS_OK) {
        hws_buf_reset(&r->out);
        return no_memory(err);
    }
    return HWS_OK;
}

/* Sets right what the journal left in flight, and what the operator wants tried again. */
static enum hws_code pick_up(struct hws_rollout *r, enum hws_rollout_retry retry, uint64_t now_ms)
{
    struct hws_rollout_cause lost = {.step = HWS_ROLLOUT_STEP_APPLY};
    enum hws_code rc = HWS_OK;

    (void)hws_err_set(&lost.err, HWS_E_CANCELED,
                      "the controller stopped while this was being applied");
    hws_err_at(&lost.err, HWS_STAGE_UNKNOWN);
    for (size_t i = 0; i < r->plan.n_targets && rc == HWS_OK; i++) {
        const struct hws_rollout_member *m = &r->members[i];
        if (m->state == HWS_ROLLOUT_APPLYING) {
            rc = move_member(r, i, HWS_ROLLOUT_UNKNOWN, &(struct change){.cause = &lost}, now_ms);
        } else if (m->state == HWS_ROLLOUT_FAILED && retry == HWS_ROLLOUT_RETRY_YES) {
            rc = move_member(r, i, HWS_ROLLOUT_PENDING, &(struct change){0}, now_ms);
        } else if (m->given_up && retry == HWS_ROLLOUT_RETRY_YES) {
            rc = move_member(r, i, HWS_ROLLOUT_UNKNOWN, &(struct change){0}, now_ms);
        }
        if (rc == HWS_OK) {
            hws_rollout__ready_member(r, i, now_ms);
        }
    }
    return rc;
}

enum hws_code hws_rollout_resume(struct hws_rollout *r, enum hws_rollout_retry retry,
                                 uint64_t now_ms, uint64_t unix_ms, struct hws_err *err)
{
    if (r->state == HWS_ROLLOUT_DONE) {
        return hws_err_set(err, HWS_E_STATE, "rollout %s has succeeded: there is nothing to resume",
                           r->plan.name);
    }
    if (r->state == HWS_ROLLOUT_STOPPED && retry == HWS_ROLLOUT_RETRY_NO) {
        return hws_err_set(err, HWS_E_STATE, "rollout %s is stopped: %.160s", r->plan.name,
                           r->reason);
    }
    r->unix_offset_ms = unix_ms - now_ms;
    r->said_finished = false;
    if (move_state(r, HWS_ROLLOUT_RUNNING, "", now_ms) != HWS_OK ||
        pick_up(r, retry, now_ms) != HWS_OK) {
        return no_memory(err);
    }
    return HWS_OK;
}

enum hws_code hws_rollout_pause(struct hws_rollout *r, const char *reason, uint64_t now_ms,
                                struct hws_err *err)
{
    if (r->state != HWS_ROLLOUT_RUNNING) {
        return HWS_OK;
    }
    return move_state(r, HWS_ROLLOUT_PAUSED, reason, now_ms) == HWS_OK ? HWS_OK : no_memory(err);
}

/* ---- deciding ---- */

static enum hws_rollout_budget_says judge(const struct hws_rollout *r)
{
    return hws_rollout_budget_judge(&r->tally, r->plan.budget, r->wave == 0 && r->plan.canary > 0);
}

static enum hws_code stop(struct hws_rollout *r, uint64_t now_ms)
{
    const struct hws_rollout_member *m = &r->members[r->last_bad];
    const struct hws_rollout_target *t = &r->plan.targets[r->last_bad];
    const char *device = m->device_id[0] != '\0' ? m->device_id : t->device;
    bool canary = r->wave == 0 && r->plan.canary > 0;
    char reason[HWS_ROLLOUT_REASON_BYTES];

    (void)hws_str_print(reason, sizeof(reason),
                        "%s: %u failed, %u unknown, allowed %u; host %s%s%s: %s%s%s: %s",
                        canary ? "canary" : "budget", r->tally.n_failed, r->tally.n_unknown,
                        canary ? 0 : r->plan.budget, t->host, device[0] != '\0' ? ", adapter " : "",
                        device, hws_rollout_step_name(m->cause.step),
                        m->cause.setting[0] != '\0' ? " " : "", m->cause.setting, m->cause.err.msg);
    return move_state(r, HWS_ROLLOUT_STOPPED, reason, now_ms);
}

static enum hws_code start_members(struct hws_rollout *r, uint64_t now_ms)
{
    size_t i = r->next_start;

    for (; i < r->plan.n_targets && r->n_in_flight < r->plan.in_flight; i++) {
        if (r->members[i].state != HWS_ROLLOUT_PENDING || r->members[i].wave > r->wave) {
            continue;
        }
        enum hws_code rc = move_member(r, i, HWS_ROLLOUT_PLANNING, &(struct change){0}, now_ms);
        if (rc != HWS_OK) {
            return rc;
        }
        hws_rollout__ready_member(r, i, now_ms);
    }
    r->next_start = i;
    return HWS_OK;
}

/* Every decision that the present state calls for, each on record. */
static enum hws_code decide(struct hws_rollout *r, uint64_t now_ms)
{
    for (;;) {
        enum hws_rollout_budget_says says = judge(r);
        bool live = r->state == HWS_ROLLOUT_RUNNING || r->state == HWS_ROLLOUT_PAUSED;
        if (live && says == HWS_ROLLOUT_BUDGET_STOP) {
            return stop(r, now_ms);
        }
        if (r->state != HWS_ROLLOUT_RUNNING || says != HWS_ROLLOUT_BUDGET_GO) {
            return HWS_OK;
        }
        if (r->n_open > 0) {
            return start_members(r, now_ms);
        }
        if (r->wave + 1 == r->n_waves) {
            return move_state(r, HWS_ROLLOUT_DONE, "", now_ms);
        }
        enum hws_code rc = open_wave(r, r->wave + 1, now_ms);
        if (rc != HWS_OK) {
            return rc;
        }
    }
}

/* ---- handing out ---- */

/* What the member should get now; NONE: nothing yet. */
static enum hws_rollout_do due(const struct hws_rollout_member *m, uint64_t now_ms)
{
    if (m->with_caller != HWS_ROLLOUT_DO_NONE) {
        return HWS_ROLLOUT_DO_NONE;
    }
    if (m->queued == HWS_ROLLOUT_DO_CHECK && m->gate.next_ms > now_ms) {
        return HWS_ROLLOUT_DO_NONE;
    }
    return m->queued;
}

static void hand_out(struct hws_rollout *r, struct hws_rollout_member *m,
                     struct hws_rollout_action *out)
{
    out->what = m->queued;
    out->member = (size_t)(m - r->members);
    m->with_caller = m->queued;
    m->queued = HWS_ROLLOUT_DO_NONE;
    if (out->what == HWS_ROLLOUT_DO_APPLY) {
        (void)hws_str_print(out->request_id, sizeof(out->request_id), "%s.%zu.%" PRIu32, r->plan.id,
                            out->member, m->attempt);
    }
}

enum hws_code hws_rollout_next(struct hws_rollout *r, uint64_t now_ms,
                               struct hws_rollout_action *out, struct hws_err *err)
{
    hws_buf_take(&r->out, r->handed);
    r->handed = 0;
    *out = (struct hws_rollout_action){.what = HWS_ROLLOUT_DO_NONE};
    if (decide(r, now_ms) != HWS_OK) {
        return no_memory(err);
    }
    if (hws_buf_len(&r->out) > 0) {
        r->handed = hws_buf_len(&r->out);
        out->what = HWS_ROLLOUT_DO_JOURNAL;
        out->bytes = hws_buf_peek(&r->out);
        out->n_bytes = r->handed;
        return HWS_OK;
    }
    HWS_LIST_FOREACH (it, tmp, &r->flight) {
        struct hws_rollout_member *m = hws_container_of(it, struct hws_rollout_member, link);
        if (due(m, now_ms) != HWS_ROLLOUT_DO_NONE) {
            hand_out(r, m, out);
            return HWS_OK;
        }
    }
    if (r->state != HWS_ROLLOUT_NEW && r->n_in_flight == 0 && !r->said_finished) {
        r->said_finished = true;
        out->what = HWS_ROLLOUT_DO_FINISHED;
    }
    return HWS_OK;
}

uint64_t hws_rollout_deadline(const struct hws_rollout *r)
{
    uint64_t first = UINT64_MAX;

    for (const struct hws_list *it = r->flight.next; it != &r->flight; it = it->next) {
        const struct hws_rollout_member *m =
            hws_container_of(it, const struct hws_rollout_member, link);
        if (m->queued != HWS_ROLLOUT_DO_NONE && m->with_caller == HWS_ROLLOUT_DO_NONE) {
            uint64_t at = m->queued == HWS_ROLLOUT_DO_CHECK ? m->gate.next_ms : 0;
            first = at < first ? at : first;
        }
    }
    return first;
}

/* ---- results ---- */

static enum hws_code expect(const struct hws_rollout *r, size_t member, enum hws_rollout_do what,
                            struct hws_err *err)
{
    if (member >= r->plan.n_targets || r->members[member].with_caller != what) {
        return hws_err_set(err, HWS_E_STATE, "adapter %zu: no such action is under way", member);
    }
    return HWS_OK;
}

/* Ends the action: the member has moved and waits for its next one. */
static enum hws_code moved(struct hws_rollout *r, size_t member, enum hws_code rc, uint64_t now_ms,
                           struct hws_err *err)
{
    if (rc != HWS_OK) {
        return no_memory(err);
    }
    r->members[member].with_caller = HWS_ROLLOUT_DO_NONE;
    hws_rollout__ready_member(r, member, now_ms);
    return HWS_OK;
}

static enum hws_code planned_ok(struct hws_rollout *r, size_t member,
                                const struct hws_rollout_planned *planned, uint64_t now_ms)
{
    const struct change change = {.device_id = planned->device_id, .plan_hash = planned->plan_hash};

    if (planned->n_writes == 0) {
        /* Written by an earlier attempt, it still has to pass the gate. */
        bool ours = r->members[member].attempt > 0;
        return move_member(r, member, ours ? HWS_ROLLOUT_SETTLING : HWS_ROLLOUT_SKIPPED, &change,
                           now_ms);
    }
    if (r->state != HWS_ROLLOUT_RUNNING || judge(r) != HWS_ROLLOUT_BUDGET_GO) {
        return move_member(r, member, HWS_ROLLOUT_PENDING, &change, now_ms); /* not touched yet */
    }
    return move_member(r, member, HWS_ROLLOUT_APPLYING, &change, now_ms);
}

enum hws_code hws_rollout_plan_result(struct hws_rollout *r, size_t member,
                                      const struct hws_rollout_planned *planned,
                                      const struct hws_rollout_cause *cause, uint64_t now_ms,
                                      struct hws_err *err)
{
    enum hws_code rc = expect(r, member, HWS_ROLLOUT_DO_PLAN, err);

    hws_assert((planned == NULL) != (cause == NULL));
    if (rc != HWS_OK) {
        return rc;
    }
    if (planned == NULL) {
        rc = move_member(r, member, HWS_ROLLOUT_FAILED, &(struct change){.cause = cause}, now_ms);
        return moved(r, member, rc, now_ms, err);
    }
    if (strlen(planned->device_id) >= HWS_ROLLOUT_DEVICE_BYTES ||
        strlen(planned->plan_hash) >= HWS_ROLLOUT_HASH_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "device id or plan hash too long");
    }
    return moved(r, member, planned_ok(r, member, planned, now_ms), now_ms, err);
}

enum hws_code hws_rollout_apply_result(struct hws_rollout *r, size_t member,
                                       const struct hws_rollout_cause *cause, uint64_t now_ms,
                                       struct hws_err *err)
{
    enum hws_code rc = expect(r, member, HWS_ROLLOUT_DO_APPLY, err);
    enum hws_rollout_member_state to = HWS_ROLLOUT_FAILED;

    if (rc != HWS_OK) {
        return rc;
    }
    if (cause == NULL) {
        to = HWS_ROLLOUT_SETTLING;
    } else if (cause->err.stage == HWS_STAGE_UNKNOWN || cause->err.code == HWS_E_CONFLICT) {
        to = HWS_ROLLOUT_UNKNOWN;
    }
    rc = move_member(r, member, to, &(struct change){.cause = cause}, now_ms);
    return moved(r, member, rc, now_ms, err);
}

/* The gate of an UNKNOWN adapter failed: either the change did not take effect, or nobody can tell.
 */
static enum hws_code still_unknown(struct hws_rollout *r, size_t member,
                                   enum hws_rollout_health health,
                                   const struct hws_rollout_cause *cause, uint64_t now_ms)
{
    const struct hws_rollout_member *m = &r->members[member];

    if (health != HWS_ROLLOUT_HEALTH_OTHER_VALUE) {
        return move_member(r, member, HWS_ROLLOUT_UNKNOWN,
                           &(struct change){.cause = cause, .given_up = true}, now_ms);
    }
    if (m->attempt - m->base_attempt < HWS_ROLLOUT_MAX_ATTEMPTS) {
        return move_member(r, member, HWS_ROLLOUT_PENDING, &(struct change){.cause = cause},
                           now_ms);
    }
    return move_member(r, member, HWS_ROLLOUT_FAILED, &(struct change){.cause = cause}, now_ms);
}

enum hws_code hws_rollout_check_result(struct hws_rollout *r, size_t member,
                                       enum hws_rollout_health health,
                                       const struct hws_rollout_cause *cause, uint64_t now_ms,
                                       struct hws_err *err)
{
    enum hws_code rc = expect(r, member, HWS_ROLLOUT_DO_CHECK, err);

    hws_assert(cause != NULL || health == HWS_ROLLOUT_HEALTH_OK);
    if (rc != HWS_OK) {
        return rc;
    }
    struct hws_rollout_member *m = &r->members[member];
    struct hws_rollout_gate gate = m->gate;
    bool unknown = m->state == HWS_ROLLOUT_UNKNOWN;
    switch (hws_rollout_gate_feed(&gate, health, now_ms)) {
    case HWS_ROLLOUT_VERDICT_WAIT:
        m->gate = gate;
        m->with_caller = HWS_ROLLOUT_DO_NONE;
        m->queued = HWS_ROLLOUT_DO_CHECK;
        return HWS_OK;
    case HWS_ROLLOUT_VERDICT_PASS:
        rc = move_member(r, member, unknown ? HWS_ROLLOUT_SETTLING : HWS_ROLLOUT_SUCCEEDED,
                         &(struct change){0}, now_ms);
        return moved(r, member, rc, now_ms, err);
    case HWS_ROLLOUT_VERDICT_FAIL:
        break;
    }
    rc = unknown
             ? still_unknown(r, member, health, cause, now_ms)
             : move_member(r, member, HWS_ROLLOUT_FAILED, &(struct change){.cause = cause}, now_ms);
    return moved(r, member, rc, now_ms, err);
}
