/* fleet: rollouts against fake agents over real sockets, with the journal on disk; controllers that
 * die and go on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "fake_agent.h"
#include "fleet/engine.h"
#include "test.h"

#define LIMIT_MS 30000u
#define N_AGENTS 3

static uv_loop_t loop;
static uv_timer_t limit;
static struct fake_agent agents[N_AGENTS];
static char dir[64];

/* One life of a controller. */
struct life {
    struct hws_rollout rollout;
    struct hws_fleet_journal journal;
    struct hws_fleet fleet;
    struct hws_err err;
    bool finished;
    unsigned n_open;
    unsigned n_changes;
    unsigned die_after; /* changes; 0: never */
};

static void too_late(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened in %u ms", LIMIT_MS);
}

static int up(void **state)
{
    (void)state;
    if (uv_loop_init(&loop) != 0 || uv_timer_init(&loop, &limit) != 0) {
        return -1;
    }
    (void)uv_timer_start(&limit, too_late, LIMIT_MS, 0);
    uv_unref((uv_handle_t *)&limit);
    (void)hws_str_copy(dir, sizeof(dir), "/tmp/hawser-fleet-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    for (size_t i = 0; i < N_AGENTS; i++) {
        fake_agent_init(&agents[i], &loop);
    }
    return 0;
}

static int down(void **state)
{
    static const char *const files[] = {"test.db", "test.db-wal", "test.db.ballast", "test.lock"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < N_AGENTS; i++) {
        fake_agent_deinit(&agents[i]);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)hws_str_print(path, sizeof(path), "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    uv_close((uv_handle_t *)&limit, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return rmdir(dir) == 0 ? uv_loop_close(&loop) : -1;
}

static void make_plan(struct hws_rollout_plan *plan)
{
    hws_rollout_plan_init(plan);
    (void)hws_str_copy(plan->name, sizeof(plan->name), "test");
    (void)hws_str_copy(plan->id, sizeof(plan->id), "0123456789abcdef");
    plan->election = 77;
    plan->settle_ms = 100;
    plan->gate_timeout_ms = 400;
    assert_code(hws_rollout_plan_set(plan, "NUM_OF_VFS", "16", NULL), HWS_OK);
    for (size_t i = 0; i < N_AGENTS; i++) {
        char host[16];
        (void)hws_str_print(host, sizeof(host), "host-%zu", i);
        assert_code(hws_rollout_plan_add(plan, host, agents[i].target, NULL, NULL), HWS_OK);
    }
}

static void on_changed(void *data, size_t member)
{
    struct life *l = data;

    (void)member;
    l->n_changes++;
}

static void (*on_change)(void *data, size_t member) = on_changed;

static void on_finished(void *data, const struct hws_err *err)
{
    struct life *l = data;

    l->finished = true;
    if (err != NULL) {
        l->err = *err;
    }
}

static void part_closed(void *data)
{
    struct life *l = data;

    l->n_open--;
}

/* Drives until finished, or until the life ends early. */
static void live(struct life *l)
{
    const struct hws_fleet_options options = {.loop = &loop,
                                              .rollout = &l->rollout,
                                              .journal = &l->journal,
                                              .changed = on_change,
                                              .finished = on_finished,
                                              .data = l};
    struct hws_err err;

    assert_ok(hws_fleet_journal_attach(&l->journal, &loop, &err), &err);
    assert_ok(hws_fleet_open(&l->fleet, &options, &err), &err);
    while (!l->finished && (l->die_after == 0 || l->n_changes < l->die_after)) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    l->n_open = 2;
    hws_fleet_close(&l->fleet, part_closed, l);
    while (l->n_open > 1) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    hws_fleet_journal_close(&l->journal, part_closed, l);
    while (l->n_open > 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
}

static void begin(struct life *l, unsigned die_after)
{
    struct hws_rollout_plan plan;
    struct hws_err err;

    memset(l, 0, sizeof(*l));
    l->die_after = die_after;
    make_plan(&plan);
    assert_ok(hws_fleet_journal_open(&l->journal, dir, "test", true, &err), &err);
    assert_ok(hws_rollout_init(&l->rollout, &plan, &err), &err);
    assert_ok(hws_rollout_start(&l->rollout, uv_now(&loop), 1000, &err), &err);
    live(l);
}

/* The next controller: from the journal alone. False: it was over already. */
static bool again(struct life *l, unsigned die_after, enum hws_rollout_retry retry)
{
    struct hws_buf bytes;
    struct hws_err err;
    size_t used = 0;

    hws_rollout_deinit(&l->rollout);
    memset(l, 0, sizeof(*l));
    l->die_after = die_after;
    hws_buf_init(&bytes, 0);
    assert_ok(hws_fleet_journal_open(&l->journal, dir, "test", false, &err), &err);
    assert_ok(hws_fleet_journal_read(&l->journal, &bytes, &err), &err);
    assert_ok(hws_rollout_load(&l->rollout, hws_buf_peek(&bytes), hws_buf_len(&bytes), &used, &err),
              &err);
    assert_int_equal(used, hws_buf_len(&bytes));
    hws_buf_deinit(&bytes);
    if (hws_rollout_resume(&l->rollout, retry, uv_now(&loop), 2000, &err) != HWS_OK) {
        hws_fleet_journal_close(&l->journal, NULL, NULL);
        return false;
    }
    live(l);
    return true;
}

static void good_fleet_is_changed_under_fence_and_request_id(void **state)
{
    struct life l;
    (void)state;

    begin(&l, 0);

    assert_code(l.err.code, HWS_OK);
    assert_int_equal(l.rollout.state, HWS_ROLLOUT_DONE);
    for (size_t i = 0; i < N_AGENTS; i++) {
        char id[64];
        (void)hws_str_print(id, sizeof(id), "0123456789abcdef.%zu.1", i);
        assert_string_equal(agents[i].value, "16");
        assert_int_equal(agents[i].n_applies, 1);
        assert_string_equal(agents[i].request_id, id);
        assert_string_equal(agents[i].role, "operator");
        assert_int_equal(agents[i].election, 77);
        assert_string_equal(l.rollout.members[i].device_id, FAKE_ID);
        assert_null(agents[i].conn); /* nothing is kept open */
    }
    hws_rollout_deinit(&l.rollout);
}

static void failed_canary_names_setting_status_and_syndrome(void **state)
{
    struct life l;
    (void)state;
    agents[0].refuse_apply = true;

    begin(&l, 0);

    const struct hws_rollout_cause *c = &l.rollout.members[0].cause;
    assert_int_equal(l.rollout.state, HWS_ROLLOUT_STOPPED);
    assert_int_equal(c->step, HWS_ROLLOUT_STEP_APPLY);
    assert_string_equal(c->setting, "NUM_OF_VFS");
    assert_code(c->err.code, HWS_E_DEVICE);
    assert_int_equal(c->err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(c->err.exec_status, 3);
    assert_int_equal(c->err.syndrome, 0x1234);
    assert_int_equal(agents[1].n_calls + agents[2].n_calls, 0);
    hws_rollout_deinit(&l.rollout);
}

static void lost_answer_is_read_back(void **state)
{
    struct life l;
    (void)state;
    agents[0].drop_apply = true;

    begin(&l, 0);

    assert_int_equal(l.rollout.state, HWS_ROLLOUT_DONE);
    assert_int_equal(agents[0].n_applies, 1);
    assert_int_equal(l.rollout.members[0].attempt, 1);
    hws_rollout_deinit(&l.rollout);
}

static void change_that_reads_back_otherwise_fails(void **state)
{
    struct life l;
    (void)state;
    agents[0].ignore_apply = true;

    begin(&l, 0);

    assert_int_equal(l.rollout.members[0].state, HWS_ROLLOUT_FAILED);
    assert_int_equal(l.rollout.members[0].cause.step, HWS_ROLLOUT_STEP_READ_BACK);
    assert_string_equal(l.rollout.members[0].cause.setting, "NUM_OF_VFS");
    assert_non_null(strstr(l.rollout.members[0].cause.err.msg, "reads back as 0, wanted 16"));
    hws_rollout_deinit(&l.rollout);
}

static void adapter_that_is_not_ready_fails_at_the_gate(void **state)
{
    struct life l;
    (void)state;
    agents[0].not_ready = true;

    begin(&l, 0);

    assert_int_equal(l.rollout.members[0].state, HWS_ROLLOUT_FAILED);
    assert_int_equal(l.rollout.members[0].cause.step, HWS_ROLLOUT_STEP_GATE);
    assert_non_null(strstr(l.rollout.members[0].cause.err.msg, "link is resetting"));
    hws_rollout_deinit(&l.rollout);
}

static void agent_that_is_just_starting_is_waited_for(void **state)
{
    struct life l;
    (void)state;
    agents[0].n_list_refused = 2;

    begin(&l, 0);

    assert_int_equal(l.rollout.state, HWS_ROLLOUT_DONE);
    hws_rollout_deinit(&l.rollout);
}

static void adapter_that_is_not_there_is_named(void **state)
{
    struct life l;
    struct hws_rollout_plan plan;
    struct hws_err err;
    (void)state;
    memset(&l, 0, sizeof(l));
    make_plan(&plan);
    (void)hws_str_copy(plan.targets[0].device, sizeof(plan.targets[0].device), "0000:99:00.0");
    assert_ok(hws_fleet_journal_open(&l.journal, dir, "test", true, &err), &err);
    assert_ok(hws_rollout_init(&l.rollout, &plan, &err), &err);
    assert_ok(hws_rollout_start(&l.rollout, uv_now(&loop), 1000, &err), &err);

    live(&l);

    assert_code(l.rollout.members[0].cause.err.code, HWS_E_NOT_FOUND);
    assert_non_null(strstr(l.rollout.members[0].cause.err.msg, "0000:99:00.0"));
    hws_rollout_deinit(&l.rollout);
}

/* A controller that dies after k changes, then one that goes on to the end. */
static void controller_that_dies_anywhere_is_succeeded_by_another(void **state)
{
    (void)state;

    for (unsigned k = 1; k < 14; k++) {
        struct life l;
        char path[128];
        for (size_t i = 0; i < N_AGENTS; i++) {
            (void)hws_str_copy(agents[i].value, sizeof(agents[i].value), "0");
            agents[i].n_applies = 0;
        }
        begin(&l, k);
        (void)again(&l, k, HWS_ROLLOUT_RETRY_NO);
        (void)again(&l, 0, HWS_ROLLOUT_RETRY_NO);
        assert_int_equal(l.rollout.state, HWS_ROLLOUT_DONE);
        for (size_t i = 0; i < N_AGENTS; i++) {
            assert_string_equal(agents[i].value, "16");
            assert_int_equal(agents[i].n_applies, 1); /* never written twice */
        }
        hws_rollout_deinit(&l.rollout);
        (void)hws_str_print(path, sizeof(path), "%s/test.db", dir);
        assert_int_equal(unlink(path), 0);
    }
}

static void stopped_one_goes_on_after_repair(void **state)
{
    struct life l;
    (void)state;
    agents[0].refuse_apply = true;
    begin(&l, 0);
    assert_int_equal(l.rollout.state, HWS_ROLLOUT_STOPPED);

    assert_false(again(&l, 0, HWS_ROLLOUT_RETRY_NO));
    agents[0].refuse_apply = false;
    assert_true(again(&l, 0, HWS_ROLLOUT_RETRY_YES));

    assert_int_equal(l.rollout.state, HWS_ROLLOUT_DONE);
    assert_string_equal(agents[2].value, "16");
    hws_rollout_deinit(&l.rollout);
}

static bool peeked_ok;

static void peek_now(void *data, size_t member)
{
    struct life *l = data;
    struct hws_rollout seen;
    struct hws_buf bytes;
    struct hws_err err;
    size_t used = 0;

    (void)member;
    l->n_changes++;
    hws_buf_init(&bytes, 0);
    assert_ok(hws_fleet_journal_peek(dir, "test", &bytes, &err), &err);
    assert_ok(hws_rollout_load(&seen, hws_buf_peek(&bytes), hws_buf_len(&bytes), &used, &err),
              &err);
    assert_int_equal(seen.state, HWS_ROLLOUT_RUNNING);
    peeked_ok = true;
    hws_rollout_deinit(&seen);
    hws_buf_deinit(&bytes);
}

static void running_rollout_can_be_looked_at(void **state)
{
    struct life l;
    (void)state;
    on_change = peek_now;
    peeked_ok = false;

    begin(&l, 0);
    on_change = on_changed;

    assert_true(peeked_ok);
    assert_int_equal(l.rollout.state, HWS_ROLLOUT_DONE);
    hws_rollout_deinit(&l.rollout);
}

static void journals_are_created_once_and_held_by_one(void **state)
{
    struct hws_fleet_journal a;
    struct hws_fleet_journal b;
    struct hws_err err;
    (void)state;

    assert_code(hws_fleet_journal_open(&a, dir, "test", false, &err), HWS_E_NOT_FOUND);
    assert_ok(hws_fleet_journal_open(&a, dir, "test", true, &err), &err);
    assert_code(hws_fleet_journal_open(&b, dir, "test", true, &err), HWS_E_EXISTS);
    assert_code(hws_fleet_journal_open(&b, dir, "test", false, &err), HWS_E_STATE);
    hws_fleet_journal_close(&a, NULL, NULL);
    hws_fleet_journal_close(&b, NULL, NULL);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(good_fleet_is_changed_under_fence_and_request_id),
        CASE(failed_canary_names_setting_status_and_syndrome),
        CASE(lost_answer_is_read_back),
        CASE(change_that_reads_back_otherwise_fails),
        CASE(adapter_that_is_not_ready_fails_at_the_gate),
        CASE(agent_that_is_just_starting_is_waited_for),
        CASE(adapter_that_is_not_there_is_named),
        CASE(controller_that_dies_anywhere_is_succeeded_by_another),
        CASE(stopped_one_goes_on_after_repair),
        CASE(running_rollout_can_be_looked_at),
        CASE(journals_are_created_once_and_held_by_one),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
