/* The driver's half of an event queue, against a card played by hand. */
#include <string.h>

#include "base/bits.h"
#include "cmdq/event.h"
#include "fake_bar.h"
#include "test.h"

#define ENTRIES 64u
#define UAR     1u /* so that the doorbell lies inside the fake's registers */
#define NUMBER  7u

static struct fake_bar fake;
static struct hws_cmdq_events ev;

static int setup(void **state)
{
    struct hws_err err;

    (void)state;
    fake_bar_init(&fake, 5, 6);
    assert_ok(hws_cmdq_events_open(&ev, &fake.bar, &err), &err);
    ev.uar = UAR;
    hws_cmdq_events_start(&ev, NUMBER);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_cmdq_events_deinit(&ev);
    hws_cmdq_events_deinit(&ev);
    assert_int_equal(fake.n_live, 0);
    return 0;
}

/* What the card writes as its n-th event, from 0. */
static void post(uint32_t n, uint8_t type, uint32_t slots)
{
    uint8_t *e = (uint8_t *)ev.ring.host + (size_t)(n % ENTRIES) * 64;

    memset(e, 0, 63);
    e[1] = type;
    hws_store_be32(e + 0x20, slots);
    e[63] = (uint8_t)(n / ENTRIES & 1);
}

static uint32_t doorbell(void)
{
    return fake.regs[(UAR * 4096 + 0x40) / 4];
}

static void a_new_ring_is_empty_and_armed(void **state)
{
    (void)state;
    assert_int_equal(doorbell(), NUMBER << 24);
    assert_int_equal(hws_cmdq_events_take(&ev), 0);
}

static void slots_of_several_events_come_together_and_arm_again(void **state)
{
    (void)state;
    post(0, 0x0a, 1u << 3);
    post(1, 0x0a, 1u << 30 | 1u);
    assert_int_equal(hws_cmdq_events_take(&ev), 1u << 30 | 1u << 3 | 1u);
    assert_int_equal(doorbell(), NUMBER << 24 | 2);
    assert_int_equal(hws_cmdq_events_take(&ev), 0);
}

static void other_events_are_taken_and_say_nothing(void **state)
{
    (void)state;
    post(0, 0x09, UINT32_MAX);
    assert_int_equal(hws_cmdq_events_take(&ev), 0);
    assert_int_equal(doorbell(), NUMBER << 24 | 1);
}

static void laps_are_told_by_the_owner_bit(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 5 * ENTRIES; n++) {
        assert_int_equal(hws_cmdq_events_take(&ev), 0);
        post(n, 0x0a, 1u << n % 32);
        assert_int_equal(hws_cmdq_events_take(&ev), 1u << n % 32);
        assert_int_equal(doorbell(), NUMBER << 24 | (n + 1));
    }
}

static void a_card_that_fills_the_ring_is_read_once_around(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < ENTRIES; n++) {
        post(n, 0x0a, 1);
    }
    assert_int_equal(hws_cmdq_events_take(&ev), 1);
    assert_int_equal(doorbell(), NUMBER << 24 | ENTRIES);
    assert_int_equal(hws_cmdq_events_take(&ev), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_new_ring_is_empty_and_armed),
        TEST(slots_of_several_events_come_together_and_arm_again),
        TEST(other_events_are_taken_and_say_nothing),
        TEST(laps_are_told_by_the_owner_bit),
        TEST(a_card_that_fills_the_ring_is_read_once_around),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
