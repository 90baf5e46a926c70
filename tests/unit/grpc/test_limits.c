/*
 * What a connection does against peers that misuse HTTP/2: frames written by hand (RFC 9113,
 * section 6; RFC 7541), each flood below nghttp2's own thresholds and above ours.
 */
#include <string.h>

#include "by_hand.h"

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

    assert_non_null(latest_call);
    assert_string_equal(hws_grpc_call_path(assert_got(latest_call)), "/t.S/A");
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
    assert_code(hws_grpc_call_send(assert_got(latest_call), message, sizeof(message), NULL),
                HWS_OK);
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
            assert_code(hws_grpc_call_send(assert_got(latest_call), "x", 1, NULL), HWS_OK);
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
    frame(f, HEADERS, 0, 1, REQUEST_BLOCK, BLOCK_BYTES);
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

    memcpy(block, REQUEST_BLOCK, BLOCK_BYTES);
    memset(block + BLOCK_BYTES, 0, sizeof(block) - BLOCK_BYTES);
    frame(f, HEADERS, END_HEADERS, 1, block, sizeof(block));
    flush(f);

    assert_null(latest_call);
    assert_int_equal(f->stats.over_header_limit, 1);
    assert_int_equal(f->goaway, UINT32_MAX);
}

static void header_block_that_never_ends_ends_the_connection(void **state)
{
    struct fixture *f = *state;

    frame(f, HEADERS, 0, 1, REQUEST_BLOCK, BLOCK_BYTES);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
