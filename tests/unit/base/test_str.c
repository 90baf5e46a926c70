/* base/str: numbers, hex, quoting, cutting. */
#include <string.h>

#include "base/str.h"
#include "test.h"

static void numbers_are_whole_and_in_range(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        enum hws_code code;
        uint64_t value;
    } rows[] = {
        {"0", 10, HWS_OK, 0},
        {"10", 10, HWS_OK, 10},
        {"11", 10, HWS_E_INVALID, 0},
        {"0x10", 16, HWS_OK, 16},
        {"0b101", 7, HWS_OK, 5},
        {"18446744073709551615", UINT64_MAX, HWS_OK, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, HWS_E_INVALID, 0},
        {"", 10, HWS_E_INVALID, 0},
        {"0x", 10, HWS_E_INVALID, 0},
        {" 1", 10, HWS_E_INVALID, 0},
        {"1 ", 10, HWS_E_INVALID, 0},
        {"-1", 10, HWS_E_INVALID, 0},
        {"1a", 99, HWS_E_INVALID, 0},
        {"7", 0, HWS_E_INVALID, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t v = 0;
        struct hws_err err;
        assert_code(hws_str_to_u64(rows[i].text, rows[i].max, &v, &err), rows[i].code);
        assert_int_equal(v, rows[i].value);
    }
}

static void hex_goes_both_ways_and_rejects_the_rest(void **state)
{
    uint8_t out[4];
    size_t n = 0;
    char text[9];
    (void)state;

    assert_code(hws_hex_decode("00fFa5", out, sizeof(out), &n), HWS_OK);
    hws_hex_encode(out, n, text);

    assert_string_equal(text, "00ffa5");
    assert_code(hws_hex_decode("0", out, sizeof(out), &n), HWS_E_INVALID);
    assert_code(hws_hex_decode("0g", out, sizeof(out), &n), HWS_E_INVALID);
    assert_code(hws_hex_decode("0011223344", out, sizeof(out), &n), HWS_E_BUSY);
}

static void quote_never_splits_an_escape(void **state)
{
    char out[8];
    (void)state;

    hws_str_quote(out, sizeof(out), "a\n\"", 3);

    assert_string_equal(out, "a\\x0a");
}

static void copies_terminate_and_tell_when_cut(void **state)
{
    char out[4];
    (void)state;
    assert_true(hws_str_copy(out, sizeof(out), "abc"));
    assert_false(hws_str_copy(out, sizeof(out), "abcd"));
    assert_string_equal(out, "abc");
    assert_false(hws_str_print(out, sizeof(out), "%d", 12345));
    assert_string_equal(out, "123");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(hex_goes_both_ways_and_rejects_the_rest),
        cmocka_unit_test(quote_never_splits_an_escape),
        cmocka_unit_test(copies_terminate_and_tell_when_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
