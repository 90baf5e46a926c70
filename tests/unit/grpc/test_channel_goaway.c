/*
 * A channel whose server says GOAWAY: the calls above the last stream that it names reached no
 * application and are placed on another connection, uncounted; those at or below it have, and are
 * not (RFC 9113, section 6.8; grpc proposal A6).
 */
#include "channel_world.h"

#define N_CALLS      6u
#define GOAWAY_BYTES 17u

/* A server's GOAWAY NO_ERROR comes to host 0's client. */
static void goaway(uint32_t last_stream_id)
{
    const uint8_t frame[GOAWAY_BYTES] = {[2] = 8, /* length, then the type */
                                         [3] = 7,
                                         [9] = (uint8_t)(last_stream_id >> 24),
                                         (uint8_t)(last_stream_id >> 16),
                                         (uint8_t)(last_stream_id >> 8),
                                         (uint8_t)last_stream_id};

    assert_code(hws_grpc_conn_recv(&w.hosts[0].client, frame, sizeof(frame), w.now_ms, NULL),
                HWS_OK);
}

/* The stream of call number i, from 1, on its connection; that of none is 0. */
static uint32_t stream_of(unsigned i)
{
    return i == 0 ? 0 : 2 * i - 1;
}

/* Calls that host 0 has and does not answer. */
static void begin(struct end *calls)
{
    assert_code(world_open(), HWS_OK);
    hws_grpc_channel_set_addresses(&w.ch, 2, NULL);
    up(0);
    w.hold = true;
    for (unsigned i = 0; i < N_CALLS; i++) {
        start(&calls[i], 0, false, 1);
    }
    assert_int_equal(w.hosts[0].n_calls, N_CALLS);
    w.hold = false;
}

static void assert_all_ended(const struct end *calls, unsigned n, enum hws_grpc_code code)
{
    for (unsigned i = 0; i < n; i++) {
        assert_ended(&calls[i], code);
    }
}

/* Host 0 keeps the first n_below calls of those that it has; the others end OK on host 1. */
static void begin_and_divide(struct end *calls, unsigned n_below)
{
    begin(calls);
    goaway(stream_of(n_below));
    run();
    up(1);
    run();
    for (unsigned i = 0; i < N_CALLS; i++) {
        if (i < n_below) {
            assert_int_equal(calls[i].n_closed, 0);
        } else {
            assert_ended(&calls[i], HWS_GRPC_OK);
            assert_int_equal(calls[i].n_messages, 1);
        }
    }
    assert_int_equal(w.hosts[0].n_calls, N_CALLS);
    assert_int_equal(w.hosts[1].n_calls, N_CALLS - n_below);
    assert_string_equal(w.attempts, "");
}

static void calls_above_the_last_stream_go_elsewhere_and_the_others_end_where_they_are(void **state)
{
    struct end calls[N_CALLS];

    (void)state;
    for (unsigned n_below = 0; n_below <= N_CALLS; n_below++) {
        begin_and_divide(calls, n_below);
        for (unsigned i = 0; i < n_below; i++) {
            assert_code(hws_grpc_call_send(assert_got(w.held[i]), "ho", 2, NULL), HWS_OK);
            hws_grpc_call_finish_text(w.held[i], HWS_GRPC_OK, NULL);
        }
        run();
        assert_all_ended(calls, n_below, HWS_GRPC_OK);
        assert_int_equal(w.hosts[1].n_calls, N_CALLS - n_below);
        (void)teardown(state);
    }
}

static void calls_at_or_below_it_are_lost_with_the_connection_and_not_asked_again(void **state)
{
    struct end calls[N_CALLS];

    (void)state;
    for (unsigned n_below = 1; n_below <= N_CALLS; n_below++) {
        begin_and_divide(calls, n_below);
        lose(0);
        run();
        advance(HWS_GRPC_CHANNEL_RETRY_MAX_MS);
        assert_all_ended(calls, n_below, HWS_GRPC_UNAVAILABLE);
        for (unsigned i = 0; i < n_below; i++) {
            assert_false(calls[i].unprocessed);
        }
        assert_int_equal(w.hosts[1].n_calls, N_CALLS - n_below);
        (void)teardown(state);
    }
}

/* The first GOAWAY of a drain names the highest stream there can be, the second the true one. */
static void the_second_goaway_of_a_drain_decides(void **state)
{
    struct end calls[N_CALLS];
    struct end later;

    (void)state;
    begin(calls);
    goaway(INT32_MAX);
    run();
    for (unsigned i = 0; i < N_CALLS; i++) {
        assert_int_equal(calls[i].n_closed, 0);
    }
    start(&later, 0, true, 1); /* not on the connection that ends */
    assert_int_equal(w.hosts[0].n_calls, N_CALLS);
    goaway(stream_of(4));
    up(1);
    run();
    assert_ended(&later, HWS_GRPC_OK);
    for (unsigned i = 0; i < N_CALLS; i++) {
        assert_int_equal(calls[i].n_closed, i < 4 ? 0 : 1);
    }
    assert_int_equal(w.hosts[1].n_calls, N_CALLS - 4 + 1);
    (void)teardown(state);
}

/* They have a stream's number, and nobody has read it. */
static void calls_that_have_not_left_yet_go_elsewhere(void **state)
{
    struct end calls[N_CALLS];
    struct end late;

    (void)state;
    begin(calls);
    late = calls[0];
    late.call.data = &late;
    assert_code(hws_grpc_channel_start(&w.ch, &late.call, w.now_ms, NULL), HWS_OK);
    w.due_ms = hws_grpc_channel_turn(&w.ch, w.now_ms);
    assert_true(hws_grpc_channel_placed(&late.call));
    goaway(stream_of(N_CALLS));
    run();
    assert_int_equal(late.n_closed, 0);
    up(1);
    run();
    assert_ended(&late, HWS_GRPC_OK);
    assert_int_equal(w.hosts[0].n_calls, N_CALLS);
    assert_int_equal(w.hosts[1].n_calls, 1);
    (void)teardown(state);
}

/* What a stream has sent goes with it, from its first message on; the hosts count. */
static void a_stream_above_it_is_sent_again_whole(void **state)
{
    struct end calls[N_CALLS];
    struct end stream;

    (void)state;
    begin(calls);
    w.hold = true;
    start_kind(&stream, WORLD_CHAT, 0, false, 1);
    assert_code(say(&stream, 4), HWS_OK);
    assert_code(say(&stream, 5000), HWS_OK);
    run();
    assert_int_equal(w.n_got, 2);
    w.hold = false;
    goaway(stream_of(N_CALLS));
    run();
    assert_code(say(&stream, 4), HWS_OK); /* while it waits */
    up(1);
    run();
    hws_grpc_channel_half_close(&stream.call);
    run();
    assert_ended(&stream, HWS_GRPC_OK);
    assert_int_equal(w.n_got, 3);
    assert_int_equal(stream.n_messages, 3);
    assert_int_equal(w.hosts[1].n_calls, 1);
    (void)teardown(state);
}

/* Its caller has had a part of the answer: another server's would not be its rest. */
static void a_stream_above_it_whose_answer_has_begun_ends(void **state)
{
    struct end calls[N_CALLS];
    struct end stream;

    (void)state;
    begin(calls);
    start_kind(&stream, WORLD_CHAT, 0, false, 1);
    assert_code(say(&stream, 4), HWS_OK);
    run();
    assert_int_equal(stream.n_messages, 1);
    goaway(stream_of(N_CALLS));
    run();
    up(1);
    run();
    assert_ended(&stream, HWS_GRPC_UNAVAILABLE);
    assert_int_equal(w.hosts[1].n_calls, 0);
    (void)teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            calls_above_the_last_stream_go_elsewhere_and_the_others_end_where_they_are),
        cmocka_unit_test(calls_at_or_below_it_are_lost_with_the_connection_and_not_asked_again),
        cmocka_unit_test(the_second_goaway_of_a_drain_decides),
        cmocka_unit_test(calls_that_have_not_left_yet_go_elsewhere),
        cmocka_unit_test(a_stream_above_it_is_sent_again_whole),
        cmocka_unit_test(a_stream_above_it_whose_answer_has_begun_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
