/* The encodings of single messages: what comes out is what went in, up to the ceiling. */
#include <string.h>

#include "base/mem.h"
#include "grpc/codec.h"
#include "test.h"

#define N_ZEROS ((size_t)100000)

/* Inflates packed[0..n) with a ceiling; the code. */
static enum hws_code inflate(enum hws_grpc_encoding encoding, const void *packed, size_t n,
                             size_t max_bytes, struct hws_buf *out)
{
    hws_buf_reset(out);
    return hws_grpc_inflate(encoding, packed, n, max_bytes, out, NULL);
}

static void round_trip(enum hws_grpc_encoding encoding, const void *magic, size_t n_magic)
{
    uint8_t *zeros = assert_got(hws_mem_zalloc(1, N_ZEROS));
    struct hws_buf packed = {0};
    struct hws_buf plain = {0};

    assert_code(hws_grpc_deflate(encoding, zeros, N_ZEROS, &packed, NULL), HWS_OK);
    const uint8_t *bytes = hws_buf_peek(&packed);
    size_t n = hws_buf_len(&packed);
    assert_true(n < 1000);
    assert_memory_equal(bytes, magic, n_magic);
    assert_code(inflate(encoding, bytes, n, N_ZEROS, &plain), HWS_OK);
    assert_int_equal(hws_buf_len(&plain), N_ZEROS);
    assert_memory_equal(hws_buf_peek(&plain), zeros, N_ZEROS);
    assert_code(inflate(encoding, bytes, n, N_ZEROS - 1, &plain), HWS_E_BUSY);
    assert_code(inflate(encoding, bytes, n - 1, N_ZEROS, &plain), HWS_E_PROTO);
    assert_code(inflate(encoding, "plain", 5, N_ZEROS, &plain), HWS_E_PROTO);
    assert_code(inflate(encoding, "", 0, N_ZEROS, &plain), HWS_E_PROTO);
    assert_code(hws_buf_put(&packed, "x", 1), HWS_OK);
    assert_code(inflate(encoding, hws_buf_peek(&packed), n + 1, N_ZEROS, &plain), HWS_E_PROTO);

    hws_buf_reset(&packed);
    assert_code(hws_grpc_deflate(encoding, "", 0, &packed, NULL), HWS_OK);
    assert_code(inflate(encoding, hws_buf_peek(&packed), hws_buf_len(&packed), 0, &plain), HWS_OK);
    assert_int_equal(hws_buf_len(&plain), 0);
    hws_buf_deinit(&packed);
    hws_buf_deinit(&plain);
    hws_mem_free(zeros);
}

static void gzip_round_trip_and_ceiling(void **state)
{
    (void)state;
    round_trip(HWS_GRPC_GZIP, "\x1f\x8b\x08", 3); /* RFC 1952, section 2.3.1 */
}

static void zstd_round_trip_and_ceiling(void **state)
{
    (void)state;
    round_trip(HWS_GRPC_ZSTD, "\x28\xb5\x2f\xfd", 4); /* RFC 8878, section 3.1.1 */
}

static void reads(enum hws_grpc_encoding encoding, const uint8_t *packed, size_t n)
{
    struct hws_buf plain = {0};

    assert_code(inflate(encoding, packed, n, 2, &plain), HWS_OK);
    assert_int_equal(hws_buf_len(&plain), 2);
    assert_memory_equal(hws_buf_peek(&plain), "hi", 2);
    hws_buf_deinit(&plain);
}

/* By hand: a gzip header, one stored block "hi", CRC-32 d8932aac, length 2 (RFC 1951, 1952). */
static void gzip_by_hand_is_read(void **state)
{
    static const uint8_t packed[] = {0x1f, 0x8b, 8,   0,   0,    0,    0,    0,    0, 255, 1, 2, 0,
                                     0xfd, 0xff, 'h', 'i', 0xac, 0x2a, 0x93, 0xd8, 2, 0,   0, 0};
    (void)state;
    reads(HWS_GRPC_GZIP, packed, sizeof(packed));
}

/* By hand: magic, a single segment of 2 bytes, one last raw block "hi" (RFC 8878, section 3.1.1).
 */
static void zstd_by_hand_is_read(void **state)
{
    static const uint8_t packed[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 2, 0x11, 0, 0, 'h', 'i'};

    (void)state;
    reads(HWS_GRPC_ZSTD, packed, sizeof(packed));
}

/* A frame of no stated size that asks for a window of 1 GiB, and one that states 4 GiB. */
static void zstd_frame_that_asks_for_too_much_is_refused(void **state)
{
    static const uint8_t window[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x11, 0, 0, 'h', 'i'};
    static const uint8_t size[] = {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0xff, 0x11, 0, 0};
    struct hws_buf plain = {0};

    (void)state;
    assert_code(inflate(HWS_GRPC_ZSTD, size, sizeof(size), 1 << 22, &plain), HWS_E_BUSY);
    assert_int_equal(plain.cap, 0);
    assert_code(inflate(HWS_GRPC_ZSTD, window, sizeof(window), 1 << 22, &plain), HWS_E_BUSY);
    hws_buf_deinit(&plain);
}

static void names_are_those_of_the_list(void **state)
{
    struct hws_buf list = {0};

    (void)state;
    for (unsigned i = 0; i < HWS_GRPC_N_ENCODINGS; i++) {
        const char *name = hws_grpc_encoding_name((enum hws_grpc_encoding)i);
        assert_int_equal(hws_grpc_encoding_parse((const uint8_t *)name, strlen(name)), i);
        assert_code(hws_buf_printf(&list, "%s%s", i == 0 ? "" : ",", name), HWS_OK);
    }
    assert_string_equal(hws_buf_cstr(&list), HWS_GRPC_ACCEPT_ENCODING);
    hws_buf_deinit(&list);
    assert_int_equal(hws_grpc_encoding_parse((const uint8_t *)"GZIP", 4), HWS_GRPC_N_ENCODINGS);
    assert_int_equal(hws_grpc_encoding_parse((const uint8_t *)"", 0), HWS_GRPC_N_ENCODINGS);
    assert_string_equal(hws_grpc_encoding_name(HWS_GRPC_N_ENCODINGS), "?");
}

static enum hws_code there_and_back(void *data)
{
    const enum hws_grpc_encoding *encoding = data;
    struct hws_buf packed = {0};
    struct hws_buf plain = {0};
    enum hws_code code = hws_grpc_deflate(*encoding, "aaaaaaaa", 8, &packed, NULL);

    if (code == HWS_OK) {
        code = hws_grpc_inflate(*encoding, hws_buf_peek(&packed), hws_buf_len(&packed), 8, &plain,
                                NULL);
    }
    hws_buf_deinit(&packed);
    hws_buf_deinit(&plain);
    return code;
}

static void survives_every_allocation_failure(void **state)
{
    enum hws_grpc_encoding gzip = HWS_GRPC_GZIP;
    enum hws_grpc_encoding zstd = HWS_GRPC_ZSTD;

    (void)state;
    assert_true(hws_test_oom_sweep(there_and_back, &gzip) > 3);
    assert_true(hws_test_oom_sweep(there_and_back, &zstd) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_round_trip_and_ceiling),
        cmocka_unit_test(zstd_round_trip_and_ceiling),
        cmocka_unit_test(gzip_by_hand_is_read),
        cmocka_unit_test(zstd_by_hand_is_read),
        cmocka_unit_test(zstd_frame_that_asks_for_too_much_is_refused),
        cmocka_unit_test(names_are_those_of_the_list),
        cmocka_unit_test(survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
