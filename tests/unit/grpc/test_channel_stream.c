/* A channel: calls that send streams. */
#include "channel_world.h"

#define BIG 65536u

/* One host, up. */
static void one_host(void)
{
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    run();
}

static void say_all(struct end *e, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_code(say(e, 4 + (size_t)i * 100), HWS_OK);
    }
}

static void every_kind_of_call_goes_over_the_channel(void **state)
{
    struct end e;

    (void)state;
    one_host();
    assert_ended(start_kind(&e, WORLD_ONCE, 0, false, 1), HWS_GRPC_OK);
    assert_int_equal(e.n_messages, 1);
    w.n_many = 7;
    assert_ended(start_kind(&e, WORLD_MANY, 0, false, 1), HWS_GRPC_OK);
    assert_int_equal(e.n_messages, 7);
    assert_int_equal(e.n_headers, 1);
    start_kind(&e, WORLD_SUM, 0, false, 1);
    say_all(&e, 5);
    hws_grpc_channel_half_close(&e.call);
    hws_grpc_channel_half_close(&e.call);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, 5);
    start_kind(&e, WORLD_CHAT, 0, false, 1);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_code(say(&e, 10), HWS_OK);
        run();
        assert_int_equal(e.n_messages, i);
    }
    hws_grpc_channel_half_close(&e.call);
    run();
    assert_ended(&e, HWS_GRPC_OK);
}

static void what_is_sent_before_there_is_a_connection_arrives_in_order(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start_kind(&e, WORLD_SUM, 0, true, 1);
    say_all(&e, 20);
    assert_false(hws_grpc_channel_placed(&e.call));
    hws_grpc_channel_half_close(&e.call);
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, 20);
}

static void a_stream_of_no_messages_ends_as_one(void **state)
{
    struct end e;

    (void)state;
    one_host();
    start_kind(&e, WORLD_CHAT, 0, false, 1);
    hws_grpc_channel_half_close(&e.call);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.n_messages, 0);
}

static void a_full_connection_says_so_and_later_that_there_is_room(void **state)
{
    const uint32_t n = 100;
    struct end e;

    (void)state;
    w.client_limits.max_unsent_call_bytes = BIG;
    one_host();
    start_kind(&e, WORLD_SUM, 0, false, 1);
    unsigned n_full = 0;
    while (e.n_sent < n) {
        enum hws_code code = say(&e, 20000);
        if (code != HWS_OK) {
            assert_code(code, HWS_E_BUSY);
            assert_code(say(&e, 20000), HWS_E_BUSY);
            assert_int_equal(e.n_writable, n_full); /* not inside */
            run();
            assert_int_equal(e.n_writable, ++n_full);
        }
    }
    assert_true(n_full > 10);
    hws_grpc_channel_half_close(&e.call);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, n);
}

static void a_stream_that_waits_keeps_only_so_much(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start_kind(&e, WORLD_SUM, 0, true, 1);
    while (say(&e, BIG) == HWS_OK) {
        assert_true(e.n_sent <= HWS_GRPC_CHANNEL_KEPT_BYTES / BIG);
    }
    assert_int_equal(e.n_sent, HWS_GRPC_CHANNEL_KEPT_BYTES / BIG);
    assert_code(say(&e, 4), HWS_E_BUSY);
    run();
    assert_int_equal(e.n_writable, 0);
    up(0);
    run();
    assert_int_equal(e.n_writable, 1);
    assert_code(say(&e, 4), HWS_OK);
    hws_grpc_channel_half_close(&e.call);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, e.n_sent);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    struct end e;

    (void)state;
    w.client_limits.max_send_message_bytes = 1000;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start_kind(&e, WORLD_SUM, 0, true, 1);
    assert_code(say(&e, 1001), HWS_OK); /* no connection yet: nobody knows the limit */
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_INTERNAL);
    assert_code(say(&e, 4), HWS_E_STATE);

    start_kind(&e, WORLD_SUM, 0, false, 1);
    assert_code(say(&e, 1001), HWS_E_INVALID);
    assert_code(say(&e, 1000), HWS_OK);
    hws_grpc_channel_half_close(&e.call);
    assert_code(say(&e, 4), HWS_E_STATE);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, 1);

    w.hold = true;
    start(&e, 0, false, 1);
    assert_code(say(&e, 4), HWS_E_INVALID);
    hws_grpc_channel_cancel(&e.call);
    run();
    assert_ended(&e, HWS_GRPC_CANCELLED);
}

/* ---- another attempt ---- */

static void free_host(void)
{
    w.hold = false;
    hws_grpc_call_finish_text(assert_got(w.held[0]), HWS_GRPC_OK, NULL);
    run();
    advance(1);
}

static void a_stream_that_the_server_refused_is_sent_again_uncounted(void **state)
{
    struct end first;
    struct end e;

    (void)state;
    w.server_limits.max_calls = 1;
    w.hold = true;
    /* Two at once before the limit is known: the host refuses the second. */
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start(&first, 0, true, 1);
    start_kind(&e, WORLD_SUM, 0, true, 1);
    say_all(&e, 3);
    up(0);
    run();
    assert_int_equal(w.n_held, 1);
    assert_int_equal(w.hosts[0].client.stats->resets_in, 1);
    assert_int_equal(e.n_closed, 0);
    free_host();
    say_all(&e, 4);
    hws_grpc_channel_half_close(&e.call);
    run();
    advance(1);
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, 7);
    assert_string_equal(w.attempts, "");
}

static void a_lost_stream_is_tried_again_where_its_caller_allows_it(void **state)
{
    struct end once;
    struct end twice;

    (void)state;
    one_host();
    start_kind(&once, WORLD_SUM, 0, true, 1);
    say_all(&once, 2);
    start_kind(&twice, WORLD_SUM, 0, true, 2);
    say_all(&twice, 3);
    run();
    assert_int_equal(w.n_got, 3);
    lose(0);
    run();
    assert_ended(&once, HWS_GRPC_UNAVAILABLE);
    assert_false(once.unprocessed);
    assert_int_equal(twice.n_closed, 0);
    say_all(&twice, 2); /* meanwhile */
    hws_grpc_channel_half_close(&twice.call);
    advance(200);
    up(0);
    run();
    assert_ended(&twice, HWS_GRPC_OK);
    assert_int_equal(twice.sum, 5);
    assert_string_equal(w.attempts, "1");
}

static void the_server_steers_a_streams_retry(void **state)
{
    struct end e;

    (void)state;
    one_host();
    w.n_refusals = 1;
    w.pushback = "7000";
    start_kind(&e, WORLD_SUM, 0, false, 2);
    say_all(&e, 3);
    hws_grpc_channel_half_close(&e.call);
    run();
    advance(6999);
    assert_int_equal(e.n_closed, 0);
    advance(1);
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, 3);
    w.n_refusals = 1;
    w.pushback = "-1";
    start_kind(&e, WORLD_SUM, 0, false, 2);
    say_all(&e, 3);
    run();
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
}

static void a_stream_that_sent_more_than_is_kept_stays_with_its_connection(void **state)
{
    struct end e;

    (void)state;
    one_host();
    start_kind(&e, WORLD_SUM, 0, true, 5);
    while (e.n_sent < HWS_GRPC_CHANNEL_KEPT_BYTES / BIG - 1) {
        assert_code(say(&e, BIG), HWS_OK);
        run();
        assert_false(e.call.committed);
    }
    assert_code(say(&e, BIG), HWS_OK); /* fits by itself, but not with what tells its length */
    assert_true(e.call.committed);
    assert_null(e.call.kept.bytes);
    lose(0);
    run();
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
}

static void a_stream_whose_answer_has_begun_stays_with_its_connection(void **state)
{
    struct end e;

    (void)state;
    one_host();
    start_kind(&e, WORLD_CHAT, 0, true, 5);
    say_all(&e, 2);
    run();
    assert_int_equal(e.n_messages, 2);
    assert_null(e.call.kept.bytes); /* nothing is kept for nothing */
    lose(0);
    run();
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_int_equal(e.n_headers, 1);
}

static void a_draining_connection_carries_its_stream_to_the_end(void **state)
{
    struct end old;
    struct end new;

    (void)state;
    one_host();
    start_kind(&old, WORLD_CHAT, 0, false, 1);
    say_all(&old, 1);
    run();
    hws_grpc_conn_drain(&w.hosts[0].server, 0, w.now_ms);
    run();
    hws_grpc_channel_set_addresses(&w.ch, 2, NULL);
    up(1);
    start_kind(&new, WORLD_SUM, 0, false, 1);
    assert_int_equal(w.hosts[1].n_calls, 1);
    say_all(&new, 3);
    hws_grpc_channel_half_close(&new.call);
    run();
    assert_ended(&new, HWS_GRPC_OK);
    assert_code(say(&old, 4), HWS_OK);
    hws_grpc_channel_half_close(&old.call);
    run();
    assert_ended(&old, HWS_GRPC_OK);
    assert_int_equal(old.n_messages, 2);
}

/* ---- time, cancelling, the other direction ---- */

static void deadlines_end_streams_that_wait_or_run(void **state)
{
    struct end waits;
    struct end runs;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start_kind(&waits, WORLD_SUM, 500, true, 1);
    say_all(&waits, 3);
    advance(500);
    assert_ended(&waits, HWS_GRPC_DEADLINE_EXCEEDED);
    assert_true(waits.unprocessed);
    up(0);
    start_kind(&runs, WORLD_CHAT, 500, false, 1);
    say_all(&runs, 3);
    run();
    advance(499);
    assert_int_equal(runs.n_closed, 0);
    advance(1);
    assert_ended(&runs, HWS_GRPC_DEADLINE_EXCEEDED);
}

static void a_cancelled_stream_ends_once_wherever_it_is(void **state)
{
    struct end waits;
    struct end runs;
    struct end answered;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start_kind(&waits, WORLD_CHAT, 0, true, 5);
    say_all(&waits, 3);
    hws_grpc_channel_cancel(&waits.call);
    assert_code(say(&waits, 4), HWS_E_STATE);
    assert_int_equal(waits.n_closed, 0); /* not inside */
    run();
    assert_ended(&waits, HWS_GRPC_CANCELLED);
    hws_grpc_channel_cancel(&waits.call); /* over */
    up(0);
    start_kind(&runs, WORLD_SUM, 0, false, 5);
    hws_grpc_channel_cancel(&runs.call);
    hws_grpc_channel_cancel(&runs.call);
    run();
    assert_ended(&runs, HWS_GRPC_CANCELLED);
    start_kind(&answered, WORLD_CHAT, 0, false, 5);
    answered.cancel_at_message = true;
    say_all(&answered, 3);
    run();
    assert_ended(&answered, HWS_GRPC_CANCELLED);
    assert_int_equal(answered.n_messages, 1);
    assert_int_equal(w.ch.n_waiting, 0);
    assert_true(hws_list_empty(&w.ch.running));
}

static void the_server_sends_as_much_as_its_client_grants(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    w.n_many = 5;
    start_kind(&e, WORLD_MANY, 0, true, 1);
    hws_grpc_channel_set_credit(&e.call, 0);
    hws_grpc_channel_grant(&e.call, 1);
    up(0);
    run();
    assert_int_equal(e.n_messages, 1);
    hws_grpc_channel_grant(&e.call, 2);
    run();
    assert_int_equal(e.n_messages, 3);
    assert_int_equal(e.n_closed, 0);
    hws_grpc_channel_grant(&e.call, 9);
    run();
    assert_int_equal(e.n_messages, 5);
    assert_ended(&e, HWS_GRPC_OK);
}

/* From the first use on, whichever it is; and no more than a number holds. */
static void a_grant_alone_limits_the_server_too(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    w.n_many = 5;
    start_kind(&e, WORLD_MANY, 0, true, 1);
    hws_grpc_channel_grant(&e.call, 2);
    up(0);
    run();
    assert_int_equal(e.n_messages, 2);
    assert_int_equal(e.n_closed, 0);
    hws_grpc_channel_grant(&e.call, UINT32_MAX);
    run();
    assert_int_equal(e.n_messages, 5);
    assert_ended(&e, HWS_GRPC_OK);

    start_kind(&e, WORLD_MANY, 0, true, 1);
    assert_ended(&e, HWS_GRPC_OK); /* none is used */
    lose(0);
    start_kind(&e, WORLD_MANY, 0, true, 1);
    hws_grpc_channel_grant(&e.call, UINT32_MAX);
    hws_grpc_channel_grant(&e.call, UINT32_MAX);
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_OK);
}

static void a_silent_server_is_noticed_and_the_stream_goes_elsewhere(void **state)
{
    struct end e;

    (void)state;
    w.client_limits.keepalive_ms = 10000;
    w.client_limits.keepalive_timeout_ms = 5000;
    hws_grpc_channel_set_addresses(&w.ch, 2, NULL);
    up(0);
    start_kind(&e, WORLD_SUM, 0, true, 2);
    say_all(&e, 3);
    run();
    w.hosts[0].silent = true;
    advance(10000);
    assert_int_equal(e.n_closed, 0);
    up(1);
    advance(5000);
    hws_grpc_channel_down(&w.ch, 0, &w.hosts[0].client, w.now_ms, "silent");
    advance(200);
    hws_grpc_channel_half_close(&e.call);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.sum, 3);
    assert_int_equal(w.hosts[1].n_calls, 1);
}

/* ---- any order of events ---- */

#define N_STREAMS 6u
#define N_STEPS   60u
#define N_ROUNDS  20u

static void step(struct end *all, uint64_t *seed)
{
    struct end *e = &all[hws_test_rand(seed) % N_STREAMS];
    uint32_t host = (uint32_t)(hws_test_rand(seed) % N_HOSTS);

    switch (hws_test_rand(seed) % 30) {
    case 0:
        if (w.hosts[host].client.h2 != NULL) {
            lose(host);
        }
        break;
    case 1:
        if (w.ch.addresses[host].state == HWS_GRPC_ADDRESS_CONNECTING) {
            hws_grpc_channel_down(&w.ch, host, NULL, w.now_ms, "refused");
        }
        break;
    case 2:
        w.n_refusals = (unsigned)(hws_test_rand(seed) % 2);
        break;
    case 3:
        advance(hws_test_rand(seed) % 3000);
        break;
    case 4:
    case 5:
    case 6:
        if (w.ch.addresses[host].state == HWS_GRPC_ADDRESS_CONNECTING) {
            up(host);
        }
        break;
    default:
        if (e->n_closed == 0) {
            enum hws_code code = say(e, 4 + hws_test_rand(seed) % 60000);
            assert_true(code == HWS_OK || code == HWS_E_BUSY);
        }
    }
}

static void settle_all(void)
{
    w.n_refusals = 0;
    for (int i = 0; i < 100; i++) {
        for (uint32_t host = 0; host < N_HOSTS; host++) {
            if (w.ch.addresses[host].state == HWS_GRPC_ADDRESS_CONNECTING) {
                up(host);
            }
        }
        advance(1000);
    }
}

/* Streams that send and half-close while all this happens; the number that ended OK. */
static unsigned one_round(uint64_t *seed)
{
    struct end all[N_STREAMS];
    unsigned n_ok = 0;

    for (size_t i = 0; i < N_STREAMS; i++) {
        start_kind(&all[i], WORLD_SUM, 0, true, 5);
    }
    for (uint32_t i = 0; i < N_STEPS; i++) {
        step(all, seed);
        if (hws_test_rand(seed) % 3 == 0) {
            run();
        }
    }
    for (size_t i = 0; i < N_STREAMS; i++) {
        hws_grpc_channel_half_close(&all[i].call);
    }
    settle_all();
    for (size_t i = 0; i < N_STREAMS; i++) {
        assert_int_equal(all[i].n_closed, 1);
        assert_true(all[i].code == HWS_GRPC_UNAVAILABLE || all[i].sum == all[i].n_sent);
        n_ok += all[i].code == HWS_GRPC_OK ? 1 : 0;
    }
    return n_ok;
}

/* The hosts check that no message is missing, doubled or out of order. */
static void whatever_happens_a_stream_ends_once_and_ok_means_all_of_it(void **state)
{
    uint64_t seed = hws_test_seed();
    unsigned n_ok = 0;
    struct end after;

    (void)state;
    w.client_limits.max_unsent_call_bytes = BIG;
    hws_grpc_channel_set_addresses(&w.ch, N_HOSTS, NULL);
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        n_ok += one_round(&seed);
    }
    print_message("%u of %u ended OK\n", n_ok, N_ROUNDS * N_STREAMS);
    start_kind(&after, WORLD_SUM, 0, true, 1);
    settle_all();
    say_all(&after, 3);
    hws_grpc_channel_half_close(&after.call);
    run();
    assert_ended(&after, HWS_GRPC_OK);
    assert_int_equal(after.sum, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_kind_of_call_goes_over_the_channel),
        T(what_is_sent_before_there_is_a_connection_arrives_in_order),
        T(a_stream_of_no_messages_ends_as_one),
        T(a_full_connection_says_so_and_later_that_there_is_room),
        T(a_stream_that_waits_keeps_only_so_much),
        T(what_cannot_be_sent_is_refused),
        T(a_stream_that_the_server_refused_is_sent_again_uncounted),
        T(a_lost_stream_is_tried_again_where_its_caller_allows_it),
        T(the_server_steers_a_streams_retry),
        T(a_stream_that_sent_more_than_is_kept_stays_with_its_connection),
        T(a_stream_whose_answer_has_begun_stays_with_its_connection),
        T(a_draining_connection_carries_its_stream_to_the_end),
        T(deadlines_end_streams_that_wait_or_run),
        T(a_cancelled_stream_ends_once_wherever_it_is),
        T(the_server_sends_as_much_as_its_client_grants),
        T(a_grant_alone_limits_the_server_too),
        T(a_silent_server_is_noticed_and_the_stream_goes_elsewhere),
        T(whatever_happens_a_stream_ends_once_and_ok_means_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
