/* The chunk chain and gzip of single messages. */
#include <string.h>

#include "base/mem.h"
#include "grpc/gzip.h"
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

static void gzip_round_trip_and_ceiling(void **state)
{
    size_t n = 100000;
    uint8_t *zeros = hws_mem_zalloc(1, n);
    struct hws_buf packed = {0};
    struct hws_buf plain = {0};

    (void)state;
    assert_code(hws_grpc_gzip_deflate(zeros, n, &packed, NULL), HWS_OK);
    assert_true(hws_buf_len(&packed) < 1000);
    assert_memory_equal(hws_buf_peek(&packed), "\x1f\x8b\x08", 3); /* RFC 1952 */
    assert_code(hws_grpc_gzip_inflate(hws_buf_peek(&packed), hws_buf_len(&packed), n, &plain, NULL),
                HWS_OK);
    assert_int_equal(hws_buf_len(&plain), n);
    assert_memory_equal(hws_buf_peek(&plain), zeros, n);
    hws_buf_reset(&plain);
    assert_code(
        hws_grpc_gzip_inflate(hws_buf_peek(&packed), hws_buf_len(&packed), n - 1, &plain, NULL),
        HWS_E_BUSY);
    hws_buf_reset(&plain);
    assert_code(
        hws_grpc_gzip_inflate(hws_buf_peek(&packed), hws_buf_len(&packed) - 1, n, &plain, NULL),
        HWS_E_PROTO);
    hws_buf_reset(&plain);
    assert_code(hws_grpc_gzip_inflate((const uint8_t *)"plain", 5, n, &plain, NULL), HWS_E_PROTO);
    hws_buf_deinit(&packed);
    hws_buf_deinit(&plain);
    hws_mem_free(zeros);
}

/* By hand: a gzip header, one stored block "hi", CRC-32 d8932aac, length 2 (RFC 1951, 1952). */
static void gzip_by_hand_is_read(void **state)
{
    static const uint8_t packed[] = {0x1f, 0x8b, 8,   0,   0,    0,    0,    0,    0, 255, 1, 2, 0,
                                     0xfd, 0xff, 'h', 'i', 0xac, 0x2a, 0x93, 0xd8, 2, 0,   0, 0};
    struct hws_buf plain = {0};

    (void)state;
    assert_code(hws_grpc_gzip_inflate(packed, sizeof(packed), 2, &plain, NULL), HWS_OK);
    assert_int_equal(hws_buf_len(&plain), 2);
    assert_memory_equal(hws_buf_peek(&plain), "hi", 2);
    hws_buf_deinit(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_order_over_chunks),
        cmocka_unit_test(reservation_without_commit_queues_nothing),
        cmocka_unit_test(gzip_round_trip_and_ceiling),
        cmocka_unit_test(gzip_by_hand_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
