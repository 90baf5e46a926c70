/* core/rollout: properties over seeded random fleets, and a controller killed at every action. */
#include <string.h>

#include "test.h"
#include "world.h"

#define N_FLEETS 150

static void random_plan(struct hws_rollout_plan *plan, uint64_t *rand, bool one_at_a_time)
{
    size_t n = 1 + (size_t)(hws_test_rand(rand) % 9);

    world_plan(plan, n);
    plan->canary = (uint32_t)(hws_test_rand(rand) % 3);
    plan->budget = (uint32_t)(hws_test_rand(rand) % 3);
    plan->in_flight = one_at_a_time ? 1 : 1 + (uint32_t)(hws_test_rand(rand) % 4);
    plan->settle_ms = (uint32_t)(hws_test_rand(rand) % 1500);
    if (hws_test_rand(rand) % 2 == 0) {
        plan->wave_kind = HWS_ROLLOUT_WAVE_PERCENT;
        plan->wave_size = 1 + (uint32_t)(hws_test_rand(rand) % 100);
    }
}

static void random_behaviours(struct world *w, uint64_t *rand)
{
    for (size_t i = 0; i < w->n; i++) {
        bool good = hws_test_rand(rand) % 3 != 0;
        enum world_behaviour b = (enum world_behaviour)(hws_test_rand(rand) % WORLD_N_BEHAVIOURS);
        w->adapters[i].behaviour = good ? WORLD_GOOD : b;
    }
}

static void begin(struct world *w, uint64_t seed, bool one_at_a_time)
{
    struct hws_rollout_plan plan;
    uint64_t rand = seed;

    random_plan(&plan, &rand, one_at_a_time);
    world_init(w, &plan, rand);
    random_behaviours(w, &rand);
}

/* What must hold at the end of any rollout. */
static void judge_end(const struct world *w)
{
    const struct hws_rollout *r = &w->r;
    uint32_t bad_waves_end = UINT32_MAX;

    assert_true(w->finished);
    assert_true(r->state == HWS_ROLLOUT_DONE || r->state == HWS_ROLLOUT_STOPPED);
    assert_true(w->max_in_flight_seen <= r->plan.in_flight);
    for (size_t i = 0; i < w->n; i++) {
        const struct hws_rollout_member *m = &r->members[i];
        bool bad = m->state == HWS_ROLLOUT_FAILED || m->state == HWS_ROLLOUT_UNKNOWN;
        if (bad && r->state == HWS_ROLLOUT_STOPPED && r->plan.budget == 0) {
            bad_waves_end = m->wave < bad_waves_end ? m->wave : bad_waves_end;
        }
        assert_int_equal(w->adapters[i].n_answers > 0, m->attempt > 0);
        assert_true(m->state != HWS_ROLLOUT_SUCCEEDED || w->adapters[i].wanted);
        assert_true(w->adapters[i].n_applies <= 2);
    }
    for (size_t i = 0; i < w->n; i++) { /* never past a failed wave */
        assert_true(w->adapters[i].n_answers == 0 || r->members[i].wave <= bad_waves_end);
    }
    bool canary_bad = false;
    for (size_t i = 0; i < w->n && r->plan.canary > 0; i++) {
        enum hws_rollout_member_state s = r->members[i].state;
        canary_bad |=
            r->members[i].wave == 0 && (s == HWS_ROLLOUT_FAILED || s == HWS_ROLLOUT_UNKNOWN);
    }
    for (size_t i = 0; i < w->n && canary_bad; i++) {
        assert_true(r->members[i].wave == 0 || w->adapters[i].n_answers == 0);
    }
    uint32_t n_bad = r->tally.n_failed + r->tally.n_unknown;
    assert_true(r->state == HWS_ROLLOUT_STOPPED || n_bad <= r->plan.budget);
    assert_true(r->state == HWS_ROLLOUT_STOPPED || world_count(w, HWS_ROLLOUT_PENDING) == 0);
    assert_true(r->state == HWS_ROLLOUT_DONE || n_bad > 0);
}

static void random_fleets_keep_the_promises(void **state)
{
    uint64_t rand = hws_test_seed();
    (void)state;

    for (int k = 0; k < N_FLEETS; k++) {
        struct world w;
        begin(&w, hws_test_rand(&rand), false);
        world_run(&w);
        judge_end(&w);
        world_deinit(&w);
    }
}

/* A sick adapter whose answer the crash swallowed cannot be read back: both are a bad end. */
static enum hws_rollout_member_state end_of(const struct hws_rollout_member *m)
{
    return m->state == HWS_ROLLOUT_UNKNOWN ? HWS_ROLLOUT_FAILED : m->state;
}

/* One adapter at a time, so that the order is fixed: whatever the moment of the kill, the end is
 * the same. */
static void killed_at_every_action_it_ends_the_same(void **state)
{
    uint64_t rand = hws_test_seed();
    (void)state;

    for (int k = 0; k < N_FLEETS / 5; k++) {
        uint64_t seed = hws_test_rand(&rand);
        struct world straight;
        begin(&straight, seed, true);
        world_run(&straight);
        for (size_t at = 1; at < straight.n_actions; at++) {
            struct world w;
            begin(&w, seed, true);
            w.crash_at = at;
            w.drop_result = at % 2 == 0;
            world_run(&w);
            assert_true(w.crashed);
            struct world *life = &w;
            if (w.r.state == HWS_ROLLOUT_DONE || w.r.state == HWS_ROLLOUT_STOPPED) {
                world_deinit(&w); /* only the ending record or FINISHED was left */
                continue;
            }
            world_restart(life, HWS_ROLLOUT_RETRY_NO);
            world_run(life);
            judge_end(life);
            assert_int_equal(life->r.state, straight.r.state);
            for (size_t i = 0; i < life->n; i++) {
                assert_int_equal(end_of(&life->r.members[i]), end_of(&straight.r.members[i]));
            }
            world_deinit(life);
        }
        world_deinit(&straight);
    }
}

/* Several at once: which ones were in flight may differ, the promises may not. */
static void killed_again_and_again_it_still_keeps_the_promises(void **state)
{
    uint64_t rand = hws_test_seed();
    (void)state;

    for (int k = 0; k < N_FLEETS; k++) {
        struct world w;
        begin(&w, hws_test_rand(&rand), false);
        for (int lives = 0; lives < 6; lives++) {
            w.crash_at = w.n_actions + 1 + (size_t)(hws_test_rand(&rand) % 12);
            w.drop_result = hws_test_rand(&rand) % 2 == 0;
            world_run(&w);
            if (!w.crashed || hws_buf_len(&w.journal) == 0) {
                break;
            }
            struct hws_rollout seen;
            size_t used = 0;
            assert_code(hws_rollout_load(&seen, hws_buf_peek(&w.journal), hws_buf_len(&w.journal),
                                         &used, NULL),
                        HWS_OK);
            enum hws_rollout_state s = seen.state;
            hws_rollout_deinit(&seen);
            if (s != HWS_ROLLOUT_RUNNING && s != HWS_ROLLOUT_NEW) {
                break;
            }
            world_restart(&w, HWS_ROLLOUT_RETRY_NO);
        }
        w.crash_at = SIZE_MAX;
        if (w.finished || (w.crashed && w.r.state != HWS_ROLLOUT_RUNNING)) {
            world_deinit(&w);
            continue;
        }
        world_run(&w);
        world_deinit(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_fleets_keep_the_promises),
        cmocka_unit_test(killed_at_every_action_it_ends_the_same),
        cmocka_unit_test(killed_again_and_again_it_still_keeps_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
