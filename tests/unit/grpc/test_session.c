/* The life of a connection: drains, age, silence, garbage, waking its owner, memory when idle. */
#include "pair.h"
#include "test.h"

static void drain_lets_calls_finish_and_takes_no_new_ones(void **state)
{
    struct pair *p = *state;
    struct seen s;
    struct hws_grpc_call *call = NULL;
    const struct hws_grpc_start start = {.path = "/test.Pair/Echo", .kind = HWS_GRPC_UNARY};
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_CHAT, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_conn_drain(&p->server, 0, p->now_ms);
    (void)pair_run(p);
    assert_false(hws_grpc_client_ready(&p->client));
    assert_code(hws_grpc_client_start(&p->client, &start, p->now_ms, &call, NULL), HWS_E_GONE);
    assert_ok(hws_grpc_call_send(assert_got(s.call), "still", 5, NULL), NULL);
    (void)pair_run(p);
    assert_string_equal(s.last, "still");
    assert_false(hws_grpc_conn_want_close(&p->server));
    hws_grpc_call_half_close(assert_got(s.call));
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    assert_true(hws_grpc_conn_want_close(&p->server));
    assert_true(hws_grpc_conn_want_close(&p->client));
    assert_int_equal(hws_grpc_conn_end(&p->server, NULL), HWS_OK);
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

static void the_calls_of_an_old_connection_have_the_grace(void **state)
{
    struct pair *p = *state;
    struct seen s;
    p->server_limits.max_age_ms = 10000;
    p->server_limits.max_age_grace_ms = 500;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);

    pair_advance(p, 10000);
    assert_false(hws_grpc_client_ready(&p->client));
    pair_advance(p, 499);
    assert_int_equal(p->n_cancelled, 0);
    pair_advance(p, 1);
    assert_int_equal(p->n_cancelled, 1);
    assert_true(hws_grpc_conn_want_close(&p->server));
}

static void a_connection_without_calls_is_drained_in_time_and_not_before(void **state)
{
    struct pair *p = *state;
    struct seen s;
    p->server_limits.max_idle_ms = 5000;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_CHAT, 0, NULL), NULL);
    (void)pair_run(p);

    pair_advance(p, 20000);
    assert_true(hws_grpc_client_ready(&p->client));
    hws_grpc_call_half_close(assert_got(s.call));
    (void)pair_run(p);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    pair_advance(p, 4999);
    assert_true(hws_grpc_client_ready(&p->client));
    pair_advance(p, 1);
    assert_false(hws_grpc_client_ready(&p->client));
    assert_true(hws_grpc_conn_want_close(&p->server));
    assert_int_equal(hws_grpc_conn_end(&p->server, NULL), HWS_OK);
}

static void drain_with_grace_ends_calls_unavailable(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_conn_drain(&p->server, 500, p->now_ms);
    pair_advance(p, 499);
    assert_int_equal(p->n_cancelled, 0);
    pair_advance(p, 1);

    assert_int_equal(p->n_cancelled, 1);
    assert_true(hws_grpc_conn_want_close(&p->server));
    hws_grpc_conn_lost(&p->client, "closed");
    assert_int_equal(s.outcome.code, HWS_GRPC_UNAVAILABLE);
}

/* Nothing has told a silent connection what time it is: notice and grace count from the drain. */
static void a_drain_after_silence_gives_its_whole_notice_and_grace(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);
    p->now_ms += 20000;

    hws_grpc_conn_drain(&p->server, 500, p->now_ms);
    uint64_t due_ms = hws_grpc_conn_turn(&p->server, p->now_ms);

    assert_int_equal(p->n_cancelled, 0);
    assert_int_equal(p->server.state, HWS_GRPC_CONN_NOTICED);
    assert_int_equal(due_ms, p->now_ms + 500);
    pair_advance(p, 499);
    assert_int_equal(p->n_cancelled, 0);
    pair_advance(p, 1);
    assert_int_equal(p->n_cancelled, 1);
}

static void a_later_drain_may_shorten_the_grace_but_not_stretch_it(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    (void)pair_run(p);

    hws_grpc_conn_drain(&p->server, 0, p->now_ms);
    (void)pair_run(p); /* the client answers: the second GOAWAY is out */
    hws_grpc_conn_drain(&p->server, 900, p->now_ms);
    hws_grpc_conn_drain(&p->server, 500, p->now_ms);
    hws_grpc_conn_drain(&p->server, 800, p->now_ms);
    hws_grpc_conn_drain(&p->server, 0, p->now_ms);
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

static void a_peer_that_takes_nothing_is_counted_once(void **state)
{
    struct pair *p = *state;
    const uint8_t *bytes = NULL;
    size_t n = 0;
    p->server_limits.conn_progress_ms = 5000;
    assert_ok(pair_open(p), NULL);
    (void)hws_grpc_conn_turn(&p->server, p->now_ms);
    hws_grpc_conn_pull(&p->server, p->now_ms, &bytes, &n);
    assert_true(n > 0); /* the SETTINGS, which nobody takes */

    for (int i = 0; i < 4 && !hws_grpc_conn_want_close(&p->server); i++) {
        p->now_ms += 5000;
        (void)hws_grpc_conn_turn(&p->server, p->now_ms);
    }
    assert_true(hws_grpc_conn_want_close(&p->server));
    assert_int_equal(p->server_stats.conn_stalled, 1);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "x", 1, NULL), NULL);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "x", 1, NULL), NULL);
    (void)pair_run(p);
    assert_true(p->server.spares->n_calls > 0);

    pair_advance(p, 1000);

    assert_null(p->server.out.own.bytes);
    assert_true(hws_grpc_spares_empty(p->server.spares));
}

#define T(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(drain_lets_calls_finish_and_takes_no_new_ones),
        T(drain_with_grace_ends_calls_unavailable),
        T(a_drain_after_silence_gives_its_whole_notice_and_grace),
        T(a_later_drain_may_shorten_the_grace_but_not_stretch_it),
        T(a_closing_connection_whose_peer_takes_nothing_is_given_up),
        T(a_peer_that_takes_nothing_is_counted_once),
        T(old_connections_are_drained_never_late_and_not_all_at_once),
        T(the_calls_of_an_old_connection_have_the_grace),
        T(a_connection_without_calls_is_drained_in_time_and_not_before),
        T(silent_client_is_pinged_then_dropped),
        T(silence_before_the_preface_ends_the_connection),
        T(garbage_is_a_protocol_error),
        T(use_from_outside_wakes_the_owner_once),
        T(idle_connection_gives_its_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
