/* libzstd behind base/mem.h, one context a message. Its allocator hooks are in the part of the
 * interface that asks for this macro; they are as old as the library's 1.0. */
#include "grpc/zstd_frame.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

#define STEP_BYTES     16384u
#define MAX_IN         ((size_t)1 << 31)
#define MIN_WINDOW_LOG 10 /* RFC 8878, section 3.1.1.1.2 */
#define MAX_WINDOW_LOG 23 /* the same section: decoders should take 8 MiB */

static void *zstd_alloc(void *opaque, size_t n)
{
    (void)opaque;
    return hws_mem_alloc(n);
}

static void zstd_free(void *opaque, void *p)
{
    (void)opaque;
    hws_mem_free(p);
}

static const ZSTD_customMem memory = {zstd_alloc, zstd_free, NULL};

static enum hws_code fail(size_t rc, struct hws_err *err)
{
    ZSTD_ErrorCode why = ZSTD_getErrorCode(rc);

    if (why == ZSTD_error_memory_allocation) {
        return hws_err_set(err, HWS_E_NOMEM, "Zstandard frame");
    }
    if (why == ZSTD_error_frameParameter_windowTooLarge) {
        return hws_err_set(err, HWS_E_BUSY, "a Zstandard frame asks for too large a window");
    }
    return hws_err_set(err, HWS_E_PROTO, "message is not a whole Zstandard frame");
}

/* The window that a message of max_bytes can need. */
static int window_log(size_t max_bytes)
{
    int log = MIN_WINDOW_LOG;

    while (log < MAX_WINDOW_LOG && ((size_t)1 << log) < max_bytes) {
        log++;
    }
    return log;
}

static enum hws_code inflate_all(ZSTD_DCtx *z, ZSTD_inBuffer *in, size_t max_bytes,
                                 struct hws_buf *out, struct hws_err *err)
{
    size_t made = 0;

    for (;;) {
        uint8_t *space = NULL;
        /* One byte beyond the limit shows that there is more. */
        size_t room = max_bytes - made + 1 < STEP_BYTES ? max_bytes - made + 1 : STEP_BYTES;
        if (hws_buf_reserve(out, room, &space) != HWS_OK) {
            return hws_err_set(err, HWS_E_NOMEM, "inflating a message");
        }
        ZSTD_outBuffer to = {space, room, 0};
        size_t was = in->pos;
        size_t rc = ZSTD_decompressStream(z, &to, in);
        if (ZSTD_isError(rc) != 0) {
            return fail(rc, err);
        }
        made += to.pos;
        if (made > max_bytes) {
            return hws_err_set(err, HWS_E_BUSY, "message inflates beyond the limit of %zu bytes",
                               max_bytes);
        }
        hws_buf_commit(out, to.pos);
        if (rc == 0) {
            return in->pos == in->size
                       ? HWS_OK
                       : hws_err_set(err, HWS_E_PROTO, "bytes after the Zstandard frame");
        }
        if (to.pos == 0 && in->pos == was) {
            return hws_err_set(err, HWS_E_PROTO, "message is not a whole Zstandard frame");
        }
    }
}

enum hws_code hws_grpc_zstd_inflate(const uint8_t *bytes, size_t n, size_t max_bytes,
                                    struct hws_buf *out, struct hws_err *err)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    unsigned long long whole = ZSTD_getFrameContentSize(bytes, n);

    if (whole == ZSTD_CONTENTSIZE_ERROR) {
        return hws_err_set(err, HWS_E_PROTO, "message is not a Zstandard frame");
    }
    if (whole != ZSTD_CONTENTSIZE_UNKNOWN && whole > max_bytes) {
        return hws_err_set(err, HWS_E_BUSY, "message inflates beyond the limit of %zu bytes",
                           max_bytes);
    }
    ZSTD_DCtx *z = ZSTD_createDCtx_advanced(memory);
    if (z == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "inflating a message");
    }
    (void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, window_log(max_bytes));
    enum hws_code code = inflate_all(z, &in, max_bytes, out, err);
    (void)ZSTD_freeDCtx(z);
    return code;
}

enum hws_code hws_grpc_zstd_deflate(const void *bytes, size_t n, struct hws_buf *out,
                                    struct hws_err *err)
{
    uint8_t *space = NULL;

    if (n > MAX_IN) {
        return hws_err_set(err, HWS_E_BUSY, "message of %zu bytes", n);
    }
    size_t bound = ZSTD_compressBound(n);
    ZSTD_CCtx *z = ZSTD_createCCtx_advanced(memory);
    if (z == NULL || hws_buf_reserve(out, bound, &space) != HWS_OK) {
        (void)ZSTD_freeCCtx(z);
        return hws_err_set(err, HWS_E_NOMEM, "compressing a message");
    }
    size_t rc = ZSTD_compressCCtx(z, space, bound, bytes, n, ZSTD_CLEVEL_DEFAULT);
    (void)ZSTD_freeCCtx(z);
    if (ZSTD_isError(rc) != 0) {
        return fail(rc, err);
    }
    hws_buf_commit(out, rc);
    return HWS_OK;
}
