/* The fleet in virtual time, and the judge of every action. */
#include "world.h"

#include <string.h>

#include "base/str.h"
#include "test.h"

#define SLOW_MS   500
#define UNIX_BASE UINT64_C(1700000000000)

void world_plan(struct hws_rollout_plan *plan, size_t n)
{
    hws_rollout_plan_init(plan);
    (void)hws_str_copy(plan->name, sizeof(plan->name), "test");
    (void)hws_str_copy(plan->id, sizeof(plan->id), "00112233445566aa");
    assert_code(hws_rollout_plan_set(plan, "NUM_OF_VFS", "16", NULL), HWS_OK);
    for (size_t i = 0; i < n; i++) {
        char host[32];
        (void)hws_str_print(host, sizeof(host), "host-%zu", i);
        assert_code(hws_rollout_plan_add(plan, host, "127.0.0.1:1", NULL, NULL), HWS_OK);
    }
    plan->settle_ms = 1000;
    plan->gate_timeout_ms = 3000;
}

void world_init(struct world *w, struct hws_rollout_plan *plan, uint64_t seed)
{
    struct hws_err err;

    memset(w, 0, sizeof(*w));
    w->n = plan->n_targets;
    w->crash_at = SIZE_MAX;
    w->now_ms = 1000;
    w->rand = seed;
    assert_true(w->n <= WORLD_MAX);
    assert_ok(hws_rollout_init(&w->r, plan, &err), &err);
    assert_ok(hws_rollout_start(&w->r, w->now_ms, UNIX_BASE, &err), &err);
}

void world_deinit(struct world *w)
{
    hws_rollout_deinit(&w->r);
    hws_buf_deinit(&w->journal);
}

size_t world_count(const struct world *w, enum hws_rollout_member_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++) {
        n += w->r.members[i].state == state ? 1 : 0;
    }
    return n;
}

/* The promises of the header, checked on what the journal alone says at this moment. */
static void judge_action(struct world *w, const struct hws_rollout_action *a)
{
    struct hws_rollout seen;
    struct hws_err err;
    size_t used = 0;
    uint32_t in_flight = 0;

    assert_ok(
        hws_rollout_load(&seen, hws_buf_peek(&w->journal), hws_buf_len(&w->journal), &used, &err),
        &err);
    assert_int_equal(used, hws_buf_len(&w->journal));
    const struct hws_rollout_member *m = &seen.members[a->member];
    for (size_t i = 0; i < w->n; i++) {
        const struct hws_rollout_member *o = &seen.members[i];
        bool touched = o->state != HWS_ROLLOUT_PENDING || o->attempt > 0;
        bool flying = o->state == HWS_ROLLOUT_PLANNING || o->state == HWS_ROLLOUT_APPLYING ||
                      o->state == HWS_ROLLOUT_SETTLING ||
                      (o->state == HWS_ROLLOUT_UNKNOWN && !o->given_up);
        in_flight += flying ? 1 : 0;
        /* Never a later wave while this one is open. */
        assert_false(touched && o->wave > seen.wave);
        assert_false(o->wave < seen.wave && flying && o->attempt == 0);
    }
    w->max_in_flight_seen = in_flight > w->max_in_flight_seen ? in_flight : w->max_in_flight_seen;
    if (a->what == HWS_ROLLOUT_DO_APPLY) {
        char id[HWS_ROLLOUT_REQUEST_ID_BYTES];
        assert_int_equal(m->state, HWS_ROLLOUT_APPLYING);
        (void)hws_str_print(id, sizeof(id), "%s.%zu.%u", seen.plan.id, a->member, m->attempt);
        assert_string_equal(a->request_id, id);
    }
    hws_rollout_deinit(&seen);
}

static void cause_of(struct hws_rollout_cause *c, enum hws_rollout_step step, enum hws_code code,
                     enum hws_stage stage)
{
    *c = (struct hws_rollout_cause){.step = step};
    (void)hws_str_copy(c->setting, sizeof(c->setting), "NUM_OF_VFS");
    (void)hws_err_set(&c->err, code, "said no");
    hws_err_at(&c->err, stage);
    if (stage == HWS_STAGE_EXECUTED) {
        c->err.exec_status = 3;
        c->err.syndrome = 0x1234;
    }
}

static void answer_plan(struct world *w, size_t i, bool forget)
{
    struct world_adapter *a = &w->adapters[i];
    struct hws_rollout_cause c;
    struct hws_rollout_planned p = {.device_id = "mlx5:X@0", .plan_hash = "aa"};

    if (forget) {
        return;
    }
    if (a->behaviour == WORLD_PLAN_REFUSED) {
        cause_of(&c, HWS_ROLLOUT_STEP_PLAN, HWS_E_INVALID, HWS_STAGE_NONE);
        assert_code(hws_rollout_plan_result(&w->r, i, NULL, &c, w->now_ms, NULL), HWS_OK);
        return;
    }
    p.n_writes = a->wanted || a->behaviour == WORLD_ALREADY_WANTED ? 0 : 1;
    assert_code(hws_rollout_plan_result(&w->r, i, &p, NULL, w->now_ms, NULL), HWS_OK);
}

/* What an apply does to an adapter and what the controller hears. */
struct effect {
    bool reaches; /* the write gets there */
    bool takes;   /* ... and has its effect */
    bool lost;    /* the answer does not come back */
    bool refused;
};

static struct effect effect_of(const struct world_adapter *a)
{
    bool first = a->n_answers == 1;

    switch (a->behaviour) {
    case WORLD_APPLY_REFUSED:
        return (struct effect){.reaches = true, .refused = true};
    case WORLD_ALWAYS_LOST:
        return (struct effect){.lost = true};
    case WORLD_LOST_NOT_APPLIED:
        return (struct effect){.reaches = !first, .takes = !first, .lost = first};
    case WORLD_LOST_APPLIED:
    case WORLD_GONE_AFTER:
        return (struct effect){.reaches = true, .takes = true, .lost = true};
    case WORLD_WRONG_VALUE:
        return (struct effect){.reaches = true};
    case WORLD_GOOD:
    case WORLD_ALREADY_WANTED:
    case WORLD_PLAN_REFUSED:
    case WORLD_SICK_AFTER:
    case WORLD_SLOW_AFTER:
    case WORLD_N_BEHAVIOURS:
        break;
    }
    return (struct effect){.reaches = true, .takes = true};
}

static void answer_apply(struct world *w, size_t i, bool forget)
{
    struct world_adapter *a = &w->adapters[i];
    struct hws_rollout_cause c;

    a->n_answers++;
    struct effect e = effect_of(a);
    a->n_applies += e.reaches ? 1 : 0;
    a->wanted = a->wanted || e.takes;
    a->applied_ms = w->now_ms;
    if (e.lost) {
        cause_of(&c, HWS_ROLLOUT_STEP_APPLY, HWS_E_GONE, HWS_STAGE_UNKNOWN);
    } else if (e.refused) {
        cause_of(&c, HWS_ROLLOUT_STEP_APPLY, HWS_E_DEVICE, HWS_STAGE_EXECUTED);
    }
    if (!forget) {
        const struct hws_rollout_cause *cause = e.lost || e.refused ? &c : NULL;
        assert_code(hws_rollout_apply_result(&w->r, i, cause, w->now_ms, NULL), HWS_OK);
    }
}

static void answer_check(struct world *w, size_t i, bool forget)
{
    const struct world_adapter *a = &w->adapters[i];
    enum hws_rollout_health health = HWS_ROLLOUT_HEALTH_OK;
    struct hws_rollout_cause c;

    bool slow = a->behaviour == WORLD_SLOW_AFTER && w->now_ms < a->applied_ms + SLOW_MS;
    if (a->behaviour == WORLD_GONE_AFTER && a->n_answers > 0) {
        health = HWS_ROLLOUT_HEALTH_UNREACHABLE;
    } else if (!a->wanted) {
        health = HWS_ROLLOUT_HEALTH_OTHER_VALUE;
    } else if (slow || a->behaviour == WORLD_SICK_AFTER) {
        health = HWS_ROLLOUT_HEALTH_NOT_READY;
    }
    cause_of(&c, HWS_ROLLOUT_STEP_GATE, HWS_E_GONE, HWS_STAGE_NONE);
    if (!forget) {
        bool ok = health == HWS_ROLLOUT_HEALTH_OK;
        assert_code(hws_rollout_check_result(&w->r, i, health, ok ? NULL : &c, w->now_ms, NULL),
                    HWS_OK);
    }
}

static void answer(struct world *w, const struct hws_rollout_action *a, bool forget)
{
    switch (a->what) {
    case HWS_ROLLOUT_DO_PLAN:
        answer_plan(w, a->member, forget);
        return;
    case HWS_ROLLOUT_DO_APPLY:
        answer_apply(w, a->member, forget);
        return;
    case HWS_ROLLOUT_DO_CHECK:
        answer_check(w, a->member, forget);
        return;
    case HWS_ROLLOUT_DO_NONE:
    case HWS_ROLLOUT_DO_JOURNAL:
    case HWS_ROLLOUT_DO_FINISHED:
        fail_msg("not a question");
    }
}

static void answer_one_of_the_held(struct world *w)
{
    size_t k = (size_t)(hws_test_rand(&w->rand) % w->n_held);
    struct hws_rollout_action a = w->held[k];

    w->held[k] = w->held[--w->n_held];
    w->now_ms += hws_test_rand(&w->rand) % 50;
    answer(w, &a, false);
}

/* Returns false when the run is over. */
static bool take_action(struct world *w, const struct hws_rollout_action *a)
{
    if (w->n_actions++ == w->crash_at) {
        w->crashed = true;
        if (w->drop_result && a->what != HWS_ROLLOUT_DO_JOURNAL &&
            a->what != HWS_ROLLOUT_DO_FINISHED) {
            answer(w, a, true);
        }
        return false;
    }
    if (a->what == HWS_ROLLOUT_DO_JOURNAL) {
        w->n_journals++;
        assert_code(hws_buf_put(&w->journal, a->bytes, a->n_bytes), HWS_OK);
        return true;
    }
    if (a->what == HWS_ROLLOUT_DO_FINISHED) {
        w->finished = true;
        return false;
    }
    judge_action(w, a);
    assert_true(w->n_held < WORLD_MAX);
    w->held[w->n_held++] = *a;
    return true;
}

void world_run(struct world *w)
{
    struct hws_rollout_action a;
    struct hws_err err;

    w->crashed = false;
    w->finished = false;
    for (unsigned turns = 0; turns < 100000; turns++) {
        assert_ok(hws_rollout_next(&w->r, w->now_ms, &a, &err), &err);
        if (a.what != HWS_ROLLOUT_DO_NONE) {
            if (!take_action(w, &a)) {
                return;
            }
            continue;
        }
        if (w->n_held > 0) {
            answer_one_of_the_held(w);
            continue;
        }
        uint64_t deadline_ms = hws_rollout_deadline(&w->r);
        if (deadline_ms == UINT64_MAX) {
            return;
        }
        assert_true(deadline_ms > w->now_ms);
        w->now_ms = deadline_ms;
    }
    fail_msg("the rollout does not end");
}

void world_restart(struct world *w, enum hws_rollout_retry retry)
{
    struct hws_err err;
    size_t used = 0;

    /* What was asked and not answered when the controller died still reaches the adapters. */
    while (w->n_held > 0) {
        answer(w, &w->held[--w->n_held], true);
    }
    hws_rollout_deinit(&w->r);
    assert_ok(
        hws_rollout_load(&w->r, hws_buf_peek(&w->journal), hws_buf_len(&w->journal), &used, &err),
        &err);
    w->now_ms = 77; /* another boot: the clock starts anew */
    for (size_t i = 0; i < w->n; i++) {
        w->adapters[i].applied_ms = 0;
    }
    assert_ok(hws_rollout_resume(&w->r, retry, w->now_ms, UNIX_BASE + 60000, &err), &err);
}
