/* Limits of connections and of log lines. */
#include <string.h>

#include "base/str.h"
#include "common/limits.h"
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
        struct hws_wire_limits l;
        hws_limits_default(&l);
        hws_limits_fill(&l.conn, rows[i].not_after_s, rows[i].now_s);
        assert_int_equal(l.conn.max_age_ms, rows[i].age_ms);
        assert_int_equal(l.conn.max_age_grace_ms, HWS_LIMITS_AGE_GRACE_MS);
    }
}

static void limits_are_set_by_name(void **state)
{
    struct hws_wire_limits l;
    struct hws_wire_limits before;
    struct hws_err err;
    static const char *const bad[] = {
        "max_calls",  "max_calls=", "max_calls=x",          "max_calls=-1",
        "max_call=1", "=1",         "max_calls=4294967296", "max_calls =1"};
    (void)state;

    hws_limits_default(&l);
    assert_ok(hws_limits_set(&l, "max_calls=7", &err), &err);
    assert_ok(hws_limits_set(&l, "max_conns=4294967295", &err), &err);
    assert_int_equal(l.conn.max_calls, 7);
    assert_int_equal(l.listener.max_conns, UINT32_MAX);
    before = l;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(hws_limits_set(&l, bad[i], &err), HWS_E_INVALID);
    }
    assert_memory_equal(&l, &before, sizeof(l));
}

static void count(void *data, const char *name, uint32_t value)
{
    (void)name;
    (void)value;
    ++*(size_t *)data;
}

static void every_limit_is_listed(void **state)
{
    struct hws_wire_limits l;
    size_t n = 0;
    (void)state;

    hws_limits_default(&l);
    hws_limits_each(&l, count, &n);
    assert_int_equal(n, sizeof(l) / sizeof(uint32_t));
}

/* What hawserd knows of them, without our headers. */
static void match(void *data, const char *name, uint32_t value)
{
    bool *seen = data;

    for (size_t i = 0; i < HWS_COMMON_N_LIMITS; i++) {
        const struct hws_common_limit *l = hws_common_limit_at(i);
        if (strcmp(l->name, name) == 0) {
            assert_false(seen[i]);
            seen[i] = true;
            assert_int_equal(l->usual, value);
            return;
        }
    }
    fail_msg("the configuration knows no limit %s", name);
}

static void configuration_knows_every_limit_its_default_and_a_range(void **state)
{
    bool seen[HWS_COMMON_N_LIMITS] = {false};
    struct hws_wire_limits l;
    (void)state;

    hws_limits_default(&l);
    hws_limits_each(&l, match, seen);
    for (size_t i = 0; i < HWS_COMMON_N_LIMITS; i++) {
        const struct hws_common_limit *c = hws_common_limit_at(i);
        char value[16];

        assert_true(seen[i]);
        assert_true(c->lowest <= c->usual && c->usual <= c->highest);
        hws_str_print(value, sizeof value, "%u", c->lowest);
        assert_code(hws_common_limit_check(c->name, value, NULL), HWS_OK);
        hws_str_print(value, sizeof value, "%u", c->highest + 1);
        assert_code(hws_common_limit_check(c->name, value, NULL), HWS_E_INVALID);
        hws_str_print(value, sizeof value, "%lld", (long long)c->lowest - 1);
        assert_code(hws_common_limit_check(c->name, value, NULL), HWS_E_INVALID);
    }
    assert_null(hws_common_limit_at(HWS_COMMON_N_LIMITS));
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
        cmocka_unit_test(limits_are_set_by_name),
        cmocka_unit_test(every_limit_is_listed),
        cmocka_unit_test(configuration_knows_every_limit_its_default_and_a_range),
        cmocka_unit_test(refusals_are_logged_ten_in_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
