/* The fwctl channel over a scripted kernel. Deadlines are virtual; workers are real threads. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "drv/ctl_fwctl.h"
#include "fake_sys.h"
#include "test.h"

#define NODE    "/dev/fwctl/fwctl0"
#define FD      33
#define WAIT_MS 5000
#define MGIR_IN 176u

static const uint32_t uid_and_caps[2] = {5, 4};

/* Every script begins with these two and ends with the third. */
#define OPEN_OK                                                                                    \
    {                                                                                              \
        .call = HWS_FAKE_SYS_OPEN, .path = NODE, .result = FD                                      \
    }
#define INFO_OK                                                                                    \
    {                                                                                              \
        .call = HWS_FAKE_SYS_INFO, .fd = FD, .type = 1, .bytes = uid_and_caps,                     \
        .n_bytes = sizeof uid_and_caps                                                             \
    }
#define CLOSE_OK                                                                                   \
    {                                                                                              \
        .call = HWS_FAKE_SYS_CLOSE, .fd = FD                                                       \
    }
#define RPC                                                                                        \
    .call = HWS_FAKE_SYS_RPC, .fd = FD, .scope = 1, .in_len = MGIR_IN, .out_len = MGIR_IN,         \
    .opcode = 0x805

struct world {
    struct hws_fake_sys fake;
    struct hws_ctl_fwctl c;
    unsigned n_states;
    unsigned n_closed;
};

struct probe {
    struct hws_ctl_call call;
    uint8_t in[MGIR_IN];
    uint8_t out[MGIR_IN];
    unsigned n_done;
};

static struct world world;
static struct probe probes[HWS_CTL_FWCTL_DEPTH + 1];

static void on_state(struct hws_ctl_fwctl *c)
{
    ((struct world *)c->ctl.data)->n_states++;
}

static void on_closed(struct hws_ctl *ctl)
{
    ((struct world *)ctl->data)->n_closed++;
}

static void on_done(struct hws_ctl_call *call)
{
    ((struct probe *)call->data)->n_done++;
}

/* Turns when a worker has something, at virtual time now_ms, until *counter has reached n. */
static void turn_until(struct world *w, const unsigned *counter, unsigned n, uint64_t now_ms)
{
    (void)w->c.ctl.ops->turn(&w->c.ctl, now_ms);
    while (*counter < n) {
        struct pollfd pfd = {.fd = w->c.ctl.ops->fd(&w->c.ctl), .events = POLLIN};

        assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
        (void)w->c.ctl.ops->turn(&w->c.ctl, now_ms);
    }
}

static struct world *begin(const struct hws_fake_sys_row *rows, size_t n_rows)
{
    struct world *w = &world;
    struct hws_err err;

    memset(w, 0, sizeof *w);
    memset(probes, 0, sizeof probes);
    hws_fake_sys_init(&w->fake, rows, n_rows);
    assert_ok(hws_ctl_fwctl_open(&w->c, &w->fake.sys, NODE, on_state, w, &err), &err);
    turn_until(w, &w->n_states, 1, 0);
    return w;
}

static void finish(struct world *w)
{
    w->c.ctl.ops->close(&w->c.ctl, on_closed);
    turn_until(w, &w->n_closed, 1, 0);
    hws_ctl_fwctl_deinit(&w->c);
    hws_fake_sys_check(&w->fake);
}

static enum hws_code submit(struct world *w, unsigned i)
{
    struct probe *p = &probes[i];

    p->in[0] = 0x08;
    p->in[1] = 0x05;
    p->call = (struct hws_ctl_call){.in = p->in,
                                    .in_bytes = MGIR_IN,
                                    .out = p->out,
                                    .out_cap_bytes = MGIR_IN,
                                    .scope = 1,
                                    .deadline_ms = 1000,
                                    .cb = on_done,
                                    .data = p};
    return w->c.ctl.ops->submit(&w->c.ctl, &p->call, NULL);
}

/* How many are stalled; they are since `since_ms`. */
static unsigned stalled(struct world *w, uint64_t since_ms)
{
    uint64_t out_ms = 0;
    unsigned n = w->c.ctl.ops->stalled(&w->c.ctl, &out_ms);

    assert_int_equal(out_ms, since_ms);
    return n;
}

static void wait_blocked(struct world *w, unsigned n)
{
    for (int i = 0; i < WAIT_MS && hws_fake_sys_n_blocked(&w->fake) < n; i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(hws_fake_sys_n_blocked(&w->fake), n);
}

static void call_follows_the_kernels_interface(void **state)
{
    static const uint8_t reply[MGIR_IN] = {[16] = 0x5a, [MGIR_IN - 1] = 0xa5};
    static const struct hws_fake_sys_row rows[] = {
        OPEN_OK, INFO_OK, {RPC, .bytes = reply, .n_bytes = sizeof reply}, CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    assert_int_equal(w->c.state, HWS_CTL_FWCTL_UP);
    assert_int_equal(w->c.device_type, 1);
    assert_int_equal(w->c.uid, 5);
    assert_code(submit(w, 0), HWS_OK);
    turn_until(w, &probes[0].n_done, 1, 0);
    assert_code(probes[0].call.err.code, HWS_OK);
    assert_int_equal(probes[0].call.out_bytes, MGIR_IN);
    assert_memory_equal(probes[0].out, reply, MGIR_IN);
    finish(w);
}

static void firmware_refusal_is_no_errno(void **state)
{
    static const uint8_t reply[16] = {[0] = 3, [4] = 0xde, [5] = 0xad, [6] = 0xbe, [7] = 0xef};
    static const struct hws_fake_sys_row rows[] = {
        OPEN_OK, INFO_OK, {RPC, .bytes = reply, .n_bytes = sizeof reply}, CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    assert_code(submit(w, 0), HWS_OK);
    turn_until(w, &probes[0].n_done, 1, 0);
    assert_code(probes[0].call.err.code, HWS_E_DEVICE);
    assert_int_equal(probes[0].call.err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(probes[0].call.err.exec_status, 3);
    assert_int_equal(probes[0].call.err.syndrome, 0xdeadbeef);
    finish(w);
}

static void answer_shorter_than_a_header_is_not_believed(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        OPEN_OK, INFO_OK, {RPC, .produced = 8}, CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    assert_code(submit(w, 0), HWS_OK);
    turn_until(w, &probes[0].n_done, 1, 0);
    assert_code(probes[0].call.err.code, HWS_E_PROTO);
    assert_int_equal(probes[0].call.err.stage, HWS_STAGE_UNKNOWN);
    finish(w);
}

static void each_errno_has_its_code_and_stage(void **state)
{
    static const struct {
        int value;
        enum hws_code code;
        enum hws_stage stage;
    } rows[] = {
        {ENOTTY, HWS_E_UNSUPPORTED, HWS_STAGE_NOT_SENT},
        {EOPNOTSUPP, HWS_E_UNSUPPORTED, HWS_STAGE_NOT_SENT},
        {EMSGSIZE, HWS_E_INVALID, HWS_STAGE_NOT_SENT},
        {EBADMSG, HWS_E_DENIED, HWS_STAGE_NOT_SENT},
        {EPERM, HWS_E_DENIED, HWS_STAGE_NOT_SENT},
        {ENODEV, HWS_E_GONE, HWS_STAGE_NOT_SENT},
        {ENXIO, HWS_E_GONE, HWS_STAGE_UNKNOWN},
        {ETIMEDOUT, HWS_E_TIMEOUT, HWS_STAGE_UNKNOWN},
        {EBUSY, HWS_E_BUSY, HWS_STAGE_NOT_SENT},
        {EAGAIN, HWS_E_BUSY, HWS_STAGE_NOT_SENT},
        {ECANCELED, HWS_E_CANCELED, HWS_STAGE_NOT_SENT},
        {EBADR, HWS_E_DEVICE, HWS_STAGE_REJECTED},
        {EFAULT, HWS_E_DEVICE, HWS_STAGE_REJECTED},
        {ENOMSG, HWS_E_DEVICE, HWS_STAGE_REJECTED},
        {EIO, HWS_E_DEVICE, HWS_STAGE_REJECTED},
        {EINVAL, HWS_E_DEVICE, HWS_STAGE_REJECTED},
        {EXDEV, HWS_E_IO, HWS_STAGE_UNKNOWN}, /* one that nobody documents */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hws_err err;

        hws_ctl_fwctl_errno(rows[i].value, &err);
        assert_code(err.code, rows[i].code);
        assert_int_equal(err.stage, rows[i].stage);
    }
}

static void enodev_ends_the_channel_for_good(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        OPEN_OK, INFO_OK, {RPC, .result = -ENODEV}, CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    assert_code(submit(w, 0), HWS_OK);
    turn_until(w, &probes[0].n_done, 1, 0);
    assert_code(probes[0].call.err.code, HWS_E_GONE);
    assert_int_equal(w->c.state, HWS_CTL_FWCTL_GONE);
    assert_int_equal(w->n_states, 2);
    assert_code(submit(w, 1), HWS_E_GONE);
    finish(w);
}

static void stuck_ioctl_is_a_stalled_slot(void **state)
{
    static const uint8_t late[MGIR_IN] = {[20] = 0x77};
    static const uint8_t reply[MGIR_IN] = {[20] = 0x11};
    static const struct hws_fake_sys_row rows[] = {
        OPEN_OK,
        INFO_OK,
        {RPC, .block = true, .bytes = late, .n_bytes = sizeof late},
        {RPC, .bytes = reply, .n_bytes = sizeof reply},
        CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    assert_code(submit(w, 0), HWS_OK);
    wait_blocked(w, 1);
    assert_int_equal(w->c.ctl.ops->turn(&w->c.ctl, 999), 1000);
    assert_int_equal(probes[0].n_done, 0);
    (void)w->c.ctl.ops->turn(&w->c.ctl, 1000);
    assert_int_equal(probes[0].n_done, 1);
    assert_code(probes[0].call.err.code, HWS_E_TIMEOUT);
    assert_int_equal(probes[0].call.err.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(stalled(w, 1000), 1);
    assert_code(submit(w, 1), HWS_OK); /* others go on */
    turn_until(w, &probes[1].n_done, 1, 0);
    assert_int_equal(probes[1].out[20], 0x11);
    hws_fake_sys_open_gate(&w->fake);
    finish(w);
    assert_int_equal(probes[0].n_done, 1);
    assert_int_equal(probes[0].out[20], 0); /* the late answer went nowhere */
}

static void depth_counts_stalled_slots(void **state)
{
    static const struct hws_fake_sys_row rows[] = {OPEN_OK,
                                                   INFO_OK,
                                                   {RPC, .block = true},
                                                   {RPC, .block = true},
                                                   {RPC, .block = true},
                                                   {RPC, .block = true},
                                                   CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    for (unsigned i = 0; i < HWS_CTL_FWCTL_DEPTH; i++) {
        assert_code(submit(w, i), HWS_OK);
    }
    assert_code(submit(w, HWS_CTL_FWCTL_DEPTH), HWS_E_BUSY);
    wait_blocked(w, HWS_CTL_FWCTL_DEPTH);
    (void)w->c.ctl.ops->turn(&w->c.ctl, 1000);
    assert_int_equal(stalled(w, 1000), HWS_CTL_FWCTL_DEPTH);
    assert_code(submit(w, HWS_CTL_FWCTL_DEPTH), HWS_E_BUSY);
    hws_fake_sys_open_gate(&w->fake);
    finish(w);
}

static void cancel_of_a_running_call_is_unknown(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        OPEN_OK, INFO_OK, {RPC, .block = true}, CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    assert_code(submit(w, 0), HWS_OK);
    wait_blocked(w, 1);
    w->c.ctl.ops->cancel(&w->c.ctl, &probes[0].call);
    assert_int_equal(probes[0].n_done, 0);
    (void)w->c.ctl.ops->turn(&w->c.ctl, 0);
    assert_int_equal(probes[0].n_done, 1);
    assert_code(probes[0].call.err.code, HWS_E_CANCELED);
    assert_int_equal(probes[0].call.err.stage, HWS_STAGE_UNKNOWN);
    hws_fake_sys_open_gate(&w->fake);
    finish(w);
}

static void close_waits_for_the_stuck_ioctl(void **state)
{
    static const struct hws_fake_sys_row rows[] = {
        OPEN_OK, INFO_OK, {RPC, .block = true}, CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);

    (void)state;
    assert_code(submit(w, 0), HWS_OK);
    wait_blocked(w, 1);
    w->c.ctl.ops->close(&w->c.ctl, on_closed);
    (void)w->c.ctl.ops->turn(&w->c.ctl, 0);
    assert_int_equal(probes[0].n_done, 1); /* the call ends at once */
    assert_code(probes[0].call.err.code, HWS_E_CANCELED);
    assert_int_equal(w->n_closed, 0);
    assert_code(submit(w, 1), HWS_E_GONE);
    hws_fake_sys_open_gate(&w->fake);
    turn_until(w, &w->n_closed, 1, 0);
    hws_ctl_fwctl_deinit(&w->c);
    hws_fake_sys_check(&w->fake);
}

static void node_that_does_not_open_is_failed_with_the_reason(void **state)
{
    static const struct hws_fake_sys_row no_open[] = {
        {.call = HWS_FAKE_SYS_OPEN, .path = NODE, .result = -EACCES}};
    static const struct hws_fake_sys_row no_info[] = {
        OPEN_OK, {.call = HWS_FAKE_SYS_INFO, .fd = FD, .result = -ENODEV}, CLOSE_OK};
    struct world *w = begin(no_open, 1);

    (void)state;
    assert_int_equal(w->c.state, HWS_CTL_FWCTL_FAILED);
    assert_non_null(strstr(w->c.why.msg, NODE));
    assert_code(submit(w, 0), HWS_E_GONE);
    finish(w);
    w = begin(no_info, 3);
    assert_int_equal(w->c.state, HWS_CTL_FWCTL_FAILED);
    finish(w);
}

static void bad_lengths_are_refused(void **state)
{
    static const struct hws_fake_sys_row rows[] = {OPEN_OK, INFO_OK, CLOSE_OK};
    struct world *w = begin(rows, sizeof rows / sizeof rows[0]);
    struct hws_ctl_call *call = &probes[0].call;

    (void)state;
    *call = (struct hws_ctl_call){.in = probes[0].in, .out = probes[0].out};
    call->in_bytes = 15;
    call->out_cap_bytes = 16;
    assert_code(w->c.ctl.ops->submit(&w->c.ctl, call, NULL), HWS_E_INVALID);
    call->in_bytes = HWS_CALL_MAX_BYTES + 1;
    assert_code(w->c.ctl.ops->submit(&w->c.ctl, call, NULL), HWS_E_INVALID);
    call->in_bytes = 16;
    call->out_cap_bytes = 15;
    assert_code(w->c.ctl.ops->submit(&w->c.ctl, call, NULL), HWS_E_INVALID);
    finish(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_follows_the_kernels_interface),
        cmocka_unit_test(firmware_refusal_is_no_errno),
        cmocka_unit_test(answer_shorter_than_a_header_is_not_believed),
        cmocka_unit_test(each_errno_has_its_code_and_stage),
        cmocka_unit_test(enodev_ends_the_channel_for_good),
        cmocka_unit_test(stuck_ioctl_is_a_stalled_slot),
        cmocka_unit_test(depth_counts_stalled_slots),
        cmocka_unit_test(cancel_of_a_running_call_is_unknown),
        cmocka_unit_test(close_waits_for_the_stuck_ioctl),
        cmocka_unit_test(node_that_does_not_open_is_failed_with_the_reason),
        cmocka_unit_test(bad_lengths_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
