/*
 * Messages of a channel's calls: kept until the call is committed, given to the connection as it
 * takes them.
 *
 * Happy path: send -> the connection takes it -> a copy is kept -> the answer begins -> dropped.
 * Where it goes wrong: no connection yet (kept, up to a limit); the connection is full (BUSY, then
 * on_writable); the connection is lost (rewind, and the next gets the same messages in the same
 * order); more was sent than is kept (committed to this connection).
 */
#include <string.h>

#include "channel_priv.h"

/* Before each kept message. */
struct record {
    uint32_t n;
    bool plain;
};

#define RECORD_BYTES 5u

static bool streams(const struct hws_grpc_channel_call *call)
{
    return call->kind == HWS_GRPC_CLIENT_STREAM || call->kind == HWS_GRPC_BIDI;
}

static size_t not_taken(const struct hws_grpc_channel_call *call)
{
    return hws_buf_len(&call->kept) - call->n_taken;
}

/* ---- keeping ---- */

static enum hws_code keep(struct hws_grpc_channel_call *call, const void *bytes, uint32_t n,
                          bool plain)
{
    uint8_t *space = NULL;
    enum hws_code code = hws_buf_reserve(&call->kept, RECORD_BYTES + (size_t)n, &space);

    if (code != HWS_OK) {
        return HWS_E_NOMEM;
    }
    memcpy(space, &n, sizeof(n));
    space[sizeof(n)] = plain ? 1 : 0;
    if (n > 0) {
        memcpy(space + RECORD_BYTES, bytes, n);
    }
    hws_buf_commit(&call->kept, RECORD_BYTES + (size_t)n);
    return HWS_OK;
}

static struct record record_at(const uint8_t *bytes)
{
    struct record r;

    memcpy(&r.n, bytes, sizeof(r.n));
    r.plain = bytes[sizeof(r.n)] != 0;
    return r;
}

void hws_grpc__channel_commit(struct hws_grpc_channel_call *call)
{
    call->committed = true;
    hws_buf_take(&call->kept, call->n_taken);
    call->n_taken = 0;
    if (hws_buf_len(&call->kept) == 0) {
        hws_buf_deinit(&call->kept);
    }
}

/* n more of the kept bytes are with the connection. */
static void taken(struct hws_grpc_channel_call *call, size_t n)
{
    call->n_taken += n;
    if (call->committed || call->n_taken > HWS_GRPC_CHANNEL_KEPT_BYTES) {
        hws_grpc__channel_commit(call);
    }
}

void hws_grpc__channel_rewind(struct hws_grpc_channel_call *call)
{
    call->n_taken = 0;
    call->request_taken = false;
}

/* ---- giving ---- */

static enum hws_code give(struct hws_grpc_channel_call *call, const void *bytes, size_t n,
                          bool plain, struct hws_err *err)
{
    uint8_t *space = NULL;

    if (!plain) {
        return hws_grpc_call_send(call->inner, bytes, n, err);
    }
    enum hws_code code = hws_grpc_call_reserve(call->inner, n, &space, err);
    if (code == HWS_OK) {
        if (n > 0) {
            memcpy(space, bytes, n);
        }
        hws_grpc_call_commit(call->inner);
    }
    return code;
}

/* HWS_E_STATE: the connection's call has ended meanwhile, and says so itself. */
static enum hws_code settled(enum hws_code code)
{
    return code == HWS_E_BUSY || code == HWS_E_STATE ? HWS_OK : code;
}

enum hws_code hws_grpc__channel_flush(struct hws_grpc_channel_call *call, struct hws_err *err)
{
    if (!streams(call)) {
        if (call->request_taken) {
            return HWS_OK;
        }
        enum hws_code code = give(call, call->request, call->n_request, false, err);
        call->request_taken = code == HWS_OK;
        return settled(code);
    }
    while (not_taken(call) > 0) {
        const uint8_t *at = hws_buf_peek(&call->kept) + call->n_taken;
        struct record r = record_at(at);
        enum hws_code code = give(call, at + RECORD_BYTES, r.n, r.plain, err);
        if (code != HWS_OK) {
            return settled(code);
        }
        taken(call, RECORD_BYTES + (size_t)r.n);
    }
    if (call->half_closed) {
        hws_grpc_call_half_close(call->inner);
    }
    return HWS_OK;
}

void hws_grpc__channel_tell_writable(struct hws_grpc_channel_call *call)
{
    if (call->full && not_taken(call) == 0 && !call->cancelled && !call->half_closed) {
        call->full = false;
        if (call->on_writable != NULL) {
            call->on_writable(call);
        }
    }
}

/* ---- the caller's side ---- */

static enum hws_code check_send(const struct hws_grpc_channel_call *call, size_t n,
                                struct hws_err *err)
{
    if (!streams(call)) {
        return hws_err_set(err, HWS_E_INVALID, "%.80s sends one message", call->path);
    }
    if (call->over || call->cancelled || call->half_closed) {
        return hws_err_set(err, HWS_E_STATE, "call takes no more messages");
    }
    return n <= UINT32_MAX ? HWS_OK : hws_err_set(err, HWS_E_INVALID, "message of %zu bytes", n);
}

enum hws_code hws_grpc_channel_send(struct hws_grpc_channel_call *call, const void *bytes, size_t n,
                                    bool plain, struct hws_err *err)
{
    enum hws_code code = check_send(call, n, err);

    if (code != HWS_OK) {
        return code;
    }
    size_t held = not_taken(call);
    if (call->inner != NULL ? held > 0 : held >= HWS_GRPC_CHANNEL_KEPT_BYTES) {
        call->full = true;
        return hws_err_set(err, HWS_E_BUSY, "%zu bytes are unsent", held);
    }
    if (call->inner == NULL) {
        code = keep(call, bytes, (uint32_t)n, plain);
        return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "message of %zu bytes", n);
    }
    code = give(call, bytes, n, plain, err);
    call->full = call->full || code == HWS_E_BUSY;
    if (code == HWS_E_STATE && !call->committed) {
        /* It has ended, and may be placed anew: the next connection gets the message. */
        code = keep(call, bytes, (uint32_t)n, plain);
        return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "message of %zu bytes", n);
    }
    if (code != HWS_OK || call->committed) {
        return code;
    }
    if (call->n_taken + n > HWS_GRPC_CHANNEL_KEPT_BYTES ||
        keep(call, bytes, (uint32_t)n, plain) != HWS_OK) {
        hws_grpc__channel_commit(call);
    } else {
        taken(call, RECORD_BYTES + n);
    }
    return HWS_OK;
}

void hws_grpc_channel_half_close(struct hws_grpc_channel_call *call)
{
    if (!streams(call) || call->over) {
        return;
    }
    call->half_closed = true;
    if (call->inner != NULL && not_taken(call) == 0) {
        hws_grpc_call_half_close(call->inner);
    }
}

bool hws_grpc_channel_placed(const struct hws_grpc_channel_call *call)
{
    return !call->over && call->inner != NULL;
}

/* ---- the server's messages ---- */

void hws_grpc_channel_set_credit(struct hws_grpc_channel_call *call, uint32_t n_messages)
{
    call->limited = true;
    call->credit = n_messages;
    if (hws_grpc_channel_placed(call)) {
        hws_grpc_call_set_credit(call->inner, n_messages);
    }
}

void hws_grpc_channel_grant(struct hws_grpc_channel_call *call, uint32_t n_messages)
{
    call->limited = true;
    call->credit = n_messages > UINT32_MAX - call->credit ? UINT32_MAX : call->credit + n_messages;
    if (hws_grpc_channel_placed(call)) {
        hws_grpc_call_grant(call->inner, n_messages);
    }
}

bool hws_grpc_channel_was_compressed(const struct hws_grpc_channel_call *call)
{
    return hws_grpc_channel_placed(call) && hws_grpc_call_was_compressed(call->inner);
}
