/* UTF-8 by the examples of Unicode's table 3-7, and the gate before the YAML reader. */
#include <string.h>

#include "base/text.h"
#include "test.h"

static const struct {
    const char *bytes;
    size_t want;
} s_characters[] = {
    {"a", 1},
    {"~", 1},
    {"\x7f", 0},
    {"\n", 0},
    {"\xc2\xa0", 2},
    {"\xc2\x85", 0}, /* a control character */
    {"\xc1\xbf", 0}, /* overlong */
    {"\xdf\xbf", 2},
    {"\xe0\x9f\xbf", 0}, /* overlong */
    {"\xe0\xa0\x80", 3},
    {"\xed\x9f\xbf", 3},
    {"\xed\xa0\x80", 0}, /* surrogate */
    {"\xef\xbf\xbd", 3},
    {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
    {"\xf0\x90\x80\x80", 4},
    {"\xf4\x8f\xbf\xbf", 4},
    {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", 0},
    {"\x80", 0},
    {"\xe2\x82", 0}, /* cut */
};

static void characters_are_told_from_what_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_characters) / sizeof(s_characters[0]); i++) {
        const char *s = s_characters[i].bytes;
        if (hws_utf8_bytes((const uint8_t *)s, strlen(s)) != s_characters[i].want) {
            fail_msg("character %zu", i);
        }
    }
    assert_int_equal(hws_utf8_bytes((const uint8_t *)"a", 0), 0);
    assert_int_equal(hws_utf8_bytes((const uint8_t *)"\xc3\xbc", 1), 0);
}

static void text_for_yaml_is_let_through(void **state)
{
    static const char good[] = "a: 1\r\n\tb: \xc3\xbc 5% # 100%\n";
    unsigned line;
    unsigned column;

    (void)state;
    assert_null(hws_text_yaml_fault(good, strlen(good), &line, &column));
    assert_null(hws_text_yaml_fault("", 0, &line, &column));
}

static void faults_are_placed(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        unsigned column;
    } cases[] = {
        {"%YAML 1.2\n---\n", 1, 1},      {"a: 1\n%", 2, 1},
        {"a: 1\nb: \xc3\xbc\xff", 2, 5}, {"a\x01", 1, 2},
        {"a: 1\n\x1b[0m", 2, 1},         {"a: 'it''s'\n'x''''': 1\n", 2, 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned line = 0;
        unsigned column = 0;
        assert_non_null(hws_text_yaml_fault(cases[i].text, strlen(cases[i].text), &line, &column));
        assert_int_equal(line, cases[i].line);
        assert_int_equal(column, cases[i].column);
    }
    unsigned line = 0;
    unsigned column = 0;
    assert_non_null(hws_text_yaml_fault("ab\0c", 4, &line, &column));
    assert_int_equal(column, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_told_from_what_is_none),
        cmocka_unit_test(text_for_yaml_is_let_through),
        cmocka_unit_test(faults_are_placed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
