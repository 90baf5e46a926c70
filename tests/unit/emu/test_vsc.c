/* The vendor specific capability, used step by step as core/lib/pci_vsc.c of Linux does. */
#include "emu/vsc.h"
#include "test.h"

#define SW_RESET 0x20u
#define FLAG     0x80000000u

static struct hws_emu_vsc vsc;

static int setup(void **state)
{
    (void)state;
    vsc = (struct hws_emu_vsc){0};
    return 0;
}

static uint32_t get(uint32_t offset)
{
    return hws_emu_vsc_read(&vsc, offset);
}

static void put(uint32_t offset, uint32_t value)
{
    hws_emu_vsc_write(&vsc, offset, value);
}

static void the_lock_is_the_first_ones_until_it_frees_it(void **state)
{
    uint32_t mine = get(8);
    uint32_t other = get(8);

    (void)state;
    assert_int_not_equal(mine, other);
    assert_int_equal(get(0xc), 0);
    put(0xc, mine);
    put(0xc, other);
    assert_int_equal(get(0xc), mine);
    put(0xc, 0);
    put(0xc, other);
    assert_int_equal(get(0xc), other);
}

static void a_semaphore_is_taken_and_freed_through_the_gateway(void **state)
{
    uint32_t id = (uint32_t)hws_test_seed() | 1;

    (void)state;
    put(4, 0xa);
    assert_int_not_equal(get(4) >> 29, 0);
    put(0x14, id);
    put(0x10, FLAG | SW_RESET);
    assert_int_equal(get(0x10), SW_RESET); /* the flag falls when it is written */
    put(0x14, id + 2);
    put(0x10, FLAG | SW_RESET);
    put(0x10, SW_RESET);
    assert_int_equal(get(0x10), FLAG | SW_RESET); /* and rises when it is read */
    assert_int_equal(get(0x14), id);
    put(0x14, 0);
    put(0x10, FLAG | SW_RESET);
    put(0x10, SW_RESET);
    assert_int_equal(get(0x14), 0);
}

static void other_spaces_are_not_served(void **state)
{
    (void)state;
    put(4, 0x7); /* the scan space of the CR dump */
    assert_int_equal(get(4) >> 29, 0);
    put(0x10, SW_RESET);
    assert_int_equal(get(0x10), SW_RESET);
    put(0x10, FLAG | SW_RESET);
    assert_int_equal(get(0x10), FLAG | SW_RESET);
    put(4, 0xa);
    put(0x10, 0x3fffffff);
    assert_int_equal(get(0x10), 0x3fffffff);
    put(0, 1);
    put(8, 1);
    put(0x18, 1);
    assert_int_equal(get(0x18), 0);
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_lock_is_the_first_ones_until_it_frees_it),
        CASE(a_semaphore_is_taken_and_freed_through_the_gateway),
        CASE(other_spaces_are_not_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
