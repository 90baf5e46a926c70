/* Outcomes that find no disk space are stored when there is some, by the task's road and by
 * recovery's. The store is real, its files are in memory and can be full. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/ledger.h"
#include "hawserd/task.h"
#include "mem_vfs.h"
#include "store/audit.h"
#include "test.h"

#define WAIT_MS 60000

static struct hws_agent *agent;
static char dir[64];
static struct hws_caller caller = {
    .n_refs = 1000, .principal = "spiffe://d/operator/o", .serial = "01", .peer = "127.0.0.1:1"};
static int n_gone;
static int n_ended;

static void open_store(void)
{
    struct hws_store_options o = {.vfs = MEM_VFS};
    char path[128];
    struct hws_err err;

    hws_str_print(path, sizeof(path), "%s/hawser.db", dir);
    o.path = path;
    assert_ok(hws_store_open(&o, &agent->store, &err), &err);
}

static int start(void **state)
{
    (void)state;

    mem_vfs_reset();
    hws_str_copy(dir, sizeof(dir), "/tmp/hawser-late-XXXXXX");
    assert_non_null(mkdtemp(dir)); /* the free space of its disk is asked for */
    agent = hws_mem_zalloc(1, sizeof(*agent));
    assert_non_null(agent);
    assert_int_equal(uv_loop_init(&agent->loop), 0);
    hws_list_init(&agent->ops);
    hws_late_open(&agent->late, agent);
    open_store();
    return 0;
}

static int stop(void **state)
{
    (void)state;

    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
    hws_late_close(&agent->late);
    hws_store_close_wait(agent->store);
    hws_recover_deinit(&agent->recover);
    hws_late_deinit(&agent->late);
    assert_int_equal(uv_run(&agent->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&agent->loop), 0);
    hws_mem_free(agent);
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

static void turn(void)
{
    struct pollfd p = {.fd = hws_store_fd(agent->store), .events = POLLIN};

    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    hws_store_turn(agent->store);
}

static void begin(struct hws_task *task, const char *request_id)
{
    struct hws_err err;

    memset(task, 0, sizeof(*task));
    task->agent = agent;
    task->caller = &caller;
    task->row = hws_method_at(HWS_METHOD_CONFIG_RESET);
    task->handler = hws_handler_at(HWS_METHOD_CONFIG_RESET);
    task->want.effect = HWS_EFFECT_CONFIG_NEXT_RESET;
    task->want.target = "";
    task->want.detail = "defaults of NUM_OF_VFS";
    task->want.mutation.given = true;
    task->want.mutation.role = "operator";
    task->want.mutation.low = 5;
    task->want.mutation.request_id = request_id;
    task->want.mutation.reason = "";
    hws_buf_init(&task->answer, 4096);
    hws_buf_init(&task->details, 4096);
    n_gone = 0;
    n_ended = 0;
    assert_ok(hws_ledger_begin(task, go, ended, &err), &err);
    while (n_gone == 0 && n_ended == 0) {
        turn();
    }
}

static void end(struct hws_task *task)
{
    n_ended = 0;
    task->outcome = HWS_INTENT_NEW;
    hws_ledger_end(task, ended);
    while (n_ended == 0) {
        turn();
    }
}

static void free_task(struct hws_task *task)
{
    hws_buf_deinit(&task->answer);
    hws_buf_deinit(&task->details);
    hws_arena_deinit(&task->arena);
}

/* One attempt, to its end. */
static void attempt(void)
{
    hws_late_try(&agent->late);
    while (agent->late.storing) {
        turn();
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
        free_task(&tasks[i]); /* what is kept is a copy */
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
        free_task(&repeat);
    }
}

static void the_timer_tries_again(void **state)
{
    struct hws_task task;
    (void)state;

    begin(&task, "late-00001");
    mem_vfs_fail_from(1, MEM_VFS_ENOSPC, 0);
    end(&task);
    free_task(&task);
    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
    assert_int_equal(uv_run(&agent->loop, UV_RUN_DEFAULT), 0); /* the timer is all that there is */
    assert_true(agent->late.storing);
    while (agent->late.storing) {
        turn();
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
    free_task(&task);
    hws_store_close_wait(agent->store);
    open_store();
    assert_ok(hws_recover_start(&agent->recover, agent, &err), &err);
    while (agent->recover.loading) {
        turn();
    }
    assert_int_equal(agent->recover.n_left, 1);
    mem_vfs_fail_from(1, MEM_VFS_ENOSPC, 0);
    hws_recover_turn(&agent->recover);
    while (agent->recover.busy) {
        turn();
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
    free_task(&task);
    assert_ok(hws_recover_start(&agent->recover, agent, &err), &err);
    while (agent->recover.loading) {
        turn();
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
