/* KILLS: golden bytes by hand, every wrong byte, the limits. */
#include <string.h>

#include "base/mem.h"
#include "link/kills.h"
#include "link/packet.h"
#include "test.h"

static const uint8_t golden[] = {
    20, 0, 0, 0, 0, 0,    0, 16,   0,    0,    0,    0,   0, 0, 0, 0, /* header */
    0,  3, 0, 2,                                                      /* adapter 3, 2 rows */
    0,  5, 0, 0, 3, 0xe8, 1, 0x2c, 0x9a, 0x7e, 0xc8, 0x00}; /* row 5: 1 s; row 300: 30 days */

static struct hws_link_packet packet(uint8_t *rows)
{
    static const struct hws_link_kill kills[] = {{5, 1000}, {300, HWS_LINK_KILL_MS}};
    struct hws_link_packet p = {.type = HWS_LINK_KILLS};

    p.u.kills = (struct hws_link_kills){.adapter = 3, .n = 2, .rows = rows};
    hws_link_kill_put(rows, 0, &kills[0]);
    hws_link_kill_put(rows, 1, &kills[1]);
    return p;
}

static void kills_have_golden_bytes(void **state)
{
    uint8_t rows[2 * HWS_LINK_KILL_BYTES] = {0};
    struct hws_link_packet p = packet(rows);
    uint8_t bytes[128];
    size_t n = 0;

    (void)state;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(n, sizeof golden);
    assert_memory_equal(bytes, golden, n);
    assert_code(hws_link_decode(golden, sizeof golden, &p, NULL), HWS_OK);
    assert_int_equal(p.u.kills.adapter, 3);
    assert_int_equal(p.u.kills.n, 2);
    assert_int_equal(hws_link_kill_get(p.u.kills.rows, 0).row, 5);
    assert_int_equal(hws_link_kill_get(p.u.kills.rows, 0).left_ms, 1000);
    assert_int_equal(hws_link_kill_get(p.u.kills.rows, 1).row, 300);
    assert_int_equal(hws_link_kill_get(p.u.kills.rows, 1).left_ms, HWS_LINK_KILL_MS);
    assert_string_equal(hws_link_type_name(HWS_LINK_KILLS), "KILLS");
}

static void a_wrong_byte_is_refused(void **state)
{
    static const struct {
        size_t at;
        const char *what;
        uint8_t value;
        bool fine;
    } rows[] = {
        {1, "a flag", 1, false},
        {15, "an id", 1, false},
        {17, "an adapter beyond the limit", 64, false},
        {18, "more rows than there may be", 0x10, false},
        {19, "more rows than the packet has", 3, false},
        {19, "bytes left over", 1, false},
        {21, "row 0", 0, false},
        {20, "rows out of order", 2, false},
        {31, "a time over 30 days", 1, false},
        {25, "no problem with another time", 0xe7, true},
    };
    struct hws_link_packet p;
    uint8_t bytes[sizeof golden];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memcpy(bytes, golden, sizeof bytes);
        assert_int_not_equal(bytes[rows[i].at], rows[i].value);
        bytes[rows[i].at] = rows[i].value;
        if ((hws_link_decode(bytes, sizeof bytes, &p, NULL) == HWS_OK) != rows[i].fine) {
            fail_msg("wrong verdict over %s", rows[i].what);
        }
    }
    memcpy(bytes, golden, sizeof bytes);
    memset(bytes + 22, 0, 4); /* no time: as told before */
    assert_code(hws_link_decode(bytes, sizeof bytes, &p, NULL), HWS_OK);
    memcpy(bytes, golden, sizeof bytes);
    memcpy(bytes + 26, bytes + 20, 2); /* the same row twice */
    assert_code(hws_link_decode(bytes, sizeof bytes, &p, NULL), HWS_E_PROTO);
}

static void wrong_lists_are_not_sent(void **state)
{
    uint8_t rows[2 * HWS_LINK_KILL_BYTES] = {0};
    struct hws_link_packet p = packet(rows);
    uint8_t bytes[128];
    size_t n = 0;

    (void)state;
    p.u.kills.adapter = HWS_LINK_MAX_ADAPTERS;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p = packet(rows);
    p.u.kills.n = HWS_LINK_MAX_KILLS + 1;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p = packet(rows);
    memcpy(rows + HWS_LINK_KILL_BYTES, rows, HWS_LINK_KILL_BYTES);
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p.u.kills = (struct hws_link_kills){.adapter = 0}; /* nothing is killed: a list as well */
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_code(hws_link_decode(bytes, n, &p, NULL), HWS_OK);
    assert_int_equal(p.u.kills.n, 0);
}

static void the_longest_list_fits_a_packet(void **state)
{
    uint8_t *rows = hws_mem_alloc((size_t)HWS_LINK_MAX_KILLS * HWS_LINK_KILL_BYTES);
    uint8_t *bytes = hws_mem_alloc(HWS_LINK_MAX_BYTES);
    struct hws_link_packet p = {.type = HWS_LINK_KILLS};
    size_t n = 0;

    (void)state;
    assert_non_null(rows);
    assert_non_null(bytes);
    for (unsigned i = 0; i < HWS_LINK_MAX_KILLS; i++) {
        const struct hws_link_kill kill = {.row = (uint16_t)(i + 1), .left_ms = 1};
        hws_link_kill_put(rows, i, &kill);
    }
    p.u.kills = (struct hws_link_kills){.n = HWS_LINK_MAX_KILLS, .rows = rows};
    assert_code(hws_link_encode(&p, bytes, HWS_LINK_MAX_BYTES, &n, NULL), HWS_OK);
    assert_code(hws_link_decode(bytes, n, &p, NULL), HWS_OK);
    assert_int_equal(hws_link_kill_get(p.u.kills.rows, HWS_LINK_MAX_KILLS - 1).row,
                     HWS_LINK_MAX_KILLS);
    hws_mem_free(rows);
    hws_mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_have_golden_bytes),
        cmocka_unit_test(a_wrong_byte_is_refused),
        cmocka_unit_test(wrong_lists_are_not_sent),
        cmocka_unit_test(the_longest_list_fits_a_packet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
