/*
 * The test service. One object a call; a streaming call works off one request at a time, its
 * answers at their intervals, and takes the next request (credit) when the last answer has room.
 */
#include "service.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/protobuf.h"
#include "grpc_testing.pb-c.h"

enum { EMPTY_CALL, UNARY_CALL, STREAMING_OUTPUT_CALL, STREAMING_INPUT_CALL, FULL_DUPLEX_CALL };

static const struct hws_grpc_method methods[] = {
    [EMPTY_CALL] = {"/grpc.testing.TestService/EmptyCall", HWS_GRPC_UNARY, false},
    [UNARY_CALL] = {"/grpc.testing.TestService/UnaryCall", HWS_GRPC_UNARY, false},
    [STREAMING_OUTPUT_CALL] = {"/grpc.testing.TestService/StreamingOutputCall",
                               HWS_GRPC_SERVER_STREAM, false},
    [STREAMING_INPUT_CALL] = {"/grpc.testing.TestService/StreamingInputCall",
                              HWS_GRPC_CLIENT_STREAM, false},
    [FULL_DUPLEX_CALL] = {"/grpc.testing.TestService/FullDuplexCall", HWS_GRPC_BIDI, false},
};

#define INITIAL_NAME  "x-grpc-test-echo-initial"
#define TRAILING_NAME "x-grpc-test-echo-trailing-bin"
#define US_PER_MS     1000

struct work {
    struct hws_grpc_call *call; /* borrowed until on_close; NULL after */
    uv_timer_t timer;
    Grpc__Testing__StreamingOutputCallRequest *request; /* owned; being answered */
    size_t n_answered;
    bool waited; /* the interval of the next answer is over */
    bool half_closed;
    int32_t n_bytes;        /* StreamingInputCall */
    int32_t answer_bytes;   /* UnaryCall */
    bool answer_compressed; /* the client asked for it and takes it */
    bool answering;         /* it waits for room */
};

/* ---- answers ---- */

/* Finishes with the trailing metadata that the client asked back. */
static void finish(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message)
{
    struct hws_grpc_meta trailers = {0};
    struct hws_span value;

    if (hws_grpc_meta_get(hws_grpc_call_peer_meta(call), TRAILING_NAME, 0, &value) &&
        hws_grpc_meta_add(&trailers, TRAILING_NAME, value.bytes, value.n, NULL) != HWS_OK) {
        code = HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    hws_grpc_call_finish(call, code, message, NULL, 0, &trailers);
    hws_grpc_meta_deinit(&trailers);
}

/* Sends the initial metadata that the client asked back, if it did. */
static bool greet(struct hws_grpc_call *call)
{
    struct hws_grpc_meta initial = {0};
    struct hws_span value;

    if (!hws_grpc_meta_get(hws_grpc_call_peer_meta(call), INITIAL_NAME, 0, &value)) {
        return true;
    }
    bool ok = hws_grpc_meta_add(&initial, INITIAL_NAME, value.bytes, value.n, NULL) == HWS_OK &&
              hws_grpc_call_send_headers(call, &initial, NULL) == HWS_OK;
    hws_grpc_meta_deinit(&initial);
    return ok;
}

/* As the client sends, else gzip. */
static bool compress(struct hws_grpc_call *call)
{
    enum hws_grpc_encoding encoding = hws_grpc_call_encoding(call);

    return hws_grpc_call_compress(call, encoding == HWS_GRPC_IDENTITY ? HWS_GRPC_GZIP : encoding,
                                  NULL) == HWS_OK;
}

static enum hws_code send_packed(struct hws_grpc_call *call, const ProtobufCMessage *message,
                                 bool compressed, struct hws_err *err)
{
    if (compressed) {
        return hws_grpc_pb_send(call, message, err);
    }
    uint8_t *space = NULL;
    enum hws_code code =
        hws_grpc_call_reserve(call, protobuf_c_message_get_packed_size(message), &space, err);
    if (code == HWS_OK) {
        (void)protobuf_c_message_pack(message, space);
        hws_grpc_call_commit(call);
    }
    return code;
}

static uint8_t *zeros(int32_t n)
{
    return hws_mem_zalloc(n <= 0 ? 1 : (size_t)n, 1);
}

/* Sends the one answer of w->answer_bytes, now or (when the connection holds too much) at the next
 * on_writable. */
static void answer_unary(struct work *w)
{
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    Grpc__Testing__SimpleResponse response = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    struct hws_err err;

    payload.body.data = zeros(w->answer_bytes);
    payload.body.len = w->answer_bytes < 0 ? 0 : (size_t)w->answer_bytes;
    response.payload = &payload;
    enum hws_code code = HWS_E_NOMEM;
    if (payload.body.data != NULL) {
        code = send_packed(w->call, &response.base, w->answer_compressed, &err);
    }
    hws_mem_free(payload.body.data);
    w->answering = code == HWS_E_BUSY;
    if (code == HWS_OK) {
        finish(w->call, HWS_GRPC_OK, "");
    } else if (code != HWS_E_BUSY) {
        finish(w->call, HWS_GRPC_RESOURCE_EXHAUSTED, "no memory for the response");
    }
}

static void unary_call(struct work *w, const uint8_t *bytes, size_t n)
{
    struct hws_grpc_call *call = w->call;
    Grpc__Testing__SimpleRequest *request =
        grpc__testing__simple_request__unpack(hws_grpc_pb_allocator(), n, bytes);

    if (request == NULL) {
        finish(call, HWS_GRPC_INTERNAL, "malformed SimpleRequest");
        return;
    }
    if (request->expect_compressed != NULL && request->expect_compressed->value &&
        !hws_grpc_call_was_compressed(call)) {
        finish(call, HWS_GRPC_INVALID_ARGUMENT, "expect_compressed: the message was not");
    } else if (request->response_status != NULL && request->response_status->code != 0) {
        finish(call, (enum hws_grpc_code)request->response_status->code,
               request->response_status->message);
    } else {
        w->answer_bytes = request->response_size;
        w->answer_compressed = request->response_compressed != NULL &&
                               request->response_compressed->value && compress(call);
        if (greet(call)) {
            answer_unary(w);
        } else {
            finish(call, HWS_GRPC_RESOURCE_EXHAUSTED, "no memory for the metadata");
        }
    }
    grpc__testing__simple_request__free_unpacked(request, hws_grpc_pb_allocator());
}

/* ---- streams of answers ---- */

static void step(struct work *w);

static void on_timer(uv_timer_t *timer)
{
    struct work *w = timer->data;

    w->waited = true;
    if (w->call != NULL) {
        step(w);
    }
}

static void drop_request(struct work *w)
{
    if (w->request != NULL) {
        grpc__testing__streaming_output_call_request__free_unpacked(w->request,
                                                                    hws_grpc_pb_allocator());
        w->request = NULL;
    }
}

static enum hws_code send_answer(struct work *w, const Grpc__Testing__ResponseParameters *p,
                                 struct hws_err *err)
{
    Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
    Grpc__Testing__StreamingOutputCallResponse response =
        GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;

    payload.body.data = zeros(p->size);
    payload.body.len = p->size < 0 ? 0 : (size_t)p->size;
    response.payload = &payload;
    enum hws_code code = HWS_E_NOMEM;
    if (payload.body.data != NULL) {
        code = send_packed(w->call, &response.base, p->compressed != NULL && p->compressed->value,
                           err);
    }
    hws_mem_free(payload.body.data);
    return code;
}

/* Sends what is due of the request in hand. */
static void step(struct work *w)
{
    struct hws_err err;

    while (w->request != NULL && w->n_answered < w->request->n_response_parameters) {
        const Grpc__Testing__ResponseParameters *p = w->request->response_parameters[w->n_answered];
        if (p->interval_us > 0 && !w->waited) {
            uint64_t wait_ms = ((uint64_t)p->interval_us + US_PER_MS - 1) / US_PER_MS;
            (void)uv_timer_start(&w->timer, on_timer, wait_ms, 0);
            return;
        }
        enum hws_code code = send_answer(w, p, &err);
        if (code == HWS_E_BUSY) {
            return; /* on_writable goes on */
        }
        if (code != HWS_OK) {
            finish(w->call, HWS_GRPC_RESOURCE_EXHAUSTED, err.msg);
            return;
        }
        w->waited = false;
        w->n_answered++;
    }
    drop_request(w);
    if (w->half_closed) {
        finish(w->call, HWS_GRPC_OK, "");
    } else {
        hws_grpc_call_want_writable(w->call); /* then the next request */
    }
}

static void stream_request(struct work *w, const uint8_t *bytes, size_t n)
{
    drop_request(w);
    w->request =
        grpc__testing__streaming_output_call_request__unpack(hws_grpc_pb_allocator(), n, bytes);
    w->n_answered = 0;
    w->waited = false;
    if (w->request == NULL) {
        finish(w->call, HWS_GRPC_INTERNAL, "malformed StreamingOutputCallRequest");
        return;
    }
    if (w->request->response_status != NULL && w->request->response_status->code != 0) {
        finish(w->call, (enum hws_grpc_code)w->request->response_status->code,
               w->request->response_status->message);
        return;
    }
    for (size_t i = 0; i < w->request->n_response_parameters; i++) {
        const Grpc__Testing__ResponseParameters *p = w->request->response_parameters[i];
        if (p->compressed != NULL && p->compressed->value && !compress(w->call)) {
            break; /* not accepted, or the headers are out: plain */
        }
    }
    step(w);
}

static void count_input(struct work *w, const uint8_t *bytes, size_t n)
{
    Grpc__Testing__StreamingInputCallRequest *request =
        grpc__testing__streaming_input_call_request__unpack(hws_grpc_pb_allocator(), n, bytes);

    if (request == NULL) {
        finish(w->call, HWS_GRPC_INTERNAL, "malformed StreamingInputCallRequest");
        return;
    }
    bool want = request->expect_compressed != NULL && request->expect_compressed->value;
    w->n_bytes += request->payload == NULL ? 0 : (int32_t)request->payload->body.len;
    grpc__testing__streaming_input_call_request__free_unpacked(request, hws_grpc_pb_allocator());
    if (want && !hws_grpc_call_was_compressed(w->call)) {
        finish(w->call, HWS_GRPC_INVALID_ARGUMENT, "expect_compressed: the message was not");
    }
    hws_grpc_call_grant(w->call, 1);
}

/* ---- callbacks ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    hws_mem_free(handle->data);
}

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    struct work *w = hws_mem_zalloc(1, sizeof(*w));

    if (w == NULL || uv_timer_init(data, &w->timer) != 0) {
        hws_mem_free(w);
        return HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    w->timer.data = w;
    w->call = call;
    hws_grpc_call_set_data(call, w);
    size_t method = hws_grpc_call_method(call);
    if (method == FULL_DUPLEX_CALL || method == STREAMING_INPUT_CALL) {
        hws_grpc_call_set_credit(call, 1);
    }
    if (method == FULL_DUPLEX_CALL && !greet(call)) {
        uv_close((uv_handle_t *)&w->timer, on_timer_closed);
        return HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    return HWS_GRPC_OK;
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct work *w = hws_grpc_call_data(call);

    switch (hws_grpc_call_method(call)) {
    case EMPTY_CALL:
        if (!greet(call) || hws_grpc_call_send(call, "", 0, NULL) != HWS_OK) {
            finish(call, HWS_GRPC_RESOURCE_EXHAUSTED, "");
            break;
        }
        finish(call, HWS_GRPC_OK, "");
        break;
    case UNARY_CALL:
        unary_call(w, bytes, n);
        break;
    case STREAMING_INPUT_CALL:
        count_input(w, bytes, n);
        break;
    default:
        stream_request(w, bytes, n);
        break;
    }
}

static void on_half_close(struct hws_grpc_call *call)
{
    struct work *w = hws_grpc_call_data(call);
    Grpc__Testing__StreamingInputCallResponse sum =
        GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;

    w->half_closed = true;
    switch (hws_grpc_call_method(call)) {
    case STREAMING_INPUT_CALL:
        sum.aggregated_payload_size = w->n_bytes;
        finish(call,
               hws_grpc_pb_send(call, &sum.base, NULL) == HWS_OK ? HWS_GRPC_OK
                                                                 : HWS_GRPC_RESOURCE_EXHAUSTED,
               "");
        break;
    case STREAMING_OUTPUT_CALL:
    case FULL_DUPLEX_CALL:
        if (w->request == NULL) {
            finish(call, HWS_GRPC_OK, "");
        }
        break;
    default:
        break;
    }
}

static void on_writable(struct hws_grpc_call *call)
{
    struct work *w = hws_grpc_call_data(call);

    if (w->answering) {
        answer_unary(w);
    } else if (w->request != NULL) {
        step(w);
    } else {
        hws_grpc_call_grant(call, 1);
    }
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, why->message);
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct work *w = hws_grpc_call_data(call);

    (void)outcome;
    w->call = NULL;
    drop_request(w);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

static const struct hws_grpc_call_ops ops = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
    .on_close = on_close,
};

enum hws_code interop_service_register(struct hws_grpc_server *server, uv_loop_t *loop,
                                       struct hws_err *err)
{
    return hws_grpc_server_add(server, methods, sizeof(methods) / sizeof(methods[0]), &ops, loop,
                               err);
}
