/* One call to its end on the caller's thread. */
#include <string.h>
#include <unistd.h>

#include "ctl/run.h"
#include "held_ctl.h"
#include "test.h"

/* A channel that ends each call in the third turn after its submit. */
struct slow {
    struct hws_held_ctl held;
    unsigned wait;
    uint64_t (*plain_turn)(struct hws_ctl *ctl, uint64_t now_ms);
    struct hws_ctl_ops ops;
};

static struct slow slow;

static uint64_t slow_turn(struct hws_ctl *ctl, uint64_t now_ms)
{
    if (slow.wait == 0) {
        hws_held_ok(&slow.held, 0, 7, 16);
    }
    slow.wait--;
    (void)slow.plain_turn(ctl, now_ms);
    return now_ms + 1;
}

static void call_runs_to_its_end(void **state)
{
    uint8_t in[16] = {0};
    uint8_t out[16] = {0};
    struct hws_ctl_call call = {.in = in, .in_bytes = 16, .out = out, .out_cap_bytes = 16};
    struct hws_err err;

    (void)state;
    hws_held_init(&slow.held);
    slow.ops = *slow.held.ctl.ops;
    slow.plain_turn = slow.ops.turn;
    slow.ops.turn = slow_turn;
    slow.held.ctl.ops = &slow.ops;
    slow.wait = 2;
    assert_ok(hws_ctl_run(&slow.held.ctl, &call, 1000, &err), &err);
    assert_int_equal(out[15], 7);
    assert_int_equal(slow.held.n_turns, 3);
}

static void refused_call_returns_at_once(void **state)
{
    uint8_t in[16] = {0};
    uint8_t out[16];
    struct hws_ctl_call call = {.in = in, .in_bytes = 16, .out = out, .out_cap_bytes = 16};
    struct hws_held_ctl held;
    struct hws_err err;

    (void)state;
    hws_held_init(&held);
    held.refuse = HWS_E_BUSY;
    assert_code(hws_ctl_run(&held.ctl, &call, 1000, &err), HWS_E_BUSY);
    assert_int_equal(err.stage, HWS_STAGE_NOT_SENT);
    assert_int_equal(held.n_turns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_runs_to_its_end),
        cmocka_unit_test(refused_call_returns_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
