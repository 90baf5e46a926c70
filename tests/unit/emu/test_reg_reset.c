/* A firmware reset that the host's driver is asked about: each step by hand, as core/fw_reset.c of
 * Linux 7.3.4 takes them. */
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

#define RING    0xf0000u
#define START   (UINT32_C(1) << 29 | 0x08)
#define YES     (UINT32_C(1) << 27 | 0x08)
#define NO      (UINT32_C(2) << 27 | 0x08)
#define SYNC_MS 5000u

enum { REQUEST = 0, NOW = 1, ABORT = 2 };

static struct guest g;
static char text[8192];
static unsigned n_events;

/* An event queue for general events, and SET_HCA_CAP with pci_sync_for_fw_update_event. */
static void listen(bool wanted)
{
    uint8_t eq[0x118] = {0};
    uint8_t caps[4112] = {0x01, 0x09};
    uint8_t out[4112];

    assert_int_equal(guest_op(&g, 0x802, 0, out, 16), 0);
    hws_store_be16(eq, 0x301);
    hws_store_be32(eq + 0x1c, 4u << 24 | hws_load_be24(out + 9));
    hws_store_be64(eq + 0x58, UINT64_C(1) << 0x22);
    hws_store_be64(eq + 0x110, GUEST_BASE + RING);
    memset(g.mem + RING, 0xff, 1024);
    assert_int_equal(guest_cmd(&g, eq, sizeof(eq), out, 16), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(guest_op(&g, 0x100, 1, out, sizeof(out)), 0);
    memcpy(caps + 16, out + 16, 4096);
    hws_bits_put(caps + 16 + 0x3c, 14, 1, wanted);
    assert_int_equal(guest_cmd(&g, caps, sizeof(caps), out, 16), 0);
    assert_int_equal(out[0], 0);
}

static int setup(void **state)
{
    uint64_t r = hws_test_seed();

    (void)state;
    guest_profile_text(text, sizeof(text), &r, "timeouts: {pci_sync: 5000}\n");
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
    n_events = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

static uint8_t mfrl_write(uint32_t dw4)
{
    uint8_t d[8] = {0};

    hws_store_be32(d + 4, dw4);
    return guest_reg(&g, 0x9028, true, d, sizeof(d), NULL);
}

static uint32_t mfrl_state(void)
{
    uint8_t d[8] = {0};

    assert_int_equal(guest_reg(&g, 0x9028, false, d, sizeof(d), NULL), 0);
    return hws_load_be32(d + 4) >> 16 & 0xf;
}

/* The next event, which must be a step of the reset. */
static uint8_t next_step(void)
{
    const uint8_t *e = g.mem + RING + (size_t)64 * n_events++;

    assert_int_equal(e[0x3f] & 1, 0);
    assert_int_equal(e[0x01], 0x22);
    assert_int_equal(e[0x03], 0x08);
    return e[0x23];
}

static void no_more_events(void)
{
    assert_int_equal(g.mem[RING + (size_t)64 * n_events + 0x3f], 0xff);
}

/* TEARDOWN_HCA prepare, then nic_interface disabled. */
static void let_go(void)
{
    uint8_t in[16] = {0x01, 0x03};
    uint8_t out[16];

    in[0x0b] = 2;
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, sizeof(out)), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(hws_load_be32(out + 0x0c), 0);
    hws_emu_write32(&g.emu, 0x14, 1u << 8);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) >> 8 & 7, 1);
}

static void a_driver_that_agrees_is_told_when_and_the_card_resets_once_it_lets_go(void **state)
{
    (void)state;
    listen(true);
    assert_int_equal(mfrl_write(START), 0);
    assert_int_equal(next_step(), REQUEST);
    assert_int_equal(mfrl_state(), 1);
    assert_int_equal(mfrl_write(START), 0x06); /* one at a time */
    assert_int_equal(mfrl_write(YES), 0);
    assert_int_equal(next_step(), NOW);
    assert_int_equal(mfrl_state(), 2);
    no_more_events();
    let_go();
    assert_true(hws_emu_turn(&g.emu, 4) == 5);
    assert_int_equal(g.emu.state, HWS_EMU_DISABLED);
    (void)hws_emu_turn(&g.emu, 5);
    assert_int_equal(g.emu.state, HWS_EMU_READY);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) >> 8 & 7, 1); /* until the driver comes back */
    g.now_ms = 5;
    guest_bring_up(&g);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) >> 8 & 7, 0);
    assert_int_equal(mfrl_state(), 0);
}

static void a_refusal_ends_it(void **state)
{
    (void)state;
    listen(true);
    assert_int_equal(mfrl_write(START), 0);
    assert_int_equal(next_step(), REQUEST);
    assert_int_equal(mfrl_write(NO), 0);
    assert_int_equal(mfrl_state(), 4);
    assert_int_equal(mfrl_write(YES), 0x09); /* nobody asks any more */
    assert_true(hws_emu_turn(&g.emu, 100000) == UINT64_MAX);
    assert_int_equal(g.emu.state, HWS_EMU_QUEUE);
    no_more_events();
    g.now_ms = 100000;
    assert_int_equal(mfrl_write(START), 0); /* it can be asked again */
    assert_int_equal(next_step(), REQUEST);
}

static void silence_ends_it_and_is_told(void **state)
{
    (void)state;
    listen(true);
    assert_int_equal(mfrl_write(START), 0);
    assert_int_equal(next_step(), REQUEST);
    assert_true(hws_emu_turn(&g.emu, SYNC_MS - 1) == SYNC_MS);
    no_more_events();
    (void)hws_emu_turn(&g.emu, SYNC_MS);
    g.now_ms = SYNC_MS;
    assert_int_equal(next_step(), ABORT);
    assert_int_equal(mfrl_state(), 3);
}

static void a_driver_that_agrees_and_holds_on_is_not_reset(void **state)
{
    (void)state;
    listen(true);
    assert_int_equal(mfrl_write(START), 0);
    assert_int_equal(mfrl_write(YES), 0);
    assert_int_equal(next_step(), REQUEST);
    assert_int_equal(next_step(), NOW);
    (void)hws_emu_turn(&g.emu, SYNC_MS);
    g.now_ms = SYNC_MS;
    assert_int_equal(next_step(), ABORT);
    assert_int_equal(mfrl_state(), 5);
    let_go();
    assert_true(hws_emu_turn(&g.emu, UINT64_C(2) * SYNC_MS) == UINT64_MAX);
    assert_int_equal(g.emu.state, HWS_EMU_DISABLED);
}

static void a_driver_that_does_not_want_to_know_is_not_asked(void **state)
{
    (void)state;
    listen(false);
    assert_int_equal(mfrl_write(START), 0);
    no_more_events();
    assert_int_equal(mfrl_state(), 2);
    (void)hws_emu_turn(&g.emu, 5);
    assert_int_equal(g.emu.state, HWS_EMU_READY);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) >> 8 & 7, 0);
}

static void an_unknown_teardown_is_refused_and_a_fast_one_forgets_the_host(void **state)
{
    uint8_t in[16] = {0x01, 0x03};
    uint8_t out[16];

    (void)state;
    in[0x0b] = 1;
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, sizeof(out)), 0);
    assert_int_equal(out[0], 0x03);
    let_go();
    assert_true(hws_emu_turn(&g.emu, 1000) == UINT64_MAX);
    guest_bring_up(&g); /* from the first page on */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_driver_that_agrees_is_told_when_and_the_card_resets_once_it_lets_go),
        CASE(a_refusal_ends_it),
        CASE(silence_ends_it_and_is_told),
        CASE(a_driver_that_agrees_and_holds_on_is_not_reset),
        CASE(a_driver_that_does_not_want_to_know_is_not_asked),
        CASE(an_unknown_teardown_is_refused_and_a_fast_one_forgets_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
