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

static void text_is_well_formed_utf8_without_controls(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool is_text;
    } rows[] = {
        {"", 0, true},
        {"a\tb\r\n", 5, true},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 11, true},
        {"a\0b", 3, false},
        {"\x1b[0m", 4, false},
        {"\x7f", 1, false},
        {"\xc2\x85", 2, false},         /* a control of the upper half */
        {"\xec*\x9f", 3, false},        /* broken sequence */
        {"\xe2\x82", 2, false},         /* cut sequence */
        {"\xc0\xaf", 2, false},         /* overlong */
        {"\xe0\x80\xaf", 3, false},     /* overlong */
        {"\xed\xa0\x80", 3, false},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, false}, /* above U+10FFFF */
        {"\x80", 1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(hws_str_is_text(rows[i].bytes, rows[i].n), rows[i].is_text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(hex_goes_both_ways_and_rejects_the_rest),
        cmocka_unit_test(quote_never_splits_an_escape),
        cmocka_unit_test(copies_terminate_and_tell_when_cut),
        cmocka_unit_test(text_is_well_formed_utf8_without_controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
