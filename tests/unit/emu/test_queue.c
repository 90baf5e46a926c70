/* The card's side of the queue: what is well formed runs, what is malformed gets its delivery
 * status. */
#include <string.h>

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
    guest_queue(&g);
    g.emu.checksums = true; /* as SET_HCA_CAP makes it */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

static const uint8_t nop[16] = {0x08, 0x0d};

static void nop_completes_with_status_ok(void **state)
{
    uint8_t out[16] = {0xee};

    (void)state;
    assert_int_equal(guest_cmd(&g, nop, 16, out, 16), 0);
    assert_int_equal(out[0], 0);
}

static void unknown_opcode_is_bad_op(void **state)
{
    const uint8_t in[16] = {0x7f, 0xff};
    uint8_t out[16];

    (void)state;
    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    assert_int_equal(out[0], 0x02);
}

static void entry_with_chains(void)
{
    uint8_t in[16 + 1000] = {0x08, 0x0d};

    guest_post(&g, 3, in, sizeof(in), 16 + 1000);
}

static uint8_t outcome(void)
{
    guest_ring(&g, 3);
    (void)hws_emu_turn(&g.emu, g.now_ms);
    return guest_take(&g, 3, NULL, 0);
}

/* One row: a byte of entry or block set to a value, signed again or not, and the status it must
 * give. */
static const struct {
    char where; /* 'e' entry, 'i' input block 1, 'o' output block 1 */
    uint8_t value;
    uint16_t at;
    bool sign;
    uint8_t delivery;
} spoiled[] = {
    {'e', 6, 0x00, true, 0x10},    {'e', 0x55, 0x3d, false, 0x01}, {'e', 0, 0x3c, true, 0x02},
    {'e', 99, 0x3c, true, 0x02},   {'e', 1, 0x3e, true, 0x09},     {'e', 1, 0x01, true, 0x09},
    {'e', 0x7f, 0x04, true, 0x07}, {'e', 0x7f, 0x38, true, 0x08},  {'e', 1, 0x0f, true, 0x05},
    {'e', 1, 0x37, true, 0x04},    {'e', 0x7f, 0x08, true, 0x06},  {'e', 0x7f, 0x30, true, 0x06},
    {'i', 99, 0x23d, true, 0x02},  {'i', 7, 0x23b, true, 0x03},    {'i', 1, 0x010, false, 0x01},
    {'i', 1, 0x23e, false, 0x01},  {'o', 99, 0x23d, true, 0x02},   {'o', 7, 0x23b, true, 0x03},
    {'o', 1, 0x23e, false, 0x01},
};

static void malformed_commands_are_refused_by_delivery_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(spoiled) / sizeof(spoiled[0]); i++) {
        entry_with_chains();
        uint8_t *entry = guest_entry(&g, 3);
        uint8_t *block =
            spoiled[i].where == 'i' ? guest_in_block(&g, 3, 1) : guest_out_block(&g, 3, 1);
        uint8_t *where = spoiled[i].where == 'e' ? entry : block;
        where[spoiled[i].at] = spoiled[i].value;
        if (spoiled[i].sign && spoiled[i].where == 'e') {
            guest_sign_entry(entry);
        } else if (spoiled[i].sign) {
            guest_sign_block(block);
        }

        uint8_t delivery = outcome();

        if (delivery != spoiled[i].delivery) {
            fail_msg("row %zu: delivery 0x%x, expected 0x%x", i, delivery, spoiled[i].delivery);
        }
    }
}

static void lengths_under_the_header_are_refused(void **state)
{
    (void)state;
    guest_post(&g, 3, nop, 15, 16);
    assert_int_equal(outcome(), 0x07);
    guest_post(&g, 3, nop, 16, 7);
    assert_int_equal(outcome(), 0x08);
    guest_post(&g, 3, nop, 16, 12);
    assert_int_equal(outcome(), 0x00);
}

static void a_longer_input_chain_than_needed_is_fine(void **state)
{
    (void)state;
    entry_with_chains();
    uint8_t *last = guest_in_block(&g, 3, 1);
    last[0x237] = 0x00;
    last[0x236] = 0x40; /* next points at a block of rubbish */
    guest_sign_block(last);

    assert_int_equal(outcome(), 0);
}

static void an_entry_that_is_not_ours_is_left_alone(void **state)
{
    uint8_t before[64];

    (void)state;
    guest_post(&g, 3, nop, 16, 16);
    guest_entry(&g, 3)[0x3f] = 0;
    memcpy(before, guest_entry(&g, 3), 64);
    guest_ring(&g, 3);
    (void)hws_emu_turn(&g.emu, g.now_ms);
    assert_memory_equal(before, guest_entry(&g, 3), 64);
}

static void all_slots_of_one_doorbell_complete(void **state)
{
    (void)state;
    for (unsigned s = 0; s < 8; s++) {
        guest_post(&g, s, nop, 16, 16);
    }
    hws_emu_write32(&g.emu, 0x18, 0xff);
    assert_true(hws_emu_turn(&g.emu, g.now_ms) == UINT64_MAX);
    for (unsigned s = 0; s < 8; s++) {
        assert_int_equal(guest_take(&g, s, NULL, 0), 0);
    }
}

static void nothing_runs_before_the_card_has_a_queue(void **state)
{
    (void)state;
    hws_emu_power_cycle(&g.emu, ++g.now_ms);
    guest_post(&g, 0, nop, 16, 16);
    guest_ring(&g, 0);
    (void)hws_emu_turn(&g.emu, g.now_ms);
    assert_false(guest_done(&g, 0));
}

static void a_disabled_interface_leaves_memory_alone(void **state)
{
    (void)state;
    guest_post(&g, 0, nop, 16, 16);
    guest_ring(&g, 0);
    hws_emu_write32(&g.emu, 0x14, 1u << 8);
    (void)hws_emu_turn(&g.emu, g.now_ms);
    assert_false(guest_done(&g, 0));
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) >> 8 & 7, 1);

    guest_queue(&g);
    assert_int_equal(guest_cmd(&g, nop, 16, NULL, 16), 0);
}

static void init_segment_tells_version_sizes_and_readiness(void **state)
{
    (void)state;
    assert_int_equal(hws_emu_read32(&g.emu, 0),
                     (uint32_t)g.profile.version.minor << 16 | g.profile.version.major);
    assert_int_equal(hws_emu_read32(&g.emu, 4), 5u << 16 | g.profile.version.subminor);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) & 0xff, 0x56);
    assert_int_equal(hws_emu_read32(&g.emu, 0x1fc) >> 31, 0);
    assert_int_not_equal(hws_emu_read32(&g.emu, 0x230), 0xffffffff);
    uint32_t before = hws_emu_read32(&g.emu, 0x1010);
    assert_int_not_equal(hws_emu_read32(&g.emu, 0x1010), before);
}

static enum hws_code power_on(void *arg)
{
    static struct guest fresh;
    static struct hws_emu_profile p;
    struct hws_emu_config config = {.dma = guest_dma(&fresh)};
    enum hws_code rc = hws_emu_profile_parse(text, strlen(text), &p, NULL);

    (void)arg;
    if (rc == HWS_OK) {
        rc = hws_emu_init(&fresh.emu, &p, &config, NULL, 0, 0, NULL);
    }
    hws_emu_deinit(&fresh.emu);
    hws_emu_profile_deinit(&p);
    return rc;
}

static void running_out_of_memory_at_power_on_leaks_nothing(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(power_on, NULL) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nop_completes_with_status_ok, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_opcode_is_bad_op, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_commands_are_refused_by_delivery_status, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lengths_under_the_header_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_longer_input_chain_than_needed_is_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(an_entry_that_is_not_ours_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(all_slots_of_one_doorbell_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_runs_before_the_card_has_a_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disabled_interface_leaves_memory_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(init_segment_tells_version_sizes_and_readiness, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(running_out_of_memory_at_power_on_leaks_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
