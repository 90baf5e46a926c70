/* Parameters over MNVDA and its sisters: images, ranges, what survives what. */
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

static struct guest g;
static char text[8192];
static uint64_t rand_state;

static const char parameters[] = "parameters:\n"
                                 "  - name: pci\n"
                                 "    type: 0x80\n"
                                 "    bytes: 12\n"
                                 "    fields:\n"
                                 "      - {name: NUM_OF_VFS, dw: 4, lsb: 0, bits: 16, default: 8, "
                                 "max_from: {type: 0x81, dw: 4, lsb: 0, bits: 16}}\n"
                                 "      - {name: SRIOV_EN, dw: 4, lsb: 31, bits: 1}\n"
                                 "  - {name: pci_cap, type: 0x81, bytes: 20, read_only: true, "
                                 "fields: [{name: MAX, dw: 4, lsb: 0, bits: 16, default: 127}]}\n"
                                 "  - {name: reads, type: 0x84, bytes: 4, fields: [{name: MAX_ACC, "
                                 "dw: 0, lsb: 16, bits: 16, max: 99,\n"
                                 "     needs: {type: 0x07000080, dw: 0, lsb: 31, bits: 1}}]}\n"
                                 "  - {name: host_pci, type: 0x07000080, bytes: 4, fields: [{name: "
                                 "ADVANCED, dw: 0, lsb: 31, bits: 1}]}\n";

static int setup(void **state)
{
    (void)state;
    rand_state = hws_test_seed();
    guest_profile_text(text, sizeof(text), &rand_state, parameters);
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

static uint8_t nv_read(uint32_t type, unsigned mode, uint32_t length, uint8_t *d, uint32_t n)
{
    memset(d, 0, n);
    hws_store_be32(d, mode << 22 | length);
    hws_store_be32(d + 4, type);
    return guest_reg(&g, 0x9024, false, d, n, NULL);
}

static uint8_t nv_write(uint32_t type, const uint8_t *bytes, uint32_t n, uint32_t *syndrome)
{
    uint8_t d[12 + 256] = {0};

    hws_store_be32(d, 9u << 16 | n);
    hws_store_be32(d + 4, type);
    memcpy(d + 12, bytes, n);
    return guest_reg(&g, 0x9024, true, d, 12 + n, syndrome);
}

/* NUM_OF_VFS as image `mode` has it. */
static uint32_t vfs(unsigned mode)
{
    uint8_t d[24];

    assert_int_equal(nv_read(0x80, mode, 12, d, sizeof(d)), 0);
    return hws_load_be32(d + 12 + 4) & 0xffff;
}

static uint8_t set_vfs(uint32_t n, uint32_t *syndrome)
{
    uint8_t bytes[12] = {0};

    hws_store_be32(bytes + 4, UINT32_C(1) << 31 | n);
    return nv_write(0x80, bytes, sizeof(bytes), syndrome);
}

static void a_write_waits_for_the_next_boot(void **state)
{
    uint32_t n = 9 + (uint32_t)(hws_test_rand(&rand_state) % 100);

    (void)state;
    assert_int_equal(set_vfs(n, NULL), 0);
    assert_int_equal(vfs(0), n);
    assert_int_equal(vfs(1), 8);
    assert_int_equal(vfs(2), 8);
    hws_emu_power_cycle(&g.emu, ++g.now_ms);
    guest_bring_up(&g);
    assert_int_equal(vfs(0), n);
    assert_int_equal(vfs(1), n);
    assert_int_equal(vfs(2), 8);
}

static void firmware_reset(void)
{
    uint8_t d[8] = {0, 0, 0, 0, 0x20, 0, 0, 0x08};

    assert_int_equal(guest_reg(&g, 0x9028, true, d, sizeof(d), NULL), 0);
    g.now_ms += 5;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    guest_bring_up(&g);
}

/* default, next boot and running, as MNVDA reads them. */
static void assert_vfs(uint32_t def, uint32_t next, uint32_t running)
{
    assert_int_equal(vfs(2), def);
    assert_int_equal(vfs(0), next);
    assert_int_equal(vfs(1), running);
}

static void images_move_at_a_firmware_reset_or_power_cycle_alone(void **state)
{
    uint32_t a = 9 + (uint32_t)(hws_test_rand(&rand_state) % 50);
    uint32_t b = a + 1 + (uint32_t)(hws_test_rand(&rand_state) % 50);
    uint8_t header[12] = {0};

    (void)state;
    assert_int_equal(set_vfs(a, NULL), 0);
    assert_vfs(8, a, 8);
    hws_emu_function_reset(&g.emu,
                           g.now_ms); /* the bus resets the function, the firmware runs on */
    guest_bring_up(&g);
    assert_vfs(8, a, 8);
    firmware_reset();
    assert_vfs(8, a, a);
    assert_int_equal(set_vfs(b, NULL), 0);
    assert_vfs(8, b, a);
    hws_emu_power_cycle(&g.emu, ++g.now_ms);
    guest_bring_up(&g);
    assert_vfs(8, b, b);
    hws_store_be32(header + 4, 0x80);
    assert_int_equal(guest_reg(&g, 0x9025, true, header, sizeof(header), NULL), 0);
    assert_vfs(8, 8, b); /* invalidated: the next boot has the default */
    firmware_reset();
    assert_vfs(8, 8, 8);
}

static void the_walk_meets_every_record_once(void **state)
{
    uint32_t pointer = 0;
    uint32_t n = 0;
    uint8_t d[0x11c];

    (void)state;
    assert_int_equal(set_vfs(17, NULL), 0);
    do {
        const struct hws_emu_tlv *tlv = &g.profile.tlvs[n];
        memset(d, 0, sizeof(d));
        hws_store_be32(d, pointer);
        assert_int_equal(guest_reg(&g, 0x9035, false, d, sizeof(d), NULL), 0);
        assert_int_equal(hws_load_be32(d + 0x14), tlv->type);
        assert_int_equal(hws_load_be32(d + 0x10) & 0x1ff, tlv->bytes);
        if (tlv->type == 0x80) {
            assert_int_equal(hws_load_be32(d + 0x1c + 4) & 0xffff, 17);
            assert_int_equal(hws_load_be32(d + 0x10) >> 16 & 0x1f, 9); /* who wrote it */
        }
        pointer = hws_load_be32(d);
        n++;
    } while (pointer != 0);
    assert_int_equal(n, g.profile.n_tlvs);
    hws_store_be32(d, n);
    assert_int_equal(guest_reg(&g, 0x9035, false, d, sizeof(d), NULL), 0x03);
}

static void a_write_is_persisted_before_it_completes(void **state)
{
    static uint8_t saved[HWS_EMU_NV_MAX_BYTES];

    (void)state;
    assert_int_equal(set_vfs(77, NULL), 0);
    assert_int_equal(g.n_dirty, 1);
    size_t n = g.n_nv;
    memcpy(saved, g.nv, n);
    guest_stop(&g);
    guest_start(&g, text, saved, n);
    guest_bring_up(&g);
    assert_int_equal(vfs(0), 77);
    assert_int_equal(vfs(1), 77);
}

static void a_write_that_cannot_be_persisted_changes_nothing(void **state)
{
    uint32_t syndrome = 0;

    (void)state;
    g.flash_broken = true;
    assert_int_equal(set_vfs(77, &syndrome), 0x01);
    assert_int_equal(syndrome, 0xe30035);
    assert_int_equal(vfs(0), 8);
    uint8_t mnvia[8] = {0};
    assert_int_equal(guest_reg(&g, 0x9033, true, mnvia, sizeof(mnvia), NULL), 0x01);
}

static void values_out_of_range_are_refused(void **state)
{
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(set_vfs(128, &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30034);
    assert_int_equal(vfs(0), 8);
    assert_int_equal(set_vfs(127, NULL), 0);
}

static void a_gated_value_needs_its_gate(void **state)
{
    const uint8_t reads[4] = {0, 50, 0, 0};
    const uint8_t advanced[4] = {0x80, 0, 0, 0};

    (void)state;
    assert_int_equal(nv_write(0x84, reads, 4, NULL), 0x03);
    assert_int_equal(nv_write(0x07000080, advanced, 4, NULL), 0);
    assert_int_equal(nv_write(0x84, reads, 4, NULL), 0);
}

static void capabilities_and_images_cannot_be_written(void **state)
{
    uint8_t d[12 + 20] = {0};
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(nv_write(0x81, d, 20, &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30033);
    hws_store_be32(d, 1u << 22 | 12);
    hws_store_be32(d + 4, 0x80);
    assert_int_equal(guest_reg(&g, 0x9024, true, d, 24, &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30032);
}

static void lengths_and_types_are_judged(void **state)
{
    uint8_t d[12 + 256];
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(nv_read(0x80, 0, 8, d, 24), 0x03);
    assert_int_equal(nv_read(0x80, 0, 12, d, 20), 0x51);
    assert_int_equal(nv_read(0x99, 0, 12, d, 24), 0x03);
    assert_int_equal(nv_read(0x80, 3, 12, d, 24), 0x03);
    memset(d, 0, sizeof(d));
    assert_int_equal(nv_write(0x80, d, 8, &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30031);
    /* The header claims more than was sent. */
    hws_store_be32(d, 12);
    hws_store_be32(d + 4, 0x80);
    assert_int_equal(guest_reg(&g, 0x9024, true, d, 20, NULL), 0x50);
}

static void a_tools_read_of_256_bytes_gets_the_true_length(void **state)
{
    uint8_t d[268];

    (void)state;
    assert_int_equal(nv_read(0x80, 0, 256, d, sizeof(d)), 0);
    assert_int_equal(hws_load_be32(d) & 0x1ff, 12);
    assert_int_equal(hws_load_be32(d + 16) & 0xffff, 8);
}

static void the_writer_is_remembered(void **state)
{
    uint8_t d[24];

    (void)state;
    assert_int_equal(nv_read(0x80, 0, 12, d, 24), 0);
    assert_int_equal(hws_load_be32(d) >> 16 & 0x1f, 0);
    assert_int_equal(set_vfs(20, NULL), 0);
    assert_int_equal(nv_read(0x80, 0, 12, d, 24), 0);
    assert_int_equal(hws_load_be32(d) >> 16 & 0x1f, 9);
}

static void invalidating_goes_back_to_the_default(void **state)
{
    uint8_t mnvdi[12] = {0};
    uint8_t mnvia[8] = {0};

    (void)state;
    assert_int_equal(set_vfs(20, NULL), 0);
    hws_store_be32(mnvdi + 4, 0x80);
    assert_int_equal(guest_reg(&g, 0x9025, true, mnvdi, sizeof(mnvdi), NULL), 0);
    assert_int_equal(vfs(0), 8);
    assert_int_equal(set_vfs(21, NULL), 0);
    assert_int_equal(guest_reg(&g, 0x9033, true, mnvia, sizeof(mnvia), NULL), 0);
    assert_int_equal(vfs(0), 8);
    hws_store_be32(mnvdi + 4, 0x81);
    assert_int_equal(guest_reg(&g, 0x9025, true, mnvdi, sizeof(mnvdi), NULL), 0x03);
}

static void capability_queries_tell_what_can_be_done(void **state)
{
    static const struct {
        uint32_t type;
        uint32_t bits;
    } rows[] = {{0x80, 3}, {0x81, 1}, {0x99, 0}};
    uint8_t gc[16] = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t d[8] = {0};
        hws_store_be32(d, rows[i].type);
        assert_int_equal(guest_reg(&g, 0x9030, false, d, sizeof(d), NULL), 0);
        assert_int_equal(hws_load_be32(d + 4) & 3, rows[i].bits);
    }
    assert_int_equal(guest_reg(&g, 0x9034, false, gc, sizeof(gc), NULL), 0);
    assert_int_equal(hws_load_be32(gc) & 3, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_waits_for_the_next_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(images_move_at_a_firmware_reset_or_power_cycle_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_walk_meets_every_record_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_is_persisted_before_it_completes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_cannot_be_persisted_changes_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(values_out_of_range_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gated_value_needs_its_gate, setup, teardown),
        cmocka_unit_test_setup_teardown(capabilities_and_images_cannot_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(lengths_and_types_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tools_read_of_256_bytes_gets_the_true_length, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_writer_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(invalidating_goes_back_to_the_default, setup, teardown),
        cmocka_unit_test_setup_teardown(capability_queries_tell_what_can_be_done, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
