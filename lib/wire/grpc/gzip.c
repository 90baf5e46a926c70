/* zlib behind base/mem.h, one stream a message. */
#include "grpc/gzip.h"

#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"

#define WINDOW_AUTO (15 + 32) /* inflate: detect gzip or zlib */
#define WINDOW_GZIP (15 + 16) /* deflate: gzip */
#define STEP_BYTES  16384u
#define MAX_IN      ((size_t)1 << 31)

static void *z_alloc(void *opaque, unsigned n, unsigned size)
{
    (void)opaque;
    return hws_mem_zalloc(n, size);
}

static void z_free(void *opaque, void *p)
{
    (void)opaque;
    hws_mem_free(p);
}

static enum hws_code inflate_all(z_stream *z, size_t max_bytes, struct hws_buf *out,
                                 struct hws_err *err)
{
    size_t made = 0;

    for (;;) {
        uint8_t *space = NULL;
        /* One byte beyond the limit shows that there is more. */
        size_t room = max_bytes - made + 1 < STEP_BYTES ? max_bytes - made + 1 : STEP_BYTES;
        if (hws_buf_reserve(out, room, &space) != HWS_OK) {
            return hws_err_set(err, HWS_E_NOMEM, "inflating a message");
        }
        z->next_out = space;
        z->avail_out = (unsigned)room;
        int rc = inflate(z, Z_NO_FLUSH);
        size_t got = room - z->avail_out;
        made += got;
        if (made > max_bytes) {
            return hws_err_set(err, HWS_E_BUSY, "message inflates beyond the limit of %zu bytes",
                               max_bytes);
        }
        hws_buf_commit(out, got);
        if (rc == Z_STREAM_END) {
            return z->avail_in == 0 ? HWS_OK
                                    : hws_err_set(err, HWS_E_PROTO, "bytes after the gzip stream");
        }
        if (rc == Z_MEM_ERROR) {
            return hws_err_set(err, HWS_E_NOMEM, "inflating a message");
        }
        if (rc != Z_OK || (got == 0 && z->avail_in == 0)) {
            return hws_err_set(err, HWS_E_PROTO, "message is not a whole gzip stream");
        }
    }
}

enum hws_code hws_grpc_gzip_inflate(const uint8_t *bytes, size_t n, size_t max_bytes,
                                    struct hws_buf *out, struct hws_err *err)
{
    z_stream z = {.zalloc = z_alloc, .zfree = z_free};

    if (n > MAX_IN) {
        return hws_err_set(err, HWS_E_BUSY, "compressed message of %zu bytes", n);
    }
    if (inflateInit2(&z, WINDOW_AUTO) != Z_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "inflating a message");
    }
    z.next_in = bytes;
    z.avail_in = (unsigned)n;
    enum hws_code code = inflate_all(&z, max_bytes, out, err);
    (void)inflateEnd(&z);
    return code;
}

enum hws_code hws_grpc_gzip_deflate(const void *bytes, size_t n, struct hws_buf *out,
                                    struct hws_err *err)
{
    z_stream z = {.zalloc = z_alloc, .zfree = z_free};

    if (n > MAX_IN) {
        return hws_err_set(err, HWS_E_BUSY, "message of %zu bytes", n);
    }
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "compressing a message");
    }
    size_t bound = deflateBound(&z, n);
    uint8_t *space = NULL;
    enum hws_code code = hws_buf_reserve(out, bound, &space);
    if (code == HWS_OK) {
        z.next_in = bytes;
        z.avail_in = (unsigned)n;
        z.next_out = space;
        z.avail_out = (unsigned)bound;
        code = deflate(&z, Z_FINISH) == Z_STREAM_END ? HWS_OK : HWS_E_IO;
    }
    if (code == HWS_OK) {
        hws_buf_commit(out, bound - z.avail_out);
    } else {
        hws_err_set(err, code, "compressing a message");
    }
    (void)deflateEnd(&z);
    return code;
}
