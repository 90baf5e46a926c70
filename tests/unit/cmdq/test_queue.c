/* The command queue against a card played by hand. */
#include <string.h>

#include "cmdq/queue.h"
#include "fake_bar.h"
#include "ifc/box.h"
#include "ifc/init_seg.h"
#include "ifc/names.h"
#include "ifc/sig.h"
#include "test.h"

struct req {
    struct hws_ctl_call call;
    uint8_t in[1024];
    uint8_t out[1024];
    unsigned n_cb;
    struct hws_cmdq *resubmit; /* the callback submits the same call again */
};

static struct fake_bar fake;
static struct hws_cmdq q;
static struct req reqs[40];
static unsigned n_closed;

static void on_done(struct hws_ctl_call *call)
{
    struct req *r = call->data;

    r->n_cb++;
    if (r->resubmit != NULL) {
        struct hws_cmdq *again = r->resubmit;
        r->resubmit = NULL;
        assert_code(hws_cmdq_submit(again, call, NULL), HWS_OK);
    }
}

static void on_closed(struct hws_cmdq *which)
{
    assert_ptr_equal(which, &q);
    n_closed++;
}

static void open_queue(unsigned log_size, uint32_t n_blocks)
{
    struct hws_cmdq_config config = {.n_blocks = n_blocks};
    struct hws_err err = {0};

    n_closed = 0;
    fake_bar_init(&fake, log_size, 6);
    assert_ok(hws_cmdq_open(&q, &fake.bar, &config, 0, &err), &err);
}

static int setup(void **state)
{
    (void)state;
    open_queue(5, 64);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_cmdq_close(&q, NULL);
    (void)hws_cmdq_turn(&q, 1000000);
    (void)hws_cmdq_turn(&q, 2000000);
    assert_int_equal(q.state, HWS_CMDQ_CLOSED);
    assert_int_equal(fake.n_live, 0);
    return 0;
}

static enum hws_code submit(unsigned i, uint16_t op, size_t in_bytes, size_t out_bytes,
                            uint64_t deadline_ms, struct hws_err *err)
{
    struct req *r = &reqs[i];

    memset(r, 0, sizeof(*r));
    hws_box_begin(r->in, op, 0);
    r->call = (struct hws_ctl_call){.in = r->in,
                                    .in_bytes = in_bytes,
                                    .out = r->out,
                                    .out_cap_bytes = out_bytes,
                                    .deadline_ms = deadline_ms,
                                    .cb = on_done,
                                    .data = r};
    return hws_cmdq_submit(&q, &r->call, err);
}

static void open_reads_sizes_and_hands_over_the_address(void **state)
{
    (void)state;
    assert_int_equal(hws_cmdq_depth(&q), 31);
    assert_non_null(fake_bar_entry(&fake, 0));
    assert_true(q.page.dev_addr % 4096 == 0);
}

static void open_refuses_what_it_cannot_drive(void **state)
{
    static const struct {
        uint32_t offset;
        uint32_t value;
        enum hws_code code;
    } rows[] = {
        {HWS_ISEG_CMDIF_REV, 4u << 16, HWS_E_UNSUPPORTED},
        {HWS_ISEG_CMDIF_REV, 0xffffffff, HWS_E_GONE},
        {HWS_ISEG_INITIALIZING, 0x80000000, HWS_E_STATE},
        {HWS_ISEG_INITIALIZING, 0xffffffff, HWS_E_GONE},
        {HWS_ISEG_CMDQ_ADDR_L, 0x06, HWS_E_PROTO},
        {HWS_ISEG_CMDQ_ADDR_L, 0x66, HWS_E_PROTO},
        {HWS_ISEG_CMDQ_ADDR_L, 0x58, HWS_E_PROTO},
        {HWS_ISEG_CMDQ_ADDR_L, 0x55, HWS_E_PROTO},
    };
    struct hws_cmdq other = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_bar_init(&fake, 5, 6);
        fake.regs[rows[i].offset / 4] = rows[i].value;
        assert_code(hws_cmdq_open(&other, &fake.bar, NULL, 0, NULL), rows[i].code);
        assert_int_equal(fake.n_live, 0);
        hws_cmdq_deinit(&other);
    }
}

static void a_reply_reaches_the_caller(void **state)
{
    uint64_t r = hws_test_seed();
    uint8_t out[700] = {0};

    (void)state;
    for (size_t i = 8; i < sizeof(out); i++) {
        out[i] = (uint8_t)hws_test_rand(&r);
    }
    assert_code(submit(0, HWS_OP_QUERY_ADAPTER, 16, sizeof(out), 100, NULL), HWS_OK);
    assert_int_equal(fake.doorbells, 1);
    fake_bar_fill(&fake, 0, out, sizeof(out));
    assert_true(hws_cmdq_turn(&q, 1) < 100);
    assert_int_equal(reqs[0].n_cb, 0);
    fake_bar_complete(&fake, 0, 0);
    (void)hws_cmdq_turn(&q, 2);

    assert_int_equal(reqs[0].n_cb, 1);
    assert_code(reqs[0].call.err.code, HWS_OK);
    assert_int_equal(reqs[0].call.out_bytes, sizeof(out));
    assert_memory_equal(reqs[0].out, out, sizeof(out));
    assert_int_equal(q.pool.n_free, q.pool.n_blocks);
}

static void a_refused_command_keeps_its_output(void **state)
{
    const uint8_t out[16] = {0x05, 0, 0, 0, 1, 2, 3, 4, 9, 9};

    (void)state;
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
    fake_bar_fill(&fake, 0, out, sizeof(out));
    fake_bar_complete(&fake, 0, 0);
    (void)hws_cmdq_turn(&q, 1);

    assert_code(reqs[0].call.err.code, HWS_E_DEVICE);
    assert_int_equal(reqs[0].call.err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(reqs[0].call.err.syndrome, 0x01020304);
    assert_int_equal(reqs[0].call.out_bytes, 16);
    assert_memory_equal(reqs[0].out, out, 16);
}

static void lengths_out_of_range_are_refused(void **state)
{
    static const size_t rows[][2] = {{15, 16}, {16, 15}, {2097153, 16}, {16, 2097153}, {0, 0}};
    struct hws_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_code(submit(0, HWS_OP_NOP, rows[i][0], rows[i][1], 1, &err), HWS_E_INVALID);
        assert_int_equal(err.stage, HWS_STAGE_NOT_SENT);
    }
    assert_int_equal(fake.n_rings, 0);
}

static void depth_is_all_slots_but_the_reserved_one(void **state)
{
    struct hws_err err = {0};

    (void)state;
    for (unsigned i = 0; i < 31; i++) {
        assert_code(submit(i, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
    }
    assert_code(submit(31, HWS_OP_NOP, 16, 16, 100, &err), HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "31 commands in flight"));
    assert_code(submit(32, HWS_OP_MANAGE_PAGES, 16, 16, 100, NULL), HWS_OK);
    assert_code(submit(33, HWS_OP_MANAGE_PAGES, 16, 16, 100, NULL), HWS_E_BUSY);
    assert_int_equal(fake.doorbells, 0xffffffff);
}

static void a_dry_pool_is_busy_and_takes_nothing(void **state)
{
    struct hws_err err = {0};

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        assert_code(submit(i, HWS_OP_NOP, 1024, 1024, 100, NULL), HWS_OK);
    }
    assert_code(submit(16, HWS_OP_NOP, 17, 16, 100, &err), HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "mailbox pool"));
    assert_code(submit(16, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
}

static void stalled_command_is_waited_for_a_minute_and_its_slot_stays_taken(void **state)
{
    uint64_t since_ms = 7;
    (void)state;

    assert_int_equal(hws_cmdq_waited_for(&q, &since_ms), 0);
    assert_int_equal(since_ms, 7);
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
    assert_code(submit(1, HWS_OP_NOP, 16, 16, 300, NULL), HWS_OK);
    (void)hws_cmdq_turn(&q, 100);
    (void)hws_cmdq_turn(&q, 300);
    assert_int_equal(hws_cmdq_waited_for(&q, &since_ms), 2);
    assert_int_equal(since_ms, 100);
    (void)hws_cmdq_turn(&q, 100 + HWS_CMDQ_GIVE_UP_MS);
    assert_int_equal(hws_cmdq_waited_for(&q, &since_ms), 1);
    assert_int_equal(since_ms, 300);
    (void)hws_cmdq_turn(&q, 300 + HWS_CMDQ_GIVE_UP_MS);
    assert_int_equal(hws_cmdq_waited_for(&q, &since_ms), 0);
    assert_int_equal(hws_cmdq_n_stalled(&q), 2);
}

static void timed_out_slot_is_not_reused(void **state)
{
    (void)state;
    assert_code(submit(0, HWS_OP_NOP, 1024, 1024, 100, NULL), HWS_OK);
    (void)hws_cmdq_turn(&q, 99);
    assert_int_equal(reqs[0].n_cb, 0);
    (void)hws_cmdq_turn(&q, 100);
    assert_code(reqs[0].call.err.code, HWS_E_TIMEOUT);
    assert_int_equal(reqs[0].call.err.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(hws_cmdq_n_stalled(&q), 1);
    assert_int_equal(q.pool.n_free, q.pool.n_blocks - 4);

    assert_code(submit(1, HWS_OP_NOP, 16, 16, 200, NULL), HWS_OK);
    assert_true(reqs[1].call.id == 1);

    /* The late completion frees slot and mailboxes and calls nobody. */
    fake_bar_complete(&fake, 0, 0);
    (void)hws_cmdq_turn(&q, 101);
    assert_int_equal(reqs[0].n_cb, 1);
    assert_int_equal(hws_cmdq_n_stalled(&q), 0);
    assert_int_equal(q.pool.n_free, q.pool.n_blocks);
    assert_code(submit(2, HWS_OP_NOP, 16, 16, 200, NULL), HWS_OK);
    assert_true(reqs[2].call.id == 0);
}

static void all_slots_stalled_is_said(void **state)
{
    struct hws_err err = {0};

    (void)state;
    for (unsigned i = 0; i < 31; i++) {
        assert_code(submit(i, HWS_OP_NOP, 16, 16, 10, NULL), HWS_OK);
    }
    (void)hws_cmdq_turn(&q, 10);
    assert_code(submit(31, HWS_OP_NOP, 16, 16, 20, &err), HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "all stalled"));
    fake_bar_complete(&fake, 17, 0);
    (void)hws_cmdq_turn(&q, 11);
    assert_code(submit(31, HWS_OP_NOP, 16, 16, 20, NULL), HWS_OK);
    assert_true(reqs[31].call.id == 17);
}

static void tokens_are_never_zero_and_differ_in_a_row(void **state)
{
    uint8_t last = 0;

    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        assert_code(submit(0, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
        uint8_t token = fake_bar_entry(&fake, 0)->token;
        assert_int_not_equal(token, 0);
        assert_int_not_equal(token, last);
        last = token;
        fake_bar_complete(&fake, 0, 0);
        (void)hws_cmdq_turn(&q, 1);
    }
}

static void a_lying_reply_is_unknown_and_frees_the_slot(void **state)
{
    (void)state;
    assert_code(submit(0, HWS_OP_NOP, 16, 1024, 100, NULL), HWS_OK);
    fake_bar_complete(&fake, 0, 0);
    fake_bar_entry(&fake, 0)->out_inline[9] ^= 4;
    (void)hws_cmdq_turn(&q, 1);
    assert_code(reqs[0].call.err.code, HWS_E_PROTO);
    assert_int_equal(reqs[0].call.err.stage, HWS_STAGE_UNKNOWN);
    assert_int_equal(reqs[0].call.out_bytes, 0);
    assert_int_equal(hws_cmdq_n_stalled(&q), 0);
    assert_int_equal(q.pool.n_free, q.pool.n_blocks);
}

static void cancel_ends_in_the_next_turn_and_stalls(void **state)
{
    (void)state;
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
    hws_cmdq_cancel(&q, &reqs[0].call);
    assert_int_equal(reqs[0].n_cb, 0);
    (void)hws_cmdq_turn(&q, 1);
    assert_int_equal(reqs[0].n_cb, 1);
    assert_code(reqs[0].call.err.code, HWS_E_CANCELED);
    assert_int_equal(hws_cmdq_n_stalled(&q), 1);
    hws_cmdq_cancel(&q, &reqs[0].call);
    (void)hws_cmdq_turn(&q, 2);
    assert_int_equal(reqs[0].n_cb, 1);
}

static void callbacks_may_submit_again(void **state)
{
    (void)state;
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
    reqs[0].resubmit = &q;
    fake_bar_complete(&fake, 0, 0);
    (void)hws_cmdq_turn(&q, 1);
    assert_int_equal(reqs[0].n_cb, 1);
    assert_int_equal(fake.n_rings, 2);
    fake_bar_complete(&fake, 0, 0);
    (void)hws_cmdq_turn(&q, 2);
    assert_int_equal(reqs[0].n_cb, 2);
}

static void a_card_that_goes_away_ends_everything(void **state)
{
    struct hws_err err = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_code(submit(i, HWS_OP_NOP, 16, 16, 100000, NULL), HWS_OK);
    }
    fake.regs[HWS_ISEG_INITIALIZING / 4] = 0xffffffff;
    (void)hws_cmdq_turn(&q, HWS_CMDQ_CHECK_MS);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(reqs[i].n_cb, 1);
        assert_code(reqs[i].call.err.code, HWS_E_GONE);
        assert_int_equal(reqs[i].call.err.stage, HWS_STAGE_UNKNOWN);
    }
    assert_code(submit(3, HWS_OP_NOP, 16, 16, 100, &err), HWS_E_GONE);
    assert_int_equal(err.stage, HWS_STAGE_NOT_SENT);
    hws_cmdq_close(&q, on_closed);
    (void)hws_cmdq_turn(&q, HWS_CMDQ_CHECK_MS + 1);
    assert_int_equal(n_closed, 1);
}

static void an_idle_queue_notices_a_reset_at_submit(void **state)
{
    (void)state;
    fake.regs[HWS_ISEG_CMDQ_ADDR_H / 4] = 0;
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 100, NULL), HWS_E_GONE);
}

static void close_ends_everything_exactly_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        assert_code(submit(i, HWS_OP_NOP, 16, 16, 100000, NULL), HWS_OK);
    }
    hws_cmdq_close(&q, on_closed);
    hws_cmdq_close(&q, on_closed);
    assert_code(submit(5, HWS_OP_NOP, 16, 16, 100, NULL), HWS_E_STATE);
    (void)hws_cmdq_turn(&q, 1);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(reqs[i].n_cb, 1);
        assert_code(reqs[i].call.err.code, HWS_E_CANCELED);
        fake_bar_complete(&fake, i, 0);
    }
    assert_int_equal(n_closed, 0);
    assert_true(hws_cmdq_turn(&q, 2) == UINT64_MAX);
    assert_int_equal(n_closed, 1);
    (void)hws_cmdq_turn(&q, 3);
    hws_cmdq_close(&q, on_closed);
    (void)hws_cmdq_turn(&q, 4);
    assert_int_equal(n_closed, 1);
    assert_int_equal(fake.n_live, 0);
}

static void close_waits_only_so_long_for_stalled_slots(void **state)
{
    (void)state;
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 10, NULL), HWS_OK);
    (void)hws_cmdq_turn(&q, 10);
    hws_cmdq_close(&q, on_closed);
    (void)hws_cmdq_turn(&q, 1000);
    (void)hws_cmdq_turn(&q, 1999);
    assert_int_equal(n_closed, 0);
    (void)hws_cmdq_turn(&q, 2000);
    assert_int_equal(n_closed, 1);
    assert_int_equal(fake.regs[HWS_ISEG_CMDQ_ADDR_L / 4] >> 8 & 7, HWS_ISEG_NIC_DISABLED);
}

static void the_next_deadline_is_the_nearest(void **state)
{
    (void)state;
    assert_true(hws_cmdq_turn(&q, 5) == UINT64_MAX);
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 1000, NULL), HWS_OK);
    /* A card that acts by itself is polled. */
    assert_true(hws_cmdq_turn(&q, 5) == 5 + HWS_CMDQ_POLL_MS);
}

static void the_user_id_replaces_the_callers(void **state)
{
    (void)state;
    hws_cmdq_set_uid(&q, 0x1234);
    assert_code(submit(0, HWS_OP_NOP, 16, 16, 100, NULL), HWS_OK);
    assert_int_equal(fake_bar_entry(&fake, 0)->in_inline[2], 0x12);
    assert_int_equal(fake_bar_entry(&fake, 0)->in_inline[3], 0x34);
}

static enum hws_code open_once(void *arg)
{
    struct hws_cmdq_config config = {.n_blocks = 4};
    struct hws_cmdq other = {0};

    (void)arg;
    fake_bar_init(&fake, 5, 6);
    enum hws_code rc = hws_cmdq_open(&other, &fake.bar, &config, 0, NULL);
    hws_cmdq_deinit(&other);
    assert_int_equal(fake.n_live, 0);
    return rc;
}

static void running_out_of_memory_at_open_leaks_nothing(void **state)
{
    (void)state;
    assert_int_equal(hws_test_oom_sweep(open_once, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_reads_sizes_and_hands_over_the_address, setup,
                                        teardown),
        cmocka_unit_test(open_refuses_what_it_cannot_drive),
        cmocka_unit_test_setup_teardown(a_reply_reaches_the_caller, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_command_keeps_its_output, setup, teardown),
        cmocka_unit_test_setup_teardown(lengths_out_of_range_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_all_slots_but_the_reserved_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dry_pool_is_busy_and_takes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            stalled_command_is_waited_for_a_minute_and_its_slot_stays_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(timed_out_slot_is_not_reused, setup, teardown),
        cmocka_unit_test_setup_teardown(all_slots_stalled_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_are_never_zero_and_differ_in_a_row, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lying_reply_is_unknown_and_frees_the_slot, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(cancel_ends_in_the_next_turn_and_stalls, setup, teardown),
        cmocka_unit_test_setup_teardown(callbacks_may_submit_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_card_that_goes_away_ends_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_queue_notices_a_reset_at_submit, setup, teardown),
        cmocka_unit_test_setup_teardown(close_ends_everything_exactly_once, setup, teardown),
        cmocka_unit_test_setup_teardown(close_waits_only_so_long_for_stalled_slots, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_next_deadline_is_the_nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(the_user_id_replaces_the_callers, setup, teardown),
        cmocka_unit_test(running_out_of_memory_at_open_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
