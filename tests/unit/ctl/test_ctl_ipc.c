/* The keeper's channel to a device process: the connection, whom it has behind it after another
 * one, kills, breaches. Calls: test_ctl_ipc_adapter.c. */
#include "ipc_world.h"

static void lost_connection_ends_sent_calls_unknown_and_others_not_sent(void **state)
{
    struct world *w = *state;
    struct hws_ctl_ipc_adapter *a = hws_ctl_ipc_adapter_at(&w->ipc, 0);
    struct probe *sent = probe(0, 16, 16);
    struct probe *unsent = probe(1, 16, 16);

    assert_code(submit(w, sent), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_code(submit(w, unsent), HWS_OK);
    hws_sock_close(&w->peer);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(w->n_ends, 1);
    assert_code(sent->call.err.code, HWS_E_GONE);
    assert_int_equal(sent->call.err.stage, HWS_STAGE_UNKNOWN);
    assert_code(unsent->call.err.code, HWS_E_GONE);
    assert_int_equal(unsent->call.err.stage, HWS_STAGE_NOT_SENT);
    assert_false(hws_ctl_ipc_attached(&w->ipc));
    assert_int_equal(a->state, HWS_LINK_ADAPTER_AWAY);
    assert_code(submit(w, probe(2, 16, 16)), HWS_E_GONE);
}

static void adapter_is_the_same_after_a_reconnect(void **state)
{
    struct world *w = *state;
    struct hws_ctl_ipc_adapter *a = hws_ctl_ipc_adapter_at(&w->ipc, 0);

    hws_sock_close(&w->peer);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    attach(w, 0);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    (void)receive(w);
    send_adapter(w, 0, "0000:41:00.0", HWS_LINK_ADAPTER_UP, 2); /* another one is first now */
    send_adapter(w, 1, "0000:81:00.0", HWS_LINK_ADAPTER_UP, 2);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_ptr_equal(hws_ctl_ipc_adapter_at(&w->ipc, 0), a);
    assert_int_equal(a->index, 1);
    assert_string_equal(hws_ctl_ipc_adapter_at(&w->ipc, 1)->pci, "0000:41:00.0");
    assert_null(hws_ctl_ipc_adapter_at(&w->ipc, 2));
    expect_kills(w, 1, 0);
    expect_kills(w, 0, 0);
    assert_code(submit(w, probe(0, 16, 16)), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(receive(w).u.cmd.adapter, 1);
}

static void commands_of_an_earlier_session_hold_their_place(void **state)
{
    struct world *w = *state;
    struct hws_ctl_ipc_adapter *a = hws_ctl_ipc_adapter_at(&w->ipc, 0);

    hws_sock_close(&w->peer);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    attach(w, 2);
    send_adapter(w, 0, "0000:81:00.0", HWS_LINK_ADAPTER_UP, 2);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    (void)receive(w);
    assert_int_equal(a->n_earlier, 2);
    assert_code(submit(w, probe(0, 16, 16)), HWS_E_BUSY);
    send_done(w, 101, "0123456789abcdef");
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(a->n_earlier, 1);
    assert_code(submit(w, probe(0, 16, 16)), HWS_OK);
    send_done(w, 101, "0123456789abcdef"); /* twice: not in this protocol */
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(w->n_ends, 2); /* the first was the lost connection */
}

static void kills_are_told_before_a_command_that_waits(void **state)
{
    struct world *w = *state;
    struct hws_ctl_ipc_adapter *a = hws_ctl_ipc_adapter_at(&w->ipc, 0);

    assert_code(submit(w, probe(0, 16, 16)), HWS_OK);
    w->killed = 9;
    hws_ctl_ipc_kills_changed(a);
    assert_true(turn_is_due(w));
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    expect_kills(w, 0, 9);
    assert_int_equal(receive(w).type, HWS_LINK_CMD);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_true(nothing_to_receive(w)); /* once for each change */

    send_adapter(w, 0, "0000:81:00.0", HWS_LINK_ADAPTER_UP, 2);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    expect_kills(w, 0, 9);
}

static void kills_are_told_to_each_device_process_anew(void **state)
{
    struct world *w = *state;

    w->killed = 9;
    hws_sock_close(&w->peer);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    hws_ctl_ipc_kills_changed(hws_ctl_ipc_adapter_at(&w->ipc, 0)); /* it is away: later */
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    attach(w, 0);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(receive(w).type, HWS_LINK_HELLO);
    assert_true(nothing_to_receive(w)); /* it has not said which adapters it has */
    send_adapter(w, 3, "0000:81:00.0", HWS_LINK_ADAPTER_UP, 2);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    expect_kills(w, 3, 9);
}

/* Fills the keeper's send queue behind its back; how many packets it took. */
static unsigned fill_socket(struct world *w)
{
    static uint8_t junk[20000];
    unsigned n = 0;

    while (hws_sock_send(w->ipc.sock_fd, junk, sizeof junk, -1, NULL) == HWS_OK) {
        n++;
    }
    return n;
}

static void take_junk(struct world *w, unsigned n_junk)
{
    while (n_junk-- > 0) {
        size_t n = 0;
        int fd = -1;

        assert_code(hws_sock_recv(w->peer, w->packet, sizeof w->packet, &n, &fd, NULL), HWS_OK);
    }
}

static void kills_wait_for_a_full_socket(void **state)
{
    struct world *w = *state;
    unsigned n_junk = fill_socket(w);

    w->killed = 9;
    hws_ctl_ipc_kills_changed(hws_ctl_ipc_adapter_at(&w->ipc, 0));
    assert_code(submit(w, probe(0, 16, 16)), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    take_junk(w, n_junk);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    expect_kills(w, 0, 9);
    assert_int_equal(receive(w).type, HWS_LINK_CMD);
}

static void breach_of_protocol_ends_the_connection(void **state)
{
    static const uint8_t garbage[20] = {99};
    struct world *w = *state;
    struct probe *p = probe(0, 16, 16);
    uint64_t id;

    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    id = receive(w).id;
    send_done(w, id, "longer than the sixteen bytes asked for");
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(w->n_ends, 1);
    assert_int_equal(p->call.err.stage, HWS_STAGE_UNKNOWN);
    hws_sock_close(&w->peer);
    attach(w, 0);
    assert_code(hws_sock_send(w->peer, garbage, sizeof garbage, -1, NULL), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(w->n_ends, 2);
    hws_sock_close(&w->peer);
    attach(w, 0);
    send_adapter(w, 0, "0000:81:00.0", HWS_LINK_ADAPTER_UP, 2);
    assert_code(hws_sock_send(w->peer, garbage, sizeof garbage, w->peer, NULL), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(w->n_ends, 3);
}

static void only_a_device_process_of_this_version_attaches(void **state)
{
    struct world *w = *state;
    struct hws_link_hello hello = {
        .role = HWS_LINK_ROLE_DEVICE, .version = HWS_LINK_VERSION, .generation = 5};

    assert_code(hws_ctl_ipc_attach(&w->ipc, w->peer, &hello, NULL), HWS_E_STATE);
    hws_ctl_ipc_detach(&w->ipc);
    hello.role = HWS_LINK_ROLE_WIRE;
    assert_code(hws_ctl_ipc_attach(&w->ipc, w->peer, &hello, NULL), HWS_E_PROTO);
    hello.role = HWS_LINK_ROLE_DEVICE;
    hello.version++;
    assert_code(hws_ctl_ipc_attach(&w->ipc, w->peer, &hello, NULL), HWS_E_PROTO);
}

static void full_socket_is_no_loss(void **state)
{
    struct world *w = *state;
    struct hws_ctl_ipc_adapter *a = hws_ctl_ipc_adapter_at(&w->ipc, 0);
    struct probe *p = probe(0, 16, 16);
    unsigned n_junk = fill_socket(w);

    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(a->n_unsent, 1);
    assert_false(turn_is_due(w)); /* waits for room, does not spin */
    take_junk(w, n_junk);
    assert_true(turn_is_due(w));
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(a->n_unsent, 0);
    assert_int_equal(receive(w).type, HWS_LINK_CMD);
    assert_false(turn_is_due(w));
}

static void drain_is_sent(void **state)
{
    struct world *w = *state;

    hws_ctl_ipc_drain(&w->ipc);
    assert_true(turn_is_due(w));
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(receive(w).type, HWS_LINK_DRAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(lost_connection_ends_sent_calls_unknown_and_others_not_sent),
        WITH_WORLD(adapter_is_the_same_after_a_reconnect),
        WITH_WORLD(commands_of_an_earlier_session_hold_their_place),
        WITH_WORLD(kills_are_told_before_a_command_that_waits),
        WITH_WORLD(kills_are_told_to_each_device_process_anew),
        WITH_WORLD(kills_wait_for_a_full_socket),
        WITH_WORLD(breach_of_protocol_ends_the_connection),
        WITH_WORLD(only_a_device_process_of_this_version_attaches),
        WITH_WORLD(full_socket_is_no_loss),
        WITH_WORLD(drain_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
