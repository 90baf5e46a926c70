/* MCAM, PCAM and QCAM tell exactly which registers answer: every id of their space is tried. */
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

#define ACCESS 0x110u /* as many bytes as the largest register has */

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

/* A register is there if a method is refused for another reason than that it is not, or works. */
static bool is_there(uint16_t id)
{
    for (int write = 0; write < 2; write++) {
        uint8_t d[ACCESS] = {0};
        uint32_t syndrome = 0;
        uint8_t status = guest_reg(&g, id, write != 0, d, sizeof(d), &syndrome);
        if (status != 0x03 || syndrome != 0xe30020) {
            return true;
        }
    }
    return false;
}

static bool says(const uint8_t *mask, uint32_t bit)
{
    return (hws_load_be32(mask + 12 - (size_t)4 * (bit >> 5)) >> (bit & 31) & 1) != 0;
}

static void check(uint16_t reg, uint32_t bytes, uint8_t group, uint16_t base)
{
    uint8_t d[0x50] = {0};

    d[3] = group;
    assert_int_equal(guest_reg(&g, reg, false, d, bytes, NULL), 0);
    for (uint32_t bit = 0; bit < 128; bit++) {
        uint16_t id = (uint16_t)(base + bit);
        if (says(d + 8, bit) != is_there(id)) {
            fail_msg("register 0x%04x: listed %d, there %d", id, says(d + 8, bit), is_there(id));
        }
    }
}

static void every_id_is_listed_or_refused(void **state)
{
    (void)state;
    for (uint8_t group = 0; group < 4; group++) {
        check(0x907f, 0x48, group, (uint16_t)(0x9000 + 128 * group));
    }
    check(0x507f, 0x50, 0, 0x5000);
    check(0x4019, 0x48, 0, 0x4000);
}

static void groups_that_are_not_there_are_refused(void **state)
{
    static const struct {
        uint16_t reg;
        uint8_t group;
        uint8_t feature_group;
    } cases[] = {{0x907f, 4, 0}, {0x907f, 0, 1}, {0x507f, 1, 0},
                 {0x507f, 0, 1}, {0x4019, 1, 0}, {0x4019, 0, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t d[0x50] = {0, cases[i].feature_group, 0, cases[i].group};
        uint32_t syndrome = 0;
        assert_int_equal(guest_reg(&g, cases[i].reg, false, d, 0x50, &syndrome), 0x03);
        assert_int_equal(syndrome, 0xe30025);
    }
}

/* Every register of every access length: too short is refused as such, and never answered. */
static void short_accesses_are_refused(void **state)
{
    unsigned n_short = 0;

    (void)state;
    for (uint32_t id = 0x4000; id < 0xd000; id++) {
        uint8_t d[4] = {0};
        uint32_t syndrome = 0;
        if ((id & 0xfff) > 0x1ff || (id >= 0x6000 && id < 0x7000)) {
            continue;
        }
        uint8_t status = guest_reg(&g, (uint16_t)id, false, d, 0, &syndrome);
        if (status == 0x03 && (syndrome == 0xe30020 || syndrome == 0xe30022)) {
            continue;
        }
        assert_true((status == 0x50 && syndrome == 0xe30003) ||
                    (status == 0x51 && syndrome == 0xe30004));
        n_short++;
    }
    assert_true(n_short >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_id_is_listed_or_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(groups_that_are_not_there_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(short_accesses_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
