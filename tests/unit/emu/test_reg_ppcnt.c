/* Port counters: every group moves with time and link, stands still without, and is cleared alone.
 */
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

static struct guest g;
static char text[8192];

static int setup(void **state)
{
    uint64_t r = hws_test_seed();

    (void)state;
    guest_profile_text(text, sizeof(text), &r, "");
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

static const uint8_t *group(uint8_t number, uint8_t prio, bool clear)
{
    static uint8_t d[0x100];

    memset(d, 0, sizeof(d));
    d[1] = 1;
    d[3] = number;
    d[4] = clear ? 0x80 : 0;
    d[7] = prio;
    assert_int_equal(guest_reg(&g, 0x5008, false, d, sizeof(d), NULL), 0);
    return d + 8;
}

static void set_admin(uint8_t admin)
{
    uint8_t d[16] = {0, 1, admin, 0, 0x80};

    assert_int_equal(guest_reg(&g, 0x5006, true, d, sizeof(d), NULL), 0);
}

static void every_group_counts_what_the_profile_says(void **state)
{
    const struct hws_emu_nic_port *p = &g.profile.ports[0];
    uint64_t rx = 20 * p->rx_frames_per_s;
    uint64_t tx = 20 * p->tx_frames_per_s;
    uint64_t corrected = 20 * p->corrected_bits_per_s;
    uint64_t errors = p->symbol_errors_per_h / 180;

    (void)state;
    g.now_ms = 20000;
    assert_true(hws_load_be64(group(0x00, 0, false) + 0x00) == tx);
    assert_true(hws_load_be64(group(0x00, 0, false) + 0x08) == rx);
    assert_true(hws_load_be64(group(0x00, 0, false) + 0x20) == tx * p->frame_bytes);
    assert_true(hws_load_be64(group(0x01, 0, false) + 0x00) == rx * p->frame_bytes);
    assert_true(hws_load_be64(group(0x01, 0, false) + 0x30) == tx);
    assert_true(hws_load_be64(group(0x02, 0, false) + 0x60) == rx); /* 65 to 127 bytes */
    assert_true(hws_load_be64(group(0x03, 0, false) + 0x60) == errors);
    assert_true(hws_load_be64(group(0x05, 0, false) + 0x58) == tx);
    assert_true(hws_load_be64(group(0x01, 0, false) + 0x10) == 140);
    assert_true(hws_load_be64(group(0x06, 0, false) + 0x00) == 140);
    assert_true(hws_load_be64(group(0x06, 0, false) + 0x78) == 140);
    assert_true(hws_load_be64(group(0x10, 0, false) + 0x20) == rx);
    assert_true(hws_load_be64(group(0x10, 1, false) + 0x20) == 0);
    assert_true(hws_load_be64(group(0x11, 0, false) + 0x08) == 140);
    assert_true(hws_load_be64(group(0x11, 1, false) + 0x08) == 0);
    assert_true(hws_load_be64(group(0x12, 0, false) + 0x00) == 20000);
    assert_true(hws_load_be64(group(0x12, 0, false) + 0x98) == corrected);
    assert_true(hws_load_be64(group(0x12, 0, false) + 0xb8) == corrected / 4); /* lane 3 */
    assert_true(hws_load_be64(group(0x16, 0, false) + 0x08) == UINT64_C(20) * 200000000000);
    assert_true(hws_load_be64(group(0x16, 0, false) + 0x18) == corrected);
    assert_int_equal(hws_load_be32(group(0x20, 0, false) + 0x20), rx);
    assert_true(hws_load_be64(group(0x21, 0, false) + 0x78) == rx);
    assert_true(hws_load_be64(group(0x23, 0, false) + 0x08) == corrected);
}

static void error_rates_are_coefficient_and_magnitude(void **state)
{
    const struct hws_emu_nic_port *p = &g.profile.ports[0];

    (void)state;
    assert_int_equal(hws_load_be32(group(0x16, 0, false) + 0x60), 0xff0f); /* nothing seen yet */
    g.now_ms = 3600000;
    uint32_t dw = hws_load_be32(group(0x16, 0, false) + 0x60);
    double rate = (double)(p->corrected_bits_per_s * 3600 + p->symbol_errors_per_h) / 3600 / 2e11;
    for (uint32_t i = dw >> 8 & 0xff; i > 0; i--) {
        rate *= 10;
    }
    assert_true((dw & 0xf) >= 1 && (dw & 0xf) <= 9);
    assert_true(rate >= (dw & 0xf) && rate < (dw & 0xf) + 1);
}

static void nothing_moves_while_the_link_is_down(void **state)
{
    static const uint8_t groups[] = {0x00, 0x01, 0x02, 0x03, 0x05, 0x06,
                                     0x10, 0x11, 0x1a, 0x20, 0x21, 0x23};
    uint8_t before[0xf8];

    (void)state;
    g.now_ms = 5000;
    set_admin(2);
    for (size_t i = 0; i < sizeof(groups); i++) {
        memcpy(before, group(groups[i], 0, false), sizeof(before));
        g.now_ms += 7000;
        assert_memory_equal(group(groups[i], 0, false), before, sizeof(before));
    }
    uint64_t bits = hws_load_be64(group(0x16, 0, false) + 8);
    g.now_ms += 9000;
    assert_true(hws_load_be64(group(0x16, 0, false) + 8) == bits);
    set_admin(1);
    g.now_ms += 1000;
    assert_true(hws_load_be64(group(0x16, 0, false) + 8) == bits + UINT64_C(200000000000));
}

static void a_group_is_cleared_alone_or_with_all(void **state)
{
    uint64_t rate = g.profile.ports[0].rx_frames_per_s;

    (void)state;
    g.now_ms = 10000;
    set_admin(2);
    set_admin(1);
    assert_int_equal(hws_load_be32(group(0x12, 0, true) + 0xc0), 1);
    assert_int_equal(hws_load_be32(group(0x12, 0, false) + 0xc0), 0);
    assert_int_equal(hws_load_be32(group(0x1a, 0, false) + 0x08), 1);
    assert_true(hws_load_be64(group(0x01, 0, true) + 0x08) == 10 * rate);
    g.now_ms = 12000;
    assert_true(hws_load_be64(group(0x01, 0, false) + 0x08) == 2 * rate);
    assert_true(hws_load_be64(group(0x00, 0, false) + 0x08) == 12 * rate);
    (void)group(0x3f, 0, true);
    assert_true(hws_load_be64(group(0x00, 0, false) + 0x08) == 0);
    assert_true(hws_load_be64(group(0x01, 0, false) + 0x08) == 0);
    assert_int_equal(hws_load_be32(group(0x1a, 0, false) + 0x08), 0);
}

static void groups_priorities_and_ports_that_are_not_there_are_refused(void **state)
{
    uint8_t d[0x100] = {0, 1, 0, 0x04};
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(guest_reg(&g, 0x5008, false, d, sizeof(d), &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30025);
    d[3] = 0x3f; /* all groups can be cleared only */
    assert_int_equal(guest_reg(&g, 0x5008, false, d, sizeof(d), NULL), 0x03);
    d[3] = 0x10;
    d[7] = 8;
    assert_int_equal(guest_reg(&g, 0x5008, false, d, sizeof(d), NULL), 0x03);
    d[7] = 0;
    d[1] = 2;
    assert_int_equal(guest_reg(&g, 0x5008, false, d, sizeof(d), &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30023);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_group_counts_what_the_profile_says, setup, teardown),
        cmocka_unit_test_setup_teardown(error_rates_are_coefficient_and_magnitude, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_moves_while_the_link_is_down, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_is_cleared_alone_or_with_all, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_priorities_and_ports_that_are_not_there_are_refused,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
