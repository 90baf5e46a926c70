/* The in-process port: what the card may reach, and what it may not. */
#include <string.h>

#include "emu/port.h"
#include "guest.h"
#include "test.h"

static struct hws_emu_profile profile;
static struct hws_emu_port port;
static char text[8192];

static int setup(void **state)
{
    uint64_t r = hws_test_seed();
    struct hws_err err = {0};

    (void)state;
    guest_profile_text(text, sizeof(text), &r, "");
    assert_ok(hws_emu_profile_parse(text, strlen(text), &profile, &err), &err);
    assert_ok(hws_emu_port_init(&port, &profile, NULL, NULL, 0, 0, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_emu_port_deinit(&port);
    hws_emu_profile_deinit(&profile);
    return 0;
}

static struct hws_dma piece(size_t bytes, size_t align)
{
    struct hws_dma d;

    assert_code(port.bar.ops->dma_alloc(&port.bar, bytes, align, &d, NULL), HWS_OK);
    return d;
}

static bool card_reads(uint64_t addr, size_t n)
{
    static uint8_t to[8192];
    const struct hws_emu_dma *dma = &port.emu.config.dma;
    return dma->read(dma->data, addr, to, n);
}

static void memory_is_zeroed_aligned_and_above_4_gib(void **state)
{
    struct hws_dma d = piece(5000, 4096);

    (void)state;
    assert_true(d.dev_addr % 4096 == 0);
    assert_true((uintptr_t)d.host % 4096 == 0);
    assert_true(d.dev_addr >= UINT64_C(0x100000000));
    for (size_t i = 0; i < d.bytes; i++) {
        assert_int_equal(((const uint8_t *)d.host)[i], 0);
    }
}

static void the_card_reaches_its_pieces_and_nothing_else(void **state)
{
    struct hws_dma a = piece(4096, 4096);
    struct hws_dma b = piece(1024, 1024);
    const struct hws_emu_dma *dma = &port.emu.config.dma;

    (void)state;
    assert_true(card_reads(a.dev_addr, 4096));
    assert_true(card_reads(a.dev_addr + 4095, 1));
    assert_false(card_reads(a.dev_addr, 4097));
    assert_false(card_reads(a.dev_addr - 1, 1));
    assert_false(card_reads(a.dev_addr + 4096, 1));
    assert_false(card_reads(a.dev_addr & UINT32_MAX, 1));
    assert_false(card_reads(UINT64_MAX - 3, 8));
    assert_true(dma->write(dma->data, b.dev_addr + 8, "xyz", 3));
    assert_memory_equal((uint8_t *)b.host + 8, "xyz", 3);
}

static void freed_memory_is_gone_for_the_card(void **state)
{
    struct hws_dma a = piece(64, 64);
    uint64_t addr = a.dev_addr;

    (void)state;
    port.bar.ops->dma_free(&port.bar, &a);
    assert_null(a.host);
    assert_false(card_reads(addr, 1));
    port.bar.ops->dma_free(&port.bar, &a);
    /* A new piece does not come back at the old address. */
    assert_true(piece(64, 64).dev_addr != addr);
}

static void limits_are_busy(void **state)
{
    struct hws_dma d;
    struct hws_err err = {0};

    (void)state;
    assert_code(port.bar.ops->dma_alloc(&port.bar, HWS_EMU_PORT_MAX_BYTES + 1, 64, &d, &err),
                HWS_E_BUSY);
    for (unsigned i = 0; i < HWS_EMU_PORT_MAX_PIECES; i++) {
        (void)piece(16, 16);
    }
    assert_code(port.bar.ops->dma_alloc(&port.bar, 16, 16, &d, &err), HWS_E_BUSY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_zeroed_aligned_and_above_4_gib, setup, teardown),
        cmocka_unit_test_setup_teardown(the_card_reaches_its_pieces_and_nothing_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(freed_memory_is_gone_for_the_card, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_busy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
