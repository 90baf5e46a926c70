/* How calls end when they do not end well: deadlines, cancels, aborts, a lost connection. */
#include "pair.h"
#include "test.h"

static void deadline_ends_both_sides(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_HANG, 50, NULL), NULL);
    (void)pair_run(p);
    assert_non_null(p->hanging);
    assert_int_equal(hws_grpc_call_deadline(assert_got(p->hanging)), p->now_ms + 50);
    pair_advance(p, 49);
    assert_false(s.closed);
    pair_advance(p, 1);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(p->n_cancelled, 1);
    assert_int_equal(p->n_server_closed, 0); /* the handler still works */
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 1);
    hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_OK, NULL);
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
    hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_OK, NULL);
    (void)pair_run(p);
    assert_int_equal(p->n_server_closed, 1);
}

static void no_deadline_is_longer_than_the_longest_that_the_server_grants(void **state)
{
    struct pair *p = *state;
    static const uint64_t asked[] = {0, 60000, 100};
    static const uint64_t granted[] = {1000, 1000, 100};
    struct seen s;
    p->server_limits.max_deadline_ms = 1000;
    assert_ok(pair_open(p), NULL);

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        assert_ok(seen_start(p, &s, PAIR_HANG, asked[i], NULL), NULL);
        (void)pair_run(p);
        assert_int_equal(hws_grpc_call_deadline(assert_got(p->hanging)), p->now_ms + granted[i]);
        pair_advance(p, granted[i] - 1);
        assert_false(s.closed);
        pair_advance(p, 1);
        assert_true(s.closed);
        assert_int_equal(s.outcome.code, HWS_GRPC_DEADLINE_EXCEEDED);
        hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_OK, NULL);
        (void)pair_run(p);
    }
    assert_int_equal(p->n_server_closed, 3);
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
            assert_ok(hws_grpc_call_send(assert_got(s.call), "x", 1, NULL), NULL);
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
    hws_grpc_call_set_credit(assert_got(s.call), 0);
    assert_ok(hws_grpc_call_send(assert_got(s.call), "5", 1, NULL), NULL);
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

    hws_grpc_call_cancel(assert_got(s.call));
    assert_false(s.closed); /* nobody is told within the call that asks */
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_CANCELLED);
    assert_int_equal(p->n_cancelled, 1);
    assert_int_equal(p->server_stats.calls_cancelled, 1);
    hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_OK, NULL);
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

    hws_grpc_call_cancel(assert_got(p->hanging));
    hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_OK, NULL);
    (void)pair_run(p);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_CANCELLED);
    assert_int_equal(p->n_server_closed, 1);
    assert_int_equal(p->server_stats.resets_provoked, 0);
}

static void server_abort_with_a_status_tells_it_or_resets_where_that_would_wait(void **state)
{
    struct pair *p = *state;
    static const uint8_t message[5000];
    struct seen s;
    p->client_limits.stream_window_bytes = 1000;
    assert_ok(pair_open(p), NULL);

    for (unsigned shut = 0; shut < 2; shut++) {
        assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
        hws_grpc_call_set_credit(assert_got(s.call), 0);
        (void)pair_run(p);
        if (shut != 0) {
            assert_ok(hws_grpc_call_send(assert_got(p->hanging), message, sizeof(message), NULL),
                      NULL);
            (void)pair_run(p);
            assert_int_equal(p->server.unsent_bytes, sizeof(message) + 5 - 1000);
        }
        hws_grpc_call_abort(assert_got(p->hanging), HWS_GRPC_RESOURCE_EXHAUSTED, "too much");
        assert_int_equal(p->server.unsent_bytes, 0);
        (void)pair_run(p);
        assert_true(s.closed);
        assert_int_equal(s.outcome.code, HWS_GRPC_RESOURCE_EXHAUSTED);
        assert_int_equal(s.outcome.from_peer, shut == 0);
        assert_string_equal(s.message, shut == 0 ? "too much" : "stream reset by the server");
        hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_OK, NULL);
        (void)pair_run(p);
        assert_int_equal(p->n_server_closed, shut + 1);
    }
    assert_int_equal(p->n_cancelled, 0);
    assert_int_equal(p->server_stats.resets_provoked, 0);
}

static void early_status_ends_a_client_that_still_sends(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(s.call), "x", 1, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_ABORTED, "enough");
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
    hws_grpc_call_cancel(assert_got(p->hanging));
    hws_grpc_call_finish_text(assert_got(p->hanging), HWS_GRPC_CANCELLED, NULL);
    hws_grpc_conn_pull(&p->server, p->now_ms, &bytes, &n);
    assert_true(n > 0);
    assert_ok(hws_grpc_conn_recv(&p->client, bytes, n, p->now_ms, NULL), NULL);
    hws_grpc_conn_sent(&p->server, n, p->now_ms);

    assert_true(s.closed);
    assert_int_equal(s.outcome.code, HWS_GRPC_DEADLINE_EXCEEDED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(deadline_ends_both_sides),
        T(server_deadline_is_told_to_a_client_without_one),
        T(no_deadline_is_longer_than_the_longest_that_the_server_grants),
        T(deadline_status_arrives_although_the_handler_ends_at_once),
        T(deadline_behind_a_shut_window_resets),
        T(client_cancel_reaches_the_handler),
        T(server_abort_resets_without_status),
        T(server_abort_with_a_status_tells_it_or_resets_where_that_would_wait),
        T(early_status_ends_a_client_that_still_sends),
        T(lost_connection_ends_every_call_once),
        T(a_reset_after_the_deadline_is_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
