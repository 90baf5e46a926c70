/* cli/progress: what is drawn when. */
#include <stdio.h>
#include <string.h>

#include "cli/progress.h"
#include "test.h"

#define MIB UINT64_C(1048576)

static char text[4096];

static FILE *fresh(void)
{
    memset(text, 0, sizeof(text));
    FILE *f = fmemopen(text, sizeof(text), "w");
    assert_non_null(f);
    return f;
}

static void nothing_is_drawn_for_what_ends_within_a_second(void **state)
{
    struct hws_progress p;
    FILE *f = fresh();
    (void)state;

    hws_progress_start(&p, f, true, "x", true, 100, 5000);
    hws_progress_show(&p, 50, NULL, 5999);
    hws_progress_end(&p);
    assert_int_equal(fclose(f), 0);

    assert_string_equal(text, "");
}

static void terminal_gets_a_bar_with_rate_and_time_left(void **state)
{
    struct hws_progress p;
    FILE *f = fresh();
    (void)state;

    hws_progress_start(&p, f, true, "x.jsonl", true, 4 * MIB, 0);
    hws_progress_show(&p, MIB, "wave 1", 1000);
    hws_progress_show(&p, MIB + 1, NULL, 1050); /* too soon */
    hws_progress_end(&p);
    assert_int_equal(fclose(f), 0);

    assert_string_equal(text, "\rx.jsonl [######..................] 1.0 MiB of 4.0 MiB, 1.0 MiB/s, "
                              "3 s left, wave 1\x1b[K\r\x1b[K");
}

static void elsewhere_it_is_plain_lines_and_few(void **state)
{
    struct hws_progress p;
    FILE *f = fresh();
    (void)state;

    hws_progress_start(&p, f, false, "r", false, 3, 0);
    hws_progress_show(&p, 1, NULL, 1000);
    hws_progress_show(&p, 2, NULL, 5999);
    hws_progress_show(&p, 3, NULL, 6000);
    hws_progress_end(&p);
    assert_int_equal(fclose(f), 0);

    assert_string_equal(text, "r [########................] 1 of 3\n"
                              "r [########################] 3 of 3\n");
}

static void unknown_total_is_said(void **state)
{
    struct hws_progress p;
    FILE *f = fresh();
    (void)state;

    hws_progress_start(&p, f, false, "r", true, 0, 0);
    hws_progress_show(&p, 840, NULL, 2000);
    assert_int_equal(fclose(f), 0);

    assert_string_equal(text, "r [........................] 840 B of ?, 420 B/s\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_drawn_for_what_ends_within_a_second),
        cmocka_unit_test(terminal_gets_a_bar_with_rate_and_time_left),
        cmocka_unit_test(elsewhere_it_is_plain_lines_and_few),
        cmocka_unit_test(unknown_total_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
