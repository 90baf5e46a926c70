/* One command from typed fields: the row decides scope and lengths, the inbox must agree. */
#include <string.h>

#include "base/str.h"
#include "hawserd/exec.h"
#include "ifc/call.h"
#include "table/table.h"
#include "test.h"

static const struct hws_table_row *row(const char *name, enum hws_reg_method method)
{
    const struct hws_table_row *r;
    struct hws_err err;

    assert_ok(hws_table_find_register(HWS_KIND_MLX5, name, method, &r, &err), &err);
    return r;
}

static void register_read_is_an_access_reg_with_the_rows_scope(void **state)
{
    struct hws_exec x = {0};
    struct hws_exec_access q = {0};
    struct hws_ctl_call call = {0};
    struct hws_err err;
    char name[64];
    (void)state;

    assert_ok(hws_exec_register(&x, row("MGIR", HWS_REG_READ), &q, &err), &err);

    struct hws_stepper s = hws_exec_stepper(&x);
    assert_int_equal(s.next(s.self, 0, &call), HWS_STEP_CALL);
    assert_int_equal(call.in[0] << 8 | call.in[1], 0x805);    /* opcode ACCESS_REG */
    assert_int_equal(call.in[6] << 8 | call.in[7], 1);        /* op_mod: read */
    assert_int_equal(call.in[10] << 8 | call.in[11], 0x9020); /* register_id */
    assert_int_equal(call.scope, 1);
    hws_exec_name(x.row, name, sizeof(name));
    assert_string_equal(name, "ACCESS_REG MGIR read");
    hws_exec_deinit(&x);
}

static void bad_accesses_name_the_field(void **state)
{
    static const uint8_t data[3] = {0};
    static const struct hws_reg_assign nonsense = {"no_such_field", "1"};
    static const struct {
        struct hws_exec_access q;
        enum hws_reg_method method;
        const char *field;
    } rows[] = {
        {{&nonsense, 1, data, 3}, HWS_REG_READ, "register.fields"},
        {{NULL, 0, data, 3}, HWS_REG_READ, "register.data"},
        {{NULL, 0, NULL, 0}, HWS_REG_WRITE, "register.fields"},
        {{&nonsense, 1, NULL, 0}, HWS_REG_READ, "register.fields"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_exec x = {0};
        struct hws_err err;
        assert_code(hws_exec_register(&x, row("MTMP", rows[i].method), &rows[i].q, &err),
                    HWS_E_INVALID);
        assert_string_equal(x.field, rows[i].field);
        hws_exec_deinit(&x);
    }
}

static void raw_inbox_must_be_of_the_named_command(void **state)
{
    static const struct {
        const char *command;
        uint8_t inbox[16];
        size_t n;
        enum hws_code code;
    } rows[] = {
        {"QUERY_ADAPTER", {0x01, 0x01}, 16, HWS_OK},
        {"0x101", {0x01, 0x01}, 16, HWS_OK},
        {"257", {0x01, 0x01}, 16, HWS_OK},
        {"QUERY_ADAPTER", {0}, 0, HWS_OK},
        {"NOP", {0x01, 0x01}, 16, HWS_E_INVALID},
        {"QUERY_ADAPTER", {0x01, 0x01}, 8, HWS_E_INVALID},
        {"0x7f01", {0x7f, 0x01}, 16, HWS_E_DENIED},
        {"NO_SUCH", {0}, 0, HWS_E_NOT_FOUND},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_exec x = {0};
        struct hws_exec_command q = {
            .command = rows[i].command, .inbox = rows[i].inbox, .n_inbox = rows[i].n};
        struct hws_err err;
        hws_err_clear(&err);
        enum hws_code code = hws_exec_raw(&x, HWS_KIND_MLX5, &q, &err);
        if (code != rows[i].code) {
            fail_msg("row %zu: %s %s", i, hws_code_name(code), err.msg);
        }
        hws_exec_deinit(&x);
    }
}

static void firmware_refusal_is_an_answer_and_a_lost_command_an_error(void **state)
{
    struct hws_exec x = {0};
    struct hws_exec_access q = {0};
    struct hws_ctl_call call = {0};
    struct hws_err err;
    (void)state;
    assert_ok(hws_exec_register(&x, row("MGIR", HWS_REG_READ), &q, &err), &err);
    struct hws_stepper s = hws_exec_stepper(&x);
    assert_int_equal(s.next(s.self, 0, &call), HWS_STEP_CALL);
    hws_err_set(&call.err, HWS_E_DEVICE, "refused");
    hws_err_at(&call.err, HWS_STAGE_EXECUTED);
    call.err.exec_status = 3;

    s.feed(s.self, &call);

    assert_int_equal(s.next(s.self, 0, &call), HWS_STEP_DONE);
    assert_int_equal(x.answer.exec_status, 3);
    x.fed = false;
    hws_err_set(&call.err, HWS_E_TIMEOUT, "no answer");
    hws_err_at(&call.err, HWS_STAGE_UNKNOWN);
    s.feed(s.self, &call);
    assert_int_equal(s.next(s.self, 0, &call), HWS_STEP_FAILED);
    assert_code(x.err.code, HWS_E_TIMEOUT);
    hws_exec_deinit(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register_read_is_an_access_reg_with_the_rows_scope),
        cmocka_unit_test(bad_accesses_name_the_field),
        cmocka_unit_test(raw_inbox_must_be_of_the_named_command),
        cmocka_unit_test(firmware_refusal_is_an_answer_and_a_lost_command_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
