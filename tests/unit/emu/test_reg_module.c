/* Modules: PMAOS, MCIA and the pages of PDDR, which tell of port and module. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "guest.h"
#include "test.h"

static struct guest g;
static char text[8192];

static void start(bool cable, bool listed)
{
    static char base[8192];
    char extra[600];
    uint64_t r = hws_test_seed();
    uint64_t v = hws_test_rand(&r);

    (void)snprintf(extra, sizeof(extra),
                   "modules: [{index: 0, cable: %s, identifier: 0x11, connector: 0x23, technology: "
                   "%u, length_m: %u, power_class: %u, vendor: V%u, part: P%u, serial: S%u, "
                   "revision: A%u, date: \"2401%02u\", oui: %u, millivolt: %u, rx_uw: %u, tx_uw: "
                   "%u, bias_ua: %u, wavelength_nm: 850}]\n",
                   v % 2 == 0 ? "copper" : "optical", (unsigned)(v >> 4 & 0xf),
                   (unsigned)(v >> 8 & 0xff), (unsigned)(v >> 16 & 7), (unsigned)(v >> 3 & 0xffff),
                   (unsigned)(v >> 5 & 0xffff), (unsigned)(v >> 7 & 0xffff), (unsigned)(v % 10),
                   (unsigned)(1 + v % 28), (unsigned)(v >> 20 & 0xffffff),
                   (unsigned)(3000 + v % 600), (unsigned)(v >> 9 & 0xfff),
                   (unsigned)(v >> 21 & 0xfff), (unsigned)(2 * (v >> 30 & 0xfff)));
    r = hws_test_seed();
    guest_profile_text(base, sizeof(base), &r, listed ? extra : "");
    char *type = strstr(base, "type: eth, ");
    assert_non_null(type);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(type - base), base,
                   cable ? "" : "cable: false, ", type);
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
}

static int setup(void **state)
{
    (void)state;
    start(true, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_stop(&g);
    return 0;
}

/* The status; n bytes into out. */
static uint8_t memory(uint8_t page, uint16_t at, uint16_t n, uint8_t *out)
{
    uint8_t d[0x94] = {0};

    d[4] = 0x50;
    d[5] = page;
    hws_store_be16(d + 6, at);
    hws_store_be16(d + 0x0a, n);
    assert_int_equal(guest_reg(&g, 0x9014, false, d, sizeof(d), NULL), 0);
    memcpy(out, d + 0x10, n);
    return d[3];
}

static uint8_t checksum(const uint8_t *map, size_t from, size_t to)
{
    unsigned s = 0;

    for (size_t i = from; i <= to; i++) {
        s += map[i];
    }
    return (uint8_t)s;
}

static void memory_is_that_of_the_listed_module(void **state)
{
    const struct hws_emu_module *m = &g.profile.modules[0];
    uint8_t map[256];
    char padded[17];

    (void)state;
    assert_int_equal(memory(0, 0, 128, map), 0);
    assert_int_equal(memory(0, 128, 128, map + 128), 0);
    assert_int_equal(map[0], m->identifier);
    assert_int_equal(map[128], m->identifier);
    assert_int_equal(map[146], m->length_m);
    assert_int_equal(map[147], m->technology << 4);
    (void)snprintf(padded, sizeof(padded), "%-16s", m->vendor);
    assert_memory_equal(map + 148, padded, 16);
    (void)snprintf(padded, sizeof(padded), "%-16s", m->part);
    assert_memory_equal(map + 168, padded, 16);
    (void)snprintf(padded, sizeof(padded), "%-16s", m->serial);
    assert_memory_equal(map + 196, padded, 16);
    assert_int_equal(hws_load_be16(map + 26), m->millivolt * 10);
    assert_int_equal(hws_load_be16(map + 40), m->rx_uw * 10);
    assert_int_equal(map[191], checksum(map, 128, 190));
    assert_int_equal(map[223], checksum(map, 192, 222));

    uint8_t piece[48];
    assert_int_equal(memory(0, 196, 16, piece), 0);
    assert_memory_equal(piece, map + 196, 16);
    assert_int_equal(memory(3, 128, 16, piece), 9); /* no such page */
}

static void accesses_outside_the_map_are_refused(void **state)
{
    static const struct {
        uint8_t module;
        uint8_t i2c;
        uint16_t at;
        uint16_t n;
    } cases[] = {{1, 0x50, 0, 1},   {0, 0x51, 0, 1},   {0, 0x50, 256, 1},
                 {0, 0x50, 255, 2}, {0, 0x50, 0, 129}, {0, 0x50, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t d[0x94] = {0};
        d[1] = cases[i].module;
        d[4] = cases[i].i2c;
        hws_store_be16(d + 6, cases[i].at);
        hws_store_be16(d + 0x0a, cases[i].n);
        assert_int_equal(guest_reg(&g, 0x9014, false, d, sizeof(d), NULL), 0x03);
    }
}

static void no_cable_or_no_memory_says_so(void **state)
{
    uint8_t b[1];
    uint8_t p[16] = {0};

    (void)state;
    guest_stop(&g);
    start(false, true);
    assert_int_equal(memory(0, 0, 1, b), 3);
    assert_int_equal(guest_reg(&g, 0x5012, false, p, sizeof(p), NULL), 0);
    assert_int_equal(p[3], 2); /* unplugged */
    guest_stop(&g);
    start(true, false);
    assert_int_equal(memory(0, 0, 1, b), 1);
    p[2] = 2;
    p[4] = 0x80;
    assert_int_equal(guest_reg(&g, 0x5012, true, p, sizeof(p), NULL), 0x03);
}

static uint32_t link_oper(void)
{
    uint8_t d[16] = {0, 1};

    assert_int_equal(guest_reg(&g, 0x5006, false, d, sizeof(d), NULL), 0);
    return d[3] & 0xf;
}

static void a_module_that_is_off_or_reset_takes_its_link_down(void **state)
{
    uint8_t off[16] = {0, 0, 2, 0, 0x80};
    uint8_t on[16] = {0, 0, 1, 0, 0x80};
    uint8_t reset[16] = {0x80};
    uint8_t now[16] = {0};
    uint8_t b[1];

    (void)state;
    assert_int_equal(link_oper(), 1);
    assert_int_equal(guest_reg(&g, 0x5012, true, off, sizeof(off), NULL), 0);
    assert_int_equal(link_oper(), 2);
    assert_int_equal(memory(0, 0, 1, b), 16);
    assert_int_equal(guest_reg(&g, 0x5012, true, on, sizeof(on), NULL), 0);
    assert_int_equal(link_oper(), 1);
    assert_int_equal(guest_reg(&g, 0x5012, true, reset, sizeof(reset), NULL), 0);
    assert_int_equal(reset[3], 0); /* initializing */
    assert_int_equal(link_oper(), 2);
    assert_int_equal(memory(0, 0, 1, b), 9);
    assert_true(hws_emu_turn(&g.emu, g.now_ms) == g.now_ms + 2000);
    g.now_ms += 2000;
    assert_int_equal(link_oper(), 1);
    assert_int_equal(guest_reg(&g, 0x5012, false, now, sizeof(now), NULL), 0);
    assert_int_equal(now[2] << 8 | now[3], 0x0101);
    on[2] = 7;
    on[4] = 0x80;
    assert_int_equal(guest_reg(&g, 0x5012, true, on, sizeof(on), NULL), 0x03);
}

static const uint8_t *page(uint8_t number)
{
    static uint8_t d[0x100];

    memset(d, 0, sizeof(d));
    d[1] = 1;
    d[7] = number;
    assert_int_equal(guest_reg(&g, 0x5031, false, d, sizeof(d), NULL), 0);
    return d + 8;
}

static void pages_follow_the_link(void **state)
{
    uint8_t down[16] = {0, 1, 2, 0, 0x80};

    (void)state;
    assert_int_equal(page(0)[4], 3); /* active */
    assert_int_equal(hws_load_be32(page(0)) >> 16, 0x42);
    assert_int_equal(hws_load_be32(page(0) + 0x14), 1u << 12);
    assert_int_equal(hws_load_be16(page(0) + 0x1c), 7);
    assert_int_equal(hws_load_be16(page(1) + 6), 0);
    assert_string_equal((const char *)page(1) + 0x0c, "No issue was observed");
    assert_int_equal(page(2)[8], 0x50);
    assert_int_equal(page(2)[0x68], 0x0f);
    assert_int_equal(page(6)[7], 0);
    assert_int_equal(guest_reg(&g, 0x5006, true, down, sizeof(down), NULL), 0);
    assert_int_equal(page(0)[4], 0);
    assert_int_equal(hws_load_be32(page(0) + 0x14), 0);
    assert_int_equal(hws_load_be16(page(1) + 6), 1);
    assert_int_equal(page(2)[8], 0x30);
    assert_int_equal(page(6)[7], 22); /* by management */
    assert_int_equal(page(6)[3], 1);

    guest_stop(&g);
    start(false, true);
    assert_int_equal(page(0)[4], 2); /* polling */
    assert_int_equal(hws_load_be16(page(1) + 6), 1024);
    assert_int_equal(page(3)[4] >> 4, 4); /* unplugged */
}

static void the_module_page_is_of_the_listed_module(void **state)
{
    const struct hws_emu_module *m = &g.profile.modules[0];
    const uint8_t *d = page(3);

    (void)state;
    assert_int_equal(d[0], m->technology << 4); /* byte 147 of SFF-8636; so mstlink reads it */
    assert_int_equal(d[4] >> 4, m->cable);
    assert_int_equal(d[5], m->length_m);
    assert_string_equal((const char *)d + 0x14, m->vendor);
    assert_string_equal((const char *)d + 0x24, m->part);
    assert_string_equal((const char *)d + 0x3c, m->serial);
    assert_int_equal(hws_load_be16(d + 0x4e), m->millivolt * 10);
    assert_int_equal(hws_load_be16(d + 0x56), m->rx_uw);
    assert_int_equal(hws_load_be16(d + 0x58), 0); /* lane 4 is not there */
    assert_int_equal(hws_load_be32(d + 0xb8) & 0xffffff, m->oui);
}

static void the_time_to_link_up_is_shown(void **state)
{
    char *at;

    (void)state;
    guest_stop(&g);
    uint64_t r = hws_test_seed();
    guest_profile_text(text, sizeof(text), &r, "");
    at = strstr(text, "reset_delay_ms: 5");
    assert_non_null(at);
    memcpy(at, "link_up_ms:  4321", 17);
    guest_start(&g, text, NULL, 0);
    guest_bring_up(&g);
    assert_int_equal(hws_load_be32(page(8) + 4), 0);
    assert_int_equal(hws_load_be16(page(1) + 6), 2); /* no partner yet */
    g.now_ms = 4321;
    assert_int_equal(hws_load_be32(page(8) + 4), 4321);
}

static void pages_that_are_not_there_are_refused(void **state)
{
    uint8_t d[0x100] = {0, 1};
    uint32_t syndrome = 0;

    (void)state;
    d[7] = 9;
    assert_int_equal(guest_reg(&g, 0x5031, false, d, sizeof(d), &syndrome), 0x03);
    assert_int_equal(syndrome, 0xe30025);
    d[7] = 1;
    d[11] = 1; /* another group of opcodes */
    assert_int_equal(guest_reg(&g, 0x5031, false, d, sizeof(d), NULL), 0x03);
    d[1] = 0;
    assert_int_equal(guest_reg(&g, 0x5031, false, d, sizeof(d), NULL), 0x03);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_that_of_the_listed_module, setup, teardown),
        cmocka_unit_test_setup_teardown(accesses_outside_the_map_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(no_cable_or_no_memory_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_module_that_is_off_or_reset_takes_its_link_down, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(pages_follow_the_link, setup, teardown),
        cmocka_unit_test_setup_teardown(the_module_page_is_of_the_listed_module, setup, teardown),
        cmocka_unit_test_setup_teardown(the_time_to_link_up_is_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_that_are_not_there_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
