/* Planted faults: which command they hit, and what they do to it. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "emu/incident.h"
#include "guest.h"
#include "test.h"

static struct guest g;
static char text[8192];

static void start(const char *faults)
{
    uint64_t r = hws_test_seed();

    guest_profile_text(text, sizeof(text), &r, faults);
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
}

static uint8_t nop(uint8_t *out)
{
    const uint8_t in[16] = {0x08, 0x0d};

    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    return out[0];
}

static void status_hits_from_the_nth_match_so_often(void **state)
{
    uint8_t out[16];

    (void)state;
    start("faults: [{opcode: NOP, countdown: 3, repeat: 2, action: status, status: RES_BUSY, "
          "syndrome: 0xabcdef01}]\n");
    for (unsigned i = 1; i <= 6; i++) {
        bool hit = i == 3 || i == 4;
        assert_int_equal(nop(out), hit ? 6 : 0);
        if (hit) {
            assert_memory_equal(out + 4, "\xab\xcd\xef\x01", 4);
        }
    }
    guest_stop(&g);
}

static void register_and_direction_select(void **state)
{
    uint8_t d[0x20] = {0};
    uint8_t out[16];

    (void)state;
    start(
        "faults: [{register: MTMP, access: write, repeat: 0, action: status, status: BAD_RES}]\n");
    assert_int_equal(guest_reg(&g, 0x900a, false, d, sizeof(d), NULL), 0);
    assert_int_equal(guest_reg(&g, 0x900a, true, d, sizeof(d), NULL), 5);
    assert_int_equal(guest_reg(&g, 0x900a, true, d, sizeof(d), NULL), 5);
    assert_int_equal(nop(out), 0);
    guest_stop(&g);
}

static void a_refused_command_has_no_effect(void **state)
{
    uint8_t d[16] = {0x80};

    (void)state;
    start(
        "faults: [{register: HOST_ENDIANNESS, access: write, action: status, status: INT_ERR}]\n");
    assert_int_equal(guest_reg(&g, 0x7004, true, d, sizeof(d), NULL), 1);
    assert_int_equal(guest_reg(&g, 0x7004, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[0], 0);
    guest_stop(&g);
}

static void a_dropped_completion_never_comes_but_the_effect_did(void **state)
{
    uint8_t in[16 + 16] = {0x08, 0x05};
    uint8_t d[16] = {0};

    (void)state;
    start("faults: [{register: 0x7004, access: write, action: drop}]\n");
    in[0xa] = 0x70;
    in[0xb] = 0x04;
    in[16] = 0x80;
    guest_post(&g, 4, in, sizeof(in), sizeof(in));
    guest_ring(&g, 4);
    assert_true(hws_emu_turn(&g.emu, 100) == UINT64_MAX);
    g.now_ms = 1000000;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    assert_false(guest_done(&g, 4));
    assert_int_equal(guest_reg(&g, 0x7004, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[0], 0x80);
    guest_stop(&g);
}

static void what_was_dropped_can_arrive_late_unless_its_slot_is_in_use_again(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};

    (void)state;
    start("faults: [{opcode: NOP, action: drop, repeat: 2}]\n");
    for (unsigned slot = 1; slot <= 2; slot++) {
        guest_post(&g, slot, in, 16, 16);
        guest_ring(&g, slot);
        (void)hws_emu_turn(&g.emu, 1);
        assert_false(guest_done(&g, slot));
    }
    guest_post(&g, 2, in, 16, 16);
    guest_ring(&g, 2);
    hws_emu_late(&g.emu);
    assert_int_equal(guest_take(&g, 1, NULL, 0), 0);
    assert_false(guest_done(&g, 2));
    (void)hws_emu_turn(&g.emu, 2);
    assert_int_equal(guest_take(&g, 2, NULL, 0), 0);
    guest_stop(&g);
}

static void a_delayed_command_completes_later_and_others_do_not_wait(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};

    (void)state;
    start("faults: [{opcode: NOP, action: delay, delay_ms: 250}]\n");
    guest_post(&g, 1, in, 16, 16);
    guest_ring(&g, 1);
    assert_true(hws_emu_turn(&g.emu, 10) == 260);
    guest_post(&g, 2, in, 16, 16);
    guest_ring(&g, 2);
    assert_true(hws_emu_turn(&g.emu, 259) == 260);
    assert_false(guest_done(&g, 1));
    assert_int_equal(guest_take(&g, 2, NULL, 0), 0);
    (void)hws_emu_turn(&g.emu, 260);
    assert_int_equal(guest_take(&g, 1, NULL, 0), 0);
    guest_stop(&g);
}

static void a_flipped_byte_breaks_the_signature_unless_signed_again(void **state)
{
    uint8_t out[272];
    const uint8_t in[16] = {0x01, 0x01};

    (void)state;
    start("faults:\n"
          "  - {opcode: QUERY_ADAPTER, countdown: 2, action: flip, offset: 0x101, mask: 0x20, "
          "sign: true}\n"
          "  - {opcode: QUERY_ADAPTER, countdown: 3, action: flip, offset: 0x101, mask: 0x20}\n");
    assert_int_equal(guest_cmd(&g, in, 16, out, sizeof(out)), 0);
    assert_int_equal(out[0x101], 'T');
    assert_int_equal(guest_cmd(&g, in, 16, out, sizeof(out)), 0);
    assert_int_equal(out[0x101], 't');

    guest_post(&g, 0, in, 16, sizeof(out));
    guest_ring(&g, 0);
    (void)hws_emu_turn(&g.emu, g.now_ms);
    const uint8_t *block = guest_out_block(&g, 0, 0);
    uint8_t x = 0;
    for (size_t i = 0; i < 576; i++) {
        x ^= block[i];
    }
    assert_int_equal(x, 0xff ^ 0x20);
    assert_int_equal(block[0x101 - 16], 't');
    guest_stop(&g);
}

/* Which of n commands a plan with that seed hits. */
static void draw(uint64_t seed, unsigned percent, bool *hits, unsigned n)
{
    struct hws_emu_fault f;
    struct hws_emu_fault_count count = {0};
    const struct hws_emu_fault_probe probe = {.op = 0x80d};
    char yaml[128];

    (void)snprintf(yaml, sizeof(yaml), "{action: drop, repeat: 0, percent: %u, seed: %llu}",
                   percent, (unsigned long long)seed);
    assert_code(hws_emu_fault_parse(yaml, strlen(yaml), &f, NULL), HWS_OK);
    for (unsigned i = 0; i < n; i++) {
        hits[i] = hws_emu_fault_match(&f, 1, &count, &probe) != NULL;
    }
}

static void chance_follows_its_seed(void **state)
{
    uint64_t r = hws_test_seed();
    uint64_t seed = hws_test_rand(&r);
    bool one[2000];
    bool again[2000];
    bool other[2000];
    unsigned n = 0;

    (void)state;
    draw(seed, 25, one, 2000);
    draw(seed, 25, again, 2000);
    draw(seed + 1, 25, other, 2000);
    assert_memory_equal(one, again, sizeof(one));
    assert_memory_not_equal(one, other, sizeof(one));
    for (unsigned i = 0; i < 2000; i++) {
        n += one[i] ? 1 : 0;
    }
    assert_in_range(n, 350, 650); /* seven deviations around 500 */
}

static void a_chance_that_is_missed_is_not_used_up(void **state)
{
    struct hws_emu_fault f = {.any_op = true,
                              .any_reg = true,
                              .countdown = 1,
                              .repeat = 3,
                              .percent = 10,
                              .action = HWS_EMU_FAULT_DROP};
    struct hws_emu_fault_count count = {0};
    const struct hws_emu_fault_probe probe = {.op = 0x80d};

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        (void)hws_emu_fault_match(&f, 1, &count, &probe);
    }
    assert_int_equal(count.n_matches, 5000);
    assert_int_equal(count.n_hits, 3);
}

static void delivery_status_answers_without_execution(void **state)
{
    uint8_t d[16] = {0x80};
    uint8_t in[32] = {0x08, 0x05};

    (void)state;
    start("faults: [{register: 0x7004, access: write, action: delivery, status: 2}]\n");
    in[0xa] = 0x70;
    in[0xb] = 0x04;
    in[16] = 0x80;
    assert_int_equal(guest_cmd(&g, in, sizeof(in), NULL, sizeof(in)), 2);
    assert_int_equal(guest_reg(&g, 0x7004, false, d, sizeof(d), NULL), 0);
    assert_int_equal(d[0], 0);
    guest_stop(&g);
}

static uint8_t xor_of(const uint8_t *p, size_t n)
{
    uint8_t x = 0;

    for (size_t i = 0; i < n; i++) {
        x ^= p[i];
    }
    return x;
}

static void a_bad_token_is_signed_right_and_a_bad_signature_is_not(void **state)
{
    const uint8_t in[16] = {0x01, 0x01};

    (void)state;
    start("faults:\n"
          "  - {opcode: QUERY_ADAPTER, action: bad_token}\n"
          "  - {opcode: QUERY_ADAPTER, countdown: 2, action: bad_signature}\n");
    guest_post(&g, 0, in, 16, 272);
    uint8_t token = guest_entry(&g, 0)[0x3c];
    guest_ring(&g, 0);
    (void)hws_emu_turn(&g.emu, 0);
    assert_true(guest_done(&g, 0));
    assert_int_not_equal(guest_entry(&g, 0)[0x3c], token);
    assert_int_not_equal(guest_out_block(&g, 0, 0)[0x23d], token);
    assert_int_equal(xor_of(guest_entry(&g, 0), 64), 0xff);

    guest_post(&g, 0, in, 16, 272);
    token = guest_entry(&g, 0)[0x3c];
    guest_ring(&g, 0);
    (void)hws_emu_turn(&g.emu, 0);
    assert_true(guest_done(&g, 0));
    assert_int_equal(guest_entry(&g, 0)[0x3c], token);
    assert_int_equal(xor_of(guest_entry(&g, 0), 64), 0);
    guest_stop(&g);
}

static void a_hang_takes_commands_and_the_health_counter_until_it_ends(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};

    (void)state;
    start("faults: [{opcode: NOP, action: hang, delay_ms: 500}]\n");
    guest_post(&g, 1, in, 16, 16);
    guest_ring(&g, 1);
    assert_true(hws_emu_turn(&g.emu, 10) == 510);
    guest_post(&g, 2, in, 16, 16);
    guest_ring(&g, 2);
    assert_true(hws_emu_turn(&g.emu, 400) == 510);
    assert_false(guest_done(&g, 1) || guest_done(&g, 2));
    assert_int_equal(hws_emu_read32(&g.emu, 0x1010), hws_emu_read32(&g.emu, 0x1010));
    (void)hws_emu_turn(&g.emu, 510);
    assert_int_equal(guest_take(&g, 1, NULL, 0), 0);
    assert_int_equal(guest_take(&g, 2, NULL, 0), 0);
    assert_int_not_equal(hws_emu_read32(&g.emu, 0x1010), hws_emu_read32(&g.emu, 0x1010));
    guest_stop(&g);
}

static void a_health_syndrome_shows_and_commands_go_on(void **state)
{
    uint8_t out[16];

    (void)state;
    start("faults: [{opcode: NOP, action: health, syndrome: 0x10}]\n");
    assert_int_equal(nop(out), 0);
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c) >> 16 & 0xff, 0x10);
    assert_int_equal(hws_emu_read32(&g.emu, 0x238) >> 31, 0);
    assert_int_equal(nop(out), 0);
    hws_emu_resume(&g.emu);
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c), 0);
    guest_stop(&g);
}

static void a_fatal_error_stops_the_firmware_until_the_driver_resets_it(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};
    uint8_t out[16];

    (void)state;
    start("faults: [{opcode: NOP, action: fatal, syndrome: 1}]\n");
    guest_post(&g, 3, in, 16, 16);
    guest_ring(&g, 3);
    (void)hws_emu_turn(&g.emu, 1);
    (void)hws_emu_turn(&g.emu, 1000000);
    assert_false(guest_done(&g, 3));
    assert_int_equal(hws_emu_read32(&g.emu, 0x238) >> 31, 1);
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c) >> 16 & 0xff, 1);

    assert_int_equal(hws_emu_read32(&g.emu, 0x1fc) >> 30 & 1, 1);
    hws_emu_write32(&g.emu, 0x14, 7u << 8);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) >> 8 & 7, 1);
    assert_int_equal(hws_emu_read32(&g.emu, 0x23c), 0);
    g.now_ms = 1000000 + g.profile.boot_ms;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    guest_bring_up(&g);
    assert_int_equal(hws_emu_read32(&g.emu, 0x14) >> 8 & 7, 0);
    assert_int_equal(nop(out), 0);
    guest_stop(&g);
}

static bool asks_for_a_reset(void)
{
    return hws_emu_read32(&g.emu, 0x238) >> 31 == 1;
}

static uint32_t syndrome(void)
{
    return hws_emu_read32(&g.emu, 0x23c) >> 16 & 0xff;
}

static void a_hang_does_not_shorten_a_fatal_error(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};

    (void)state;
    start("");
    hws_emu_health_raise(&g.emu, 8, true);
    hws_emu_hang(&g.emu, 50);
    guest_post(&g, 1, in, 16, 16);
    guest_ring(&g, 1);
    (void)hws_emu_turn(&g.emu, g.now_ms + 1000);
    assert_false(guest_done(&g, 1));
    assert_true(asks_for_a_reset());
    assert_int_equal(syndrome(), 8);
    hws_emu_resume(&g.emu); /* by command: all is well again */
    (void)hws_emu_turn(&g.emu, g.now_ms + 1001);
    assert_true(guest_done(&g, 1));
    assert_false(asks_for_a_reset());
    assert_int_equal(syndrome(), 0);
    guest_stop(&g);
}

static void a_hang_ends_and_leaves_the_syndrome(void **state)
{
    uint8_t out[16];

    (void)state;
    start("");
    hws_emu_hang(&g.emu, 50);
    hws_emu_health_raise(&g.emu, 0x10, false);
    g.now_ms += 60;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    assert_int_equal(nop(out), 0);
    assert_int_equal(syndrome(), 0x10);
    guest_stop(&g);
}

static void a_fatal_error_outlasts_the_hang_it_comes_in(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};

    (void)state;
    start("");
    hws_emu_hang(&g.emu, 50);
    hws_emu_health_raise(&g.emu, 8, true);
    guest_post(&g, 1, in, 16, 16);
    guest_ring(&g, 1);
    (void)hws_emu_turn(&g.emu, g.now_ms + 1000);
    assert_false(guest_done(&g, 1));
    assert_true(asks_for_a_reset());
    guest_stop(&g);
}

static void a_firmware_reset_forgets_the_queue(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};

    (void)state;
    start("faults: [{opcode: NOP, action: reset}]\n");
    guest_post(&g, 3, in, 16, 16);
    guest_ring(&g, 3);
    (void)hws_emu_turn(&g.emu, 7);
    assert_false(guest_done(&g, 3));
    assert_int_equal(hws_emu_read32(&g.emu, 0x10), 0);
    assert_true(g.emu.boot_at_ms == 7);
    guest_stop(&g);
}

static void an_unplugged_card_reads_as_ones_and_touches_nothing(void **state)
{
    const uint8_t in[16] = {0x08, 0x0d};

    (void)state;
    start("faults: [{opcode: NOP, action: unplug, delay_ms: 100}]\n");
    guest_post(&g, 3, in, 16, 16);
    guest_ring(&g, 3);
    assert_true(hws_emu_turn(&g.emu, 7) == 107);
    assert_false(guest_done(&g, 3));
    assert_true(hws_emu_read32(&g.emu, 0x1fc) == UINT32_MAX);
    guest_queue(&g);
    guest_ring(&g, 3);
    assert_true(hws_emu_turn(&g.emu, 106) == 107);
    assert_false(guest_done(&g, 3));
    (void)hws_emu_turn(&g.emu, 107);
    g.now_ms = 107 + g.profile.boot_ms;
    (void)hws_emu_turn(&g.emu, g.now_ms);
    guest_bring_up(&g);
    guest_stop(&g);
}

static void a_dropped_event_leaves_the_entry_done(void **state)
{
    uint8_t eq[0x118] = {0};
    uint8_t out[16];
    unsigned ring = 0xf0000u;

    (void)state;
    start("faults: [{opcode: NOP, countdown: 2, action: drop_event}]\n");
    assert_int_equal(guest_op(&g, 0x802, 0, out, 16), 0);
    hws_store_be16(eq, 0x301);
    hws_store_be32(eq + 0x1c, 4u << 24 | hws_load_be24(out + 9));
    hws_store_be64(eq + 0x58, 1u << 10);
    hws_store_be64(eq + 0x110, GUEST_BASE + ring);
    memset(g.mem + ring, 0xff, 1024);
    assert_int_equal(guest_cmd(&g, eq, sizeof(eq), out, 16), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(nop(out), 0);
    assert_int_equal(nop(out), 0);
    assert_int_equal(g.mem[ring + 63] & 1, 0);
    assert_int_equal(g.mem[ring + 64 + 63], 0xff);
    hws_emu_late(&g.emu);
    assert_int_equal(g.mem[ring + 64 + 63] & 1, 0);
    assert_int_equal(nop(out), 0);
    assert_int_equal(g.mem[ring + 128 + 63] & 1, 0);
    guest_stop(&g);
}

static void a_plan_can_grow_to_its_limit_and_be_cleared(void **state)
{
    struct hws_emu_fault f;
    struct hws_err err = {0};
    const uint8_t in[16] = {0x08, 0x0d};
    uint8_t out[16];
    static const char delay[] = "{opcode: NOP, action: delay, delay_ms: 50, repeat: 0}";

    (void)state;
    start("");
    assert_ok(hws_emu_fault_parse(delay, sizeof(delay) - 1, &f, &err), &err);
    for (unsigned i = 0; i < HWS_EMU_MAX_FAULTS; i++) {
        assert_ok(hws_emu_plant(&g.emu, &f, &err), &err);
    }
    assert_code(hws_emu_plant(&g.emu, &f, &err), HWS_E_BUSY);
    guest_post(&g, 1, in, 16, 16);
    guest_ring(&g, 1);
    assert_true(hws_emu_turn(&g.emu, 10) == 60);
    hws_emu_clear_faults(&g.emu);
    (void)hws_emu_turn(&g.emu, 60);
    assert_int_equal(guest_take(&g, 1, NULL, 0), 0);
    g.now_ms = 60;
    assert_int_equal(nop(out), 0);
    guest_stop(&g);
}

static void a_fault_that_makes_no_sense_is_refused_by_name(void **state)
{
    static const struct {
        const char *text;
        const char *word;
    } bad[] = {
        {"{action: explode}", "explode"},
        {"{opcode: NOP}", "action"},
        {"{action: status}", "status"},
        {"{action: delivery, status: 200}", "delivery"},
        {"{action: fatal}", "fatal"},
        {"{action: health, syndrome: 256}", "health"},
        {"{action: drop, percent: 0}", "percent"},
        {"{action: drop, percent: 101}", "percent"},
        {"{action: hang, delay_ms: 86400001}", "delay_ms"},
        {"{action: drop, wheel: 1}", "wheel"},
        {"[drop]", "mapping"},
        {"", "not YAML"},
    };
    struct hws_emu_fault f;
    struct hws_err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(hws_emu_fault_parse(bad[i].text, strlen(bad[i].text), &f, &err), HWS_E_INVALID);
        if (strstr(err.msg, bad[i].word) == NULL) {
            fail_msg("%s: %s", bad[i].text, err.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_hits_from_the_nth_match_so_often),
        cmocka_unit_test(register_and_direction_select),
        cmocka_unit_test(a_refused_command_has_no_effect),
        cmocka_unit_test(a_dropped_completion_never_comes_but_the_effect_did),
        cmocka_unit_test(what_was_dropped_can_arrive_late_unless_its_slot_is_in_use_again),
        cmocka_unit_test(a_delayed_command_completes_later_and_others_do_not_wait),
        cmocka_unit_test(a_flipped_byte_breaks_the_signature_unless_signed_again),
        cmocka_unit_test(chance_follows_its_seed),
        cmocka_unit_test(a_chance_that_is_missed_is_not_used_up),
        cmocka_unit_test(delivery_status_answers_without_execution),
        cmocka_unit_test(a_bad_token_is_signed_right_and_a_bad_signature_is_not),
        cmocka_unit_test(a_hang_takes_commands_and_the_health_counter_until_it_ends),
        cmocka_unit_test(a_health_syndrome_shows_and_commands_go_on),
        cmocka_unit_test(a_fatal_error_stops_the_firmware_until_the_driver_resets_it),
        cmocka_unit_test(a_hang_does_not_shorten_a_fatal_error),
        cmocka_unit_test(a_hang_ends_and_leaves_the_syndrome),
        cmocka_unit_test(a_fatal_error_outlasts_the_hang_it_comes_in),
        cmocka_unit_test(a_firmware_reset_forgets_the_queue),
        cmocka_unit_test(an_unplugged_card_reads_as_ones_and_touches_nothing),
        cmocka_unit_test(a_dropped_event_leaves_the_entry_done),
        cmocka_unit_test(a_plan_can_grow_to_its_limit_and_be_cleared),
        cmocka_unit_test(a_fault_that_makes_no_sense_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
