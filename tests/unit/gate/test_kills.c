/* The killed rows that a device process keeps. */
#include <string.h>

#include "gate/kills.h"
#include "test.h"

#define N_ROWS 8u /* ids 0..7 */

static struct hws_gate_kills kills;
static uint8_t bytes[4 * HWS_LINK_KILL_BYTES];

static int setup(void **state)
{
    (void)state;
    return hws_gate_kills_init(&kills, N_ROWS, NULL) == HWS_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    hws_gate_kills_deinit(&kills);
    return 0;
}

/* A list of up to two rows (0: none), each for left_ms. */
static struct hws_gate_kills_news tell(uint16_t a, uint16_t b, uint32_t left_ms, uint64_t now_ms)
{
    const struct hws_link_kill one = {a, left_ms};
    const struct hws_link_kill two = {b, left_ms};
    struct hws_link_kills list = {.rows = bytes};

    if (a != 0) {
        hws_link_kill_put(bytes, list.n++, &one);
    }
    if (b != 0) {
        hws_link_kill_put(bytes, list.n++, &two);
    }
    return hws_gate_kills_take(&kills, &list, now_ms);
}

static bool is_killed(uint16_t row, uint64_t now_ms)
{
    return hws_gate_kills_left_ms(&kills, row, now_ms) > 0;
}

static void rows_are_killed_until_their_time_is_over(void **state)
{
    struct hws_gate_kills_news news = tell(3, 7, 500, 1000);

    (void)state;
    assert_int_equal(news.n_killed, 2);
    assert_int_equal(news.n_added, 2);
    assert_int_equal(news.n_lifted, 0);
    for (uint16_t row = 0; row < N_ROWS; row++) {
        assert_true(is_killed(row, 1000) == (row == 3 || row == 7));
    }
    assert_int_equal(hws_gate_kills_left_ms(&kills, 3, 1499), 1);
    assert_false(is_killed(3, 1500));
    assert_false(is_killed(N_ROWS, 1000)); /* no such row */
    assert_false(is_killed(UINT16_MAX, 1000));
}

static void list_takes_the_place_of_the_one_before(void **state)
{
    struct hws_gate_kills_news news;

    (void)state;
    (void)tell(3, 7, 500, 1000);
    news = tell(2, 3, 100, 1100);
    assert_int_equal(news.n_killed, 2);
    assert_int_equal(news.n_added, 1);
    assert_int_equal(news.n_lifted, 1);
    assert_true(is_killed(2, 1100));
    assert_int_equal(hws_gate_kills_left_ms(&kills, 3, 1100), 100); /* shorter, too */
    assert_false(is_killed(7, 1100));
    news = tell(0, 0, 0, 1300); /* what was over already is not lifted */
    assert_int_equal(news.n_killed, 0);
    assert_int_equal(news.n_lifted, 0);
}

static void row_without_a_time_stays_as_it_was(void **state)
{
    struct hws_gate_kills_news news;

    (void)state;
    (void)tell(3, 7, 500, 1000);
    news = tell(2, 3, 0, 1100); /* 2 was not killed, 7 is lifted */
    assert_int_equal(news.n_killed, 1);
    assert_int_equal(news.n_added, 0);
    assert_int_equal(news.n_lifted, 1);
    assert_false(is_killed(2, 1100));
    assert_int_equal(hws_gate_kills_left_ms(&kills, 3, 1100), 400); /* neither more nor less */
    assert_false(is_killed(7, 1100));
    news = tell(3, 0, 0, 1600); /* it was over */
    assert_int_equal(news.n_killed, 0);
    assert_int_equal(news.n_lifted, 0);
    assert_false(is_killed(3, 1600));
}

static void row_that_the_table_lacks_is_passed_over(void **state)
{
    struct hws_gate_kills_news news = tell(3, N_ROWS, 500, 1000);

    (void)state;
    assert_int_equal(news.n_killed, 1);
    assert_true(is_killed(3, 1000));
    assert_false(is_killed(N_ROWS, 1000));
}

#define WITH_KILLS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KILLS(rows_are_killed_until_their_time_is_over),
        WITH_KILLS(list_takes_the_place_of_the_one_before),
        WITH_KILLS(row_without_a_time_stays_as_it_was),
        WITH_KILLS(row_that_the_table_lacks_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
