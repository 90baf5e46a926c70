/* A connection's output: own bytes and lent runs come out in order, whatever is taken at a time. */
#include <string.h>

#include "base/mem.h"
#include "grpc/out.h"
#include "test.h"

#define MAX_BYTES 4000000u

struct world {
    struct hws_grpc_chunk_pool pool;
    struct hws_grpc_outq q;
    struct hws_grpc_out out;
    uint8_t *want; /* what was put in, in order */
    size_t n_want;
    uint64_t seed;
};

static void open_world(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->want = assert_got(hws_mem_alloc(MAX_BYTES));
    w->seed = hws_test_seed();
}

static void close_world(struct world *w)
{
    hws_grpc_out_deinit(&w->out, &w->pool);
    hws_grpc_outq_clear(&w->q, &w->pool);
    hws_grpc_chunk_pool_deinit(&w->pool);
    hws_mem_free(w->want);
}

static void put_own(struct world *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        w->want[w->n_want + i] = (uint8_t)hws_test_rand(&w->seed);
    }
    assert_code(hws_grpc_out_put(&w->out, w->want + w->n_want, n), HWS_OK);
    w->n_want += n;
}

static void put_message(struct world *w, size_t n)
{
    uint8_t *space = NULL;

    assert_code(hws_grpc_outq_reserve(&w->q, &w->pool, n, &space), HWS_OK);
    for (size_t i = 0; i < n; i++) {
        space[i] = (uint8_t)hws_test_rand(&w->seed);
    }
    memcpy(w->want + w->n_want, space, n);
    w->n_want += n;
    hws_grpc_outq_commit(&w->q, n);
    assert_code(hws_grpc_out_move(&w->out, &w->q, &w->pool, n), HWS_OK);
}

/* Takes everything, at most step bytes at a time, and compares. */
static void take_all(struct world *w, size_t step)
{
    size_t at = 0;

    assert_int_equal(w->out.n_bytes, w->n_want);
    while (w->out.n_bytes > 0) {
        struct hws_span spans[HWS_GRPC_OUT_SPANS];
        size_t n_spans = hws_grpc_out_spans(&w->out, spans, HWS_GRPC_OUT_SPANS);
        size_t sum = 0;
        for (size_t i = 0; i < n_spans; i++) {
            assert_true(spans[i].n > 0);
            assert_memory_equal(spans[i].bytes, w->want + at + sum, spans[i].n);
            sum += spans[i].n;
        }
        assert_int_equal(sum, w->out.n_bytes);
        size_t n = step < sum ? step : sum;
        hws_grpc_out_sent(&w->out, &w->pool, n);
        at += n;
    }
    assert_int_equal(at, w->n_want);
    w->n_want = 0;
}

static void own_bytes_and_lent_runs_come_out_in_order(void **state)
{
    static const size_t steps[] = {1009, 16384, 100000, MAX_BYTES};
    struct world w;

    (void)state;
    open_world(&w);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        put_own(&w, 9);
        put_message(&w, 65545);
        put_own(&w, 30);
        put_message(&w, 10); /* copied */
        put_message(&w, HWS_GRPC_OUT_LEND);
        put_message(&w, 20000); /* two runs without own bytes between */
        put_own(&w, 1);
        assert_int_equal(w.out.n_runs, 3);
        take_all(&w, steps[i]);
    }
    close_world(&w);
}

static void more_runs_than_there_is_room_for_are_copied(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    for (unsigned i = 0; i < HWS_GRPC_OUT_RUNS + 5; i++) {
        put_own(&w, 9);
        put_message(&w, 20000);
    }
    assert_int_equal(w.out.n_runs, HWS_GRPC_OUT_RUNS);
    take_all(&w, 7000);
    close_world(&w);
}

static void what_is_lent_outlives_its_queue(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    put_message(&w, 50000);
    hws_grpc_outq_clear(&w.q, &w.pool);
    hws_grpc_chunk_pool_deinit(&w.pool); /* spare chunks go; the lent one stays */
    take_all(&w, 30000);
    assert_int_equal(w.pool.n_spare, 1);
    close_world(&w);
}

static void a_part_of_a_message_may_be_moved(void **state)
{
    struct world w;
    uint8_t *space = NULL;

    (void)state;
    open_world(&w);
    assert_code(hws_grpc_outq_reserve(&w.q, &w.pool, 60000, &space), HWS_OK);
    memset(space, 3, 60000);
    hws_grpc_outq_commit(&w.q, 60000);
    assert_code(hws_grpc_out_move(&w.out, &w.q, &w.pool, 40000), HWS_OK);
    assert_int_equal(w.q.n_bytes, 20000);
    hws_grpc_outq_clear(&w.q, &w.pool); /* the call is reset */
    assert_int_equal(w.out.n_bytes, 40000);
    hws_grpc_out_sent(&w.out, &w.pool, 39999);
    assert_int_equal(w.pool.n_spare, 0);
    hws_grpc_out_sent(&w.out, &w.pool, 1);
    assert_int_equal(w.pool.n_spare, 1);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_bytes_and_lent_runs_come_out_in_order),
        cmocka_unit_test(more_runs_than_there_is_room_for_are_copied),
        cmocka_unit_test(what_is_lent_outlives_its_queue),
        cmocka_unit_test(a_part_of_a_message_may_be_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
