/* Blocks come back, keep what was in them, and go when the pool is trimmed. */
#include <string.h>

#include "base/mem.h"
#include "grpc/pool.h"
#include "test.h"

static void a_freed_block_is_the_next_one_of_its_class(void **state)
{
    struct hws_grpc_pool pool = {0};

    (void)state;
    for (size_t n = 0; n <= 1008; n += 16) {
        void *first = hws_grpc_pool_alloc(&pool, n);
        assert_non_null(first);
        memset(first, 0xa5, n);
        hws_grpc_pool_free(&pool, first);
        hws_mem_count_reset();
        void *second = hws_grpc_pool_alloc(&pool, n);
        assert_ptr_equal(first, second);
        assert_int_equal(hws_mem_n_allocs(), 0);
        hws_grpc_pool_free(&pool, second);
    }
    hws_grpc_pool_trim(&pool);
    assert_true(hws_grpc_pool_empty(&pool));
}

static void growing_keeps_the_bytes_through_every_class_and_beyond(void **state)
{
    struct hws_grpc_pool pool = {0};
    uint8_t *p = NULL;

    (void)state;
    for (size_t n = 1; n < 5000; n++) {
        p = hws_grpc_pool_realloc(&pool, p, n);
        assert_non_null(p);
        p[n - 1] = (uint8_t)(n * 7);
        for (size_t i = 0; i < n; i += 97) {
            assert_int_equal(p[i], (uint8_t)((i + 1) * 7));
        }
    }
    hws_grpc_pool_free(&pool, p);
    hws_grpc_pool_trim(&pool);
}

static void zeroed_means_zeroed_also_the_second_time(void **state)
{
    struct hws_grpc_pool pool = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t *p = assert_got(hws_grpc_pool_zalloc(&pool, 10, 20));
        for (size_t k = 0; k < 200; k++) {
            assert_int_equal(p[k], 0);
        }
        memset(p, 0xff, 200);
        hws_grpc_pool_free(&pool, p);
    }
    assert_null(hws_grpc_pool_zalloc(&pool, SIZE_MAX / 2, 3));
    assert_null(hws_grpc_pool_alloc(&pool, SIZE_MAX));
    hws_grpc_pool_trim(&pool);
}

static void no_more_than_the_limit_is_kept(void **state)
{
    struct hws_grpc_pool pool = {0};
    enum { KEPT = HWS_GRPC_POOL_SPARE_BYTES / 128 };
    static void *blocks[KEPT + 10];

    (void)state;
    for (size_t i = 0; i < KEPT + 10; i++) {
        blocks[i] = hws_grpc_pool_alloc(&pool, 100);
    }
    for (size_t i = 0; i < KEPT + 10; i++) {
        hws_grpc_pool_free(&pool, blocks[i]);
    }
    assert_int_equal(pool.n_spare[1], KEPT);
    hws_grpc_pool_trim(&pool);
}

static void without_memory_the_old_block_stays(void **state)
{
    struct hws_grpc_pool pool = {0};
    uint8_t *small = assert_got(hws_grpc_pool_alloc(&pool, 40));
    uint8_t *big = assert_got(hws_grpc_pool_alloc(&pool, 4000));

    (void)state;
    small[39] = 1;
    big[3999] = 2;
    hws_mem_fail_after(1, true);
    assert_null(hws_grpc_pool_realloc(&pool, small, 4000));
    assert_null(hws_grpc_pool_realloc(&pool, big, 8000));
    assert_null(hws_grpc_pool_alloc(&pool, 100));
    hws_mem_fail_after(0, false);
    assert_int_equal(small[39], 1);
    assert_int_equal(big[3999], 2);
    hws_grpc_pool_free(&pool, small);
    hws_grpc_pool_free(&pool, big);
    hws_grpc_pool_trim(&pool);
}

static enum hws_code take_and_grow(void *arg)
{
    struct hws_grpc_pool pool = {0};
    void *p = hws_grpc_pool_alloc(&pool, 10);
    void *q = p == NULL ? NULL : hws_grpc_pool_realloc(&pool, p, 5000);

    (void)arg;
    hws_grpc_pool_free(&pool, q != NULL ? q : p); /* a failed realloc leaves the old block */
    hws_grpc_pool_trim(&pool);
    assert_true(hws_grpc_pool_empty(&pool));
    return q == NULL ? HWS_E_NOMEM : HWS_OK;
}

static void a_failed_allocation_leaves_the_pool_whole(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(take_and_grow, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_allocation_leaves_the_pool_whole),
        cmocka_unit_test(a_freed_block_is_the_next_one_of_its_class),
        cmocka_unit_test(growing_keeps_the_bytes_through_every_class_and_beyond),
        cmocka_unit_test(zeroed_means_zeroed_also_the_second_time),
        cmocka_unit_test(no_more_than_the_limit_is_kept),
        cmocka_unit_test(without_memory_the_old_block_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
