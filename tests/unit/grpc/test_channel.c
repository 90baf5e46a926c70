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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
