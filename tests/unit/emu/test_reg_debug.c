/* What a card tells of itself for debugging: the tracer, dumps of resources, timeouts. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

static struct guest g;
static char text[8192];
static uint32_t base;
static uint32_t fw_reset_ms;

static int setup(void **state)
{
    char extra[400];
    uint64_t r = hws_test_seed();

    (void)state;
    base = (uint32_t)hws_test_rand(&r);
    fw_reset_ms = 1 + (uint32_t)(hws_test_rand(&r) % 900000);
    (void)snprintf(extra, sizeof(extra),
                   "tracer: {base: %u, first_string: 7, n_strings: 9, strings: [\"port %%d up\", "
                   "\"v%u\", \"temperature %%d of %%d\"]}\n"
                   "timeouts: {command: 61000, queue_init: 1500, fw_reset: %u, reset_unload: "
                   "3600000}\n",
                   base, base % 10007, fw_reset_ms);
    guest_profile_text(text, sizeof(text), &r, extra);
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

static void timeouts_stand_in_the_init_segment_and_in_dtor(void **state)
{
    uint8_t d[0x40] = {0};

    (void)state;
    assert_int_equal(hws_emu_read32(&g.emu, 0x0ff8), 61000);
    assert_int_equal(hws_emu_read32(&g.emu, 0x0ffc), 1500);
    memset(d, 0xff, sizeof(d));
    assert_int_equal(guest_reg(&g, 0xc00e, false, d, sizeof(d), NULL), 0);
    assert_int_equal(hws_load_be32(d + 0x1c), fw_reset_ms);
    assert_int_equal(hws_load_be32(d + 0x38), 1u << 29 | 3600); /* too many ms: seconds */
    assert_int_equal(hws_load_be32(d + 0x28), 0);
}

static void the_string_database_is_read_in_pieces(void **state)
{
    uint8_t cap[0x84] = {0};
    char got[256] = {0};
    char want[256];

    (void)state;
    assert_int_equal(guest_reg(&g, 0x9040, false, cap, sizeof(cap), NULL), 0);
    assert_int_equal(hws_load_be32(cap), 1); /* one database, no owner, no memory */
    assert_int_equal(cap[4] << 8 | cap[5], 7 << 8 | 9);
    assert_int_equal(hws_load_be32(cap + 0x10), base);
    uint32_t n = hws_load_be32(cap + 0x14) & 0xffffff;
    for (uint32_t at = 0; at < n; at += 8) {
        uint8_t d[16] = {0};
        uint32_t piece = n - at < 8 ? n - at : 8;
        hws_store_be32(d, piece);
        hws_store_be32(d + 4, at);
        assert_int_equal(guest_reg(&g, 0x9042, false, d, sizeof(d), NULL), 0);
        memcpy(got + at, d + 8, piece);
    }
    int len = snprintf(want, sizeof(want), "port %%d up%cv%u%ctemperature %%d of %%d", 0,
                       base % 10007, 0);
    assert_int_equal(n, len + 1);
    assert_memory_equal(got, want, n);

    uint8_t d[16] = {0};
    hws_store_be32(d, 8);
    hws_store_be32(d + 4, n - 4);
    assert_int_equal(guest_reg(&g, 0x9042, false, d, sizeof(d), NULL), 0x03);
    hws_store_be32(d, 1u << 28 | 8); /* the second database */
    assert_int_equal(guest_reg(&g, 0x9042, false, d, sizeof(d), NULL), 0x03);
    hws_store_be32(d, 8);
    hws_store_be32(d + 4, 0);
    assert_int_equal(guest_reg(&g, 0x9042, false, d, 12, NULL), 0x51);
}

static void only_an_owner_runs_the_tracer(void **state)
{
    uint8_t cap[0x84] = {0x80};
    uint8_t ctrl[0x40] = {0x40, 0, 0, 1};
    uint8_t conf[0x80] = {0};
    uint32_t syndrome = 0;

    (void)state;
    assert_int_equal(guest_reg(&g, 0x9043, true, ctrl, sizeof(ctrl), &syndrome), 0x09);
    assert_int_equal(syndrome, 0xe30060);
    assert_int_equal(guest_reg(&g, 0x9041, true, conf, sizeof(conf), NULL), 0x09);
    assert_int_equal(guest_reg(&g, 0x9040, true, cap, sizeof(cap), NULL), 0);
    assert_int_equal(cap[0], 0x80);
    conf[7] = 5;
    assert_int_equal(guest_reg(&g, 0x9041, true, conf, sizeof(conf), NULL), 0);
    conf[3] = 1; /* to memory */
    assert_int_equal(guest_reg(&g, 0x9041, true, conf, sizeof(conf), NULL), 0x03);
    assert_int_equal(guest_reg(&g, 0x9041, false, conf, sizeof(conf), NULL), 0);
    assert_int_equal(conf[3] << 8 | conf[7], 5);
    memset(ctrl, 0, sizeof(ctrl));
    ctrl[0] = 0x40; /* nothing selected: nothing changes */
    assert_int_equal(guest_reg(&g, 0x9043, true, ctrl, sizeof(ctrl), NULL), 0);
    assert_int_equal(ctrl[0], 0);
    ctrl[0] = 0x40;
    ctrl[3] = 1;
    g.now_ms = 5000;
    assert_int_equal(guest_reg(&g, 0x9043, true, ctrl, sizeof(ctrl), NULL), 0);
    assert_int_equal(ctrl[0], 0x40);
    assert_true(((uint64_t)(hws_load_be32(ctrl + 8) & 0x1fffff) << 32 | hws_load_be32(ctrl + 12)) ==
                UINT64_C(5000000000));
    ctrl[3] = 2;
    assert_int_equal(guest_reg(&g, 0x9043, true, ctrl, sizeof(ctrl), NULL), 0x03);
    memset(cap, 0, sizeof(cap));
    assert_int_equal(guest_reg(&g, 0x9040, true, cap, sizeof(cap), NULL), 0);
    assert_int_equal(guest_reg(&g, 0x9043, false, ctrl, sizeof(ctrl), NULL), 0);
    assert_int_equal(ctrl[0], 0); /* given back: it stopped */
}

/* A whole dump; returns its bytes and how many parts it came in. */
static uint32_t dump(uint16_t type, uint32_t index, uint16_t n_objects, uint8_t *out,
                     unsigned *parts)
{
    uint8_t d[0x100] = {0};
    uint32_t n = 0;

    *parts = 0;
    d[0] = 0x40;
    hws_store_be16(d + 2, type);
    hws_store_be32(d + 8, index);
    hws_store_be16(d + 0x10, n_objects);
    do {
        assert_int_equal(guest_reg(&g, 0xc000, false, d, sizeof(d), NULL), 0);
        assert_true(hws_load_be32(d + 0x24) <= 208);
        memcpy(out + n, d + 0x30, hws_load_be32(d + 0x24));
        n += hws_load_be32(d + 0x24);
        (*parts)++;
        assert_true(*parts < 100);
    } while ((d[0] & 0x80) != 0);
    return n;
}

/* The next segment of that type, or NULL. */
static const uint8_t *segment(const uint8_t *bytes, uint32_t n, uint16_t type, const uint8_t *after)
{
    for (uint32_t at = 0; at < n; at += 4u * hws_load_be16(bytes + at)) {
        assert_true(hws_load_be16(bytes + at) > 0);
        if (hws_load_be16(bytes + at + 2) == type && bytes + at > after) {
            return bytes + at;
        }
    }
    return NULL;
}

static void the_menu_lists_what_can_be_dumped(void **state)
{
    uint8_t b[4096];
    unsigned parts;
    uint32_t n = dump(0xffff, 0, 0, b, &parts);

    (void)state;
    assert_int_equal(hws_load_be16(b + 2), 0xfffe); /* information comes first */
    assert_int_equal(hws_load_be32(b + 8), g.profile.hw_dev_id);
    assert_int_equal(b[12], (uint8_t)g.profile.version.major);
    const uint8_t *command = segment(b, n, 0xfffa, b);
    assert_non_null(command);
    assert_int_equal(hws_load_be16(command + 4), 0xffff);
    const uint8_t *menu = segment(b, n, 0xffff, b);
    assert_non_null(menu);
    assert_int_equal(hws_load_be16(menu + 6), 2);
    assert_string_equal((const char *)menu + 8 + 4, "FULL_EQC");
    assert_non_null(segment(b, n, 0xfffb, b));
}

static void contexts_are_dumped_one_or_all_in_parts(void **state)
{
    uint8_t b[8192];
    uint8_t in[64] = {0x0a, 0x04};
    uint8_t out[16];
    unsigned parts;
    unsigned n_uids = 0;

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(guest_cmd(&g, in, sizeof(in), out, sizeof(out)), 0);
        assert_int_equal(out[0], 0);
    }
    uint32_t n = dump(0x1001, 0, 0xffff, b, &parts);
    assert_true(parts > 2);
    for (const uint8_t *s = b; (s = segment(b, n, 0x1001, s)) != NULL; n_uids++) {
        assert_int_equal(hws_load_be32(s + 16), n_uids + 1);
    }
    assert_int_equal(n_uids, 30);
    n = dump(0x1001, 3, 2, b, &parts);
    const uint8_t *first = segment(b, n, 0x1001, b);
    assert_non_null(first);
    assert_int_equal(hws_load_be32(first + 8), 3);
    assert_non_null(segment(b, n, 0x1001, first));
    n = dump(0x1001, 40, 0, b, &parts);
    assert_non_null(segment(b, n, 0xfffc, b)); /* an error segment: no such object */
    n = dump(0x0042, 0, 0, b, &parts);
    const uint8_t *error = segment(b, n, 0xfffc, b);
    assert_non_null(error);
    assert_string_equal((const char *)error + 16, "no such segment");
}

static void parts_out_of_turn_are_refused(void **state)
{
    static const struct {
        uint8_t flags;
        uint8_t seq;
        uint64_t opaque;
    } cases[] = {
        {0x00, 0, 0},      /* to memory */
        {0x40, 1, 0},      /* the first has number 0 */
        {0x40, 0, 208},    /* and starts at 0 */
        {0xc0, 1, 100},    /* a place no part starts at */
        {0xc0, 3, 208},    /* another part's number */
        {0xc0, 5, 208000}, /* behind the end */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t d[0x100] = {cases[i].flags, cases[i].seq, 0xff, 0xff};
        uint32_t syndrome = 0;
        hws_store_be64(d + 0x18, cases[i].opaque);
        assert_int_equal(guest_reg(&g, 0xc000, false, d, sizeof(d), &syndrome), 0x03);
        assert_int_equal(syndrome, i == 0 ? 0xe30024 : 0xe30061);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timeouts_stand_in_the_init_segment_and_in_dtor, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_string_database_is_read_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(only_an_owner_runs_the_tracer, setup, teardown),
        cmocka_unit_test_setup_teardown(the_menu_lists_what_can_be_dumped, setup, teardown),
        cmocka_unit_test_setup_teardown(contexts_are_dumped_one_or_all_in_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_out_of_turn_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
