/* So many calls at once, as many again over a minute, each principal and class by itself. */
#include <stdio.h>
#include <string.h>

#include "hawserd/rates.h"
#include "test.h"

#define OLGA  "spiffe://d/operator/olga"
#define OSCAR "spiffe://d/operator/oscar"

static struct hws_rates s_rates;

static int setup(void **state)
{
    uint32_t per_min[HWS_N_EFFECTS] = {0};
    (void)state;

    per_min[HWS_EFFECT_CONFIG_LIVE] = 60;
    per_min[HWS_EFFECT_FULL] = 1;
    hws_rates_init(&s_rates, per_min);
    return 0;
}

/* How many calls pass at that time; it asks until one is refused. */
static unsigned n_pass(const char *who, enum hws_effect effect, uint64_t now_ms)
{
    uint32_t retry_ms = 0;
    struct hws_err err;
    unsigned n = 0;

    while (n < 100000 && hws_rates_take(&s_rates, who, effect, now_ms, &retry_ms, &err) == HWS_OK) {
        n++;
    }
    return n;
}

static void a_minutes_calls_at_once_and_then_one_as_each_is_earned(void **state)
{
    (void)state;
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 5000), 60);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 5999), 0);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 6000), 1);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 16000), 10);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 16000 + 86400000), 60);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_FULL, 16000), 1);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_FULL, 75999), 0);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_FULL, 76000), 1);
}

static void one_principal_leaves_anothers_calls_alone(void **state)
{
    (void)state;
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 1), 60);
    assert_int_equal(n_pass(OSCAR, HWS_EFFECT_CONFIG_LIVE, 1), 60);
}

static void a_class_without_a_limit_is_not_counted(void **state)
{
    (void)state;
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_READ, 1), 100000);
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 1), 60);
}

static void a_refusal_says_who_what_how_many_and_when(void **state)
{
    uint32_t retry_ms = 0;
    struct hws_err err;
    (void)state;

    assert_int_equal(n_pass(OLGA, HWS_EFFECT_FULL, 1000), 1);
    assert_int_equal(hws_rates_take(&s_rates, OLGA, HWS_EFFECT_FULL, 21000, &retry_ms, &err),
                     HWS_E_BUSY);
    assert_string_equal(err.msg, OLGA " has made its calls of effect full, 1 a minute (rates); "
                                      "the next is allowed in 40000 ms");
    assert_int_equal(retry_ms, 40000);
}

/* Others who come and go do not give a principal its calls back before it has been quiet. */
static void who_is_busy_is_not_forgotten(void **state)
{
    uint32_t retry_ms = 0;
    struct hws_err err;
    const uint64_t n = UINT64_C(4) * HWS_RATES_PRINCIPALS;
    (void)state;

    for (uint64_t i = 0; i < n; i++) {
        char name[64];
        (void)n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 1000 + i);
        (void)snprintf(name, sizeof(name), "spiffe://d/other/%u", (unsigned)i);
        assert_ok(hws_rates_take(&s_rates, name, HWS_EFFECT_CONFIG_LIVE, 1000 + i, &retry_ms, &err),
                  &err);
    }
    assert_int_equal(n_pass(OLGA, HWS_EFFECT_CONFIG_LIVE, 1000 + n), 0);
}

static void defaults_limit_what_changes_something(void **state)
{
    uint32_t per_min[HWS_N_EFFECTS];
    (void)state;

    hws_rates_defaults(per_min);
    for (int e = HWS_EFFECT_NONE + 1; e < HWS_N_EFFECTS; e++) {
        assert_int_equal(per_min[e] != 0, hws_effect_mutates((enum hws_effect)e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_minutes_calls_at_once_and_then_one_as_each_is_earned, setup),
        cmocka_unit_test_setup(one_principal_leaves_anothers_calls_alone, setup),
        cmocka_unit_test_setup(a_class_without_a_limit_is_not_counted, setup),
        cmocka_unit_test_setup(a_refusal_says_who_what_how_many_and_when, setup),
        cmocka_unit_test_setup(who_is_busy_is_not_forgotten, setup),
        cmocka_unit_test(defaults_limit_what_changes_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
