/* Calls to an adapter over the keeper's channel: depth, lengths, deadlines, cancels, their end. */
#include <string.h>

#include "ipc_world.h"

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
        WITH_WORLD(close_ends_calls_and_tells_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
