/* The loop, the channel and the calls behind the cases. */
#include "rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "grpc/protobuf.h"

#define ZEROS_BYTES   ((size_t)1 << 20)
#define MESSAGE_BYTES (8u << 20) /* at most, of an answer; and of what is unsent */

bool rig_fail(struct rig *rig, const char *fmt, ...)
{
    va_list args;

    if (rig->why[0] == '\0') {
        va_start(args, fmt);
        (void)vsnprintf(rig->why, sizeof(rig->why), fmt, args);
        va_end(args);
    }
    return false;
}

bool rig_check(struct rig *rig, bool condition, const char *what)
{
    return condition || rig_fail(rig, "%s", what);
}

uint64_t rig_now_ms(struct rig *rig)
{
    uv_update_time(&rig->loop);
    return hws_net_now_ms(&rig->net);
}

uint8_t *rig_zeros(void)
{
    static uint8_t zeros[ZEROS_BYTES];
    return zeros;
}

/* ---- waiting ---- */

static void on_late(uv_timer_t *timer)
{
    struct rig *rig = timer->data;
    rig->late = true;
}

/* Runs the loop until *flag is set or RIG_TIMEOUT_MS are over. */
static bool run_until(struct rig *rig, const bool *flag)
{
    uv_timer_t timer;

    rig->late = false;
    (void)uv_timer_init(&rig->loop, &timer);
    timer.data = rig;
    (void)uv_timer_start(&timer, on_late, RIG_TIMEOUT_MS, 0);
    while (!*flag && !rig->late) {
        (void)uv_run(&rig->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&rig->loop, UV_RUN_NOWAIT); /* the timer's memory is on this stack */
    return *flag;
}

/* ---- the channel ---- */

/* A call of the channel: it outlives the stream of a case that failed. */
struct rig_call {
    struct hws_list link;
    struct hws_grpc_channel_call call;
    struct stream *s; /* NULL: nobody looks any more */
    uint8_t *request; /* owned: the one message of a unary or server-stream call */
};

bool rig_connect(struct rig *rig)
{
    struct hws_grpc_limits limits;
    const struct hws_net_channel_config config = {
        .target = rig->target, .bundle = rig->bundle, .limits = &limits};
    struct hws_err err;

    hws_grpc_limits_client(&limits);
    limits.max_recv_message_bytes = MESSAGE_BYTES;
    limits.max_unsent_conn_bytes = MESSAGE_BYTES;
    hws_list_init(&rig->live);
    rig->closed = false;
    if (hws_net_channel_open(&rig->channel, &rig->net, &config, &err) != HWS_OK) {
        return rig_fail(rig, "channel: %s", err.msg);
    }
    rig->channel.data = rig;
    rig->open = true;
    return true;
}

static void channel_closed(struct hws_net_channel *channel)
{
    struct rig *rig = channel->data;

    rig->closed = true;
}

void rig_disconnect(struct rig *rig)
{
    if (!rig->open) {
        return;
    }
    HWS_LIST_FOREACH (it, tmp, &rig->live) {
        hws_container_of(it, struct rig_call, link)->s = NULL;
    }
    rig->open = false;
    hws_net_channel_close(&rig->channel, channel_closed);
    (void)run_until(rig, &rig->closed);
}

/* ---- calls ---- */

static void on_headers(struct hws_grpc_channel_call *call, const struct hws_grpc_meta *meta)
{
    struct rig_call *c = call->data;
    struct stream *s = c->s;
    struct hws_span value;

    if (s != NULL && hws_grpc_meta_get(meta, "x-grpc-test-echo-initial", 0, &value) &&
        value.n < sizeof(s->initial)) {
        memcpy(s->initial, value.bytes, value.n);
        s->initial[value.n] = '\0';
    }
}

static void take_sum(struct stream *s, const uint8_t *bytes, size_t n)
{
    Grpc__Testing__StreamingInputCallResponse *m =
        grpc__testing__streaming_input_call_response__unpack(hws_grpc_pb_allocator(), n, bytes);

    s->malformed = s->malformed || m == NULL;
    if (m != NULL) {
        s->sum = m->aggregated_payload_size;
        grpc__testing__streaming_input_call_response__free_unpacked(m, hws_grpc_pb_allocator());
    }
}

/* SimpleResponse and StreamingOutputCallResponse are the same bytes: a payload in field 1. */
static void on_message(struct hws_grpc_channel_call *call, const uint8_t *bytes, size_t n)
{
    struct rig_call *c = call->data;
    struct stream *s = c->s;

    if (s == NULL) {
        return;
    }
    size_t i = s->n_messages < RIG_MESSAGES ? s->n_messages : RIG_MESSAGES - 1;
    s->n_messages++;
    s->compressed[i] = hws_grpc_channel_was_compressed(call);
    if (strstr(call->path, "StreamingInputCall") != NULL) {
        take_sum(s, bytes, n);
        return;
    }
    Grpc__Testing__SimpleResponse *m =
        grpc__testing__simple_response__unpack(hws_grpc_pb_allocator(), n, bytes);
    if (m == NULL) {
        s->malformed = true;
        return;
    }
    s->payload[i] = m->payload == NULL ? 0 : m->payload->body.len;
    grpc__testing__simple_response__free_unpacked(m, hws_grpc_pb_allocator());
}

static void note_close(struct stream *s, const struct hws_grpc_outcome *outcome)
{
    struct hws_span value;

    s->call = NULL;
    s->over = true;
    s->code = outcome->code;
    (void)hws_str_copy(s->message, sizeof(s->message), outcome->message);
    if (hws_grpc_meta_get(outcome->trailers, "x-grpc-test-echo-trailing-bin", 0, &value) &&
        value.n <= sizeof(s->trailing)) {
        memcpy(s->trailing, value.bytes, value.n);
        s->n_trailing = value.n;
    }
}

static void on_close(struct hws_grpc_channel_call *call, const struct hws_grpc_outcome *outcome)
{
    struct rig_call *c = call->data;

    if (c->s != NULL) {
        note_close(c->s, outcome);
    }
    hws_list_remove(&c->link);
    hws_mem_free(c->request);
    hws_mem_free(c);
}

/* Hands the call to the channel. request (owned from now on): of a call of one message. */
static bool begin(struct stream *s, uint8_t *request, size_t n)
{
    const struct stream_options *o = &s->options;
    struct rig_call *c = hws_mem_zalloc(1, sizeof(*c));
    struct hws_err err = {.msg = "no memory"};

    if (c != NULL) {
        c->s = s;
        c->request = request;
        c->call = (struct hws_grpc_channel_call){
            .path = o->path,
            .request = request,
            .n_request = n,
            .meta = o->meta,
            .kind = o->kind,
            .encoding = o->encoding,
            .timeout_ms = o->timeout_ms == 0 ? RIG_TIMEOUT_MS : o->timeout_ms,
            .on_headers = on_headers,
            .on_message = on_message,
            .on_close = on_close,
            .data = c,
        };
    }
    uv_update_time(&s->rig->loop);
    if (c == NULL || hws_net_channel_start(&s->rig->channel, &c->call, &err) != HWS_OK) {
        hws_mem_free(c);
        hws_mem_free(request);
        return rig_fail(s->rig, "start %s: %s", o->path, err.msg);
    }
    hws_list_push(&s->rig->live, &c->link);
    s->call = c;
    return true;
}

static bool streams(const struct stream *s)
{
    return s->options.kind == HWS_GRPC_CLIENT_STREAM || s->options.kind == HWS_GRPC_BIDI;
}

bool rig_start(struct rig *rig, struct stream *s, const struct stream_options *options)
{
    memset(s, 0, sizeof(*s));
    s->rig = rig;
    s->options = *options;
    return streams(s) ? begin(s, NULL, 0) : true;
}

bool rig_place(struct stream *s)
{
    while (s->call != NULL && !hws_grpc_channel_placed(&s->call->call)) {
        (void)uv_run(&s->rig->loop, UV_RUN_ONCE); /* the call's deadline ends it */
    }
    return rig_check(s->rig, s->call != NULL, "a connection that carries the call");
}

bool rig_send(struct stream *s, const ProtobufCMessage *message, bool plain)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = hws_mem_alloc(n + 1);
    struct hws_err err = {.code = HWS_E_GONE};
    enum hws_code code = HWS_E_GONE;

    if (bytes == NULL) {
        return rig_fail(s->rig, "no memory for %zu bytes", n);
    }
    (void)protobuf_c_message_pack(message, bytes);
    if (!streams(s)) {
        return begin(s, bytes, n);
    }
    do { /* while too much waits to leave, others go first */
        code = s->call == NULL ? HWS_E_GONE
                               : hws_grpc_channel_send(&s->call->call, bytes, n, plain, &err);
    } while (code == HWS_E_BUSY && uv_run(&s->rig->loop, UV_RUN_ONCE) != 0);
    hws_mem_free(bytes);
    return code == HWS_OK
               ? true
               : rig_fail(s->rig, "send: %s", s->call == NULL ? "the call has ended" : err.msg);
}

void rig_half_close(struct stream *s)
{
    if (s->call != NULL) {
        hws_grpc_channel_half_close(&s->call->call);
    }
}

void rig_cancel(struct stream *s)
{
    if (s->call != NULL) {
        hws_grpc_channel_cancel(&s->call->call);
    }
}

bool rig_await(struct stream *s, size_t n_messages)
{
    uint64_t until_ms = rig_now_ms(s->rig) + RIG_TIMEOUT_MS;

    while (s->n_messages < n_messages && !s->over && rig_now_ms(s->rig) < until_ms) {
        (void)uv_run(&s->rig->loop, UV_RUN_ONCE); /* the call's deadline ends every wait */
    }
    return s->n_messages >= n_messages
               ? true
               : rig_fail(s->rig, "%zu answers of %zu; status %s: %.80s", s->n_messages, n_messages,
                          hws_grpc_code_name(s->code), s->message);
}

bool rig_end(struct stream *s)
{
    if (!run_until(s->rig, &s->over)) {
        return rig_fail(s->rig, "the call does not end");
    }
    return rig_check(s->rig, !s->malformed, "malformed answer");
}

bool rig_end_with(struct stream *s, enum hws_grpc_code code)
{
    if (!rig_end(s)) {
        return false;
    }
    return s->code == code
               ? true
               : rig_fail(s->rig, "status %s (%.80s) where %s is due", hws_grpc_code_name(s->code),
                          s->message, hws_grpc_code_name(code));
}

bool rig_unary(struct rig *rig, struct stream *s, const struct stream_options *options,
               const ProtobufCMessage *message)
{
    return rig_start(rig, s, options) && rig_send(s, message, false) && rig_end(s);
}
