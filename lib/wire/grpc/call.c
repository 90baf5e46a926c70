/* One call: what the application asks of it. How it ends is in call_end.c, what arrives in
 * call_recv.c. */
#include <string.h>

#include "base/assert.h"
#include "session_priv.h"

/* ---- accessors ---- */

void hws_grpc_call_set_data(struct hws_grpc_call *call, void *data)
{
    call->data = data;
}

void *hws_grpc_call_data(const struct hws_grpc_call *call)
{
    return call->data;
}

void hws_grpc_call_set_ops(struct hws_grpc_call *call, const struct hws_grpc_call_ops *ops)
{
    call->ops = ops;
}

struct hws_grpc_conn *hws_grpc_call_conn(const struct hws_grpc_call *call)
{
    return call->conn;
}

size_t hws_grpc_call_method(const struct hws_grpc_call *call)
{
    return call->route == NULL ? 0 : call->route->method_idx;
}

const char *hws_grpc_call_path(const struct hws_grpc_call *call)
{
    return call->path;
}

uint64_t hws_grpc_call_deadline(const struct hws_grpc_call *call)
{
    return call->deadline_ms;
}

const struct hws_grpc_meta *hws_grpc_call_peer_meta(const struct hws_grpc_call *call)
{
    return &call->peer_meta;
}

bool hws_grpc_call_can_send(const struct hws_grpc_call *call)
{
    return call->state == HWS_GRPC_CALL_OPEN && call->stream_id >= 0 && !call->half_closed;
}

enum hws_grpc_encoding hws_grpc_call_encoding(const struct hws_grpc_call *call)
{
    return call->encoding;
}

bool hws_grpc_call_was_compressed(const struct hws_grpc_call *call)
{
    return call->was_compressed;
}

void hws_grpc_call_want_writable(struct hws_grpc_call *call)
{
    hws_list_remove(&call->block_link);
    hws_list_push(&call->conn->blocked, &call->block_link);
    hws_grpc__conn_wake(call->conn);
}

size_t hws_grpc_call_unsent(const struct hws_grpc_call *call)
{
    return call->tx.n_bytes;
}

/* ---- what the application holds ---- */

bool hws_grpc_call_hold(struct hws_grpc_call *call, size_t n)
{
    struct hws_grpc_conn *conn = call->conn;
    bool more = n > call->app_bytes;

    conn->app_bytes = conn->app_bytes - call->app_bytes + n;
    call->app_bytes = n;
    hws_grpc__account_sync(conn);
    if (!more || !hws_grpc__account_full(call)) {
        return true;
    }
    conn->stats->over_account++;
    return false;
}

/* ---- sending ---- */

/* Lets nghttp2 ask for data again. */
void hws_grpc__call_resume(struct hws_grpc_call *call)
{
    if (call->deferred && call->stream_id >= 0) {
        call->deferred = false;
        if (nghttp2_session_resume_data(call->conn->h2, call->stream_id) == NGHTTP2_ERR_NOMEM) {
            (void)hws_grpc__conn_end(call->conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM,
                                     "out of memory");
        }
    }
    hws_grpc__conn_wake(call->conn);
}

static bool sends_one(const struct hws_grpc_call *call)
{
    if (call->server) {
        return call->kind == HWS_GRPC_UNARY || call->kind == HWS_GRPC_CLIENT_STREAM;
    }
    return call->kind == HWS_GRPC_UNARY || call->kind == HWS_GRPC_SERVER_STREAM;
}

static enum hws_code check_send(struct hws_grpc_call *call, size_t n, struct hws_err *err)
{
    const struct hws_grpc_limits *l = &call->conn->cfg.limits;

    if (!hws_grpc_call_can_send(call)) {
        return hws_err_set(err, HWS_E_STATE, "call takes no more messages");
    }
    if (n > l->max_send_message_bytes) {
        return hws_err_set(err, HWS_E_INVALID,
                           "a message of %zu bytes is not sent: max_send_message_bytes is %u", n,
                           l->max_send_message_bytes);
    }
    if (sends_one(call) && call->n_sent > 0) {
        return hws_err_set(err, HWS_E_INVALID, "this kind of call sends one message");
    }
    /* The one reply of a call waits in its stream, however full the connection is: it is there
     * already, it is the last, and the accounts bound what all of them hold. */
    bool conn_full =
        call->conn->unsent_bytes >= l->max_unsent_conn_bytes && !(call->server && sends_one(call));
    if (call->tx.n_bytes >= l->max_unsent_call_bytes || conn_full || hws_grpc__account_full(call)) {
        hws_grpc_call_want_writable(call);
        return hws_err_set(err, HWS_E_BUSY, "%zu bytes are unsent", call->tx.n_bytes);
    }
    return HWS_OK;
}

static enum hws_code reserve(struct hws_grpc_call *call, bool compressed, size_t n,
                             uint8_t **out_space, struct hws_err *err)
{
    uint8_t *space = NULL;

    if (hws_grpc_outq_reserve(&call->tx, &call->conn->spares->chunks, HWS_GRPC_PREFIX_BYTES + n,
                              &space) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "message of %zu bytes", n);
    }
    if (call->server && !call->headers_out) {
        enum hws_code code = hws_grpc__head_send_response(call, NULL);
        if (code != HWS_OK) {
            return hws_err_set(err, code, "response headers");
        }
    }
    hws_grpc_prefix_write(space, compressed, n);
    call->reserved = HWS_GRPC_PREFIX_BYTES + n;
    *out_space = space + HWS_GRPC_PREFIX_BYTES;
    return HWS_OK;
}

enum hws_code hws_grpc_call_reserve(struct hws_grpc_call *call, size_t n, uint8_t **out_space,
                                    struct hws_err *err)
{
    enum hws_code code = check_send(call, n, err);

    return code != HWS_OK ? code : reserve(call, false, n, out_space, err);
}

void hws_grpc_call_commit(struct hws_grpc_call *call)
{
    hws_assert(call->reserved > 0);
    hws_grpc_outq_commit(&call->tx, call->reserved);
    call->conn->unsent_bytes += call->reserved;
    hws_grpc__account_sync(call->conn);
    call->reserved = 0;
    call->n_sent++;
    call->conn->stats->messages_out++;
    if (call->check_ms == HWS_GRPC_NEVER) {
        hws_grpc__call_progress(call, 0);
    }
    if (!call->server && sends_one(call)) {
        call->half_closed = true;
    }
    hws_grpc__call_resume(call);
}

/* Copies one framed message into the queue. */
static enum hws_code queue(struct hws_grpc_call *call, bool compressed, const void *bytes, size_t n,
                           struct hws_err *err)
{
    uint8_t *space = NULL;
    enum hws_code code = reserve(call, compressed, n, &space, err);

    if (code != HWS_OK) {
        return code;
    }
    if (n > 0 && space != NULL) {
        memcpy(space, bytes, n);
    }
    hws_grpc_call_commit(call);
    return HWS_OK;
}

enum hws_code hws_grpc_call_send(struct hws_grpc_call *call, const void *bytes, size_t n,
                                 struct hws_err *err)
{
    struct hws_buf packed;
    enum hws_code code = check_send(call, n, err);

    if (code != HWS_OK || call->compress == HWS_GRPC_IDENTITY) {
        return code != HWS_OK ? code : queue(call, false, bytes, n, err);
    }
    hws_buf_init(&packed, 0);
    code = hws_grpc_deflate(call->compress, bytes, n, &packed, err);
    if (code == HWS_OK) {
        code = queue(call, true, hws_buf_peek(&packed), hws_buf_len(&packed), err);
    }
    hws_buf_deinit(&packed);
    return code;
}

enum hws_code hws_grpc_call_send_headers(struct hws_grpc_call *call,
                                         const struct hws_grpc_meta *meta, struct hws_err *err)
{
    if (!call->server || call->headers_out || !hws_grpc_call_can_send(call)) {
        return hws_err_set(err, HWS_E_STATE, "initial metadata is out or the call is over");
    }
    if (meta != NULL && meta->n_entries > HWS_GRPC_META_SENT_FIELDS) {
        return hws_err_set(err, HWS_E_INVALID, "%u metadata fields, at most %u", meta->n_entries,
                           HWS_GRPC_META_SENT_FIELDS);
    }
    enum hws_code code = hws_grpc__head_send_response(call, meta);
    if (code != HWS_OK) {
        return hws_err_set(err, code, "response headers");
    }
    hws_grpc__conn_wake(call->conn);
    return HWS_OK;
}

enum hws_code hws_grpc_call_compress(struct hws_grpc_call *call, enum hws_grpc_encoding encoding,
                                     struct hws_err *err)
{
    if (!call->server || call->headers_out || !hws_grpc_call_can_send(call)) {
        return hws_err_set(err, HWS_E_STATE, "too late to compress");
    }
    if (encoding != HWS_GRPC_IDENTITY && (call->peer_takes & 1u << encoding) == 0) {
        return hws_err_set(err, HWS_E_UNSUPPORTED, "the peer does not accept %s",
                           hws_grpc_encoding_name(encoding));
    }
    call->compress = encoding;
    return HWS_OK;
}

void hws_grpc_call_half_close(struct hws_grpc_call *call)
{
    if (!call->server && hws_grpc_call_can_send(call)) {
        call->half_closed = true;
        hws_grpc__call_resume(call);
    }
}

/* ---- nghttp2 asks for data ---- */

ssize_t hws_grpc__call_read(struct hws_grpc_call *call, size_t cap, uint32_t *data_flags)
{
    size_t n = call->tx.n_bytes < cap ? call->tx.n_bytes : cap;
    bool last = n == call->tx.n_bytes &&
                (call->server ? call->state != HWS_GRPC_CALL_OPEN : call->half_closed);

    if (n == 0 && !last) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (last) {
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
        if (call->server) {
            *data_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (hws_grpc__head_send_trailers(call) != HWS_OK) {
                hws_grpc__call_reset(call, NGHTTP2_ENHANCE_YOUR_CALM); /* RESOURCE_EXHAUSTED */
                return NGHTTP2_ERR_DEFERRED;
            }
        }
    }
    return (ssize_t)n;
}

enum hws_code hws_grpc__call_give(struct hws_grpc_call *call, size_t n)
{
    struct hws_grpc_conn *conn = call->conn;
    size_t before = call->tx.n_bytes;
    enum hws_code code = hws_grpc_out_move(&conn->out, &call->tx, &conn->spares->chunks, n);

    n = before - call->tx.n_bytes; /* what moved before memory ran out */
    conn->unsent_bytes -= n;
    if (call->tx.n_bytes == 0) {
        call->check_ms = HWS_GRPC_NEVER;
        call->moved = 0;
    } else {
        hws_grpc__call_progress(call, n);
    }
    return code;
}

/* ---- credit ---- */

void hws_grpc_call_set_credit(struct hws_grpc_call *call, uint32_t n_messages)
{
    call->credit_on = true;
    call->credit = n_messages;
    hws_grpc__call_poke(call);
}

void hws_grpc_call_grant(struct hws_grpc_call *call, uint32_t n_messages)
{
    call->credit_on = true;
    call->credit = n_messages > UINT32_MAX - call->credit ? UINT32_MAX : call->credit + n_messages;
    hws_grpc__call_poke(call);
}
