/* Intent and outcome around a task, over a real store in a temporary folder. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawserd/agent.h"
#include "hawserd/convert.h"
#include "hawserd/handler.h"
#include "hawserd/ledger.h"
#include "hawserd/task.h"
#include "test.h"

static struct hws_agent *agent;
static char dir[64];
static struct hws_caller caller = {
    .n_refs = 1000, .principal = "spiffe://d/operator/o", .serial = "01", .peer = "127.0.0.1:1"};
static int n_gone;
static int n_ended;

static int start(void **state)
{
    struct hws_store_options o = {0};
    char path[128];
    struct hws_err err;
    (void)state;

    hws_str_copy(dir, sizeof(dir), "/tmp/hawser-ledger-XXXXXX");
    assert_non_null(mkdtemp(dir));
    hws_str_print(path, sizeof(path), "%s/hawser.db", dir);
    o.path = path;
    agent = hws_mem_zalloc(1, sizeof(*agent));
    assert_non_null(agent);
    assert_ok(hws_store_open(&o, &agent->store, &err), &err);
    return 0;
}

static int stop(void **state)
{
    char path[128];
    static const char *const names[] = {"hawser.db", "hawser.db-wal", "hawser.db-shm", "ballast",
                                        "hawser.db-ballast"};
    (void)state;

    hws_store_close_wait(agent->store);
    hws_mem_free(agent);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        hws_str_print(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return 0;
}

static void go(struct hws_task *task)
{
    (void)task;
    n_gone++;
}

static void ended(struct hws_task *task)
{
    (void)task;
    n_ended++;
}

static void init_task(struct hws_task *task, const char *request_id, uint64_t election,
                      uint8_t content)
{
    memset(task, 0, sizeof(*task));
    task->agent = agent;
    task->caller = &caller;
    task->row = hws_method_at(HWS_METHOD_CONFIG_RESET);
    task->handler = hws_handler_at(HWS_METHOD_CONFIG_RESET);
    task->want.effect = HWS_EFFECT_CONFIG_NEXT_RESET;
    task->want.detail = "defaults of NUM_OF_VFS";
    task->want.mutation.given = true;
    task->want.mutation.role = "operator";
    task->want.mutation.low = election;
    task->want.mutation.request_id = request_id;
    task->want.mutation.reason = "";
    memset(task->request_hash.b, content, sizeof(task->request_hash.b));
    hws_buf_init(&task->answer, 4096);
    hws_buf_init(&task->details, 4096);
    n_gone = 0;
    n_ended = 0;
}

static void free_task(struct hws_task *task)
{
    hws_buf_deinit(&task->answer);
    hws_buf_deinit(&task->details);
    hws_arena_deinit(&task->arena);
}

static void spin(void)
{
    while (n_gone == 0 && n_ended == 0) {
        struct pollfd p = {.fd = hws_store_fd(agent->store), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        hws_store_turn(agent->store);
    }
}

static void begin(struct hws_task *task)
{
    struct hws_err err;

    assert_ok(hws_ledger_begin(task, go, ended, &err), &err);
    spin();
}

static void end(struct hws_task *task)
{
    n_gone = 0;
    n_ended = 0;
    hws_ledger_end(task, ended);
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
    free_task(&task);

    init_task(&task, "repeat-0001", 5, 1);
    begin(&task);

    assert_int_equal(n_ended, 1);
    assert_true(task.repeated);
    assert_int_equal(task.err.code, HWS_OK);
    assert_int_equal(hws_buf_len(&task.answer), sizeof(answer) + 2);
    assert_memory_equal(hws_buf_peek(&task.answer), answer, sizeof(answer));
    assert_int_equal(hws_buf_peek(&task.answer)[3], 5 << 3); /* repeated_request, a varint */
    assert_int_equal(hws_buf_peek(&task.answer)[4], 1);
    free_task(&task);
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
    free_task(&task);

    init_task(&task, "fail-00001", 5, 2);
    begin(&task);

    assert_true(task.repeated);
    assert_code(task.err.code, HWS_E_DEVICE);
    assert_int_equal(task.err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(task.err.exec_status, 3);
    assert_int_equal(task.err.syndrome, 0x1234);
    assert_string_equal(task.err.msg, "register MNVDA: refused");
    free_task(&task);
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
    free_task(&task);
}

static void same_id_for_something_else_and_an_old_fence_are_refused(void **state)
{
    struct hws_task task;
    (void)state;
    init_task(&task, "other-0001", 5, 3);
    begin(&task);
    task.outcome = HWS_INTENT_NEW;
    end(&task);
    free_task(&task);

    init_task(&task, "other-0001", 5, 4);
    begin(&task);
    assert_code(task.err.code, HWS_E_EXISTS);
    free_task(&task);
    init_task(&task, "other-0002", 4, 3);
    begin(&task);
    assert_code(task.err.code, HWS_E_DENIED);
    free_task(&task);
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
    free_task(&second);
    first.outcome = HWS_INTENT_VOID;
    end(&first);
    free_task(&first);
    init_task(&second, "open-00001", 5, 5); /* void: the id is free again */
    begin(&second);
    assert_int_equal(n_gone, 1);
    second.outcome = HWS_INTENT_NEW;
    end(&second);
    free_task(&second);
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
