/* Registers of identity, temperature, PCIe and reset. Layouts by hand from mlx5_ifc.h and
 * mstflint's database. */
#include <stdio.h>
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

static void mgir_and_msgi_say_who_it_is(void **state)
{
    uint8_t d[0xa0] = {0};
    uint8_t s[0x80] = {0};

    (void)state;
    g.now_ms = 42500;
    assert_int_equal(guest_reg(&g, 0x9020, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 8) & 0xffff, g.profile.hw_dev_id);
    assert_int_equal(hws_load_be32(d) & 0xffff, g.profile.pci_device_id);
    assert_true(((uint64_t)(hws_load_be32(d + 0x10) & 0xffff) << 32 | hws_load_be32(d + 0x14)) ==
                g.profile.base_mac);
    assert_int_equal(hws_load_be32(d + 0x1c), 42);
    assert_int_equal(hws_load_be32(d + 0x44), g.profile.version.major);
    assert_int_equal(hws_load_be32(d + 0x48), g.profile.version.minor);
    assert_int_equal(hws_load_be32(d + 0x4c), g.profile.version.subminor);
    assert_string_equal((char *)d + 0x30, g.profile.psid);

    assert_int_equal(guest_reg(&g, 0x9021, false, s, sizeof(s), NULL), 0);
    assert_string_equal((char *)s, g.profile.serial);
    assert_string_equal((char *)s + 0x20, g.profile.part);
    assert_string_equal((char *)s + 0x38, g.profile.revision);
    assert_string_equal((char *)s + 0x40, g.profile.product);
}

static void a_longer_read_than_the_register_is_fine(void **state)
{
    uint8_t d[1024] = {0};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x9020, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 8) & 0xffff, g.profile.hw_dev_id);
    assert_int_equal(d[1023], 0);
}

static void unknown_or_read_only_registers_are_refused(void **state)
{
    uint8_t d[0xa0] = {0};
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(guest_reg(&g, 0x1234, false, d, 16, &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30020);
    assert_int_equal(guest_reg(&g, 0x9020, true, d, sizeof(d), &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30021);
    assert_int_equal(guest_reg(&g, 0x900a, false, d, 2, &syndrome), 0x50);
}

static void mcam_lists_what_there_is(void **state)
{
    uint8_t d[0x48] = {0};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x907f, false, d, sizeof(d), NULL), 0);
    /* Checks of the driver: mtmp bit 10, mfrl 40, tracer 64..67, component update 96..99. */
    assert_int_equal(hws_load_be32(d + 0x14) >> 10 & 1, 1);
    assert_int_equal(hws_load_be32(d + 0x10) >> (40 - 32) & 1, 1);
    assert_int_equal(hws_load_be32(d + 0x0c) & 0xf, 0xf);
    assert_int_equal(hws_load_be32(d + 0x08) & 0xf, 0xf);
    memset(d, 0, sizeof(d));
    d[3] = 4;
    assert_int_equal(guest_reg(&g, 0x907f, false, d, sizeof(d), NULL), 0x03);
}

static void information_strings_come_in_pieces(void **state)
{
    char got[72] = {0};
    size_t at = 0;
    uint8_t d[0x18];

    (void)state;
    do {
        memset(d, 0, sizeof(d));
        d[3] = 2;
        hws_store_be16(d + 8, (uint16_t)at);
        hws_store_be16(d + 10, 8);
        assert_int_equal(guest_reg(&g, 0x9064, false, d, sizeof(d), NULL), 0);
        memcpy(got + at, d + 0x10, hws_load_be16(d + 10));
        at += hws_load_be16(d + 10);
    } while (hws_load_be16(d + 10) == 8);
    assert_string_equal(got, g.profile.product);
    assert_int_equal(hws_load_be16(d + 6), strlen(g.profile.product));
}

static void firmware_component_and_its_version(void **state)
{
    uint8_t q[0x10] = {0};
    uint8_t d[0x94] = {0};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x9060, false, q, sizeof(q), NULL), 0);
    assert_int_equal(q[0] >> 7, 1);
    assert_int_equal(hws_load_be16(q + 6), 1);
    d[0xb] = 1;
    hws_store_be16(d + 0x16, 0x7c);
    assert_int_equal(guest_reg(&g, 0x9061, false, d, sizeof(d), NULL), 0);
    char want[24];
    (void)snprintf(want, sizeof(want), "%u.%u.%04u", g.profile.version.major,
                   g.profile.version.minor, g.profile.version.subminor);
    assert_string_equal((char *)d + 0x18 + 0x20, want);
    memset(d, 0, sizeof(d));
    d[0xb] = 1;
    hws_store_be32(d + 0x10, 0x70);
    hws_store_be16(d + 0x16, 0x20);
    assert_int_equal(guest_reg(&g, 0x9061, false, d, sizeof(d), NULL), 0x03);
}

static void temperature_and_its_thresholds(void **state)
{
    uint8_t cap[0x10] = {0};
    uint8_t d[0x20] = {0};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x9009, false, cap, sizeof(cap), NULL), 0);
    assert_int_equal(hws_load_be32(cap) & 0x7f, 1);
    assert_true(hws_load_be64(cap + 8) == 1);
    assert_int_equal(guest_reg(&g, 0x900a, false, d, sizeof(d), NULL), 0);
    assert_int_equal((int16_t)hws_load_be16(d + 6), g.profile.sensors[0].value);
    assert_int_equal(hws_load_be16(d + 6) & 7, 4); /* .5 degrees */
    assert_int_equal(hws_load_be16(d + 0xe), 105 * 8);
    assert_memory_equal(d + 0x18, "asic", 5);
    hws_store_be16(d + 0xe, 99 * 8);
    assert_int_equal(guest_reg(&g, 0x900a, true, d, sizeof(d), NULL), 0);
    memset(d, 0, sizeof(d));
    assert_int_equal(guest_reg(&g, 0x900a, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be16(d + 0xe), 99 * 8);
    hws_store_be32(d, 7);
    assert_int_equal(guest_reg(&g, 0x900a, false, d, sizeof(d), NULL), 0x03);
}

static void pcie_link_and_its_age(void **state)
{
    uint8_t d[0x30] = {0};
    uint8_t c[0x100] = {0};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x9050, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[0x0d], 8);
    assert_int_equal(hws_load_be16(d + 0x0e), 8);    /* generation 4: 16 GT/s */
    assert_int_equal(hws_load_be16(d + 0x0a), 0x1f); /* up to generation 5 */
    g.now_ms = 7000;
    hws_bits_put(c + 4, 31, 1, 1);
    assert_int_equal(guest_reg(&g, 0x9051, false, c, sizeof(c), NULL), 0);
    assert_true(hws_load_be64(c + 8) == 7);
    g.now_ms = 9000;
    assert_int_equal(guest_reg(&g, 0x9051, false, c, sizeof(c), NULL), 0);
    assert_true(hws_load_be64(c + 8) == 2); /* cleared by the read before */
}

static void the_pcie_link_has_a_place_and_moves_data(void **state)
{
    const struct hws_emu_nic_port *p = &g.profile.ports[0];
    uint8_t d[0x10] = {0};
    uint8_t e[0x30] = {0};
    uint8_t c[0x100] = {0, 0, 0, 4};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x9059, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[8], 1);
    assert_int_equal(d[9], g.profile.bdf >> 8);
    assert_int_equal(guest_reg(&g, 0x9050, false, e, sizeof(e), NULL), 0);
    assert_int_equal(hws_load_be16(e + 0x14), g.profile.bdf);
    assert_int_equal(e[0x18] >> 4, 2);             /* 512 bytes in a read */
    assert_int_equal(hws_load_be16(e + 0x1c), 16); /* 32 GT/s at the other end */
    d[1] = 1;
    assert_int_equal(guest_reg(&g, 0x9059, false, d, sizeof(d), NULL), 0x03);
    g.now_ms = 4000;
    assert_int_equal(guest_reg(&g, 0x9051, false, c, sizeof(c), NULL), 0);
    assert_int_equal(hws_load_be32(c + 8), 4 * p->rx_frames_per_s * p->frame_bytes / 4);
    assert_int_equal(hws_load_be32(c + 12), 4 * p->tx_frames_per_s * p->frame_bytes / 4);
    c[4] = 0x80;
    assert_int_equal(guest_reg(&g, 0x9051, false, c, sizeof(c), NULL), 0);
    assert_int_equal(guest_reg(&g, 0x9051, false, c, sizeof(c), NULL), 0);
    assert_int_equal(hws_load_be32(c + 8), 0);
    c[3] = 3;
    assert_int_equal(guest_reg(&g, 0x9051, false, c, sizeof(c), NULL), 0);
    c[3] = 5;
    assert_int_equal(guest_reg(&g, 0x9051, false, c, sizeof(c), NULL), 0x03);
}

static void host_endianness_is_kept(void **state)
{
    uint8_t d[0x10] = {0x80};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x7004, true, d, sizeof(d), NULL), 0);
    d[0] = 0;
    assert_int_equal(guest_reg(&g, 0x7004, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[0], 0x80);
}

static uint8_t mfrl_write(uint32_t dw4)
{
    uint8_t d[8] = {0};

    hws_store_be32(d + 4, dw4);
    return guest_reg(&g, 0x9028, true, d, sizeof(d), NULL);
}

static void arming_does_not_reset(void **state)
{
    uint8_t d[8] = {0};

    (void)state;
    assert_int_equal(mfrl_write(0x48), 0);
    g.now_ms = 100000;
    assert_true(hws_emu_turn(&g.emu, g.now_ms) == UINT64_MAX);
    assert_int_equal(g.emu.state, HWS_EMU_QUEUE);
    assert_int_equal(guest_reg(&g, 0x9028, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 4) & 0xff, 0x48);
    assert_int_equal(mfrl_write(0x01), 0x03);
    assert_int_equal(mfrl_write(0), 0x03);
}

static void a_synchronised_level_3_resets_after_its_delay(void **state)
{
    uint8_t d[8] = {0};

    (void)state;
    assert_int_equal(mfrl_write(UINT32_C(1) << 29 | 0x08), 0);
    assert_int_equal(guest_reg(&g, 0x9028, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 4) >> 16 & 0xf, 2);
    assert_int_equal(mfrl_write(UINT32_C(1) << 29 | 0x08), 0x06);
    assert_true(hws_emu_turn(&g.emu, 4) == 5);
    assert_int_equal(g.emu.state, HWS_EMU_QUEUE);
    (void)hws_emu_turn(&g.emu, 5);
    assert_int_equal(g.emu.state, HWS_EMU_READY);
    assert_int_equal(hws_emu_read32(&g.emu, 0x10), 0);
}

static void reset_options_and_the_last_reset(void **state)
{
    uint8_t q[0x20] = {0};
    uint8_t d[0x40] = {0};

    (void)state;
    assert_int_equal(guest_reg(&g, 0x902f, false, q, sizeof(q), NULL), 0);
    assert_int_equal(hws_load_be32(q), 0x010f0048);
    q[2] = 3; /* a reset of the ARM cores: this card has none */
    assert_int_equal(guest_reg(&g, 0x902f, false, q, sizeof(q), NULL), 0);
    assert_int_equal(hws_load_be32(q), 0x00000300);
    assert_int_equal(mfrl_write(UINT32_C(3) << 24 | UINT32_C(1) << 29 | 0x08), 0x03);

    g.now_ms = 60;
    assert_int_equal(guest_reg(&g, 0x912a, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 4), 0); /* cold */
    assert_true(hws_load_be64(d + 8) == 60000000);
    d[3] = 1; /* no embedded CPU */
    assert_int_equal(guest_reg(&g, 0x912a, false, d, sizeof(d), NULL), 0x03);
    assert_int_equal(mfrl_write(UINT32_C(1) << 29 | 0x08), 0);
    g.now_ms = 65;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    guest_bring_up(&g);
    memset(d, 0, sizeof(d));
    assert_int_equal(guest_reg(&g, 0x912a, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 4), 1); /* warm */
    assert_true(hws_load_be64(d + 8) == 65000000);
    hws_emu_power_cycle(&g.emu, 70);
    g.now_ms = 70;
    guest_bring_up(&g);
    assert_int_equal(guest_reg(&g, 0x912a, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mgir_and_msgi_say_who_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_longer_read_than_the_register_is_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_or_read_only_registers_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mcam_lists_what_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(information_strings_come_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(firmware_component_and_its_version, setup, teardown),
        cmocka_unit_test_setup_teardown(temperature_and_its_thresholds, setup, teardown),
        cmocka_unit_test_setup_teardown(pcie_link_and_its_age, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pcie_link_has_a_place_and_moves_data, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_options_and_the_last_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(host_endianness_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(arming_does_not_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_synchronised_level_3_resets_after_its_delay, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
