/*
 * How a call ends.
 *
 * Happy path, server: finish; the status follows the last byte; the stream closes; on_close.
 * Client: the peer's trailers; every message is delivered; on_close. Ends that are not asked for:
 * the peer's reset, the deadline, a limit, no progress, the connection. A server tells its handler
 * by on_cancel and keeps the call until finish; a client resets the stream and is done.
 */
#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "session_priv.h"

static const uint32_t call_moves[HWS_GRPC_CALL_N_STATES] = {
    [HWS_GRPC_CALL_OPEN] = HWS_FSM_TO(HWS_GRPC_CALL_FINISHING) | HWS_FSM_TO(HWS_GRPC_CALL_ORPHAN) |
                           HWS_FSM_TO(HWS_GRPC_CALL_DONE),
    [HWS_GRPC_CALL_FINISHING] = HWS_FSM_TO(HWS_GRPC_CALL_DONE),
    [HWS_GRPC_CALL_ORPHAN] = HWS_FSM_TO(HWS_GRPC_CALL_FINISHING) | HWS_FSM_TO(HWS_GRPC_CALL_DONE),
    [HWS_GRPC_CALL_DONE] = 0,
};

/* ---- states ---- */

static void drop_unsent(struct hws_grpc_call *call)
{
    call->conn->unsent_bytes -= call->tx.n_bytes;
    hws_grpc_outq_clear(&call->tx, &call->conn->spares->chunks);
    call->reserved = 0;
}

void hws_grpc__call_reset(struct hws_grpc_call *call, uint32_t h2_error)
{
    if (call->stream_id < 0 || call->rst_out) {
        return;
    }
    call->rst_out = true;
    if (nghttp2_submit_rst_stream(call->conn->h2, NGHTTP2_FLAG_NONE, call->stream_id, h2_error) !=
        0) {
        (void)hws_grpc__conn_end(call->conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM, "out of memory");
    }
}

/* A finished call forgets its stream; one that is not over on the wire is reset. */
static void detach(struct hws_grpc_call *call)
{
    drop_unsent(call);
    if (call->stream_id < 0) {
        return;
    }
    if (!call->half_closed || !call->peer_done) {
        hws_grpc__call_reset(call,
                             hws_grpc_code_to_rst(call->from_peer ? HWS_GRPC_OK : call->code));
    }
    (void)nghttp2_session_set_stream_user_data(call->conn->h2, call->stream_id, NULL);
    call->stream_id = -1;
}

void hws_grpc__call_move(struct hws_grpc_call *call, enum hws_grpc_call_state to)
{
    hws_fsm_move(call_moves, &call->state, (int)to);
    if (to != HWS_GRPC_CALL_DONE) {
        return;
    }
    detach(call);
    hws_list_remove(&call->link);
    hws_list_push(&call->conn->done, &call->link);
    call->conn->n_done++;
    hws_grpc__conn_wake(call->conn);
}

void hws_grpc__call_poke(struct hws_grpc_call *call)
{
    hws_list_remove(&call->poke_link);
    hws_list_push(&call->conn->poked, &call->poke_link);
    hws_grpc__conn_wake(call->conn);
}

void hws_grpc__call_set_end(struct hws_grpc_call *call, enum hws_grpc_code code,
                            const char *message)
{
    size_t n = strnlen(message, HWS_GRPC_MESSAGE_BYTES);

    while (n == HWS_GRPC_MESSAGE_BYTES && n > 0 && ((uint8_t)message[n] & 0xc0) == 0x80) {
        n--; /* not within a UTF-8 character */
    }
    call->code = code;
    hws_buf_reset(&call->end_message);
    if (hws_buf_put(&call->end_message, message, n) != HWS_OK) {
        hws_buf_reset(&call->end_message); /* the code says enough */
    }
}

static struct hws_grpc_outcome outcome_of(struct hws_grpc_call *call)
{
    const char *text = hws_buf_len(&call->end_message) == 0 ? "" : hws_buf_cstr(&call->end_message);
    size_t n_details = hws_buf_len(&call->end_details);

    return (struct hws_grpc_outcome){
        .code = call->code,
        .message = text == NULL ? "" : text,
        .details = n_details == 0 ? NULL : hws_buf_peek(&call->end_details),
        .n_details = n_details,
        .trailers = &call->peer_trailers,
        .from_peer = call->from_peer,
        .unprocessed = call->unprocessed,
        .unsent = call->unprocessed && !call->headers_out,
    };
}

static void tell_cancel(struct hws_grpc_call *call)
{
    hws_grpc__call_move(call, HWS_GRPC_CALL_ORPHAN);
    if (call->ops != NULL && call->ops->on_cancel != NULL) {
        struct hws_grpc_outcome why = outcome_of(call);
        call->ops->on_cancel(call, &why);
    }
}

void hws_grpc__call_close(struct hws_grpc_call *call)
{
    call->conn->recv_bytes -= call->counted;
    call->counted = 0;
    call->conn->app_bytes -= call->app_bytes;
    call->app_bytes = 0;
    if (call->ops != NULL && call->ops->on_close != NULL) {
        struct hws_grpc_outcome outcome = outcome_of(call);
        call->ops->on_close(call, &outcome);
    }
}

void hws_grpc__call_free(struct hws_grpc_call *call)
{
    hws_grpc_meta_deinit(&call->peer_meta);
    hws_grpc_meta_deinit(&call->peer_trailers);
    hws_grpc_meta_deinit(&call->end_trailers);
    hws_grpc_reader_deinit(&call->reader);
    hws_buf_deinit(&call->held);
    hws_buf_deinit(&call->single);
    hws_buf_deinit(&call->end_message);
    hws_buf_deinit(&call->end_details);
    hws_mem_free(call);
}

/* ---- time ---- */

static void due_at(struct hws_grpc_call *call, uint64_t at_ms)
{
    if (at_ms < call->conn->call_due_ms) {
        call->conn->call_due_ms = at_ms;
    }
}

uint64_t hws_grpc__call_due(const struct hws_grpc_call *call)
{
    if (call->state == HWS_GRPC_CALL_OPEN) {
        return call->deadline_ms < call->check_ms ? call->deadline_ms : call->check_ms;
    }
    if (call->stream_id < 0 || call->rst_out) {
        return HWS_GRPC_NEVER;
    }
    /* What a finished handler left unsent has no more time than the call had. */
    bool timed = call->state == HWS_GRPC_CALL_FINISHING && !call->expired &&
                 call->deadline_ms < call->check_ms;
    return timed ? call->deadline_ms : call->check_ms;
}

void hws_grpc__call_progress(struct hws_grpc_call *call, size_t n)
{
    uint32_t progress_ms = call->conn->cfg.limits.progress_ms;

    call->moved += n;
    if (call->check_ms == HWS_GRPC_NEVER && progress_ms > 0) {
        call->moved = n;
        call->check_ms = call->conn->now_ms + progress_ms;
        call->undated = call->conn->depth == 0;
        call->conn->undated = call->conn->undated || call->undated;
        due_at(call, call->check_ms);
    }
}

void hws_grpc__calls_date(struct hws_grpc_conn *conn)
{
    HWS_LIST_FOREACH (it, tmp, &conn->calls) {
        struct hws_grpc_call *call = hws_container_of(it, struct hws_grpc_call, link);
        if (call->undated && call->check_ms != HWS_GRPC_NEVER) {
            call->check_ms = conn->now_ms + conn->cfg.limits.progress_ms;
        }
        call->undated = false;
    }
    conn->undated = false;
}

/* The handler is done or was told: what is left of the stream goes by a reset. */
static void cut_off(struct hws_grpc_call *call)
{
    drop_unsent(call);
    hws_grpc__call_reset(call, NGHTTP2_CANCEL);
}

static void expire_deadline(struct hws_grpc_call *call)
{
    call->conn->stats->calls_deadline++;
    call->expired = true;
    call->check_ms = HWS_GRPC_NEVER;
    if (call->state == HWS_GRPC_CALL_OPEN) {
        hws_grpc__call_fail(call, HWS_GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
    } else {
        cut_off(call);
    }
}

void hws_grpc__call_expire(struct hws_grpc_call *call)
{
    const struct hws_grpc_conn *conn = call->conn;
    const struct hws_grpc_limits *l = &conn->cfg.limits;

    if (call->deadline_ms <= conn->now_ms && !call->expired) {
        expire_deadline(call);
        return;
    }
    bool moved = call->moved >= l->progress_bytes;
    call->moved = 0;
    call->check_ms = moved ? conn->now_ms + l->progress_ms : HWS_GRPC_NEVER;
    if (moved) {
        return;
    }
    conn->stats->calls_stalled++;
    if (call->state == HWS_GRPC_CALL_OPEN) {
        hws_grpc__call_fail(call, HWS_GRPC_UNAVAILABLE, "no progress");
    } else {
        cut_off(call);
    }
}

/* ---- ends ---- */

/* Queues the status of a server call behind what is unsent. Without memory for it the stream is
 * reset, by the error that says RESOURCE_EXHAUSTED to a gRPC client. */
static void send_end(struct hws_grpc_call *call)
{
    if (call->stream_id < 0 || call->rst_out) {
        return;
    }
    if (call->headers_out) {
        /* The end of the data waits for the peer's window like data. */
        hws_grpc__call_progress(call, 0);
        hws_grpc__call_resume(call);
        return;
    }
    if (hws_grpc__head_send_status(call, 200) != HWS_OK) {
        hws_grpc__call_reset(call, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    hws_grpc__conn_wake(call->conn);
}

static bool window_shut(const struct hws_grpc_call *call)
{
    nghttp2_session *h2 = call->conn->h2;

    return nghttp2_session_get_stream_remote_window_size(h2, call->stream_id) <= 0 ||
           nghttp2_session_get_remote_window_size(h2) <= 0;
}

/* The server's end of a call whose unsent messages are not to be waited for. */
static void cut_short(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message)
{
    hws_grpc__call_set_end(call, code, message);
    call->from_peer = false;
    drop_unsent(call);
    if (call->headers_out && call->stream_id >= 0 && window_shut(call)) {
        hws_grpc__call_reset(
            call, hws_grpc_code_to_rst(code)); /* trailers would wait behind the window */
    }
}

void hws_grpc__call_fail(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message)
{
    if (call->state != HWS_GRPC_CALL_OPEN) {
        return;
    }
    if (!call->server) {
        hws_grpc__call_set_end(call, code, message);
        call->from_peer = false;
        hws_grpc__call_move(call, HWS_GRPC_CALL_DONE);
        return;
    }
    cut_short(call, code, message);
    tell_cancel(call);
    send_end(call);
}

void hws_grpc_call_abort(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message)
{
    hws_assert(call->server);
    if (call->state != HWS_GRPC_CALL_OPEN) {
        return;
    }
    cut_short(call, code, message);
    hws_grpc__call_move(call, HWS_GRPC_CALL_ORPHAN);
    send_end(call);
    hws_grpc__conn_wake(call->conn);
}

/* The call has a stream no longer, and what it had to send goes nowhere; a call that was finishing
 * is done. False: its end is known already. */
static bool lose_stream(struct hws_grpc_call *call)
{
    call->stream_id = -1;
    drop_unsent(call);
    if (call->state == HWS_GRPC_CALL_FINISHING) {
        hws_grpc__call_move(call, HWS_GRPC_CALL_DONE);
        return false;
    }
    return call->state == HWS_GRPC_CALL_OPEN;
}

void hws_grpc__call_stream_gone(struct hws_grpc_call *call, uint32_t h2_error)
{
    if (!lose_stream(call)) {
        return;
    }
    if (call->server) {
        call->conn->stats->calls_cancelled++;
        hws_grpc__call_set_end(call, HWS_GRPC_CANCELLED, "the client reset the stream");
        tell_cancel(call);
        return;
    }
    if (call->peer_done) {
        return; /* the status is there; messages may still wait for credit */
    }
    call->from_peer = false; /* trailers without END_STREAM: nghttp2 refused them */
    call->unprocessed = h2_error == NGHTTP2_REFUSED_STREAM;
    if (h2_error == NGHTTP2_CANCEL && call->deadline_ms <= call->conn->now_ms) {
        /* The server's clock was a little ahead of our timer. */
        call->conn->stats->calls_deadline++;
        hws_grpc__call_set_end(call, HWS_GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
    } else {
        hws_grpc__call_set_end(call, hws_grpc_code_of_rst(h2_error),
                               call->unprocessed ? "refused: nothing was processed"
                                                 : "stream reset by the server");
    }
    hws_grpc__call_move(call, HWS_GRPC_CALL_DONE);
}

void hws_grpc__call_conn_gone(struct hws_grpc_call *call, const char *why)
{
    if (call->stream_id >= 0) {
        (void)nghttp2_session_set_stream_user_data(call->conn->h2, call->stream_id, NULL);
    }
    if (!lose_stream(call)) {
        return;
    }
    hws_grpc__call_set_end(call, HWS_GRPC_UNAVAILABLE, why);
    if (call->server) {
        tell_cancel(call);
        return;
    }
    call->from_peer = false;
    call->unprocessed = !call->headers_out;
    hws_grpc__call_move(call, HWS_GRPC_CALL_DONE);
}

void hws_grpc_call_finish(struct hws_grpc_call *call, enum hws_grpc_code code, const char *message,
                          const void *details, size_t n_details,
                          const struct hws_grpc_meta *trailers)
{
    hws_assert(call->server);
    if (call->state == HWS_GRPC_CALL_ORPHAN) {
        hws_grpc__call_move(call,
                            call->stream_id < 0 ? HWS_GRPC_CALL_DONE : HWS_GRPC_CALL_FINISHING);
        return;
    }
    if (call->state != HWS_GRPC_CALL_OPEN) {
        return;
    }
    hws_grpc__call_set_end(call, code, message == NULL ? "" : message);
    if (n_details > 0 && n_details <= HWS_GRPC_DETAILS_BYTES &&
        hws_buf_put(&call->end_details, details, n_details) != HWS_OK) {
        hws_buf_reset(&call->end_details);
    }
    for (uint32_t i = 0; trailers != NULL && i < trailers->n_entries; i++) {
        struct hws_span name;
        struct hws_span value;
        hws_grpc_meta_at(trailers, i, &name, &value);
        if (hws_grpc_meta_add(&call->end_trailers, (const char *)name.bytes, value.bytes, value.n,
                              NULL) != HWS_OK) {
            break;
        }
    }
    hws_grpc__call_move(call, HWS_GRPC_CALL_FINISHING);
    send_end(call);
}

void hws_grpc_call_finish_text(struct hws_grpc_call *call, enum hws_grpc_code code,
                               const char *message)
{
    hws_grpc_call_finish(call, code, message, NULL, 0, NULL);
}

void hws_grpc_call_cancel(struct hws_grpc_call *call)
{
    if (!call->server) {
        hws_grpc__call_fail(call, HWS_GRPC_CANCELLED, "cancelled by the caller");
        return;
    }
    if (call->state == HWS_GRPC_CALL_DONE) {
        return;
    }
    drop_unsent(call);
    hws_grpc__call_reset(call, NGHTTP2_CANCEL);
    if (call->state == HWS_GRPC_CALL_OPEN) {
        hws_grpc__call_set_end(call, HWS_GRPC_CANCELLED, "aborted");
        hws_grpc__call_move(call, HWS_GRPC_CALL_ORPHAN);
    }
    hws_grpc__conn_wake(call->conn);
}
