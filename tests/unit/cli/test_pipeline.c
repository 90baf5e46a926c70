/* cli/pipeline: what becomes of commands on their way, against a fake agent on the same loop. */
#include <signal.h>
#include <string.h>

#include "base/str.h"
#include "cli/pipeline.h"
#include "fake_agent.h"
#include "test.h"

#define PATIENCE_MS 20000u /* a command's time: longer than any test takes */
#define MAX_HELD    4u

struct world {
    struct hws_cli cli;
    struct hws_cli_host host;
    struct hws_cli_pipeline pipe;
    struct fake_agent agent;
    uint64_t held[MAX_HELD]; /* tags that wait for their answers */
    size_t n_held;
    const struct row *row; /* how each is answered */
};

static struct world world;

/* ---- the agent's side ---- */

struct row {
    enum hws_client_code code; /* of the item */
    Hawser__V1__Stage stage;   /* of the item, or of the command that was carried out */
    uint32_t status;           /* the device's */
    bool no_response;
    enum hws_cli_outcome outcome; /* what has to become of it */
};

static void answer(struct hws_grpc_call *call, uint64_t tag, const struct row *row)
{
    Hawser__V1__ExecuteStreamResponse m = HAWSER__V1__EXECUTE_STREAM_RESPONSE__INIT;
    Hawser__V1__ExecuteResponse response = HAWSER__V1__EXECUTE_RESPONSE__INIT;
    Hawser__V1__CommandStatus status = HAWSER__V1__COMMAND_STATUS__INIT;

    m.tag = tag;
    m.code = (int32_t)row->code;
    m.message = hws_cli_str("why not");
    m.stage = row->stage;
    if (row->code == HWS_CLIENT_OK && !row->no_response) {
        status.stage = row->stage;
        status.status = row->status;
        status.status_name = hws_cli_str("BAD_PARAM");
        status.delivery_status_name = hws_cli_str("SIGN_ERR");
        response.status = &status;
        m.response = &response;
    }
    fake_agent_answer(call, &m);
}

static const struct row good = {HWS_CLIENT_OK, HAWSER__V1__STAGE__STAGE_EXECUTED, 0, false,
                                HWS_CLI_OUTCOME_OK};

static void answer_by_row(struct fake_agent *a, struct hws_grpc_call *call,
                          const Hawser__V1__ExecuteStreamRequest *item)
{
    (void)a;
    answer(call, item->tag, world.row == NULL ? &good : world.row);
}

/* Answers three commands when all have come: the last one first, with a stranger among them. */
static void answer_backwards(struct fake_agent *a, struct hws_grpc_call *call,
                             const Hawser__V1__ExecuteStreamRequest *item)
{
    (void)a;
    world.held[world.n_held++] = item->tag;
    if (world.n_held == 3) {
        answer(call, world.held[2], &good);
        answer(call, item->tag + 1000, &good);
        answer(call, world.held[1], &good);
        answer(call, world.held[0], &good);
    }
}

static void lose_the_first(struct fake_agent *a, struct hws_grpc_call *call,
                           const Hawser__V1__ExecuteStreamRequest *item)
{
    if (a->n_items == 1) {
        hws_net_conn_close(a->conn);
    } else {
        answer(call, item->tag, &good);
    }
}

/* ---- this side ---- */

static int setup(void **state)
{
    struct world *w = &world;
    struct hws_client_options options = {.default_timeout_ms = PATIENCE_MS};
    struct hws_client_status status;

    memset(w, 0, sizeof(*w));
    w->cli.errors = fopen("/dev/null", "w");
    assert_non_null(w->cli.errors);
    assert_int_equal(uv_loop_init(&w->cli.loop), 0);
    fake_agent_init(&w->agent, &w->cli.loop);
    w->agent.on_item = answer_by_row;
    options.target = w->agent.target;
    w->host.cli = &w->cli;
    assert_int_equal(hws_client_open(&w->cli.loop, &options, &w->host.client, &status),
                     HWS_CLIENT_OK);
    assert_int_equal(hws_cli_pipeline_open(&w->pipe, &w->host), HWS_EXIT_OK);
    *state = w;
    return 0;
}

static void client_closed(void *data)
{
    *(bool *)data = true;
}

static int teardown(void **state)
{
    struct world *w = *state;
    bool closed = false;

    hws_cli_pipeline_close(&w->pipe);
    hws_client_close(w->host.client, client_closed, &closed);
    while (!closed) {
        (void)uv_run(&w->cli.loop, UV_RUN_ONCE);
    }
    fake_agent_deinit(&w->agent);
    (void)uv_run(&w->cli.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->cli.loop), 0);
    return fclose(w->cli.errors);
}

static struct hws_cli_slot *queue(struct world *w)
{
    Hawser__V1__ExecuteRequest request = HAWSER__V1__EXECUTE_REQUEST__INIT;
    struct hws_cli_slot *slot = hws_cli_pipeline_add(&w->pipe);

    assert_non_null(slot);
    hws_cli_pipeline_queue(&w->pipe, slot, &request, PATIENCE_MS);
    return slot;
}

static struct hws_cli_slot *next_end(struct world *w)
{
    while (hws_cli_pipeline_head(&w->pipe) == NULL) {
        hws_cli_pipeline_turn(&w->pipe);
    }
    return hws_cli_pipeline_head(&w->pipe);
}

static void until_items(struct world *w, unsigned n)
{
    while (w->agent.n_items < n) {
        hws_cli_pipeline_turn(&w->pipe);
    }
}

/* ---- what is claimed ---- */

static void ends_come_in_the_order_of_the_commands_whatever_the_answers(void **state)
{
    struct world *w = *state;

    w->agent.on_item = answer_backwards;
    for (size_t i = 0; i < 3; i++) {
        queue(w)->line = i;
    }
    for (size_t i = 0; i < 3; i++) {
        struct hws_cli_slot *slot = next_end(w);
        assert_int_equal(slot->line, i);
        assert_int_equal(slot->outcome, HWS_CLI_OUTCOME_OK);
        assert_non_null(slot->answer);
        hws_cli_pipeline_pop(&w->pipe);
    }
    assert_null(hws_cli_pipeline_head(&w->pipe));
}

static void each_answer_has_its_outcome(void **state)
{
    static const struct row rows[] = {
        {HWS_CLIENT_OK, HAWSER__V1__STAGE__STAGE_EXECUTED, 0, false, HWS_CLI_OUTCOME_OK},
        {HWS_CLIENT_OK, HAWSER__V1__STAGE__STAGE_EXECUTED, 3, false, HWS_CLI_OUTCOME_REFUSED},
        {HWS_CLIENT_OK, HAWSER__V1__STAGE__STAGE_REJECTED, 0, false, HWS_CLI_OUTCOME_REFUSED},
        {HWS_CLIENT_OK, HAWSER__V1__STAGE__STAGE_EXECUTED, 0, true, HWS_CLI_OUTCOME_UNKNOWN},
        {HWS_CLIENT_PERMISSION_DENIED, HAWSER__V1__STAGE__STAGE_UNSPECIFIED, 0, false,
         HWS_CLI_OUTCOME_REFUSED},
        {HWS_CLIENT_FAILED_PRECONDITION, HAWSER__V1__STAGE__STAGE_UNKNOWN, 0, false,
         HWS_CLI_OUTCOME_UNKNOWN},
        {HWS_CLIENT_DEADLINE_EXCEEDED, HAWSER__V1__STAGE__STAGE_NOT_SENT, 0, false,
         HWS_CLI_OUTCOME_NOT_SENT},
        {HWS_CLIENT_DEADLINE_EXCEEDED, HAWSER__V1__STAGE__STAGE_UNSPECIFIED, 0, false,
         HWS_CLI_OUTCOME_UNKNOWN},
        {HWS_CLIENT_UNAVAILABLE, HAWSER__V1__STAGE__STAGE_UNSPECIFIED, 0, false,
         HWS_CLI_OUTCOME_NOT_SENT},
        {HWS_CLIENT_RESOURCE_EXHAUSTED, HAWSER__V1__STAGE__STAGE_UNSPECIFIED, 0, false,
         HWS_CLI_OUTCOME_NOT_SENT},
        {HWS_CLIENT_INTERNAL, HAWSER__V1__STAGE__STAGE_NOT_SENT, 0, false,
         HWS_CLI_OUTCOME_NOT_SENT},
        {HWS_CLIENT_INTERNAL, HAWSER__V1__STAGE__STAGE_EXECUTED, 0, false, HWS_CLI_OUTCOME_REFUSED},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        w->row = &rows[i];
        (void)queue(w);
        const struct hws_cli_slot *slot = next_end(w);
        if (slot->outcome != rows[i].outcome) {
            fail_msg("row %zu: %s, not %s", i, hws_cli_outcome_name(slot->outcome),
                     hws_cli_outcome_name(rows[i].outcome));
        }
        assert_int_equal(slot->message[0] == '\0', rows[i].outcome == HWS_CLI_OUTCOME_OK);
        hws_cli_pipeline_pop(&w->pipe);
    }
    assert_int_equal(w->agent.n_conns, 1);
}

static void the_window_is_the_agents(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < HWS_CLI_PIPELINE_WINDOW; i++) {
        (void)queue(w);
    }
    assert_null(hws_cli_pipeline_add(&w->pipe));
    (void)next_end(w);
    hws_cli_pipeline_pop(&w->pipe);
    (void)queue(w); /* there is room again, at the ring's other end */
    for (size_t i = 0; i < HWS_CLI_PIPELINE_WINDOW; i++) {
        assert_int_equal(next_end(w)->outcome, HWS_CLI_OUTCOME_OK);
        hws_cli_pipeline_pop(&w->pipe);
    }
    assert_int_equal(w->agent.n_items, HWS_CLI_PIPELINE_WINDOW + 1);
}

static void what_a_lost_stream_carried_is_unknown_and_the_next_one_carries_the_rest(void **state)
{
    struct world *w = *state;

    w->agent.on_item = lose_the_first;
    (void)queue(w);
    const struct hws_cli_slot *slot = next_end(w);
    assert_int_equal(slot->outcome, HWS_CLI_OUTCOME_UNKNOWN);
    assert_int_equal(slot->stage, HAWSER__V1__STAGE__STAGE_UNKNOWN);
    assert_non_null(strstr(slot->message, "it may have run"));
    hws_cli_pipeline_pop(&w->pipe);

    (void)queue(w);
    assert_int_equal(next_end(w)->outcome, HWS_CLI_OUTCOME_OK);
    hws_cli_pipeline_pop(&w->pipe);
    assert_int_equal(w->agent.n_conns, 2);
    assert_int_equal(w->agent.n_items, 2); /* nothing was sent twice */
}

static void with_no_agent_at_all_nothing_is_sent(void **state)
{
    struct world *w = *state;

    fake_agent_stop(&w->agent);
    (void)queue(w);
    (void)queue(w);
    for (size_t i = 0; i < 2; i++) {
        const struct hws_cli_slot *slot = next_end(w);
        assert_int_equal(slot->outcome, HWS_CLI_OUTCOME_NOT_SENT);
        assert_int_equal(slot->code, HWS_CLIENT_UNAVAILABLE);
        hws_cli_pipeline_pop(&w->pipe);
    }
    assert_int_equal(queue(w)->outcome, HWS_CLI_OUTCOME_NOT_SENT); /* at once */
    hws_cli_pipeline_pop(&w->pipe);
}

static void an_interrupt_sends_no_more_and_a_second_one_waits_no_more(void **state)
{
    struct world *w = *state;

    w->agent.on_item = NULL;
    (void)queue(w);
    until_items(w, 1);

    assert_int_equal(raise(SIGINT), 0);
    while (w->pipe.n_interrupts < 1) {
        hws_cli_pipeline_turn(&w->pipe);
    }
    const struct hws_cli_slot *unsent = queue(w);
    assert_int_equal(unsent->outcome, HWS_CLI_OUTCOME_NOT_SENT);
    assert_int_equal(unsent->code, HWS_CLIENT_CANCELLED);
    assert_null(hws_cli_pipeline_head(&w->pipe)); /* the first one is waited for */

    assert_int_equal(raise(SIGINT), 0);
    const struct hws_cli_slot *slot = next_end(w);
    assert_int_equal(slot->outcome, HWS_CLI_OUTCOME_UNKNOWN);
    assert_int_equal(slot->code, HWS_CLIENT_CANCELLED);
    hws_cli_pipeline_pop(&w->pipe);
    hws_cli_pipeline_pop(&w->pipe);
    assert_int_equal(w->agent.n_items, 1);
}

static void what_the_caller_ends_is_not_sent(void **state)
{
    struct world *w = *state;
    struct hws_cli_slot *slot = hws_cli_pipeline_add(&w->pipe);

    hws_cli_pipeline_end(slot, HWS_CLI_OUTCOME_SKIPPED, HWS_CLIENT_CANCELLED, "not wanted");
    assert_ptr_equal(hws_cli_pipeline_head(&w->pipe), slot);
    assert_string_equal(slot->message, "not wanted");
    hws_cli_pipeline_pop(&w->pipe);
    (void)queue(w);
    assert_int_equal(next_end(w)->outcome, HWS_CLI_OUTCOME_OK);
    hws_cli_pipeline_pop(&w->pipe);
    assert_int_equal(w->agent.n_items, 1);
}

static void outcomes_have_names(void **state)
{
    (void)state;
    assert_string_equal(hws_cli_outcome_name(HWS_CLI_OUTCOME_OK), "ok");
    assert_string_equal(hws_cli_outcome_name(HWS_CLI_OUTCOME_NOT_SENT), "not-sent");
    assert_string_equal(hws_cli_outcome_name(HWS_CLI_OUTCOME_INVALID), "invalid");
    assert_string_equal(hws_cli_outcome_name((enum hws_cli_outcome)99), "?");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ends_come_in_the_order_of_the_commands_whatever_the_answers),
        T(each_answer_has_its_outcome),
        T(the_window_is_the_agents),
        T(what_a_lost_stream_carried_is_unknown_and_the_next_one_carries_the_rest),
        T(with_no_agent_at_all_nothing_is_sent),
        T(an_interrupt_sends_no_more_and_a_second_one_waits_no_more),
        T(what_the_caller_ends_is_not_sent),
        cmocka_unit_test(outcomes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
