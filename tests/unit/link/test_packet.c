/* The packet codec: golden bytes written by hand from the pictures in packet.h and packet.c, and
 * every way in which a packet can be wrong. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "link/methods.h"
#include "link/packet.h"
#include "test.h"

static const uint8_t golden_credit[] = {6, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3};
static const uint8_t golden_msg[] = {3, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 'h', 'i'};
static const uint8_t golden_status[] = {7, 0, 0, 0, 0, 0, 0,   9,   0, 0, 0, 0, 0,
                                        0, 0, 5, 7, 0, 2, 'n', 'o', 0, 2, 8, 7};
static const uint8_t golden_reloaded[] = {
    11, 0, 0,   0,   0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 9, /* header */
    1,                                                    /* state: TAKEN */
    1,  2, 3,   4,   5, 6, 7, 8,                          /* ends_s */
    0,  2, '0', 'a',                                      /* text */
};
static const uint8_t golden_stats[] = {9, 0, 0, 0, 0, 0, 0,   4,   0,   0,
                                       0, 0, 0, 0, 0, 0, 'a', ' ', '1', '\n'};
static const uint8_t golden_call[] = {
    2, 0,  0,   0,   0,   0,   0,   34,  0,   0,   0,    0,    0, 0, 0, 1, /* header */
    0, 1,  2,   0,   0,   0,   0,   0,   0,   0,   0x13, 0x88,             /* fixed part */
    0, 10, 'u', 'n', 'i', 'x', ':', 'u', 'i', 'd', ':',  '0',  0, 0, 0, 0, /* principal */
    0, 4,  'p', ':', '1', '2'};

static struct hws_link_packet decoded(const uint8_t *bytes, size_t n)
{
    struct hws_link_packet p;
    struct hws_err err;

    assert_ok(hws_link_decode(bytes, n, &p, &err), &err);
    return p;
}

static void assert_encodes_to(const struct hws_link_packet *p, const uint8_t *golden, size_t n)
{
    uint8_t bytes[HWS_LINK_MAX_BYTES];
    struct hws_err err;
    size_t got = 0;

    assert_ok(hws_link_encode(p, bytes, sizeof bytes, &got, &err), &err);
    assert_int_equal(got, n);
    assert_memory_equal(bytes, golden, n);
}

static void credit_has_golden_bytes(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_CREDIT, .id = 0x102, .u.credit = 3};

    (void)state;
    assert_encodes_to(&p, golden_credit, sizeof golden_credit);
    p = decoded(golden_credit, sizeof golden_credit);
    assert_int_equal(p.id, 0x102);
    assert_int_equal(p.u.credit, 3);
}

static void fragment_has_golden_bytes(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_MSG, .flags = HWS_LINK_FLAG_MORE, .id = 9};

    (void)state;
    p.u.msg = hws_link_text("hi");
    assert_encodes_to(&p, golden_msg, sizeof golden_msg);
    p = decoded(golden_msg, sizeof golden_msg);
    assert_int_equal(p.flags, HWS_LINK_FLAG_MORE);
    assert_int_equal(p.u.msg.n, 2);
    assert_memory_equal(p.u.msg.bytes, "hi", 2);
}

static void status_has_golden_bytes(void **state)
{
    static const uint8_t details[] = {8, 7};
    struct hws_link_packet p = {.type = HWS_LINK_STATUS, .id = 5};

    (void)state;
    p.u.status.code = 7;
    p.u.status.message = hws_link_text("no");
    p.u.status.details = (struct hws_span){details, sizeof details};
    assert_encodes_to(&p, golden_status, sizeof golden_status);
    p = decoded(golden_status, sizeof golden_status);
    assert_int_equal(p.u.status.code, 7);
    assert_memory_equal(p.u.status.message.bytes, "no", 2);
    assert_memory_equal(p.u.status.details.bytes, details, 2);
}

static void call_has_golden_bytes(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_CALL, .id = 1};

    (void)state;
    p.u.call.method = HWS_METHOD_DEVICE_GET;
    p.u.call.transport = HWS_LINK_TRANSPORT_UNIX;
    p.u.call.deadline_ms = 5000;
    p.u.call.principal = hws_link_text("unix:uid:0");
    p.u.call.peer = hws_link_text("p:12");
    assert_encodes_to(&p, golden_call, sizeof golden_call);
    p = decoded(golden_call, sizeof golden_call);
    assert_int_equal(p.u.call.method, HWS_METHOD_DEVICE_GET);
    assert_int_equal(p.u.call.deadline_ms, 5000);
    assert_int_equal(p.u.call.serial.n, 0);
    assert_memory_equal(p.u.call.peer.bytes, "p:12", 4);
}

static void reloaded_has_golden_bytes(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_RELOADED, .id = 9};

    (void)state;
    p.u.reloaded.state = HWS_LINK_RELOADED_TAKEN;
    p.u.reloaded.ends_s = 0x0102030405060708;
    p.u.reloaded.text = hws_link_text("0a");
    assert_encodes_to(&p, golden_reloaded, sizeof golden_reloaded);
    p = decoded(golden_reloaded, sizeof golden_reloaded);
    assert_int_equal(p.u.reloaded.state, HWS_LINK_RELOADED_TAKEN);
    assert_int_equal(p.u.reloaded.ends_s, 0x0102030405060708);
    assert_memory_equal(p.u.reloaded.text.bytes, "0a", 2);
    p.u.reloaded.state = HWS_LINK_N_RELOADED;
    uint8_t bytes[64];
    size_t n = 0;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
}

static void stats_have_golden_bytes(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_STATS};
    uint8_t bytes[64];
    size_t n = 0;

    (void)state;
    p.u.stats = hws_link_text("a 1\n");
    assert_encodes_to(&p, golden_stats, sizeof golden_stats);
    p = decoded(golden_stats, sizeof golden_stats);
    assert_int_equal(p.u.stats.n, 4);
    assert_memory_equal(p.u.stats.bytes, "a 1\n", 4);
    p.u.stats = (struct hws_span){(const uint8_t *)"a\0b", 3};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
}

static void packets_without_payload_are_a_bare_header(void **state)
{
    static const uint8_t types[] = {HWS_LINK_HALF_CLOSE, HWS_LINK_DRAIN, HWS_LINK_RELOAD,
                                    HWS_LINK_CANCEL_CMD};

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        struct hws_link_packet p = {.type = types[i], .id = types[i] == HWS_LINK_DRAIN ? 0 : 7};
        uint8_t bytes[HWS_LINK_HEADER_BYTES];
        size_t n = 0;

        assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
        assert_int_equal(n, HWS_LINK_HEADER_BYTES);
        assert_int_equal(decoded(bytes, n).type, types[i]);
    }
}

static void a_cancel_says_what_the_caller_was_told(void **state)
{
    static const uint8_t golden[] = {5, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 8};
    struct hws_link_packet p = {.type = HWS_LINK_CANCEL, .id = 7, .u.cancel = 8};
    uint8_t bytes[sizeof golden];
    size_t n = 0;

    (void)state;
    assert_encodes_to(&p, golden, sizeof golden);
    assert_int_equal(decoded(golden, sizeof golden).u.cancel, 8);
    for (unsigned code = 0; code <= 17; code += 17) { /* OK ends no call, and 17 is none */
        p.u.cancel = (uint8_t)code;
        assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
        memcpy(bytes, golden, sizeof golden);
        bytes[16] = (uint8_t)code;
        assert_code(hws_link_decode(bytes, sizeof bytes, &p, NULL), HWS_E_PROTO);
    }
    assert_code(hws_link_decode(golden, HWS_LINK_HEADER_BYTES, &p, NULL), HWS_E_PROTO);
}

/* Each row changes one byte of a golden packet into something that must be refused. */
static void a_wrong_byte_is_refused(void **state)
{
    static const struct {
        const uint8_t *golden;
        size_t n;
        size_t at;
        uint8_t value;
        const char *what;
    } rows[] = {
        {golden_credit, sizeof golden_credit, 0, 0, "type 0"},
        {golden_credit, sizeof golden_credit, 0, 12, "a gap between the types"},
        {golden_reloaded, sizeof golden_reloaded, 16, HWS_LINK_N_RELOADED, "an unknown state"},
        {golden_reloaded, sizeof golden_reloaded, 26, 3, "a text longer than the packet"},
        {golden_reloaded, sizeof golden_reloaded, 27, 0, "a NUL in the reason"},
        {golden_credit, sizeof golden_credit, 0, 200, "type 200"},
        {golden_credit, sizeof golden_credit, 1, 1, "a flag of another type"},
        {golden_credit, sizeof golden_credit, 1, 0x80, "an unknown flag"},
        {golden_credit, sizeof golden_credit, 2, 1, "reserved bytes"},
        {golden_credit, sizeof golden_credit, 7, 3, "a length too short"},
        {golden_credit, sizeof golden_credit, 7, 5, "a length too long"},
        {golden_credit, sizeof golden_credit, 4, 1, "a huge length"},
        {golden_credit, sizeof golden_credit, 19, 0, "credit of zero"},
        {golden_credit, sizeof golden_credit, 16, 1, "too much credit"},
        {golden_status, sizeof golden_status, 16, 17, "a status code over 16"},
        {golden_status, sizeof golden_status, 17, 0xff, "a text longer than the packet"},
        {golden_status, sizeof golden_status, 18, 3, "a text that eats the next length"},
        {golden_status, sizeof golden_status, 19, 0, "a NUL in a text"},
        {golden_stats, sizeof golden_stats, 17, 0, "a NUL in the figures"},
        {golden_call, sizeof golden_call, 17, 200, "a method without a row"},
        {golden_call, sizeof golden_call, 18, 0, "no transport"},
        {golden_call, sizeof golden_call, 18, 3, "an unknown transport"},
        {golden_call, sizeof golden_call, 19, 1, "reserved bytes in the payload"},
        {golden_call, sizeof golden_call, 30, ' ', "a space in the principal"},
        {golden_call, sizeof golden_call, 30, 0x80, "no ASCII in the principal"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[128];
        struct hws_link_packet p = {.type = 77};

        memcpy(bytes, rows[i].golden, rows[i].n);
        assert_int_not_equal(bytes[rows[i].at], rows[i].value);
        bytes[rows[i].at] = rows[i].value;
        if (hws_link_decode(bytes, rows[i].n, &p, NULL) != HWS_E_PROTO) {
            fail_msg("accepted %s", rows[i].what);
        }
        assert_int_equal(p.type, 77); /* outputs are written only on success */
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof golden_call; n++) {
        struct hws_link_packet p;
        uint8_t bytes[sizeof golden_call];

        memcpy(bytes, golden_call, sizeof golden_call);
        if (n >= HWS_LINK_HEADER_BYTES) { /* even with a header that agrees */
            hws_store_be32(bytes + 4, (uint32_t)(n - HWS_LINK_HEADER_BYTES));
        }
        assert_code(hws_link_decode(bytes, n, &p, NULL), HWS_E_PROTO);
    }
}

static void id_is_needed_exactly_where_it_belongs(void **state)
{
    static const uint8_t drain_with_id[] = {8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t cancel_without[] = {5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    struct hws_link_packet p;

    (void)state;
    assert_code(hws_link_decode(drain_with_id, sizeof drain_with_id, &p, NULL), HWS_E_PROTO);
    assert_code(hws_link_decode(cancel_without, sizeof cancel_without, &p, NULL), HWS_E_PROTO);
}

static void unfinished_fragment_must_carry_something(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_MSG, .flags = HWS_LINK_FLAG_MORE, .id = 1};
    uint8_t bytes[64];
    size_t n = 0;

    (void)state;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p.flags = 0;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    bytes[1] = HWS_LINK_FLAG_MORE;
    assert_code(hws_link_decode(bytes, n, &p, NULL), HWS_E_PROTO);
}

static void a_whole_fingerprint_goes_both_ways(void **state)
{
    struct hws_link_packet p = {.type = HWS_LINK_CALL, .id = 1};
    uint8_t sha256[HWS_LINK_SHA256_BYTES];
    uint8_t bytes[256];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof sha256; i++) {
        sha256[i] = (uint8_t)i; /* a NUL and a space among them */
    }
    p.u.call.transport = HWS_LINK_TRANSPORT_TLS;
    p.u.call.principal = hws_link_text("spiffe://x/y");
    p.u.call.sha256 = (struct hws_span){sha256, sizeof sha256};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    p = decoded(bytes, n);
    assert_int_equal(p.u.call.sha256.n, sizeof sha256);
    assert_memory_equal(p.u.call.sha256.bytes, sha256, sizeof sha256);
}

static void what_is_longer_than_a_packet_is_refused(void **state)
{
    static uint8_t bytes[HWS_LINK_MAX_BYTES + 1] = {HWS_LINK_MSG, [15] = 1};
    struct hws_link_packet p;

    (void)state;
    hws_store_be32(bytes + 4, (uint32_t)(sizeof bytes - HWS_LINK_HEADER_BYTES));
    assert_code(hws_link_decode(bytes, sizeof bytes, &p, NULL), HWS_E_PROTO);
}

/* Whatever the room ends within, the encoder says so, and writes nothing behind it. */
static void a_packet_that_does_not_fit_is_refused_at_every_length(void **state)
{
    static const struct {
        const uint8_t *golden;
        size_t n;
    } rows[] = {
        {golden_credit, sizeof golden_credit}, {golden_msg, sizeof golden_msg},
        {golden_status, sizeof golden_status}, {golden_call, sizeof golden_call},
        {golden_stats, sizeof golden_stats},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hws_link_packet p = decoded(rows[i].golden, rows[i].n);

        for (size_t cap = 0; cap < rows[i].n; cap++) {
            uint8_t bytes[sizeof golden_call + 1];
            size_t n = 99;

            memset(bytes, 0xee, sizeof bytes);
            assert_code(hws_link_encode(&p, bytes, cap, &n, NULL), HWS_E_BUSY);
            assert_int_equal(n, 99);
            assert_int_equal(bytes[cap], 0xee);
        }
    }
}

static void largest_fragment_fits_and_one_more_does_not(void **state)
{
    static uint8_t payload[HWS_LINK_FRAGMENT_BYTES + 1];
    static uint8_t bytes[HWS_LINK_MAX_BYTES + 1];
    struct hws_link_packet p = {.type = HWS_LINK_MSG, .id = 1};
    size_t n = 0;

    (void)state;
    p.u.msg = (struct hws_span){payload, HWS_LINK_FRAGMENT_BYTES};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    assert_int_equal(n, HWS_LINK_MAX_BYTES);
    p.u.msg.n++;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_BUSY);
}

static void encoder_refuses_what_the_decoder_would(void **state)
{
    static const uint8_t peer[HWS_LINK_PEER_BYTES + 1];
    struct hws_link_packet p = {.type = HWS_LINK_CALL, .id = 1};
    uint8_t bytes[256];
    struct hws_err err;
    size_t n = 0;

    (void)state;
    p.u.call.transport = HWS_LINK_TRANSPORT_TLS;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID); /* principal */
    p.u.call.principal = hws_link_text("spiffe://x/y");
    p.u.call.sha256 = hws_link_text("short");
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p.u.call.sha256 = hws_link_text(NULL);
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_OK);
    p.u.call.peer = hws_link_text("a b");
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
    p.u.call.peer = (struct hws_span){peer, sizeof peer};
    p.u.call.serial = hws_link_text("a b"); /* the first of two faults is named */
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "link packet CALL: serial out of range");
    p.id = 0;
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "link packet: type 2 with flags 0x00 and id zero");
    p = (struct hws_link_packet){.type = HWS_LINK_DRAIN, .id = 1};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "link packet: type 8 with flags 0x00 and id set");
    p = (struct hws_link_packet){.type = 200};
    assert_code(hws_link_encode(&p, bytes, sizeof bytes, &n, NULL), HWS_E_INVALID);
}

static void each_error_names_packet_and_field(void **state)
{
    struct hws_link_packet p;
    struct hws_err err;
    uint8_t bytes[sizeof golden_status];

    (void)state;
    memcpy(bytes, golden_status, sizeof bytes);
    bytes[16] = 99;
    assert_code(hws_link_decode(bytes, sizeof bytes, &p, &err), HWS_E_PROTO);
    assert_string_equal(err.msg, "link packet STATUS: bad code");
    assert_string_equal(hws_link_type_name(HWS_LINK_CANCEL_CMD), "CANCEL_CMD");
    assert_string_equal(hws_link_type_name(250), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_has_golden_bytes),
        cmocka_unit_test(fragment_has_golden_bytes),
        cmocka_unit_test(status_has_golden_bytes),
        cmocka_unit_test(call_has_golden_bytes),
        cmocka_unit_test(reloaded_has_golden_bytes),
        cmocka_unit_test(stats_have_golden_bytes),
        cmocka_unit_test(packets_without_payload_are_a_bare_header),
        cmocka_unit_test(a_cancel_says_what_the_caller_was_told),
        cmocka_unit_test(a_wrong_byte_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(id_is_needed_exactly_where_it_belongs),
        cmocka_unit_test(unfinished_fragment_must_carry_something),
        cmocka_unit_test(a_whole_fingerprint_goes_both_ways),
        cmocka_unit_test(what_is_longer_than_a_packet_is_refused),
        cmocka_unit_test(a_packet_that_does_not_fit_is_refused_at_every_length),
        cmocka_unit_test(largest_fragment_fits_and_one_more_does_not),
        cmocka_unit_test(encoder_refuses_what_the_decoder_would),
        cmocka_unit_test(each_error_names_packet_and_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
