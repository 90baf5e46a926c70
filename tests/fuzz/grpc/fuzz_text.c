/* The text codecs by the first byte: metadata as received, base64, grpc-message, grpc-timeout,
 * gzip, zstd; each with the property that makes it a codec. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "grpc/codec.h"
#include "grpc/meta.h"
#include "grpc/status.h"
#include "grpc/timeout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INFLATED 65536u

static void try_meta(const uint8_t *data, size_t size)
{
    struct hws_grpc_meta m = {0};
    struct hws_span v;

    (void)!hws_grpc_meta_add_wire(&m, (const uint8_t *)"a-bin", 5, data, size, NULL);
    (void)!hws_grpc_meta_add_wire(&m, (const uint8_t *)"plain", 5, data, size, NULL);
    for (size_t i = 0; hws_grpc_meta_get(&m, "a-bin", i, &v); i++) {
        hws_assert(v.n <= size && v.bytes[v.n] == 0);
    }
    hws_assert(m.used_bytes <= 8192 && m.n_entries <= 64);
    hws_grpc_meta_deinit(&m);
}

static void try_base64(const uint8_t *data, size_t size)
{
    uint8_t *plain = hws_mem_alloc(size / 4 * 3 + 3);
    char *coded = hws_mem_alloc(size + 4);
    size_t n = 0;

    hws_assert(plain != NULL && coded != NULL);
    if (hws_grpc_base64_decode(data, size, plain, &n) == HWS_OK) {
        size_t n_coded = hws_grpc_base64_encode(plain, n, coded);
        hws_assert(n_coded <= size && memcmp(coded, data, n_coded) == 0);
    }
    hws_mem_free(plain);
    hws_mem_free(coded);
}

static void try_percent(const uint8_t *data, size_t size)
{
    char *coded = hws_mem_alloc(size * 3 + 1);
    char *plain = hws_mem_alloc(size * 3 + 1);

    hws_assert(plain != NULL && coded != NULL);
    size_t n = hws_grpc_percent_encode((const char *)data, size, coded, size * 3 + 1);
    size_t n_plain = hws_grpc_percent_decode((const uint8_t *)coded, n, plain, size * 3 + 1);
    hws_assert(n_plain == size);
    (void)hws_grpc_percent_decode(data, size, plain, size + 1);
    hws_mem_free(plain);
    hws_mem_free(coded);
}

static void try_timeout(const uint8_t *data, size_t size)
{
    char text[HWS_GRPC_TIMEOUT_TEXT_BYTES];
    uint64_t ms = 0;
    uint64_t again_ms = 0;

    (void)hws_grpc_code_parse(data, size);
    if (hws_grpc_timeout_parse(data, size, &ms) != HWS_OK) {
        return;
    }
    size_t n = hws_grpc_timeout_print(ms, text);
    hws_assert(hws_grpc_timeout_parse((const uint8_t *)text, n, &again_ms) == HWS_OK &&
               again_ms >= ms);
}

static void try_inflate(enum hws_grpc_encoding encoding, const uint8_t *data, size_t size)
{
    struct hws_buf out = {0};

    if (hws_grpc_inflate(encoding, data, size, MAX_INFLATED, &out, NULL) == HWS_OK) {
        hws_assert(hws_buf_len(&out) <= MAX_INFLATED);
    }
    hws_buf_deinit(&out);
}

static void try_gzip(const uint8_t *data, size_t size)
{
    try_inflate(HWS_GRPC_GZIP, data, size);
}

static void try_zstd(const uint8_t *data, size_t size)
{
    try_inflate(HWS_GRPC_ZSTD, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *, size_t) = {try_meta,    try_base64, try_percent,
                                                             try_timeout, try_gzip,   try_zstd};

    if (size > 0) {
        tries[data[0] % (sizeof(tries) / sizeof(tries[0]))](data + 1, size - 1);
    }
    return 0;
}
