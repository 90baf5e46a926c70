/*
 * Calls: packed at start, carried by the channel, ended once.
 *
 * Happy path: start -> the channel finds a connection -> (messages) -> on_close -> done.
 * Where it goes wrong: no connection by the deadline; connecting failed; the connection was lost
 * (the channel sends again what the agent surely never saw); an answer that does not parse
 * (INTERNAL).
 */
#include <string.h>

#include "base/mem.h"
#include "client/client_priv.h"

/* ---- the end ---- */

static void finish(struct hws_client__call *c)
{
    struct hws_client_call *pub = c->pub;
    bool *run_done = c->run_done;

    hws_buf_deinit(&c->request);
    hws_mem_free(c);
    pub->inside = NULL;
    if (pub->status.code != HWS_CLIENT_OK) {
        hws_client_call_deinit(pub);
    }
    if (run_done != NULL) {
        *run_done = true;
    } else if (pub->done != NULL) {
        pub->done(pub);
    }
}

/* What this side has to say when it ended the call, found no agent, or lost it. False: the wire's
 * word. */
static bool ended_here(struct hws_client__call *c, const struct hws_grpc_outcome *o)
{
    struct hws_client_status *s = &c->pub->status;
    const char *target = c->client->target;

    if (c->cancelled || (c->client->closing && o->code == HWS_GRPC_CANCELLED)) {
        (void)hws_client__fail(s, HWS_CLIENT_CANCELLED, "cancelled by this side");
    } else if (c->refused) {
        (void)hws_client__fail(s, HWS_CLIENT_INTERNAL, "the agent's answer is malformed");
    } else if (o->code == HWS_GRPC_DEADLINE_EXCEEDED && o->unprocessed) {
        (void)hws_client__fail(s, HWS_CLIENT_DEADLINE_EXCEEDED, "%s: %s", target, o->message);
    } else if (o->code == HWS_GRPC_DEADLINE_EXCEEDED && o->n_details == 0) {
        /* Our clock or hawser-wire's ran out; hawserd itself says at which stage it was. */
        (void)hws_client__fail(s, HWS_CLIENT_DEADLINE_EXCEEDED,
                               "no answer before the deadline: whether it was done is UNKNOWN");
    } else if (o->code == HWS_GRPC_UNAVAILABLE && (o->unprocessed || !o->from_peer) &&
               strstr(o->message, target) == NULL) {
        (void)hws_client__fail(s, HWS_CLIENT_UNAVAILABLE, "%s: %s", target, o->message);
    } else {
        return false;
    }
    return true;
}

static void on_close(struct hws_grpc_channel_call *call, const struct hws_grpc_outcome *outcome)
{
    struct hws_client__call *c = call->data;
    struct hws_client_status *s = &c->pub->status;

    if (!ended_here(c, outcome)) {
        hws_client__from_wire(s, (enum hws_client_code)outcome->code, outcome->message,
                              outcome->details, outcome->n_details);
        s->from_agent = outcome->from_peer;
    }
    s->unprocessed = outcome->unprocessed;
    if (s->code == HWS_CLIENT_OK && c->pub->method->kind == HWS_CLIENT_UNARY &&
        c->pub->response == NULL) {
        (void)hws_client__fail(s, HWS_CLIENT_INTERNAL, "the agent said OK without an answer");
    }
    finish(c);
}

/* ---- answers ---- */

static void on_message(struct hws_grpc_channel_call *call, const uint8_t *bytes, size_t n)
{
    struct hws_client__call *c = call->data;
    struct hws_client_call *pub = c->pub;
    ProtobufCMessage *m = protobuf_c_message_unpack(pub->method->response, NULL, n, bytes);

    if (m == NULL) {
        c->refused = true;
        hws_grpc_channel_cancel(call);
        return;
    }
    if (pub->method->kind == HWS_CLIENT_UNARY) {
        hws_client_call_deinit(pub);
        pub->response = m;
        return;
    }
    if (pub->message != NULL && !c->cancelled) {
        pub->message(pub, m);
    }
    protobuf_c_message_free_unpacked(m, NULL);
}

/* ---- the caller's side ---- */

static enum hws_grpc_kind wire_kind(enum hws_client_kind kind)
{
    switch (kind) {
    case HWS_CLIENT_SERVER_STREAM:
        return HWS_GRPC_SERVER_STREAM;
    case HWS_CLIENT_BIDI:
        return HWS_GRPC_BIDI;
    case HWS_CLIENT_UNARY:
        break;
    }
    return HWS_GRPC_UNARY;
}

static enum hws_client_code check(const struct hws_client *client, struct hws_client_call *call)
{
    struct hws_client_status *s = &call->status;
    bool bidi = call->method != NULL && call->method->kind == HWS_CLIENT_BIDI;

    if (client->closing) {
        return hws_client__fail(s, HWS_CLIENT_UNAVAILABLE, "the client is closed");
    }
    if (call->method == NULL || (call->request == NULL) != bidi ||
        (!bidi && call->request->descriptor != call->method->request)) {
        return hws_client__fail(s, HWS_CLIENT_INVALID_ARGUMENT,
                                "the request is not of the method's type");
    }
    if (client->channel.calls.n_waiting >= HWS_CLIENT_MAX_WAITING) {
        return hws_client__fail(s, HWS_CLIENT_RESOURCE_EXHAUSTED,
                                "%u calls wait for a connection to %s", HWS_CLIENT_MAX_WAITING,
                                client->target);
    }
    return HWS_CLIENT_OK;
}

static bool pack(struct hws_buf *out, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *space = NULL;

    if (hws_buf_reserve(out, n + 1, &space) != HWS_OK) { /* + 1: an empty message has room, too */
        return false;
    }
    hws_buf_commit(out, protobuf_c_message_pack(m, space));
    return true;
}

static uint64_t timeout_of(const struct hws_client *client, uint32_t timeout_ms)
{
    return timeout_ms == UINT32_MAX ? 0 : timeout_ms == 0 ? client->default_timeout_ms : timeout_ms;
}

enum hws_client_code hws_client_start(struct hws_client *client, struct hws_client_call *call)
{
    memset(&call->status, 0, sizeof(call->status));
    call->response = NULL;
    call->inside = NULL;
    enum hws_client_code code = check(client, call);
    if (code != HWS_CLIENT_OK) {
        return code;
    }
    struct hws_client__call *c = hws_mem_zalloc(1, sizeof(*c));
    if (c == NULL || (call->request != NULL && !pack(&c->request, call->request))) {
        hws_mem_free(c);
        return hws_client__fail(&call->status, HWS_CLIENT_RESOURCE_EXHAUSTED, "out of memory");
    }
    c->client = client;
    c->pub = call;
    c->wire = (struct hws_grpc_channel_call){
        .path = call->method->path,
        .kind = wire_kind(call->method->kind),
        .request = hws_buf_peek(&c->request),
        .n_request = hws_buf_len(&c->request),
        .timeout_ms = timeout_of(client, call->timeout_ms),
        .wait_for_attempt = true,
        .on_message = on_message,
        .on_close = on_close,
        .data = c,
    };
    struct hws_err err;
    if (hws_net_channel_start(&client->channel, &c->wire, &err) != HWS_OK) {
        hws_buf_deinit(&c->request);
        hws_mem_free(c);
        return hws_client__fail_err(&call->status, &err);
    }
    call->inside = c;
    return HWS_CLIENT_OK;
}

void hws_client_cancel(struct hws_client_call *call)
{
    struct hws_client__call *c = call->inside;

    if (c != NULL && !c->cancelled) {
        c->cancelled = true;
        hws_grpc_channel_cancel(&c->wire);
    }
}

enum hws_client_code hws_client_send(struct hws_client_call *call, const ProtobufCMessage *message)
{
    struct hws_client__call *c = call->inside;
    struct hws_buf bytes = {0};

    /* What waits for a connection could not be told from what is on its way. */
    if (c == NULL || !hws_grpc_channel_placed(&c->wire)) {
        return HWS_CLIENT_UNAVAILABLE;
    }
    if (message->descriptor != call->method->request) {
        return HWS_CLIENT_INVALID_ARGUMENT;
    }
    if (!pack(&bytes, message)) {
        return HWS_CLIENT_RESOURCE_EXHAUSTED;
    }
    enum hws_code rc =
        hws_grpc_channel_send(&c->wire, hws_buf_peek(&bytes), hws_buf_len(&bytes), false, NULL);
    hws_buf_deinit(&bytes);
    if (rc == HWS_E_BUSY || rc == HWS_E_NOMEM) {
        return HWS_CLIENT_RESOURCE_EXHAUSTED;
    }
    return rc == HWS_OK ? HWS_CLIENT_OK : HWS_CLIENT_UNAVAILABLE;
}

void hws_client_half_close(struct hws_client_call *call)
{
    struct hws_client__call *c = call->inside;

    if (c != NULL) {
        hws_grpc_channel_half_close(&c->wire);
    }
}

enum hws_client_code hws_client_run(struct hws_client *client, struct hws_client_call *call)
{
    bool done = false;
    enum hws_client_code code = hws_client_start(client, call);

    if (code != HWS_CLIENT_OK) {
        return code;
    }
    struct hws_client__call *c = call->inside;
    c->run_done = &done;
    while (!done) {
        (void)uv_run(client->loop, UV_RUN_ONCE);
    }
    return call->status.code;
}

void hws_client_call_deinit(struct hws_client_call *call)
{
    if (call->response != NULL) {
        protobuf_c_message_free_unpacked(call->response, NULL);
        call->response = NULL;
    }
}
