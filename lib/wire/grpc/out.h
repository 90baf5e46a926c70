/*
 * What a connection has to write: frames as bytes of its own, and between them runs of message
 * bytes that stay in the chunks where their producer put them. Filled, then sent from the front
 * until it is empty, then filled again: nothing moves in between. One thread; the owner embeds a
 * zeroed one.
 */
#ifndef HWS_GRPC_OUT_H
#define HWS_GRPC_OUT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "grpc/outq.h"

#define HWS_GRPC_OUT_RUNS  8u /* lent runs at a time; more are copied */
#define HWS_GRPC_OUT_SPANS (2 * HWS_GRPC_OUT_RUNS + 1)
#define HWS_GRPC_OUT_LEND                                                                          \
    4096u /* a shorter run is copied: that is cheaper than a record of its own */

struct hws_grpc_out_run {
    size_t n_before; /* bytes of our own since the run before, not sent yet */
    struct hws_grpc_lent lent;
};

struct hws_grpc_out {
    struct hws_buf own; /* owned */
    struct hws_grpc_out_run runs[HWS_GRPC_OUT_RUNS];
    unsigned n_runs;
    unsigned first; /* the first run not sent */
    size_t n_after; /* bytes of our own behind the last run */
    size_t n_bytes; /* all that is not sent */
};

/* Appends n bytes, copied. HWS_E_NOMEM; all or nothing. */
enum hws_code hws_grpc_out_put(struct hws_grpc_out *out, const void *bytes, size_t n) HWS_MUST_USE;

/* Moves n <= q->n_bytes bytes from the front of a queue: long runs are lent, short ones copied.
 * HWS_E_NOMEM: part of them may have been moved. */
enum hws_code hws_grpc_out_move(struct hws_grpc_out *out, struct hws_grpc_outq *q,
                                struct hws_grpc_chunk_pool *pool, size_t n) HWS_MUST_USE;

/* What is to be sent, in order, as at most cap spans. Returns how many. */
size_t hws_grpc_out_spans(const struct hws_grpc_out *out, struct hws_span *spans, size_t cap);

/* Drops n <= n_bytes bytes from the front. */
void hws_grpc_out_sent(struct hws_grpc_out *out, struct hws_grpc_chunk_pool *pool, size_t n);

/* Drops everything and frees the memory. */
void hws_grpc_out_deinit(struct hws_grpc_out *out, struct hws_grpc_chunk_pool *pool);

#endif
