/* The queue channel on an emulated card, in virtual time: bring-up, calls, reset, failure, close.
 */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "drv/ctl_queue.h"
#include "emu/port.h"
#include "test.h"

#define PROFILE HWS_TESTS_DIR "/../agent/emu/profiles/connectx7.yaml"

struct world {
    struct hws_emu_profile profile;
    struct hws_emu_port port;
    struct hws_ctl_queue c;
    uint64_t now_ms;
    unsigned n_up;
    unsigned n_down;
    unsigned n_closed;
};

struct probe {
    struct hws_ctl_call call;
    uint8_t in[64];
    uint8_t out[64];
    unsigned n_done;
};

static struct world world;
static struct probe probe;

static void on_state(struct hws_ctl_queue *c)
{
    struct world *w = c->ctl.data;

    w->n_up += hws_ctl_queue_is_up(c) ? 1u : 0u;
    w->n_down += hws_ctl_queue_is_up(c) ? 0u : 1u;
}

static void on_closed(struct hws_ctl *ctl)
{
    ((struct world *)ctl->data)->n_closed++;
}

static void on_done(struct hws_ctl_call *call)
{
    ((struct probe *)call->data)->n_done++;
}

/* Lets virtual time pass, turn by turn. */
static void pass(struct world *w, uint64_t ms)
{
    uint64_t end_ms = w->now_ms + ms;

    for (unsigned i = 0; i < 100000; i++) {
        uint64_t next_ms = w->c.ctl.ops->turn(&w->c.ctl, w->now_ms);

        if (next_ms > end_ms) {
            w->now_ms = end_ms;
            return;
        }
        w->now_ms = next_ms > w->now_ms ? next_ms : w->now_ms;
    }
    fail_msg("turn never rests");
}

static void prepare(uint16_t opcode, size_t in_bytes, size_t out_bytes, uint64_t deadline_ms)
{
    memset(&probe, 0, sizeof probe);
    hws_store_be16(probe.in, opcode);
    probe.call = (struct hws_ctl_call){.in = probe.in,
                                       .in_bytes = in_bytes,
                                       .out = probe.out,
                                       .out_cap_bytes = out_bytes,
                                       .scope = 1,
                                       .deadline_ms = deadline_ms,
                                       .cb = on_done,
                                       .data = &probe};
}

/* Submits at now_ms: the card learns the time in turn only. */
static enum hws_code submit(struct world *w)
{
    (void)w->c.ctl.ops->turn(&w->c.ctl, w->now_ms);
    return w->c.ctl.ops->submit(&w->c.ctl, &probe.call, NULL);
}

static void read_profile(struct world *w)
{
    static char text[65536];
    FILE *f = fopen(PROFILE, "r");
    struct hws_err err;
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, sizeof text, f);
    assert_int_equal(fclose(f), 0);
    assert_ok(hws_emu_profile_parse(text, n, &w->profile, &err), &err);
}

static int setup(void **state)
{
    memset(&world, 0, sizeof world);
    read_profile(&world);
    *state = &world;
    return 0;
}

/* Powers the card on and waits for nothing. */
static void power_on(struct world *w)
{
    struct hws_err err;

    assert_ok(hws_emu_port_init(&w->port, &w->profile, NULL, NULL, 0, 0, &err), &err);
    hws_ctl_queue_init(&w->c, &w->port.bar, NULL, on_state, w);
}

static int teardown(void **state)
{
    struct world *w = *state;

    w->c.ctl.ops->close(&w->c.ctl, on_closed);
    pass(w, 20000);
    assert_int_equal(w->n_closed, 1);
    hws_ctl_queue_deinit(&w->c);
    hws_emu_port_deinit(&w->port);
    hws_emu_profile_deinit(&w->profile);
    return 0;
}

static void card_is_brought_up_when_it_is_ready(void **state)
{
    struct world *w = *state;

    w->profile.boot_ms = 100;
    power_on(w);
    prepare(0x80d, 16, 16, 1000);
    pass(w, 99);
    assert_int_equal(w->n_up, 0);
    assert_code(submit(w), HWS_E_GONE);
    pass(w, 10);
    assert_int_equal(w->n_up, 1);
    assert_int_equal(w->n_down, 0);
    assert_true(hws_ctl_queue_is_up(&w->c));
    assert_code(submit(w), HWS_OK);
    pass(w, 1);
    assert_int_equal(probe.n_done, 1);
    assert_code(probe.call.err.code, HWS_OK);
    assert_int_equal(w->c.ctl.ops->fd(&w->c.ctl), -1);
}

static void deadline_is_unknown(void **state)
{
    struct world *w = *state;

    w->profile.latency_ms = 50;
    power_on(w);
    pass(w, 3000);
    prepare(0x80d, 16, 16, w->now_ms + 10);
    assert_code(submit(w), HWS_OK);
    pass(w, 11);
    assert_int_equal(probe.n_done, 1);
    assert_code(probe.call.err.code, HWS_E_TIMEOUT);
    assert_int_equal(probe.call.err.stage, HWS_STAGE_UNKNOWN);
}

static void cancelled_call_is_unknown(void **state)
{
    struct world *w = *state;

    w->profile.latency_ms = 50;
    power_on(w);
    pass(w, 3000);
    prepare(0x80d, 16, 16, w->now_ms + 1000);
    assert_code(submit(w), HWS_OK);
    w->c.ctl.ops->cancel(&w->c.ctl, &probe.call);
    assert_int_equal(probe.n_done, 0);
    pass(w, 1);
    assert_code(probe.call.err.code, HWS_E_CANCELED);
    assert_int_equal(probe.call.err.stage, HWS_STAGE_UNKNOWN);
}

static void card_comes_back_after_a_reset(void **state)
{
    struct world *w = *state;

    w->profile.boot_ms = 200;
    w->profile.latency_ms = 20;
    power_on(w);
    pass(w, 3000);
    assert_int_equal(w->n_up, 1);
    prepare(0x80d, 16, 16, w->now_ms + 5000);
    assert_code(submit(w), HWS_OK);
    hws_emu_power_cycle(&w->port.emu, w->now_ms);
    pass(w, 150);
    assert_int_equal(probe.n_done, 1);
    assert_code(probe.call.err.code, HWS_E_GONE);
    assert_int_equal(probe.call.err.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(w->n_down, 1);
    pass(w, 5000);
    assert_int_equal(w->n_up, 2);
    prepare(0x80d, 16, 16, w->now_ms + 1000);
    assert_code(submit(w), HWS_OK);
    pass(w, 100);
    assert_code(probe.call.err.code, HWS_OK);
}

static void failed_bring_up_is_told_once_and_tried_again(void **state)
{
    struct world *w = *state;

    w->profile.n_faults = 1;
    w->profile.faults[0] = (struct hws_emu_fault){.op = 0x102,
                                                  .any_reg = true, /* INIT_HCA */
                                                  .countdown = 1,
                                                  .repeat = 2,
                                                  .percent = 100,
                                                  .action = HWS_EMU_FAULT_STATUS,
                                                  .status = 1};
    power_on(w);
    pass(w, 500);
    assert_int_equal(w->n_up, 0);
    assert_int_equal(w->n_down, 1);
    assert_non_null(strstr(w->c.why.msg, "INIT_HCA"));
    pass(w, 1000);
    assert_int_equal(w->n_down, 1);
    pass(w, 2000);
    assert_int_equal(w->n_up, 1);
}

static void a_fatal_error_is_said_and_the_card_reset_and_brought_up_again(void **state)
{
    static const struct hws_cmdq_config config = {.events = true};
    struct world *w = *state;
    struct hws_err err;

    assert_ok(hws_emu_port_init(&w->port, &w->profile, NULL, NULL, 0, 0, &err), &err);
    hws_ctl_queue_init(&w->c, &w->port.bar, &config, on_state, w);
    pass(w, 5000);
    assert_int_equal(w->n_up, 1);
    assert_true(w->c.q.events.on);
    prepare(0x80d, 16, 16, w->now_ms + 60000);
    hws_emu_health_raise(&w->port.emu, 1, true);
    assert_code(submit(w), HWS_E_GONE);
    assert_int_equal(probe.n_done, 0);
    (void)w->c.ctl.ops->turn(&w->c.ctl, w->now_ms);
    assert_int_equal(w->n_down, 1);
    assert_non_null(strstr(w->c.why.msg, "health syndrome 0x1"));
    pass(w, 5000);
    assert_int_equal(w->n_up, 2);
    assert_true(w->c.q.events.on);
    prepare(0x80d, 16, 16, w->now_ms + 1000);
    assert_code(submit(w), HWS_OK);
    pass(w, 100);
    assert_code(probe.call.err.code, HWS_OK);
}

static void close_cancels_and_takes_the_card_down(void **state)
{
    struct world *w = *state;

    w->profile.latency_ms = 20;
    power_on(w);
    pass(w, 3000);
    assert_true(w->port.emu.hca_inited);
    prepare(0x80d, 16, 16, w->now_ms + 5000);
    assert_code(submit(w), HWS_OK);
    w->c.ctl.ops->close(&w->c.ctl, on_closed);
    assert_code(submit(w), HWS_E_GONE);
    pass(w, 3000);
    assert_int_equal(w->n_closed, 1);
    assert_int_equal(probe.n_done, 1);
    assert_code(probe.call.err.code, HWS_E_CANCELED);
    assert_false(w->port.emu.hca_inited);
    assert_false(w->port.emu.hca_enabled);
}

static void close_before_the_card_is_ready(void **state)
{
    struct world *w = *state;

    w->profile.boot_ms = 1000;
    power_on(w);
    pass(w, 10);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(card_is_brought_up_when_it_is_ready),
        WITH_WORLD(deadline_is_unknown),
        WITH_WORLD(cancelled_call_is_unknown),
        WITH_WORLD(card_comes_back_after_a_reset),
        WITH_WORLD(failed_bring_up_is_told_once_and_tried_again),
        WITH_WORLD(a_fatal_error_is_said_and_the_card_reset_and_brought_up_again),
        WITH_WORLD(close_cancels_and_takes_the_card_down),
        WITH_WORLD(close_before_the_card_is_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
