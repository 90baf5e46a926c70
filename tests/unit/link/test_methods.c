/* The method rows: complete, unique, and fenced exactly where something changes. */
#include <string.h>

#include "base/str.h"
#include "link/methods.h"
#include "test.h"

static void every_row_is_filled(void **state)
{
    (void)state;
    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        const struct hws_method *row = hws_method_at(i);

        assert_non_null(row);
        assert_true(row->kind != HWS_METHOD_KIND_NONE && row->lock != HWS_METHOD_LOCK_MISSING);
        assert_true(row->audit != HWS_METHOD_AUDIT_MISSING);
        assert_true(row->fenced != HWS_METHOD_ANSWER_MISSING);
        assert_true(row->repeatable == HWS_METHOD_ANSWER_NO ||
                    row->repeatable == HWS_METHOD_ANSWER_YES);
        assert_true(hws_str_starts(row->path, "/hawser.v1."));
        assert_int_equal(hws_method_index(row), i);
    }
    assert_null(hws_method_at(HWS_N_METHODS));
}

static void paths_are_found_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        const struct hws_method *row = hws_method_at(i);

        assert_ptr_equal(hws_method_find(row->path, strlen(row->path)), row);
        assert_null(hws_method_find(row->path, strlen(row->path) - 1));
    }
    assert_null(hws_method_find("", 0));
    assert_null(hws_method_find("/hawser.v1.DeviceService/list", 29));
}

static void what_mutates_is_fenced_and_not_repeatable(void **state)
{
    unsigned n_fenced = 0;

    (void)state;
    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        const struct hws_method *row = hws_method_at(i);
        bool mutates = row->audit != HWS_METHOD_AUDIT_READ;

        assert_int_equal(mutates, row->fenced != HWS_METHOD_ANSWER_NO);
        assert_int_equal(mutates, row->repeatable == HWS_METHOD_ANSWER_NO);
        assert_int_equal(row->audit == HWS_METHOD_AUDIT_BY_EFFECT,
                         row->fenced == HWS_METHOD_ANSWER_BY_EFFECT);
        n_fenced += row->fenced == HWS_METHOD_ANSWER_YES ? 1u : 0u;
    }
    /* Apply, Reset, Reload, Finalize; Grant, Revoke, Request, Sign; Add and Remove of locks and of
     * kills. */
    assert_int_equal(n_fenced, 12);
}

static void streams_are_marked_as_the_protos_say(void **state)
{
    (void)state;
    assert_int_equal(hws_method_at(HWS_METHOD_DEVICE_WATCH)->kind, HWS_METHOD_KIND_SERVER_STREAM);
    assert_int_equal(hws_method_at(HWS_METHOD_COMMAND_EXECUTE_STREAM)->kind, HWS_METHOD_KIND_BIDI);
    assert_int_equal(hws_method_at(HWS_METHOD_DUMP_PULL)->kind, HWS_METHOD_KIND_SERVER_STREAM);
    assert_int_equal(hws_method_at(HWS_METHOD_AUDIT_TAIL)->kind, HWS_METHOD_KIND_SERVER_STREAM);
    assert_int_equal(hws_method_at(HWS_METHOD_CONFIG_APPLY)->kind, HWS_METHOD_KIND_UNARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_filled),
        cmocka_unit_test(paths_are_found_exactly),
        cmocka_unit_test(what_mutates_is_fenced_and_not_repeatable),
        cmocka_unit_test(streams_are_marked_as_the_protos_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
