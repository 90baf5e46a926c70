/*
 * Bytes into messages: the reader, decompression, credit, the cardinality that the kind demands,
 * and the end of the peer's stream.
 *
 * A stream's window reopens by what its call has read. While there is no credit bytes are kept as
 * they came and the window stays shut, so a paused call holds at most one window. A message being
 * put together reopens the window as it grows, up to its limit and that of the connection.
 */
#include "session_priv.h"

static bool receiving(const struct hws_grpc_call *call)
{
    return call->state == HWS_GRPC_CALL_OPEN && !call->end_told;
}

static bool may_deliver(const struct hws_grpc_call *call)
{
    return !call->credit_on || call->credit > 0;
}

/* A server's request, or a client's response, that must be exactly one message. */
static bool one_message(const struct hws_grpc_call *call)
{
    if (call->server) {
        return call->kind == HWS_GRPC_UNARY || call->kind == HWS_GRPC_SERVER_STREAM;
    }
    return call->kind == HWS_GRPC_UNARY || call->kind == HWS_GRPC_CLIENT_STREAM;
}

static void consumed(struct hws_grpc_call *call, size_t n)
{
    if (call->stream_id >= 0 && n > 0 &&
        nghttp2_session_consume_stream(call->conn->h2, call->stream_id, n) == NGHTTP2_ERR_NOMEM) {
        (void)hws_grpc__conn_end(call->conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM, "out of memory");
    }
}

static void fail_by(struct hws_grpc_call *call, const struct hws_err *err)
{
    if (err->code == HWS_E_PROTO) {
        hws_grpc__call_fail(call, HWS_GRPC_INTERNAL, err->msg);
        return;
    }
    if (err->code == HWS_E_BUSY) {
        call->conn->stats->over_message_limit++;
    }
    hws_grpc__call_fail(call, HWS_GRPC_RESOURCE_EXHAUSTED, err->msg);
}

static void hand_out(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    if (call->credit_on) {
        call->credit--;
    }
    call->conn->stats->messages_in++;
    if (call->ops != NULL && call->ops->on_message != NULL) {
        call->ops->on_message(call, bytes, n);
    }
}

/* The one message of a request waits for the half close, lest work begins for a call that is
 * malformed. */
static void keep_single(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    if (hws_buf_put(&call->single, bytes, n) != HWS_OK) {
        hws_grpc__call_fail(call, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    }
}

static void deliver_plain(struct hws_grpc_call *call, struct hws_grpc_framed msg)
{
    call->n_recv++;
    if (one_message(call) && call->n_recv > 1) {
        hws_grpc__call_fail(call, HWS_GRPC_UNIMPLEMENTED,
                            "more than one message where one is expected");
        return;
    }
    if (one_message(call) && call->server) {
        keep_single(call, msg.bytes, msg.n);
        return;
    }
    hand_out(call, msg.bytes, msg.n);
}

/* The inflated message lives only as long as its handler looks at it: a small message of the peer
 * must not hold a large one here. */
static void deliver(struct hws_grpc_call *call, struct hws_grpc_framed msg)
{
    struct hws_buf plain;
    struct hws_err err;

    call->was_compressed = msg.compressed;
    if (!msg.compressed) {
        deliver_plain(call, msg);
        return;
    }
    call->conn->stats->inflated++;
    if (call->encoding == HWS_GRPC_IDENTITY || call->encoding == HWS_GRPC_N_ENCODINGS) {
        hws_grpc__call_fail(call, HWS_GRPC_INTERNAL, "compressed message without grpc-encoding");
        return;
    }
    hws_buf_init(&plain, 0);
    if (hws_grpc_inflate(call->encoding, msg.bytes, msg.n, call->reader.max_bytes, &plain, &err) ==
        HWS_OK) {
        msg.bytes = hws_buf_peek(&plain);
        msg.n = hws_buf_len(&plain);
        deliver_plain(call, msg);
    } else {
        fail_by(call, &err);
    }
    hws_buf_deinit(&plain);
}

static void note_held(struct hws_grpc_call *call)
{
    struct hws_grpc_conn *conn = call->conn;
    size_t holds =
        hws_buf_len(&call->reader.body) + hws_buf_len(&call->held) + hws_buf_len(&call->single);

    conn->recv_bytes = conn->recv_bytes - call->counted + holds;
    call->counted = holds;
    hws_grpc__account_sync(conn);
}

/* Counts what the call holds of messages that no handler has taken against the connection's ceiling
 * and its accounts. */
static bool count_held(struct hws_grpc_call *call)
{
    const struct hws_grpc_conn *conn = call->conn;

    note_held(call);
    if (conn->recv_bytes > conn->cfg.limits.max_recv_conn_bytes) {
        conn->stats->over_recv_limit++;
        hws_grpc__call_fail(call, HWS_GRPC_RESOURCE_EXHAUSTED,
                            "too many bytes of unfinished messages on this connection");
        return false;
    }
    if (hws_grpc__account_full(call)) {
        conn->stats->over_account++;
        hws_grpc__call_fail(call, HWS_GRPC_RESOURCE_EXHAUSTED,
                            "too many bytes of unfinished messages of this caller");
        return false;
    }
    return true;
}

/* What a server's peer has sent holds no memory once it was taken, however long its call goes on. A
 * client keeps the buffer for the server's next message. */
static void let_go(const struct hws_grpc_call *call, struct hws_buf *b)
{
    if (call->server && hws_buf_len(b) == 0) {
        hws_grpc__drop_buf(b);
    }
}

/* Reads messages while there is credit; returns the bytes taken. */
static size_t read_messages(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    size_t left = n;

    while (left > 0 && receiving(call) && may_deliver(call)) {
        struct hws_grpc_framed msg = {0};
        struct hws_err err;
        bool whole = false;
        enum hws_code code = hws_grpc_reader_next(&call->reader, &bytes, &left, &whole, &msg, &err);
        if (!count_held(call)) {
            break;
        }
        if (code != HWS_OK) {
            fail_by(call, &err);
            break;
        }
        if (whole) {
            deliver(call, msg);
            let_go(call, &call->reader.body);
        }
    }
    return n - left;
}

/* The peer owes the rest of a message, or the one message of a request. */
static bool peer_owes(const struct hws_grpc_call *call)
{
    return receiving(call) && !call->peer_done && hws_buf_len(&call->held) == 0 &&
           (hws_grpc_reader_midway(&call->reader) || (call->server && one_message(call)));
}

void hws_grpc__call_expect(struct hws_grpc_call *call)
{
    if (peer_owes(call)) {
        hws_grpc__call_progress(call, 0);
    }
}

static void watch_progress(struct hws_grpc_call *call, size_t n)
{
    if (peer_owes(call)) {
        hws_grpc__call_progress(call, n);
    } else if (call->tx.n_bytes == 0) {
        call->check_ms = HWS_GRPC_NEVER;
    }
}

void hws_grpc__call_data(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    if (!receiving(call)) {
        consumed(call, n);
        return;
    }
    size_t taken = hws_buf_len(&call->held) > 0 ? 0 : read_messages(call, bytes, n);
    if (!receiving(call)) {
        consumed(call, n);
        return;
    }
    consumed(call, taken);
    if (taken < n && hws_buf_put(&call->held, bytes + taken, n - taken) != HWS_OK) {
        hws_grpc__call_fail(call, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    if (count_held(call)) {
        watch_progress(call, n);
    }
}

/* What END_STREAM means once every byte before it is read. */
static void end_server(struct hws_grpc_call *call)
{
    if (one_message(call)) {
        if (call->n_recv == 0) {
            hws_grpc__call_fail(call, HWS_GRPC_UNIMPLEMENTED, "no message where one is expected");
            return;
        }
        if (!may_deliver(call)) {
            return;
        }
        hand_out(call, hws_buf_peek(&call->single), hws_buf_len(&call->single));
        hws_grpc__drop_buf(&call->single); /* the handler has seen it; its answer is charged, too */
        note_held(call);
    }
    call->end_told = true;
    if (call->state == HWS_GRPC_CALL_OPEN && call->ops != NULL &&
        call->ops->on_half_close != NULL) {
        call->ops->on_half_close(call);
    }
}

static void end_client(struct hws_grpc_call *call)
{
    call->end_told = true;
    if (!call->from_peer) {
        hws_grpc__call_set_end(call, HWS_GRPC_INTERNAL, "stream ended without a status");
    } else if (call->code == HWS_GRPC_OK && one_message(call) && call->n_recv == 0) {
        hws_grpc__call_set_end(call, HWS_GRPC_UNIMPLEMENTED, "no message where one is expected");
    }
    hws_grpc__call_move(call, HWS_GRPC_CALL_DONE);
}

void hws_grpc__call_pump(struct hws_grpc_call *call)
{
    if (hws_buf_len(&call->held) > 0 && receiving(call)) {
        size_t taken = read_messages(call, hws_buf_peek(&call->held), hws_buf_len(&call->held));
        hws_buf_take(&call->held, taken);
        let_go(call, &call->held);
        consumed(call, taken);
        (void)count_held(call);
    }
    if (!receiving(call) || !call->peer_done || hws_buf_len(&call->held) > 0) {
        return;
    }
    if (hws_grpc_reader_midway(&call->reader) && (call->server || call->code == HWS_GRPC_OK)) {
        hws_grpc__call_fail(call, HWS_GRPC_INTERNAL, "stream ended within a message");
        return;
    }
    if (call->server) {
        end_server(call);
    } else {
        end_client(call);
    }
}

void hws_grpc__call_end_stream(struct hws_grpc_call *call)
{
    call->peer_done = true;
    if (call->state == HWS_GRPC_CALL_OPEN && call->tx.n_bytes == 0) {
        call->check_ms = HWS_GRPC_NEVER; /* the peer owes nothing any more */
    }
    hws_grpc__call_pump(call);
}
