/* Signatures against a byte-wise xor, and block arithmetic. */
#include <string.h>

#include "ifc/sig.h"
#include "test.h"

static uint8_t slow_xor(const uint8_t *p, size_t n)
{
    uint8_t x = 0;

    for (size_t i = 0; i < n; i++) {
        x ^= p[i];
    }
    return x;
}

static void xor_of_any_length_and_alignment(void **state)
{
    uint64_t r = hws_test_seed();
    uint8_t bytes[200];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)hws_test_rand(&r);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t n = 0; n + from <= sizeof(bytes); n++) {
            assert_int_equal(hws_sig_xor(bytes + from, n), slow_xor(bytes + from, n));
        }
    }
}

static void a_signed_entry_xors_to_ff(void **state)
{
    struct hws_entry e;

    (void)state;
    memset(&e, 0x3c, sizeof(e));
    e.token = 0x17;
    hws_sig_entry_set(&e);
    assert_int_equal(slow_xor((const uint8_t *)&e, 64), 0xff);
    assert_true(hws_sig_entry_ok(&e));
    e.status_own ^= 1;
    assert_false(hws_sig_entry_ok(&e));
}

/* Ranges as in core/cmd.c calc_block_sig: control 0x200..0x23d, block 0x000..0x23e (Linux 7.2.13).
 */
static void a_signed_block_xors_to_ff_over_both_ranges(void **state)
{
    struct hws_mbox m;
    const uint8_t *raw = (const uint8_t *)&m;

    (void)state;
    memset(&m, 0x5b, sizeof(m));
    m.data[100] = 1;
    hws_sig_mbox_set(&m);
    assert_int_equal(slow_xor(raw + 0x200, 0x3f), 0xff);
    assert_int_equal(slow_xor(raw, 576), 0xff);
    assert_true(hws_sig_mbox_ok(&m));
    m.data[0] ^= 0x80;
    assert_true(hws_sig_mbox_ctl_ok(&m));
    assert_false(hws_sig_mbox_ok(&m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xor_of_any_length_and_alignment),
        cmocka_unit_test(a_signed_entry_xors_to_ff),
        cmocka_unit_test(a_signed_block_xors_to_ff_over_both_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
