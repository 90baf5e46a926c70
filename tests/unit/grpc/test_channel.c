/* A channel over several hosts in memory, in virtual time. */
#include <string.h>

#include "base/str.h"
#include "grpc/channel.h"
#include "grpc/server.h"
#include "test.h"

#define N_HOSTS 3u

struct host {
    struct hws_grpc_conn server;
    struct hws_grpc_conn client;
    unsigned n_calls;
    unsigned n_dials;
};

struct world {
    struct hws_grpc_server table;
    struct hws_grpc_limits server_limits;
    struct hws_grpc_channel ch;
    struct host hosts[N_HOSTS];
    struct hws_grpc_call *held[8]; /* on the servers, while hold is set */
    unsigned n_held;
    uint64_t now_ms;
    uint64_t due_ms;
    uint32_t random;
    unsigned n_refusals;  /* the servers answer UNAVAILABLE so often */
    const char *pushback; /* with this; NULL: none */
    bool hold;
    bool starved;      /* allocations may fail */
    bool answer_first; /* a refusal comes after initial metadata */
    char attempts[8];  /* grpc-previous-rpc-attempts of the latest call */
};

struct end {
    struct hws_grpc_channel_call call;
    enum hws_grpc_code code;
    char message[64];
    unsigned n_closed;
    unsigned n_messages;
};

static struct world w;

/* ---- the hosts ---- */

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    struct hws_span value;

    (void)data;
    w.attempts[0] = '\0';
    if (hws_grpc_meta_get(hws_grpc_call_peer_meta(call), "grpc-previous-rpc-attempts", 0, &value)) {
        assert_true(hws_str_copy_n(w.attempts, sizeof(w.attempts), value.bytes, value.n));
    }
    for (size_t i = 0; i < N_HOSTS; i++) {
        w.hosts[i].n_calls += hws_grpc_call_conn(call) == &w.hosts[i].server ? 1 : 0;
    }
    return HWS_GRPC_OK;
}

static void refuse(struct hws_grpc_call *call)
{
    struct hws_grpc_meta trailers = {0};

    w.n_refusals--;
    if (w.answer_first) {
        assert_code(hws_grpc_call_send_headers(call, NULL, NULL), HWS_OK);
    }
    if (w.pushback != NULL) {
        assert_code(hws_grpc_meta_add_text(&trailers, "grpc-retry-pushback-ms", w.pushback, NULL),
                    HWS_OK);
    }
    hws_grpc_call_finish(call, HWS_GRPC_UNAVAILABLE, "busy", NULL, 0, &trailers);
    hws_grpc_meta_deinit(&trailers);
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    if (w.hold) {
        w.held[w.n_held++] = call;
    } else if (w.n_refusals > 0) {
        refuse(call);
    } else {
        enum hws_code code = hws_grpc_call_send(call, bytes, n, NULL);
        hws_grpc_call_finish_text(call, code == HWS_OK ? HWS_GRPC_OK : HWS_GRPC_RESOURCE_EXHAUSTED,
                                  NULL);
    }
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, NULL);
}

static const struct hws_grpc_call_ops service = {
    .on_call = on_call, .on_message = on_message, .on_cancel = on_cancel};

/* ---- the channel's owner ---- */

static void dial(void *data, uint32_t idx)
{
    (void)data;
    w.hosts[idx].n_dials++;
}

static uint32_t any(void *data)
{
    (void)data;
    return w.random;
}

static void on_wake(void *data)
{
    (void)data;
    w.due_ms = w.now_ms;
}

static void up(uint32_t idx)
{
    struct host *h = &w.hosts[idx];
    struct hws_grpc_conn_config server = {.server = &w.table, .limits = w.server_limits};
    struct hws_grpc_conn_config client = {0};

    hws_grpc_conn_deinit(&h->client);
    hws_grpc_conn_deinit(&h->server);
    hws_grpc_limits_client(&client.limits);
    assert_code(hws_grpc_conn_init(&h->server, &server, w.now_ms, NULL), HWS_OK);
    assert_code(hws_grpc_conn_init(&h->client, &client, w.now_ms, NULL), HWS_OK);
    hws_grpc_channel_up(&w.ch, idx, &h->client);
}

static size_t pump(struct hws_grpc_conn *from, struct hws_grpc_conn *to)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;

    if (from->h2 == NULL) {
        return 0;
    }
    (void)hws_grpc_conn_turn(from, w.now_ms);
    hws_grpc_conn_pull(from, w.now_ms, &bytes, &n);
    if (n > 0) {
        enum hws_code code =
            to->h2 == NULL ? HWS_OK : hws_grpc_conn_recv(to, bytes, n, w.now_ms, NULL);
        assert_true(code == HWS_OK || w.starved);
        hws_grpc_conn_sent(from, n, w.now_ms);
    }
    return n;
}

/* Everything that is due now. */
static void run(void)
{
    size_t moved = 1;

    while (moved > 0 || w.due_ms <= w.now_ms) {
        if (w.due_ms <= w.now_ms) {
            w.due_ms = hws_grpc_channel_turn(&w.ch, w.now_ms);
        }
        moved = 0;
        for (size_t i = 0; i < N_HOSTS; i++) {
            moved += pump(&w.hosts[i].client, &w.hosts[i].server);
            moved += pump(&w.hosts[i].server, &w.hosts[i].client);
        }
    }
}

static void advance(uint64_t ms)
{
    w.now_ms += ms;
    run();
}

static void lose(uint32_t idx)
{
    hws_grpc_conn_lost(&w.hosts[idx].client, "cable pulled");
    hws_grpc_conn_lost(&w.hosts[idx].server, "cable pulled");
    hws_grpc_channel_down(&w.ch, idx, &w.hosts[idx].client, w.now_ms, "cable pulled");
}

static int setup(void **state)
{
    static const struct hws_grpc_method methods[] = {{"/t.S/Once", HWS_GRPC_UNARY, false}};
    const struct hws_grpc_channel_config config = {.dial = dial, .random = any, .on_wake = on_wake};

    (void)state;
    memset(&w, 0, sizeof(w));
    w.now_ms = 1000;
    w.due_ms = UINT64_MAX;
    hws_grpc_limits_server(&w.server_limits);
    hws_grpc_server_init(&w.table);
    assert_code(hws_grpc_server_add(&w.table, methods, 1, &service, NULL, NULL), HWS_OK);
    hws_grpc_channel_init(&w.ch, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_HOSTS; i++) {
        hws_grpc_conn_deinit(&w.hosts[i].client);
        hws_grpc_conn_deinit(&w.hosts[i].server);
    }
    hws_grpc_server_deinit(&w.table);
    return 0;
}

/* ---- the caller ---- */

static void count_message(struct hws_grpc_channel_call *call, const uint8_t *bytes, size_t n)
{
    struct end *e = call->data;

    (void)bytes;
    (void)n;
    e->n_messages++;
}

static void note_close(struct hws_grpc_channel_call *call, const struct hws_grpc_outcome *outcome)
{
    struct end *e = call->data;

    e->n_closed++;
    e->code = outcome->code;
    (void)hws_str_copy(e->message, sizeof(e->message), outcome->message);
}

static struct end *start(struct end *e, uint64_t timeout_ms, bool wait, uint32_t attempts)
{
    memset(e, 0, sizeof(*e));
    e->call = (struct hws_grpc_channel_call){.path = "/t.S/Once",
                                             .request = "hi",
                                             .n_request = 2,
                                             .timeout_ms = timeout_ms,
                                             .wait_for_ready = wait,
                                             .max_attempts = attempts,
                                             .on_message = count_message,
                                             .on_close = note_close,
                                             .data = e};
    assert_code(hws_grpc_channel_start(&w.ch, &e->call, w.now_ms, NULL), HWS_OK);
    run();
    return e;
}

static void assert_ended(const struct end *e, enum hws_grpc_code code)
{
    assert_int_equal(e->n_closed, 1);
    assert_int_equal(e->code, code);
}

/* ---- claims ---- */

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

static void a_call_that_reached_nobody_is_placed_again_uncounted(void **state)
{
    struct end e[3];

    (void)state;
    w.server_limits.max_calls = 1;
    w.hold = true;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    /* Two at once before the limit is known: the server refuses the second. */
    for (size_t i = 0; i < 2; i++) {
        start(&e[i], 0, true, 1);
    }
    assert_int_equal(w.n_held, 1);
    assert_int_equal(e[0].n_closed + e[1].n_closed, 0);
    w.hold = false;
    hws_grpc_call_finish_text(w.held[0], HWS_GRPC_OK, NULL);
    run();
    advance(1);
    assert_int_equal(e[0].n_closed, 1);
    assert_ended(&e[1], HWS_GRPC_OK);
    assert_string_equal(w.attempts, "");
}

static void a_drained_connection_gets_no_call_and_another_is_made(void **state)
{
    struct end e;

    (void)state;
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    up(0);
    assert_ended(start(&e, 0, false, 1), HWS_GRPC_OK);
    hws_grpc_conn_drain(&w.hosts[0].server, 0);
    run();
    start(&e, 0, false, 1);
    assert_int_equal(e.n_closed, 0);
    assert_int_equal(w.hosts[0].n_dials, 1);
    up(0);
    run();
    assert_ended(&e, HWS_GRPC_OK);
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
    static const char *const never[] = {"-1", "soon", ""};
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
    up(0);
    for (size_t i = 0; i < 2; i++) { /* the second is refused before it is seen */
        start(&e[i], 0, true, 1);
    }
    assert_int_equal(e[0].n_closed + e[1].n_closed, 0);
    w.hold = false;
    hws_grpc_call_finish_text(w.held[0], HWS_GRPC_OK, NULL);
    run();
    advance(1);
    assert_ended(&e[1], HWS_GRPC_OK);
    assert_int_equal(w.ch.milli_tokens,
                     100); /* the second was answered; the first had no message */
}

/* Two calls, one refused and tried again; the connection ends; as far as memory goes. */
static enum hws_code two_calls(void *arg)
{
    static const struct hws_grpc_method methods[] = {{"/t.S/Once", HWS_GRPC_UNARY, false}};
    const struct hws_grpc_channel_config config = {.dial = dial, .random = any, .on_wake = on_wake};
    struct hws_grpc_conn_config server = {.server = &w.table};
    struct hws_grpc_conn_config client = {0};
    struct end e[2] = {{.n_closed = 0}};
    enum hws_code code;

    memset(&w, 0, sizeof(w));
    w.starved = true;
    w.due_ms = UINT64_MAX;
    w.n_refusals = 1;
    hws_grpc_limits_server(&server.limits);
    hws_grpc_limits_client(&client.limits);
    hws_grpc_server_init(&w.table);
    hws_grpc_channel_init(&w.ch, &config);
    hws_grpc_channel_set_addresses(&w.ch, 1, NULL);
    code = hws_grpc_server_add(&w.table, methods, 1, &service, NULL, NULL);
    code = code == HWS_OK ? hws_grpc_conn_init(&w.hosts[0].server, &server, 0, NULL) : code;
    code = code == HWS_OK ? hws_grpc_conn_init(&w.hosts[0].client, &client, 0, NULL) : code;
    if (code == HWS_OK) {
        hws_grpc_channel_up(&w.ch, 0, &w.hosts[0].client);
        start(&e[0], 0, true, 2);
        start(&e[1], 0, true, 1);
        advance(200);
        lose(0);
        hws_grpc_channel_close(&w.ch);
        run();
        assert_int_equal(e[0].n_closed + e[1].n_closed, 2);
        code = e[0].code == HWS_GRPC_OK && e[1].code == HWS_GRPC_OK ? HWS_OK : HWS_E_NOMEM;
    }
    (void)teardown(arg);
    return code;
}

static void calls_survive_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(two_calls, NULL) > 20);
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
    all[n].call.kind = HWS_GRPC_BIDI;
    assert_code(hws_grpc_channel_start(&w.ch, &all[n].call, w.now_ms, NULL), HWS_E_INVALID);
    hws_grpc_channel_close(&w.ch);
    run();
    for (size_t i = 0; i < n; i++) {
        assert_ended(&all[i], HWS_GRPC_CANCELLED);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_is_dialed_before_a_call_needs_it),
        T(calls_go_round_robin_over_what_is_ready),
        T(a_call_ends_when_every_address_rests_unless_it_waits_for_ready),
        T(a_call_to_an_address_that_never_answers_ends_when_the_dial_does),
        T(a_name_without_addresses_says_why),
        T(rests_grow_to_their_ceiling_and_are_spread),
        T(a_call_that_reached_nobody_is_placed_again_uncounted),
        T(a_drained_connection_gets_no_call_and_another_is_made),
        T(unavailable_is_tried_again_as_often_as_allowed),
        T(the_server_steers_the_retry),
        cmocka_unit_test(calls_survive_every_failed_allocation),
        T(an_answer_that_has_begun_is_not_asked_for_again),
        T(a_server_in_trouble_is_not_asked_again_until_calls_succeed),
        T(tokens_are_never_more_than_all_nor_less_than_none),
        T(transparent_retries_neither_count_nor_stop),
        T(a_lost_connection_ends_its_call_which_may_be_tried_elsewhere),
        T(deadlines_and_cancels_end_calls_that_wait),
        T(closing_ends_every_call_once_and_takes_no_more),
        T(only_so_many_calls_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
