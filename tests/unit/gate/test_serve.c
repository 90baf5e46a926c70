/* The device process's side of the link: who is greeted, how commands run, are cancelled and
 * answered, and what a lost or full connection does to them. */
#include <string.h>

#include "serve_world.h"

static void hello_and_adapters_come_first(void **state)
{
    struct world *w = *state;
    struct hws_link_packet hello = sent(w, 0);
    struct hws_link_packet adapter = sent(w, 1);

    assert_int_equal(w->n_sent, 2);
    assert_int_equal(hello.type, HWS_LINK_HELLO);
    assert_int_equal(hello.u.hello.role, HWS_LINK_ROLE_DEVICE);
    assert_int_equal(hello.u.hello.generation, 7);
    assert_int_equal(hello.u.hello.n_adapters, 1);
    assert_int_equal(adapter.type, HWS_LINK_ADAPTER);
    assert_int_equal(adapter.u.adapter.depth, 4);
    assert_true(adapter.u.adapter.emulated);
    assert_memory_equal(adapter.u.adapter.pci.bytes, "0000:81:00.0", 12);
}

static void command_runs_and_is_answered(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet done;

    feed(w, &cmd, -1, HWS_OK);
    assert_int_equal(hws_serve_running(&w->serve), 1);
    assert_int_equal(w->held.calls[0]->deadline_ms, 1500);
    assert_int_equal(w->held.calls[0]->scope, 1);
    assert_ptr_not_equal(w->held.calls[0]->in, cmd.u.cmd.in.bytes); /* a private copy */
    hws_held_ok(&w->held, 0, 0x5a, 16);
    (void)hws_serve_turn(&w->serve, 1001);
    done = sent(w, 2);
    assert_int_equal(done.type, HWS_LINK_DONE);
    assert_int_equal(done.id, 5);
    assert_int_equal(done.u.done.code, HWS_OK);
    assert_int_equal(done.u.done.out_bytes, 16);
    assert_int_equal(done.u.done.out.bytes[15], 0x5a);
    assert_int_equal(hws_serve_running(&w->serve), 0);
}

static void refusal_of_the_gate_is_an_answer(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    cmd.u.cmd.scope = 3;
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(w->held.n_calls, 0);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_DENIED);
    assert_int_equal(sent(w, 2).u.done.stage, HWS_STAGE_NOT_SENT);
}

static void refusal_of_the_channel_is_an_answer(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    w->held.refuse = HWS_E_BUSY;
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_BUSY);
    assert_int_equal(sent(w, 2).u.done.stage, HWS_STAGE_NOT_SENT);
}

static void adapter_that_is_away_refuses(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                    .state = HWS_LINK_ADAPTER_AWAY,
                                    .depth = 4,
                                    .pci = "a b", /* a space must not break the packet */
                                    .node = "",
                                    .backend = "queue",
                                    .reason = "resetting"};

    hws_serve_update(w->adapter, NULL, &facts);
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.adapter.state, HWS_LINK_ADAPTER_AWAY);
    assert_memory_equal(sent(w, 2).u.adapter.pci.bytes, "a_b", 3);
    assert_int_equal(sent(w, 3).u.done.code, HWS_E_GONE);
    assert_int_equal(sent(w, 3).u.done.stage, HWS_STAGE_NOT_SENT);
}

static void answer_waits_for_a_full_socket(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_held_ok(&w->held, 0, 1, 16);
    w->full = true;
    (void)hws_serve_turn(&w->serve, 1001);
    assert_true(hws_serve_wants_write(&w->serve));
    w->full = false;
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(sent(w, 2).id, 5);
    assert_false(hws_serve_wants_write(&w->serve));
}

static void running_command_survives_a_reconnect_and_is_named(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet hello;

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_disconnected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1100);
    assert_int_equal(hws_serve_running(&w->serve), 1);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1250);
    hello = sent(w, 2);
    assert_int_equal(hello.u.hello.n_running, 1);
    assert_int_equal(hws_link_running_get(hello.u.hello.running, 0).id, 5);
    assert_int_equal(hws_link_running_get(hello.u.hello.running, 0).age_ms, 250);
    feed_hello(w);
    hws_held_ok(&w->held, 0, 1, 16);
    (void)hws_serve_turn(&w->serve, 1300);
    assert_int_equal(sent(w, w->n_sent - 1).id, 5); /* DONE goes to the new keeper */
}

static void command_that_ends_while_nobody_is_there_is_dropped(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_disconnected(&w->serve);
    hws_held_ok(&w->held, 0, 1, 16);
    (void)hws_serve_turn(&w->serve, 1100);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1200);
    assert_int_equal(sent(w, 2).u.hello.n_running, 0);
    assert_int_equal(w->n_sent, 4); /* HELLO and ADAPTER again, nothing else */
}

static void cancel_reaches_the_channel(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet cancel = {.type = HWS_LINK_CANCEL_CMD, .id = 5};

    feed(w, &cmd, -1, HWS_OK);
    feed(w, &cancel, -1, HWS_OK);
    assert_int_equal(w->held.n_cancels, 1);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_CANCELED);
    feed(w, &cancel, -1, HWS_OK); /* too late: no harm */
}

static void cancel_of_what_has_ended_does_nothing(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet cancel = {.type = HWS_LINK_CANCEL_CMD, .id = 5};

    cmd.u.cmd.scope = 3; /* refused: the answer waits */
    feed(w, &cmd, -1, HWS_OK);
    feed(w, &cancel, -1, HWS_OK);
    assert_int_equal(w->held.n_cancels, 0);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 2).u.done.code, HWS_E_DENIED);
}

/* A channel that is taken away ends what it has on loan; until then the answer is still due. */
static void command_of_an_adapter_that_went_away_is_answered(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);
    struct hws_link_packet cancel = {.type = HWS_LINK_CANCEL_CMD, .id = 5};
    const struct hws_serve_facts facts = {.kind = HWS_KIND_MLX5,
                                          .state = HWS_LINK_ADAPTER_AWAY,
                                          .pci = "0000:81:00.0",
                                          .node = "",
                                          .backend = "queue",
                                          .reason = ""};

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_update(w->adapter, NULL, &facts);
    feed(w, &cancel, -1, HWS_OK);
    assert_int_equal(w->held.n_cancels, 0);
    hws_held_fail(&w->held, 0, HWS_E_CANCELED, HWS_STAGE_UNKNOWN);
    (void)w->held.ctl.ops->turn(&w->held.ctl, 1001);
    cmd.id = 6;
    feed(w, &cmd, -1, HWS_OK);
    (void)hws_serve_turn(&w->serve, 1001);
    assert_int_equal(sent(w, 3).id, 5);
    assert_int_equal(sent(w, 3).u.done.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(sent(w, 4).u.done.code, HWS_E_GONE);
    assert_int_equal(sent(w, 4).u.done.msg.n, strlen("adapter 0000:81:00.0 is away"));
}

static unsigned n_stalled;
static uint64_t stalled_since_ms;

static unsigned some_stalled(const struct hws_ctl *ctl, uint64_t *out_since_ms)
{
    (void)ctl;
    if (n_stalled > 0) {
        *out_since_ms = stalled_since_ms;
    }
    return n_stalled;
}

static void commands_that_do_not_return_are_announced_once(void **state)
{
    struct world *w = *state;
    static struct hws_ctl_ops ops; /* teardown turns the channel once more */

    ops = *w->held.ctl.ops;
    ops.stalled = some_stalled;
    w->held.ctl.ops = &ops;
    n_stalled = 1;
    stalled_since_ms = 900;
    (void)hws_serve_turn(&w->serve, 1001);
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(w->n_sent, 3);
    assert_int_equal(sent(w, 2).u.adapter.n_stalled, 1);
    assert_int_equal(sent(w, 2).u.adapter.stalled_ms, 101);
    stalled_since_ms = 950; /* the oldest one came back, and another one did not */
    (void)hws_serve_turn(&w->serve, 1003);
    assert_int_equal(sent(w, 3).u.adapter.stalled_ms, 53);
    stalled_since_ms = 1003; /* longer than 49 days, next time we look */
    (void)hws_serve_turn(&w->serve, UINT64_C(1003) + UINT32_MAX);
    assert_int_equal(sent(w, 4).u.adapter.stalled_ms, UINT32_MAX);
    n_stalled = 0;
    (void)hws_serve_turn(&w->serve, UINT64_C(1004) + UINT32_MAX);
    assert_int_equal(sent(w, 5).u.adapter.n_stalled, 0);
    assert_int_equal(sent(w, 5).u.adapter.stalled_ms, 0);
    assert_int_equal(w->n_sent, 6);
}

static void a_running_commands_age_has_a_ceiling(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_serve_disconnected(&w->serve);
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, UINT64_C(2000) + UINT32_MAX);
    assert_int_equal(hws_link_running_get(sent(w, 2).u.hello.running, 0).age_ms, UINT32_MAX);
}

/* HELLO, ADAPTER and DONE each wait for room, in this order. */
static void a_full_socket_keeps_the_order(void **state)
{
    struct world *w = *state;

    hws_serve_disconnected(&w->serve);
    assert_false(hws_serve_wants_write(&w->serve));
    hws_serve_connected(&w->serve);
    assert_true(hws_serve_wants_write(&w->serve));
    w->full = true;
    (void)hws_serve_turn(&w->serve, 1001); /* HELLO does not leave */
    assert_int_equal(w->n_sent, 2);
    w->serve.hello_due = false; /* nor would ADAPTER */
    (void)hws_serve_turn(&w->serve, 1001);
    assert_true(hws_serve_wants_write(&w->serve));
    w->serve.hello_due = true;
    w->full = false;
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(w->n_sent, 4);
    assert_int_equal(sent(w, 2).type, HWS_LINK_HELLO);
    assert_int_equal(sent(w, 3).type, HWS_LINK_ADAPTER);
    assert_false(hws_serve_wants_write(&w->serve));
}

static void answer_for_a_keeper_that_left_is_dropped(void **state)
{
    struct world *w = *state;
    struct hws_link_packet cmd = nop(5);

    feed(w, &cmd, -1, HWS_OK);
    hws_held_ok(&w->held, 0, 1, 16);
    w->full = true;
    (void)hws_serve_turn(&w->serve, 1001); /* ended, and the socket is full */
    hws_serve_disconnected(&w->serve);
    w->full = false;
    hws_serve_connected(&w->serve);
    (void)hws_serve_turn(&w->serve, 1002);
    assert_int_equal(w->n_sent, 4); /* HELLO and ADAPTER again, no DONE */
    assert_int_equal(sent(w, 2).u.hello.n_running, 0);
}

static void drain_is_noted(void **state)
{
    struct world *w = *state;
    struct hws_link_packet drain = {.type = HWS_LINK_DRAIN};

    assert_false(w->serve.drain);
    feed(w, &drain, -1, HWS_OK);
    assert_true(w->serve.drain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(hello_and_adapters_come_first),
        WITH_WORLD(command_runs_and_is_answered),
        WITH_WORLD(refusal_of_the_gate_is_an_answer),
        WITH_WORLD(refusal_of_the_channel_is_an_answer),
        WITH_WORLD(adapter_that_is_away_refuses),
        WITH_WORLD(answer_waits_for_a_full_socket),
        WITH_WORLD(running_command_survives_a_reconnect_and_is_named),
        WITH_WORLD(command_that_ends_while_nobody_is_there_is_dropped),
        WITH_WORLD(cancel_reaches_the_channel),
        WITH_WORLD(cancel_of_what_has_ended_does_nothing),
        WITH_WORLD(command_of_an_adapter_that_went_away_is_answered),
        WITH_WORLD(commands_that_do_not_return_are_announced_once),
        WITH_WORLD(a_running_commands_age_has_a_ceiling),
        WITH_WORLD(a_full_socket_keeps_the_order),
        WITH_WORLD(answer_for_a_keeper_that_left_is_dropped),
        WITH_WORLD(drain_is_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
