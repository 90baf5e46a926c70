/* base/err: codes, wrapping, cutting. */
#include <string.h>

#include "base/err.h"
#include "test.h"

static void set_clears_what_an_earlier_error_left(void **state)
{
    struct hws_err err;
    (void)state;
    memset(&err, 0xff, sizeof(err));

    assert_code(hws_err_set(&err, HWS_E_BUSY, "slot %d", 3), HWS_E_BUSY);

    assert_string_equal(err.msg, "slot 3");
    assert_int_equal(err.stage, HWS_STAGE_NONE);
    assert_int_equal(err.syndrome, 0);
}

static void wrap_reads_outermost_first_and_keeps_the_stage(void **state)
{
    struct hws_err err;
    (void)state;
    (void)hws_err_set(&err, HWS_E_TIMEOUT, "no completion");
    hws_err_at(&err, HWS_STAGE_UNKNOWN);

    assert_code(hws_err_wrap(&err, "slot %u", 7u), HWS_E_TIMEOUT);

    assert_string_equal(err.msg, "slot 7: no completion");
    assert_int_equal(err.stage, HWS_STAGE_UNKNOWN);
}

static void a_long_text_is_cut_and_terminated(void **state)
{
    char text[600];
    struct hws_err err;
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)hws_err_set(&err, HWS_E_IO, "%s", text);

    (void)hws_err_wrap(&err, "%s", text);

    assert_int_equal(strlen(err.msg), HWS_ERR_MSG_BYTES - 1);
}

static void null_is_allowed(void **state)
{
    (void)state;
    assert_code(hws_err_set(NULL, HWS_E_GONE, "x"), HWS_E_GONE);
    hws_err_at(NULL, HWS_STAGE_UNKNOWN);
    hws_err_clear(NULL);
}

static void every_code_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < HWS_N_CODES; i++) {
        assert_true(strlen(hws_code_name((enum hws_code)i)) > 1);
        assert_true(strlen(hws_code_text((enum hws_code)i)) > 1);
    }
    assert_true(HWS_N_CODES <= 16);
    assert_string_equal(hws_code_name((enum hws_code)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_clears_what_an_earlier_error_left),
        cmocka_unit_test(wrap_reads_outermost_first_and_keeps_the_stage),
        cmocka_unit_test(a_long_text_is_cut_and_terminated),
        cmocka_unit_test(null_is_allowed),
        cmocka_unit_test(every_code_has_a_name_and_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
