/* core/rollout: the gate and the budget. */
#include "rollout/budget.h"
#include "rollout/gate.h"
#include "test.h"

static void healthy_for_the_settle_time_passes(void **state)
{
    struct hws_rollout_gate g;
    (void)state;
    hws_rollout_gate_start(&g, 1000, 5000, 100);

    assert_int_equal(g.next_ms, 100);
    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 100),
                     HWS_ROLLOUT_VERDICT_WAIT);
    assert_int_equal(g.next_ms, 350);
    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 1000),
                     HWS_ROLLOUT_VERDICT_WAIT);
    assert_int_equal(g.next_ms, 1100); /* not later than the end of settling */
    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 1100),
                     HWS_ROLLOUT_VERDICT_PASS);
}

static void a_break_starts_the_settle_time_anew(void **state)
{
    struct hws_rollout_gate g;
    (void)state;
    hws_rollout_gate_start(&g, 1000, 5000, 0);
    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 0), HWS_ROLLOUT_VERDICT_WAIT);

    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_UNREACHABLE, 900),
                     HWS_ROLLOUT_VERDICT_WAIT);
    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 1100),
                     HWS_ROLLOUT_VERDICT_WAIT);

    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 2099),
                     HWS_ROLLOUT_VERDICT_WAIT);
    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 2100),
                     HWS_ROLLOUT_VERDICT_PASS);
}

static void not_healthy_by_the_deadline_fails(void **state)
{
    struct hws_rollout_gate g;
    (void)state;
    hws_rollout_gate_start(&g, 1000, 500, 0);

    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_NOT_READY, 1499),
                     HWS_ROLLOUT_VERDICT_WAIT);
    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_NOT_READY, 1500),
                     HWS_ROLLOUT_VERDICT_FAIL);
}

static void another_value_fails_at_once(void **state)
{
    struct hws_rollout_gate g;
    (void)state;
    hws_rollout_gate_start(&g, 1000, 500, 0);

    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OTHER_VALUE, 0),
                     HWS_ROLLOUT_VERDICT_FAIL);
}

static void zero_settle_passes_on_the_first_good_reading(void **state)
{
    struct hws_rollout_gate g;
    (void)state;
    hws_rollout_gate_start(&g, 0, 500, 7);

    assert_int_equal(hws_rollout_gate_feed(&g, HWS_ROLLOUT_HEALTH_OK, 7), HWS_ROLLOUT_VERDICT_PASS);
}

static void budget_table(void **state)
{
    static const struct {
        struct hws_rollout_tally tally;
        uint32_t budget;
        bool canary;
        enum hws_rollout_budget_says says;
    } rows[] = {
        {{0, 0, 0}, 0, false, HWS_ROLLOUT_BUDGET_GO},
        {{1, 0, 0}, 0, false, HWS_ROLLOUT_BUDGET_STOP},
        {{0, 1, 0}, 0, false, HWS_ROLLOUT_BUDGET_HOLD},
        {{0, 1, 1}, 0, false, HWS_ROLLOUT_BUDGET_STOP},
        {{1, 0, 0}, 1, false, HWS_ROLLOUT_BUDGET_GO},
        {{1, 1, 0}, 1, false, HWS_ROLLOUT_BUDGET_HOLD},
        {{1, 1, 1}, 1, false, HWS_ROLLOUT_BUDGET_STOP},
        {{1, 0, 0}, 5, true, HWS_ROLLOUT_BUDGET_STOP},
        {{UINT32_MAX, UINT32_MAX, UINT32_MAX}, 5, false, HWS_ROLLOUT_BUDGET_STOP},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(hws_rollout_budget_judge(&rows[i].tally, rows[i].budget, rows[i].canary),
                         rows[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_for_the_settle_time_passes),
        cmocka_unit_test(a_break_starts_the_settle_time_anew),
        cmocka_unit_test(not_healthy_by_the_deadline_fails),
        cmocka_unit_test(another_value_fails_at_once),
        cmocka_unit_test(zero_settle_passes_on_the_first_good_reading),
        cmocka_unit_test(budget_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
