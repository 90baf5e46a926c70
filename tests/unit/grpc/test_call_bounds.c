/* What a call may cost: message and header sizes, unsent bytes, resets, stalls, accounts. */
#include <string.h>

#include "base/mem.h"
#include "pair.h"
#include "test.h"

static void request_with_two_messages_never_reaches_the_handler(void **state)
{
    struct pair *p = *state;
    struct seen s;
    assert_ok(pair_open(p), NULL);
    static const struct hws_grpc_call_ops ops = {0}; /* the call ends after this function */
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

static void too_large_message_is_refused_before_it_is_buffered(void **state)
{
    struct pair *p = *state;
    struct seen s;
    uint8_t *bytes = assert_got(hws_mem_zalloc(1, 5000));
    p->server_limits.max_recv_message_bytes = 4096;
    assert_ok(pair_open(p), NULL);

    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(s.call), bytes, 4097, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(p->server_stats.over_message_limit, 1);
    hws_mem_free(bytes);
}

static void unsent_cap_answers_busy_then_writable(void **state)
{
    struct pair *p = *state;
    struct seen s;
    uint8_t *bytes = assert_got(hws_mem_zalloc(1, 1000));
    p->client_limits.max_unsent_call_bytes = 1500;
    assert_ok(pair_open(p), NULL);
    assert_ok(seen_start(p, &s, PAIR_SUM, 0, NULL), NULL);

    assert_ok(hws_grpc_call_send(assert_got(s.call), bytes, 1000, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(s.call), bytes, 1000, NULL), NULL);
    assert_code(hws_grpc_call_send(assert_got(s.call), bytes, 1000, NULL), HWS_E_BUSY);
    assert_int_equal(s.n_writable, 0);
    (void)pair_run(p);

    assert_int_equal(s.n_writable, 1);
    assert_int_equal(hws_grpc_call_unsent(assert_got(s.call)), 0);
    assert_ok(hws_grpc_call_send(assert_got(s.call), bytes, 1000, NULL), NULL);
    hws_grpc_call_half_close(assert_got(s.call));
    (void)pair_run(p);
    assert_string_equal(s.last, "3000");
    hws_mem_free(bytes);
}

static void call_without_credit_holds_at_most_one_window(void **state)
{
    struct pair *p = *state;
    struct seen s;
    uint8_t *bytes = assert_got(hws_mem_zalloc(1, 40000));
    p->credit = 1;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    assert_ok(seen_start(p, &s, PAIR_SUM, 0, NULL), NULL);
    for (unsigned i = 0; i < 5; i++) {
        assert_ok(hws_grpc_call_send(assert_got(s.call), bytes, 40000, NULL), NULL);
    }
    hws_grpc_call_half_close(assert_got(s.call));

    (void)pair_run(p);
    assert_int_equal(p->server_stats.messages_in, 1);
    assert_true(hws_grpc_call_unsent(assert_got(s.call)) > 5 * 40005 - 40005 - 65536 - 1);
    assert_false(s.closed);

    /* Another call is not stopped by the paused one. */
    struct seen t;
    assert_ok(seen_start(p, &t, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(t.call), bytes, 40000, NULL), NULL);
    (void)pair_run(p);
    assert_int_equal(t.outcome.code, HWS_GRPC_OK);

    assert_false(hws_list_empty(&p->server.calls));
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
    hws_grpc_call_cancel(assert_got(s[0].call));
    (void)pair_run(p);
    assert_int_equal(p->server_stats.calls_refused, 2);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 2);
    assert_true(s[2].closed && s[2].outcome.unprocessed);
    assert_int_equal(s[3].outcome.code, HWS_GRPC_UNAVAILABLE);
}

/* Rounds of 32 calls that their client gives up after so long, until the server had enough. */
static unsigned rounds_of_resets(struct pair *p, uint64_t after_ms, unsigned most)
{
    static struct seen s[32]; /* what is open when it returns is closed after it */

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
            hws_grpc_call_cancel(assert_got(s[i].call));
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

    hws_grpc_call_cancel(assert_got(s[0].call));
    assert_ok(seen_start(p, &s[2], PAIR_CHAT, 0, NULL), NULL);
    (void)pair_run(p);
    assert_int_equal(p->server_stats.resets_in, 1);
    assert_int_equal(p->server_stats.calls_refused, 0);
    assert_false(s[2].closed);
    assert_int_equal(hws_grpc_conn_n_calls(&p->server), 2);
    assert_int_equal(p->server.n_done, 0);
    hws_grpc_call_cancel(assert_got(s[1].call));
    hws_grpc_call_cancel(assert_got(s[2].call));
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
    hws_grpc_call_cancel(
        assert_got(s[0].call)); /* its handler works on: the third call is refused */
    (void)pair_run(p);
    assert_int_equal(p->server_stats.calls_refused, 1);
    assert_true(s[2].closed && s[2].outcome.unprocessed);

    pair_advance(p, p->server_limits.header_block_ms + 1000);
    assert_false(s[1].closed);
    assert_int_equal(p->server.state, HWS_GRPC_CONN_OPEN);
    assert_int_equal(p->server_stats.conn_header_timeouts, 0);
    hws_grpc_call_cancel(assert_got(s[1].call));
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
            hws_grpc_conn_drain(&p->server, 0, p->now_ms);
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
    hws_grpc_call_set_credit(assert_got(s.call), 0);
    assert_ok(hws_grpc_call_send(assert_got(s.call), "5", 1, NULL), NULL);
    (void)pair_run(p);

    pair_advance(p, 29999);
    assert_int_equal(p->server_stats.calls_stalled, 0);
    pair_advance(p, 1);
    pair_advance(p, 30000);

    assert_int_equal(p->server_stats.calls_stalled, 1);
    assert_int_equal(p->n_server_closed, 1);
    assert_true(s.closed);
}

/* The time of a send from outside is that of the turn behind it, not of the peer's last word. */
static void reader_has_its_whole_time_after_a_silence(void **state)
{
    static const uint8_t message[2000];
    struct pair *p = *state;
    struct seen s;
    p->client_limits.stream_window_bytes = 1000;
    assert_ok(pair_open(p), NULL);
    (void)pair_run(p);
    assert_ok(seen_start(p, &s, PAIR_HANG, 0, NULL), NULL);
    hws_grpc_call_set_credit(assert_got(s.call), 0);
    (void)pair_run(p);
    p->now_ms += 29000; /* nothing is said, and no timer is due */

    assert_ok(hws_grpc_call_send(assert_got(p->hanging), message, sizeof(message), NULL), NULL);
    (void)pair_run(p);
    pair_advance(p, 29999);
    assert_int_equal(p->server_stats.calls_stalled, 0);
    pair_advance(p, 1);
    pair_advance(p, 30000);

    assert_int_equal(p->server_stats.calls_stalled, 1);
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
    assert_ok(hws_grpc_call_send(assert_got(s.call), "x", 1, NULL), NULL);
    (void)pair_run(p);

    assert_int_equal(s.outcome.code, HWS_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(p->server_stats.over_header_limit, 1);
    assert_ok(seen_start(p, &s, PAIR_ECHO, 0, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(s.call), "x", 1, NULL), NULL);
    (void)pair_run(p);
    assert_int_equal(s.outcome.code, HWS_GRPC_OK);
    hws_grpc_meta_deinit(&meta);
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
    hws_grpc_call_cancel(assert_got(first.call));
    (void)pair_run(p);
    assert_int_equal(account.n_calls, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        T(reader_has_its_whole_time_after_a_silence),
        T(oversized_headers_fail_only_their_call),
        T(a_call_over_an_account_is_busy_not_out_of_memory),
        cmocka_unit_test(a_call_that_cannot_start_is_charged_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
