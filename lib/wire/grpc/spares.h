/*
 * Memory that calls and connections are done with, kept for the next: small blocks of the HTTP/2
 * library, chunks of unsent bytes, call objects, output buffers. Connections of one thread share
 * one (grpc/session.h), so that what a call needs is what the call before has left in the cache,
 * whichever of a thousand connections it comes on, and a connection without calls keeps nothing.
 *
 * What is kept is bounded by the constants here and in pool.h and outq.c, some 6 MiB in all, and
 * goes back to the allocator when nothing has used it for a second (grpc/session.h, turn).
 *
 * One thread. It outlives the connections that use it.
 */
#ifndef HWS_GRPC_SPARES_H
#define HWS_GRPC_SPARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "grpc/outq.h"
#include "grpc/pool.h"

#define HWS_GRPC_SPARE_CALLS      1088u                 /* call objects, */
#define HWS_GRPC_SPARE_CALL_BYTES ((size_t)1024 * 1024) /* of so many bytes together */
#define HWS_GRPC_SPARE_OUTS       4u                    /* output buffers, of at most */
#define HWS_GRPC_SPARE_OUT_BYTES  ((size_t)576 * 1024)  /* so many bytes each */

struct hws_grpc_spares {
    struct hws_grpc_pool blocks;       /* owned, as all that follows */
    struct hws_grpc_chunk_pool chunks; /* of messages to be sent */
    struct hws_list calls;             /* empty ones; the latest is the last */
    uint32_t n_calls;
    size_t call_bytes;
    struct hws_buf outs[HWS_GRPC_SPARE_OUTS];
    uint32_t n_outs;
    struct hws_buf scratch; /* encoded field values; nobody's between two calls */
    uint64_t used_ms;       /* a call has ended, or a connection begun, on the owner's clock */
};

/* Empty; allocates nothing. */
void hws_grpc_spares_init(struct hws_grpc_spares *s);

/* Gives everything back to the allocator; what is in use stays. */
void hws_grpc_spares_trim(struct hws_grpc_spares *s);

/* Nothing is kept. */
bool hws_grpc_spares_empty(const struct hws_grpc_spares *s);

#endif
