/* Planted faults: which command they hit, and what they do to it. */
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_hits_from_the_nth_match_so_often),
        cmocka_unit_test(register_and_direction_select),
        cmocka_unit_test(a_refused_command_has_no_effect),
        cmocka_unit_test(a_dropped_completion_never_comes_but_the_effect_did),
        cmocka_unit_test(a_delayed_command_completes_later_and_others_do_not_wait),
        cmocka_unit_test(a_flipped_byte_breaks_the_signature_unless_signed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
