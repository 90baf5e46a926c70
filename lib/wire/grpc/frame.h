/*
 * The 5-byte prefix of gRPC messages, and the reader that cuts a byte stream into messages.
 *
 *   offset 0  1 byte   0 = identity, 1 = compressed with the call's grpc-encoding; other values are
 * errors offset 1  4 bytes  length, big endian
 *
 * The reader checks the announced length before it buffers anything, and grows its buffer with the
 * bytes that really came, so that a prefix alone costs no memory. A message that lies whole in the
 * bytes given is handed out without a copy. The owner embeds it; a zeroed reader is valid but
 * refuses every message but empty ones.
 */
#ifndef HWS_GRPC_FRAME_H
#define HWS_GRPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HWS_GRPC_PREFIX_BYTES 5u

struct hws_grpc_reader {
    uint32_t max_bytes; /* the longest message */
    uint32_t want;      /* length of the message being read; valid once n_prefix is 5 */
    uint8_t prefix[HWS_GRPC_PREFIX_BYTES];
    uint8_t n_prefix;
    struct hws_buf body; /* owned; only while a message is cut by the input */
};

struct hws_grpc_framed {
    const uint8_t *bytes; /* borrowed until the next call on the reader or the end of the input */
    size_t n;
    bool compressed;
};

void hws_grpc_reader_init(struct hws_grpc_reader *r, uint32_t max_bytes);
void hws_grpc_reader_deinit(struct hws_grpc_reader *r);

/*
 * Takes bytes from *bytes, *n (advancing them) until one message is whole: sets *out_whole and
 * *out_msg. When the input ends first, *out_whole is false and *n is 0. HWS_E_BUSY: the prefix
 * announces more than max_bytes. HWS_E_PROTO: a flag byte above 1. HWS_E_NOMEM. After an error the
 * reader is used no more.
 */
enum hws_code hws_grpc_reader_next(struct hws_grpc_reader *r, const uint8_t **bytes, size_t *n,
                                   bool *out_whole, struct hws_grpc_framed *out_msg,
                                   struct hws_err *err) HWS_MUST_USE;

/* True while a message has begun and is not whole: the stream may not end here. */
bool hws_grpc_reader_midway(const struct hws_grpc_reader *r);

/* Writes a prefix. n must fit 32 bits. */
void hws_grpc_prefix_write(uint8_t dst[HWS_GRPC_PREFIX_BYTES], bool compressed, size_t n);

#endif
