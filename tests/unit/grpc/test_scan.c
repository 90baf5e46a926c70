/* Counting frames by their heads. */
#include <string.h>

#include "grpc/scan.h"
#include "test.h"

static const uint8_t s_bytes[] =
    "preface!"
    "\0\0\0\4\0\0\0\0\0"             /* SETTINGS: control */
    "\0\0\3\1\4\0\0\0\1abc"          /* HEADERS */
    "\0\0\2\x9\4\0\0\0\1ab"          /* CONTINUATION: part of it */
    "\0\0\1\0\0\0\0\0\1x"            /* DATA */
    "\0\0\0\0\0\0\0\0\1"             /* DATA without bytes: control */
    "\0\0\3\0\x8\0\0\0\1\2\0\0"      /* DATA of padding: control */
    "\0\0\4\0\x8\0\0\0\1\2\0\0\0"    /* one byte and padding */
    "\0\0\0\0\1\0\0\0\1"             /* DATA without bytes that ends its stream */
    "\0\0\5\xfa\0\0\0\0\0\0\0\4\0\0" /* unknown, looks like a head inside */
    "\0\0\10\6\0\0\0\0\0"
    "12345678"; /* PING: control */

static void frames_are_counted_wherever_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < sizeof(s_bytes); step++) {
        struct hws_grpc_scan s;
        struct hws_grpc_scanned sum = {0};
        hws_grpc_scan_init(&s, 8);
        for (size_t at = 0; at < sizeof(s_bytes) - 1; at += step) {
            size_t left = sizeof(s_bytes) - 1 - at;
            struct hws_grpc_scanned one =
                hws_grpc_scan(&s, s_bytes + at, left < step ? left : step);
            assert_int_equal(one.fault, HWS_GRPC_SCAN_GOOD);
            assert_int_equal(one.n_good, left < step ? left : step);
            sum.n_headers += one.n_headers;
            sum.n_control += one.n_control;
        }
        assert_int_equal(sum.n_headers, 1);
        assert_int_equal(sum.n_control, 5);
        assert_int_equal(s.skip, 0);
        assert_int_equal(s.n_head, 0);
    }
}

/* ---- what may not come ---- */

enum { DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION = 9 };
enum { NO_FLAGS = 0, END_STREAM = 1, END_HEADERS = 4, WHOLE = 5 };

struct step {
    uint8_t type;
    uint8_t flags;
    uint8_t stream;
};

#define N_STEPS     4u
#define FRAME_BYTES 10u /* a head and one byte */

/* The index of the frame at fault, N_STEPS when there is none, whatever pieces the bytes come in.
 */
static size_t fault_at(bool server, const struct step *steps, enum hws_grpc_scan_fault *out_fault)
{
    uint8_t bytes[N_STEPS * FRAME_BYTES] = {0};
    size_t found[2] = {0, 0};

    for (size_t i = 0; i < N_STEPS; i++) {
        uint8_t *at = bytes + i * FRAME_BYTES;
        at[2] = FRAME_BYTES - 9;
        at[3] = steps[i].type;
        at[4] = steps[i].flags;
        at[8] = steps[i].stream;
    }
    for (size_t whole = 0; whole < 2; whole++) {
        size_t piece = whole ? sizeof(bytes) : 1;
        struct hws_grpc_scan s;
        struct hws_grpc_scanned one = {0};
        size_t at = 0;
        hws_grpc_scan_init(&s, server ? 1 : 0);
        if (server) {
            (void)hws_grpc_scan(&s, bytes, 1); /* its preface */
        }
        for (; at < sizeof(bytes) && one.fault == HWS_GRPC_SCAN_GOOD; at += piece) {
            one = hws_grpc_scan(&s, bytes + at, piece);
            found[whole] = (at + one.n_good) / FRAME_BYTES;
        }
        *out_fault = one.fault;
    }
    assert_int_equal(found[0], found[1]);
    return found[1];
}

static void a_stream_is_over_when_its_peer_said_so(void **state)
{
    static const struct {
        size_t fault; /* the step at fault */
        struct step steps[N_STEPS];
    } rows[] = {
        {2,
         {{HEADERS, END_HEADERS, 1}, {DATA, END_STREAM, 1}, {DATA, NO_FLAGS, 1}, {PRIORITY, 0, 1}}},
        {1, {{HEADERS, WHOLE, 1}, {HEADERS, WHOLE, 1}, {HEADERS, WHOLE, 3}, {PRIORITY, 0, 1}}},
        {1, {{HEADERS, WHOLE, 1}, {DATA, END_STREAM, 1}, {HEADERS, WHOLE, 3}, {PRIORITY, 0, 1}}},
        {4,
         {{HEADERS, END_HEADERS, 1}, {RST_STREAM, 0, 1}, {DATA, END_STREAM, 1}, {PRIORITY, 0, 1}}},
        {4, {{HEADERS, END_HEADERS, 1}, {RST_STREAM, 0, 1}, {HEADERS, WHOLE, 1}, {DATA, 0, 1}}},
        {3, {{HEADERS, WHOLE, 1}, {RST_STREAM, 0, 1}, {RST_STREAM, 0, 1}, {DATA, 0, 1}}},
        {4, {{HEADERS, WHOLE, 1}, {RST_STREAM, 0, 1}, {RST_STREAM, 0, 1}, {PRIORITY, 0, 1}}},
        {4, {{HEADERS, END_HEADERS, 1}, {DATA, 0, 1}, {DATA, 0, 1}, {HEADERS, WHOLE, 1}}},
        /* Within a header block nothing else may come; the library says so. */
        {4,
         {{HEADERS, END_STREAM, 1},
          {DATA, 0, 1},
          {CONTINUATION, END_HEADERS, 1},
          {PRIORITY, 0, 1}}},
    };
    enum hws_grpc_scan_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fault_at(true, rows[i].steps, &fault), rows[i].fault);
        assert_int_equal(fault,
                         rows[i].fault == N_STEPS ? HWS_GRPC_SCAN_GOOD : HWS_GRPC_SCAN_AFTER_END);
        /* A stock server talks on after its trailers; the connection's other calls live. */
        assert_int_equal(fault_at(false, rows[i].steps, &fault), N_STEPS);
        assert_int_equal(fault, HWS_GRPC_SCAN_GOOD);
    }
}

/* Puts a frame without bytes, a HEADERS frame with its END_HEADERS. */
static size_t put(uint8_t *at, uint8_t type, uint8_t flags, uint32_t stream)
{
    memset(at, 0, FRAME_BYTES - 1);
    at[3] = type;
    at[4] = flags;
    at[7] = (uint8_t)(stream >> 8);
    at[8] = (uint8_t)stream;
    return FRAME_BYTES - 1;
}

static void what_comes_after_its_own_reset_is_told_once_for_each_stream(void **state)
{
    struct hws_grpc_scan s;
    uint8_t bytes[8 * FRAME_BYTES];
    size_t n = 0;

    (void)state;
    hws_grpc_scan_init(&s, 0);
    n += put(bytes + n, RST_STREAM, 0, 1);
    n += put(bytes + n, DATA, 0, 1);
    n += put(bytes + n, RST_STREAM, 0, 3);
    n += put(bytes + n, DATA, END_STREAM, 1);
    n += put(bytes + n, HEADERS, WHOLE, 3);
    struct hws_grpc_scanned one = hws_grpc_scan(&s, bytes, n);
    assert_int_equal(one.fault, HWS_GRPC_SCAN_GOOD);
    assert_int_equal(one.n_good, n);
    assert_int_equal(one.n_late, 2);
    assert_int_equal(one.late[0], 1);
    assert_int_equal(one.late[1], 3);
    assert_int_equal(one.n_headers, 1);

    n = put(bytes, DATA, 0, 1);
    one = hws_grpc_scan(&s, bytes, n);
    assert_int_equal(one.fault, HWS_GRPC_SCAN_GOOD);
    assert_int_equal(one.n_late, 0);    /* and not again */
    assert_int_equal(one.n_control, 2); /* late, and without bytes */
}

static void many_late_streams_are_bounded_and_counted(void **state)
{
    enum { STREAMS = 3 * HWS_GRPC_OVER_STREAMS };
    uint8_t bytes[2 * STREAMS * FRAME_BYTES] = {0};
    struct hws_grpc_scan s;
    size_t n = 0;

    (void)state;
    hws_grpc_scan_init(&s, 1);
    (void)hws_grpc_scan(&s, bytes, 1); /* the preface of a client */
    for (uint32_t i = 0; i < STREAMS; i++) {
        n += put(bytes + n, RST_STREAM, 0, 2 * i + 1);
        n += put(bytes + n, DATA, END_STREAM, 2 * i + 1);
    }
    struct hws_grpc_scanned one = hws_grpc_scan(&s, bytes, n);
    assert_int_equal(one.fault, HWS_GRPC_SCAN_GOOD);
    assert_int_equal(one.n_late, HWS_GRPC_OVER_STREAMS);
    assert_int_equal(one.n_control, 2 * STREAMS);

    /* A number that is ended in the place of one that was reset is over for good. */
    n = 0;
    for (uint32_t i = 0; i < HWS_GRPC_OVER_STREAMS; i++) {
        n += put(bytes + n, DATA, END_STREAM, 1001 + 2 * i);
    }
    n += put(bytes + n, DATA, 0, 1001);
    one = hws_grpc_scan(&s, bytes, n);
    assert_int_equal(one.fault, HWS_GRPC_SCAN_AFTER_END);
    assert_int_equal(one.n_late, 0);
}

static void a_client_opens_streams_upwards_and_once(void **state)
{
    static const struct {
        enum hws_grpc_scan_fault fault;
        size_t at;
        struct step steps[N_STEPS];
    } rows[] = {
        {HWS_GRPC_SCAN_OUT_OF_ORDER,
         1,
         {{HEADERS, WHOLE, 5}, {HEADERS, WHOLE, 3}, {PRIORITY, 0, 1}, {PRIORITY, 0, 1}}},
        {HWS_GRPC_SCAN_OUT_OF_ORDER,
         1,
         {{HEADERS, WHOLE, 5}, {HEADERS, WHOLE, 1}, {PRIORITY, 0, 1}, {PRIORITY, 0, 1}}},
        {HWS_GRPC_SCAN_OUT_OF_ORDER,
         2,
         {{HEADERS, WHOLE, 1}, {HEADERS, WHOLE, 7}, {HEADERS, WHOLE, 5}, {PRIORITY, 0, 1}}},
        {HWS_GRPC_SCAN_NO_TRAILERS,
         2,
         {{HEADERS, END_HEADERS, 1}, {DATA, 0, 1}, {HEADERS, END_HEADERS, 1}, {DATA, 0, 1}}},
        {HWS_GRPC_SCAN_GOOD,
         4,
         {{HEADERS, WHOLE, 1}, {HEADERS, WHOLE, 3}, {HEADERS, WHOLE, 9}, {PRIORITY, 0, 5}}},
        {HWS_GRPC_SCAN_GOOD,
         4,
         {{HEADERS, END_HEADERS, 1}, {HEADERS, WHOLE, 9}, {HEADERS, WHOLE, 1}, {DATA, 0, 5}}},
    };
    enum hws_grpc_scan_fault fault;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fault_at(true, rows[i].steps, &fault), rows[i].at);
        assert_int_equal(fault, rows[i].fault);
        /* A server answers in any order. */
        assert_int_equal(fault_at(false, rows[i].steps, &fault), N_STEPS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_counted_wherever_the_bytes_are_cut),
        cmocka_unit_test(a_stream_is_over_when_its_peer_said_so),
        cmocka_unit_test(what_comes_after_its_own_reset_is_told_once_for_each_stream),
        cmocka_unit_test(many_late_streams_are_bounded_and_counted),
        cmocka_unit_test(a_client_opens_streams_upwards_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
