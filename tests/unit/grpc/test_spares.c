/* Connections of one thread share what calls have left: it is used again wherever the next call
 * comes, bounded, and given back by the connection that has been idle last. */
#include <string.h>

#include "base/mem.h"
#include "pair.h"
#include "test.h"

#define N_PAIRS    6u
#define N_TOGETHER 700u /* calls; each has an object at both ends */

struct world {
    struct hws_grpc_spares spares;
    struct pair pairs[N_PAIRS];
};

static int setup(void **state)
{
    static struct world world;
    struct world *w = &world;

    hws_grpc_spares_init(&w->spares);
    for (unsigned i = 0; i < N_PAIRS; i++) {
        if (pair_init(&w->pairs[i]) != HWS_OK) {
            return -1;
        }
        w->pairs[i].spares = &w->spares;
        w->pairs[i].server_limits.max_calls = N_TOGETHER;
        if (pair_open(&w->pairs[i]) != HWS_OK) {
            return -1;
        }
        (void)pair_run(&w->pairs[i]);
    }
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < N_PAIRS; i++) {
        pair_deinit(&w->pairs[i]);
    }
    hws_grpc_spares_trim(&w->spares);
    assert_true(hws_grpc_spares_empty(&w->spares));
    return 0;
}

/* One call to its end; the allocations of the engine. */
static uint64_t call(struct pair *p, size_t n_bytes)
{
    static const uint8_t message[6000];
    struct seen seen = {0};
    struct hws_err err;

    hws_mem_count_reset();
    p->n_moves = 0;
    assert_code(seen_start(p, &seen, PAIR_ECHO, 0, NULL), HWS_OK);
    assert_ok(hws_grpc_call_send(assert_got(seen.call), message, n_bytes, &err), &err);
    (void)pair_run(p);
    assert_true(seen.closed);
    assert_int_equal(seen.outcome.code, HWS_GRPC_OK);
    assert_int_equal(seen.n_bytes, n_bytes);
    return hws_mem_n_allocs() - p->n_moves - 1; /* the test service makes one object a call */
}

static void advance_all(struct world *w, uint64_t ms)
{
    for (unsigned i = 0; i < N_PAIRS; i++) {
        pair_advance(&w->pairs[i], ms);
    }
}

static void a_call_uses_what_calls_of_other_connections_left(void **state)
{
    struct world *w = *state;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < N_PAIRS; i++) {
            (void)call(&w->pairs[i], 6000); /* compression tables and windows of each settle */
        }
    }
    uint32_t n_calls = w->spares.n_calls;

    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(call(&w->pairs[i % N_PAIRS], 6000), 0);
    }

    assert_int_equal(w->spares.n_calls, n_calls); /* of one call, both its ends */
    assert_int_equal(n_calls, 2);
}

static void the_connection_idle_last_gives_them_back(void **state)
{
    struct world *w = *state;
    (void)call(&w->pairs[0], 10);
    advance_all(w, 600);
    (void)call(&w->pairs[1], 10);

    advance_all(w, HWS_GRPC_TRIM_MS - 600); /* the first has been idle for long enough */
    assert_false(hws_grpc_spares_empty(&w->spares));
    advance_all(w, 600);

    assert_true(hws_grpc_spares_empty(&w->spares));
}

static void idle_connections_do_not_look_again(void **state)
{
    struct world *w = *state;
    (void)call(&w->pairs[0], 10);
    advance_all(w, HWS_GRPC_TRIM_MS);

    for (unsigned i = 0; i < N_PAIRS; i++) {
        assert_int_equal(w->pairs[i].server.trim_at_ms, UINT64_MAX);
        assert_int_equal(w->pairs[i].client.trim_at_ms, UINT64_MAX);
    }
}

static void a_call_under_way_is_not_touched(void **state)
{
    struct world *w = *state;
    struct seen seen = {0};
    struct hws_err err;
    assert_code(seen_start(&w->pairs[2], &seen, PAIR_CHAT, 0, NULL), HWS_OK);
    assert_ok(hws_grpc_call_send(assert_got(seen.call), "one", 3, &err), &err);
    (void)pair_run(&w->pairs[2]);
    (void)call(&w->pairs[0], 6000);
    advance_all(w, HWS_GRPC_TRIM_MS);
    assert_true(hws_grpc_spares_empty(&w->spares));

    assert_ok(hws_grpc_call_send(assert_got(seen.call), "two", 3, &err), &err);
    hws_grpc_call_half_close(assert_got(seen.call));
    (void)pair_run(&w->pairs[2]);

    assert_true(seen.closed);
    assert_int_equal(seen.outcome.code, HWS_GRPC_OK);
    assert_string_equal(seen.last, "two");
    assert_int_equal(seen.n_messages, 2);
}

static void a_connection_that_goes_leaves_them_to_the_others(void **state)
{
    struct world *w = *state;
    (void)call(&w->pairs[0], 6000);
    uint32_t n_calls = w->spares.n_calls;

    hws_grpc_conn_deinit(&w->pairs[0].client);
    hws_grpc_conn_deinit(&w->pairs[0].server);

    assert_int_equal(w->spares.n_calls, n_calls);
    (void)call(&w->pairs[1], 6000);
    advance_all(w, HWS_GRPC_TRIM_MS);
    assert_true(hws_grpc_spares_empty(&w->spares));
}

static void no_more_calls_are_kept_than_their_limits(void **state)
{
    static struct seen seen[N_TOGETHER];
    struct world *w = *state;

    for (unsigned i = 0; i < N_TOGETHER; i++) {
        seen[i] = (struct seen){0};
        assert_code(seen_start(&w->pairs[0], &seen[i], PAIR_ECHO, 0, NULL), HWS_OK);
        assert_ok(hws_grpc_call_send(assert_got(seen[i].call), "x", 1, NULL), NULL);
    }
    (void)pair_run(&w->pairs[0]);

    for (unsigned i = 0; i < N_TOGETHER; i++) {
        assert_int_equal(seen[i].outcome.code, HWS_GRPC_OK);
    }
    assert_true(w->spares.n_calls <= HWS_GRPC_SPARE_CALLS);
    assert_true(w->spares.call_bytes <= HWS_GRPC_SPARE_CALL_BYTES);
    assert_true(w->spares.n_calls > HWS_GRPC_SPARE_CALLS / 4);
}

static void no_more_output_buffers_are_kept_than_their_limit(void **state)
{
    struct world *w = *state;
    struct seen seen[N_PAIRS] = {0};
    const uint8_t *bytes = NULL;
    size_t n[N_PAIRS] = {0};
    for (unsigned i = 0; i < N_PAIRS; i++) {
        struct pair *p = &w->pairs[i];
        assert_code(seen_start(p, &seen[i], PAIR_ECHO, 0, NULL), HWS_OK);
        assert_ok(hws_grpc_call_send(assert_got(seen[i].call), "x", 1, NULL), NULL);
        hws_grpc_conn_pull(&p->client, p->now_ms, &bytes, &n[i]); /* and does not leave */
        assert_non_null(p->client.out.own.bytes);
    }

    for (unsigned i = 0; i < N_PAIRS; i++) {
        hws_grpc_conn_sent(&w->pairs[i].client, n[i], w->pairs[i].now_ms);
        assert_null(w->pairs[i].client.out.own.bytes);
    }

    assert_int_equal(w->spares.n_outs, HWS_GRPC_SPARE_OUTS);
    for (unsigned i = 0; i < N_PAIRS; i++) {
        hws_grpc_call_cancel(assert_got(seen[i].call)); /* its request never came */
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_call_uses_what_calls_of_other_connections_left),
        T(the_connection_idle_last_gives_them_back),
        T(idle_connections_do_not_look_again),
        T(a_call_under_way_is_not_touched),
        T(a_connection_that_goes_leaves_them_to_the_others),
        T(no_more_calls_are_kept_than_their_limits),
        T(no_more_output_buffers_are_kept_than_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
