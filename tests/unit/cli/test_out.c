/* cli/out: the same document as text and as JSON, whole and streamed. */
#include <jansson.h>
#include <string.h>

#include "cli/out.h"
#include "test.h"

static const struct hws_column columns[] = {
    {"host", "HOST", 8}, {"name", "NAME", 6}, {"count", "COUNT", 0}, {"id", NULL, 0}};

static void a_row(struct hws_out *out, const char *host, const char *name, uint64_t count)
{
    const struct hws_cell cells[] = {hws_cell_text(host), hws_cell_tone(name, HWS_TONE_BAD),
                                     hws_cell_uint(count), hws_cell_hex(count)};

    hws_out_row(out, cells);
}

static void a_document(struct hws_out *out)
{
    struct hws_client_status status = {.code = HWS_CLIENT_UNAVAILABLE};

    (void)memcpy(status.message, "no route", sizeof("no route"));
    hws_out_begin(out, "hawser.test", 3, false);
    hws_out_fact(out, "file", "file", hws_cell_text("x.jsonl"));
    hws_out_fact(out, "hidden", NULL, hws_cell_bool(true));
    hws_out_table(out, "rows", columns, 4);
    a_row(out, "a", "\xc3\xa4ngstr\xc3\xb6m", 7);
    a_row(out, "host-b", "", UINT64_MAX);
    hws_out_table(out, "empty", columns, 4);
    hws_out_failure(out, "host-c", &status);
    hws_out_summary(out, 2, 1);
}

static void text_is_aligned_by_characters(void **state)
{
    struct hws_out out;
    struct hws_err err;
    (void)state;
    hws_out_init(&out, false, NULL, false);

    a_document(&out);
    assert_ok(hws_out_end(&out, &err), &err);

    assert_string_equal(hws_buf_cstr(&out.text), "file             x.jsonl\n"
                                                 "\n"
                                                 "HOST    NAME      COUNT\n"
                                                 "a       \xc3\xa4ngstr\xc3\xb6m  7\n"
                                                 "host-b  -         18446744073709551615\n"
                                                 "host-c  UNAVAILABLE  no route\n"
                                                 "2 ok, 1 failed\n");
    hws_out_deinit(&out);
}

/* Nothing found is an answer, too: the titles stand alone, once, whole or streamed. */
static void a_table_without_rows_shows_its_titles_where_nothing_else_is_said(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct hws_out out;
        struct hws_err err;
        hws_out_init(&out, false, NULL, false);
        hws_out_begin(&out, "s", 1, stream != 0);
        hws_out_table(&out, "rows", columns, 4);
        hws_out_summary(&out, 2, 0);
        assert_ok(hws_out_end(&out, &err), &err);
        assert_string_equal(hws_buf_cstr(&out.text),
                            stream != 0 ? "HOST      NAME    COUNT\n2 ok, 0 failed\n"
                                        : "HOST  NAME  COUNT\n2 ok, 0 failed\n");
        hws_out_deinit(&out);
    }
}

static void colours_are_only_there_when_asked_for(void **state)
{
    struct hws_out out;
    struct hws_err err;
    (void)state;
    hws_out_init(&out, false, NULL, true);

    hws_out_begin(&out, "s", 1, false);
    hws_out_table(&out, "rows", columns, 4);
    a_row(&out, "a", "b", 1);
    assert_ok(hws_out_end(&out, &err), &err);

    assert_string_equal(hws_buf_cstr(&out.text),
                        "\x1b[1mHOST\x1b[0m  \x1b[1mNAME\x1b[0m  \x1b[1mCOUNT\x1b[0m\n"
                        "a     \x1b[31mb\x1b[0m     1\n");
    hws_out_deinit(&out);
}

static void json_has_schema_version_and_everything(void **state)
{
    struct hws_out out;
    struct hws_err err;
    (void)state;
    hws_out_init(&out, true, NULL, true);

    a_document(&out);
    assert_ok(hws_out_end(&out, &err), &err);

    json_t *root = json_loads(hws_buf_cstr(&out.text), 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "schema")), "hawser.test");
    assert_int_equal(json_integer_value(json_object_get(root, "version")), 3);
    assert_true(json_is_true(json_object_get(root, "hidden")));
    json_t *rows = json_object_get(root, "rows");
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "id")), "0x7");
    assert_true(json_is_null(json_object_get(json_array_get(rows, 1), "name")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "count")),
                        "18446744073709551615"); /* too large for a JSON reader's double */
    assert_int_equal(json_array_size(json_object_get(root, "empty")), 0);
    json_t *failure = json_array_get(json_object_get(root, "failures"), 0);
    assert_string_equal(json_string_value(json_object_get(failure, "code")), "UNAVAILABLE");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(root, "summary"), "failed")), 1);
    json_decref(root);
    hws_out_deinit(&out);
}

static void text_that_is_not_utf8_is_quoted_in_json(void **state)
{
    struct hws_out out;
    struct hws_err err;
    (void)state;
    hws_out_init(&out, true, NULL, false);

    hws_out_begin(&out, "s", 1, false);
    hws_out_fact(&out, "x", "x", hws_cell_text("a\xff"));
    assert_ok(hws_out_end(&out, &err), &err);

    json_t *root = json_loads(hws_buf_cstr(&out.text), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(root, "x")), "a\\xff");
    json_decref(root);
    hws_out_deinit(&out);
}

static void a_stream_writes_each_row_as_it_comes(void **state)
{
    struct hws_out out;
    struct hws_err err;
    (void)state;

    hws_out_init(&out, false, NULL, false);
    hws_out_begin(&out, "s", 1, true);
    hws_out_table(&out, "rows", columns, 4);
    a_row(&out, "a", "b", 1);
    assert_string_equal(hws_buf_cstr(&out.text), "HOST      NAME    COUNT\n"
                                                 "a         b       1\n");
    a_row(&out, "longer-than-8", "b", 2);
    assert_ok(hws_out_end(&out, &err), &err);
    assert_string_equal(hws_buf_cstr(&out.text), "HOST      NAME    COUNT\n"
                                                 "a         b       1\n"
                                                 "longer-than-8  b       2\n");
    hws_out_deinit(&out);

    hws_out_init(&out, true, NULL, false);
    hws_out_begin(&out, "s", 1, true);
    hws_out_table(&out, "rows", columns, 4);
    a_row(&out, "a", "b", 1);
    assert_ok(hws_out_end(&out, &err), &err);
    assert_string_equal(hws_buf_cstr(&out.text),
                        "{\"schema\":\"s\",\"version\":1,\"host\":\"a\",\"name\":\"b\",\"count\":1,"
                        "\"id\":\"0x1\"}\n");
    hws_out_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_aligned_by_characters),
        cmocka_unit_test(a_table_without_rows_shows_its_titles_where_nothing_else_is_said),
        cmocka_unit_test(colours_are_only_there_when_asked_for),
        cmocka_unit_test(json_has_schema_version_and_everything),
        cmocka_unit_test(text_that_is_not_utf8_is_quoted_in_json),
        cmocka_unit_test(a_stream_writes_each_row_as_it_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
