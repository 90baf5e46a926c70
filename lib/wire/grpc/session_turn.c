/*
 * A connection's clock: what is due by time, and draining.
 *
 * Every timer is a function that says when it is due (or HWS_GRPC_NEVER); turn runs what is, and
 * returns the least of them. Nothing is armed or cancelled, so nothing can be left armed.
 */
#include "base/buf.h"
#include "session_priv.h"

#define SPREAD_PER_MILLE 200u /* grpc proposal A9: a tenth either way; here never later */

static uint64_t min_ms(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void run_calls(struct hws_grpc_conn *conn)
{
    while (conn->now_ms >= conn->call_due_ms && conn->state < HWS_GRPC_CONN_CLOSING) {
        struct hws_grpc_call *due = NULL;
        uint64_t next_ms = HWS_GRPC_NEVER;
        HWS_LIST_FOREACH (it, tmp, &conn->calls) {
            struct hws_grpc_call *call = hws_container_of(it, struct hws_grpc_call, link);
            uint64_t at_ms = hws_grpc__call_due(call);
            next_ms = min_ms(next_ms, at_ms);
            if (at_ms <= conn->now_ms) {
                due = call;
                break;
            }
        }
        if (due == NULL) {
            conn->call_due_ms = next_ms;
            return;
        }
        hws_grpc__call_expire(due);
    }
}

static uint64_t keepalive_at(const struct hws_grpc_conn *conn)
{
    const struct hws_grpc_limits *l = &conn->cfg.limits;

    if (l->keepalive_ms == 0 || !conn->settled ||
        (conn->cfg.server == NULL && conn->n_calls == 0)) {
        return HWS_GRPC_NEVER;
    }
    if (conn->ping_sent_ms != HWS_GRPC_NEVER) {
        return conn->ping_sent_ms + l->keepalive_timeout_ms;
    }
    return conn->last_recv_ms + l->keepalive_ms;
}

static void run_keepalive(struct hws_grpc_conn *conn)
{
    if (conn->now_ms < keepalive_at(conn)) {
        return;
    }
    if (conn->ping_sent_ms != HWS_GRPC_NEVER) {
        conn->stats->conn_keepalive_timeouts++;
        conn->silent = true;
        (void)hws_grpc__conn_end(conn, NGHTTP2_NO_ERROR, HWS_E_TIMEOUT, "keepalive_timeout");
        return;
    }
    conn->ping_sent_ms = conn->now_ms;
    if (nghttp2_submit_ping(conn->h2, NGHTTP2_FLAG_NONE, (const uint8_t *)"keepaliv") != 0) {
        (void)hws_grpc__conn_end_by_h2(conn, NGHTTP2_ERR_NOMEM);
    }
}

/* The second half of a drain: from here on streams are refused. */
static void true_goaway(struct hws_grpc_conn *conn)
{
    conn->drain_at_ms = HWS_GRPC_NEVER;
    hws_grpc__conn_move(conn, HWS_GRPC_CONN_DRAINING);
    if (nghttp2_submit_goaway(conn->h2, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(conn->h2), NGHTTP2_NO_ERROR,
                              NULL, 0) != 0) {
        (void)hws_grpc__conn_end_by_h2(conn, NGHTTP2_ERR_NOMEM);
    }
}

static uint64_t after(uint64_t since_ms, uint32_t limit_ms)
{
    return limit_ms == 0 || since_ms == HWS_GRPC_NEVER ? HWS_GRPC_NEVER : since_ms + limit_ms;
}

static uint64_t stalled_at(const struct hws_grpc_conn *conn)
{
    return conn->out.n_bytes == 0 ? HWS_GRPC_NEVER
                                  : after(conn->last_moved_ms, conn->cfg.limits.conn_progress_ms);
}

static uint64_t preface_at(const struct hws_grpc_conn *conn)
{
    return conn->settled ? HWS_GRPC_NEVER : after(conn->opened_ms, conn->cfg.limits.preface_ms);
}

/* A header block holds up everything behind it: it has to get whole. */
static uint64_t block_at(const struct hws_grpc_conn *conn)
{
    return after(conn->block_since_ms, conn->cfg.limits.header_block_ms);
}

/* The age at which this connection is old; 0: never. */
static uint32_t old_ms(const struct hws_grpc_conn *conn)
{
    uint64_t max_ms = conn->cfg.limits.max_age_ms;

    return (uint32_t)(max_ms - max_ms * (conn->cfg.spread % (SPREAD_PER_MILLE + 1)) / 1000);
}

/* When an idle or old connection is to be drained. */
static uint64_t retire_at(const struct hws_grpc_conn *conn)
{
    return conn->state != HWS_GRPC_CONN_OPEN
               ? HWS_GRPC_NEVER
               : min_ms(after(conn->idle_since_ms, conn->cfg.limits.max_idle_ms),
                        after(conn->opened_ms, old_ms(conn)));
}

/* Of the connections that share spares the one that has been idle last gives them back. */
static void run_trim(struct hws_grpc_conn *conn)
{
    if (conn->now_ms < conn->trim_at_ms) {
        return;
    }
    conn->trim_at_ms = HWS_GRPC_NEVER;
    if (conn->now_ms >= conn->spares->used_ms + HWS_GRPC_TRIM_MS) {
        hws_grpc_spares_trim(conn->spares);
    }
}

static void run_timers(struct hws_grpc_conn *conn)
{
    uint64_t now_ms = conn->now_ms;

    run_calls(conn);
    if (now_ms >= preface_at(conn)) {
        conn->stats->conn_preface_timeouts++;
        (void)hws_grpc__conn_end(conn, NGHTTP2_SETTINGS_TIMEOUT, HWS_E_TIMEOUT, "no_preface");
    }
    if (now_ms >= block_at(conn)) {
        conn->stats->conn_header_timeouts++;
        (void)hws_grpc__conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, HWS_E_TIMEOUT, "slow_headers");
    }
    if (now_ms >= stalled_at(conn)) {
        conn->stats->conn_stalled++;
        (void)hws_grpc__conn_end(conn, NGHTTP2_NO_ERROR, HWS_E_TIMEOUT, "output_stalled");
    }
    run_keepalive(conn);
    if (now_ms >= retire_at(conn)) {
        hws_grpc_conn_drain(conn, conn->cfg.limits.max_age_grace_ms, now_ms);
    }
    if (conn->state == HWS_GRPC_CONN_NOTICED && now_ms >= conn->drain_at_ms) {
        true_goaway(conn);
    }
    if (now_ms >= conn->grace_at_ms) {
        conn->grace_at_ms = HWS_GRPC_NEVER;
        (void)hws_grpc__conn_end(conn, NGHTTP2_NO_ERROR, HWS_OK, "connection drained");
    }
    run_trim(conn);
}

uint64_t hws_grpc_conn_turn(struct hws_grpc_conn *conn, uint64_t now_ms)
{
    conn->woken = false;
    conn->retry_ms = HWS_GRPC_NEVER; /* set again by settle, if a call still waits */
    hws_grpc__conn_enter(conn, now_ms);
    bool was_closing = conn->state >= HWS_GRPC_CONN_CLOSING;
    if (!was_closing && !conn->ending) {
        run_timers(conn);
    }
    hws_grpc__conn_leave(conn);
    /* The peer of a drained client learns why the connection ends. */
    if (conn->state == HWS_GRPC_CONN_DRAINING && conn->cfg.server == NULL && conn->n_calls == 0 &&
        !conn->goaway_out) {
        conn->goaway_out = true;
        (void)nghttp2_submit_goaway(conn->h2, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    }
    if (conn->state == HWS_GRPC_CONN_CLOSING) {
        if (conn->now_ms < stalled_at(conn)) {
            return stalled_at(conn);
        }
        /* A peer that takes nothing may not keep the GOAWAY, and us, for ever. */
        conn->stats->conn_stalled += was_closing ? 1u : 0u; /* else the timers have counted it */
        hws_grpc__conn_move(conn, HWS_GRPC_CONN_CLOSED);
    }
    if (conn->state == HWS_GRPC_CONN_CLOSED) {
        return HWS_GRPC_NEVER;
    }
    uint64_t at_ms = min_ms(conn->call_due_ms, preface_at(conn));
    at_ms = min_ms(at_ms, min_ms(stalled_at(conn), keepalive_at(conn)));
    at_ms = min_ms(at_ms, min_ms(retire_at(conn), conn->trim_at_ms));
    at_ms = min_ms(at_ms, min_ms(block_at(conn), conn->retry_ms));
    return min_ms(at_ms, min_ms(conn->drain_at_ms, conn->grace_at_ms));
}

/* ---- draining ---- */

void hws_grpc_conn_drain(struct hws_grpc_conn *conn, uint64_t grace_ms, uint64_t now_ms)
{
    if (conn->h2 == NULL || conn->state >= HWS_GRPC_CONN_CLOSING) {
        return;
    }
    if (now_ms > conn->now_ms) {
        conn->now_ms = now_ms; /* a silent connection's is old */
    }
    conn->grace_at_ms =
        min_ms(conn->grace_at_ms, grace_ms == 0 ? HWS_GRPC_NEVER : conn->now_ms + grace_ms);
    if (conn->state != HWS_GRPC_CONN_OPEN) {
        hws_grpc__conn_wake(conn);
        return;
    }
    if (conn->cfg.server == NULL) {
        hws_grpc__conn_move(conn, HWS_GRPC_CONN_DRAINING);
    } else {
        hws_grpc__conn_move(conn, HWS_GRPC_CONN_NOTICED);
        conn->drain_at_ms = conn->now_ms + conn->cfg.limits.drain_notice_ms;
        if (nghttp2_submit_shutdown_notice(conn->h2) != 0 ||
            nghttp2_submit_ping(conn->h2, NGHTTP2_FLAG_NONE, (const uint8_t *)"draining") != 0) {
            conn->drain_at_ms = conn->now_ms; /* no notice: the true one must do */
        }
    }
    hws_grpc__conn_wake(conn);
}
