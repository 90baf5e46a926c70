/* Event queues and the health buffer, seen by a host that lays everything out by hand. */
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

#define RING 0xf0000u /* two pages of guest memory that no slot uses */
#define EQ   1u

static struct guest g;
static char text[8192];
static unsigned n_irqs;
static uint32_t last_vector;
static uint32_t uar;

static void on_irq(void *data, uint32_t vector)
{
    (void)data;
    n_irqs++;
    last_vector = vector;
}

static int setup(void **state)
{
    uint64_t r = hws_test_seed();
    uint8_t out[16];

    (void)state;
    guest_profile_text(text, sizeof(text), &r, "");
    guest_start(&g, text, NULL, 0);
    g.emu.config.interrupt = on_irq;
    n_irqs = 0;
    guest_queue(&g);
    guest_bring_up(&g);
    assert_int_equal(guest_op(&g, 0x802, 0, out, 16), 0);
    uar = hws_load_be24(out + 9);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

/* CREATE_EQ by hand: context at 0x10, mask at 0x58, pages at 0x110. */
static void create_eq_in(uint8_t *in, uint32_t log_size, uint64_t mask)
{
    memset(in, 0, 0x120);
    hws_store_be16(in, 0x301);
    hws_store_be32(in + 0x1c, log_size << 24 | uar);
    hws_store_be32(in + 0x24, 5); /* vector */
    hws_store_be64(in + 0x58, mask);
    hws_store_be64(in + 0x110, GUEST_BASE + RING);
    hws_store_be64(in + 0x118, GUEST_BASE + RING + 4096);
}

static uint8_t create_eq(uint32_t log_size, uint64_t mask)
{
    uint8_t in[0x120];
    uint8_t out[16];

    create_eq_in(in, log_size, mask);
    memset(g.mem + RING, 0xff, (size_t)64 << log_size); /* the host owns every entry at first */
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    return out[0] == 0 ? out[11] : 0;
}

static void doorbell(uint32_t offset, uint32_t ci)
{
    hws_emu_write32(&g.emu, uar * 4096 + offset, EQ << 24 | (ci & 0xffffff));
}

static void nop(void)
{
    const uint8_t in[16] = {0x08, 0x0d};
    uint8_t out[16];

    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
}

static const uint8_t *entry(uint32_t idx)
{
    return g.mem + RING + (size_t)idx * 64;
}

static void completion_becomes_an_event_with_the_slot_bit(void **state)
{
    (void)state;
    assert_int_equal(create_eq(4, 1u << 10), EQ);
    doorbell(0x40, 0);

    nop();

    assert_int_equal(entry(0)[1], 0x0a);
    assert_int_equal(hws_load_be32(entry(0) + 0x20), 1);
    assert_int_equal(entry(0)[0x3f] & 1, 0);
    assert_int_equal(n_irqs, 1);
    assert_int_equal(last_vector, 5);
}

static void the_command_that_creates_the_queue_is_polled_for(void **state)
{
    (void)state;
    assert_int_equal(create_eq(4, 1u << 10), EQ);
    assert_int_equal(entry(0)[0x3f], 0xff);
}

static void owner_bit_is_the_parity_of_the_lap(void **state)
{
    (void)state;
    assert_int_equal(create_eq(2, 1u << 10), EQ);
    for (uint32_t i = 0; i < 13; i++) {
        nop();
        assert_int_equal(entry(i % 4)[0x3f] & 1, i / 4 % 2);
        doorbell(0x48, i + 1);
    }
    assert_int_equal(n_irqs, 0);
}

static void ring_continues_on_its_second_page(void **state)
{
    (void)state;
    assert_int_equal(create_eq(7, 1u << 10), EQ);
    for (uint32_t i = 0; i < 65; i++) {
        nop();
    }
    assert_int_equal(entry(64)[1], 0x0a);
    assert_int_equal(entry(65)[0x3f], 0xff);
}

static void only_an_armed_queue_interrupts_and_once(void **state)
{
    (void)state;
    assert_int_equal(create_eq(4, 1u << 10), EQ);
    nop();
    assert_int_equal(n_irqs, 0);

    doorbell(0x40, 0); /* one entry waits: at once */
    assert_int_equal(n_irqs, 1);
    nop();
    assert_int_equal(n_irqs, 1);
    doorbell(0x40, 2);
    assert_int_equal(n_irqs, 1);
    nop();
    assert_int_equal(n_irqs, 2);
}

static void a_full_ring_loses_the_event_and_tells_health(void **state)
{
    (void)state;
    assert_int_equal(create_eq(1, 1u << 10), EQ);
    nop();
    nop();
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c), 0);
    nop();
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c) >> 16 & 0xff, 0x0c);
    assert_int_equal(hws_emu_read32(&g.emu, 0x238) >> 31, 0);
}

static void an_index_never_produced_is_ignored(void **state)
{
    (void)state;
    assert_int_equal(create_eq(1, 1u << 10), EQ);
    doorbell(0x40, 7);
    nop();
    nop();
    assert_int_equal(n_irqs, 0);
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c), 0);
}

static void a_doorbell_from_another_page_is_ignored(void **state)
{
    (void)state;
    assert_int_equal(create_eq(4, 1u << 10), EQ);
    hws_emu_write32(&g.emu, (uar + 1) * 4096 + 0x40, EQ << 24);
    hws_emu_write32(&g.emu, uar * 4096 + 0x44, EQ << 24);
    hws_emu_write32(&g.emu, uar * 4096 + 0x40, 2u << 24);
    hws_emu_write32(&g.emu, uar * 4096 + 0x40, 0xffu << 24);
    nop();
    assert_int_equal(n_irqs, 0);
}

static void after_destroy_completions_are_polled_again(void **state)
{
    uint8_t in[16] = {0x03, 0x02};
    uint8_t out[16];

    (void)state;
    assert_int_equal(create_eq(4, 1u << 10), EQ);
    in[11] = EQ;
    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(entry(0)[0x3f], 0xff);
    nop();
    assert_int_equal(entry(0)[0x3f], 0xff);

    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    assert_int_equal(out[0], 0x05);
}

/* One word of the inbox changed, and the status it must give. */
static const struct {
    const char *what;
    uint32_t at;
    uint32_t value;
    uint8_t status;
} wrong[] = {
    {"UAR never allocated", 0x1c, 4u << 24 | 77, 0x05},
    {"init segment as UAR", 0x1c, 4u << 24 | 1, 0x05},
    {"ring too large", 0x1c, 14u << 24 | 16, 0x03},
    {"vector out of range", 0x24, 64, 0x03},
    {"page too large", 0x28, 9u << 24, 0x03},
    {"page offset", 0x18, 1u << 6, 0x03},
    {"page not aligned", 0x114, RING + 8, 0x03},
    {"more pages than sent", 0x1c, 8u << 24 | 16, 0x50},
};

static void a_context_that_cannot_be_is_refused(void **state)
{
    uint8_t in[0x120];
    uint8_t out[16];

    (void)state;
    assert_int_equal(uar, 16);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        create_eq_in(in, 4, 1u << 10);
        hws_store_be32(in + wrong[i].at, wrong[i].value);
        assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
        if (out[0] != wrong[i].status) {
            fail_msg("%s: status 0x%x, expected 0x%x", wrong[i].what, out[0], wrong[i].status);
        }
    }
    assert_int_equal(create_eq(4, 1u << 10), EQ); /* and none of them took a queue */
}

static void a_ring_outside_host_memory_loses_the_event_and_tells_health(void **state)
{
    uint8_t in[0x120];
    uint8_t out[16];

    (void)state;
    create_eq_in(in, 4, 1u << 10);
    hws_store_be64(in + 0x110, 0x1000);
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], 0);
    nop();
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c) >> 16 & 0xff, 0x0e);
}

static void there_is_a_limit_of_queues(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < HWS_EMU_MAX_EQS; i++) {
        assert_int_equal(create_eq(1, 0), i + 1);
    }
    assert_int_equal(create_eq(1, 0), 0);
}

static void function_reset_forgets_the_host_and_keeps_the_firmware(void **state)
{
    (void)state;
    assert_int_equal(create_eq(4, 1u << 10), EQ);
    doorbell(0x40, 0);
    g.now_ms += 5000;

    hws_emu_function_reset(&g.emu, g.now_ms);

    assert_int_equal(hws_emu_read32(&g.emu, 0x22c), 5);
    assert_int_equal(hws_emu_read32(&g.emu, 0x10), 0);
    hws_emu_write32(&g.emu, 0x18, 1); /* no queue: nothing runs */
    assert_int_equal(hws_emu_turn(&g.emu, g.now_ms) > g.now_ms, 1);
    guest_queue(&g);
    guest_bring_up(&g);
    nop();
    assert_int_equal(n_irqs, 0);
}

static void a_fatal_syndrome_asks_for_a_reset_until_there_is_one(void **state)
{
    (void)state;
    uint32_t counter = hws_emu_read32(&g.emu, 0x1010);
    assert_int_not_equal(hws_emu_read32(&g.emu, 0x1010), counter);

    hws_emu_health_raise(&g.emu, 0x10, false);
    assert_int_equal(hws_emu_read32(&g.emu, 0x238) >> 24, 0x0b);
    hws_emu_health_raise(&g.emu, 0x01, true);
    assert_int_equal(hws_emu_read32(&g.emu, 0x238) >> 24, 0x8a);
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c), 0x10u << 16);

    hws_emu_power_cycle(&g.emu, g.now_ms);
    assert_int_equal(hws_emu_read32(&g.emu, 0x238), 0);
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(completion_becomes_an_event_with_the_slot_bit),
        CASE(the_command_that_creates_the_queue_is_polled_for),
        CASE(owner_bit_is_the_parity_of_the_lap),
        CASE(ring_continues_on_its_second_page),
        CASE(only_an_armed_queue_interrupts_and_once),
        CASE(a_full_ring_loses_the_event_and_tells_health),
        CASE(an_index_never_produced_is_ignored),
        CASE(a_doorbell_from_another_page_is_ignored),
        CASE(after_destroy_completions_are_polled_again),
        CASE(a_context_that_cannot_be_is_refused),
        CASE(a_ring_outside_host_memory_loses_the_event_and_tells_health),
        CASE(there_is_a_limit_of_queues),
        CASE(function_reset_forgets_the_host_and_keeps_the_firmware),
        CASE(a_fatal_syndrome_asks_for_a_reset_until_there_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
