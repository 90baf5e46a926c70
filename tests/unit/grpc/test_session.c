/* A client and a server connection joined in memory: all kinds of calls, ends of every sort, flow
 * control, limits, drain. */
#include <string.h>

#include "base/mem.h"
#include "pair.h"
#include "test.h"

static int setup(void **state)
{
    static struct pair pair;

    *state = &pair;
    return pair_init(&pair) == HWS_OK ? 0 : -1;
}

static int teardown(void **state)
{
    pair_deinit(*state);
    return 0;
}

/* ---- the four kinds ---- */

static void unary_call_answers_with_its_request(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "hello", 5, NULL), NULL);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_true(s.outcome.from_peer);
    assert_int_equal(s.n_messages, 1);
    assert_string_equal(s.last, "hello");
    assert_int_equal(p->n_server_closed, 1);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 0);
    assert_int_equal(p->server_stats.resets_provoked, 0);
    assert_int_equal(p->server_stats.resets_in, 0);
}

static void every_cut_of_the_bytes_gives_the_same_call(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "hello", 5, NULL), NULL);
    pair_run_bytewise(p, 1);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_string_equal(s.last, "hello");
}

static void empty_messages_pass(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "", 0, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_int_equal(s.n_messages, 1);
    assert_int_equal(s.n_bytes, 0);
}

static void server_stream_is_paced_by_room(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_COUNT, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "100", 3, NULL), NULL);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_int_equal(s.n_messages, 100);
    assert_int_equal(s.n_bytes, 100 * PAIR_CHUNK);
    assert_int_equal(p->server.unsent_bytes, 0);
}

static void client_stream_is_summed(void **state)
{
    struct pair *p = *state;
    struct seen s;
    static const size_t sizes[] = {27182, 8, 1828, 45904};
    uint8_t *bytes = hws_mem_zalloc(1, 65536);
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_SUM, 0, NULL), NULL);
    for (size_t i = 0; i < 4; i++) {
        assert_ok(hws_grpc_call_send(s.call, bytes, sizes[i], NULL), NULL);
    }
    hws_grpc_call_half_close(s.call);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_string_equal(s.last, "74922");
    hws_mem_free(bytes);
}

static void bidi_answers_each_message(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_CHAT, 0, NULL), NULL);
    for (unsigned i = 1; i <= 4; i++) {
        assert_ok(hws_grpc_call_send(s.call, "ping", 4, NULL), NULL);
        (void)pair_run(p);
        assert_int_equal(s.n_messages, i);
    }
    assert_false(s.closed);
    hws_grpc_call_half_close(s.call);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
}

static void bidi_without_messages_ends_well(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_CHAT, 0, NULL), NULL);
    hws_grpc_call_half_close(s.call);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_int_equal(s.n_messages, 0);
}

static void big_messages_pass_small_windows(void **state)
{
    struct pair *p = *state;
    struct seen s;
    size_t n = (size_t)4 * 1024 * 1024;
    uint8_t *bytes = hws_mem_zalloc(1, n);
    p->client_limits.stream_window_bytes = 65535;
    p->client_limits.conn_window_bytes = 65535;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, bytes, n, NULL), NULL);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_int_equal(s.n_bytes, n);
    assert_int_equal(p->server.recv_bytes, 0);
    assert_int_equal(p->client.recv_bytes, 0);
    hws_mem_free(bytes);
}

static void unary_helper_hands_out_the_response(void **state);

/* ---- status and metadata ---- */

static void status_details_and_trailers_arrive(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "fail", 4, NULL), NULL);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_FAILED_PRECONDITION);
    assert_string_equal(s.message, "not now: \xc3\xbc 100%");
    assert_int_equal(s.outcome.n_details, 2);
    assert_memory_equal(s.details, "\x08\x09", 2);
    assert_memory_equal(s.trailing, "\x00\xff\x01", 3);
    assert_false(s.headers); /* trailers-only */
}

static void metadata_goes_both_ways(void **state)
{
    struct pair *p = *state;
    struct seen s;
    struct hws_grpc_meta meta = {0};
    assert_ok(pair_open(p), NULL);
    assert_ok(hws_grpc_meta_add_text(&meta, "x-initial", "first value", NULL), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, &meta), NULL);
    assert_ok(hws_grpc_call_send(s.call, "m", 1, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_true(s.headers);
    assert_string_equal(s.initial, "first value");
    hws_grpc_meta_deinit(&meta);
}

static void unknown_method_is_unimplemented(void **state)
{
    struct pair *p = *state;
    struct seen s = {0};
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    hws_grpc_call_cancel(s.call);
    (void)pair_run(p);

    struct seen t;
    assert_ok(seen_start(p, &t, PAIR_CHAT, 0, NULL), NULL);
    hws_grpc_server_deinit(&p->table);
    (void)pair_run(p);

    assert_int_equal(t.outcome.code, HWS_GRPC_UNIMPLEMENTED);
    assert_int_equal(p->server_stats.calls_unknown, 1);
}

static void compressed_messages_pass_by(struct pair *p, enum hws_grpc_encoding encoding)
{
    struct seen s;
    p->encoding = encoding;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_COUNT, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "3", 1, NULL), NULL);
    size_t moved = pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_int_equal(s.n_bytes, 3 * PAIR_CHUNK);
    assert_int_equal(p->client_stats.inflated, 3);
    assert_true(moved < PAIR_CHUNK);
}

static void gzip_messages_pass(void **state)
{
    compressed_messages_pass_by(*state, HWS_GRPC_GZIP);
}

static void zstd_messages_pass(void **state)
{
    compressed_messages_pass_by(*state, HWS_GRPC_ZSTD);
}

static void size_bomb_is_stopped(struct pair *p, enum hws_grpc_encoding encoding)
{
    struct seen s;
    p->encoding = encoding;
    p->client_limits.max_recv_message_bytes = PAIR_CHUNK - 1;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_COUNT, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "1", 1, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(p->client_stats.over_message_limit, 1);
}

static void gzip_bomb_is_stopped_while_inflating(void **state)
{
    size_bomb_is_stopped(*state, HWS_GRPC_GZIP);
}

static void zstd_bomb_is_stopped(void **state)
{
    size_bomb_is_stopped(*state, HWS_GRPC_ZSTD);
}

/* ---- ends ---- */

static void deadline_ends_both_sides(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_HANG, 50, NULL), NULL);
    (void)pair_run(p);
    assert_non_null(p->hanging);
    assert_int_equal(hws_grpc_call_deadline(p->hanging), p->now_ms + 50);
    pair_advance(p, 49);
    assert_false(s.closed);
    pair_advance(p, 1);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(p->n_cancelled, 1);
    assert_int_equal(p->n_server_closed, 0); /* the handler still works */
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 1);
    hws_grpc_call_finish_text(p->hanging, HWS_GRPC_OK, NULL);
    (void)pair_run(p);
    assert_int_equal(p->n_server_closed, 1);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 0);
}

static void server_deadline_is_told_to_a_client_without_one(void **state)
{
    struct pair *p = *state;
    struct seen s;
    p->server_limits.default_deadline_ms = 100;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);
    assert_int_equal(hws_grpc_conn_turn(&p->server, p->now_ms), p->now_ms + 100);
    pair_advance(p, 100);

    assert_true(s.closed);
    assert_true(s.outcome.from_peer);
    assert_int_equal(s.outcome.code, HWS_GRPC_DEADLINE_EXCEEDED);
    hws_grpc_call_finish_text(p->hanging, HWS_GRPC_OK, NULL);
    (void)pair_run(p);
    assert_int_equal(p->n_server_closed, 1);
}

static void deadline_status_arrives_although_the_handler_ends_at_once(void **state)
{
    struct pair *p = *state;
    struct seen s;
    p->server_limits.default_deadline_ms = 100;
    assert_ok(pair_open(p), NULL);

    for (unsigned n_sent = 0; n_sent < 2; n_sent++) { /* trailers-only, then behind a message */
        assert_ok(seen_start(p, &s, PAIR_CHAT, 0, NULL), NULL);
        if (n_sent > 0) {
            assert_ok(hws_grpc_call_send(s.call, "x", 1, NULL), NULL);
        }
        (void)pair_run(p);
        assert_int_equal(s.n_messages, n_sent);
        pair_advance(p, 100);

        assert_true(s.closed && s.outcome.from_peer);
        assert_int_equal(s.outcome.code, HWS_GRPC_DEADLINE_EXCEEDED);
        assert_int_equal(hws_grpc_conn_n_calls(&p->server), 0);
    }
    assert_int_equal(p->server_stats.calls_deadline, 2);
    assert_int_equal(p->server_stats.resets_provoked, 0);
}

static void deadline_behind_a_shut_window_resets(void **state)
{
    struct pair *p = *state;
    struct seen s;
    p->client_limits.stream_window_bytes = 1000;
    p->server_limits.default_deadline_ms = 100;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);

    assert_ok(seen_start(p, &s, PAIR_COUNT, 0, NULL), NULL);
    hws_grpc_call_set_credit(s.call, 0);
    assert_ok(hws_grpc_call_send(s.call, "5", 1, NULL), NULL);
    (void)pair_run(p);
    assert_false(s.closed);
    pair_advance(p, 100);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_CANCELLED);
    assert_int_equal(p->n_server_closed, 1);
    assert_int_equal(p->server.unsent_bytes, 0);
}

static void client_cancel_reaches_the_handler(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_call_cancel(s.call);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_CANCELLED);
    assert_int_equal(p->n_cancelled, 1);
    assert_int_equal(p->server_stats.calls_cancelled, 1);
    hws_grpc_call_finish_text(p->hanging, HWS_GRPC_OK, NULL);
    (void)pair_run(p);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 0);
}

static void server_abort_resets_without_status(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_call_cancel(p->hanging);
    hws_grpc_call_finish_text(p->hanging, HWS_GRPC_OK, NULL);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_CANCELLED);
    assert_int_equal(p->n_server_closed, 1);
    assert_int_equal(p->server_stats.resets_provoked, 0);
}

static void early_status_ends_a_client_that_still_sends(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "x", 1, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_call_finish_text(p->hanging, HWS_GRPC_ABORTED, "enough");
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_ABORTED);
    assert_string_equal(s.message, "enough");
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 0);
    assert_int_equal(p->server_stats.resets_provoked, 0);
}

static void lost_connection_ends_every_call_once(void **state)
{
    struct pair *p = *state;
    struct seen s;
    struct seen t;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);
    assert_ok(seen_start(p, &t, PAIR_HANG, 0, NULL), NULL);

    hws_grpc_conn_lost(&p->server, "cable");
    hws_grpc_conn_lost(&p->client, "cable");

    assert_int_equal(p->n_cancelled, 1);
    assert_int_equal(p->n_server_closed, 1);
    assert_int_equal(s.outcome.code, HWS_GRPC_UNAVAILABLE);
    assert_string_equal(s.message, "cable");
    assert_false(s.outcome.unprocessed);
    assert_true(t.outcome.unprocessed); /* its headers never left */
    assert_true(hws_grpc_conn_want_close(&p->client));
}

static void request_with_two_messages_never_reaches_the_handler(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    const struct hws_grpc_call_ops ops = {0};
    const struct hws_grpc_start start = {
        .path = "/test.Pair/Echo", .kind = HWS_GRPC_BIDI, .ops = &ops};
    struct hws_grpc_call *call = NULL;
    assert_ok(hws_grpc_client_start(&p->client, &start, p->now_ms, &call, NULL), NULL);
    assert_ok(hws_grpc_call_send(call, "1", 1, NULL), NULL);
    assert_ok(hws_grpc_call_send(call, "2", 1, NULL), NULL);

    (void)pair_run(p);

    assert_int_equal(p->server_stats.messages_in, 0);
    assert_int_equal(p->n_cancelled, 1);
    assert_int_equal(p->n_server_closed, 1);
    (void)s;
}

/* ---- limits and back-pressure ---- */

static void too_large_message_is_refused_before_it_is_buffered(void **state)
{
    struct pair *p = *state;
    struct seen s;
    uint8_t *bytes = hws_mem_zalloc(1, 5000);
    p->server_limits.max_recv_message_bytes = 4096;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, bytes, 4097, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(p->server_stats.over_message_limit, 1);
    hws_mem_free(bytes);
}

static void unsent_cap_answers_busy_then_writable(void **state)
{
    struct pair *p = *state;
    struct seen s;
    uint8_t *bytes = hws_mem_zalloc(1, 1000);
    p->client_limits.max_unsent_call_bytes = 1500;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_SUM, 0, NULL), NULL);

    assert_ok(hws_grpc_call_send(s.call, bytes, 1000, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, bytes, 1000, NULL), NULL);
    assert_code(hws_grpc_call_send(s.call, bytes, 1000, NULL), HWS_E_BUSY);
    assert_int_equal(s.n_writable, 0);
    (void)pair_run(p);

    assert_int_equal(s.n_writable, 1);
    assert_int_equal(hws_grpc_call_unsent(s.call), 0);
    assert_ok(hws_grpc_call_send(s.call, bytes, 1000, NULL), NULL);
    hws_grpc_call_half_close(s.call);
    (void)pair_run(p);
    assert_string_equal(s.last, "3000");
    hws_mem_free(bytes);
}

static void call_without_credit_holds_at_most_one_window(void **state)
{
    struct pair *p = *state;
    struct seen s;
    uint8_t *bytes = hws_mem_zalloc(1, 40000);
    p->credit = 1;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    assert_ok(seen_start(p, &s, PAIR_SUM, 0, NULL), NULL);
    for (unsigned i = 0; i < 5; i++) {
        assert_ok(hws_grpc_call_send(s.call, bytes, 40000, NULL), NULL);
    }
    hws_grpc_call_half_close(s.call);

    (void)pair_run(p);
    assert_int_equal(p->server_stats.messages_in, 1);
    assert_true(hws_grpc_call_unsent(s.call) > 5 * 40005 - 40005 - 65536 - 1);
    assert_false(s.closed);

    /* Another call is not stopped by the paused one. */
    struct seen t;
    assert_ok(seen_start(p, &t, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(t.call, bytes, 40000, NULL), NULL);
    (void)pair_run(p);
    assert_int_equal(t.outcome.code, HWS_GRPC_OK);

    struct hws_list *first = p->server.calls.next;
    struct hws_grpc_call *paused =
        (struct hws_grpc_call *)(void *)first; /* link is its first member */
    hws_grpc_call_grant(paused, 10);
    (void)pair_run(p);
    assert_true(s.closed);
    assert_string_equal(s.last, "200000");
    hws_mem_free(bytes);
}

static void calls_over_the_limit_are_refused_or_wait(void **state)
{
    struct pair *p = *state;
    struct seen s[4];
    p->server_limits.max_calls = 2;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p); /* the client knows the limit now */

    for (unsigned i = 0; i < 4; i++) {
        assert_ok(seen_start(p, &s[i], PAIR_HANG, 0, NULL), NULL);
    }
    (void)pair_run(p);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 2);
    assert_int_equal(p->server_stats.calls_refused, 0); /* nghttp2 keeps the others back */

    /* A cancelled call whose handler works on keeps its place: the streams that waited are refused.
     */
    hws_grpc_call_cancel(s[0].call);
    (void)pair_run(p);
    assert_int_equal(p->server_stats.calls_refused, 2);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 2);
    assert_true(s[2].closed && s[2].outcome.unprocessed);
    assert_int_equal(s[3].outcome.code, HWS_GRPC_UNAVAILABLE);
}

/* Rounds of 32 calls that their client gives up after so long, until the server had enough. */
static unsigned rounds_of_resets(struct pair *p, uint64_t after_ms, unsigned most)
{
    struct seen s[32];

    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    for (unsigned round = 0; round < most; round++) {
        for (unsigned i = 0; i < 32; i++) {
            if (seen_start(p, &s[i], PAIR_CHAT, 0, NULL) != HWS_OK) {
                return round;
            }
        }
        (void)pair_run(p);
        pair_advance(p, after_ms);
        for (unsigned i = 0; i < 32 && !s[i].closed; i++) {
            hws_grpc_call_cancel(s[i].call);
        }
        (void)pair_run(p);
        if (p->server.state != HWS_GRPC_CONN_OPEN) {
            return round;
        }
    }
    return most;
}

static void calls_given_up_after_a_wait_cost_no_connection(void **state)
{
    struct pair *p = *state;
    assert_int_equal(rounds_of_resets(p, 1000, 12), 12);
    assert_int_equal(p->server_stats.resets_in, 384);
    assert_int_equal(p->server_stats.over_reset_rate, 0);
}

static void calls_given_up_at_once_end_the_connection(void **state)
{
    struct pair *p = *state;
    (void)rounds_of_resets(p, 0, 12);
    assert_int_equal(p->server_stats.over_reset_rate, 1);
    assert_int_equal(p->server_stats.resets_in, p->server_limits.reset_burst + 1);
}

static void a_call_is_young_up_to_its_limit(void **state)
{
    struct pair *p = *state;
    p->server_limits.reset_per_s = 0;
    (void)rounds_of_resets(p, p->server_limits.reset_young_ms - 1, 12);
    assert_int_equal(p->server_stats.over_reset_rate, 1);
    assert_int_equal(p->server_stats.resets_in, p->server_limits.reset_burst + 1);
}

static void a_reset_and_the_next_call_in_one_read_are_within_the_limit(void **state)
{
    struct pair *p = *state;
    struct seen s[3];
    p->server_limits.max_calls = 2;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(seen_start(p, &s[i], PAIR_CHAT, 0, NULL), NULL);
    }
    (void)pair_run(p);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 2);

    hws_grpc_call_cancel(s[0].call);
    assert_ok(seen_start(p, &s[2], PAIR_CHAT, 0, NULL), NULL);
    (void)pair_run(p);
    assert_int_equal(p->server_stats.resets_in, 1);
    assert_int_equal(p->server_stats.calls_refused, 0);
    assert_false(s[2].closed);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 2);
    assert_int_equal(p->server.n_done, 0);
    hws_grpc_call_cancel(s[1].call);
    hws_grpc_call_cancel(s[2].call);
    (void)pair_run(p);
    assert_true(s[1].closed && s[2].closed);
}

static void a_refused_call_takes_no_other_with_it(void **state)
{
    struct pair *p = *state;
    struct seen s[3];
    p->server_limits.max_calls = 2;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(seen_start(p, &s[i], PAIR_HANG, 0, NULL), NULL);
    }
    (void)pair_run(p);
    hws_grpc_call_cancel(s[0].call); /* its handler works on: the third call is refused */
    (void)pair_run(p);
    assert_int_equal(p->server_stats.calls_refused, 1);
    assert_true(s[2].closed && s[2].outcome.unprocessed);

    pair_advance(p, p->server_limits.header_block_ms + 1000);
    assert_false(s[1].closed);
    assert_int_equal(p->server.state, HWS_GRPC_CONN_OPEN);
    assert_int_equal(p->server_stats.conn_header_timeouts, 0);
    hws_grpc_call_cancel(s[1].call);
    (void)pair_run(p);
    assert_true(s[1].closed);
}

static void a_header_block_must_get_whole_in_time_even_that_of_a_refused_call(void **state)
{
    static const uint8_t begun[] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83}; /* :method POST */
    static const uint8_t more[] = {0, 0, 1, 9, 0, 0, 0, 0, 1, 0x87};  /* :scheme https */
    static const uint8_t torn[] = {0, 0, 2, 1, 4, 0, 0, 0, 1, 0x83};  /* a byte is missing */
    struct pair *p = *state;
    uint64_t at_ms = 0;
    for (unsigned i = 0; i < 4; i++) {
        bool refused = i % 2 == 1;
        const uint8_t *bytes = i < 2 ? begun : torn;
        if (i > 0) {
            pair_deinit(p);
            assert_ok(pair_init(p), NULL);
        }
        assert_ok(pair_open(p), NULL);
        (void)pair_run(p);
        if (refused) {
            hws_grpc_conn_drain(&p->server, 0);
            pair_advance(p, p->server_limits.drain_notice_ms);
            assert_int_equal(p->server.state, HWS_GRPC_CONN_DRAINING);
        }
        assert_ok(hws_grpc_conn_recv(&p->server, bytes, 10, p->now_ms, NULL), NULL);
        at_ms = p->now_ms + p->server_limits.header_block_ms;
        assert_true(hws_grpc_conn_turn(&p->server, at_ms - 1) >= at_ms);
        if (i < 2) { /* a part more is not the end */
            assert_ok(hws_grpc_conn_recv(&p->server, more, sizeof(more), at_ms - 1, NULL), NULL);
        }
        assert_int_equal(p->server_stats.conn_header_timeouts, 0);
        (void)hws_grpc_conn_turn(&p->server, at_ms);
        assert_int_equal(p->server_stats.conn_header_timeouts, 1);
    }
}

static void stalled_reader_is_reset(void **state)
{
    struct pair *p = *state;
    struct seen s;
    p->client_limits.stream_window_bytes = 1000;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    assert_ok(seen_start(p, &s, PAIR_COUNT, 0, NULL), NULL);
    hws_grpc_call_set_credit(s.call, 0);
    assert_ok(hws_grpc_call_send(s.call, "5", 1, NULL), NULL);
    (void)pair_run(p);

    pair_advance(p, 29999);
    assert_int_equal(p->server_stats.calls_stalled, 0);
    pair_advance(p, 1);
    pair_advance(p, 30000);

    assert_int_equal(p->server_stats.calls_stalled, 1);
    assert_int_equal(p->n_server_closed, 1);
    assert_true(s.closed);
}

static void oversized_headers_fail_only_their_call(void **state)
{
    struct pair *p = *state;
    struct seen s;
    struct hws_grpc_meta meta = {.max_bytes = 100000, .max_entries = 100};
    char big[4000];
    memset(big, 'a', sizeof(big));
    assert_ok(pair_open(p), NULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(hws_grpc_meta_add(&meta, "x-big", big, sizeof(big), NULL), NULL);
    }

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, &meta), NULL);
    assert_ok(hws_grpc_call_send(s.call, "x", 1, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(p->server_stats.over_header_limit, 1);
    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "x", 1, NULL), NULL);
    (void)pair_run(p);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    hws_grpc_meta_deinit(&meta);
}

/* ---- the connection ---- */

static void drain_lets_calls_finish_and_takes_no_new_ones(void **state)
{
    struct pair *p = *state;
    struct seen s;
    struct hws_grpc_call *call = NULL;
    const struct hws_grpc_start start = {.path = "/test.Pair/Echo", .kind = HWS_GRPC_UNARY};
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_CHAT, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_conn_drain(&p->server, 0);
    (void)pair_run(p);
    assert_false(hws_grpc_client_ready(&p->client));
    assert_code(hws_grpc_client_start(&p->client, &start, p->now_ms, &call, NULL), HWS_E_GONE);
    assert_ok(hws_grpc_call_send(s.call, "still", 5, NULL), NULL);
    (void)pair_run(p);
    assert_string_equal(s.last, "still");
    assert_false(hws_grpc_conn_want_close(&p->server));
    hws_grpc_call_half_close(s.call);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_true(hws_grpc_conn_want_close(&p->server));
    assert_true(hws_grpc_conn_want_close(&p->client));
    assert_int_equal(hws_grpc_conn_end(&p->server, NULL), HWS_OK);
}

static void a_reset_after_the_deadline_is_the_deadline(void **state)
{
    struct pair *p = *state;
    struct seen s;
    const uint8_t *bytes = NULL;
    size_t n = 0;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 50, NULL), NULL);
    (void)pair_run(p);

    p->now_ms += 50; /* the server's reset is read before the client's own timer runs */
    hws_grpc_call_cancel(p->hanging);
    hws_grpc_call_finish_text(p->hanging, HWS_GRPC_CANCELLED, NULL);
    hws_grpc_conn_pull(&p->server, p->now_ms, &bytes, &n);
    assert_true(n > 0);
    assert_ok(hws_grpc_conn_recv(&p->client, bytes, n, p->now_ms, NULL), NULL);
    hws_grpc_conn_sent(&p->server, n, p->now_ms);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_DEADLINE_EXCEEDED);
}

static void old_connections_are_drained_never_late_and_not_all_at_once(void **state)
{
    static const struct {
        uint32_t spread;
        uint64_t age_ms;
    } rows[] = {{0, 10000}, {100, 9000}, {200, 8000}, {201, 10000}, {4294967295u, 9010}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair p;
        assert_ok(pair_init(&p), NULL);
        p.server_limits.max_age_ms = 10000;
        p.spread = rows[i].spread;
        assert_ok(pair_open(&p), NULL);
        (void)pair_run(&p);
        pair_advance(&p, rows[i].age_ms - 1);
        assert_true(hws_grpc_client_ready(&p.client));
        pair_advance(&p, 1);
        assert_false(hws_grpc_client_ready(&p.client));
        pair_deinit(&p);
    }
}

static void drain_with_grace_ends_calls_unavailable(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_conn_drain(&p->server, 500);
    pair_advance(p, 499);
    assert_int_equal(p->n_cancelled, 0);
    pair_advance(p, 1);

    assert_int_equal(p->n_cancelled, 1);
    assert_true(hws_grpc_conn_want_close(&p->server));
    hws_grpc_conn_lost(&p->client, "closed");
    assert_int_equal(s.outcome.code, HWS_GRPC_UNAVAILABLE);
}

static void a_later_drain_may_shorten_the_grace_but_not_stretch_it(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_conn_drain(&p->server, 0);
    (void)pair_run(p); /* the client answers: the second GOAWAY is out */
    hws_grpc_conn_drain(&p->server, 900);
    hws_grpc_conn_drain(&p->server, 500);
    hws_grpc_conn_drain(&p->server, 800);
    hws_grpc_conn_drain(&p->server, 0);
    assert_true(hws_grpc_conn_turn(&p->server, p->now_ms) <= p->now_ms + 500);
    pair_advance(p, 499);
    assert_int_equal(p->n_cancelled, 0);
    pair_advance(p, 1);
    assert_int_equal(p->n_cancelled, 1);
    assert_true(hws_grpc_conn_want_close(&p->server));
    hws_grpc_conn_lost(&p->client, "closed");
    assert_int_equal(s.outcome.code, HWS_GRPC_UNAVAILABLE);
}

static void a_closing_connection_whose_peer_takes_nothing_is_given_up(void **state)
{
    struct pair *p = *state;
    const uint8_t *bytes = NULL;
    size_t n = 0;
    p->server_limits.conn_progress_ms = 5000;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);

    hws_grpc_conn_close(&p->server);
    (void)hws_grpc_conn_turn(&p->server, p->now_ms);
    hws_grpc_conn_pull(&p->server, p->now_ms, &bytes, &n);
    assert_true(n > 0); /* the GOAWAY, which nobody takes */
    assert_int_equal(hws_grpc_conn_turn(&p->server, p->now_ms), p->now_ms + 5000);
    p->now_ms += 4999;
    (void)hws_grpc_conn_turn(&p->server, p->now_ms);
    assert_false(hws_grpc_conn_want_close(&p->server));
    p->now_ms += 1;
    assert_true(hws_grpc_conn_turn(&p->server, p->now_ms) > p->now_ms); /* no spinning */
    assert_true(hws_grpc_conn_want_close(&p->server));
    assert_int_equal(p->server_stats.conn_stalled, 1);
}

static enum hws_code accounted_start(void *arg)
{
    struct hws_grpc_account account = {.max_calls = 2, .max_held_bytes = 1u << 20};
    struct pair *p = arg;
    struct seen s;
    enum hws_code code = pair_init(p);

    if (code == HWS_OK) {
        code = pair_open(p);
    }
    if (code == HWS_OK) {
        p->client.cfg.accounts[0] = &account;
        code = seen_start(p, &s, PAIR_ECHO, 0, NULL);
        if (code != HWS_OK) {
            assert_int_equal(account.n_calls, p->client.n_calls);
            assert_int_equal(p->client_stats.calls_started,
                             p->client_stats.calls_ended + p->client.n_calls);
        }
    }
    pair_deinit(p);
    assert_int_equal(account.n_calls, 0);
    return code;
}

static void a_call_that_cannot_start_is_charged_to_nobody(void **state)
{
    static struct pair own;

    (void)state;
    assert_true(hws_test_oom_sweep(accounted_start, &own) > 3);
}

static void a_call_over_an_account_is_busy_not_out_of_memory(void **state)
{
    struct hws_grpc_account account = {.max_calls = 1, .max_held_bytes = 1u << 20};
    struct pair *p = *state;
    struct seen first;
    struct seen second;
    assert_ok(pair_open(p), NULL);
    p->client.cfg.accounts[0] = &account;

    assert_ok(seen_start(p, &first, PAIR_ECHO, 0, NULL), NULL);
    assert_code(seen_start(p, &second, PAIR_ECHO, 0, NULL), HWS_E_BUSY);
    assert_int_equal(account.n_refused, 1);
    hws_grpc_call_cancel(first.call);
    (void)pair_run(p);
    assert_int_equal(account.n_calls, 0);
}

static void silent_client_is_pinged_then_dropped(void **state)
{
    struct pair *p = *state;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);

    pair_advance(p, 30000); /* ping and its answer */
    assert_int_equal(p->server_stats.conn_keepalive_timeouts, 0);
    p->now_ms += 30000;
    (void)hws_grpc_conn_turn(&p->server, p->now_ms);
    p->now_ms += 10000;
    (void)hws_grpc_conn_turn(&p->server, p->now_ms);

    assert_int_equal(p->server_stats.conn_keepalive_timeouts, 1);
    assert_int_equal(hws_grpc_conn_end(&p->server, NULL), HWS_E_TIMEOUT);
}

static void silence_before_the_preface_ends_the_connection(void **state)
{
    struct pair *p = *state;
    assert_ok(pair_open(p), NULL);

    p->now_ms += 10000;
    (void)hws_grpc_conn_turn(&p->server, p->now_ms);

    assert_int_equal(p->server_stats.conn_preface_timeouts, 1);
}

static void garbage_is_a_protocol_error(void **state)
{
    struct pair *p = *state;
    struct hws_err err;
    assert_ok(pair_open(p), NULL);

    enum hws_code code = hws_grpc_conn_recv(&p->server, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n",
                                            18, p->now_ms, &err);

    assert_code(code, HWS_E_PROTO);
    assert_code(hws_grpc_conn_recv(&p->server, (const uint8_t *)"x", 1, p->now_ms, &err), HWS_OK);
    (void)pair_run(p);
    assert_true(hws_grpc_conn_want_close(&p->server));
}

static void use_from_outside_wakes_the_owner_once(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    p->n_wakes = 0;

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "x", 1, NULL), NULL);
    assert_int_equal(p->n_wakes, 1);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(p->n_wakes, 1);
}

static void idle_connection_gives_its_memory_back(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(s.call, "x", 1, NULL), NULL);
    (void)pair_run(p);
    assert_true(p->server.n_spare > 0);

    pair_advance(p, 1000);

    assert_int_equal(p->server.n_spare, 0);
    assert_null(p->server.out.own.bytes);
    assert_true(hws_grpc_pool_empty(&p->server.pool));
}

/* ---- unary helper, memory ---- */

struct unary_seen {
    struct hws_grpc_unary unary;
    enum hws_grpc_code code;
    char text[64];
    unsigned n;
};

static void on_unary(struct hws_grpc_unary *unary, const struct hws_grpc_outcome *outcome)
{
    struct unary_seen *u = unary->data;

    u->n++;
    u->code = outcome->code;
    memcpy(u->text, hws_buf_peek(&unary->response), hws_buf_len(&unary->response));
}

static void unary_helper_hands_out_the_response(void **state)
{
    struct pair *p = *state;
    struct unary_seen u = {0};
    assert_ok(pair_open(p), NULL);

    u.unary = (struct hws_grpc_unary){.path = "/test.Pair/Echo",
                                      .request = "abc",
                                      .n_request = 3,
                                      .timeout_ms = 1000,
                                      .cb = on_unary,
                                      .data = &u};
    assert_ok(hws_grpc_unary_start(&p->client, &u.unary, p->now_ms, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(u.n, 1);
    assert_int_equal(u.code, HWS_GRPC_OK);
    assert_string_equal(u.text, "abc");
}

static enum hws_code unary_scenario(void *arg)
{
    struct pair p;
    struct unary_seen u = {0};

    (void)arg;
    enum hws_code code = pair_init(&p);
    if (code == HWS_OK) {
        code = pair_open(&p);
    }
    if (code == HWS_OK) {
        u.unary = (struct hws_grpc_unary){.path = "/test.Pair/Echo",
                                          .request = "abc",
                                          .n_request = 3,
                                          .cb = on_unary,
                                          .data = &u};
        code = hws_grpc_unary_start(&p.client, &u.unary, p.now_ms, NULL);
        (void)pair_run(&p);
        hws_grpc_conn_lost(&p.client, "end");
        if (code == HWS_OK) {
            assert_int_equal(u.n, 1);
            code = u.code == HWS_GRPC_OK ? HWS_OK : HWS_E_NOMEM;
        } else {
            assert_int_equal(u.n, 0);
        }
    }
    pair_deinit(&p);
    return code;
}

static void unary_call_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(unary_scenario, NULL) > 20);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(unary_call_answers_with_its_request),
        T(every_cut_of_the_bytes_gives_the_same_call),
        T(empty_messages_pass),
        T(server_stream_is_paced_by_room),
        T(client_stream_is_summed),
        T(bidi_answers_each_message),
        T(bidi_without_messages_ends_well),
        T(big_messages_pass_small_windows),
        T(unary_helper_hands_out_the_response),
        T(status_details_and_trailers_arrive),
        T(metadata_goes_both_ways),
        T(unknown_method_is_unimplemented),
        T(gzip_messages_pass),
        T(zstd_messages_pass),
        T(gzip_bomb_is_stopped_while_inflating),
        T(zstd_bomb_is_stopped),
        T(deadline_ends_both_sides),
        T(server_deadline_is_told_to_a_client_without_one),
        T(deadline_status_arrives_although_the_handler_ends_at_once),
        T(deadline_behind_a_shut_window_resets),
        T(client_cancel_reaches_the_handler),
        T(server_abort_resets_without_status),
        T(early_status_ends_a_client_that_still_sends),
        T(lost_connection_ends_every_call_once),
        T(request_with_two_messages_never_reaches_the_handler),
        T(too_large_message_is_refused_before_it_is_buffered),
        T(unsent_cap_answers_busy_then_writable),
        T(call_without_credit_holds_at_most_one_window),
        T(calls_over_the_limit_are_refused_or_wait),
        T(calls_given_up_after_a_wait_cost_no_connection),
        T(calls_given_up_at_once_end_the_connection),
        T(a_call_is_young_up_to_its_limit),
        T(a_reset_and_the_next_call_in_one_read_are_within_the_limit),
        T(a_refused_call_takes_no_other_with_it),
        T(a_header_block_must_get_whole_in_time_even_that_of_a_refused_call),
        T(stalled_reader_is_reset),
        T(oversized_headers_fail_only_their_call),
        T(drain_lets_calls_finish_and_takes_no_new_ones),
        T(drain_with_grace_ends_calls_unavailable),
        T(a_later_drain_may_shorten_the_grace_but_not_stretch_it),
        T(a_closing_connection_whose_peer_takes_nothing_is_given_up),
        cmocka_unit_test(a_call_that_cannot_start_is_charged_to_nobody),
        T(a_call_over_an_account_is_busy_not_out_of_memory),
        T(a_reset_after_the_deadline_is_the_deadline),
        T(old_connections_are_drained_never_late_and_not_all_at_once),
        T(silent_client_is_pinged_then_dropped),
        T(silence_before_the_preface_ends_the_connection),
        T(garbage_is_a_protocol_error),
        T(use_from_outside_wakes_the_owner_once),
        T(idle_connection_gives_its_memory_back),
        cmocka_unit_test(unary_call_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
