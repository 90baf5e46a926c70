/* Zstandard frames of single messages, with a ceiling that stops a bomb while it inflates, and one
 * on the window that a frame may ask for. Pure functions; any thread. */
#ifndef HWS_GRPC_ZSTD_FRAME_H
#define HWS_GRPC_ZSTD_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Decompresses one frame into out (appended), at most max_bytes. HWS_E_BUSY: the message, or the
 * window that its frame asks for, is larger; HWS_E_PROTO: not one whole frame; HWS_E_NOMEM. */
enum hws_code hws_grpc_zstd_inflate(const uint8_t *bytes, size_t n, size_t max_bytes,
                                    struct hws_buf *out, struct hws_err *err) HWS_MUST_USE;

/* Compresses n bytes into out (appended). HWS_E_BUSY: n beyond 2^31, HWS_E_NOMEM. */
enum hws_code hws_grpc_zstd_deflate(const void *bytes, size_t n, struct hws_buf *out,
                                    struct hws_err *err) HWS_MUST_USE;

#endif
