/* Network ports: links that come and go, counters that move with them. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

static struct guest g;
static char text[8192];

static void start(const char *extra)
{
    uint64_t r = hws_test_seed();

    guest_profile_text(text, sizeof(text), &r, extra);
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
}

static int setup(void **state)
{
    (void)state;
    start("");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

static uint32_t oper(void)
{
    uint8_t d[16] = {0, 1};

    assert_int_equal(guest_reg(&g, 0x5006, false, d, sizeof(d), NULL), 0);
    return hws_load_be32(d) & 0xf;
}

static uint8_t set_admin(uint32_t admin, bool ase)
{
    uint8_t d[16] = {0, 1};

    hws_bits_put(d, 8, 4, admin);
    hws_bits_put(d + 4, 31, 1, ase ? 1 : 0);
    return guest_reg(&g, 0x5006, true, d, sizeof(d), NULL);
}

static uint64_t counter(uint32_t group, size_t at, bool clear)
{
    uint8_t d[0x100] = {0, 1};

    hws_bits_put(d, 0, 6, group);
    hws_bits_put(d + 4, 31, 1, clear ? 1 : 0);
    assert_int_equal(guest_reg(&g, 0x5008, false, d, sizeof(d), NULL), 0);
    return hws_load_be64(d + 8 + at);
}

static void admin_state_moves_the_link(void **state)
{
    (void)state;
    assert_int_equal(oper(), 1);
    assert_int_equal(set_admin(2, false), 0); /* without ase nothing changes */
    assert_int_equal(oper(), 1);
    assert_int_equal(set_admin(2, true), 0);
    assert_int_equal(oper(), 2);
    assert_int_equal(set_admin(1, true), 0);
    assert_int_equal(oper(), 1);
    assert_int_equal(set_admin(9, true), 0x03);
}

static void counters_move_with_time_while_the_link_is_up(void **state)
{
    uint64_t rate = g.profile.ports[0].rx_frames_per_s;

    (void)state;
    g.now_ms = 10000;
    assert_true(counter(0, 0x08, false) == 10 * rate);
    assert_true(counter(0, 0x28, false) == 10 * rate * 100);
    assert_true(counter(1, 0x08, false) == 10 * rate);
    assert_int_equal(set_admin(2, true), 0);
    g.now_ms = 20000;
    assert_true(counter(0, 0x08, false) == 10 * rate);
    assert_int_equal(set_admin(1, true), 0);
    assert_int_equal(oper(), 1);
    g.now_ms = 21000;
    assert_true(counter(0, 0x08, false) == 11 * rate);
    assert_int_equal(counter(0x12, 0xc0, false) >> 32, 1); /* one link-down */
    assert_true(counter(0, 0x08, true) == 11 * rate);
    assert_true(counter(0, 0x08, false) == 0);
}

static void unknown_groups_and_ports_are_refused(void **state)
{
    uint8_t d[0x100] = {0, 1, 0, 0x1f};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x5008, false, d, sizeof(d), NULL), 0x03);
    d[1] = 2;
    assert_int_equal(guest_reg(&g, 0x5006, false, d, 16, NULL), 0x03);
    d[1] = 0;
    assert_int_equal(guest_reg(&g, 0x5004, false, d, 0x40, NULL), 0x03);
}

static void speeds_offered_and_negotiated(void **state)
{
    uint8_t d[0x44] = {0, 1, 0, 4};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x5004, false, d, 0x40, NULL), 0);
    /* 100G: bits 9, 10, 11; 200G: bits 12, 13, 14, all within four lanes. */
    assert_int_equal(hws_load_be32(d + 8), 0x7e00);
    assert_int_equal(hws_load_be32(d + 0x20), 1u << 12);
    assert_int_equal(hws_load_be32(d + 4) & 0xffff, 2000);
    assert_int_equal(hws_load_be32(d + 4) >> 16 & 0xfff, 200);
    assert_int_equal(hws_load_be32(d + 0x2c) >> 4, 5312); /* 53.125 Gb/s on each lane */
    hws_store_be32(d + 0x14, 1u << 11);
    assert_int_equal(guest_reg(&g, 0x5004, true, d, 0x40, NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x20), 1u << 12); /* at the next link-up */
    assert_int_equal(set_admin(2, true), 0);
    assert_int_equal(set_admin(1, true), 0);
    assert_int_equal(guest_reg(&g, 0x5004, false, d, 0x40, NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x20), 1u << 11);
    hws_store_be32(d + 0x14, 1u << 20);
    assert_int_equal(guest_reg(&g, 0x5004, true, d, 0x40, NULL), 0x03);
}

static void negotiation_can_be_turned_off(void **state)
{
    uint8_t d[0x44] = {0, 1, 0, 4};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x5004, false, d, 0x44, NULL), 0);
    assert_int_equal(d[4] >> 4, 1);
    assert_int_equal(d[0] & 0x60, 0x20); /* it can be, and is not */
    d[0] = 0x40;
    assert_int_equal(guest_reg(&g, 0x5004, true, d, 0x44, NULL), 0);
    assert_int_equal(d[4] >> 4, 3);
    assert_int_equal(set_admin(2, true), 0);
    assert_int_equal(guest_reg(&g, 0x5004, false, d, 0x44, NULL), 0);
    assert_int_equal(d[4] >> 4, 4);
    assert_int_equal(d[0] & 0x60, 0x60);
}

static void ports_have_one_plane_and_a_place(void **state)
{
    uint8_t p[0x10] = {0, 1};
    uint8_t m[0x48] = {0, 1};
    uint8_t a[0x10] = {0, 1};

    (void)state;
    memset(p + 4, 0xff, 12);
    assert_int_equal(guest_reg(&g, 0x504c, false, p, sizeof(p), NULL), 0);
    assert_int_equal(hws_load_be32(p + 0x0c), 0);
    assert_int_equal(guest_reg(&g, 0x503c, false, m, sizeof(m), NULL), 0);
    assert_int_equal(m[0x0a], 0x0f); /* lanes of the module */
    assert_int_equal(hws_load_be32(m + 0x14) & 0xfff, 0x688);
    assert_int_equal(guest_reg(&g, 0x5040, false, a, sizeof(a), NULL), 0);
    assert_int_equal(a[7], 1); /* up */
    assert_int_equal(set_admin(2, true), 0);
    assert_int_equal(guest_reg(&g, 0x5040, false, a, sizeof(a), NULL), 0);
    assert_int_equal(a[7], 2); /* down by command */
    p[1] = 2;
    assert_int_equal(guest_reg(&g, 0x504c, false, p, sizeof(p), NULL), 0x03);
}

static void forced_fec_counts_at_the_next_link_up(void **state)
{
    uint8_t d[0x80] = {0, 1};
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(guest_reg(&g, 0x5023, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x0c), 7);         /* 200G x4: RS(544,514) */
    assert_int_equal(hws_load_be32(d + 0x10), 0x5 << 12); /* 100G x4: none or RS(528,514) */
    assert_int_equal(hws_load_be32(d + 0x18), 0x80);
    assert_int_equal(hws_load_be32(d + 0x1c), 0x80 << 16);
    assert_int_equal(hws_load_be32(d + 0x14), 0);
    hws_store_be32(d + 0x14, 0x2 << 12); /* FireCode does not exist there */
    assert_int_equal(guest_reg(&g, 0x5023, true, d, sizeof(d), &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30024);
    hws_store_be32(d + 0x14, 0x1 << 12);
    assert_int_equal(guest_reg(&g, 0x5023, true, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x14), 0x1 << 12);
    assert_int_equal(hws_load_be32(d + 0x0c), 7);

    uint8_t speed[0x44] = {0, 1, 0, 4};
    hws_store_be32(speed + 0x14, 1u << 9);
    assert_int_equal(guest_reg(&g, 0x5004, true, speed, 0x44, NULL), 0);
    assert_int_equal(set_admin(2, true), 0);
    assert_int_equal(set_admin(1, true), 0);
    assert_int_equal(guest_reg(&g, 0x5023, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x0c), 0);
}

static void a_lane_tells_its_silicon_and_speed(void **state)
{
    uint8_t d[0x4c] = {0, 1, 3};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x5027, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[0], 0x10 | g.profile.serdes);
    assert_int_equal(d[3], 6 << 4); /* 50 Gb/s */
    d[2] = 4;
    assert_int_equal(guest_reg(&g, 0x5027, false, d, sizeof(d), NULL), 0x03);
}

static void lanes_of_the_module(void **state)
{
    uint8_t d[0x40] = {0, 1};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x5002, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[3], 4);
    assert_int_equal(hws_load_be32(d + 4 + 12), 0x03030000);
}

static void the_running_link_type_rules_the_port(void **state)
{
    uint8_t d[0x44] = {0, 1, 0, 5};
    static char custom[8192];

    (void)state;
    guest_stop(&g);
    uint64_t r = hws_test_seed();
    guest_profile_text(custom, sizeof(custom), &r,
                       "parameters: [{name: lt, type: 0x01010012, bytes: 4, fields: [{name: "
                       "LINK_TYPE_P1, dw: 0, lsb: 2, "
                       "bits: 2, default: 1}]}]\n");
    char *type = strstr(custom, "type: eth, ");
    assert_non_null(type);
    (void)snprintf(text, sizeof(text),
                   "%.*stype_from: {type: 0x01010012, dw: 0, lsb: 2, bits: 2}, %s",
                   (int)(type - custom), custom, type);
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);

    assert_int_equal(guest_reg(&g, 0x5004, false, d, 0x40, NULL), 0);
    assert_int_equal(hws_load_be32(d + 8), 0);
    assert_int_equal(hws_load_be16(d + 0x12), 0x20); /* EDR */
    assert_int_equal(hws_load_be16(d + 0x2a), 0x20);
    assert_int_equal(hws_load_be32(d + 4) & 0xffff, 1000);
}

static void a_port_without_a_cable_stays_down(void **state)
{
    static char custom[8192];
    uint64_t r = hws_test_seed();

    (void)state;
    guest_stop(&g);
    guest_profile_text(custom, sizeof(custom), &r, "");
    char *type = strstr(custom, "type: eth, ");
    assert_non_null(type);
    (void)snprintf(text, sizeof(text), "%.*scable: false, %s", (int)(type - custom), custom, type);
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
    g.now_ms = 100000;
    assert_int_equal(oper(), 2);
    assert_true(counter(0, 0x08, false) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(admin_state_moves_the_link, setup, teardown),
        cmocka_unit_test_setup_teardown(counters_move_with_time_while_the_link_is_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(unknown_groups_and_ports_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(speeds_offered_and_negotiated, setup, teardown),
        cmocka_unit_test_setup_teardown(negotiation_can_be_turned_off, setup, teardown),
        cmocka_unit_test_setup_teardown(ports_have_one_plane_and_a_place, setup, teardown),
        cmocka_unit_test_setup_teardown(forced_fec_counts_at_the_next_link_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lane_tells_its_silicon_and_speed, setup, teardown),
        cmocka_unit_test_setup_teardown(lanes_of_the_module, setup, teardown),
        cmocka_unit_test_setup_teardown(the_running_link_type_rules_the_port, setup, teardown),
        cmocka_unit_test_setup_teardown(a_port_without_a_cable_stays_down, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
