/* The entry, by hand-written bytes: include/linux/mlx5/device.h struct mlx5_cmd_layout,
 * Linux 7.2.13. */
#include <string.h>

#include "cmdq/entry.h"
#include "ifc/names.h"
#include "ifc/sig.h"
#include "test.h"

static void encodes_to_the_documented_bytes(void **state)
{
    static const uint8_t in[16] = {0x01, 0x01, 0xff, 0xff, 0, 0, 0x12, 0x34,
                                   1,    2,    3,    4,    5, 6, 7,    8};
    static const uint8_t want[64] = {
        7,    0,    0,    0,    0,    0,    0x02, 0x10, /* type, in length 528 */
        0x00, 0x00, 0x00, 0x12, 0x34, 0,    0x04, 0x00, /* in pointer */
        0x01, 0x01, 0x00, 0x2a, 0,    0,    0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8, /* uid 42 in its
                                                                                   place */
        0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0x00,
        0x00, 0x00, 0x12, 0x34, 0,    0x08, 0x00, /* out pointer */
        0,    0,    0x10, 0x10,                   /* out length 4112 */
        0x5a, 0x5a, 0,    1,                      /* token, signature, reserved, owner */
    };
    const struct hws_cmdq_cmd cmd = {
        .in = in,
        .in_bytes = 528,
        .out_bytes = 4112,
        .in_ptr = UINT64_C(0x1234000400),
        .out_ptr = UINT64_C(0x1234000800),
        .uid = 42,
        .token = 0x5a,
    };
    struct hws_entry e;

    (void)state;
    hws_cmdq_entry_encode(&e, &cmd);

    uint8_t x = 0;
    for (size_t i = 0; i < 64; i++) {
        x ^= ((const uint8_t *)&e)[i];
    }
    assert_int_equal(x, 0xff);
    e.sig = 0x5a;
    assert_memory_equal(&e, want, 64);
}

static struct hws_entry completed(uint8_t delivery)
{
    static const uint8_t in[16] = {0x08, 0x0d};
    struct hws_entry e;

    hws_cmdq_entry_encode(
        &e, &(struct hws_cmdq_cmd){.in = in, .in_bytes = 16, .out_bytes = 16, .token = 9});
    e.status_own = (uint8_t)(delivery << 1);
    hws_sig_entry_set(&e);
    return e;
}

static void a_good_completion_is_executed(void **state)
{
    struct hws_entry e = completed(0);
    struct hws_err err = {0};

    (void)state;
    assert_ok(hws_cmdq_entry_judge(&e, 9, &err), &err);
}

static void any_flipped_bit_of_a_completion_is_noticed(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 512; bit++) {
        struct hws_entry e = completed(0);
        struct hws_err err = {0};
        ((uint8_t *)&e)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_code(hws_cmdq_entry_judge(&e, 9, &err), HWS_E_PROTO);
        assert_int_equal(err.stage, HWS_STAGE_UNKNOWN);
    }
}

static void a_foreign_token_or_type_is_noticed_though_signed(void **state)
{
    struct hws_entry e = completed(0);

    (void)state;
    assert_code(hws_cmdq_entry_judge(&e, 10, NULL), HWS_E_PROTO);
    e.type = 8;
    hws_sig_entry_set(&e);
    assert_code(hws_cmdq_entry_judge(&e, 9, NULL), HWS_E_PROTO);
}

static void delivery_status_means_rejected(void **state)
{
    struct hws_err err = {0};

    (void)state;
    for (uint8_t d = 1; d < 128; d++) {
        struct hws_entry e = completed(d);
        assert_code(hws_cmdq_entry_judge(&e, 9, &err), HWS_E_DEVICE);
        assert_int_equal(err.stage, HWS_STAGE_REJECTED);
        assert_int_equal(err.delivery_status, d);
    }
}

static void command_status_means_executed_with_syndrome(void **state)
{
    const uint8_t in[16] = {0x08, 0x05};
    const uint8_t out[16] = {0x03, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef};
    struct hws_err err = {0};

    (void)state;
    assert_code(hws_cmdq_out_judge(out, in, &err), HWS_E_DEVICE);
    assert_int_equal(err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(err.exec_status, 3);
    assert_int_equal(err.syndrome, 0xdeadbeef);
    assert_non_null(strstr(err.msg, "ACCESS_REG (0x805)"));
    assert_non_null(strstr(err.msg, "0xdeadbeef"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_to_the_documented_bytes),
        cmocka_unit_test(a_good_completion_is_executed),
        cmocka_unit_test(any_flipped_bit_of_a_completion_is_noticed),
        cmocka_unit_test(a_foreign_token_or_type_is_noticed_though_signed),
        cmocka_unit_test(delivery_status_means_rejected),
        cmocka_unit_test(command_status_means_executed_with_syndrome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
