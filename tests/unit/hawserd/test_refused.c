/* Which refusals get a record of their own, and that every other one is counted and told. */
#include <stdio.h>
#include <string.h>

#include "hawserd/refused.h"
#include "test.h"

static struct hws_refused s_refused;

static int setup(void **state)
{
    (void)state;
    memset(&s_refused, 0, sizeof(s_refused));
    return 0;
}

static void a_flood_is_counted_and_not_one_call_is_lost(void **state)
{
    unsigned n_single = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        n_single += hws_refused_admit(&s_refused, "spiffe://d/x", "m", 1000) ? 1 : 0;
    }
    assert_int_equal(n_single, HWS_REFUSED_BURST);
    assert_null(hws_refused_due(&s_refused, 1000 + HWS_REFUSED_TELL_MS - 1, false));
    struct hws_refused_slot *s = hws_refused_due(&s_refused, 1000 + HWS_REFUSED_TELL_MS, false);
    assert_non_null(s);
    assert_string_equal(s->principal, "spiffe://d/x");
    assert_int_equal(s->n, 5000 - HWS_REFUSED_BURST);
    s->n = 0;
    assert_false(hws_refused_waits(&s_refused));
}

static void one_principal_leaves_anothers_records_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)hws_refused_admit(&s_refused, "a", "m", 5);
    }
    assert_true(hws_refused_admit(&s_refused, "b", "m", 5));
}

static void records_come_back_with_time(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)hws_refused_admit(&s_refused, "a", "m", 5);
    }
    assert_false(hws_refused_admit(&s_refused, "a", "m", 5));
    assert_true(hws_refused_admit(&s_refused, "a", "m", 5 + 1000));
    assert_true(hws_refused_admit(&s_refused, "a", "m", 5 + 1000));
    assert_false(hws_refused_admit(&s_refused, "a", "m", 5 + 1000));
}

static void more_principals_than_places_are_counted_together(void **state)
{
    uint64_t n_single = 0;
    uint64_t n_told = 0;
    struct hws_refused_slot *s;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "p%d", i);
        n_single += hws_refused_admit(&s_refused, name, "m", 5) ? 1 : 0;
    }
    while ((s = hws_refused_due(&s_refused, 5, true)) != NULL) {
        n_told += s->n;
        s->n = 0;
    }
    assert_int_equal(n_single + n_told, 1000);
    assert_true(n_single < 1000);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flood_is_counted_and_not_one_call_is_lost),
        TEST(one_principal_leaves_anothers_records_alone),
        TEST(records_come_back_with_time),
        TEST(more_principals_than_places_are_counted_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
