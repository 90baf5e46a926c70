/* The bring-up dialogue: a table of expected commands and the replies a card gives. */
#include <string.h>

#include "cmdq/bringup.h"
#include "fake_bar.h"
#include "ifc/names.h"
#include "test.h"

struct line {
    uint16_t op;
    uint16_t op_mod;
    uint32_t in_bytes;
    uint32_t out_bytes;
    uint32_t at;    /* where the reply has a value */
    uint32_t value; /* 32 bits there */
};

static struct fake_bar fake;
static struct hws_cmdq_bringup b;

static void play(const struct line *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hws_ctl_call call = {0};
        assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_CALL);
        assert_int_equal(hws_box_opcode(call.in), lines[i].op);
        assert_int_equal(hws_box_op_mod(call.in), lines[i].op_mod);
        assert_int_equal(call.in_bytes, lines[i].in_bytes);
        assert_int_equal(call.out_cap_bytes, lines[i].out_bytes);
        assert_true(call.deadline_ms == 50 + 1000);
        memset(call.out, 0, call.out_cap_bytes);
        if (lines[i].at != 0) {
            hws_store_be32(call.out + lines[i].at, lines[i].value);
        }
        hws_cmdq_bringup_feed(&b, &call);
    }
}

static int setup(void **state)
{
    (void)state;
    fake_bar_init(&fake, 5, 6);
    hws_cmdq_bringup_init(&b, &fake.bar, NULL, HWS_UCTX_CAP_TOOLS, 1000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_cmdq_bringup_deinit(&b);
    assert_int_equal(fake.n_live, 0);
    return 0;
}

/* Order and sizes: core/main.c of mlx5_core, Linux 7.2.13. */
static void commands_come_in_the_drivers_order(void **state)
{
    static const struct line up[] = {
        {HWS_OP_ENABLE_HCA, 0, 16, 16, 0, 0},
        {HWS_OP_QUERY_ISSI, 0, 16, 112, 0x6c, 3},
        {HWS_OP_SET_ISSI, 0, 16, 16, 0, 0},
        {HWS_OP_QUERY_PAGES, 1, 16, 16, 0xc, 600},
        {HWS_OP_MANAGE_PAGES, 1, 16 + 8 * 512, 16, 0, 0},
        {HWS_OP_MANAGE_PAGES, 1, 16 + 8 * 88, 16, 0, 0},
        {HWS_OP_QUERY_HCA_CAP, 1, 16, 4112, 0x10 + 0xd4, 5},
        {HWS_OP_SET_HCA_CAP, 0, 4112, 16, 0, 0},
        {HWS_OP_QUERY_PAGES, 2, 16, 16, 0xc, 3},
        {HWS_OP_MANAGE_PAGES, 1, 16 + 8 * 3, 16, 0, 0},
        {HWS_OP_INIT_HCA, 0, 32, 16, 0, 0},
        {HWS_OP_QUERY_ADAPTER, 0, 16, 272, 0x100, 0x4d545f31},
        {HWS_OP_CREATE_UCTX, 0, 64, 16, 0x8, 0x0000002a},
    };
    static const struct line down[] = {
        {HWS_OP_DESTROY_UCTX, 0, 16, 16, 0, 0},     {HWS_OP_TEARDOWN_HCA, 0, 16, 16, 0, 0},
        {HWS_OP_MANAGE_PAGES, 2, 16, 4112, 8, 512}, {HWS_OP_MANAGE_PAGES, 2, 16, 4112, 8, 91},
        {HWS_OP_DISABLE_HCA, 0, 16, 16, 0, 0},
    };
    struct hws_ctl_call call = {0};

    (void)state;
    play(up, sizeof(up) / sizeof(up[0]));
    assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_DONE);
    assert_int_equal(b.card.issi, 1);
    assert_int_equal(b.card.n_pages, 603);
    assert_int_equal(b.card.uid, 0x2a);
    assert_int_equal(b.card.uctx_cap, HWS_UCTX_CAP_TOOLS);
    assert_string_equal(b.card.psid, "MT_1");

    hws_cmdq_bringup_down(&b);
    play(down, sizeof(down) / sizeof(down[0]));
    assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_DONE);
    assert_int_equal(b.card.n_pages, 0);
}

static void a_card_without_steps_pages_and_users_needs_less(void **state)
{
    static const struct line enable[] = {{HWS_OP_ENABLE_HCA, 0, 16, 16, 0, 0}};
    static const struct line rest[] = {
        {HWS_OP_QUERY_PAGES, 1, 16, 16, 0, 0},   {HWS_OP_QUERY_HCA_CAP, 1, 16, 4112, 0, 0},
        {HWS_OP_SET_HCA_CAP, 0, 4112, 16, 0, 0}, {HWS_OP_QUERY_PAGES, 2, 16, 16, 0, 0},
        {HWS_OP_INIT_HCA, 0, 32, 16, 0, 0},      {HWS_OP_QUERY_ADAPTER, 0, 16, 272, 0, 0},
    };
    struct hws_ctl_call call = {0};

    (void)state;
    play(enable, 1);
    assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_CALL);
    hws_err_set(&call.err, HWS_E_DEVICE, "old");
    hws_err_at(&call.err, HWS_STAGE_EXECUTED);
    call.err.exec_status = HWS_FW_BAD_OP;
    hws_cmdq_bringup_feed(&b, &call);
    play(rest, sizeof(rest) / sizeof(rest[0]));
    assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_DONE);
    assert_int_equal(b.card.uid, 0);
}

static void a_refused_step_fails_with_its_error(void **state)
{
    struct hws_ctl_call call = {0};

    (void)state;
    assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_CALL);
    hws_err_set(&call.err, HWS_E_TIMEOUT, "late");
    hws_err_at(&call.err, HWS_STAGE_UNKNOWN);
    hws_cmdq_bringup_feed(&b, &call);
    assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_FAILED);
    assert_code(b.err.code, HWS_E_TIMEOUT);
    assert_string_equal(b.err.msg, "bring-up: late");
}

static void a_card_that_wants_too_many_pages_is_refused(void **state)
{
    static const struct line head[] = {
        {HWS_OP_ENABLE_HCA, 0, 16, 16, 0, 0},
        {HWS_OP_QUERY_ISSI, 0, 16, 112, 0, 0},
        {HWS_OP_QUERY_PAGES, 1, 16, 16, 0xc, 1000000},
    };
    static const struct line give[] = {{HWS_OP_MANAGE_PAGES, 1, 16 + 8 * 512, 16, 0, 0}};
    struct hws_ctl_call call = {0};

    (void)state;
    play(head, 3);
    for (unsigned i = 0; i < HWS_CMDQ_MAX_PAGE_RUNS; i++) {
        play(give, 1);
    }
    assert_int_equal(hws_cmdq_bringup_next(&b, 50, &call), HWS_STEP_FAILED);
    assert_code(b.err.code, HWS_E_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commands_come_in_the_drivers_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_card_without_steps_pages_and_users_needs_less, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_refused_step_fails_with_its_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_card_that_wants_too_many_pages_is_refused, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
