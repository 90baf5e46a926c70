/*
 * Bytes on their way out of a call: a chain of chunks, so that queueing behind unsent bytes never
 * moves them, and a message's space is contiguous. Chunks are pooled per connection. One thread.
 */
#ifndef HWS_GRPC_OUTQ_H
#define HWS_GRPC_OUTQ_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct hws_grpc_chunk {
    struct hws_grpc_chunk *next; /* owned */
    size_t cap;
    size_t head; /* first byte not taken */
    size_t tail; /* one past the last byte queued */
    uint8_t bytes[];
};

struct hws_grpc_chunk_pool {
    struct hws_grpc_chunk *spare; /* owned */
    unsigned n_spare;
};

struct hws_grpc_outq {
    struct hws_grpc_chunk *first; /* owned */
    struct hws_grpc_chunk *last;  /* borrowed from the chain */
    size_t n_bytes;
};

/* Room for n bytes in a row at the end; the same room again until commit. HWS_E_NOMEM. */
enum hws_code hws_grpc_outq_reserve(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool,
                                    size_t n, uint8_t **out_space) HWS_MUST_USE;

/* Queues n bytes of the reserved room. */
void hws_grpc_outq_commit(struct hws_grpc_outq *q, size_t n);

/* Moves n <= n_bytes bytes from the front to dst. */
void hws_grpc_outq_take(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool, uint8_t *dst,
                        size_t n);

/* Drops everything. */
void hws_grpc_outq_clear(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool);

/* Frees the spare chunks. */
void hws_grpc_chunk_pool_deinit(struct hws_grpc_chunk_pool *pool);

#endif
