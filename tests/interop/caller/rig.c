/* The loop, the connection and the calls behind the cases. */
#include "rig.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "grpc/protobuf.h"

#define ZEROS_BYTES ((size_t)1 << 20)

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

/* ---- connection ---- */

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct rig *rig = hws_net_conn_owner(conn);

    (void)err;
    hws_grpc_limits_client(&cfg->limits);
    cfg->limits.max_recv_message_bytes = 8u << 20;
    cfg->limits.max_unsent_conn_bytes = 8u << 20;
    cfg->scheme = rig->bundle == NULL ? "http" : "https";
    cfg->authority = rig->bundle == NULL ? "localhost" : rig->target;
    rig->open = true;
    return HWS_OK;
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct rig *rig = hws_net_conn_owner(conn);

    if (!rig->open) {
        (void)rig_fail(rig, "connect: %s", err->msg);
    }
    rig->open = true; /* ends the wait for it */
    rig->closed = true;
    rig->conn = NULL;
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_closed = on_closed};

bool rig_connect(struct rig *rig)
{
    const struct hws_net_dial_config config = {
        .target = rig->target, .bundle = rig->bundle, .ops = &conn_ops, .owner = rig};
    struct hws_err err;

    rig->open = false;
    rig->closed = false;
    if (hws_net_dial(&rig->net, &config, &rig->conn, &err) != HWS_OK) {
        return rig_fail(rig, "dial: %s", err.msg);
    }
    return run_until(rig, &rig->open) && !rig->closed ? true : rig_fail(rig, "no connection");
}

void rig_disconnect(struct rig *rig)
{
    if (rig->conn != NULL) {
        hws_net_conn_close(rig->conn);
        (void)run_until(rig, &rig->closed);
    }
}

/* ---- calls ---- */

static void on_headers(struct hws_grpc_call *call)
{
    struct stream *s = hws_grpc_call_data(call);
    struct hws_span value;

    if (hws_grpc_meta_get(hws_grpc_call_peer_meta(call), "x-grpc-test-echo-initial", 0, &value) &&
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
static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct stream *s = hws_grpc_call_data(call);
    size_t i = s->n_messages < RIG_MESSAGES ? s->n_messages : RIG_MESSAGES - 1;

    s->n_messages++;
    s->compressed[i] = hws_grpc_call_was_compressed(call);
    if (strstr(hws_grpc_call_path(call), "StreamingInputCall") != NULL) {
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

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct stream *s = hws_grpc_call_data(call);
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

static const struct hws_grpc_call_ops call_ops = {
    .on_headers = on_headers, .on_message = on_message, .on_close = on_close};

bool rig_start(struct rig *rig, struct stream *s, const struct stream_options *options)
{
    const struct hws_grpc_start start = {
        .path = options->path,
        .kind = options->kind,
        .timeout_ms = options->timeout_ms == 0 ? RIG_TIMEOUT_MS : options->timeout_ms,
        .meta = options->meta,
        .encoding = options->encoding,
        .ops = &call_ops,
        .data = s,
    };
    struct hws_err err;

    memset(s, 0, sizeof(*s));
    s->rig = rig;
    if (rig->conn == NULL) {
        return rig_fail(rig, "the connection is gone");
    }
    if (hws_grpc_client_start(hws_net_conn_grpc(rig->conn), &start, rig_now_ms(rig), &s->call,
                              &err) != HWS_OK) {
        return rig_fail(rig, "start %s: %s", options->path, err.msg);
    }
    return true;
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
    do { /* while too much waits to leave, others go first */
        code = s->call == NULL ? HWS_E_GONE
               : plain         ? hws_grpc_pb_send(s->call, message, &err)
                               : hws_grpc_call_send(s->call, bytes, n, &err);
    } while (code == HWS_E_BUSY && uv_run(&s->rig->loop, UV_RUN_ONCE) != 0);
    hws_mem_free(bytes);
    return code == HWS_OK
               ? true
               : rig_fail(s->rig, "send: %s", s->call == NULL ? "the call has ended" : err.msg);
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
