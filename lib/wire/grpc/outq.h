/*
 * Bytes on their way out of a call: a chain of chunks, so that queueing behind unsent bytes never
 * moves them, and a message's space is contiguous. What leaves is copied out, or lent where it
 * lies. Chunks are pooled per connection. One thread.
 */
#ifndef HWS_GRPC_OUTQ_H
#define HWS_GRPC_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct hws_grpc_chunk {
    struct hws_grpc_chunk *next; /* owned */
    size_t cap;
    size_t head; /* first byte not taken */
    size_t tail; /* one past the last byte queued */
    size_t lent; /* bytes taken by lend and not given back */
    bool left;   /* no queue has it: the last byte given back frees it */
    uint8_t bytes[];
};

struct hws_grpc_chunk_pool {
    struct hws_grpc_chunk *spare; /* owned */
    unsigned n_spare;
    size_t spare_bytes;
};

/* Bytes taken from a queue that stay where they are until they are given back. */
struct hws_grpc_lent {
    struct hws_grpc_chunk *chunk;
    const uint8_t *bytes;
    size_t n;
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

/* Bytes at the front that lie in a row; 0 only when the queue is empty. */
size_t hws_grpc_outq_run(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool);

/* Takes n > 0 bytes of the front run without moving them; they are valid, whatever becomes of the
 * queue, until given back. */
void hws_grpc_outq_lend(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool, size_t n,
                        struct hws_grpc_lent *out_lent);

/* Gives the first n bytes back, to the pool that the queue used. */
void hws_grpc_outq_give_back(struct hws_grpc_chunk_pool *pool, struct hws_grpc_lent *lent,
                             size_t n);

/* Drops everything. */
void hws_grpc_outq_clear(struct hws_grpc_outq *q, struct hws_grpc_chunk_pool *pool);

/* Frees the spare chunks. */
void hws_grpc_chunk_pool_deinit(struct hws_grpc_chunk_pool *pool);

#endif
