/* Own bytes and lent runs, in order. */
#include "grpc/out.h"

#include <string.h>

#include "base/assert.h"

enum hws_code hws_grpc_out_put(struct hws_grpc_out *out, const void *bytes, size_t n)
{
    hws_assert(out->first == 0); /* filled only while nothing of it is sent */
    enum hws_code code = hws_buf_put(&out->own, bytes, n);

    if (code == HWS_OK) {
        out->n_after += n;
        out->n_bytes += n;
    }
    return code;
}

static void lend(struct hws_grpc_out *out, struct hws_grpc_outq *q,
                 struct hws_grpc_chunk_pool *pool, size_t n)
{
    struct hws_grpc_out_run *run = &out->runs[out->n_runs++];

    run->n_before = out->n_after;
    out->n_after = 0;
    hws_grpc_outq_lend(q, pool, n, &run->lent);
    out->n_bytes += n;
}

enum hws_code hws_grpc_out_move(struct hws_grpc_out *out, struct hws_grpc_outq *q,
                                struct hws_grpc_chunk_pool *pool, size_t n)
{
    while (n > 0) {
        size_t part = hws_grpc_outq_run(q, pool);
        part = part < n ? part : n;
        if (part >= HWS_GRPC_OUT_LEND && out->n_runs < HWS_GRPC_OUT_RUNS) {
            lend(out, q, pool, part);
        } else {
            uint8_t *space = NULL;
            if (hws_buf_reserve(&out->own, part, &space) != HWS_OK) {
                return HWS_E_NOMEM;
            }
            hws_grpc_outq_take(q, pool, space, part);
            hws_buf_commit(&out->own, part);
            out->n_after += part;
            out->n_bytes += part;
        }
        n -= part;
    }
    return HWS_OK;
}

static size_t add_span(struct hws_span *spans, size_t cap, size_t at, const uint8_t *bytes,
                       size_t n)
{
    if (n == 0 || at == cap) {
        return at;
    }
    spans[at] = (struct hws_span){bytes, n};
    return at + 1;
}

size_t hws_grpc_out_spans(const struct hws_grpc_out *out, struct hws_span *spans, size_t cap)
{
    const uint8_t *own = hws_buf_peek(&out->own);
    size_t n = 0;

    for (unsigned i = out->first; i < out->n_runs; i++) {
        const struct hws_grpc_out_run *run = &out->runs[i];
        n = add_span(spans, cap, n, own, run->n_before);
        own += run->n_before;
        n = add_span(spans, cap, n, run->lent.bytes, run->lent.n);
    }
    return add_span(spans, cap, n, own, out->n_after);
}

void hws_grpc_out_sent(struct hws_grpc_out *out, struct hws_grpc_chunk_pool *pool, size_t n)
{
    hws_assert(n <= out->n_bytes);
    out->n_bytes -= n;
    while (n > 0) {
        bool behind = out->first == out->n_runs;
        struct hws_grpc_out_run *run = behind ? NULL : &out->runs[out->first];
        size_t *own = behind ? &out->n_after : &run->n_before;
        size_t part = *own < n ? *own : n;
        hws_buf_take(&out->own, part);
        *own -= part;
        n -= part;
        if (behind || n == 0) {
            break;
        }
        part = run->lent.n < n ? run->lent.n : n;
        hws_grpc_outq_give_back(pool, &run->lent, part);
        n -= part;
        out->first += run->lent.n == 0 ? 1 : 0;
    }
    if (out->n_bytes == 0) {
        out->first = 0;
        out->n_runs = 0;
    }
}

void hws_grpc_out_deinit(struct hws_grpc_out *out, struct hws_grpc_chunk_pool *pool)
{
    hws_grpc_out_sent(out, pool, out->n_bytes);
    hws_buf_deinit(&out->own);
    memset(out, 0, sizeof(*out));
}
