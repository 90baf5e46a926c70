/* core/rollout/rollout: one claim a test, over a fleet in virtual time. */
#include <string.h>

#include "base/str.h"
#include "test.h"
#include "world.h"

static void start(struct world *w, size_t n, uint32_t canary, uint32_t budget)
{
    struct hws_rollout_plan plan;

    world_plan(&plan, n);
    plan.canary = canary;
    plan.budget = budget;
    world_init(w, &plan, 1);
}

static void good_fleet_succeeds_and_is_settled(void **state)
{
    struct world w;
    (void)state;
    start(&w, 3, 1, 0);
    uint64_t began_ms = w.now_ms;

    world_run(&w);

    assert_true(w.finished);
    assert_int_equal(w.r.state, HWS_ROLLOUT_DONE);
    assert_int_equal(world_count(&w, HWS_ROLLOUT_SUCCEEDED), 3);
    assert_true(w.now_ms - began_ms >= 2000); /* canary settles, then the rest */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(w.adapters[i].n_applies, 1);
        assert_string_equal(w.r.members[i].device_id, "mlx5:X@0");
    }
    world_deinit(&w);
}

static void failed_canary_stops_it_and_nothing_else_was_touched(void **state)
{
    struct world w;
    (void)state;
    start(&w, 3, 1, 2); /* the budget does not help a canary */
    w.adapters[0].behaviour = WORLD_APPLY_REFUSED;

    world_run(&w);

    assert_true(w.finished);
    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED);
    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_FAILED);
    assert_int_equal(world_count(&w, HWS_ROLLOUT_PENDING), 2);
    assert_int_equal(w.adapters[1].n_answers + w.adapters[2].n_answers, 0);
    assert_int_equal(w.r.members[0].cause.step, HWS_ROLLOUT_STEP_APPLY);
    assert_int_equal(w.r.members[0].cause.err.syndrome, 0x1234);
    assert_int_equal(w.r.members[0].cause.err.exec_status, 3);
    assert_non_null(strstr(w.r.reason, "host-0"));
    assert_non_null(strstr(w.r.reason, "canary"));
    assert_non_null(strstr(w.r.reason, "NUM_OF_VFS"));
    world_deinit(&w);
}

static void adapter_already_as_wanted_is_skipped_without_a_write(void **state)
{
    struct world w;
    (void)state;
    start(&w, 2, 1, 0);
    w.adapters[0].behaviour = WORLD_ALREADY_WANTED;

    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_DONE);
    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_SKIPPED);
    assert_int_equal(w.adapters[0].n_answers, 0);
    world_deinit(&w);
}

static void lost_answer_is_read_back_and_not_written_twice(void **state)
{
    struct world w;
    (void)state;
    start(&w, 2, 1, 0);
    w.adapters[0].behaviour = WORLD_LOST_APPLIED;

    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_DONE);
    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_SUCCEEDED);
    assert_int_equal(w.adapters[0].n_applies, 1);
    assert_int_equal(w.r.members[0].attempt, 1);
    world_deinit(&w);
}

static void lost_request_is_read_back_then_tried_once_more(void **state)
{
    struct world w;
    (void)state;
    start(&w, 2, 1, 0);
    w.adapters[0].behaviour = WORLD_LOST_NOT_APPLIED;

    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_DONE);
    assert_int_equal(w.r.members[0].attempt, 2);
    assert_int_equal(w.adapters[0].n_applies, 1);
    world_deinit(&w);
}

static void attempts_are_bounded(void **state)
{
    struct world w;
    (void)state;
    start(&w, 2, 1, 0);
    w.adapters[0].behaviour = WORLD_ALWAYS_LOST;

    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED);
    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_FAILED);
    assert_int_equal(w.adapters[0].n_answers, HWS_ROLLOUT_MAX_ATTEMPTS);
    assert_int_equal(w.adapters[1].n_answers, 0);
    world_deinit(&w);
}

static void adapter_that_cannot_be_read_back_stays_unknown(void **state)
{
    struct world w;
    (void)state;
    start(&w, 2, 1, 0);
    w.adapters[0].behaviour = WORLD_GONE_AFTER;

    world_run(&w);

    assert_true(w.finished);
    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED);
    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_UNKNOWN);
    assert_true(w.r.members[0].given_up);
    assert_int_equal(w.adapters[0].n_answers, 1);
    assert_int_equal(w.adapters[1].n_answers, 0);
    world_deinit(&w);
}

static void sick_adapter_fails_at_the_gate_and_a_slow_one_passes(void **state)
{
    struct world w;
    (void)state;
    start(&w, 2, 1, 0);
    w.adapters[0].behaviour = WORLD_SLOW_AFTER;
    w.adapters[1].behaviour = WORLD_SICK_AFTER;

    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED);
    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_SUCCEEDED);
    assert_int_equal(w.r.members[1].state, HWS_ROLLOUT_FAILED);
    assert_int_equal(w.r.members[1].cause.step, HWS_ROLLOUT_STEP_GATE);
    world_deinit(&w);
}

static void value_that_reads_back_otherwise_fails_at_once(void **state)
{
    struct world w;
    (void)state;
    start(&w, 1, 1, 0);
    w.adapters[0].behaviour = WORLD_WRONG_VALUE;
    uint64_t began_ms = w.now_ms;

    world_run(&w);

    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_FAILED);
    assert_true(w.now_ms - began_ms < 1000);
    world_deinit(&w);
}

static void budget_tolerates_that_many_failures_after_the_canary(void **state)
{
    struct world w;
    (void)state;
    start(&w, 6, 1, 1);
    w.adapters[3].behaviour = WORLD_APPLY_REFUSED;

    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_DONE);
    assert_int_equal(world_count(&w, HWS_ROLLOUT_SUCCEEDED), 5);
    assert_int_equal(world_count(&w, HWS_ROLLOUT_FAILED), 1);
    world_deinit(&w);
}

static void refused_plan_touches_nothing(void **state)
{
    struct world w;
    (void)state;
    start(&w, 2, 0, 0);
    w.r.plan.in_flight = 1;
    w.adapters[0].behaviour = WORLD_PLAN_REFUSED;

    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED);
    assert_int_equal(w.adapters[0].n_answers, 0);
    assert_int_equal(w.r.members[1].state, HWS_ROLLOUT_PENDING);
    world_deinit(&w);
}

static void paused_rollout_starts_nothing_and_resumes(void **state)
{
    struct world w;
    struct hws_err err;
    (void)state;
    start(&w, 4, 1, 0);
    w.crash_at = 2; /* after the first JOURNAL and PLAN */
    world_run(&w);
    assert_true(w.crashed);
    w.crash_at = SIZE_MAX;
    world_restart(&w, HWS_ROLLOUT_RETRY_NO);

    assert_ok(hws_rollout_pause(&w.r, "operator", w.now_ms, &err), &err);
    world_run(&w);

    assert_true(w.finished);
    assert_int_equal(w.r.state, HWS_ROLLOUT_PAUSED);
    assert_int_equal(world_count(&w, HWS_ROLLOUT_PENDING), 4); /* planned only: not touched */
    world_restart(&w, HWS_ROLLOUT_RETRY_NO);
    world_run(&w);
    assert_int_equal(w.r.state, HWS_ROLLOUT_DONE);
    world_deinit(&w);
}

static void stopped_rollout_resumes_only_when_told_to_retry(void **state)
{
    struct world w;
    struct hws_err err;
    (void)state;
    start(&w, 3, 1, 0);
    w.adapters[0].behaviour = WORLD_APPLY_REFUSED;
    world_run(&w);
    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED);

    assert_code(hws_rollout_resume(&w.r, HWS_ROLLOUT_RETRY_NO, 1, 1, &err), HWS_E_STATE);
    assert_non_null(strstr(err.msg, "host-0"));
    w.adapters[0].behaviour = WORLD_GOOD; /* repaired */
    world_restart(&w, HWS_ROLLOUT_RETRY_YES);
    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_DONE);
    assert_int_equal(world_count(&w, HWS_ROLLOUT_SUCCEEDED), 3);
    assert_code(hws_rollout_resume(&w.r, HWS_ROLLOUT_RETRY_YES, 1, 1, &err), HWS_E_STATE);
    world_deinit(&w);
}

static void retried_adapter_that_was_written_before_still_passes_the_gate(void **state)
{
    struct world w;
    (void)state;
    start(&w, 1, 1, 0);
    w.adapters[0].behaviour = WORLD_SICK_AFTER;
    world_run(&w);
    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED);

    world_restart(&w, HWS_ROLLOUT_RETRY_YES);
    world_run(&w);

    assert_int_equal(w.r.state, HWS_ROLLOUT_STOPPED); /* as wanted, but still sick */
    assert_int_equal(w.r.members[0].state, HWS_ROLLOUT_FAILED);
    assert_int_equal(w.adapters[0].n_applies, 1);
    world_deinit(&w);
}

static void all_adapters_of_a_host_are_in_one_wave(void **state)
{
    struct hws_rollout_plan plan;
    struct hws_rollout r;
    (void)state;
    world_plan(&plan, 2);
    assert_code(hws_rollout_plan_add(&plan, "host-0", "x:1", "0000:81:00.1", NULL), HWS_OK);

    assert_code(hws_rollout_init(&r, &plan, NULL), HWS_OK);

    assert_int_equal(r.n_waves, 2);
    assert_int_equal(r.members[0].wave, 0);
    assert_int_equal(r.members[1].wave, 1);
    assert_int_equal(r.members[2].wave, 0);
    hws_rollout_deinit(&r);
}

static void results_nobody_asked_for_are_refused(void **state)
{
    struct world w;
    struct hws_rollout_planned p = {.device_id = "d", .plan_hash = "h", .n_writes = 1};
    (void)state;
    start(&w, 1, 0, 0);

    assert_code(hws_rollout_plan_result(&w.r, 0, &p, NULL, 1, NULL), HWS_E_STATE);
    assert_code(hws_rollout_apply_result(&w.r, 0, NULL, 1, NULL), HWS_E_STATE);
    assert_code(hws_rollout_check_result(&w.r, 0, HWS_ROLLOUT_HEALTH_OK, NULL, 1, NULL),
                HWS_E_STATE);
    assert_code(hws_rollout_plan_result(&w.r, 7, &p, NULL, 1, NULL), HWS_E_STATE);
    assert_code(hws_rollout_start(&w.r, 1, 1, NULL), HWS_E_STATE);
    world_deinit(&w);
}

/* One whole life with a crash, for the allocation sweep; no assertions that allocate. */
static enum hws_code whole_life(void *arg)
{
    struct hws_rollout_plan plan;
    struct hws_rollout r;
    struct hws_rollout_action a;
    struct hws_rollout_planned p = {.device_id = "d", .plan_hash = "h", .n_writes = 1};
    uint64_t now_ms = 5;
    (void)arg;

    hws_rollout_plan_init(&plan);
    (void)hws_str_copy(plan.name, sizeof(plan.name), "oom");
    (void)hws_str_copy(plan.id, sizeof(plan.id), "00112233445566aa");
    enum hws_code rc = hws_rollout_plan_set(&plan, "A", "1", NULL);
    for (int i = 0; i < 3 && rc == HWS_OK; i++) {
        char host[8] = {'h', (char)('0' + i), 0};
        rc = hws_rollout_plan_add(&plan, host, "t:1", NULL, NULL);
    }
    memset(&r, 0, sizeof(r));
    if (rc == HWS_OK) {
        rc = hws_rollout_init(&r, &plan, NULL);
    }
    hws_rollout_plan_deinit(&plan);
    if (rc == HWS_OK) {
        rc = hws_rollout_start(&r, now_ms, 1, NULL);
    }
    for (int i = 0; i < 200 && rc == HWS_OK; i++) {
        rc = hws_rollout_next(&r, now_ms, &a, NULL);
        if (rc != HWS_OK || a.what == HWS_ROLLOUT_DO_FINISHED) {
            break;
        }
        if (a.what == HWS_ROLLOUT_DO_NONE) {
            now_ms = hws_rollout_deadline(&r);
        } else if (a.what == HWS_ROLLOUT_DO_PLAN) {
            rc = hws_rollout_plan_result(&r, a.member, &p, NULL, now_ms, NULL);
        } else if (a.what == HWS_ROLLOUT_DO_APPLY) {
            rc = hws_rollout_apply_result(&r, a.member, NULL, now_ms, NULL);
        } else if (a.what == HWS_ROLLOUT_DO_CHECK) {
            rc = hws_rollout_check_result(&r, a.member, HWS_ROLLOUT_HEALTH_OK, NULL, now_ms, NULL);
        }
    }
    if (rc == HWS_OK && r.state != HWS_ROLLOUT_DONE) {
        rc = HWS_E_STATE;
    }
    hws_rollout_deinit(&r);
    return rc;
}

static void every_failed_allocation_is_nomem(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(whole_life, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_fleet_succeeds_and_is_settled),
        cmocka_unit_test(failed_canary_stops_it_and_nothing_else_was_touched),
        cmocka_unit_test(adapter_already_as_wanted_is_skipped_without_a_write),
        cmocka_unit_test(lost_answer_is_read_back_and_not_written_twice),
        cmocka_unit_test(lost_request_is_read_back_then_tried_once_more),
        cmocka_unit_test(attempts_are_bounded),
        cmocka_unit_test(adapter_that_cannot_be_read_back_stays_unknown),
        cmocka_unit_test(sick_adapter_fails_at_the_gate_and_a_slow_one_passes),
        cmocka_unit_test(value_that_reads_back_otherwise_fails_at_once),
        cmocka_unit_test(budget_tolerates_that_many_failures_after_the_canary),
        cmocka_unit_test(refused_plan_touches_nothing),
        cmocka_unit_test(paused_rollout_starts_nothing_and_resumes),
        cmocka_unit_test(stopped_rollout_resumes_only_when_told_to_retry),
        cmocka_unit_test(retried_adapter_that_was_written_before_still_passes_the_gate),
        cmocka_unit_test(all_adapters_of_a_host_are_in_one_wave),
        cmocka_unit_test(results_nobody_asked_for_are_refused),
        cmocka_unit_test(every_failed_allocation_is_nomem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
