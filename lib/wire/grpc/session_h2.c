/*
 * nghttp2's side of a connection: options, callbacks and what each frame means for the limits.
 *
 * nghttp2 keeps HTTP/2's rules; what it does not stop by itself is counted here: control frames,
 * rapid reset, resets that a peer's frames provoke, early pings, fields and bytes of header blocks.
 * A callback that finds a limit broken notes it with hws_grpc__conn_end and fails, so that nghttp2
 * is fed nothing more.
 */
#include <string.h>

#include "base/bits.h"
#include "session_priv.h"

#define FRAME_HEAD_BYTES 9u
#define SEND_FRAME_BYTES 262144u /* a DATA frame of ours at most, if the peer takes it */
#define TOKENS_PER_DATA  3u      /* control frames that a DATA frame may cost the peer, */
#define TOKENS_EVERY     16384u  /* and as many more for each such piece of it */
#define RESET_BACKSTOP   2u      /* nghttp2's own rate limits stand behind ours */

static struct hws_grpc_call *call_of(nghttp2_session *h2, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(h2, stream_id);
}

/* ---- frames in ---- */

static int on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *hd, void *data)
{
    struct hws_grpc_conn *conn = data;

    (void)h2;
    (void)hd;
    return hws_grpc__outbound_check(conn);
}

/* A stream over the limit is refused, and costs like a control frame. */
static int refuse(struct hws_grpc_conn *conn, int32_t stream_id)
{
    conn->stats->calls_refused++;
    if (hws_grpc__count_control(conn, 1) != 0) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (nghttp2_submit_rst_stream(conn->h2, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM) !=
        0) {
        return hws_grpc__conn_end(conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM, "out of memory");
    }
    return 0;
}

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    struct hws_grpc_conn *conn = data;
    int32_t stream_id = frame->hd.stream_id;
    struct hws_grpc_call *call = call_of(h2, stream_id);

    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    conn->block_fields = 0;
    conn->block_bytes = 0;
    conn->n_blocks_begun++;
    if (call == NULL && conn->cfg.server != NULL && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        /* Calls that are done go when nghttp2 is left; their peer knows them gone already. */
        uint32_t n_live = conn->n_calls - conn->n_done;
        if (n_live >= conn->cfg.limits.max_calls || conn->state >= HWS_GRPC_CONN_DRAINING) {
            return refuse(conn, stream_id);
        }
        call = hws_grpc__call_new(conn, stream_id);
        if (call == NULL) {
            return refuse(conn, stream_id);
        }
        (void)nghttp2_session_set_stream_user_data(h2, stream_id, call);
    }
    if (call != NULL) {
        hws_grpc__head_begin(call);
    }
    return 0;
}

/* Counts one field against what makes a block a bomb, whether its stream is served or not. */
static int count_field(struct hws_grpc_conn *conn, size_t n_name, size_t n_value)
{
    const struct hws_grpc_limits *l = &conn->cfg.limits;

    conn->block_fields++;
    conn->block_bytes += (uint32_t)(n_name + n_value + HWS_GRPC_FIELD_COST);
    if (conn->block_fields <= l->bomb_header_fields && conn->block_bytes <= l->bomb_header_bytes) {
        return 0;
    }
    conn->stats->over_header_bomb++;
    return hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_BUSY, "header_bomb");
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *data)
{
    struct hws_grpc_call *call = call_of(h2, frame->hd.stream_id);
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
    nghttp2_vec v = nghttp2_rcbuf_get_buf(value);

    (void)flags;
    if (call != NULL) {
        hws_grpc__head_field(call, n.base, n.len, v.base, v.len);
    }
    return count_field(data, n.len, v.len);
}

/* A field that HTTP forbids (an empty name, a control byte): nghttp2 leaves it out, but it was
 * sent, and decoded. */
static int on_invalid_header(nghttp2_session *h2, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *data)
{
    struct hws_grpc_call *call = call_of(h2, frame->hd.stream_id);
    size_t n_name = nghttp2_rcbuf_get_buf(name).len;
    size_t n_value = nghttp2_rcbuf_get_buf(value).len;

    (void)flags;
    if (call != NULL) {
        hws_grpc__head_count(call, n_name, n_value);
    }
    return count_field(data, n_name, n_value);
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
                   size_t n, void *data)
{
    struct hws_grpc_conn *conn = data;
    struct hws_grpc_call *call = call_of(h2, stream_id);

    (void)flags;
    /* The connection's window reopens at once, so that one paused call does not stop the others; a
     * stream's reopens when its call has read. */
    if (nghttp2_session_consume_connection(h2, n) != 0) {
        return hws_grpc__conn_end(conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM, "out of memory");
    }
    if (call == NULL) {
        (void)nghttp2_session_consume_stream(h2, stream_id, n);
        return conn->ending ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    }
    hws_grpc__call_data(call, bytes, n);
    return conn->ending ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_ping(struct hws_grpc_conn *conn, const nghttp2_ping *ping)
{
    const struct hws_grpc_limits *l = &conn->cfg.limits;

    if ((ping->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
        if (memcmp(ping->opaque_data, "draining", 8) == 0 && conn->state == HWS_GRPC_CONN_NOTICED) {
            conn->drain_at_ms = conn->now_ms;
        }
        return 0;
    }
    if (conn->cfg.server == NULL || l->ping_min_interval_ms == 0) {
        return 0;
    }
    uint64_t last_ms = conn->last_ping_ms;
    bool idle = conn->n_calls == 0 && l->ping_without_calls == 0;
    /* Without calls the interval is that of gRPC's own servers, two hours (grpc/doc/keepalive.md).
     */
    uint64_t least_ms = idle ? 7200000u : l->ping_min_interval_ms;
    bool early = last_ms != HWS_GRPC_NEVER && conn->now_ms - last_ms < least_ms;
    conn->last_ping_ms = conn->now_ms;
    if (conn->sent_since_ping) {
        conn->sent_since_ping = false;
        conn->ping_strikes = 0;
        return 0;
    }
    if (!early || ++conn->ping_strikes <= l->ping_strikes) {
        return 0;
    }
    conn->stats->over_ping_rate++;
    return hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_BUSY, "too_many_pings");
}

/* Work begun and thrown away at once is an attack; the end of a wait is not. Of old calls there are
 * no more than max_calls in each reset_young_ms. */
static bool is_rapid(const struct hws_grpc_conn *conn, const struct hws_grpc_call *call)
{
    uint32_t young_ms = conn->cfg.limits.reset_young_ms;

    return call == NULL || young_ms == 0 || conn->now_ms - call->began_ms < young_ms;
}

static int on_rst(struct hws_grpc_conn *conn, int32_t stream_id)
{
    conn->stats->resets_in++;
    if (conn->cfg.server == NULL || !is_rapid(conn, call_of(conn->h2, stream_id)) ||
        hws_grpc_rate_take(&conn->resets, conn->now_ms)) {
        return 0;
    }
    conn->stats->over_reset_rate++;
    return hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_BUSY, "too_many_resets");
}

static void on_goaway(struct hws_grpc_conn *conn)
{
    conn->stats->conn_goaways++;
    if (conn->cfg.server == NULL && conn->state == HWS_GRPC_CONN_OPEN) {
        hws_grpc_conn_drain(conn, 0, conn->now_ms);
    }
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    struct hws_grpc_conn *conn = data;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct hws_grpc_call *call = NULL;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        call = call_of(h2, frame->hd.stream_id);
        if (call == NULL) {
            break;
        }
        if (call->server) {
            hws_grpc__server_headers(call);
        } else {
            hws_grpc__client_headers(call, end);
        }
        /* The callbacks may have let the stream go. */
        call = end ? call_of(h2, frame->hd.stream_id) : NULL;
        break;
    case NGHTTP2_DATA:
        call = end ? call_of(h2, frame->hd.stream_id) : NULL;
        break;
    case NGHTTP2_SETTINGS:
        conn->settled = true;
        break;
    case NGHTTP2_PING:
        return on_ping(conn, &frame->ping);
    case NGHTTP2_RST_STREAM:
        return on_rst(conn, frame->hd.stream_id);
    case NGHTTP2_GOAWAY:
        on_goaway(conn);
        break;
    default:
        break;
    }
    if (call != NULL) {
        hws_grpc__call_end_stream(call);
    }
    return conn->ending ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *data)
{
    (void)h2;
    (void)code;
    /* Errors of a stream are counted when their reset goes out. */
    return frame->hd.stream_id == 0 ? hws_grpc__conn_provoked(data) : 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream_id, uint32_t h2_error, void *data)
{
    struct hws_grpc_call *call = call_of(h2, stream_id);

    (void)data;
    if (call != NULL) {
        hws_grpc__call_stream_gone(call, h2_error);
    }
    /* Never a failure, even when the connection ends: nghttp2 before 1.55.1 then leaks a request
     * that could not be sent (CVE-2023-35945). The next callback stops the session. */
    return 0;
}

/* ---- frames out ---- */

static ssize_t on_data_length(nghttp2_session *h2, uint8_t type, int32_t stream_id,
                              int32_t conn_window, int32_t stream_window, uint32_t peer_frame,
                              void *data)
{
    const struct hws_grpc_call *call = call_of(h2, stream_id);
    uint32_t n = SEND_FRAME_BYTES;

    (void)data;
    (void)type;
    /* nghttp2 makes room for what is said here: no more than there is. */
    if (call != NULL && call->tx.n_bytes < n) {
        n = call->tx.n_bytes == 0 ? 1 : (uint32_t)call->tx.n_bytes;
    }
    n = n < peer_frame ? n : peer_frame;
    n = (int64_t)n < conn_window ? n : (uint32_t)(conn_window < 0 ? 0 : conn_window);
    n = (int64_t)n < stream_window ? n : (uint32_t)(stream_window < 0 ? 0 : stream_window);
    return (ssize_t)n;
}

/* The data source of every stream that we send on. */
static int on_send_data(nghttp2_session *h2, nghttp2_frame *frame, const uint8_t *head, size_t n,
                        nghttp2_data_source *source, void *data)
{
    struct hws_grpc_conn *conn = data;
    struct hws_grpc_call *call = call_of(h2, frame->hd.stream_id);

    (void)source;
    if (call == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (hws_grpc_out_put(&conn->out, head, FRAME_HEAD_BYTES) != HWS_OK ||
        hws_grpc__call_give(call, n) != HWS_OK) {
        return hws_grpc__conn_end(conn, NGHTTP2_INTERNAL_ERROR, HWS_E_NOMEM, "out of memory");
    }
    return 0;
}

static void on_status_sent(struct hws_grpc_conn *conn, struct hws_grpc_call *call)
{
    if (call == NULL || !call->server || call->peer_done || call->rst_out) {
        return;
    }
    if (call->not_grpc && conn->cfg.limits.progress_ms > 0) {
        /* What is no gRPC client may not know that an answer can come early: the rest of its
         * request has the time that progress has. */
        hws_grpc__call_progress(call, 0);
        return;
    }
    /* The client need not send the rest. NO_ERROR even at a deadline: a client that reads both
     * frames at once takes another code for the call's end in place of the status. */
    hws_grpc__call_reset(call, NGHTTP2_NO_ERROR);
}

static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    struct hws_grpc_conn *conn = data;
    struct hws_grpc_call *call = NULL;

    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        conn->sent_since_ping = true;
        conn->control.milli_tokens +=
            (uint64_t)TOKENS_PER_DATA * 1000 * (1 + frame->hd.length / TOKENS_EVERY);
        break;
    case NGHTTP2_HEADERS:
        conn->sent_since_ping = true;
        call = call_of(h2, frame->hd.stream_id);
        if (call != NULL) {
            call->headers_out = true;
        }
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            on_status_sent(conn, call);
        }
        break;
    case NGHTTP2_RST_STREAM:
        call = call_of(h2, frame->hd.stream_id);
        if (conn->cfg.server != NULL && (call == NULL || !call->rst_out) &&
            frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM) {
            (void)hws_grpc__conn_provoked(conn);
        }
        break;
    case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !conn->ending) {
            conn->stats->conn_protocol_errors++;
            (void)hws_grpc__conn_end(conn, frame->goaway.error_code, HWS_E_PROTO,
                                     nghttp2_http2_strerror(frame->goaway.error_code));
        }
        break;
    default:
        break;
    }
    return 0;
}

/* Once the connection is to end, what a peer provoked goes unsent: the GOAWAY says it all. */
static int on_before_send(nghttp2_session *h2, const nghttp2_frame *frame, void *data)
{
    const struct hws_grpc_conn *conn = data;

    (void)h2;
    return conn->ending && frame->hd.type == NGHTTP2_RST_STREAM ? NGHTTP2_ERR_CANCEL : 0;
}

static int on_frame_not_send(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *data)
{
    struct hws_grpc_conn *conn = data;

    (void)h2;
    (void)code;
    if (frame->hd.type != NGHTTP2_HEADERS || conn->cfg.server != NULL) {
        return 0;
    }
    /* A request that never left has no stream to find its call by. */
    HWS_LIST_FOREACH (it, tmp, &conn->calls) {
        struct hws_grpc_call *call = hws_container_of(it, struct hws_grpc_call, link);
        if (call->stream_id == frame->hd.stream_id) {
            hws_grpc__call_stream_gone(call, NGHTTP2_REFUSED_STREAM);
            break;
        }
    }
    return 0;
}

/* ---- set-up ---- */

static void *h2_malloc(size_t n, void *data)
{
    return hws_grpc_pool_alloc(data, n);
}

static void h2_free(void *p, void *data)
{
    hws_grpc_pool_free(data, p);
}

static void *h2_calloc(size_t count, size_t size, void *data)
{
    return hws_grpc_pool_zalloc(data, count, size);
}

static void *h2_realloc(void *p, size_t n, void *data)
{
    return hws_grpc_pool_realloc(data, p, n);
}

static void set_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_data_length);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_before_frame_send_callback(cb, on_before_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
}

static void set_options(nghttp2_option *option, const struct hws_grpc_limits *l)
{
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_reserved_remote_streams(option, 0);
    nghttp2_option_set_max_outbound_ack(option, l->max_outbound_acks);
    nghttp2_option_set_max_settings(option, l->max_settings);
    nghttp2_option_set_max_continuations(option, l->max_continuations);
    /* nghttp2 counts resets of old calls too. */
    uint64_t old_per_s =
        l->reset_young_ms == 0 ? 0 : (uint64_t)l->max_calls * 1000 / l->reset_young_ms;
    nghttp2_option_set_stream_reset_rate_limit(option,
                                               (l->reset_burst + old_per_s) * RESET_BACKSTOP,
                                               (l->reset_per_s + old_per_s) * RESET_BACKSTOP);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, l->hpack_table_bytes);
}

static int submit_settings(struct hws_grpc_conn *conn)
{
    const struct hws_grpc_limits *l = &conn->cfg.limits;
    bool server = conn->cfg.server != NULL;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, l->max_frame_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->max_header_bytes},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, l->hpack_table_bytes},
        {server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         server ? l->max_calls : 0},
    };
    int rc = nghttp2_submit_settings(conn->h2, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(settings[0]));

    return rc != 0 ? rc
                   : nghttp2_session_set_local_window_size(conn->h2, NGHTTP2_FLAG_NONE, 0,
                                                           (int32_t)l->conn_window_bytes);
}

enum hws_code hws_grpc__h2_open(struct hws_grpc_conn *conn, struct hws_err *err)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_mem mem = {&conn->spares->blocks, h2_malloc, h2_free, h2_calloc, h2_realloc};
    int rc = nghttp2_session_callbacks_new(&callbacks);

    if (rc == 0) {
        rc = nghttp2_option_new(&option);
    }
    if (rc == 0) {
        set_callbacks(callbacks);
        set_options(option, &conn->cfg.limits);
        rc = conn->cfg.server != NULL
                 ? nghttp2_session_server_new3(&conn->h2, callbacks, conn, option, &mem)
                 : nghttp2_session_client_new3(&conn->h2, callbacks, conn, option, &mem);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    if (rc == 0) {
        rc = submit_settings(conn);
        if (rc != 0) {
            nghttp2_session_del(conn->h2);
        }
    }
    if (rc != 0) {
        return hws_err_set(err, rc == NGHTTP2_ERR_NOMEM ? HWS_E_NOMEM : HWS_E_INVALID,
                           "HTTP/2 session: %s", nghttp2_strerror(rc));
    }
    return HWS_OK;
}
