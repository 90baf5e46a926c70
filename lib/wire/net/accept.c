/*
 * Accepting peers.
 *
 * Happy path: readable -> accept -> its address is known -> the limits let it stay -> it joins the
 * gate, or begins. Failures: accept without descriptors (the reserve is spent to turn the peer
 * away) or failing otherwise (a pause); limits (the connection is closed at once and counted).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/accept_priv.h"
#include "net/address_priv.h"
#include "net/conn_priv.h"
#include "net/gate_priv.h"
#include "net/listen.h"

/* ---- limits before anything is read ---- */

static void count_refused(struct hws_net_conn *conn, uint64_t *counter)
{
    (*counter)++;
    conn->net->stats.over_limit++;
    if (conn->address != NULL) {
        conn->address->n_refused++;
    }
}

/* Someone who has not said who he is goes at once, so that the newest may stay; false if there is
 * none. */
static bool make_room(struct hws_net_listener *l, const struct hws_net_conn *newest)
{
    struct hws_net_conn *victim = hws_net__gate_victim(l, newest);
    struct hws_err err;

    if (victim == NULL) {
        return false;
    }
    count_refused(victim, &victim->net->stats.over_handshakes);
    (void)hws_err_set(&err, HWS_E_BUSY, "made room for a newer one before it said who it is");
    hws_net__conn_fail(victim, &err);
    return true;
}

/* Has the peer, or everybody, begun too many handshakes lately? */
static bool over_rate(struct hws_net_listener *l, struct hws_net_account *address)
{
    uint64_t now_ms = hws_net_now_ms(l->net);

    /* The address first: what is refused for its own sake takes nothing from the others. */
    return address != NULL && (!hws_grpc_rate_take(&address->attempts, now_ms) ||
                               !hws_grpc_rate_take(&l->attempts, now_ms));
}

/* The caps of a connection that has just been accepted; the counter of the one that it breaks. */
static uint64_t *over_cap(struct hws_net_listener *l, const struct hws_net_conn *conn,
                          struct hws_err *err)
{
    struct hws_net_account *a = conn->address;

    if (a != NULL && a->n_conns > l->limits.max_conns_per_address) {
        (void)hws_err_set(err, HWS_E_BUSY, "its address has %u connections, the limit",
                          l->limits.max_conns_per_address);
        return &l->net->stats.over_conns_address;
    }
    if (over_rate(l, conn->address)) {
        (void)hws_err_set(err, HWS_E_BUSY, "too many handshakes in a short time");
        return &l->net->stats.over_handshake_rate;
    }
    /* Last: it may cost a stranger its place. */
    if (l->n_open > l->limits.max_conns && !make_room(l, conn)) {
        (void)hws_err_set(err, HWS_E_BUSY, "there are %u connections, the limit",
                          l->limits.max_conns);
        return &l->net->stats.over_conns;
    }
    return NULL;
}

/* Takes the connection into account; false when it is refused. */
static bool may_stay(struct hws_net_listener *l, struct hws_net_conn *conn)
{
    struct hws_err err;
    uint64_t *count = over_cap(l, conn, &err);

    if (count != NULL) {
        count_refused(conn, count);
        hws_net__conn_fail(conn, &err);
        return false;
    }
    return true;
}

/* Where the peer is, and its account there; from here on the connection is pending. */
static bool know_address(struct hws_net_listener *l, struct hws_net_conn *conn, struct hws_err *err)
{
    char key[HWS_NET_PEER_BYTES];
    bool tcp = conn->peer.transport == HWS_NET_TLS;

    hws_net__peer_address(&conn->io.tcp, tcp, key, conn->peer.address, sizeof(conn->peer.address));
    if (tcp) {
        conn->address = hws_net_book_open(&l->by_address, key, hws_net_now_ms(l->net));
        if (conn->address == NULL) {
            (void)hws_err_set(err, HWS_E_NOMEM, "account of the address");
            return false;
        }
        conn->address->n_pending++;
    }
    conn->pending = true;
    l->n_handshakes++;
    return true;
}

/* The peer's connection begins; without memory for one it is closed. */
static void welcome(struct hws_net_listener *l, int peer)
{
    bool tcp = l->io.handle.type == UV_TCP;
    struct hws_net_conn *conn = NULL;
    struct hws_err err;

    if (hws_net__conn_new(l->net, tcp ? HWS_NET_TLS : HWS_NET_UNIX, true, l->config.ops,
                          l->config.owner, &conn, &err) != HWS_OK) {
        l->net->stats.accept_failed++;
        (void)close(peer);
        return;
    }
    conn->listener = l;
    hws_list_push(&l->conns, &conn->link);
    l->n_conns++;
    l->n_open++;
    int status = tcp ? uv_tcp_open(&conn->io.tcp, peer) : uv_pipe_open(&conn->io.pipe, peer);
    if (status != 0) {
        l->net->stats.accept_failed++;
        (void)close(peer);
        (void)hws_net_fail(&err, status, "accept");
        hws_net__conn_fail(conn, &err);
        return;
    }
    l->net->stats.accepted++;
    if (!know_address(l, conn, &err)) {
        hws_net__conn_fail(conn, &err);
        return;
    }
    if (!may_stay(l, conn)) {
        return;
    }
    if (tcp) {
        hws_net__gate_join(conn);
    } else {
        hws_net__conn_start(conn, NULL, NULL, NULL); /* a Unix socket: no handshake */
    }
}

/* ---- who comes ---- */

static void readable(uv_poll_t *ready, int status, int events);

/* Hears of the next peer, unless it must wait in the kernel. */
static void watch(struct hws_net_listener *l)
{
    if (!l->accept.held && !uv_is_active((uv_handle_t *)&l->accept.pause)) {
        (void)uv_poll_start(&l->accept.ready, UV_READABLE, readable); /* cannot fail */
    }
}

static void keep_reserve(struct hws_net_accept *a)
{
    if (a->reserve_fd < 0) {
        a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static int next_peer(const struct hws_net_accept *a)
{
    return accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Without descriptors: gives up the reserve, takes the peer, drops it, takes the reserve back;
 * false if that did not help. */
static bool shed(struct hws_net_accept *a)
{
    if (a->reserve_fd < 0) {
        return false;
    }
    (void)close(a->reserve_fd);
    a->reserve_fd = -1;
    int peer = next_peer(a);
    if (peer >= 0) {
        (void)close(peer);
    }
    keep_reserve(a);
    return peer >= 0;
}

static void pause_over(uv_timer_t *pause)
{
    struct hws_net_listener *l = (struct hws_net_listener *)pause->data;

    keep_reserve(&l->accept);
    watch(l);
}

static void rest(struct hws_net_listener *l)
{
    (void)uv_poll_stop(&l->accept.ready);
    (void)uv_timer_start(&l->accept.pause, pause_over, HWS_NET_ACCEPT_PAUSE_MS, 0);
}

/* After accept has failed with this errno: is there more to take in this turn? */
static bool go_on_after(struct hws_net_listener *l, int error)
{
    if (error == EAGAIN) {
        return false;
    }
    if (error == EINTR || error == ECONNABORTED) {
        return true;
    }
    l->net->stats.accept_failed++;
    if ((error == EMFILE || error == ENFILE) && shed(&l->accept)) {
        return true;
    }
    rest(l);
    return false;
}

static bool accept_next(struct hws_net_listener *l)
{
    if (hws_net__gate_is_full(&l->gate)) {
        l->accept.held = true;
        (void)uv_poll_stop(&l->accept.ready);
        return false;
    }
    int peer = next_peer(&l->accept);
    if (peer < 0) {
        return go_on_after(l, errno);
    }
    welcome(l, peer);
    return true;
}

static void readable(uv_poll_t *ready, int status, int events)
{
    struct hws_net_listener *l = (struct hws_net_listener *)ready->data;
    (void)events;

    if (status != 0) { /* libuv watches no more */
        rest(l);
        return;
    }
    for (uint32_t n = 0; n < HWS_NET_ACCEPTS && !l->closer.closing && accept_next(l); n++) {
    }
}

void hws_net__accept_resume(struct hws_net_listener *l)
{
    if (l->accept.held && !l->closer.closing && !hws_net__gate_is_full(&l->gate)) {
        l->accept.held = false;
        watch(l);
    }
}

void hws_net__accept_init(struct hws_net_listener *l)
{
    l->accept.reserve_fd = -1;
    (void)uv_timer_init(l->net->loop, &l->accept.pause); /* cannot fail */
    l->accept.pause.data = l;
    hws_net_closer_hold(&l->closer);
}

int hws_net__accept_start(struct hws_net_listener *l, uv_os_fd_t fd)
{
    int status = uv_poll_init(l->net->loop, &l->accept.ready, fd);

    if (status == 0) {
        l->accept.fd = fd;
        l->accept.ready.data = l;
        hws_net_closer_hold(&l->closer);
        keep_reserve(&l->accept);
        watch(l);
    }
    return status;
}

void hws_net__accept_close(struct hws_net_listener *l)
{
    struct hws_net_accept *a = &l->accept;

    hws_net_closer_handle(&l->closer, (uv_handle_t *)&a->pause);
    if (a->ready.data != NULL) { /* it was started */
        hws_net_closer_handle(&l->closer, (uv_handle_t *)&a->ready);
    }
    if (a->reserve_fd >= 0) {
        (void)close(a->reserve_fd);
        a->reserve_fd = -1;
    }
}
