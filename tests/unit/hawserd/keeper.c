/* The keeper without processes. */
#include "keeper.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawserd/handler.h"

struct hws_agent *agent;
char dir[64];
int n_gone;
int n_ended;

static struct hws_caller caller = {
    .n_refs = 1000, .principal = "spiffe://d/operator/o", .serial = "01", .peer = "127.0.0.1:1"};

void keeper_open_store(struct hws_store_options options)
{
    char path[128];
    struct hws_err err;

    assert_true(hws_str_print(path, sizeof(path), "%s/hawser.db", dir));
    options.path = path;
    assert_ok(hws_store_open(&options, &agent->store, &err), &err);
}

void keeper_open(struct hws_store_options options)
{
    assert_true(hws_str_copy(dir, sizeof(dir), "/tmp/hawser-keeper-XXXXXX"));
    assert_non_null(mkdtemp(dir));
    agent = hws_mem_zalloc(1, sizeof(*agent));
    assert_non_null(agent);
    assert_int_equal(uv_loop_init(&agent->loop), 0);
    hws_list_init(&agent->ops);
    keeper_open_store(options);
}

void keeper_close(void)
{
    static const char *const names[] = {"hawser.db", "hawser.db-wal", "hawser.db-shm",
                                        "hawser.db-ballast"};
    char path[128];

    if (agent->store != NULL) {
        hws_store_close_wait(agent->store);
    }
    assert_int_equal(uv_run(&agent->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&agent->loop), 0);
    hws_mem_free(agent);
    agent = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(hws_str_print(path, sizeof(path), "%s/%s", dir, names[i]));
        (void)unlink(path);
    }
    assert_int_equal(rmdir(dir), 0);
}

void keeper_turn(void)
{
    struct pollfd p = {.fd = hws_store_fd(agent->store), .events = POLLIN};

    assert_int_equal(poll(&p, 1, KEEPER_WAIT_MS), 1);
    hws_store_turn(agent->store);
}

void keeper_go(struct hws_task *task)
{
    (void)task;
    n_gone++;
}

void keeper_ended(struct hws_task *task)
{
    (void)task;
    n_ended++;
}

void keeper_task(struct hws_task *task, const char *request_id, uint64_t election)
{
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
    task->want.mutation.low = election;
    task->want.mutation.request_id = request_id;
    task->want.mutation.reason = "";
    hws_buf_init(&task->answer, 4096);
    hws_buf_init(&task->details, 4096);
    n_gone = 0;
    n_ended = 0;
}

void keeper_free_task(struct hws_task *task)
{
    hws_buf_deinit(&task->answer);
    hws_buf_deinit(&task->details);
    hws_arena_deinit(&task->arena);
}
