/* What is kept for the next call, the latest first. */
#include "grpc/spares.h"

#include <string.h>

#include "base/mem.h"
#include "session_priv.h"

#define KEEP_BYTES 16384u /* a spare call keeps buffers up to this size */

void hws_grpc_spares_init(struct hws_grpc_spares *s)
{
    memset(s, 0, sizeof(*s));
    hws_list_init(&s->calls);
}

/* ---- calls ---- */

static size_t meta_bytes(const struct hws_grpc_meta *m)
{
    return m->cap_entries * sizeof(*m->entries) + m->text.cap;
}

static size_t bytes_of(const struct hws_grpc_call *call)
{
    return sizeof(*call) + meta_bytes(&call->peer_meta) + meta_bytes(&call->peer_trailers) +
           meta_bytes(&call->end_trailers) + call->reader.body.cap + call->held.cap +
           call->single.cap + call->end_message.cap + call->end_details.cap;
}

void hws_grpc__drop_buf(struct hws_buf *b)
{
    if (b->cap > KEEP_BYTES) {
        hws_buf_deinit(b);
    }
    hws_buf_reset(b);
}

/* Empties a call; small memory stays. */
static void clear(struct hws_grpc_call *call)
{
    struct hws_grpc_call keep = *call;

    hws_grpc_meta_reset(&keep.peer_meta);
    hws_grpc_meta_reset(&keep.peer_trailers);
    hws_grpc_meta_reset(&keep.end_trailers);
    hws_grpc__drop_buf(&keep.reader.body);
    hws_grpc__drop_buf(&keep.held);
    hws_grpc__drop_buf(&keep.single);
    hws_grpc__drop_buf(&keep.end_message);
    hws_grpc__drop_buf(&keep.end_details);
    memset(call, 0, sizeof(*call));
    call->peer_meta = keep.peer_meta;
    call->peer_trailers = keep.peer_trailers;
    call->end_trailers = keep.end_trailers;
    call->reader.body = keep.reader.body;
    call->held = keep.held;
    call->single = keep.single;
    call->end_message = keep.end_message;
    call->end_details = keep.end_details;
}

struct hws_grpc_call *hws_grpc__spares_take_call(struct hws_grpc_spares *s)
{
    if (s->n_calls == 0) {
        struct hws_grpc_call *fresh = hws_mem_zalloc(1, sizeof(*fresh));
        return fresh;
    }
    struct hws_grpc_call *call = hws_container_of(s->calls.prev, struct hws_grpc_call, link);
    hws_list_remove(&call->link);
    s->n_calls--;
    s->call_bytes -= bytes_of(call);
    return call;
}

void hws_grpc__spares_give_call(struct hws_grpc_spares *s, struct hws_grpc_call *call)
{
    clear(call);
    size_t n = bytes_of(call);
    if (s->n_calls == HWS_GRPC_SPARE_CALLS || n > HWS_GRPC_SPARE_CALL_BYTES - s->call_bytes) {
        hws_grpc__call_free(call);
        return;
    }
    hws_list_push(&s->calls, &call->link);
    s->n_calls++;
    s->call_bytes += n;
}

/* ---- output buffers ---- */

void hws_grpc__spares_take_out(struct hws_grpc_spares *s, struct hws_buf *out)
{
    if (out->bytes == NULL && s->n_outs > 0) {
        *out = s->outs[--s->n_outs];
    }
}

void hws_grpc__spares_give_out(struct hws_grpc_spares *s, struct hws_buf *out)
{
    if (out->bytes == NULL) {
        return;
    }
    if (s->n_outs == HWS_GRPC_SPARE_OUTS || out->cap > HWS_GRPC_SPARE_OUT_BYTES) {
        hws_buf_deinit(out);
        return;
    }
    hws_buf_reset(out);
    s->outs[s->n_outs++] = *out;
    memset(out, 0, sizeof(*out));
}

/* ---- all ---- */

bool hws_grpc_spares_empty(const struct hws_grpc_spares *s)
{
    return s->n_calls == 0 && s->n_outs == 0 && s->chunks.n_spare == 0 &&
           s->scratch.bytes == NULL && hws_grpc_pool_empty(&s->blocks);
}

void hws_grpc_spares_trim(struct hws_grpc_spares *s)
{
    for (struct hws_list *it = hws_list_pop(&s->calls); it != NULL; it = hws_list_pop(&s->calls)) {
        hws_grpc__call_free(hws_container_of(it, struct hws_grpc_call, link));
    }
    s->n_calls = 0;
    s->call_bytes = 0;
    while (s->n_outs > 0) {
        hws_buf_deinit(&s->outs[--s->n_outs]);
    }
    hws_buf_deinit(&s->scratch);
    hws_grpc_chunk_pool_deinit(&s->chunks);
    hws_grpc_pool_trim(&s->blocks);
}
