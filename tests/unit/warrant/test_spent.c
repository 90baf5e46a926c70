/* The memory of used warrants. */
#include <string.h>

#include "test.h"
#include "warrant/spent.h"

#define T0 1796000000u

static struct hws_spent_use use_of(unsigned n, uint64_t until_s, uint64_t at_s)
{
    struct hws_spent_use u = {.until_s = until_s, .at_s = at_s};

    u.hash.b[0] = (uint8_t)n;
    u.hash.b[1] = (uint8_t)(n >> 8);
    u.hash.b[31] = 1;
    return u;
}

static void a_second_use_is_a_replay(void **state)
{
    struct hws_spent s = {0};
    struct hws_spent_use u = use_of(1, T0 + 10, T0);
    struct hws_spent_use v = use_of(2, T0 + 10, T0);
    struct hws_err err;

    (void)state;
    assert_code(hws_spent_check(&s, &u.hash, NULL), HWS_OK);
    hws_spent_add(&s, &u);
    assert_code(hws_spent_check(&s, &u.hash, &err), HWS_E_DENIED);
    assert_non_null(strstr(err.msg, "replayed"));
    assert_code(hws_spent_check(&s, &v.hash, NULL), HWS_OK);
}

static void a_clock_that_goes_back_makes_nothing_young_again(void **state)
{
    struct hws_spent s = {0};
    struct hws_spent_use u = use_of(1, T0 + 10, T0);
    struct hws_spent_use late = use_of(2, T0 + 600, T0 + 500);

    (void)state;
    hws_spent_add(&s, &u);
    assert_int_equal(hws_spent_now(&s, T0 - 1000), T0);
    assert_int_equal(hws_spent_now(&s, T0 + 7), T0 + 7);
    /* u is forgotten, and by this clock it has expired for good. */
    hws_spent_add(&s, &late);
    assert_int_equal(s.n, 1);
    assert_true(hws_spent_now(&s, T0 - 1000) > u.until_s);
}

static void a_use_that_was_taken_back_is_none_and_the_others_stay(void **state)
{
    struct hws_spent s = {0};
    struct hws_spent_use u = use_of(1, T0 + 10, T0);
    struct hws_spent_use v = use_of(2, T0 + 10, T0 + 1);
    struct hws_spent_use w = use_of(3, T0 + 10, T0 + 1);

    (void)state;
    hws_spent_add(&s, &u);
    hws_spent_add(&s, &v);
    hws_spent_forget(&s, &u.hash);
    hws_spent_forget(&s, &w.hash); /* never used: nothing */
    assert_code(hws_spent_check(&s, &u.hash, NULL), HWS_OK);
    assert_code(hws_spent_check(&s, &v.hash, NULL), HWS_E_DENIED);
    assert_int_equal(s.n, 1);
    assert_int_equal(hws_spent_now(&s, 0), T0 + 1);
}

static void lines_bring_it_back(void **state)
{
    struct hws_spent s = {0};
    char text[4 * HWS_SPENT_LINE_BYTES];
    char line[HWS_SPENT_LINE_BYTES];
    size_t n = 0;
    size_t whole = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct hws_spent_use u = use_of(i, T0 + 100, T0 + i);
        size_t length = hws_spent_line(&u, line);

        memcpy(text + n, line, length);
        n += length;
    }
    /* Cut anywhere in the last line, that one counts for nothing. */
    size_t last = n / 3;
    for (size_t cut = 0; cut < last; cut++) {
        memset(&s, 0, sizeof s);
        assert_ok(hws_spent_load(&s, text, n - last + cut, &whole, NULL), NULL);
        assert_int_equal(whole, n - last);
        assert_int_equal(s.n, 2);
        assert_int_equal(s.high_s, T0 + 1);
    }
    memset(&s, 0, sizeof s);
    assert_ok(hws_spent_load(&s, text, n, &whole, NULL), NULL);
    assert_int_equal(whole, n);
    assert_int_equal(s.n, 3);
}

static void a_damaged_line_is_refused(void **state)
{
    static const char *const bad[] = {
        "\n",
        "00\n",
        "0000000000000000000000000000000000000000000000000000000000000000 5\n",
        "0000000000000000000000000000000000000000000000000000000000000000 5 x\n",
        "0000000000000000000000000000000000000000000000000000000000000000 5 6\n", /* used after */
        "0000000000000000000000000000000000000000000000000000000000000000 05 1\n",
        "000000000000000000000000000000000000000000000000000000000000000g 5 1\n",
        "0000000000000000000000000000000000000000000000000000000000000000 5 1 \n",
    };
    struct hws_err err;
    size_t whole;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hws_spent s = {0};

        assert_code(hws_spent_load(&s, bad[i], strlen(bad[i]), &whole, &err), HWS_E_PROTO);
        assert_non_null(strstr(err.msg, "line 1"));
    }
}

static void over_the_limit_nothing_more_is_used(void **state)
{
    static struct hws_spent s;
    struct hws_spent_use u;
    struct hws_err err;

    (void)state;
    for (unsigned i = 0; i < HWS_SPENT_MAX; i++) {
        u = use_of(i, T0 + 100, T0);
        assert_code(hws_spent_check(&s, &u.hash, NULL), HWS_OK);
        hws_spent_add(&s, &u);
    }
    u = use_of(HWS_SPENT_MAX, T0 + 100, T0);
    assert_code(hws_spent_check(&s, &u.hash, &err), HWS_E_BUSY);
    char text[HWS_SPENT_LINE_BYTES];
    size_t n = hws_spent_line(&u, text);
    size_t whole;
    assert_code(hws_spent_load(&s, text, n, &whole, &err), HWS_E_PROTO);
    /* Time makes room: the latest use that a judge has seen. */
    s.high_s = T0 + 101;
    assert_code(hws_spent_check(&s, &u.hash, &err), HWS_OK);
    u.until_s = T0 + 300;
    u.at_s = T0 + 101;
    hws_spent_add(&s, &u);
    assert_int_equal(s.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_use_is_a_replay),
        cmocka_unit_test(a_clock_that_goes_back_makes_nothing_young_again),
        cmocka_unit_test(a_use_that_was_taken_back_is_none_and_the_others_stay),
        cmocka_unit_test(lines_bring_it_back),
        cmocka_unit_test(a_damaged_line_is_refused),
        cmocka_unit_test(over_the_limit_nothing_more_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
