/* Outcomes that find no disk space are stored when there is some, by the task's road and by
 * recovery's. The store is real, its files are in memory and can be full. */
#include <string.h>

#include "hawserd/ledger.h"
#include "keeper.h"
#include "mem_vfs.h"
#include "store/audit.h"

static const struct hws_store_options in_memory = {.vfs = MEM_VFS};

static int start(void **state)
{
    (void)state;

    mem_vfs_reset();
    keeper_open(in_memory); /* the folder is there: the free space of its disk is asked for */
    hws_late_open(&agent->late, agent);
    return 0;
}

static int stop(void **state)
{
    (void)state;

    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
    hws_late_close(&agent->late);
    hws_store_close_wait(agent->store);
    agent->store = NULL;
    hws_recover_deinit(&agent->recover);
    hws_late_deinit(&agent->late);
    keeper_close();
    return 0;
}

static void begin(struct hws_task *task, const char *request_id)
{
    struct hws_err err;

    keeper_task(task, request_id, 5);
    assert_ok(hws_ledger_begin(task, keeper_go, keeper_ended, &err), &err);
    while (n_gone == 0 && n_ended == 0) {
        keeper_turn();
    }
}

static void end(struct hws_task *task)
{
    n_ended = 0;
    task->outcome = HWS_INTENT_NEW;
    hws_ledger_end(task, keeper_ended);
    while (n_ended == 0) {
        keeper_turn();
    }
}

/* One attempt, to its end. */
static void attempt(void)
{
    hws_late_try(&agent->late);
    while (agent->late.storing) {
        keeper_turn();
    }
}

/* How many outcomes with this status are on record. */
static size_t outcomes(const char *code)
{
    struct hws_store_query q;
    struct hws_err err;
    size_t n = 0;

    hws_store_query_init(&q);
    q.last_n = 100;
    assert_ok(hws_store_run(agent->store, &q.job, &err), &err);
    for (size_t i = 0; i < q.n_records; i++) {
        n += q.records[i].phase == HWS_RECORD_OUTCOME && strcmp(q.records[i].code, code) == 0;
    }
    hws_store_job_deinit(&q.job);
    return n;
}

static void outcomes_are_stored_when_there_is_space_again(void **state)
{
    static const uint8_t answer[] = {0x22, 0x01, '7'};
    static const char *const ids[] = {"late-00001", "late-00002"};
    struct hws_task tasks[2];
    struct hws_task repeat;
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        begin(&tasks[i], ids[i]);
        assert_int_equal(n_gone, 1);
        assert_code(hws_buf_put(&tasks[i].answer, answer, sizeof(answer)), HWS_OK);
    }
    mem_vfs_fail_from(1, MEM_VFS_ENOSPC, 0);
    for (size_t i = 0; i < 2; i++) {
        end(&tasks[i]);
        assert_code(tasks[i].err.code, HWS_E_CONFLICT);
        assert_non_null(strstr(tasks[i].err.msg, "could not be stored yet"));
        assert_true(hws_late_has(&agent->late, tasks[i].operation_id));
        keeper_free_task(&tasks[i]); /* what is kept is a copy */
    }
    attempt();
    assert_true(hws_late_has(&agent->late, tasks[0].operation_id));
    assert_int_equal(outcomes("OK"), 0);

    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
    attempt(); /* the success of the first tries the second */
    assert_false(hws_late_has(&agent->late, tasks[0].operation_id));
    assert_false(hws_late_has(&agent->late, tasks[1].operation_id));
    assert_int_equal(outcomes("OK"), 2);
    for (size_t i = 0; i < 2; i++) {
        begin(&repeat, ids[i]);
        assert_int_equal(n_gone, 0);
        assert_true(repeat.repeated);
        assert_int_equal(repeat.err.code, HWS_OK);
        assert_memory_equal(hws_buf_peek(&repeat.answer), answer, sizeof(answer));
        keeper_free_task(&repeat);
    }
}

static void the_timer_tries_again(void **state)
{
    struct hws_task task;
    (void)state;

    begin(&task, "late-00001");
    mem_vfs_fail_from(1, MEM_VFS_ENOSPC, 0);
    end(&task);
    keeper_free_task(&task);
    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
    assert_int_equal(uv_run(&agent->loop, UV_RUN_DEFAULT), 0); /* the timer is all that there is */
    assert_true(agent->late.storing);
    while (agent->late.storing) {
        keeper_turn();
    }
    assert_false(hws_late_has(&agent->late, task.operation_id));
    assert_int_equal(outcomes("OK"), 1);
}

/* What was on its way when the agent died is settled, and the disk is full when that is to be
 * stored. */
static void what_recovery_found_is_stored_when_there_is_space_again(void **state)
{
    struct hws_store_intents list;
    struct hws_task task;
    struct hws_err err;
    (void)state;

    begin(&task, "late-00001");
    keeper_free_task(&task);
    hws_store_close_wait(agent->store);
    keeper_open_store(in_memory);
    assert_ok(hws_recover_start(&agent->recover, agent, &err), &err);
    while (agent->recover.loading) {
        keeper_turn();
    }
    assert_int_equal(agent->recover.n_left, 1);
    mem_vfs_fail_from(1, MEM_VFS_ENOSPC, 0);
    hws_recover_turn(&agent->recover);
    while (agent->recover.busy) {
        keeper_turn();
    }
    assert_true(hws_late_has(&agent->late, task.operation_id));

    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
    attempt();
    assert_false(hws_late_has(&agent->late, task.operation_id));
    assert_int_equal(outcomes("ABORTED"), 1);
    hws_store_intents_init(&list);
    assert_ok(hws_store_run(agent->store, &list.job, &err), &err);
    for (size_t i = 0; i < list.n_intents; i++) {
        assert_int_not_equal(list.intents[i].state, HWS_INTENT_OPEN);
    }
    hws_store_job_deinit(&list.job);
}

/* A list that is read again does not take up what is only waiting to be stored. */
static void recovery_leaves_a_kept_end_alone(void **state)
{
    struct hws_task task;
    struct hws_err err;
    (void)state;

    begin(&task, "late-00001");
    mem_vfs_fail_from(1, MEM_VFS_ENOSPC, 0);
    end(&task);
    keeper_free_task(&task);
    assert_ok(hws_recover_start(&agent->recover, agent, &err), &err);
    while (agent->recover.loading) {
        keeper_turn();
    }
    assert_int_equal(agent->recover.list.n_intents, 1);
    assert_int_equal(agent->recover.n_left, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        T(outcomes_are_stored_when_there_is_space_again),
        T(the_timer_tries_again),
        T(what_recovery_found_is_stored_when_there_is_space_again),
        T(recovery_leaves_a_kept_end_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
