/* Which refusals get a record of their own, and that every other one is counted and told. */
#include <stdio.h>
#include <string.h>

#include "hawserd/refused.h"
#include "test.h"

static struct hws_refused s_refused;

static bool admit(const char *principal, uint64_t now_ms)
{
    const struct hws_refused_call call = {principal, HWS_REFUSAL_POLICY, "PERMISSION_DENIED", "m"};

    return hws_refused_admit(&s_refused, &call, now_ms);
}

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
        n_single += admit("spiffe://d/x", 1000) ? 1 : 0;
    }
    assert_int_equal(n_single, HWS_REFUSED_BURST);
    assert_null(hws_refused_due(&s_refused, 1000 + HWS_REFUSED_TELL_MS - 1, false));
    struct hws_refused_slot *s = hws_refused_due(&s_refused, 1000 + HWS_REFUSED_TELL_MS, false);
    assert_non_null(s);
    assert_string_equal(s->principal, "spiffe://d/x");
    assert_int_equal(s->n, 5000 - HWS_REFUSED_BURST);
    hws_refused_told(s);
    assert_false(hws_refused_waits(&s_refused));
}

static void one_principal_leaves_anothers_records_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)admit("a", 5);
    }
    assert_true(admit("b", 5));
}

static void records_come_back_with_time(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)admit("a", 5);
    }
    assert_false(admit("a", 5));
    assert_true(admit("a", 5 + 1000));
    assert_true(admit("a", 5 + 1000));
    assert_false(admit("a", 5 + 1000));
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
        n_single += admit(name, 5) ? 1 : 0;
    }
    while ((s = hws_refused_due(&s_refused, 5, true)) != NULL) {
        n_told += s->n;
        hws_refused_told(s);
    }
    assert_int_equal(n_single + n_told, 1000);
    assert_true(n_single < 1000);
}

static void reasons_are_counted_one_by_one(void **state)
{
    static const enum hws_refusal whys[] = {HWS_REFUSAL_RATE, HWS_REFUSAL_FORM, HWS_REFUSAL_RATE};
    char text[64];

    (void)state;
    while (admit("a", 5)) {
    }
    for (size_t i = 0; i < sizeof(whys) / sizeof(whys[0]); i++) {
        const struct hws_refused_call call = {"a", whys[i], "RESOURCE_EXHAUSTED", "late"};
        hws_refused_count(&s_refused, &call, 6);
    }
    struct hws_refused_slot *s = hws_refused_due(&s_refused, 6, true);
    assert_non_null(s);
    hws_refused_reasons(s, text, sizeof(text));
    assert_string_equal(text, "1 form, 1 policy, 2 rate");
    assert_string_equal(s->status, "RESOURCE_EXHAUSTED");
    assert_string_equal(s->last, "late");
    hws_refused_reasons(s, text, 12); /* what does not fit is cut */
    assert_string_equal(text, "1 form, 1 p");
    hws_refused_told(s);
    hws_refused_reasons(s, text, sizeof(text));
    assert_string_equal(text, "");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flood_is_counted_and_not_one_call_is_lost),
        TEST(one_principal_leaves_anothers_records_alone),
        TEST(records_come_back_with_time),
        TEST(more_principals_than_places_are_counted_together),
        TEST(reasons_are_counted_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
