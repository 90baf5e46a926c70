/* The chunk chain. */
#include <string.h>

#include "base/mem.h"
#include "grpc/outq.h"
#include "test.h"

static void bytes_come_out_in_order_over_chunks(void **state)
{
    struct hws_grpc_chunk_pool pool = {0};
    struct hws_grpc_outq q = {0};
    uint8_t got[20000];

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *space = NULL;
        assert_code(hws_grpc_outq_reserve(&q, &pool, 1000, &space), HWS_OK);
        memset(space, (int)i, 1000);
        hws_grpc_outq_commit(&q, 1000);
    }
    assert_int_equal(q.n_bytes, 20000);
    hws_grpc_outq_take(&q, &pool, got, 7);
    hws_grpc_outq_take(&q, &pool, got + 7, 19993);

    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(got[i * 1000], i);
        assert_int_equal(got[i * 1000 + 999], i);
    }
    assert_null(q.first);
    assert_true(pool.n_spare > 0);
    hws_grpc_chunk_pool_deinit(&pool);
}

static void reservation_without_commit_queues_nothing(void **state)
{
    struct hws_grpc_chunk_pool pool = {0};
    struct hws_grpc_outq q = {0};
    uint8_t *first = NULL;
    uint8_t *second = NULL;

    (void)state;
    assert_code(hws_grpc_outq_reserve(&q, &pool, 100, &first), HWS_OK);
    assert_code(hws_grpc_outq_reserve(&q, &pool, 100, &second), HWS_OK);
    assert_ptr_equal(first, second);
    assert_int_equal(q.n_bytes, 0);
    hws_grpc_outq_clear(&q, &pool);
    hws_grpc_chunk_pool_deinit(&pool);
}

/* Nobody counts what lies under a message beside its own bytes. */
static void a_long_chunk_is_kept_for_long_messages(void **state)
{
    struct hws_grpc_chunk_pool pool = {0};
    struct hws_grpc_outq q = {0};
    uint8_t *space = NULL;

    (void)state;
    assert_code(hws_grpc_outq_reserve(&q, &pool, 400000, &space), HWS_OK);
    hws_grpc_outq_clear(&q, &pool);
    assert_int_equal(pool.n_spare, 1);

    assert_code(hws_grpc_outq_reserve(&q, &pool, 5, &space), HWS_OK);
    assert_int_equal(pool.n_spare, 1);
    assert_true(q.last->cap <= 16384);
    hws_grpc_outq_clear(&q, &pool);
    assert_code(hws_grpc_outq_reserve(&q, &pool, 100001, &space), HWS_OK);
    assert_int_equal(q.last->cap, 400000);

    hws_grpc_outq_clear(&q, &pool);
    hws_grpc_chunk_pool_deinit(&pool);
}

static enum hws_code queue_some(void *arg)
{
    struct hws_grpc_chunk_pool pool = {0};
    struct hws_grpc_outq q = {0};
    enum hws_code code = HWS_OK;

    (void)arg;
    for (unsigned i = 0; i < 20 && code == HWS_OK; i++) {
        uint8_t *space = NULL;
        code = hws_grpc_outq_reserve(&q, &pool, 10000, &space);
        if (code == HWS_OK) {
            memset(space, 7, 10000);
            hws_grpc_outq_commit(&q, 10000);
        }
    }
    hws_grpc_outq_clear(&q, &pool);
    hws_grpc_chunk_pool_deinit(&pool);
    return code;
}

static void queueing_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(queue_some, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_order_over_chunks),
        cmocka_unit_test(a_long_chunk_is_kept_for_long_messages),
        cmocka_unit_test(queueing_survives_every_failed_allocation),
        cmocka_unit_test(reservation_without_commit_queues_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
