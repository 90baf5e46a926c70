/* Configuration space and BAR0 as the bus sees them. Offsets by hand, from the PCI specifications.
 */
#include <string.h>

#include "emu/pci.h"
#include "guest.h"
#include "test.h"

static struct guest g;
static struct hws_emu_pci pci;
static char text[8192];

static int setup(void **state)
{
    uint64_t r = hws_test_seed();

    (void)state;
    guest_profile_text(text, sizeof(text), &r, "");
    guest_start(&g, text, NULL, 0);
    hws_emu_pci_init(&pci, &g.profile);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

static unsigned get16(unsigned at)
{
    uint8_t b[2];

    hws_emu_pci_read(&pci, at, b, 2);
    return b[0] | (unsigned)b[1] << 8;
}

static void put16(unsigned at, unsigned v)
{
    const uint8_t b[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

    hws_emu_pci_write(&pci, at, b, 2);
}

/* Offset of a capability, by walking the list as a host does. */
static unsigned find_cap(unsigned id)
{
    unsigned at = get16(0x34) & 0xff;

    assert_int_equal(get16(0x06) & 0x10, 0x10);
    for (unsigned n = 0; n < 8 && at != 0; n++) {
        if ((get16(at) & 0xff) == id) {
            return at;
        }
        at = get16(at) >> 8;
    }
    return 0;
}

static void identity_is_the_profiles(void **state)
{
    (void)state;
    assert_int_equal(get16(0x00), 0x15b3);
    assert_int_equal(get16(0x02), g.profile.pci_device_id);
    assert_int_equal(get16(0x0a), 0x0200);
    assert_int_equal(get16(0x0e) >> 8, 0);   /* one function, plain header */
    assert_int_equal(get16(0x3d) & 0xff, 0); /* no INTx */
}

static void link_is_the_profiles(void **state)
{
    (void)state;
    unsigned at = find_cap(0x10);
    assert_int_not_equal(at, 0);
    assert_int_equal(get16(at + 2), 0x0002); /* version 2, endpoint */
    assert_int_equal(get16(at + 0x0c) & 0xf, g.profile.pcie_generation_cap);
    assert_int_equal(get16(at + 0x0c) >> 4 & 0x3f, g.profile.pcie_width_cap);
    assert_int_equal(get16(at + 0x12) & 0xf, g.profile.pcie_generation);
    assert_int_equal(get16(at + 0x12) >> 4 & 0x3f, g.profile.pcie_width);
}

static void a_function_level_reset_is_offered_and_seen(void **state)
{
    const uint8_t dword[4] = {0, 0x80, 0, 0};

    (void)state;
    unsigned at = find_cap(0x10);
    assert_int_equal(get16(at + 0x06) >> 12 & 1, 1);
    assert_true(hws_emu_pci_is_reset(at + 8, dword, 2));
    assert_true(hws_emu_pci_is_reset(at + 8, dword, 4));
    assert_true(hws_emu_pci_is_reset(at + 9, dword + 1, 1));
    assert_false(hws_emu_pci_is_reset(at + 8, dword, 1));
    assert_false(hws_emu_pci_is_reset(at + 9, dword, 1));
    assert_false(hws_emu_pci_is_reset(at + 10, dword + 1, 2));
    put16(at + 8, 0x8000 | 0x2810);
    assert_int_equal(get16(at + 8), 0x2810);
}

static void msix_table_is_behind_the_doorbell_pages(void **state)
{
    (void)state;
    unsigned at = find_cap(0x11);
    assert_int_not_equal(at, 0);
    assert_int_equal((get16(at + 2) & 0x7ff) + 1, HWS_EMU_MAX_VECTORS);
    unsigned table = get16(at + 4) | get16(at + 6) << 16;
    assert_int_equal(table & 7, 0); /* BAR0 */
    assert_true(table >= (16 + HWS_EMU_MAX_UARS) * 4096);
    assert_true(table + HWS_EMU_MAX_VECTORS * 16 <= HWS_EMU_PCI_BAR0_BYTES);
}

static void only_writable_bits_change(void **state)
{
    (void)state;
    assert_false(hws_emu_pci_is_master(&pci));
    put16(0x04, 0xffff);
    assert_int_equal(get16(0x04), 0x0547);
    assert_true(hws_emu_pci_is_master(&pci));
    put16(0x00, 0);
    put16(0x02, 0);
    put16(0x06, 0xffff);
    assert_int_equal(get16(0x00), 0x15b3);
    assert_int_equal(get16(0x06), 0x0010);
    /* Sizing BAR0: all ones come back as the size, a 64-bit prefetchable memory BAR. */
    put16(0x10, 0xffff);
    put16(0x12, 0xffff);
    put16(0x14, 0xffff);
    put16(0x16, 0xffff);
    assert_int_equal(get16(0x10) | get16(0x12) << 16, 0x100000000 - HWS_EMU_PCI_BAR0_BYTES + 0xc);
    assert_int_equal(get16(0x14) | get16(0x16) << 16, 0xffffffff);
}

static void a_write_of_one_byte_changes_one_byte(void **state)
{
    const uint8_t byte = 0x05;

    (void)state;
    hws_emu_pci_write(&pci, 0x05, &byte, 1);
    assert_int_equal(get16(0x04), 0x0500);
}

static void outside_the_space_is_nothing(void **state)
{
    uint8_t b[8];

    (void)state;
    memset(b, 0xee, sizeof(b));
    hws_emu_pci_read(&pci, 4092, b, 8);
    assert_memory_equal(b, "\0\0\0\0\0\0\0\0", 8);
    memset(b, 0xee, sizeof(b));
    hws_emu_pci_read(&pci, UINT64_MAX - 3, b, 8);
    assert_memory_equal(b, "\0\0\0\0\0\0\0\0", 8);
    hws_emu_pci_write(&pci, 4092, b, 8);
    hws_emu_pci_write(&pci, UINT64_MAX - 3, b, 8);
}

/* By hand, as core/lib/pci_vsc.c of Linux does it. */
static uint32_t vendor_word(unsigned at)
{
    uint8_t b[4];

    hws_emu_pci_read(&pci, at, b, 4);
    return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static void the_vendor_capability_is_reached_by_words(void **state)
{
    const uint8_t four[4] = {4, 3, 2, 0x81};
    unsigned at = find_cap(0x09);

    (void)state;
    assert_int_not_equal(at, 0);
    assert_int_equal(get16(at + 2) & 0xff, 0x18);
    hws_emu_pci_write(&pci, at + 0x0c, four, 2);
    assert_int_equal(vendor_word(at + 0x0c), 0);
    hws_emu_pci_write(&pci, at + 0x0c, four, 4);
    assert_int_equal(vendor_word(at + 0x0c), 0x81020304);
    assert_int_not_equal(vendor_word(at + 8), vendor_word(at + 8));
    hws_emu_pci_write(&pci, at, four, 4); /* its header stays */
    assert_int_equal(find_cap(0x09), at);
}

static void registers_are_big_endian_bytes(void **state)
{
    uint8_t b[8];

    (void)state;
    hws_emu_bar_read(&g.emu, 0x00, b, 8);
    assert_int_equal(b[0] << 8 | b[1], g.profile.version.minor);
    assert_int_equal(b[2] << 8 | b[3], g.profile.version.major);
    assert_int_equal(b[4] << 8 | b[5], 5);
    hws_emu_bar_read(&g.emu, 0x05, b, 1);
    assert_int_equal(b[0], 5);
}

static void only_whole_words_are_written(void **state)
{
    const uint8_t b[7] = {1, 2, 3, 4, 5, 6, 7};

    (void)state;
    hws_emu_bar_write(&g.emu, 0x10, b, 2);
    assert_int_equal(hws_emu_read32(&g.emu, 0x10), 0);
    hws_emu_bar_write(&g.emu, 0x0f, b, 7);
    assert_int_equal(hws_emu_read32(&g.emu, 0x10), 0x02030405);
    hws_emu_bar_write(&g.emu, 0x10, b, 4);
    assert_int_equal(hws_emu_read32(&g.emu, 0x10), 0x01020304);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(identity_is_the_profiles),
        CASE(link_is_the_profiles),
        CASE(a_function_level_reset_is_offered_and_seen),
        CASE(msix_table_is_behind_the_doorbell_pages),
        CASE(only_writable_bits_change),
        CASE(a_write_of_one_byte_changes_one_byte),
        CASE(outside_the_space_is_nothing),
        CASE(the_vendor_capability_is_reached_by_words),
        CASE(registers_are_big_endian_bytes),
        CASE(only_whole_words_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
