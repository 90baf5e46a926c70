/* gzip of single messages, each by itself, with a ceiling that stops a bomb while it inflates. Pure
 * functions. */
#ifndef HWS_GRPC_GZIP_H
#define HWS_GRPC_GZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Inflates n bytes into out (appended; its content beyond is undefined after an error). HWS_E_BUSY:
 * more than max_bytes; HWS_E_PROTO: not one whole gzip or zlib stream; HWS_E_NOMEM. */
enum hws_code hws_grpc_gzip_inflate(const uint8_t *bytes, size_t n, size_t max_bytes,
                                    struct hws_buf *out, struct hws_err *err) HWS_MUST_USE;

/* Compresses n bytes into out (appended). HWS_E_BUSY: n beyond 2^31, HWS_E_NOMEM. */
enum hws_code hws_grpc_gzip_deflate(const void *bytes, size_t n, struct hws_buf *out,
                                    struct hws_err *err) HWS_MUST_USE;

#endif
