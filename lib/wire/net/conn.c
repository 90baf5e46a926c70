/*
 * One connection's life and time; its bytes are net/pump.c's.
 *
 * Happy path of a server: start -> handshake bytes both ways -> on_open -> calls -> drain or close
 *   -> GOAWAY and close_notify leave -> handles close -> on_closed -> freed.
 * Failures, all through fail(): transport error, refused peer, broken HTTP/2, stalled write,
 *   truncation; the engine's calls end UNAVAILABLE first, then the handles close.
 */
#include "net/conn.h"

#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/conn_priv.h"
#include "net/listen.h"

static const uint32_t s_moves[HWS_NET_N_STATES] = {
    [HWS_NET_CONNECTING] =
        HWS_FSM_TO(HWS_NET_HANDSHAKE) | HWS_FSM_TO(HWS_NET_OPEN) | HWS_FSM_TO(HWS_NET_CLOSING),
    [HWS_NET_HANDSHAKE] = HWS_FSM_TO(HWS_NET_OPEN) | HWS_FSM_TO(HWS_NET_CLOSING),
    [HWS_NET_OPEN] = HWS_FSM_TO(HWS_NET_CLOSING),
    [HWS_NET_CLOSING] = HWS_FSM_TO(HWS_NET_CLOSED),
};

static uint64_t now_ms(const struct hws_net_conn *conn)
{
    return hws_net_now_ms(conn->net);
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static void refused(const struct hws_net_conn *conn)
{
    const char *reason = "transport";

    if (hws_net__has_tls(conn) && conn->tls.state == HWS_TLS_STATE_FAILED) {
        conn->net->stats.handshakes_refused[conn->tls.reason]++;
        reason = hws_tls_reason_name(conn->tls.reason);
    } else if (conn->err.code == HWS_E_BUSY) {
        reason = "limit";
    } else if (conn->err.code == HWS_E_DENIED) {
        reason = "refused";
    }
    if (conn->ops->on_refused != NULL) {
        const char *text = conn->err.code == HWS_OK ? "the listener closes" : conn->err.msg;
        conn->ops->on_refused(conn->owner, conn->peer.address, reason, text);
    }
}

static void all_closed(struct hws_net_closer *closer)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)(void *)closer;
    struct hws_err err = conn->err;

    hws_fsm_move(s_moves, &conn->state, HWS_NET_CLOSED);
    conn->net->stats.closed++;
    if (conn->opened) {
        conn->settled = conn->grpc.settled;
        hws_grpc_conn_deinit(&conn->grpc);
    }
    if (conn->listener != NULL) {
        hws_net__listener_forget(conn);
    }
    if (!conn->opened && conn->server) {
        refused(conn);
    } else if (conn->ops->on_closed != NULL) {
        conn->ops->on_closed(conn, &err);
    }
    hws_tls_conn_deinit(&conn->tls);
    hws_net__bufs_put(conn->net, &conn->sending);
    hws_mem_free(conn->expect);
    hws_mem_free(conn);
}

/* Closes the handles: the last step, in any state. */
void hws_net__conn_hang_up(struct hws_net_conn *conn)
{
    if (conn->hung_up) {
        return;
    }
    conn->hung_up = true;
    conn->reading = false;
    if (conn->listener != NULL) {
        hws_net__listener_hung_up(conn);
    }
    if (conn->state != HWS_NET_CLOSING) {
        hws_fsm_move(s_moves, &conn->state, HWS_NET_CLOSING);
    }
    if (conn->opened) {
        hws_grpc_conn_lost(&conn->grpc, conn->err.msg[0] != '\0' ? conn->err.msg : "closed");
    }
    if (!conn->reopening) { /* else net/dial.c is closing it */
        hws_net_closer_handle(&conn->closer, &conn->io.handle);
    }
    hws_net_closer_handle(&conn->closer, (uv_handle_t *)&conn->timer);
    hws_net_closer_handle(&conn->closer, (uv_handle_t *)&conn->wake);
    hws_net_closer_close(&conn->closer, all_closed);
}

void hws_net__conn_linger(struct hws_net_conn *conn)
{
    if (conn->state != HWS_NET_CLOSING) {
        hws_fsm_move(s_moves, &conn->state, HWS_NET_CLOSING);
    }
    conn->lingering = true;
    conn->close_by_ms = now_ms(conn) + HWS_NET_LINGER_MS;
    hws_grpc_conn_lost(&conn->grpc, conn->err.msg[0] != '\0' ? conn->err.msg : "closed");
}

void hws_net__conn_fail(struct hws_net_conn *conn, const struct hws_err *err)
{
    if (conn->err.code == HWS_OK) {
        conn->err = *err;
    }
    hws_net__conn_hang_up(conn);
}

/* ---- time ---------------------------------------------------------------------------------------
 */

static uint32_t progress_ms(const struct hws_net_conn *conn)
{
    return conn->listener == NULL ? HWS_NET_PROGRESS_MS : conn->listener->limits.write_progress_ms;
}

static void timer_fired(uv_timer_t *timer)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)timer->data;
    struct hws_err err;

    conn->timer_at_ms = 0;
    if (conn->hung_up) {
        return;
    }
    if (conn->state == HWS_NET_HANDSHAKE &&
        hws_tls_conn_expire(&conn->tls, now_ms(conn), &err) != HWS_OK) {
        bool more = false;
        (void)hws_net__flush(conn, &more); /* the alert */
        hws_net__conn_fail(conn, &err);
        return;
    }
    if (conn->state == HWS_NET_CLOSING && now_ms(conn) >= conn->close_by_ms) {
        hws_net__conn_hang_up(conn);
        return;
    }
    if (conn->write_since_ms != 0 && now_ms(conn) - conn->write_since_ms >= progress_ms(conn)) {
        conn->net->stats.stalled++;
        (void)hws_err_set(&err, HWS_E_TIMEOUT, "the peer took no bytes for %u s",
                          progress_ms(conn) / 1000);
        hws_net__conn_fail(conn, &err);
        return;
    }
    hws_net__pump(conn);
}

void hws_net__conn_arm(struct hws_net_conn *conn, uint64_t due_ms)
{
    if (conn->hung_up) {
        return;
    }
    if (conn->state == HWS_NET_HANDSHAKE && hws_tls_conn_deadline_ms(&conn->tls) < due_ms) {
        due_ms = hws_tls_conn_deadline_ms(&conn->tls);
    }
    if (conn->write_since_ms != 0 && conn->write_since_ms + progress_ms(conn) < due_ms) {
        due_ms = conn->write_since_ms + progress_ms(conn);
    }
    if (conn->state == HWS_NET_CLOSING && conn->close_by_ms < due_ms) {
        due_ms = conn->close_by_ms;
    }
    if (conn->timer_at_ms != 0 && conn->timer_at_ms <= due_ms) {
        return; /* it fires in time, and is set again then: cheaper than setting it at every turn */
    }
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&conn->timer); /* net/dial.c's */
        return;
    }
    uint64_t now = now_ms(conn);
    due_ms = due_ms > now ? due_ms : now;
    conn->timer_at_ms = due_ms;
    (void)uv_timer_start(&conn->timer, timer_fired, due_ms - now, 0);
}

/* ---- the beginning ------------------------------------------------------------------------------
 */

static void woken(struct hws_grpc_conn *grpc, void *data)
{
    (void)grpc;
    hws_net__pump_soon((struct hws_net_conn *)data);
}

/* A peer that is about to prove who it is may have sent a call already: it is told, not cut off. */
static void drain_when_opened(struct hws_net_conn *conn, uint64_t grace_ms)
{
    uint64_t by_ms = grace_ms == 0 ? UINT64_MAX : now_ms(conn) + grace_ms;

    if (conn->drain_by_ms == 0 || by_ms < conn->drain_by_ms) {
        conn->drain_by_ms = by_ms;
    }
    hws_tls_conn_hurry(&conn->tls, now_ms(conn) + HWS_NET_CLOSE_GRACE_MS);
    hws_net__conn_arm(conn, UINT64_MAX);
}

static void drain_now(struct hws_net_conn *conn)
{
    uint64_t now = now_ms(conn);
    uint64_t left_ms = conn->drain_by_ms > now ? conn->drain_by_ms - now : 1;

    hws_grpc_conn_drain(&conn->grpc, conn->drain_by_ms == UINT64_MAX ? 0 : left_ms, now);
}

static void opened(struct hws_net_conn *conn)
{
    struct hws_grpc_conn_config cfg;
    struct hws_err err;

    hws_err_clear(&err);
    if (conn->server && hws_net__listener_admit(conn, &err) != HWS_OK) {
        hws_net__conn_fail(conn, &err);
        return;
    }
    memset(&cfg, 0, sizeof(cfg));
    if (conn->server) {
        hws_grpc_limits_server(&cfg.limits);
    } else {
        hws_grpc_limits_client(&cfg.limits);
    }
    cfg.stats = &conn->net->stats.grpc;
    (void)uv_random(NULL, NULL, &cfg.spread, sizeof(cfg.spread), 0, NULL); /* or all alike */
    enum hws_code rc = conn->ops->on_open == NULL ? HWS_OK : conn->ops->on_open(conn, &cfg, &err);
    if (rc == HWS_OK && conn->server && cfg.server == NULL) {
        rc = hws_err_set(&err, HWS_E_INVALID, "on_open of a listener's ops set no cfg->server");
    }
    if (rc != HWS_OK) {
        err.code = rc;
        hws_net__conn_fail(conn, &err);
        return;
    }
    cfg.spares = &conn->net->grpc_spares;
    cfg.on_wake = woken;
    cfg.data = conn;
    if (conn->server) {
        hws_net__listener_accounts(conn, cfg.accounts);
    }
    rc = hws_grpc_conn_init(&conn->grpc, &cfg, now_ms(conn), &err);
    if (rc != HWS_OK) {
        hws_net__conn_fail(conn, &err);
        return;
    }
    conn->opened = true;
    conn->net->stats.identified++;
    hws_fsm_move(s_moves, &conn->state, HWS_NET_OPEN);
    if (conn->drain_by_ms != 0) {
        drain_now(conn);
    }
    if (conn->ops->on_ready != NULL) {
        conn->ops->on_ready(conn);
    }
}

void hws_net__conn_identified(struct hws_net_conn *conn)
{
    conn->peer.principal = conn->tls.peer.principal;
    conn->peer.serial = conn->tls.peer.serial;
    conn->peer.sha256 = conn->tls.peer.sha256;
    conn->peer.not_after_s = conn->tls.peer.not_after_s;
    opened(conn);
}

enum hws_code hws_net__conn_new(struct hws_net *net, enum hws_net_transport transport, bool server,
                                const struct hws_net_conn_ops *ops, void *owner,
                                struct hws_net_conn **out_conn, struct hws_err *err)
{
    struct hws_net_conn *conn = hws_mem_zalloc(1, sizeof(*conn));

    if (conn == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "connection");
    }
    int status = transport == HWS_NET_TLS ? uv_tcp_init(net->loop, &conn->io.tcp)
                                          : uv_pipe_init(net->loop, &conn->io.pipe, 0);
    if (status != 0) {
        hws_mem_free(conn);
        return hws_net_fail(err, status, "socket");
    }
    (void)uv_timer_init(net->loop, &conn->timer);  /* cannot fail */
    (void)uv_prepare_init(net->loop, &conn->wake); /* cannot fail */
    conn->io.handle.data = conn;
    conn->timer.data = conn;
    conn->wake.data = conn;
    conn->closer.n_held = 3;
    conn->net = net;
    conn->ops = ops;
    conn->owner = owner;
    conn->server = server;
    conn->peer.transport = transport;
    conn->peer.principal = "";
    conn->peer.serial = "";
    conn->peer.not_after_s = UINT64_MAX;
    hws_list_init(&conn->link);
    hws_list_init(&conn->gate);
    *out_conn = conn;
    return HWS_OK;
}

/* What is left of handshake_ms since the peer was accepted; at least the patience of net/gate.h. */
static uint32_t handshake_left_ms(const struct hws_net_conn *conn)
{
    uint32_t all = conn->listener->limits.handshake_ms;
    uint32_t least = all < HWS_NET_PATIENCE_MS ? all : HWS_NET_PATIENCE_MS;
    uint64_t waited = now_ms(conn) - conn->came_at_ms;

    return waited + least < all ? (uint32_t)(all - waited) : least;
}

static void start_tls(struct hws_net_conn *conn, struct hws_tls_bundle *bundle, const char *expect,
                      const char *server_name)
{
    struct hws_tls_options options;
    struct hws_err err;

    memset(&options, 0, sizeof(options));
    options.now_ms = now_ms(conn);
    options.now_s = hws_net_now_s();
    options.handshake_timeout_ms = conn->listener == NULL ? 0 : handshake_left_ms(conn);
    options.expect = expect;
    options.server_name = server_name;
    if (conn->dial_by_ms != 0) { /* what the dial has left covers the handshake too */
        options.handshake_timeout_ms =
            conn->dial_by_ms > now_ms(conn) ? (uint32_t)(conn->dial_by_ms - now_ms(conn)) : 1;
    }
    (void)uv_tcp_nodelay(&conn->io.tcp, 1);
    enum hws_code rc = hws_tls_conn_init(&conn->tls, conn->server ? HWS_TLS_SERVER : HWS_TLS_CLIENT,
                                         bundle, &options, &err);
    if (rc != HWS_OK) {
        hws_net__conn_fail(conn, &err);
        return;
    }
    hws_fsm_move(s_moves, &conn->state, HWS_NET_HANDSHAKE);
}

/* Who is at the other end of the Unix socket, by the kernel's word. */
static enum hws_code read_credentials(struct hws_net_conn *conn, struct hws_err *err)
{
    struct ucred cred;
    socklen_t n = sizeof(cred);
    uv_os_fd_t fd = -1;

    int status = uv_fileno(&conn->io.handle, &fd);
    if (status != 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0) {
        return hws_err_set(err, HWS_E_IO, "peer credentials could not be read");
    }
    conn->peer.uid = cred.uid;
    conn->peer.pid = (uint32_t)cred.pid;
    (void)hws_str_print(conn->unix_principal, sizeof(conn->unix_principal), "unix:uid:%u",
                        cred.uid);
    (void)hws_str_print(conn->peer.address, sizeof(conn->peer.address), "unix:pid:%d",
                        (int)cred.pid);
    conn->peer.principal = conn->unix_principal;
    return HWS_OK;
}

void hws_net__conn_start(struct hws_net_conn *conn, struct hws_tls_bundle *bundle,
                         const char *expect, const char *server_name)
{
    struct hws_err err;

    if (hws_net__has_tls(conn)) {
        start_tls(conn, bundle, expect, server_name);
    } else if (read_credentials(conn, &err) == HWS_OK) {
        opened(conn);
    } else {
        hws_net__conn_fail(conn, &err);
    }
    hws_net__pump(conn);
}

/* ---- for the user -------------------------------------------------------------------------------
 */

struct hws_grpc_conn *hws_net_conn_grpc(struct hws_net_conn *conn)
{
    return &conn->grpc;
}

struct hws_net_conn *hws_net_conn_of(const struct hws_grpc_conn *grpc)
{
    return (struct hws_net_conn *)hws_grpc_conn_data(grpc);
}

const struct hws_net_peer *hws_net_conn_peer(const struct hws_net_conn *conn)
{
    return &conn->peer;
}

void hws_net_conn_set_data(struct hws_net_conn *conn, void *data)
{
    conn->data = data;
}

void *hws_net_conn_data(const struct hws_net_conn *conn)
{
    return conn->data;
}

void *hws_net_conn_owner(const struct hws_net_conn *conn)
{
    return conn->owner;
}

void hws_net_conn_drain(struct hws_net_conn *conn, uint64_t grace_ms)
{
    if (conn->opened && !conn->hung_up) {
        hws_grpc_conn_drain(&conn->grpc, grace_ms, now_ms(conn));
        hws_net__pump_soon(conn);
    } else if (conn->server && conn->state == HWS_NET_HANDSHAKE) {
        drain_when_opened(conn, grace_ms);
    } else {
        hws_net_conn_close(conn);
    }
}

void hws_net_conn_close(struct hws_net_conn *conn)
{
    if (conn->hung_up || conn->state == HWS_NET_CLOSING) {
        return;
    }
    if (!conn->opened) {
        hws_net__conn_hang_up(conn);
        return;
    }
    hws_fsm_move(s_moves, &conn->state, HWS_NET_CLOSING);
    conn->close_by_ms = now_ms(conn) + HWS_NET_CLOSE_GRACE_MS;
    hws_grpc_conn_close(&conn->grpc);
    hws_net__pump_soon(conn);
}
