/* Calls over a joined pair: the four kinds, metadata and status, compression, the unary helper. */
#include <string.h>

#include "base/mem.h"
#include "pair.h"
#include "test.h"

static void unary_call_answers_with_its_request(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(s.call), "hello", 5, NULL), NULL);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "hello", 5, NULL), NULL);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "", 0, NULL), NULL);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "100", 3, NULL), NULL);
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
    uint8_t *bytes = assert_got(hws_mem_zalloc(1, 65536));
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_SUM, 0, NULL), NULL);
    for (size_t i = 0; i < 4; i++) {
        assert_ok(hws_grpc_call_send(assert_got(s.call), bytes, sizes[i], NULL), NULL);
    }
    hws_grpc_call_half_close(assert_got(s.call));
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
        assert_ok(hws_grpc_call_send(assert_got(s.call), "ping", 4, NULL), NULL);
        (void)pair_run(p);
        assert_int_equal(s.n_messages, i);
    }
    assert_false(s.closed);
    hws_grpc_call_half_close(assert_got(s.call));
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
    hws_grpc_call_half_close(assert_got(s.call));
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
    uint8_t *bytes = assert_got(hws_mem_zalloc(1, n));
    p->client_limits.stream_window_bytes = 65535;
    p->client_limits.conn_window_bytes = 65535;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(s.call), bytes, n, NULL), NULL);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_int_equal(s.n_bytes, n);
    assert_int_equal(p->server.recv_bytes, 0);
    assert_int_equal(p->client.recv_bytes, 0);
    hws_mem_free(bytes);
}

static void unary_helper_hands_out_the_response(void **state);

static void status_details_and_trailers_arrive(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(s.call), "fail", 4, NULL), NULL);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "m", 1, NULL), NULL);
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
    hws_grpc_call_cancel(assert_got(s.call));
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "3", 1, NULL), NULL);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "1", 1, NULL), NULL);
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

#define T(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

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
        cmocka_unit_test(unary_call_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
