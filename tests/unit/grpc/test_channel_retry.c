/* A channel: calls that are placed or tried again. */
#include "channel_world.h"

static void a_call_that_reached_nobody_is_placed_again_uncounted(void **state)
{
    struct end e[3];

    (void)state;
    w.server_limits.max_calls = 1;
    w.hold = true;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    /* Two at once before the limit is known: the server refuses the second. */
    for (size_t i = 0; i < 2; i++) {
        start(&e[i], 0, true, 1);
    }
    up(0);
    run();
    assert_int_equal(w.hosts[0].client.stats->resets_in, 1);
    assert_int_equal(w.n_held, 1);
    assert_int_equal(e[0].n_closed + e[1].n_closed, 0);
    w.hold = false;
    hws_grpc_call_finish_text(assert_got(w.held[0]), HWS_GRPC_OK, NULL);
    run();
    advance(1);
    assert_int_equal(e[0].n_closed, 1);
    assert_ended(&e[1], HWS_GRPC_OK);
    assert_string_equal(w.attempts, "");
}

static void unavailable_is_tried_again_as_often_as_allowed(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.n_refusals = 2;
    start(&e, 0, false, 3);
    assert_int_equal(e.n_closed, 0);
    advance(120);
    advance(240);
    assert_ended(&e, HWS_GRPC_OK);
    assert_string_equal(w.attempts, "2");

    w.ch.config.throttle_tokens = 100; /* not what is tested here */
    w.ch.milli_tokens = 100000;
    w.n_refusals = 10;
    start(&e, 0, false, 100);
    for (int i = 0; i < 10; i++) {
        advance(5000);
    }
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_int_equal(w.n_refusals, 10 - HWS_GRPC_CHANNEL_ATTEMPTS);

    w.n_refusals = 1;
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_UNAVAILABLE);
}

static void the_server_steers_the_retry(void **state)
{
    /* A6: a signed number of 32 bits in ASCII, without zeros that need not be there. */
    static const char *const never[] = {"-1",   "soon", "",    "0x10",      "0b1",
                                        "0100", "+1",   "1.5", "2147483648"};
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.n_refusals = 1;
    w.pushback = "7000";
    start(&e, 0, false, 2);
    advance(6999);
    assert_int_equal(e.n_closed, 0);
    advance(1);
    assert_ended(&e, HWS_GRPC_OK);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        w.n_refusals = 1;
        w.pushback = never[i];
        assert_ended(start(&e, 0, false, 5), HWS_GRPC_UNAVAILABLE);
    }
    w.n_refusals = 1; /* beyond the deadline there is no use in waiting */
    w.pushback = "7000";
    assert_ended(start(&e, 5000, false, 5), HWS_GRPC_UNAVAILABLE);
}

/* 100 ms, then 200, each a fifth less here; the server says 50; then 100 again. */
static void the_servers_pause_begins_ours_anew(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.n_refusals = 4;
    start(&e, 0, false, 5);
    advance(80);
    assert_int_equal(w.n_refusals, 2);
    w.pushback = "50";
    advance(159);
    assert_int_equal(w.n_refusals, 2);
    advance(1);
    assert_int_equal(w.n_refusals, 1);
    w.pushback = NULL;
    advance(50);
    assert_int_equal(w.n_refusals, 0);
    advance(79);
    assert_int_equal(e.n_closed, 0);
    advance(1);
    assert_ended(&e, HWS_GRPC_OK);
    assert_string_equal(w.attempts, "4");
}

static void an_answer_that_has_begun_is_not_asked_for_again(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.n_refusals = 1;
    w.answer_first = true;
    assert_ended(start(&e, 0, false, 5), HWS_GRPC_UNAVAILABLE);
}

/* A6: ten tokens, five of them gone is where retries stop; an OK brings a tenth of one back. */
static void a_server_in_trouble_is_not_asked_again_until_calls_succeed(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.n_refusals = 4; /* tokens: 6 */
    for (unsigned i = 0; i < 4; i++) {
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_UNAVAILABLE);
    }
    w.n_refusals = 1; /* 5, which is half: not tried again */
    assert_ended(start(&e, 0, false, 5), HWS_GRPC_UNAVAILABLE);
    w.n_refusals = 0;
    for (unsigned i = 0; i < 10; i++) { /* 6 again */
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    }
    w.n_refusals = 1; /* 5: one success less than is needed */
    assert_ended(start(&e, 0, false, 5), HWS_GRPC_UNAVAILABLE);
    w.n_refusals = 0;
    for (unsigned i = 0; i < 11; i++) { /* 6.1 */
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    }
    w.n_refusals = 1; /* 5.1: tried again */
    start(&e, 0, false, 5);
    assert_int_equal(e.n_closed, 0);
    advance(200);
    assert_ended(&e, HWS_GRPC_OK);
}

static void tokens_are_never_more_than_all_nor_less_than_none(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    for (unsigned i = 0; i < 20; i++) {
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    }
    assert_int_equal(w.ch.milli_tokens, 10000);
    w.n_refusals = 30;
    for (unsigned i = 0; i < 30; i++) {
        assert_ended(start(&e, 0, false, 1), HWS_GRPC_UNAVAILABLE);
    }
    assert_int_equal(w.ch.milli_tokens, 0);
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    assert_int_equal(w.ch.milli_tokens, 100);
}

/* A call that reached no application says nothing about the server. */
static void transparent_retries_neither_count_nor_stop(void **state)
{
    struct end e[2];

    (void)state;
    w.ch.milli_tokens = 0;
    w.server_limits.max_calls = 1;
    w.hold = true;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    for (size_t i = 0; i < 2; i++) { /* the second is refused before it is seen */
        start(&e[i], 0, true, 1);
    }
    up(0);
    run();
    assert_int_equal(w.hosts[0].client.stats->resets_in, 1);
    assert_int_equal(e[0].n_closed + e[1].n_closed, 0);
    w.hold = false;
    hws_grpc_call_finish_text(assert_got(w.held[0]), HWS_GRPC_OK, NULL);
    run();
    advance(1);
    assert_ended(&e[1], HWS_GRPC_OK);
    assert_int_equal(w.ch.milli_tokens,
                     100); /* the second was answered; the first had no message */
}

/* RST_STREAM REFUSED_STREAM comes to host 0's client. */
static void turn_away(uint32_t stream)
{
    const uint8_t frame[13] = {[2] = 4, [3] = 3, [8] = (uint8_t)stream, [12] = 7};

    assert_code(hws_grpc_conn_recv(&w.hosts[0].client, frame, sizeof(frame), w.now_ms, NULL),
                HWS_OK);
    run();
}

static void a_server_that_turns_a_call_away_unseen_is_asked_once_more_at_once(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.hold = true;
    start(&e, 0, true, 1);
    turn_away(1);
    assert_int_equal(e.n_closed, 0);
    assert_int_equal(w.hosts[0].n_calls, 2);
    turn_away(3);
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_true(e.unprocessed);
    assert_int_equal(w.hosts[0].n_calls, 2);
}

static void a_call_turned_away_twice_is_its_retry_policys(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.hold = true;
    start(&e, 0, true, 2);
    turn_away(1);
    turn_away(3);
    assert_int_equal(w.ch.milli_tokens, 9000);
    w.hold = false;
    advance(79);
    assert_int_equal(e.n_closed, 0);
    assert_int_equal(w.hosts[0].n_calls, 2);
    advance(1);
    assert_ended(&e, HWS_GRPC_OK);
    assert_string_equal(w.attempts, "1");
}

/* n fields of one letter's value, as many as the caller allowed himself. */
static void fill(struct hws_grpc_meta *meta, unsigned n)
{
    char name[16];

    *meta = (struct hws_grpc_meta){.max_entries = n};
    for (unsigned i = 0; i < n; i++) {
        assert_true(hws_str_print(name, sizeof(name), "x-%u", i));
        assert_code(hws_grpc_meta_add_text(meta, name, "v", NULL), HWS_OK);
    }
}

static void as_much_metadata_as_there_may_be_goes_with_every_attempt(void **state)
{
    static const unsigned sizes[] = {64, 100, HWS_GRPC_META_SENT_FIELDS - 1};
    struct hws_grpc_meta meta;
    struct end e;

    (void)state;
    w.server_limits.max_header_fields = 256;
    w.server_limits.max_header_bytes = 65536;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill(&meta, sizes[i]);
        w.n_refusals = 1;
        with_meta(&e, &meta, 2);
        advance(100);
        assert_ended(&e, HWS_GRPC_OK);
        assert_string_equal(w.attempts, "1");
        hws_grpc_meta_deinit(&meta);
    }
}

static void metadata_that_cannot_be_sent_ends_its_call(void **state)
{
    struct hws_grpc_meta meta;
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    fill(&meta, HWS_GRPC_META_SENT_FIELDS + 1);
    assert_ended(with_meta(&e, &meta, 1), HWS_GRPC_INTERNAL);
    assert_string_equal(e.message, "129 metadata fields, at most 128");
    hws_grpc_meta_deinit(&meta);
    /* As it came from somewhere else. */
    assert_code(hws_grpc_meta_add_wire(&meta, (const uint8_t *)"x-a", 3,
                                       (const uint8_t *)"\xc3\xbc", 2, NULL),
                HWS_OK);
    assert_ended(with_meta(&e, &meta, 1), HWS_GRPC_INTERNAL);
    assert_memory_equal(e.message, "metadata value of x-a is not printable ASCII", 44);
    hws_grpc_meta_deinit(&meta);
    assert_int_equal(w.hosts[0].n_calls, 0);
}

static void a_lost_connection_ends_its_call_which_may_be_tried_elsewhere(void **state)
{
    struct end once;
    struct end twice;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.hold = true;
    start(&once, 0, true, 1);
    start(&twice, 0, true, 2);
    w.hold = false;
    lose(0);
    run();
    assert_ended(&once, HWS_GRPC_UNAVAILABLE);
    assert_int_equal(twice.n_closed, 0);
    advance(200);
    up(0);
    run();
    assert_ended(&twice, HWS_GRPC_OK);
    assert_string_equal(w.attempts, "1");
}

/* Two calls, one refused and tried again, and a stream; the connection ends; as far as memory goes.
 */
static enum hws_code two_calls(void *arg)
{
    struct end e[3] = {{.n_closed = 0}};
    enum hws_code code = world_open();

    w.starved = true;
    w.n_refusals = 1;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    if (code == HWS_OK) {
        up(0);
        start(&e[0], 0, true, 2);
        start(&e[1], 0, true, 1);
        start_kind(&e[2], WORLD_SUM, 0, true, 2);
        bool said = say(&e[2], 2000) == HWS_OK && say(&e[2], 4) == HWS_OK;
        run();
        hws_grpc_channel_half_close(&e[2].call);
        advance(200);
        lose(0);
        hws_grpc_channel_close(&w.ch);
        run();
        bool all = said && e[2].sum == 2;
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(e[i].n_closed, 1);
            all = all && e[i].code == HWS_GRPC_OK;
        }
        code = all ? HWS_OK : HWS_E_NOMEM;
    }
    (void)teardown(arg);
    return code;
}

static void calls_survive_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(two_calls, NULL) > 20);
}

/* The first attempt was seen and refused; the second never leaves this side. */
static void a_call_that_one_attempt_brought_to_the_server_was_not_unprocessed(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    w.n_refusals = 1;
    start(&e, 0, true, 2);
    assert_int_equal(w.n_refusals, 0);
    lose(0);
    for (unsigned i = 0; i <= HWS_GRPC_CHANNEL_TRANSPARENT && e.n_closed == 0; i++) {
        w.now_ms += 200;
        up(0);
        w.due_ms = hws_grpc_channel_turn(&w.ch, w.now_ms); /* placed, and nothing is pulled */
        assert_true(hws_grpc_channel_placed(&e.call));
        lose(0);
        run();
    }
    assert_ended(&e, HWS_GRPC_UNAVAILABLE);
    assert_false(e.unprocessed);
}

static void a_request_over_the_limit_says_so(void **state)
{
    struct end e;

    (void)state;
    w.client_limits.max_send_message_bytes = 1;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_INTERNAL);
    assert_string_equal(e.message, "a message of 2 bytes is not sent: max_send_message_bytes is 1");
    assert_true(e.unprocessed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_call_that_reached_nobody_is_placed_again_uncounted),
        T(unavailable_is_tried_again_as_often_as_allowed),
        T(the_server_steers_the_retry),
        T(the_servers_pause_begins_ours_anew),
        T(an_answer_that_has_begun_is_not_asked_for_again),
        T(a_server_in_trouble_is_not_asked_again_until_calls_succeed),
        T(tokens_are_never_more_than_all_nor_less_than_none),
        T(transparent_retries_neither_count_nor_stop),
        T(a_server_that_turns_a_call_away_unseen_is_asked_once_more_at_once),
        T(a_call_turned_away_twice_is_its_retry_policys),
        T(as_much_metadata_as_there_may_be_goes_with_every_attempt),
        T(metadata_that_cannot_be_sent_ends_its_call),
        T(a_lost_connection_ends_its_call_which_may_be_tried_elsewhere),
        T(a_call_that_one_attempt_brought_to_the_server_was_not_unprocessed),
        T(a_request_over_the_limit_says_so),
        cmocka_unit_test(calls_survive_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
