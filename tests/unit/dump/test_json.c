/* JSON strings: what is escaped, and how. */
#include "dump/json.h"
#include "test.h"

static void strings_escape_quotes_backslashes_and_what_is_not_ascii(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *json;
    } cases[] = {
        {"", "\"\""},
        {"plain 1/2", "\"plain 1/2\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\x01\x7f\xff", "\"\\u000a\\u0001\\u007f\\u00ff\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_buf b;
        hws_buf_init(&b, 0);
        assert_ok(hws_dump_json_string(&b, cases[i].text), NULL);
        assert_string_equal(hws_buf_cstr(&b), cases[i].json);
        hws_buf_deinit(&b);
    }
}

static void pairs_are_parted_by_commas(void **state)
{
    (void)state;
    struct hws_buf b;
    hws_buf_init(&b, 0);

    assert_ok(hws_dump_json_pair(&b, true, "a", "1"), NULL);
    assert_ok(hws_dump_json_pair(&b, false, "b", "2"), NULL);

    assert_string_equal(hws_buf_cstr(&b), "\"a\":\"1\",\"b\":\"2\"");
    hws_buf_deinit(&b);
}

static void a_full_buffer_is_busy(void **state)
{
    (void)state;
    for (size_t room = 0; room < 8; room++) {
        struct hws_buf b;
        hws_buf_init(&b, room == 0 ? 1 : room);
        assert_code(hws_dump_json_pair(&b, false, "ab", "c\n"), HWS_E_BUSY);
        hws_buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_escape_quotes_backslashes_and_what_is_not_ascii),
        cmocka_unit_test(pairs_are_parted_by_commas),
        cmocka_unit_test(a_full_buffer_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
