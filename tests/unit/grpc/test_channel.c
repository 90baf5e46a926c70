/* A channel: its addresses and connections, and calls that wait for one. */
#include "channel_world.h"

static void nothing_is_dialed_before_a_call_needs_it(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    run();
    assert_int_equal(w.hosts[0].n_dials, 0);
    start(&e, 0, false, 1);
    assert_int_equal(w.hosts[0].n_dials, 1);
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    assert_int_equal(e.n_messages, 1);
}

static void calls_go_round_robin_over_what_is_ready(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, N_HOSTS, NULL);
    up(0);
    up(2);
    for (int i = 0; i < 6; i++) {
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    }
    assert_int_equal(w.hosts[0].n_calls + w.hosts[2].n_calls, 6);
    assert_int_equal(w.hosts[1].n_calls, 0);
    up(1);
    for (int i = 0; i < 6; i++) {
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    }
    assert_int_equal(w.hosts[1].n_calls, 2);
}

static void a_call_ends_when_every_address_rests_unless_it_waits_for_ready(void **state)
{
    struct end hasty;
    struct end patient;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 2, NULL);
    start(&hasty, 0, false, 1);
    start(&patient, 60000, true, 1);
    hws_grpc_channel_down(&w.ch, 0, NULL, w.now_ms, "refused");
    run();
    assert_int_equal(hasty.n_closed, 0); /* the other may come up */
    hws_grpc_channel_down(&w.ch, 1, NULL, w.now_ms, "unreachable");
    run();
    assert_ended(&hasty, HWS_GRPC_UNAVAILABLE);
    assert_string_equal(hasty.message, "unreachable");
    assert_int_equal(patient.n_closed, 0);
    advance(1000);
    assert_int_equal(w.hosts[0].n_dials, 2);
    up(0);
    run();
    assert_ended(&patient, HWS_GRPC_OK);
}

static void a_call_may_ask_that_connecting_fails_once_more_before_it_ends(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start(&e, 0, false, 1);
    hws_grpc_channel_down(&w.ch, 0, NULL, w.now_ms, "refused");
    run();
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_UNAVAILABLE); /* the address rests */
    for (unsigned n_dials = 2; n_dials < 4; n_dials++) {
        e.call.wait_for_attempt = true;
        e.n_closed = 0;
        assert_code(hws_grpc_channel_start(&w.ch, &e.call, w.now_ms, NULL), HWS_OK);
        run();
        assert_int_equal(e.n_closed, 0);
        advance(3000);
        assert_int_equal(w.hosts[0].n_dials, n_dials);
        hws_grpc_channel_down(&w.ch, 0, NULL, w.now_ms, "refused again");
        run();
        assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    }
    hws_grpc_channel_set_addresses(&w.ch, 0, "no such name");
    e.n_closed = 0;
    assert_code(hws_grpc_channel_start(&w.ch, &e.call, w.now_ms, NULL), HWS_OK);
    run();
    assert_int_equal(e.n_closed, 0);
    hws_grpc_channel_set_addresses(&w.ch, 0, "still no such name");
    run();
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_string_equal(e.message, "still no such name");
}

/* Nothing wakes the channel while it waits for an address that takes its packets and is silent. */
static void a_call_to_an_address_that_never_answers_ends_when_the_dial_does(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start(&e, 0, false, 1);
    assert_int_equal(w.hosts[0].n_dials, 1);
    w.now_ms += 20000; /* longer than any first rest */
    hws_grpc_channel_down(&w.ch, 0, NULL, w.now_ms, "no answer");
    run();
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_string_equal(e.message, "no answer");
    assert_int_equal(w.hosts[0].n_dials, 1);
}

static void a_name_without_addresses_says_why(void **state)
{
    struct end e;

    (void)state;
    start(&e, 0, false, 1);
    assert_int_equal(e.n_closed, 0); /* not resolved yet */
    hws_grpc_channel_set_addresses(&w.ch, 0, "no such name");
    run();
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_string_equal(e.message, "no such name");
}

/* grpc/doc/connection-backoff.md: 1 s, times 1.6, 120 s, give or take a fifth. */
static void rests_grow_to_their_ceiling_and_are_spread(void **state)
{
    static const uint32_t expect_ms[] = {1000,  1600,  2560,  4096,   6553,   10484, 16774,
                                         26838, 42940, 68704, 109926, 120000, 120000};
    uint64_t seed = hws_test_seed();
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start(&e, 0, true, 1);
    for (size_t i = 0; i < sizeof(expect_ms) / sizeof(expect_ms[0]); i++) {
        w.random = (uint32_t)hws_test_rand(&seed);
        assert_int_equal(w.hosts[0].n_dials, i + 1);
        hws_grpc_channel_down(&w.ch, 0, NULL, w.now_ms, "refused");
        run();
        uint64_t rest_ms = w.due_ms - w.now_ms;
        assert_in_range(rest_ms, expect_ms[i] * 4 / 5 - 1, expect_ms[i] * 6 / 5 + 1);
        advance(rest_ms - 1);
        assert_int_equal(w.hosts[0].n_dials, i + 1);
        advance(1);
    }
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_OK);
    lose(0); /* after a success it begins anew, and at once */
    start(&e, 0, true, 1);
    assert_int_equal(w.ch.addresses[0].backoff_ms, 0);
    assert_int_equal(w.ch.addresses[0].state, HWS_GRPC_ADDRESS_CONNECTING);
    hws_grpc_channel_close(&w.ch);
    run();
}

static void a_drained_connection_gets_no_call_and_another_is_made(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    hws_grpc_conn_drain(&w.hosts[0].server, 0, w.now_ms);
    run();
    start(&e, 0, false, 1);
    assert_int_equal(e.n_closed, 0);
    assert_int_equal(w.hosts[0].n_dials, 1);
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_OK);
}

static void deadlines_and_cancels_end_calls_that_wait(void **state)
{
    struct end late;
    struct end cancelled;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start(&late, 500, true, 1);
    start(&cancelled, 0, true, 1);
    hws_grpc_channel_cancel(&cancelled.call);
    run();
    assert_ended(&cancelled, HWS_GRPC_CANCELLED);
    advance(499);
    assert_int_equal(late.n_closed, 0);
    advance(1);
    assert_ended(&late, HWS_GRPC_DEADLINE_EXCEEDED);
}

static void closing_ends_every_call_once_and_takes_no_more(void **state)
{
    struct end running;
    struct end waiting;
    struct end more;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.hold = true;
    start(&running, 0, true, 3);
    lose(0);
    run();
    up(0);
    start(&more, 0, true, 3);
    w.ch.addresses[0].state = HWS_GRPC_ADDRESS_CONNECTING;
    start(&waiting, 0, true, 3);
    hws_grpc_channel_close(&w.ch);
    run();
    assert_ended(&running, HWS_GRPC_CANCELLED);
    assert_ended(&waiting, HWS_GRPC_CANCELLED);
    assert_ended(&more, HWS_GRPC_CANCELLED);
    assert_code(hws_grpc_channel_start(&w.ch, &more.call, w.now_ms, NULL), HWS_E_STATE);
}

static void only_so_many_calls_wait(void **state)
{
    static struct end all[HWS_GRPC_CHANNEL_WAITING + 1];
    size_t n = HWS_GRPC_CHANNEL_WAITING;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        start(&all[i], 0, true, 1);
    }
    all[n].call = all[0].call;
    assert_code(hws_grpc_channel_start(&w.ch, &all[n].call, w.now_ms, NULL), HWS_E_BUSY);
    hws_grpc_channel_close(&w.ch);
    run();
    for (size_t i = 0; i < n; i++) {
        assert_ended(&all[i], HWS_GRPC_CANCELLED);
    }
}

static void a_lost_connection_is_made_again_while_others_serve(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 2, NULL);
    up(0);
    up(1);
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    lose(0);
    run();
    assert_int_equal(w.hosts[0].n_dials, 0); /* nobody asks */
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    assert_int_equal(w.hosts[0].n_dials, 1);
    hws_grpc_channel_down(&w.ch, 0, NULL, w.now_ms, "refused");
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    assert_int_equal(w.hosts[0].n_dials, 1); /* it rests */
    advance(1000);
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    assert_int_equal(w.hosts[0].n_dials, 2);
}

/* A server that is full, or that refuses our certificate after TLS 1.3 called us connected. */
static void a_connection_that_ends_before_the_server_spoke_is_a_failed_attempt(void **state)
{
    static const uint32_t expect_ms[] = {1000, 1600, 2560};
    struct end e;

    (void)state;
    w.random = 0; /* the least rest */
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    w.hosts[0].silent = true;
    for (size_t i = 0; i < sizeof(expect_ms) / sizeof(expect_ms[0]); i++) {
        start(&e, 0, false, 1);
        up(0);
        run();
        if (i % 2 == 0) {
            lose(0);
        } else { /* the turn comes before the owner's word */
            hws_grpc_conn_lost(&w.hosts[0].client, "cable pulled");
        }
        run();
        assert_ended(&e, HWS_GRPC_UNAVAILABLE);
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_UNAVAILABLE);
        assert_string_equal(e.message, "cable pulled");
        assert_int_equal(w.ch.addresses[0].state, HWS_GRPC_ADDRESS_RESTING);
        assert_int_equal(w.ch.addresses[0].rest_until_ms - w.now_ms, expect_ms[i] * 4 / 5);
        advance(expect_ms[i] * 4 / 5);
    }
    w.hosts[0].silent = false;
    up(0);
    run();
    lose(0); /* it has spoken: the rests begin anew */
    assert_int_equal(w.ch.addresses[0].state, HWS_GRPC_ADDRESS_IDLE);
    assert_int_equal(w.ch.addresses[0].backoff_ms, 0);
}

static void close_channel(struct hws_grpc_channel_call *call,
                          const struct hws_grpc_outcome *outcome)
{
    struct end *e = call->data;

    e->n_closed++;
    e->code = outcome->code;
    hws_grpc_channel_close(call->channel);
}

static void closing_in_the_end_of_a_call_ends_those_of_the_same_turn(void **state)
{
    struct end first;
    struct end second;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start(&first, 0, true, 1);
    start(&second, 0, true, 1);
    first.call.on_close = close_channel;
    hws_grpc_channel_cancel(&first.call);
    up(0);
    run();
    assert_ended(&first, HWS_GRPC_CANCELLED);
    assert_ended(&second, HWS_GRPC_CANCELLED);
    assert_int_equal(w.hosts[0].n_calls, 0);
}

static void a_call_that_is_late_says_what_it_waited_for(void **state)
{
    struct end e;

    (void)state;
    start(&e, 500, true, 1);
    advance(500);
    assert_ended(&e, HWS_GRPC_DEADLINE_EXCEEDED);
    assert_string_equal(e.message, "no connection in time: not resolved yet");
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    start(&e, 500, true, 1);
    advance(500);
    assert_string_equal(e.message, "no connection in time: not connected yet");
    start(&e, 500, true, 1);
    hws_grpc_channel_down(&w.ch, 0, NULL, w.now_ms, "refused");
    advance(500);
    assert_string_equal(e.message, "no connection in time: refused");
    assert_true(e.unprocessed);
}

static void no_timeout_is_too_long(void **state)
{
    struct end e;

    (void)state;
    start(&e, UINT64_MAX, true, 1);
    assert_int_equal(e.n_closed, 0);
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_OK);
}

/* What stays keeps its connection or its rest, wherever it stands in the new list. */
static void addresses_that_stay_keep_what_they_have(void **state)
{
    static const uint32_t was[] = {2, HWS_GRPC_CHANNEL_NEW, 0};
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, N_HOSTS, NULL);
    start(&e, 0, true, 1);
    up(0);
    up(1);
    hws_grpc_channel_down(&w.ch, 2, NULL, w.now_ms, "refused");
    run();
    assert_ended(&e, HWS_GRPC_OK);
    uint64_t rest_until_ms = w.ch.addresses[2].rest_until_ms;
    hws_grpc_channel_move_addresses(&w.ch, 3, was);
    assert_int_equal(w.ch.addresses[0].state, HWS_GRPC_ADDRESS_RESTING);
    assert_int_equal(w.ch.addresses[0].rest_until_ms, rest_until_ms);
    assert_int_equal(w.ch.addresses[1].state, HWS_GRPC_ADDRESS_IDLE);
    assert_ptr_equal(w.ch.addresses[2].conn, &w.hosts[0].client);
    unsigned n_calls = w.hosts[0].n_calls;
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    assert_int_equal(w.hosts[0].n_calls, n_calls + 1);
    assert_int_equal(w.hosts[1].n_dials, 2); /* the new one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_is_dialed_before_a_call_needs_it),
        T(calls_go_round_robin_over_what_is_ready),
        T(a_call_ends_when_every_address_rests_unless_it_waits_for_ready),
        T(a_call_may_ask_that_connecting_fails_once_more_before_it_ends),
        T(a_call_to_an_address_that_never_answers_ends_when_the_dial_does),
        T(a_name_without_addresses_says_why),
        T(rests_grow_to_their_ceiling_and_are_spread),
        T(a_drained_connection_gets_no_call_and_another_is_made),
        T(deadlines_and_cancels_end_calls_that_wait),
        T(closing_ends_every_call_once_and_takes_no_more),
        T(only_so_many_calls_wait),
        T(a_lost_connection_is_made_again_while_others_serve),
        T(a_connection_that_ends_before_the_server_spoke_is_a_failed_attempt),
        T(closing_in_the_end_of_a_call_ends_those_of_the_same_turn),
        T(a_call_that_is_late_says_what_it_waited_for),
        T(no_timeout_is_too_long),
        T(addresses_that_stay_keep_what_they_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
