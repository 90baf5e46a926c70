/*
 * What a connection does against peers that misuse HTTP/2: frames written by hand (RFC 9113,
 * section 6; RFC 7541), each flood below nghttp2's own thresholds and above ours.
 */
#include <malloc.h>
#include <string.h>

#include "base/bits.h"
#include "base/buf.h"
#include "grpc/server.h"
#include "grpc/session.h"
#include "test.h"

enum {
    DATA = 0,
    HEADERS = 1,
    PRIORITY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    CONTINUATION = 9
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { CALM = 0xb }; /* ENHANCE_YOUR_CALM */

struct fixture {
    struct hws_grpc_server server;
    struct hws_grpc_limits limits;
    struct hws_grpc_stats stats;
    struct hws_grpc_account account;
    struct hws_grpc_conn conn;
    struct hws_buf in;  /* bytes of the peer, sent by flush */
    struct hws_buf out; /* what it answered */
    uint64_t now_ms;
    uint32_t goaway;    /* the error code of the latest GOAWAY; UINT32_MAX = none */
    unsigned n_acks;    /* PING acknowledgements */
    size_t most_data;   /* bytes of the longest DATA frame */
    enum hws_code code; /* the latest of recv */
};

static struct hws_grpc_call *s_call; /* the latest */

static enum hws_grpc_code keep_call(struct hws_grpc_call *call, void *data)
{
    (void)data;
    s_call = call;
    return HWS_GRPC_OK;
}

static void end_call(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, why->message);
}

static void forget_call(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    (void)outcome;
    s_call = s_call == call ? NULL : s_call;
}

static const struct hws_grpc_call_ops ops = {
    .on_call = keep_call, .on_cancel = end_call, .on_close = forget_call};
static const struct hws_grpc_method methods[] = {{"/t.S/A", HWS_GRPC_BIDI, false},
                                                 {"/t.S/U", HWS_GRPC_UNARY, false}};

static void frame(struct fixture *f, uint8_t type, uint8_t flags, uint32_t stream_id,
                  const void *payload, size_t n)
{
    uint8_t head[9] = {0, 0, 0, type, flags};

    head[0] = (uint8_t)(n >> 16);
    head[1] = (uint8_t)(n >> 8);
    head[2] = (uint8_t)n;
    hws_store_be32(head + 5, stream_id);
    assert_code(hws_buf_put(&f->in, head, sizeof(head)), HWS_OK);
    if (n > 0) {
        assert_code(hws_buf_put(&f->in, payload, n), HWS_OK);
    }
}

/* POST https, path /t.S/A, authority h, te and content-type: indexed or literal fields without
 * indexing. */
static const uint8_t s_block[] = "\x83\x87\x04\x06/t.S/A\x01\x01h\x00\x02te\x08trailers\x0f\x10\x10"
                                 "application/grpc";
#define BLOCK_BYTES (sizeof(s_block) - 1)

static void request(struct fixture *f, uint32_t stream_id, uint8_t flags)
{
    frame(f, HEADERS, (uint8_t)(END_HEADERS | flags), stream_id, s_block, BLOCK_BYTES);
}

static void unary_request(struct fixture *f, uint32_t stream_id, uint8_t flags)
{
    uint8_t block[BLOCK_BYTES];

    memcpy(block, s_block, BLOCK_BYTES);
    block[9] = 'U';
    frame(f, HEADERS, (uint8_t)(END_HEADERS | flags), stream_id, block, BLOCK_BYTES);
}

static void scan(struct fixture *f)
{
    const uint8_t *bytes = hws_buf_peek(&f->out);
    size_t n = hws_buf_len(&f->out);

    while (n >= 9) {
        size_t n_payload = hws_load_be24(bytes);
        assert_true(n >= 9 + n_payload);
        if (bytes[3] == GOAWAY) {
            f->goaway = hws_load_be32(bytes + 13);
        }
        if (bytes[3] == DATA && n_payload > f->most_data) {
            f->most_data = n_payload;
        }
        f->n_acks += bytes[3] == PING && (bytes[4] & ACK) != 0 ? 1 : 0;
        bytes += 9 + n_payload;
        n -= 9 + n_payload;
    }
    hws_buf_reset(&f->out);
}

/* Sends what was written and looks at the answer. */
static void flush(struct fixture *f)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;

    f->code =
        hws_grpc_conn_recv(&f->conn, hws_buf_peek(&f->in), hws_buf_len(&f->in), f->now_ms, NULL);
    hws_buf_reset(&f->in);
    (void)hws_grpc_conn_turn(&f->conn, f->now_ms);
    for (hws_grpc_conn_pull(&f->conn, f->now_ms, &bytes, &n); n > 0;
         hws_grpc_conn_pull(&f->conn, f->now_ms, &bytes, &n)) {
        assert_code(hws_buf_put(&f->out, bytes, n), HWS_OK);
        hws_grpc_conn_sent(&f->conn, n, f->now_ms);
    }
    scan(f);
}

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    *state = &f;
    f.now_ms = 5000;
    f.goaway = UINT32_MAX;
    s_call = NULL;
    hws_grpc_server_init(&f.server);
    hws_grpc_limits_server(&f.limits);
    f.account = (struct hws_grpc_account){.max_calls = 1000, .max_held_bytes = UINT64_MAX};
    const struct hws_grpc_conn_config cfg = {
        .server = &f.server, .limits = f.limits, .stats = &f.stats, .accounts = {NULL, &f.account}};
    if (hws_grpc_server_add(&f.server, methods, 2, &ops, NULL, NULL) != HWS_OK ||
        hws_grpc_conn_init(&f.conn, &cfg, f.now_ms, NULL) != HWS_OK ||
        hws_buf_put(&f.in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24) != HWS_OK) {
        return -1;
    }
    frame(&f, SETTINGS, 0, 0, NULL, 0);
    frame(&f, SETTINGS, ACK, 0, NULL, 0);
    flush(&f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    hws_grpc_conn_deinit(&f->conn);
    hws_grpc_server_deinit(&f->server);
    hws_buf_deinit(&f->in);
    hws_buf_deinit(&f->out);
    return 0;
}

static void assert_calmed(struct fixture *f)
{
    assert_int_equal(f->goaway, CALM);
    assert_true(hws_grpc_conn_want_close(&f->conn));
    assert_false(hws_grpc_conn_want_read(&f->conn));
    assert_int_equal(hws_grpc_conn_end(&f->conn, NULL), HWS_E_BUSY);
}

static void hand_written_request_is_served(void **state)
{
    struct fixture *f = *state;

    request(f, 1, END_STREAM);
    flush(f);

    assert_non_null(s_call);
    assert_string_equal(hws_grpc_call_path(assert_got(s_call)), "/t.S/A");
    assert_int_equal(f->goaway, UINT32_MAX);
}

static void priority_flood_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < f->limits.control_burst + 10; i++) {
        frame(f, PRIORITY, 0, 1 + 2 * (i % 50), "\0\0\0\0\x10", 5);
    }
    flush(f);

    assert_int_equal(f->stats.over_control_rate, 1);
    assert_code(f->code, HWS_E_BUSY);
    assert_calmed(f);
}

static void empty_data_flood_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    request(f, 1, 0);
    for (uint32_t i = 0; i < f->limits.control_burst + 10; i++) {
        frame(f, DATA, 0, 1, NULL, 0);
    }
    flush(f);

    assert_int_equal(f->stats.over_control_rate, 1);
    assert_calmed(f);
}

static void control_frames_at_the_rate_are_served(void **state)
{
    struct fixture *f = *state;

    for (unsigned second = 0; second < 30; second++) {
        f->now_ms += 1000;
        for (uint32_t i = 0; i < f->limits.control_per_s; i++) {
            frame(f, WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
        }
        flush(f);
    }

    assert_int_equal(f->stats.over_control_rate, 0);
    assert_int_equal(f->goaway, UINT32_MAX);
}

static void window_updates(struct fixture *f, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        frame(f, WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
    }
    flush(f);
}

/* Each 16 KiB that we send may cost the peer three frames more than it is granted by itself. */
static void long_data_frames_pay_for_the_peers_window_updates(void **state)
{
    struct fixture *f = *state;
    static const uint8_t wide[] = {0, 4, 0, 16, 0, 0, 0, 5, 0, 3, 0xd, 0x40}; /* 1 MiB, 200,000 */
    static const uint8_t message[190000];

    frame(f, SETTINGS, 0, 0, wide, sizeof(wide));
    frame(f, WINDOW_UPDATE, 0, 0, "\0\x10\0\0", 4);
    request(f, 1, 0);
    window_updates(f, f->limits.control_burst - 4); /* all: four frames came before */
    assert_code(hws_grpc_call_send(assert_got(s_call), message, sizeof(message), NULL), HWS_OK);
    flush(f);
    assert_int_equal(f->most_data, sizeof(message) + 5);

    window_updates(f, 3 * (1 + 190005 / 16384));
    assert_int_equal(f->goaway, UINT32_MAX);
    window_updates(f, 3);
    assert_int_equal(f->stats.over_control_rate, 1);
    assert_calmed(f);
}

static void rapid_reset_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < f->limits.reset_burst + 5 && f->goaway == UINT32_MAX; i++) {
        request(f, 1 + 2 * i, 0);
        frame(f, RST_STREAM, 0, 1 + 2 * i, "\0\0\0\x8", 4);
        flush(f);
    }

    assert_int_equal(f->stats.over_reset_rate, 1);
    assert_int_equal(f->stats.resets_in, f->limits.reset_burst + 1);
    assert_calmed(f);
}

/* A window update of zero is an error of its stream (RFC 9113, section 6.9): we reset it, the peer
 * did nothing rapid. */
static void provoked_resets_end_the_connection(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < 3 * f->limits.provoked_max && f->goaway == UINT32_MAX; i++) {
        request(f, 1 + 2 * i, 0);
        frame(f, WINDOW_UPDATE, 0, 1 + 2 * i, "\x7f\xff\xff\xff", 4);
        flush(f);
    }

    assert_int_equal(f->stats.resets_in, 0);
    assert_int_equal(f->stats.over_provoked_rate, 1);
    assert_calmed(f);
}

/* n streams whose window overflows, from *next on. */
static void provoke(struct fixture *f, uint32_t n, uint32_t *next)
{
    for (uint32_t i = 0; i < n; i++, *next += 2) {
        request(f, *next, 0);
        frame(f, WINDOW_UPDATE, 0, *next, "\x7f\xff\xff\xff", 4);
        flush(f);
    }
}

/* Not more than the limit in any time as long as the window, wherever it is begun. */
static void provoked_resets_are_counted_across_windows(void **state)
{
    struct fixture *f = *state;
    uint32_t next = 1;

    f->now_ms += f->limits.provoked_window_ms - 1;
    provoke(f, f->limits.provoked_max, &next);
    assert_int_equal(f->stats.resets_provoked, f->limits.provoked_max);
    assert_int_equal(f->goaway, UINT32_MAX);
    f->now_ms += 1;
    provoke(f, 1, &next);

    assert_int_equal(f->stats.over_provoked_rate, 1);
    assert_calmed(f);
}

static void provoked_resets_are_forgotten_after_two_windows(void **state)
{
    struct fixture *f = *state;
    uint32_t next = 1;

    for (unsigned i = 0; i < 3; i++) {
        provoke(f, f->limits.provoked_max, &next);
        f->now_ms += (uint64_t)2 * f->limits.provoked_window_ms;
    }

    assert_int_equal(f->stats.resets_provoked, 3 * f->limits.provoked_max);
    assert_int_equal(f->stats.over_provoked_rate, 0);
    assert_int_equal(f->goaway, UINT32_MAX);
}

static void early_pings_end_the_connection(void **state)
{
    struct fixture *f = *state;

    request(f, 1, 0);
    frame(f, PING, 0, 0, "12345678", 8);
    flush(f);
    for (unsigned i = 0; i < 2; i++) { /* forgiven */
        f->now_ms += 1000;
        frame(f, PING, 0, 0, "12345678", 8);
        flush(f);
        assert_int_equal(f->goaway, UINT32_MAX);
    }
    assert_int_equal(f->n_acks, 3);
    f->now_ms += 1000;
    frame(f, PING, 0, 0, "12345678", 8);
    flush(f);

    const char *text = NULL;
    assert_int_equal(f->stats.over_ping_rate, 1);
    assert_calmed(f);
    (void)hws_grpc_conn_end(&f->conn, &text);
    assert_string_equal(text, "too_many_pings");
}

static void pings_in_time_or_beside_data_are_answered(void **state)
{
    struct fixture *f = *state;

    request(f, 1, 0);
    for (unsigned i = 0; i < 10; i++) {
        f->now_ms += i < 5 ? f->limits.ping_min_interval_ms : 10;
        if (i >= 5) {
            assert_code(hws_grpc_call_send(assert_got(s_call), "x", 1, NULL), HWS_OK);
            flush(f);
        }
        frame(f, PING, 0, 0, "12345678", 8);
        flush(f);
    }

    assert_int_equal(f->goaway, UINT32_MAX);
    assert_int_equal(f->n_acks, 10);
}

/* Without calls the least time is that of gRPC's own servers, unless the limits allow such pings.
 */
static void pings_without_calls_are_early_where_they_are_not_allowed(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 20; i++) {
        f->conn.cfg.limits.ping_without_calls = i < 16;
        assert_int_equal(f->goaway, UINT32_MAX);
        f->now_ms += f->limits.ping_min_interval_ms;
        frame(f, PING, 0, 0, "12345678", 8);
        flush(f);
        if (i == 18) { /* two were forgiven */
            break;
        }
    }

    assert_int_equal(f->n_acks, 18);
    assert_int_equal(f->stats.over_ping_rate, 1);
    assert_calmed(f);
}

static void frames_that_wait_in_the_library_are_bounded(void **state)
{
    struct fixture *f = *state;

    f->conn.cfg.limits.max_outbound_items = 20;
    for (unsigned i = 0; i < 20; i++) {
        frame(f, SETTINGS, 0, 0, NULL, 0);
    }
    flush(f); /* as many acknowledgements */
    assert_int_equal(f->goaway, UINT32_MAX);
    for (unsigned i = 0; i < 21; i++) {
        frame(f, SETTINGS, 0, 0, NULL, 0);
    }
    flush(f);

    assert_int_equal(f->stats.over_outbound, 1);
    assert_calmed(f);
}

static void message_that_dribbles_is_cut_off(void **state)
{
    struct fixture *f = *state;

    request(f, 1, 0);
    frame(f, DATA, 0, 1, "\0\0\1\0\0x", 6); /* announces 64 KiB */
    flush(f);
    for (unsigned i = 0; i < 29; i++) {
        f->now_ms += 1000;
        frame(f, DATA, 0, 1, "x", 1);
        flush(f);
    }
    assert_int_equal(f->stats.calls_stalled, 0);
    f->now_ms += 1000;
    flush(f);

    assert_int_equal(f->stats.calls_stalled, 1);
    assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 0);
    assert_int_equal(f->goaway, UINT32_MAX);
}

static void many_unfinished_messages_are_bounded_together(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[60000];

    /* 32 calls, each with a message of 4 MiB of which 600 KB come: 18.75 MiB in all, over the 16
     * MiB of the connection. */
    for (uint32_t i = 0; i < 32; i++) {
        request(f, 1 + 2 * i, 0);
        frame(f, DATA, 0, 1 + 2 * i, "\0\0\x40\0\0", 5);
        flush(f);
    }
    for (unsigned round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 32; i++) {
            frame(f, DATA, 0, 1 + 2 * i, chunk, sizeof(chunk));
            flush(f);
        }
    }

    assert_true(f->stats.over_recv_limit > 0);
    assert_true(f->conn.recv_bytes <= f->limits.max_recv_conn_bytes);
    assert_true(hws_grpc_conn_n_calls(&f->conn) > 20); /* only what was too much ended */
    assert_int_equal(f->goaway, UINT32_MAX);
}

static void padding_flood_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    request(f, 1, 0);
    for (uint32_t i = 0; i < f->limits.control_burst + 10; i++) {
        frame(f, DATA, PADDED, 1, "\2\0\0", 3);
    }
    flush(f);

    assert_int_equal(f->stats.over_control_rate, 1);
    assert_calmed(f);
}

/* One byte a field: an index into the table. Even of a stream that is refused. */
static void header_bomb_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    uint8_t refs[4096];

    f->account.max_calls = 0;
    memset(refs, 0x90, sizeof(refs)); /* accept-encoding: gzip, deflate */
    frame(f, HEADERS, 0, 1, s_block, BLOCK_BYTES);
    frame(f, CONTINUATION, END_HEADERS, 1, refs, sizeof(refs));
    flush(f);

    assert_int_equal(f->stats.over_header_bomb, 1);
    assert_int_equal(f->conn.block_fields, f->limits.bomb_header_fields + 1);
    assert_calmed(f);
}

/* Names of no bytes are left out by the library and counted all the same. */
static void fields_without_a_name_count(void **state)
{
    struct fixture *f = *state;
    uint8_t block[BLOCK_BYTES + (size_t)3 * 80];

    memcpy(block, s_block, BLOCK_BYTES);
    memset(block + BLOCK_BYTES, 0, sizeof(block) - BLOCK_BYTES);
    frame(f, HEADERS, END_HEADERS, 1, block, sizeof(block));
    flush(f);

    assert_null(s_call);
    assert_int_equal(f->stats.over_header_limit, 1);
    assert_int_equal(f->goaway, UINT32_MAX);
}

static void header_block_that_never_ends_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    frame(f, HEADERS, 0, 1, s_block, BLOCK_BYTES);
    for (unsigned i = 0; i < 5; i++) {
        flush(f);
        f->now_ms += f->limits.header_block_ms / 5;
        frame(f, CONTINUATION, 0, 1, "\x90", 1);
    }
    assert_int_equal(f->goaway, UINT32_MAX);
    flush(f);

    assert_int_equal(f->stats.conn_header_timeouts, 1);
    assert_int_equal(f->goaway, CALM);
}

static void request_without_its_message_is_cut_off(void **state)
{
    struct fixture *f = *state;

    unary_request(f, 1, 0);
    flush(f);
    f->now_ms += f->limits.progress_ms - 1;
    flush(f);
    assert_int_equal(f->stats.calls_stalled, 0);
    f->now_ms += 1;
    flush(f);

    assert_int_equal(f->stats.calls_stalled, 1);
}

static void request_whose_handler_takes_its_time_is_not(void **state)
{
    struct fixture *f = *state;

    unary_request(f, 1, 0);
    frame(f, DATA, END_STREAM, 1, "\0\0\0\0\1x", 6);
    request(f, 3, 0); /* a stream may be silent */
    flush(f);
    f->now_ms += 10 * (uint64_t)f->limits.progress_ms;
    flush(f);

    assert_int_equal(f->stats.calls_stalled, 0);
    assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 2);
}

static void account_bounds_the_calls_of_many_connections(void **state)
{
    struct fixture *f = *state;

    f->account.n_calls = f->account.max_calls - 2; /* other connections' */
    for (uint32_t i = 0; i < 4; i++) {
        request(f, 1 + 2 * i, 0);
    }
    flush(f);

    assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 2);
    assert_int_equal(f->stats.calls_refused, 2);
    assert_int_equal(f->account.n_refused, 2);
    hws_grpc_conn_lost(&f->conn, "gone");
    assert_int_equal(f->account.n_calls, f->account.max_calls - 2);
}

static void account_bounds_the_bytes_of_many_connections(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[60000];

    f->account.max_held_bytes = 1000000;
    f->account.held_bytes = 900000; /* other connections' */
    for (uint32_t i = 0; i < 4; i++) {
        request(f, 1 + 2 * i, 0);
        frame(f, DATA, 0, 1 + 2 * i, "\0\0\x40\0\0", 5);
        frame(f, DATA, 0, 1 + 2 * i, chunk, sizeof(chunk));
        flush(f);
    }
    assert_int_equal(f->stats.over_account, 3); /* the second was the one too many */
    assert_int_equal(f->account.held_bytes, 900000 + sizeof(chunk));

    /* What is always free still passes. */
    request(f, 9, 0);
    frame(f, DATA, 0, 9, "\0\0\0\x27\x10", 5);
    frame(f, DATA, 0, 9, chunk, 5000);
    flush(f);
    assert_int_equal(f->stats.over_account, 3);
    hws_grpc_conn_lost(&f->conn, "gone");
    assert_int_equal(f->account.held_bytes, 900000);
}

/* Bytes that the program has of the allocator; a sanitizer's tells nothing. */
static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* A message of n zeros, and what follows in its last frame. */
static void long_message(struct fixture *f, uint32_t stream, uint32_t n, uint8_t flags,
                         const void *then, size_t n_then)
{
    static uint8_t chunk[50000];

    memset(chunk, 0, sizeof(chunk));
    hws_store_be32(chunk + 1, n);
    frame(f, DATA, 0, stream, chunk, 5);
    memset(chunk, 0, 5);
    for (uint32_t at = 0; at + 40000 < n; at += 40000) {
        frame(f, DATA, 0, stream, chunk, 40000);
        flush(f);
    }
    memcpy(chunk + 40000, then, n_then);
    frame(f, DATA, flags, stream, chunk, 40000 + n_then);
    flush(f);
}

/* Its call may go on for long, and many others beside it. */
static void a_message_that_was_taken_holds_no_memory(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 2; round++) { /* the first makes what is kept for all calls */
        size_t before = in_use();
        request(f, 1 + 4 * round, 0);
        long_message(f, 1 + 4 * round, 2000000, 0, "\0\0\0\1\0.", 6); /* and the next begins */
        unary_request(f, 3 + 4 * round, 0);
        long_message(f, 3 + 4 * round, 2000000, END_STREAM, "", 0);
        assert_int_equal(f->stats.messages_in, 2 * (round + 1));
        assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 2 * (round + 1));
        assert_true(round == 0 || in_use() < before + 50000);
    }
}

/* What waited for credit is gone when it was read. */
static void bytes_that_waited_for_credit_hold_no_memory_when_they_are_read(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[60000];

    for (unsigned round = 0; round < 2; round++) {
        size_t before = in_use();
        for (uint32_t i = 0; i < 4; i++) {
            request(f, 1 + 8 * round + 2 * i, 0);
            flush(f);
            hws_grpc_call_set_credit(assert_got(s_call), 0);
            frame(f, DATA, 0, 1 + 8 * round + 2 * i, chunk, sizeof(chunk)); /* of empty messages */
            flush(f);
            assert_int_equal(f->conn.recv_bytes, sizeof(chunk));
            hws_grpc_call_grant(assert_got(s_call), sizeof(chunk));
            flush(f);
            assert_int_equal(f->conn.recv_bytes, 0);
        }
        assert_true(round == 0 || in_use() < before + 50000);
    }
}

/* Else a caller of many large calls would be charged for request and answer at once. */
static void a_request_is_no_longer_held_when_its_handler_has_it(void **state)
{
    struct fixture *f = *state;
    static uint8_t message[5 + 40000] = {0, 0, 0, 0x9c, 0x40};

    unary_request(f, 1, 0);
    frame(f, DATA, 0, 1, message, sizeof(message));
    flush(f);
    assert_int_equal(f->account.held_bytes, 40000); /* it waits for the half close */
    frame(f, DATA, END_STREAM, 1, message, 0);
    flush(f);
    assert_int_equal(hws_grpc_conn_n_calls(&f->conn), 1);
    assert_int_equal(f->conn.recv_bytes, 0);
    assert_int_equal(f->account.held_bytes, 0);
}

static void full_account_keeps_a_slow_reader_from_sending_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[40000];

    request(f, 1, 0);
    flush(f);
    f->account.max_held_bytes = 1000000;
    f->account.held_bytes += 970000;
    assert_code(hws_grpc_call_send(assert_got(s_call), chunk, sizeof(chunk), NULL), HWS_OK);
    assert_code(hws_grpc_call_send(assert_got(s_call), chunk, sizeof(chunk), NULL), HWS_E_BUSY);
    assert_true(hws_grpc_conn_turn(&f->conn, f->now_ms) <= f->now_ms + 100);
    f->account.held_bytes -= 970000;
    f->now_ms += 100;
    (void)hws_grpc_conn_turn(&f->conn, f->now_ms);
    assert_code(hws_grpc_call_send(assert_got(s_call), chunk, sizeof(chunk), NULL), HWS_OK);
}

static void what_the_application_holds_is_charged_until_it_is_gone(void **state)
{
    struct fixture *f = *state;

    request(f, 1, 0);
    request(f, 3, 0);
    flush(f);
    f->account.max_held_bytes = 1000000;
    assert_true(hws_grpc_call_hold(assert_got(s_call), 1000000));
    assert_int_equal(f->account.held_bytes, 1000000);
    assert_false(hws_grpc_call_hold(assert_got(s_call), 1000001));
    assert_int_equal(f->stats.over_account, 1);
    assert_true(hws_grpc_call_hold(assert_got(s_call), 1000001)); /* no more than before */
    assert_code(hws_grpc_call_send(assert_got(s_call), "x", 1, NULL), HWS_E_BUSY);
    assert_true(hws_grpc_call_hold(assert_got(s_call), 0));
    assert_int_equal(f->account.held_bytes, 0);

    f->account.held_bytes = 2000000; /* of others: what is always free still is */
    assert_true(hws_grpc_call_hold(assert_got(s_call), f->limits.call_free_bytes));
    assert_false(hws_grpc_call_hold(assert_got(s_call), f->limits.call_free_bytes + 1));
    hws_grpc_call_finish_text(assert_got(s_call), HWS_GRPC_OK, NULL);
    flush(f);
    assert_int_equal(f->account.held_bytes, 2000000);
    assert_int_equal(f->stats.over_account, 2);
}

static void what_the_transport_holds_is_charged_until_it_is_gone(void **state)
{
    struct fixture *f = *state;
    static uint8_t chunk[40000];

    request(f, 1, 0);
    flush(f);
    f->account.max_held_bytes = 1000000;
    hws_grpc_conn_transport_holds(&f->conn, 990000);
    assert_int_equal(f->account.held_bytes, 990000);
    assert_code(hws_grpc_call_send(assert_got(s_call), chunk, sizeof(chunk), NULL), HWS_OK);
    assert_code(hws_grpc_call_send(assert_got(s_call), chunk, sizeof(chunk), NULL), HWS_E_BUSY);
    hws_grpc_conn_transport_holds(&f->conn, 0);
    assert_code(hws_grpc_call_send(assert_got(s_call), chunk, sizeof(chunk), NULL), HWS_OK);
    hws_grpc_conn_deinit(&f->conn);
    assert_int_equal(f->account.held_bytes, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(hand_written_request_is_served),
        T(priority_flood_ends_the_connection),
        T(empty_data_flood_ends_the_connection),
        T(control_frames_at_the_rate_are_served),
        T(long_data_frames_pay_for_the_peers_window_updates),
        T(rapid_reset_ends_the_connection),
        T(provoked_resets_end_the_connection),
        T(provoked_resets_are_counted_across_windows),
        T(provoked_resets_are_forgotten_after_two_windows),
        T(early_pings_end_the_connection),
        T(pings_in_time_or_beside_data_are_answered),
        T(pings_without_calls_are_early_where_they_are_not_allowed),
        T(frames_that_wait_in_the_library_are_bounded),
        T(message_that_dribbles_is_cut_off),
        T(many_unfinished_messages_are_bounded_together),
        T(padding_flood_ends_the_connection),
        T(header_bomb_ends_the_connection),
        T(fields_without_a_name_count),
        T(header_block_that_never_ends_ends_the_connection),
        T(request_without_its_message_is_cut_off),
        T(request_whose_handler_takes_its_time_is_not),
        T(account_bounds_the_calls_of_many_connections),
        T(account_bounds_the_bytes_of_many_connections),
        T(what_the_transport_holds_is_charged_until_it_is_gone),
        T(what_the_application_holds_is_charged_until_it_is_gone),
        T(a_message_that_was_taken_holds_no_memory),
        T(bytes_that_waited_for_credit_hold_no_memory_when_they_are_read),
        T(a_request_is_no_longer_held_when_its_handler_has_it),
        T(full_account_keeps_a_slow_reader_from_sending_until_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
