/* Every refused command: its status and its syndrome. */
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

enum stage { POWERED, ENABLED, INITED };

#define SYND(n) (0x00e30000u + (n))

static struct guest g;
static char text[8192];
static bool seen[0x100]; /* syndromes, by their last byte */

static void start(enum stage stage)
{
    uint64_t r = hws_test_seed();

    guest_profile_text(text, sizeof(text), &r, "");
    guest_start(&g, text, NULL, 0);
    guest_queue(&g);
    if (stage == ENABLED) {
        assert_int_equal(guest_op(&g, 0x104, 0, NULL, 0), 0);
    } else if (stage == INITED) {
        guest_bring_up(&g);
    }
}

static void expect(const uint8_t *in, uint32_t in_bytes, uint32_t out_bytes, uint8_t status,
                   uint32_t syndrome)
{
    static uint8_t out[4112];

    assert_int_equal(guest_cmd(&g, in, in_bytes, out, out_bytes), 0);
    if (out[0] != status || hws_load_be32(out + 4) != syndrome) {
        fail_msg("opcode 0x%04x: status 0x%02x syndrome 0x%08x, expected 0x%02x 0x%08x",
                 hws_load_be16(in), out[0], hws_load_be32(out + 4), status, syndrome);
    }
    seen[syndrome & 0xff] = true;
}

struct patch {
    uint16_t at;
    uint32_t value;
};

static const struct {
    enum stage stage;
    uint16_t op;
    uint16_t uid;
    uint16_t op_mod;
    struct patch patches[2]; /* dwords; at 0 = none */
    uint16_t in_bytes;
    uint16_t out_bytes;
    uint8_t status;
    uint32_t syndrome;
} cases[] = {
    {INITED, 0x0999, 0, 0, {{0}}, 16, 16, 0x02, SYND(0x01)},
    {INITED, 0x080d, 5, 0, {{0}}, 16, 16, 0x03, SYND(0x02)},
    {INITED, 0x0a06, 0, 0, {{0x08, 5}}, 16, 16, 0x05, SYND(0x02)},
    {INITED, 0x0109, 0, 0, {{0}}, 16, 16, 0x50, SYND(0x03)},
    {INITED, 0x0108, 0, 1, {{0x0c, 2}}, 24, 16, 0x50, SYND(0x03)},
    {INITED, 0x0101, 0, 0, {{0}}, 16, 64, 0x51, SYND(0x04)},
    {POWERED, 0x0100, 0, 1, {{0}}, 16, 4112, 0x04, SYND(0x05)},
    {ENABLED, 0x0802, 0, 0, {{0}}, 16, 16, 0x04, SYND(0x06)},
    {INITED, 0x0100, 0, 3, {{0}}, 16, 4112, 0x03, SYND(0x07)},
    {INITED, 0x0107, 0, 9, {{0}}, 16, 16, 0x03, SYND(0x07)},
    {INITED, 0x0108, 0, 9, {{0}}, 16, 16, 0x03, SYND(0x07)},
    {INITED, 0x0805, 0, 2, {{0x08, 0x9020}}, 0xb0, 0xb0, 0x03, SYND(0x07)},
    {INITED, 0x0100, 0, 1, {{0x08, 0x80000000}}, 16, 4112, 0x03, SYND(0x08)},
    {POWERED, 0x0104, 0, 0, {{0x08, 1}}, 16, 16, 0x03, SYND(0x08)},
    {ENABLED, 0x010b, 0, 0, {{0x08, 9}}, 16, 16, 0x03, SYND(0x09)},
    {ENABLED, 0x0102, 0, 0, {{0}}, 32, 16, 0x0f, SYND(0x0a)},
    {INITED, 0x0108, 0, 2, {{0x0c, 1}}, 16, 24, 0x09, SYND(0x0a)},
    {INITED, 0x0108, 0, 1, {{0x0c, 1}, {0x14, 0x1000}}, 24, 16, 0x08, SYND(0x0a)},
    {ENABLED, 0x0108, 0, 1, {{0x0c, 1}, {0x14, 0x1010}}, 24, 16, 0x03, SYND(0x0b)},
    {INITED, 0x0a04, 0, 0, {{0x10, 8}}, 64, 16, 0x03, SYND(0x0d)},
    {INITED, 0x0803, 0, 0, {{0x08, 1}}, 16, 16, 0x05, SYND(0x0f)},
    {INITED, 0x0301, 0, 0, {{0x1c, 1}}, 0x118, 16, 0x05, SYND(0x0f)},
    {INITED, 0x0302, 0, 0, {{0x08, 7}}, 16, 16, 0x05, SYND(0x13)},
    {INITED, 0x0805, 0, 1, {{0x08, 0x1234}}, 32, 32, 0x03, SYND(0x20)},
    {INITED, 0x0805, 0, 0, {{0x08, 0x9020}}, 0xb0, 0xb0, 0x03, SYND(0x21)},
    {INITED, 0x0805, 0, 1, {{0x08, 0x9025}}, 28, 28, 0x03, SYND(0x22)},
    {INITED, 0x0805, 0, 1, {{0x08, 0x5006}}, 32, 32, 0x03, SYND(0x23)},
    {INITED, 0x0805, 0, 1, {{0x08, 0x9024}, {0x14, 0xdead}}, 0x11c, 0x11c, 0x03, SYND(0x30)},
    {INITED, 0x0805, 0, 0, {{0x08, 0x9028}}, 24, 24, 0x03, SYND(0x40)},
    {INITED, 0x0805, 0, 0, {{0x08, 0x9028}, {0x14, 1u << 27 | 8}}, 24, 24, 0x09, SYND(0x42)},
    {INITED, 0x0103, 0, 0, {{0x08, 1}}, 16, 16, 0x03, SYND(0x14)},
    {INITED, 0x0b0c, 0, 1, {{0x08, 0x1234}}, 32, 32, 0x03, SYND(0x20)},
};

static void refused_commands_say_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t in[4112] = {0};

        start(cases[i].stage);
        for (size_t k = 0; k < 2 && cases[i].patches[k].at != 0; k++) {
            hws_store_be32(in + cases[i].patches[k].at, cases[i].patches[k].value);
        }
        hws_store_be16(in, cases[i].op);
        hws_store_be16(in + 2, cases[i].uid);
        hws_store_be16(in + 6, cases[i].op_mod);
        expect(in, cases[i].in_bytes, cases[i].out_bytes, cases[i].status, cases[i].syndrome);
        guest_stop(&g);
    }
}

/* Repeats a command until it is refused. */
static unsigned until_refused(const uint8_t *in, uint32_t in_bytes, uint8_t status,
                              uint32_t syndrome)
{
    uint8_t out[16];
    unsigned n = 0;

    for (;; n++) {
        assert_int_equal(guest_cmd(&g, in, in_bytes, out, sizeof(out)), 0);
        if (out[0] != 0) {
            break;
        }
    }
    expect(in, in_bytes, sizeof(out), status, syndrome);
    return n;
}

static void what_runs_out_is_said(void **state)
{
    uint8_t uctx[64] = {0x0a, 0x04};
    uint8_t uar[16] = {0x08, 0x02};
    uint8_t eq[0x118] = {0x03, 0x01};
    uint8_t out[16];

    (void)state;
    start(INITED);
    assert_int_equal(until_refused(uctx, sizeof(uctx), 0x0f, SYND(0x0c)), HWS_EMU_MAX_UCTX);
    assert_int_equal(guest_cmd(&g, uar, sizeof(uar), out, sizeof(out)), 0);
    hws_store_be32(eq + 0x1c, 4u << 24 | hws_load_be24(out + 9));
    hws_store_be64(eq + 0x110, GUEST_BASE);
    assert_int_equal(until_refused(eq, sizeof(eq), 0x0f, SYND(0x11)), HWS_EMU_MAX_EQS);
    assert_int_equal(until_refused(uar, sizeof(uar), 0x0f, SYND(0x0e)), HWS_EMU_MAX_UARS - 1);
    guest_stop(&g);
}

static void contexts_and_capabilities_out_of_range_are_said(void **state)
{
    static uint8_t caps[4112] = {0x01, 0x09};
    uint8_t uar[16] = {0x08, 0x02};
    uint8_t eq[0x118] = {0x03, 0x01};
    uint8_t out[16];

    (void)state;
    start(INITED);
    memset(caps + 16, 0xff, 4096);
    expect(caps, sizeof(caps), 16, 0x03, SYND(0x10));
    assert_int_equal(guest_cmd(&g, uar, sizeof(uar), out, sizeof(out)), 0);
    hws_store_be32(eq + 0x1c, 4u << 24 | hws_load_be24(out + 9));
    hws_store_be64(eq + 0x110, GUEST_BASE);
    hws_store_be32(eq + 0x24, HWS_EMU_MAX_VECTORS);
    expect(eq, sizeof(eq), 16, 0x03, SYND(0x12));
    hws_store_be32(eq + 0x24, 0);
    hws_store_be64(eq + 0x110, GUEST_BASE + 1);
    expect(eq, sizeof(eq), 16, 0x03, SYND(0x0b));
    guest_stop(&g);
}

static void a_second_reset_is_busy(void **state)
{
    uint8_t in[24] = {0x08, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0x90, 0x28};
    uint8_t out[24];

    (void)state;
    start(INITED);
    hws_store_be32(in + 0x14, 1u << 29 | 8);
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, sizeof(out)), 0);
    assert_int_equal(out[0], 0);
    expect(in, sizeof(in), sizeof(out), 0x06, SYND(0x41));
    guest_stop(&g);
}

/* Runs last: no syndrome of a command is left without a case; those of registers have their own
 * tests. */
static void every_syndrome_of_a_command_was_seen(void **state)
{
    static const uint32_t all[] = {
#define HWS_EMU_SYND(number, name, meaning, source) (number),
#include "emu/syndrome.def"
#undef HWS_EMU_SYND
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] < SYND(0x20) && !seen[all[i] & 0xff]) {
            fail_msg("syndrome 0x%08x was not seen", all[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_commands_say_why),
        cmocka_unit_test(what_runs_out_is_said),
        cmocka_unit_test(contexts_and_capabilities_out_of_range_are_said),
        cmocka_unit_test(a_second_reset_is_busy),
        cmocka_unit_test(every_syndrome_of_a_command_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
