/* The encodings of single messages (grpc-encoding), one table. Pure functions; any thread. */
#ifndef HWS_GRPC_CODEC_H
#define HWS_GRPC_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum hws_grpc_encoding {
    HWS_GRPC_IDENTITY,
    HWS_GRPC_GZIP, /* RFC 1952; zlib streams are read, too */
    HWS_GRPC_ZSTD, /* RFC 8878, one frame */
    HWS_GRPC_N_ENCODINGS
};

#define HWS_GRPC_ACCEPT_ENCODING "identity,gzip,zstd" /* what we say that we read */

/* "gzip"; "?" out of range. */
const char *hws_grpc_encoding_name(enum hws_grpc_encoding encoding);

/* The encoding of this name (case matters); HWS_GRPC_N_ENCODINGS if it is none of ours. */
enum hws_grpc_encoding hws_grpc_encoding_parse(const uint8_t *name, size_t n);

/*
 * Decompresses one message into out (appended), at most max_bytes. HWS_E_BUSY: it is longer (found
 * while it inflates, with at most that much memory); HWS_E_PROTO: not one whole stream of this
 * encoding; HWS_E_NOMEM. Not for IDENTITY.
 */
enum hws_code hws_grpc_inflate(enum hws_grpc_encoding encoding, const uint8_t *bytes, size_t n,
                               size_t max_bytes, struct hws_buf *out, struct hws_err *err)
    HWS_MUST_USE;

/* Compresses n bytes into out (appended). HWS_E_BUSY: n beyond 2^31, HWS_E_NOMEM. Not for IDENTITY.
 */
enum hws_code hws_grpc_deflate(enum hws_grpc_encoding encoding, const void *bytes, size_t n,
                               struct hws_buf *out, struct hws_err *err) HWS_MUST_USE;

#endif
