/* The keeper's channel to a device process. The test is the device process: it holds the other end
 * of a socket pair and speaks the link by hand. Time is virtual. */
#include <poll.h>
#include <string.h>

#include "ctl/ctl_ipc.h"
#include "sock/sock.h"
#include "test.h"

#define ROW 17u

struct world {
    struct hws_ctl_ipc ipc;
    int peer; /* the device process's end */
    uint8_t packet[HWS_LINK_MAX_BYTES];
    int passed; /* the descriptor that came with the last packet */
    unsigned n_ends;
    unsigned n_changes;
    uint16_t killed; /* the row that is killed on every adapter; 0 = none */
};

static struct world world;

struct probe {
    struct hws_ctl_call call;
    uint8_t in[64 * 1024];
    uint8_t out[64 * 1024];
    unsigned n_done;
};

static struct probe probes[4];

static uint16_t row_of(void *data, const struct hws_ctl_ipc_adapter *adapter,
                       const struct hws_ctl_call *call)
{
    (void)data;
    (void)adapter;
    (void)call;
    return ROW;
}

static uint16_t kills_of(void *data, const struct hws_ctl_ipc_adapter *adapter, uint8_t *rows)
{
    struct world *w = data;
    const struct hws_link_kill kill = {w->killed, 60000};

    assert_true(adapter->present);
    if (w->killed == 0) {
        return 0;
    }
    hws_link_kill_put(rows, 0, &kill);
    return 1;
}

static void on_adapter(void *data, struct hws_ctl_ipc_adapter *adapter)
{
    (void)adapter;
    ((struct world *)data)->n_changes++;
}

static void on_end(void *data, const struct hws_err *why)
{
    assert_true(why->msg[0] != 0);
    ((struct world *)data)->n_ends++;
}

static void call_done(struct hws_ctl_call *call)
{
    ((struct probe *)call->data)->n_done++;
}

static struct probe *probe(unsigned i, size_t in_bytes, size_t out_cap)
{
    struct probe *p = &probes[i];

    memset(p, 0, sizeof *p);
    p->call = (struct hws_ctl_call){.in = p->in,
                                    .in_bytes = in_bytes,
                                    .out = p->out,
                                    .out_cap_bytes = out_cap,
                                    .scope = 1,
                                    .deadline_ms = 1000,
                                    .cb = call_done,
                                    .data = p};
    return p;
}

static enum hws_code submit(struct world *w, struct probe *p)
{
    struct hws_ctl *ctl = &hws_ctl_ipc_adapter_at(&w->ipc, 0)->ctl;

    return ctl->ops->submit(ctl, &p->call, NULL);
}

static void send_up(struct world *w, const struct hws_link_packet *p)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES];
    size_t n = 0;

    assert_code(hws_link_encode(p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_sock_send(w->peer, bytes, n, -1, NULL), HWS_OK);
}

/* The next packet at the device process; valid until the next call. */
static struct hws_link_packet receive(struct world *w)
{
    struct hws_link_packet p;
    size_t n = 0;

    hws_sock_close(&w->passed);
    assert_code(hws_sock_recv(w->peer, w->packet, sizeof w->packet, &n, &w->passed, NULL), HWS_OK);
    assert_code(hws_link_decode(w->packet, n, &p, NULL), HWS_OK);
    return p;
}

/* The next packet is that adapter's list, of the one row (0: of none). */
static void expect_kills(struct world *w, uint16_t adapter, uint16_t row)
{
    struct hws_link_packet p = receive(w);

    assert_int_equal(p.type, HWS_LINK_KILLS);
    assert_int_equal(p.u.kills.adapter, adapter);
    assert_int_equal(p.u.kills.n, row == 0 ? 0 : 1);
    if (row != 0) {
        assert_int_equal(hws_link_kill_get(p.u.kills.rows, 0).row, row);
        assert_int_equal(hws_link_kill_get(p.u.kills.rows, 0).left_ms, 60000);
    }
}

static bool nothing_to_receive(struct world *w)
{
    size_t n = 0;
    int fd = -1;

    return hws_sock_recv(w->peer, w->packet, sizeof w->packet, &n, &fd, NULL) == HWS_E_BUSY;
}

static bool turn_is_due(struct world *w)
{
    struct pollfd pfd = {.fd = hws_ctl_ipc_fd(&w->ipc), .events = POLLIN};

    return poll(&pfd, 1, 0) == 1;
}

static void send_adapter(struct world *w, uint16_t index, const char *pci,
                         enum hws_link_adapter_state state, uint16_t depth)
{
    struct hws_link_packet p = {.type = HWS_LINK_ADAPTER};

    p.u.adapter = (struct hws_link_adapter){.index = index,
                                            .state = (uint8_t)state,
                                            .emulated = true,
                                            .depth = depth,
                                            .kind = hws_link_text("mlx5"),
                                            .pci = hws_link_text(pci),
                                            .backend = hws_link_text("queue")};
    send_up(w, &p);
}

static void send_done(struct world *w, uint64_t id, const char *out)
{
    struct hws_link_packet p = {.type = HWS_LINK_DONE, .id = id};

    p.u.done.out = hws_link_text(out);
    p.u.done.out_bytes = (uint32_t)p.u.done.out.n;
    send_up(w, &p);
}

/* Connects the device process anew; `running` commands of earlier sessions, ids 100 and up. */
static void attach(struct world *w, uint16_t n_running)
{
    struct hws_link_hello hello = {.role = HWS_LINK_ROLE_DEVICE,
                                   .version = HWS_LINK_VERSION,
                                   .generation = 5,
                                   .n_adapters = 1,
                                   .n_running = n_running};
    uint8_t list[4 * HWS_LINK_RUNNING_BYTES];
    struct hws_err err;
    int fds[2];

    for (uint16_t i = 0; i < n_running; i++) {
        const struct hws_link_running r = {.id = 100u + i};

        hws_link_running_put(list, i, &r);
    }
    hello.running = list;
    assert_code(hws_sock_pair(fds, NULL), HWS_OK);
    assert_ok(hws_ctl_ipc_attach(&w->ipc, fds[0], &hello, &err), &err);
    w->peer = fds[1];
}

/* Attached, greeted, one adapter of depth 2 that is up. */
static int setup(void **state)
{
    struct world *w = &world;
    struct hws_ctl_ipc_config config = {.generation = 0x1122334455667788u,
                                        .name = "hawserd",
                                        .build_id = "1",
                                        .row_of = row_of,
                                        .kills_of = kills_of,
                                        .on_adapter = on_adapter,
                                        .on_end = on_end,
                                        .data = w};

    memset(w, 0, sizeof *w);
    w->peer = -1;
    w->passed = -1;
    if (hws_ctl_ipc_init(&w->ipc, &config, NULL) != HWS_OK) {
        return -1;
    }
    attach(w, 0);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(receive(w).u.hello.role, HWS_LINK_ROLE_KEEPER);
    send_adapter(w, 0, "0000:81:00.0", HWS_LINK_ADAPTER_UP, 2);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(w->n_changes, 1);
    expect_kills(w, 0, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    hws_ctl_ipc_detach(&w->ipc);
    (void)hws_ctl_ipc_turn(&w->ipc, 5000);
    hws_ctl_ipc_deinit(&w->ipc);
    hws_sock_close(&w->peer);
    hws_sock_close(&w->passed);
    return 0;
}

static void call_goes_out_and_comes_back(void **state)
{
    struct world *w = *state;
    struct probe *p = probe(0, 16, 64);
    struct hws_link_packet cmd;

    p->in[0] = 0x08;
    assert_false(turn_is_due(w));
    assert_code(submit(w, p), HWS_OK);
    assert_true(turn_is_due(w));
    assert_int_equal(hws_ctl_ipc_turn(&w->ipc, 400), 1000);
    assert_false(turn_is_due(w));
    cmd = receive(w);
    assert_int_equal(cmd.type, HWS_LINK_CMD);
    assert_int_equal(cmd.u.cmd.row, ROW);
    assert_int_equal(cmd.u.cmd.scope, 1);
    assert_int_equal(cmd.u.cmd.deadline_ms, 600);
    assert_int_equal(cmd.u.cmd.out_cap, 64);
    assert_int_equal(cmd.u.cmd.in.bytes[0], 0x08);
    send_done(w, cmd.id, "twenty bytes of reply");
    assert_true(turn_is_due(w));
    assert_int_equal(hws_ctl_ipc_turn(&w->ipc, 500), UINT64_MAX);
    assert_int_equal(p->n_done, 1);
    assert_code(p->call.err.code, HWS_OK);
    assert_int_equal(p->call.out_bytes, 21);
    assert_memory_equal(p->out, "twenty", 6);
    assert_int_equal(hws_ctl_ipc_in_flight(hws_ctl_ipc_adapter_at(&w->ipc, 0)), 0);
}

static void errors_of_the_card_come_through(void **state)
{
    struct world *w = *state;
    struct probe *p = probe(0, 16, 16);
    struct hws_link_packet done = {.type = HWS_LINK_DONE};
    struct hws_err err;

    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    done.id = receive(w).id;
    hws_err_set(&err, HWS_E_DEVICE, "bad parameter");
    err.stage = HWS_STAGE_EXECUTED;
    err.exec_status = 3;
    err.syndrome = 0xabc;
    hws_link_done_from(&done.u.done, &err);
    send_up(w, &done);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_code(p->call.err.code, HWS_E_DEVICE);
    assert_int_equal(p->call.err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(p->call.err.exec_status, 3);
    assert_int_equal(p->call.err.syndrome, 0xabc);
    assert_string_equal(p->call.err.msg, "bad parameter");
}

static void depth_is_kept(void **state)
{
    struct world *w = *state;

    assert_code(submit(w, probe(0, 16, 16)), HWS_OK);
    assert_code(submit(w, probe(1, 16, 16)), HWS_OK);
    assert_code(submit(w, probe(2, 16, 16)), HWS_E_BUSY);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_code(submit(w, probe(2, 16, 16)), HWS_E_BUSY);
    send_done(w, receive(w).id, "0123456789abcdef");
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_code(submit(w, probe(2, 16, 16)), HWS_OK);
}

static void bad_lengths_are_refused(void **state)
{
    struct world *w = *state;
    struct probe *p = probe(0, 16, 16);

    p->call.in_bytes = 15;
    assert_code(submit(w, p), HWS_E_INVALID);
    p->call.in_bytes = HWS_CALL_MAX_BYTES + 1;
    assert_code(submit(w, p), HWS_E_INVALID);
    p->call.in_bytes = 16;
    p->call.out_cap_bytes = 0;
    assert_code(submit(w, p), HWS_E_INVALID);
}

static void deadline_before_sending_is_not_sent(void **state)
{
    struct world *w = *state;
    struct probe *p = probe(0, 16, 16);

    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 1000);
    assert_int_equal(p->n_done, 1);
    assert_code(p->call.err.code, HWS_E_TIMEOUT);
    assert_int_equal(p->call.err.stage, HWS_STAGE_NOT_SENT);
    assert_true(nothing_to_receive(w));
}

static void deadline_after_sending_is_unknown_and_keeps_the_slot(void **state)
{
    struct world *w = *state;
    struct hws_ctl_ipc_adapter *a = hws_ctl_ipc_adapter_at(&w->ipc, 0);
    struct probe *p = probe(0, 16, 16);
    uint64_t id;

    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    id = receive(w).id;
    (void)hws_ctl_ipc_turn(&w->ipc, 1000);
    assert_int_equal(p->n_done, 1);
    assert_code(p->call.err.code, HWS_E_TIMEOUT);
    assert_int_equal(p->call.err.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(a->n_abandoned, 1);
    assert_int_equal(hws_ctl_ipc_in_flight(a), 1);
    send_done(w, id, "a late answer !!");
    (void)hws_ctl_ipc_turn(&w->ipc, 1001);
    assert_int_equal(a->n_abandoned, 0);
    assert_int_equal(hws_ctl_ipc_in_flight(a), 0);
    assert_int_equal(p->out[0], 0); /* the late answer went nowhere */
    assert_int_equal(p->n_done, 1);
}

static void cancel_before_sending_is_not_sent(void **state)
{
    struct world *w = *state;
    struct hws_ctl *ctl = &hws_ctl_ipc_adapter_at(&w->ipc, 0)->ctl;
    struct probe *p = probe(0, 16, 16);

    assert_code(submit(w, p), HWS_OK);
    ctl->ops->cancel(ctl, &p->call);
    assert_int_equal(p->n_done, 0);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(p->n_done, 1);
    assert_code(p->call.err.code, HWS_E_CANCELED);
    assert_int_equal(p->call.err.stage, HWS_STAGE_NOT_SENT);
    ctl->ops->cancel(ctl, &p->call); /* not on loan: no effect */
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(p->n_done, 1);
}

static void cancel_after_sending_is_unknown_and_is_passed_on(void **state)
{
    struct world *w = *state;
    struct hws_ctl *ctl = &hws_ctl_ipc_adapter_at(&w->ipc, 0)->ctl;
    struct probe *p = probe(0, 16, 16);
    struct hws_link_packet packet;
    uint64_t id;

    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    id = receive(w).id;
    ctl->ops->cancel(ctl, &p->call);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_code(p->call.err.code, HWS_E_CANCELED);
    assert_int_equal(p->call.err.stage, HWS_STAGE_UNKNOWN);
    packet = receive(w);
    assert_int_equal(packet.type, HWS_LINK_CANCEL_CMD);
    assert_int_equal(packet.id, id);
}

static void large_payload_travels_in_a_memory_file(void **state)
{
    struct world *w = *state;
    struct probe *p = probe(0, 50000, 60000);
    struct hws_link_packet cmd;
    struct hws_link_packet done = {.type = HWS_LINK_DONE, .flags = HWS_LINK_FLAG_FD};
    static uint8_t bytes[60000];

    memset(p->in, 0x77, 50000);
    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    cmd = receive(w);
    assert_int_equal(cmd.flags, HWS_LINK_FLAG_FD);
    assert_int_equal(cmd.u.cmd.in_bytes, 50000);
    assert_true(w->passed >= 0);
    assert_code(hws_sock_is_memfd(w->passed, NULL), HWS_OK);
    assert_code(hws_sock_pread(w->passed, bytes, 50000, NULL), HWS_OK);
    assert_memory_equal(bytes, p->in, 50000);
    memset(bytes, 0x99, sizeof bytes);
    assert_code(hws_sock_pwrite(w->passed, bytes, sizeof bytes, NULL), HWS_OK);
    done.id = cmd.id;
    done.u.done.out_bytes = sizeof bytes;
    send_up(w, &done);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(p->call.out_bytes, sizeof bytes);
    assert_memory_equal(p->out, bytes, sizeof bytes);
}

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

static void kills_wait_for_a_full_socket(void **state)
{
    struct world *w = *state;
    static uint8_t junk[20000];
    unsigned n_junk = 0;

    while (hws_sock_send(w->ipc.sock_fd, junk, sizeof junk, -1, NULL) == HWS_OK) {
        n_junk++;
    }
    w->killed = 9;
    hws_ctl_ipc_kills_changed(hws_ctl_ipc_adapter_at(&w->ipc, 0));
    assert_code(submit(w, probe(0, 16, 16)), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    while (n_junk-- > 0) {
        size_t n = 0;
        int fd = -1;

        assert_code(hws_sock_recv(w->peer, w->packet, sizeof w->packet, &n, &fd, NULL), HWS_OK);
    }
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
    static uint8_t junk[20000];
    struct probe *p = probe(0, 16, 16);
    unsigned n_junk = 0;

    /* Fills the keeper's send queue behind its back. */
    while (hws_sock_send(w->ipc.sock_fd, junk, sizeof junk, -1, NULL) == HWS_OK) {
        n_junk++;
    }
    assert_code(submit(w, p), HWS_OK);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(a->n_unsent, 1);
    assert_false(turn_is_due(w)); /* waits for room, does not spin */
    while (n_junk-- > 0) {
        size_t n = 0;
        int fd = -1;

        assert_code(hws_sock_recv(w->peer, w->packet, sizeof w->packet, &n, &fd, NULL), HWS_OK);
    }
    assert_true(turn_is_due(w));
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(a->n_unsent, 0);
    assert_int_equal(receive(w).type, HWS_LINK_CMD);
    assert_false(turn_is_due(w));
}

static void closed(struct hws_ctl *ctl)
{
    *(unsigned *)ctl->data += 1;
}

static void close_ends_calls_and_tells_once(void **state)
{
    struct world *w = *state;
    struct hws_ctl *ctl = &hws_ctl_ipc_adapter_at(&w->ipc, 0)->ctl;
    struct probe *p = probe(0, 16, 16);
    unsigned n_closed = 0;

    ctl->data = &n_closed;
    assert_code(submit(w, p), HWS_OK);
    ctl->ops->close(ctl, closed);
    ctl->ops->close(ctl, closed);
    assert_int_equal(n_closed, 0);
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(n_closed, 1);
    assert_code(p->call.err.code, HWS_E_CANCELED);
    assert_code(submit(w, p), HWS_E_GONE);
}

static void drain_is_sent(void **state)
{
    struct world *w = *state;

    hws_ctl_ipc_drain(&w->ipc);
    assert_true(turn_is_due(w));
    (void)hws_ctl_ipc_turn(&w->ipc, 0);
    assert_int_equal(receive(w).type, HWS_LINK_DRAIN);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(call_goes_out_and_comes_back),
        WITH_WORLD(errors_of_the_card_come_through),
        WITH_WORLD(depth_is_kept),
        WITH_WORLD(bad_lengths_are_refused),
        WITH_WORLD(deadline_before_sending_is_not_sent),
        WITH_WORLD(deadline_after_sending_is_unknown_and_keeps_the_slot),
        WITH_WORLD(cancel_before_sending_is_not_sent),
        WITH_WORLD(cancel_after_sending_is_unknown_and_is_passed_on),
        WITH_WORLD(large_payload_travels_in_a_memory_file),
        WITH_WORLD(lost_connection_ends_sent_calls_unknown_and_others_not_sent),
        WITH_WORLD(adapter_is_the_same_after_a_reconnect),
        WITH_WORLD(commands_of_an_earlier_session_hold_their_place),
        WITH_WORLD(kills_are_told_before_a_command_that_waits),
        WITH_WORLD(kills_are_told_to_each_device_process_anew),
        WITH_WORLD(kills_wait_for_a_full_socket),
        WITH_WORLD(breach_of_protocol_ends_the_connection),
        WITH_WORLD(only_a_device_process_of_this_version_attaches),
        WITH_WORLD(full_socket_is_no_loss),
        WITH_WORLD(close_ends_calls_and_tells_once),
        WITH_WORLD(drain_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
