/* Commands other than register access: order of life, pages, capabilities, users. */
#include <string.h>

#include "base/bits.h"
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
    return 0;
}

static int setup_up(void **state)
{
    (void)setup(state);
    guest_bring_up(&g);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

#define BAD_SYS_STATE 0x04
#define BAD_PARAM     0x03

static void commands_wait_for_their_turn_in_life(void **state)
{
    uint8_t out[4112];

    (void)state;
    assert_int_equal(guest_op(&g, 0x100, 1, out, sizeof(out)), BAD_SYS_STATE);
    assert_int_equal(guest_op(&g, 0x102, 0, NULL, 0), BAD_SYS_STATE);
    assert_int_equal(guest_op(&g, 0x104, 0, NULL, 0), 0);
    assert_int_equal(guest_op(&g, 0x100, 1, out, sizeof(out)), 0);
    /* INIT_HCA needs the pages that were asked for. */
    assert_int_equal(guest_op(&g, 0x102, 0, NULL, 0), 0x0f);
    assert_int_equal(guest_op(&g, 0x802, 0, NULL, 0), BAD_SYS_STATE);
    guest_bring_up(&g);
    assert_int_equal(guest_op(&g, 0x802, 0, NULL, 0), 0);
    assert_int_equal(guest_op(&g, 0x105, 0, NULL, 0), 0);
    assert_int_equal(guest_op(&g, 0x103, 0, NULL, 0), BAD_SYS_STATE);
}

static void short_boxes_are_refused_by_length(void **state)
{
    uint8_t out[64];
    const uint8_t in[16] = {0x01, 0x01};

    (void)state;
    assert_int_equal(guest_cmd(&g, in, 16, out, 64), 0);
    assert_int_equal(out[0], 0x51);
    const uint8_t set_caps[16] = {0x01, 0x09};
    assert_int_equal(guest_cmd(&g, set_caps, 16, out, 16), 0);
    assert_int_equal(out[0], 0x50);
}

static void psid_comes_from_the_profile(void **state)
{
    uint8_t out[272];

    (void)state;
    assert_int_equal(guest_op(&g, 0x101, 0, out, sizeof(out)), 0);
    assert_string_equal((const char *)out + 0x100, g.profile.psid);
}

static void capabilities_current_and_maximum(void **state)
{
    uint8_t out[4112];
    static uint8_t in[4112];

    (void)state;
    assert_int_equal(guest_op(&g, 0x100, 1, out, sizeof(out)), 0);
    assert_int_equal(hws_load_be32(out + 0x10 + 0xd4), 7);
    assert_int_equal(hws_load_be32(out + 0x10 + 0x30) & 0xffff, 0);
    assert_int_equal(guest_op(&g, 0x100, 0, out, sizeof(out)), 0);
    assert_int_equal(hws_load_be32(out + 0x10 + 0x30) & 0xffff, 5);
    /* Another type, another function: not there. */
    assert_int_equal(guest_op(&g, 0x100, 3, out, sizeof(out)), BAD_PARAM);

    memset(in, 0, sizeof(in));
    in[0] = 0x01;
    in[1] = 0x09;
    memcpy(in + 16, out + 16, 4096);
    assert_int_equal(guest_op(&g, 0x100, 1, out, sizeof(out)), 0);
    memcpy(in + 16, out + 16, 4096);
    hws_bits_put(in + 16 + 0x30, 0, 16, 4);
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(guest_op(&g, 0x100, 1, out, sizeof(out)), 0);
    assert_int_equal(hws_load_be32(out + 0x10 + 0x30) & 0xffff, 4);
    hws_bits_put(in + 16 + 0x30, 0, 16, 6);
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], BAD_PARAM);
}

static uint8_t command_with_a_bad_block_signature(void)
{
    const uint8_t nop[600] = {0x08, 0x0d};

    guest_post(&g, 1, nop, sizeof(nop), 16);
    guest_in_block(&g, 1, 0)[0x23f] ^= 0xff;
    guest_ring(&g, 1);
    (void)hws_emu_turn(&g.emu, g.now_ms);
    return guest_take(&g, 1, NULL, 0);
}

static void set_checksums(uint32_t mode)
{
    static uint8_t in[4112];
    uint8_t out[4112];

    assert_int_equal(guest_op(&g, 0x100, 1, out, sizeof(out)), 0);
    memset(in, 0, sizeof(in));
    in[0] = 0x01;
    in[1] = 0x09;
    memcpy(in + 16, out + 16, 4096);
    hws_bits_put(in + 16 + 0x40, 14, 2, mode);
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], 0);
}

/* mlx5_core never signs blocks: a card judges them only where the host has asked for it. */
static void block_signatures_are_judged_only_on_request(void **state)
{
    (void)state;
    assert_int_equal(command_with_a_bad_block_signature(), 0);
    set_checksums(3);
    assert_int_equal(command_with_a_bad_block_signature(), 0x01);
    set_checksums(0);
    assert_int_equal(command_with_a_bad_block_signature(), 0);
}

static void users_come_and_go(void **state)
{
    uint8_t in[64] = {0x0a, 0x04};
    uint8_t out[16];
    uint8_t nop[16] = {0x08, 0x0d};

    (void)state;
    in[0x13] = 4;
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], 0);
    uint8_t uid = out[0xb];
    assert_int_not_equal(uid, 0);
    nop[3] = uid;
    assert_int_equal(guest_cmd(&g, nop, 16, out, 16), 0);
    assert_int_equal(out[0], 0);
    /* A user may not take the function down. */
    uint8_t disable[16] = {0x01, 0x05, 0, uid};
    assert_int_equal(guest_cmd(&g, disable, 16, out, 16), 0);
    assert_int_equal(out[0], BAD_PARAM);

    uint8_t destroy[16] = {0x0a, 0x06};
    destroy[0xb] = uid;
    assert_int_equal(guest_cmd(&g, destroy, 16, out, 16), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(guest_cmd(&g, nop, 16, out, 16), 0);
    assert_int_equal(out[0], BAD_PARAM);
    assert_int_equal(guest_cmd(&g, destroy, 16, out, 16), 0);
    assert_int_equal(out[0], 0x05);

    in[0x13] = 8; /* not offered */
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], BAD_PARAM);
    in[0x13] = 4;
    for (unsigned i = 0; i < HWS_EMU_MAX_UCTX; i++) {
        assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
        assert_int_equal(out[0], 0);
    }
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], 0x0f);
}

static void uars_come_and_go(void **state)
{
    uint8_t out[16];
    uint8_t in[16] = {0x08, 0x03};

    (void)state;
    assert_int_equal(guest_op(&g, 0x802, 0, out, 16), 0);
    uint32_t first = hws_load_be24(out + 9);
    assert_true(first >= 3);
    assert_int_equal(guest_op(&g, 0x802, 0, out, 16), 0);
    assert_int_not_equal(hws_load_be24(out + 9), first);
    hws_store_be24(in + 9, first);
    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    assert_int_equal(out[0], 0x05);
}

static void pages_given_come_back(void **state)
{
    uint8_t in[16] = {0x01, 0x08, 0, 0, 0, 0, 0, 2};
    uint8_t out[16 + 8 * 8];

    (void)state;
    in[0xf] = 8;
    assert_int_equal(guest_cmd(&g, in, 16, out, sizeof(out)), 0);
    assert_int_equal(out[0], 0x09); /* in use */
    assert_int_equal(guest_op(&g, 0x103, 0, NULL, 0), 0);
    assert_int_equal(guest_cmd(&g, in, 16, out, 16 + 8 * 5), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(hws_load_be32(out + 8), 5); /* as many as there was room for */
    assert_true(hws_load_be64(out + 16) % 4096 == 0);
    assert_int_equal(guest_cmd(&g, in, 16, out, sizeof(out)), 0);
    assert_int_equal(hws_load_be32(out + 8), 3);
}

static void more_pages_than_asked_for_are_refused(void **state)
{
    uint8_t in[16 + 8] = {0x01, 0x08, 0, 0, 0, 0, 0, 1};
    uint8_t out[16];

    (void)state;
    in[0xf] = 1;
    hws_store_be64(in + 16, GUEST_BASE);
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], 0x08);
    in[0xf] = 2;
    assert_int_equal(guest_cmd(&g, in, sizeof(in), out, 16), 0);
    assert_int_equal(out[0], 0x50);
}

static void issi_is_remembered(void **state)
{
    uint8_t in[16] = {0x01, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    uint8_t out[112];

    (void)state;
    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    assert_int_equal(out[0], 0);
    assert_int_equal(guest_op(&g, 0x10a, 0, out, sizeof(out)), 0);
    assert_int_equal(hws_load_be16(out + 0xa), 1);
    assert_int_equal(hws_load_be32(out + 0x6c), 3);
    in[0xb] = 9;
    assert_int_equal(guest_cmd(&g, in, 16, out, 16), 0);
    assert_int_equal(out[0], BAD_PARAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commands_wait_for_their_turn_in_life, setup, teardown),
        cmocka_unit_test_setup_teardown(short_boxes_are_refused_by_length, setup, teardown),
        cmocka_unit_test_setup_teardown(psid_comes_from_the_profile, setup_up, teardown),
        cmocka_unit_test_setup_teardown(capabilities_current_and_maximum, setup_up, teardown),
        cmocka_unit_test_setup_teardown(block_signatures_are_judged_only_on_request, setup_up,
                                        teardown),
        cmocka_unit_test_setup_teardown(users_come_and_go, setup_up, teardown),
        cmocka_unit_test_setup_teardown(uars_come_and_go, setup_up, teardown),
        cmocka_unit_test_setup_teardown(pages_given_come_back, setup_up, teardown),
        cmocka_unit_test_setup_teardown(more_pages_than_asked_for_are_refused, setup_up, teardown),
        cmocka_unit_test_setup_teardown(issi_is_remembered, setup_up, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
