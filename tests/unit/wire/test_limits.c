/* Limits of connections and of log lines. */
#include "limits.h"
#include "test.h"

static void connection_lives_no_longer_than_its_certificate(void **state)
{
    static const struct {
        uint64_t not_after_s;
        uint64_t now_s;
        uint64_t age_ms;
    } rows[] = {
        {UINT64_MAX, 1000, 86400000},
        {1000 + 3600, 1000, 3600000},
        {1000 + 864000, 1000, 86400000},
        {900, 1000, 1000},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_grpc_limits l;
        hws_limits_fill(&l, rows[i].not_after_s, rows[i].now_s);
        assert_int_equal(l.max_age_ms, rows[i].age_ms);
        assert_true(l.max_calls > 0);
    }
}

static void refusals_are_logged_ten_in_a_window(void **state)
{
    struct hws_limits_log l = {0};
    uint32_t dropped;
    unsigned n = 0;
    (void)state;

    for (int i = 0; i < 100; i++) {
        n += hws_limits_may_log(&l, 5000, &dropped);
    }

    assert_int_equal(n, HWS_LIMITS_LOG_LINES);
    assert_true(hws_limits_may_log(&l, 5000 + HWS_LIMITS_LOG_WINDOW_MS, &dropped));
    assert_int_equal(dropped, 100 - HWS_LIMITS_LOG_LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connection_lives_no_longer_than_its_certificate),
        cmocka_unit_test(refusals_are_logged_ten_in_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
