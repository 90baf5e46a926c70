/* The steady state: once the first calls have passed, a call costs the allocator nothing beyond
 * what its application asks for, and message bytes go to the transport from where they were put. */
#include <string.h>

#include "base/mem.h"
#include "pair.h"
#include "test.h"

#define N_TOGETHER 16u
#define MAX_BYTES  6000u

/* Calls that run together, to their end. */
static void run_calls(struct pair *p, unsigned n, size_t n_bytes)
{
    static const uint8_t message[MAX_BYTES];
    struct seen seen[N_TOGETHER];
    struct hws_err err;

    for (unsigned i = 0; i < n; i++) {
        memset(&seen[i], 0, sizeof(seen[i]));
        assert_code(seen_start(p, &seen[i], PAIR_ECHO, 1000, NULL), HWS_OK);
        assert_ok(hws_grpc_call_send(assert_got(seen[i].call), message, n_bytes, &err), &err);
    }
    (void)pair_run(p);
    for (unsigned i = 0; i < n; i++) {
        assert_true(seen[i].closed);
        assert_int_equal(seen[i].outcome.code, HWS_GRPC_OK);
        assert_int_equal(seen[i].n_bytes, n_bytes);
    }
}

static uint64_t allocs_of_stream(struct pair *p, const char *n_messages)
{
    struct seen seen = {0};
    struct hws_err err;

    hws_mem_count_reset();
    p->n_moves = 0;
    assert_code(seen_start(p, &seen, PAIR_COUNT, 0, NULL), HWS_OK);
    assert_ok(hws_grpc_call_send(assert_got(seen.call), n_messages, strlen(n_messages), &err),
              &err);
    (void)pair_run(p);
    assert_true(seen.closed);
    assert_int_equal(seen.outcome.code, HWS_GRPC_OK);
    assert_int_equal(seen.n_bytes % PAIR_CHUNK, 0);
    return hws_mem_n_allocs() - p->n_moves;
}

static void count_unary(size_t n_bytes)
{
    struct pair p;

    assert_code(pair_init(&p), HWS_OK);
    assert_code(pair_open(&p), HWS_OK);
    for (unsigned i = 0; i < 20; i++) {
        run_calls(&p, N_TOGETHER, n_bytes);
    }

    hws_mem_count_reset();
    p.n_moves = 0;
    for (unsigned i = 0; i < 50; i++) {
        run_calls(&p, N_TOGETHER, n_bytes);
    }

    /* The test service makes one object a call. */
    assert_int_equal(hws_mem_n_allocs() - p.n_moves, 50 * N_TOGETHER);
    pair_deinit(&p);
}

static void a_unary_call_allocates_only_what_its_handler_does(void **state)
{
    (void)state;
    count_unary(18);
    count_unary(MAX_BYTES);
}

static void a_stream_of_ten_times_the_messages_allocates_no_more(void **state)
{
    struct pair p;

    (void)state;
    assert_code(pair_init(&p), HWS_OK);
    assert_code(pair_open(&p), HWS_OK);
    for (unsigned i = 0; i < 5; i++) {
        (void)allocs_of_stream(&p, "20");
        (void)allocs_of_stream(&p, "200");
    }

    uint64_t few = allocs_of_stream(&p, "20");
    uint64_t many = allocs_of_stream(&p, "200");

    assert_int_equal(few, many);
    pair_deinit(&p);
}

static void long_messages_leave_from_where_they_were_put(void **state)
{
    struct hws_span spans[HWS_GRPC_OUT_SPANS];
    struct pair p;
    struct seen seen = {0};
    uint8_t *space = NULL;
    struct hws_err err;
    bool in_place = false;

    (void)state;
    assert_code(pair_init(&p), HWS_OK);
    assert_code(pair_open(&p), HWS_OK);
    run_calls(&p, 1, 18);
    assert_code(seen_start(&p, &seen, PAIR_SUM, 0, NULL), HWS_OK);
    assert_ok(hws_grpc_call_reserve(assert_got(seen.call), 50000, &space, &err), &err);
    memset(space, 7, 50000);
    hws_grpc_call_commit(assert_got(seen.call));

    size_t n = hws_grpc_conn_pull_spans(&p.client, p.now_ms, spans, HWS_GRPC_OUT_SPANS);
    for (size_t i = 0; i < n; i++) {
        in_place = in_place || (spans[i].bytes <= space && space < spans[i].bytes + spans[i].n);
    }

    assert_true(in_place);
    hws_grpc_call_cancel(assert_got(seen.call)); /* what is lent outlives its call */
    for (size_t i = 0; i < n; i++) {
        const uint8_t *bytes = NULL;
        size_t left = 0;
        hws_grpc_conn_pull(&p.client, p.now_ms, &bytes, &left);
        assert_ptr_equal(bytes, spans[i].bytes);
        hws_grpc_conn_sent(&p.client, left / 2, p.now_ms);
        hws_grpc_conn_sent(&p.client, left - left / 2, p.now_ms);
    }
    pair_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unary_call_allocates_only_what_its_handler_does),
        cmocka_unit_test(a_stream_of_ten_times_the_messages_allocates_no_more),
        cmocka_unit_test(long_messages_leave_from_where_they_were_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
