/* cli/cmd_dump: `hawser dump pull` against a fake agent on a thread of its own: lost, forgotten and
 * damaged dumps. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cli.h"
#include "fake_agent.h"
#include "test.h"

static struct fake_agent agent;
static uv_loop_t loop;
static uv_async_t stop;
static sem_t ready;
static pthread_t thread;
static char dir[64];
static char path[96];
static char errors[2048];

static void on_stop(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void *serve(void *arg)
{
    const struct fake_agent *wanted = arg;
    struct fake_agent faults = *wanted;

    fake_agent_init(&agent, &loop);
    agent.n_dump_drops = faults.n_dump_drops;
    agent.dump_forgets = faults.dump_forgets;
    agent.dump_corrupt = faults.dump_corrupt;
    agent.dump_bad_crc = faults.dump_bad_crc;
    (void)sem_post(&ready);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    fake_agent_deinit(&agent);
    return NULL;
}

/* Runs `hawser dump pull` with an agent that has these faults; returns the exit code. */
static int pull(const struct fake_agent *faults, struct hws_cli *cli)
{
    static struct fake_agent wanted;
    char target[160];
    char name[] = "hawser";
    char words[][16] = {"dump", "pull", "-t"};
    char *argv[] = {name, words[0], words[1], words[2], target, path, NULL};
    struct hws_err err;

    wanted = *faults;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_async_init(&loop, &stop, on_stop), 0);
    assert_int_equal(sem_init(&ready, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, &wanted), 0);
    assert_int_equal(sem_wait(&ready), 0);
    (void)hws_str_copy(target, sizeof(target), agent.target);

    memset(cli, 0, sizeof(*cli));
    memset(errors, 0, sizeof(errors));
    cli->errors = fmemopen(errors, sizeof(errors), "w");
    assert_non_null(cli->errors);
    assert_ok(hws_cli_parse(6, argv, &cli->args, &err), &err);
    hws_out_init(&cli->out, false, NULL, false);
    int rc = cli->args.command->run(cli);
    assert_int_equal(fclose(cli->errors), 0);

    (void)uv_async_send(&stop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    uv_close((uv_handle_t *)&stop, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    (void)sem_destroy(&ready);
    return rc;
}

static bool there(const char *suffix)
{
    char full[128];
    struct stat st;

    (void)hws_str_print(full, sizeof(full), "%s%s", path, suffix);
    return stat(full, &st) == 0 && st.st_size == FAKE_DUMP_BYTES;
}

static void whole_dump_arrives(void **state)
{
    static struct hws_cli cli;
    const struct fake_agent faults = {0};
    (void)state;

    assert_int_equal(pull(&faults, &cli), HWS_EXIT_OK);

    assert_true(there(""));
    assert_non_null(strstr(hws_buf_cstr(&cli.out.text), "verified         yes"));
    assert_non_null(strstr(hws_buf_cstr(&cli.out.text), "bytes            2500"));
    hws_cli_close(&cli);
}

static void lost_connection_is_resumed_where_it_was(void **state)
{
    static struct hws_cli cli;
    const struct fake_agent faults = {.n_dump_drops = 2};
    (void)state;

    assert_int_equal(pull(&faults, &cli), HWS_EXIT_OK);

    assert_true(there(""));
    assert_int_equal(agent.last_offset, 2 * FAKE_CHUNK_BYTES);
    assert_int_equal(agent.n_dumps, 1);
    hws_cli_close(&cli);
}

static void dump_the_agent_forgot_begins_anew(void **state)
{
    static struct hws_cli cli;
    const struct fake_agent faults = {.n_dump_drops = 1, .dump_forgets = true};
    (void)state;

    assert_int_equal(pull(&faults, &cli), HWS_EXIT_OK);

    assert_true(there(""));
    assert_int_equal(agent.last_offset, 0);
    assert_int_equal(agent.n_dumps, 2);
    hws_cli_close(&cli);
}

static void damage_leaves_no_file_and_its_own_exit_code(void **state)
{
    static const struct fake_agent faults[] = {{.dump_corrupt = true}, {.dump_bad_crc = true}};
    static struct hws_cli cli;
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pull(&faults[i], &cli), HWS_EXIT_DIGEST);
        assert_false(there(""));
        assert_false(there(".part"));
        assert_int_equal(hws_buf_len(&cli.out.text), 0);
        assert_true(hws_str_starts(errors, "hawser: "));
        hws_cli_close(&cli);
    }
}

static int up(void **state)
{
    (void)state;
    (void)hws_str_copy(dir, sizeof(dir), "/tmp/hawser-dump-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    (void)hws_str_print(path, sizeof(path), "%s/out", dir);
    return 0;
}

static int down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(whole_dump_arrives),
        CASE(lost_connection_is_resumed_where_it_was),
        CASE(dump_the_agent_forgot_begins_anew),
        CASE(damage_leaves_no_file_and_its_own_exit_code),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    (void)unsetenv("HAWSER_INVENTORY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
