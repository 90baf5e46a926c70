/* Intent and outcome around a task, over a real store in a temporary folder. */
#include <string.h>

#include "hawserd/convert.h"
#include "hawserd/ledger.h"
#include "keeper.h"

static int start(void **state)
{
    (void)state;
    keeper_open((struct hws_store_options){0});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    keeper_close();
    return 0;
}

static void init_task(struct hws_task *task, const char *request_id, uint64_t election,
                      uint8_t content)
{
    keeper_task(task, request_id, election);
    memset(task->request_hash.b, content, sizeof(task->request_hash.b));
}

static void spin(void)
{
    while (n_gone == 0 && n_ended == 0) {
        keeper_turn();
    }
}

static void begin(struct hws_task *task)
{
    struct hws_err err;

    assert_ok(hws_ledger_begin(task, keeper_go, keeper_ended, &err), &err);
    spin();
}

static void end(struct hws_task *task)
{
    n_gone = 0;
    n_ended = 0;
    hws_ledger_end(task, keeper_ended);
    spin();
}

static void bad_mutations_are_refused_with_the_field(void **state)
{
    static const struct {
        const char *role;
        uint64_t election;
        const char *request_id;
        const char *field;
    } rows[] = {
        {"", 1, "request-1", "mutation.fence.role"},
        {"Operator", 1, "request-1", "mutation.fence.role"},
        {"operator", 0, "request-1", "mutation.fence"},
        {"operator", 1, "short", "mutation.request_id"},
        {"operator", 1, "has spaces in", "mutation.request_id"},
        {"operator", 1, "0123456789012345678901234567890123456789012345678901234567890123456",
         "mutation.request_id"},
    };
    struct hws_task task;
    struct hws_err err;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        init_task(&task, rows[i].request_id, rows[i].election, 1);
        task.want.mutation.role = rows[i].role;
        assert_code(hws_ledger_check(&task, &err), HWS_E_INVALID);
        assert_string_equal(task.want.field, rows[i].field);
    }
    init_task(&task, "request-1", 1, 1);
    assert_ok(hws_ledger_check(&task, &err), &err);
    task.want.mutation.given = false;
    assert_code(hws_ledger_check(&task, &err), HWS_E_INVALID);
}

static void repeated_request_gets_the_first_answer_marked(void **state)
{
    static const uint8_t answer[] = {0x22, 0x01, '7'}; /* operation_id = "7" */
    struct hws_task task;
    (void)state;
    init_task(&task, "repeat-0001", 5, 1);
    begin(&task);
    assert_int_equal(n_gone, 1);
    assert_true(task.operation_id > 0);
    task.outcome = HWS_INTENT_NEW;
    assert_code(hws_buf_put(&task.answer, answer, sizeof(answer)), HWS_OK);
    end(&task);
    assert_int_equal(task.err.code, HWS_OK);
    keeper_free_task(&task);

    init_task(&task, "repeat-0001", 5, 1);
    begin(&task);

    assert_int_equal(n_ended, 1);
    assert_true(task.repeated);
    assert_int_equal(task.err.code, HWS_OK);
    assert_int_equal(hws_buf_len(&task.answer), sizeof(answer) + 2);
    assert_memory_equal(hws_buf_peek(&task.answer), answer, sizeof(answer));
    assert_int_equal(hws_buf_peek(&task.answer)[3], 5 << 3); /* repeated_request, a varint */
    assert_int_equal(hws_buf_peek(&task.answer)[4], 1);
    keeper_free_task(&task);
}

static void repeated_failure_fails_the_same_way(void **state)
{
    struct hws_task task;
    (void)state;
    init_task(&task, "fail-00001", 5, 2);
    begin(&task);
    hws_err_set(&task.err, HWS_E_DEVICE, "register MNVDA: refused");
    hws_err_at(&task.err, HWS_STAGE_EXECUTED);
    task.err.exec_status = 3;
    task.err.syndrome = 0x1234;
    assert_code(hws_convert_details(&task.err, NULL, 0, &task.details), HWS_OK);
    task.outcome = HWS_INTENT_OLD;
    end(&task);
    keeper_free_task(&task);

    init_task(&task, "fail-00001", 5, 2);
    begin(&task);

    assert_true(task.repeated);
    assert_code(task.err.code, HWS_E_DEVICE);
    assert_int_equal(task.err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(task.err.exec_status, 3);
    assert_int_equal(task.err.syndrome, 0x1234);
    assert_string_equal(task.err.msg, "register MNVDA: refused");
    keeper_free_task(&task);
}

static void reason_of_the_caller_is_on_record(void **state)
{
    struct hws_task task;
    (void)state;
    init_task(&task, "reason-0001", 5, 3);
    task.want.mutation.reason = "ticket 4711";
    begin(&task);

    assert_string_equal(task.begin.record.detail, "defaults of NUM_OF_VFS; reason: ticket 4711");
    task.outcome = HWS_INTENT_NEW;
    end(&task);
    keeper_free_task(&task);
}

static void same_id_for_something_else_and_an_old_fence_are_refused(void **state)
{
    struct hws_task task;
    (void)state;
    init_task(&task, "other-0001", 5, 3);
    begin(&task);
    task.outcome = HWS_INTENT_NEW;
    end(&task);
    keeper_free_task(&task);

    init_task(&task, "other-0001", 5, 4);
    begin(&task);
    assert_code(task.err.code, HWS_E_EXISTS);
    keeper_free_task(&task);
    init_task(&task, "other-0002", 4, 3);
    begin(&task);
    assert_code(task.err.code, HWS_E_DENIED);
    keeper_free_task(&task);
}

static void unfinished_request_is_not_done_twice(void **state)
{
    struct hws_task first;
    struct hws_task second;
    (void)state;
    init_task(&first, "open-00001", 5, 5);
    begin(&first);

    init_task(&second, "open-00001", 5, 5);
    begin(&second);

    assert_int_equal(n_gone, 0);
    assert_code(second.err.code, HWS_E_CONFLICT);
    keeper_free_task(&second);
    first.outcome = HWS_INTENT_VOID;
    end(&first);
    keeper_free_task(&first);
    init_task(&second, "open-00001", 5, 5); /* void: the id is free again */
    begin(&second);
    assert_int_equal(n_gone, 1);
    second.outcome = HWS_INTENT_NEW;
    end(&second);
    keeper_free_task(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_mutations_are_refused_with_the_field),
        cmocka_unit_test(repeated_request_gets_the_first_answer_marked),
        cmocka_unit_test(repeated_failure_fails_the_same_way),
        cmocka_unit_test(reason_of_the_caller_is_on_record),
        cmocka_unit_test(same_id_for_something_else_and_an_old_fence_are_refused),
        cmocka_unit_test(unfinished_request_is_not_done_twice),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
