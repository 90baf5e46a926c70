/* Names and functions of the encodings. */
#include "grpc/codec.h"

#include <string.h>

#include "base/assert.h"
#include "grpc/gzip.h"
#include "grpc/zstd_frame.h"

static const struct {
    const char *name;
    enum hws_code (*inflate)(const uint8_t *bytes, size_t n, size_t max_bytes, struct hws_buf *out,
                             struct hws_err *err);
    enum hws_code (*deflate)(const void *bytes, size_t n, struct hws_buf *out, struct hws_err *err);
} codecs[HWS_GRPC_N_ENCODINGS] = {
    [HWS_GRPC_IDENTITY] = {"identity", NULL, NULL},
    [HWS_GRPC_GZIP] = {"gzip", hws_grpc_gzip_inflate, hws_grpc_gzip_deflate},
    [HWS_GRPC_ZSTD] = {"zstd", hws_grpc_zstd_inflate, hws_grpc_zstd_deflate},
};

const char *hws_grpc_encoding_name(enum hws_grpc_encoding encoding)
{
    return (unsigned)encoding < HWS_GRPC_N_ENCODINGS ? codecs[encoding].name : "?";
}

enum hws_grpc_encoding hws_grpc_encoding_parse(const uint8_t *name, size_t n)
{
    unsigned i = 0;

    while (i < HWS_GRPC_N_ENCODINGS &&
           (strlen(codecs[i].name) != n || memcmp(codecs[i].name, name, n) != 0)) {
        i++;
    }
    return (enum hws_grpc_encoding)i;
}

enum hws_code hws_grpc_inflate(enum hws_grpc_encoding encoding, const uint8_t *bytes, size_t n,
                               size_t max_bytes, struct hws_buf *out, struct hws_err *err)
{
    hws_assert(encoding > HWS_GRPC_IDENTITY && encoding < HWS_GRPC_N_ENCODINGS);
    return codecs[encoding].inflate(bytes, n, max_bytes, out, err);
}

enum hws_code hws_grpc_deflate(enum hws_grpc_encoding encoding, const void *bytes, size_t n,
                               struct hws_buf *out, struct hws_err *err)
{
    hws_assert(encoding > HWS_GRPC_IDENTITY && encoding < HWS_GRPC_N_ENCODINGS);
    return codecs[encoding].deflate(bytes, n, out, err);
}
