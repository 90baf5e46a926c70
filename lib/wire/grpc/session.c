/*
 * A connection's life: bytes in, bytes out, timers, drain and end.
 *
 * Happy path: init queues preface and SETTINGS; recv feeds nghttp2, whose callbacks (session_h2.c)
 * fill calls; pull collects frames; settle, at the end of each of these, runs what must not run
 * inside nghttp2: on_close, on_writable, delivery after a grant. Failure: hws_grpc__conn_end notes
 * the reason, wherever it is found; as soon as nghttp2 is left, GOAWAY is queued, every call ends
 * and input is dropped from then on.
 */
#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "base/str.h"
#include "session_priv.h"

#define PULL_BYTES       262144u
#define READ_ON_BYTES    131072u /* a server with more to write reads no more */
#define ACCOUNT_RETRY_MS 50u

static const uint32_t conn_moves[HWS_GRPC_CONN_N_STATES] = {
    [HWS_GRPC_CONN_OPEN] = HWS_FSM_TO(HWS_GRPC_CONN_NOTICED) | HWS_FSM_TO(HWS_GRPC_CONN_DRAINING) |
                           HWS_FSM_TO(HWS_GRPC_CONN_CLOSING) | HWS_FSM_TO(HWS_GRPC_CONN_CLOSED),
    [HWS_GRPC_CONN_NOTICED] = HWS_FSM_TO(HWS_GRPC_CONN_DRAINING) |
                              HWS_FSM_TO(HWS_GRPC_CONN_CLOSING) | HWS_FSM_TO(HWS_GRPC_CONN_CLOSED),
    [HWS_GRPC_CONN_DRAINING] = HWS_FSM_TO(HWS_GRPC_CONN_CLOSING) | HWS_FSM_TO(HWS_GRPC_CONN_CLOSED),
    [HWS_GRPC_CONN_CLOSING] = HWS_FSM_TO(HWS_GRPC_CONN_CLOSED),
    [HWS_GRPC_CONN_CLOSED] = 0,
};

void hws_grpc__conn_move(struct hws_grpc_conn *conn, enum hws_grpc_conn_state to)
{
    hws_fsm_move(conn_moves, &conn->state, (int)to);
}

/* ---- the end of a connection ---- */

int hws_grpc__conn_end(struct hws_grpc_conn *conn, uint32_t h2_error, enum hws_code code,
                       const char *text)
{
    if (!conn->ending) {
        conn->ending = true;
        conn->end_h2 = h2_error;
        conn->end_code = code;
        (void)hws_str_copy(conn->end_text, sizeof(conn->end_text), text);
    }
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int hws_grpc__count_control(struct hws_grpc_conn *conn, uint32_t n)
{
    if (hws_grpc_rate_take_n(&conn->control, n, conn->now_ms)) {
        return 0;
    }
    conn->stats->over_control_rate += conn->ending ? 0 : 1;
    return hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_BUSY,
                              "too_many_control_frames");
}

int hws_grpc__outbound_check(struct hws_grpc_conn *conn)
{
    if (nghttp2_session_get_outbound_queue_size(conn->h2) <= conn->cfg.limits.max_outbound_items) {
        return 0;
    }
    conn->stats->over_outbound += conn->ending ? 0 : 1;
    return hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_BUSY,
                              "too_many_queued_frames");
}

/* Time is cut into windows of a fixed length; any span of that length lies within two of them. */
static void turn_window(struct hws_grpc_conn *conn)
{
    uint64_t window_ms = conn->cfg.limits.provoked_window_ms;
    uint64_t past_ms = conn->now_ms - conn->provoked_since_ms;

    if (past_ms >= window_ms) {
        conn->n_provoked_before = past_ms < 2 * window_ms ? conn->n_provoked : 0;
        conn->n_provoked = 0;
        conn->provoked_since_ms = conn->now_ms - (window_ms == 0 ? 0 : past_ms % window_ms);
    }
}

int hws_grpc__conn_provoked(struct hws_grpc_conn *conn)
{
    conn->stats->resets_provoked++;
    turn_window(conn);
    conn->n_provoked++;
    if ((uint64_t)conn->n_provoked + conn->n_provoked_before <= conn->cfg.limits.provoked_max) {
        return 0;
    }
    conn->stats->over_provoked_rate++;
    return hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_BUSY,
                              "too_many_stream_errors");
}

static void end_all_calls(struct hws_grpc_conn *conn, const char *why)
{
    /* A callback may end other calls, so the list is walked by taking its first live stream each
     * time. */
    for (;;) {
        struct hws_grpc_call *found = NULL;
        HWS_LIST_FOREACH (it, tmp, &conn->calls) {
            struct hws_grpc_call *call = hws_container_of(it, struct hws_grpc_call, link);
            if (call->stream_id >= 0 || !call->server) {
                found = call;
                break;
            }
        }
        if (found == NULL) {
            return;
        }
        conn->stats->calls_lost++;
        hws_grpc__call_conn_gone(found, why);
    }
}

/* Carries out what hws_grpc__conn_end noted, once nghttp2 is left. */
static void run_end(struct hws_grpc_conn *conn)
{
    if (!conn->ending || conn->state >= HWS_GRPC_CONN_CLOSING) {
        return;
    }
    hws_grpc__conn_move(conn, HWS_GRPC_CONN_CLOSING);
    /* Without memory for the GOAWAY the transport is closed without one. */
    (void)nghttp2_submit_goaway(conn->h2, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(conn->h2), conn->end_h2,
                                (const uint8_t *)conn->end_text, strlen(conn->end_text));
    (void)nghttp2_session_terminate_session(conn->h2, conn->end_h2);
    end_all_calls(conn, conn->end_text[0] == '\0' ? "connection closed" : conn->end_text);
}

enum hws_code hws_grpc__conn_end_by_h2(struct hws_grpc_conn *conn, int h2_code)
{
    if (h2_code == NGHTTP2_ERR_NOMEM) {
        (void)hws_grpc__conn_end(conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM, "out of memory");
    } else if (h2_code == NGHTTP2_ERR_FLOODED || h2_code == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
        uint64_t *count = h2_code == NGHTTP2_ERR_FLOODED ? &conn->stats->over_outbound
                                                         : &conn->stats->over_continuations;
        *count += conn->ending ? 0 : 1;
        (void)hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_BUSY,
                                 nghttp2_strerror(h2_code));
    } else {
        conn->stats->conn_protocol_errors += conn->ending ? 0 : 1;
        (void)hws_grpc__conn_end(conn, NGHTTP2_PROTOCOL_ERROR, HWS_E_PROTO,
                                 nghttp2_strerror(h2_code));
    }
    return conn->end_code;
}

/* ---- calls of the connection ---- */

struct hws_grpc_call *hws_grpc__call_new(struct hws_grpc_conn *conn, int32_t stream_id)
{
    if (!hws_grpc__account_take_call(conn)) {
        return NULL;
    }
    struct hws_grpc_call *call = hws_grpc__spares_take_call(conn->spares);
    if (call == NULL) {
        hws_grpc__account_give_call(conn);
        return NULL;
    }
    hws_list_init(&call->link);
    hws_list_init(&call->poke_link);
    hws_list_init(&call->block_link);
    call->conn = conn;
    call->state = HWS_GRPC_CALL_OPEN;
    call->stream_id = stream_id;
    call->server = conn->cfg.server != NULL;
    call->began_ms = conn->now_ms;
    call->deadline_ms = HWS_GRPC_NEVER;
    call->check_ms = HWS_GRPC_NEVER;
    call->path = "";
    call->reader.max_bytes = conn->cfg.limits.max_recv_message_bytes;
    call->peer_meta.max_bytes = conn->cfg.limits.max_header_bytes;
    call->peer_meta.max_entries = conn->cfg.limits.max_header_fields;
    call->peer_trailers.max_bytes = conn->cfg.limits.max_header_bytes;
    call->peer_trailers.max_entries = conn->cfg.limits.max_header_fields;
    hws_list_push(&conn->calls, &call->link);
    conn->n_calls++;
    conn->idle_since_ms = HWS_GRPC_NEVER;
    conn->trim_at_ms = HWS_GRPC_NEVER;
    conn->stats->calls_started++;
    return call;
}

/* The connection and its accounts have one call less. */
static void uncount_call(struct hws_grpc_conn *conn, struct hws_grpc_call *call)
{
    hws_list_remove(&call->link);
    hws_list_remove(&call->poke_link);
    hws_list_remove(&call->block_link);
    conn->n_calls--;
    hws_grpc__account_give_call(conn);
    conn->spares->used_ms = conn->now_ms;
    if (conn->n_calls == 0) {
        conn->idle_since_ms = conn->now_ms;
        conn->trim_at_ms = conn->now_ms + HWS_GRPC_TRIM_MS;
    }
    conn->stats->calls_ended++;
}

void hws_grpc__call_undo(struct hws_grpc_call *call)
{
    uncount_call(call->conn, call);
    hws_grpc__call_free(call);
}

static void close_call(struct hws_grpc_conn *conn, struct hws_grpc_call *call)
{
    uncount_call(conn, call);
    conn->n_done--;
    hws_grpc__call_close(call);
    hws_grpc__spares_give_call(conn->spares, call);
}

static struct hws_grpc_call *next_writable(struct hws_grpc_conn *conn)
{
    const struct hws_grpc_limits *l = &conn->cfg.limits;

    if (hws_list_empty(&conn->blocked) || conn->unsent_bytes > l->max_unsent_conn_bytes / 2) {
        return NULL;
    }
    HWS_LIST_FOREACH (it, tmp, &conn->blocked) {
        struct hws_grpc_call *call = hws_container_of(it, struct hws_grpc_call, block_link);
        if (hws_grpc__account_full(call)) {
            conn->retry_ms = conn->now_ms + ACCOUNT_RETRY_MS; /* others' bytes: nobody will tell */
        } else if (call->tx.n_bytes <= l->max_unsent_call_bytes / 2) {
            hws_list_remove(it);
            return call;
        }
    }
    return NULL;
}

/* Runs everything that waits for nghttp2 to be left. */
static void settle(struct hws_grpc_conn *conn)
{
    for (;;) {
        run_end(conn);
        struct hws_list *it = hws_list_pop(&conn->poked);
        if (it != NULL) {
            hws_grpc__call_pump(hws_container_of(it, struct hws_grpc_call, poke_link));
            continue;
        }
        struct hws_grpc_call *call = next_writable(conn);
        if (call != NULL) {
            if (call->ops != NULL && call->ops->on_writable != NULL &&
                hws_grpc_call_can_send(call)) {
                call->ops->on_writable(call);
            }
            continue;
        }
        it = hws_list_pop(&conn->done);
        if (it == NULL) {
            return;
        }
        close_call(conn, hws_container_of(it, struct hws_grpc_call, link));
    }
}

void hws_grpc__conn_enter(struct hws_grpc_conn *conn, uint64_t now_ms)
{
    conn->depth++;
    if (now_ms > conn->now_ms) {
        conn->now_ms = now_ms;
    }
    if (conn->undated) {
        hws_grpc__calls_date(conn);
    }
}

void hws_grpc__conn_leave(struct hws_grpc_conn *conn)
{
    settle(conn);
    hws_grpc__account_sync(conn);
    conn->depth--;
}

void hws_grpc__conn_wake(struct hws_grpc_conn *conn)
{
    if (conn->depth == 0 && !conn->woken && conn->cfg.on_wake != NULL) {
        conn->woken = true;
        conn->cfg.on_wake(conn, conn->cfg.data);
    }
}

/* ---- public: init and deinit ---- */

enum hws_code hws_grpc_conn_init(struct hws_grpc_conn *conn, const struct hws_grpc_conn_config *cfg,
                                 uint64_t now_ms, struct hws_err *err)
{
    const struct hws_grpc_limits *l = &cfg->limits;

    if (l->max_frame_bytes < 16384 || l->max_frame_bytes > 16777215 || l->max_calls == 0 ||
        l->stream_window_bytes > INT32_MAX || l->conn_window_bytes > INT32_MAX) {
        return hws_err_set(err, HWS_E_INVALID, "frame, window or call limit out of range");
    }
    memset(conn, 0, sizeof(*conn));
    conn->cfg = *cfg;
    conn->stats = cfg->stats != NULL ? cfg->stats : &conn->own_stats;
    hws_grpc_spares_init(&conn->own_spares);
    conn->spares = cfg->spares != NULL ? cfg->spares : &conn->own_spares;
    conn->spares->used_ms = now_ms;
    conn->trim_at_ms = now_ms + HWS_GRPC_TRIM_MS;
    conn->now_ms = now_ms;
    conn->opened_ms = now_ms;
    conn->last_recv_ms = now_ms;
    conn->last_moved_ms = now_ms;
    conn->idle_since_ms = now_ms;
    conn->provoked_since_ms = now_ms;
    conn->ping_sent_ms = HWS_GRPC_NEVER;
    conn->drain_at_ms = HWS_GRPC_NEVER;
    conn->grace_at_ms = HWS_GRPC_NEVER;
    conn->last_ping_ms = HWS_GRPC_NEVER;
    conn->call_due_ms = HWS_GRPC_NEVER;
    conn->block_since_ms = HWS_GRPC_NEVER;
    conn->retry_ms = HWS_GRPC_NEVER;
    hws_grpc_scan_init(&conn->scan, cfg->server != NULL ? NGHTTP2_CLIENT_MAGIC_LEN : 0);
    hws_grpc_rate_init(&conn->control, l->control_burst, l->control_per_s, now_ms);
    hws_grpc_rate_init(&conn->resets, l->reset_burst, l->reset_per_s, now_ms);
    hws_list_init(&conn->calls);
    hws_list_init(&conn->done);
    hws_list_init(&conn->poked);
    hws_list_init(&conn->blocked);
    enum hws_code code = hws_grpc__h2_open(conn, err);
    if (code != HWS_OK) {
        hws_grpc_spares_trim(&conn->own_spares);
        memset(conn, 0, sizeof(*conn));
    }
    return code;
}

void hws_grpc_conn_deinit(struct hws_grpc_conn *conn)
{
    if (conn->h2 == NULL) {
        return;
    }
    hws_grpc_conn_lost(conn, "connection closed");
    nghttp2_session_del(conn->h2);
    hws_grpc_out_deinit(&conn->out, &conn->spares->chunks);
    conn->transport_bytes = 0;
    hws_grpc__account_sync(conn);
    hws_grpc_spares_trim(&conn->own_spares);
    memset(conn, 0, sizeof(*conn));
}

/* ---- public: bytes ---- */

/* Only one block can be unfinished, and it is that of the latest HEADERS. */
static void time_block(struct hws_grpc_conn *conn, uint32_t n_headers)
{
    if (!hws_grpc_scan_in_block(&conn->scan)) {
        conn->block_since_ms = HWS_GRPC_NEVER;
    } else if (n_headers > 0) {
        conn->block_since_ms = conn->now_ms;
    }
}

/* A peer that talks on past its own reset is told so; the library has dropped what it said. */
static void reset_again(struct hws_grpc_conn *conn, const struct hws_grpc_scanned *seen)
{
    for (uint32_t i = 0; i < seen->n_late && !conn->ending; i++) {
        if (nghttp2_submit_rst_stream(conn->h2, NGHTTP2_FLAG_NONE, (int32_t)seen->late[i],
                                      NGHTTP2_STREAM_CLOSED) != 0) {
            (void)hws_grpc__conn_end(conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM, "out of memory");
        }
    }
}

static void feed(struct hws_grpc_conn *conn, const uint8_t *bytes,
                 const struct hws_grpc_scanned *seen)
{
    conn->n_blocks_begun = 0;
    ssize_t rc = nghttp2_session_mem_recv(conn->h2, bytes, seen->n_good);
    if (rc < 0) {
        (void)hws_grpc__conn_end_by_h2(conn, (int)rc);
    }
    reset_again(conn, seen);
    (void)hws_grpc__outbound_check(conn);
    /* Header blocks of streams that are gone are decoded and dropped. */
    if (seen->n_headers > conn->n_blocks_begun) {
        (void)hws_grpc__count_control(conn, seen->n_headers - conn->n_blocks_begun);
    }
}

/* The library forgets streams that are closed, and would ignore what comes for them. */
static void end_at_fault(struct hws_grpc_conn *conn, enum hws_grpc_scan_fault fault)
{
    static const struct {
        uint32_t h2_error;
        const char *text;
    } ends[] = {
        [HWS_GRPC_SCAN_AFTER_END] = {NGHTTP2_STREAM_CLOSED,
                                     "frame on a stream that the peer has ended"},
        [HWS_GRPC_SCAN_OUT_OF_ORDER] = {NGHTTP2_PROTOCOL_ERROR,
                                        "stream number below those opened before"},
        [HWS_GRPC_SCAN_NO_TRAILERS] = {NGHTTP2_PROTOCOL_ERROR,
                                       "second header block that does not end its stream"},
    };

    if (conn->ending || fault == HWS_GRPC_SCAN_GOOD) {
        return;
    }
    conn->stats->conn_protocol_errors++;
    (void)hws_grpc__conn_end(conn, ends[fault].h2_error, HWS_E_PROTO, ends[fault].text);
}

enum hws_code hws_grpc_conn_recv(struct hws_grpc_conn *conn, const uint8_t *bytes, size_t n,
                                 uint64_t now_ms, struct hws_err *err)
{
    if (conn->state >= HWS_GRPC_CONN_CLOSING || n == 0) {
        return HWS_OK;
    }
    hws_grpc__conn_enter(conn, now_ms);
    conn->stats->bytes_in += n;
    conn->last_recv_ms = conn->now_ms;
    conn->ping_sent_ms = HWS_GRPC_NEVER; /* any byte shows that the peer lives */
    struct hws_grpc_scanned seen = hws_grpc_scan(&conn->scan, bytes, n);
    time_block(conn, seen.n_headers);
    if (hws_grpc__count_control(conn, seen.n_control) == 0) {
        feed(conn, bytes, &seen);
        end_at_fault(conn, seen.fault);
    }
    bool ended = conn->ending;
    hws_grpc__conn_leave(conn);
    if (!ended || conn->end_code == HWS_OK) {
        return HWS_OK;
    }
    return hws_err_set(err, conn->end_code, "%s", conn->end_text);
}

/* The stream of bytes may not go on, not even to a GOAWAY. */
static void break_off(struct hws_grpc_conn *conn)
{
    (void)hws_grpc__conn_end_by_h2(conn, NGHTTP2_ERR_NOMEM);
    hws_grpc__conn_move(conn, HWS_GRPC_CONN_CLOSED);
    end_all_calls(conn, "out of memory");
}

/* Collects frames until there are enough or none. */
static void fill_out(struct hws_grpc_conn *conn)
{
    while (conn->out.n_bytes < PULL_BYTES) {
        const uint8_t *bytes = NULL;
        ssize_t n = nghttp2_session_mem_send(conn->h2, &bytes);
        if (n == 0) {
            return;
        }
        if (n < 0 && conn->state < HWS_GRPC_CONN_CLOSING) {
            (void)hws_grpc__conn_end_by_h2(conn, (int)n);
            return;
        }
        if (n < 0 || hws_grpc_out_put(&conn->out, bytes, (size_t)n) != HWS_OK) {
            break_off(conn); /* no memory for a GOAWAY, or part of a frame is lost */
            return;
        }
    }
}

size_t hws_grpc_conn_pull_spans(struct hws_grpc_conn *conn, uint64_t now_ms, struct hws_span *spans,
                                size_t cap)
{
    if (conn->out.n_bytes == 0 && conn->state != HWS_GRPC_CONN_CLOSED) {
        hws_grpc__conn_enter(conn, now_ms);
        settle(conn);
        hws_grpc__spares_take_out(conn->spares, &conn->out.own);
        fill_out(conn);
        if (conn->ending && conn->state < HWS_GRPC_CONN_CLOSING) {
            settle(conn); /* what ended it is said now: nobody asks again until something happens */
            fill_out(conn);
        }
        if (conn->out.n_bytes > 0) {
            conn->last_moved_ms = conn->now_ms;
        } else {
            hws_grpc__spares_give_out(conn->spares, &conn->out.own);
        }
        hws_grpc__conn_leave(conn);
    }
    return hws_grpc_out_spans(&conn->out, spans, cap);
}

void hws_grpc_conn_pull(struct hws_grpc_conn *conn, uint64_t now_ms, const uint8_t **out_bytes,
                        size_t *out_n)
{
    struct hws_span span = {(const uint8_t *)"", 0};

    (void)hws_grpc_conn_pull_spans(conn, now_ms, &span, 1);
    *out_bytes = span.bytes;
    *out_n = span.n;
}

void hws_grpc_conn_sent(struct hws_grpc_conn *conn, size_t n, uint64_t now_ms)
{
    hws_grpc_out_sent(&conn->out, &conn->spares->chunks, n);
    if (conn->out.n_bytes == 0) {
        hws_grpc__spares_give_out(conn->spares, &conn->out.own);
    }
    conn->stats->bytes_out += n;
    conn->last_moved_ms = now_ms;
    hws_grpc__account_sync(conn);
}

void hws_grpc_conn_transport_holds(struct hws_grpc_conn *conn, size_t n)
{
    if (conn->h2 != NULL) {
        conn->transport_bytes = n;
        hws_grpc__account_sync(conn);
    }
}

bool hws_grpc_conn_want_read(const struct hws_grpc_conn *conn)
{
    bool room = conn->cfg.server == NULL || conn->out.n_bytes <= READ_ON_BYTES;

    return conn->state < HWS_GRPC_CONN_CLOSING && room;
}

bool hws_grpc_conn_want_close(const struct hws_grpc_conn *conn)
{
    if (conn->state == HWS_GRPC_CONN_CLOSED) {
        return true;
    }
    /* After a peer's GOAWAY and its last call nghttp2 reads no more: the end is ours to make. */
    bool idle = conn->n_calls == 0 &&
                (conn->state == HWS_GRPC_CONN_DRAINING || nghttp2_session_want_read(conn->h2) == 0);
    return (conn->state == HWS_GRPC_CONN_CLOSING || idle) && conn->out.n_bytes == 0 &&
           nghttp2_session_want_write(conn->h2) == 0;
}

/* ---- public: ends ---- */

void hws_grpc_conn_close(struct hws_grpc_conn *conn)
{
    if (conn->h2 == NULL || conn->state >= HWS_GRPC_CONN_CLOSING) {
        return;
    }
    (void)hws_grpc__conn_end(conn, NGHTTP2_NO_ERROR, HWS_OK, "connection closed");
    hws_grpc__conn_wake(conn);
}

void hws_grpc_conn_lost(struct hws_grpc_conn *conn, const char *why)
{
    if (conn->h2 == NULL) {
        return;
    }
    conn->depth++;
    if (conn->state != HWS_GRPC_CONN_CLOSED) {
        if (!conn->ending) {
            conn->ending = true;
            conn->end_code = HWS_E_GONE;
            (void)hws_str_copy(conn->end_text, sizeof(conn->end_text), why);
        }
        hws_grpc__conn_move(conn, HWS_GRPC_CONN_CLOSED);
    }
    end_all_calls(conn, why);
    /* Handlers that still work are told by on_close; nothing of the call is left. */
    HWS_LIST_FOREACH (it, tmp, &conn->calls) {
        struct hws_grpc_call *call = hws_container_of(it, struct hws_grpc_call, link);
        hws_grpc__call_move(call, HWS_GRPC_CALL_DONE);
    }
    settle(conn);
    hws_grpc__account_sync(conn);
    conn->depth--;
}

void *hws_grpc_conn_data(const struct hws_grpc_conn *conn)
{
    return conn->cfg.data;
}

uint32_t hws_grpc_conn_n_calls(const struct hws_grpc_conn *conn)
{
    return conn->n_calls;
}

enum hws_code hws_grpc_conn_end(const struct hws_grpc_conn *conn, const char **out_text)
{
    if (out_text != NULL) {
        *out_text = conn->end_text;
    }
    return conn->ending ? conn->end_code : HWS_OK;
}
