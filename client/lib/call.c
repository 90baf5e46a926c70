/*
 * Calls: packed at start, waiting for a connection or running on it, ended once.
 *
 * Happy path: start -> waiting -> sent -> (messages) -> on_close -> done.
 * Where it goes wrong: no connection by the deadline; connecting failed; the connection was lost
 * (sent once more if the agent surely never saw it); an answer that does not parse (INTERNAL).
 */
#include <string.h>

#include "base/mem.h"
#include "client/client_priv.h"

/* ---- the end ---- */

static void finish(struct hws_client__call *c)
{
    struct hws_client_call *pub = c->pub;
    bool *run_done = c->run_done;

    hws_list_remove(&c->link);
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

void hws_client__call_end(struct hws_client__call *c, enum hws_client_code code, const char *why)
{
    if (c->grpc == NULL) {
        c->client->n_waiting--;
    }
    (void)hws_client__fail(&c->pub->status, code, "%s", why);
    c->pub->status.unprocessed = true;
    finish(c);
}

static void set_status(struct hws_client__call *c, const struct hws_grpc_outcome *o)
{
    struct hws_client_status *s = &c->pub->status;

    if (c->cancelled) {
        (void)hws_client__fail(s, HWS_CLIENT_CANCELLED, "cancelled by this side");
    } else if (c->refused) {
        (void)hws_client__fail(s, HWS_CLIENT_INTERNAL, "the agent's answer is malformed");
    } else if (!o->unprocessed && o->code == HWS_GRPC_DEADLINE_EXCEEDED && o->n_details == 0) {
        /* Our clock or hawser-wire's ran out; hawserd itself says at which stage it was. */
        (void)hws_client__fail(s, HWS_CLIENT_DEADLINE_EXCEEDED,
                               "no answer before the deadline: whether it was done is UNKNOWN");
    } else {
        hws_client__from_wire(s, (enum hws_client_code)o->code, o->message, o->details,
                              o->n_details);
        s->from_agent = o->from_peer;
    }
    s->unprocessed = o->unprocessed;
    if (s->code == HWS_CLIENT_OK && c->pub->method->kind == HWS_CLIENT_UNARY &&
        c->pub->response == NULL) {
        (void)hws_client__fail(s, HWS_CLIENT_INTERNAL, "the agent said OK without an answer");
    }
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct hws_client__call *c = hws_grpc_call_data(call);
    struct hws_client *client = c->client;

    if (outcome->unprocessed && !c->again && !c->cancelled && !client->closing &&
        c->request.bytes != NULL && hws_client__now_ms(client) < c->deadline_ms) {
        c->again = true;
        c->grpc = NULL;
        hws_list_remove(&c->link);
        hws_list_push(&client->waiting, &c->link);
        client->n_waiting++;
        hws_client__kick(client);
        return;
    }
    set_status(c, outcome);
    finish(c);
    hws_client__kick(client); /* there is room for another */
}

/* ---- answers ---- */

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct hws_client__call *c = hws_grpc_call_data(call);
    struct hws_client_call *pub = c->pub;
    ProtobufCMessage *m = protobuf_c_message_unpack(pub->method->response, NULL, n, bytes);

    if (m == NULL) {
        c->refused = true;
        hws_grpc_call_cancel(call);
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

static const struct hws_grpc_call_ops call_ops = {.on_message = on_message, .on_close = on_close};

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

enum hws_code hws_client__call_send(struct hws_client__call *c, struct hws_grpc_conn *conn,
                                    struct hws_err *err)
{
    uint64_t now_ms = hws_client__now_ms(c->client);
    struct hws_grpc_start start = {
        .path = c->pub->method->path,
        .kind = wire_kind(c->pub->method->kind),
        .timeout_ms = c->deadline_ms == UINT64_MAX ? 0
                      : c->deadline_ms > now_ms    ? c->deadline_ms - now_ms
                                                   : 1,
        .ops = &call_ops,
        .data = c,
    };
    enum hws_code rc = hws_grpc_client_start(conn, &start, now_ms, &c->grpc, err);

    if (rc != HWS_OK) {
        c->grpc = NULL;
        return rc;
    }
    if (c->pub->method->kind != HWS_CLIENT_BIDI) {
        /* A first message is taken whole; if it is not, the call cannot go on. */
        if (hws_grpc_call_send(c->grpc, hws_buf_peek(&c->request), hws_buf_len(&c->request), err) !=
            HWS_OK) {
            hws_grpc_call_cancel(c->grpc);
        }
        hws_grpc_call_half_close(c->grpc);
    }
    hws_list_remove(&c->link);
    hws_list_push(&c->client->running, &c->link);
    c->client->n_waiting--;
    return HWS_OK;
}

/* ---- the caller's side ---- */

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
    if (client->n_waiting >= HWS_CLIENT_MAX_WAITING) {
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

static uint64_t deadline_of(const struct hws_client *client, uint32_t timeout_ms)
{
    uint32_t ms = timeout_ms == 0 ? client->default_timeout_ms : timeout_ms;

    return ms == UINT32_MAX ? UINT64_MAX : hws_client__now_ms(client) + ms;
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
    c->deadline_ms = deadline_of(client, call->timeout_ms);
    call->inside = c;
    hws_list_push(&client->waiting, &c->link);
    client->n_waiting++;
    hws_client__kick(client);
    return HWS_CLIENT_OK;
}

void hws_client_cancel(struct hws_client_call *call)
{
    struct hws_client__call *c = call->inside;

    if (c == NULL || c->cancelled) {
        return;
    }
    c->cancelled = true;
    if (c->grpc != NULL) {
        hws_grpc_call_cancel(c->grpc);
        return;
    }
    c->deadline_ms = 0; /* the timer ends it */
    hws_client__kick(c->client);
}

enum hws_client_code hws_client_send(struct hws_client_call *call, const ProtobufCMessage *message)
{
    struct hws_client__call *c = call->inside;
    struct hws_buf bytes = {0};
    struct hws_err err;

    if (c == NULL || c->grpc == NULL || c->cancelled) {
        return HWS_CLIENT_UNAVAILABLE;
    }
    if (message->descriptor != call->method->request) {
        return HWS_CLIENT_INVALID_ARGUMENT;
    }
    if (!pack(&bytes, message)) {
        return HWS_CLIENT_RESOURCE_EXHAUSTED;
    }
    enum hws_code rc = hws_grpc_call_send(c->grpc, hws_buf_peek(&bytes), hws_buf_len(&bytes), &err);
    hws_buf_deinit(&bytes);
    if (rc == HWS_E_BUSY || rc == HWS_E_NOMEM) {
        return HWS_CLIENT_RESOURCE_EXHAUSTED;
    }
    return rc == HWS_OK ? HWS_CLIENT_OK : HWS_CLIENT_UNAVAILABLE;
}

void hws_client_half_close(struct hws_client_call *call)
{
    struct hws_client__call *c = call->inside;

    if (c != NULL && c->grpc != NULL) {
        hws_grpc_call_half_close(c->grpc);
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
