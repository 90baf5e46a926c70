/*
 * Accepting connections.
 *
 * Happy path: open (bind, listen) -> accept -> the connection identifies its peer -> admit ->
 * on_open. Failures: address in use or malformed; accept without descriptors (the reserve is spent
 * to turn the peer away) or failing otherwise (a pause); caps (the connection is closed at once and
 * counted). accept is called here and not by libuv, which calls it again and again while it fails.
 */
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"
#include "net/address_priv.h"
#include "net/conn_priv.h"
#include "net/gate_priv.h"

/* For open only, since the address is borrowed during open; later the handle's type tells. */
static bool is_unix(const struct hws_net_listen_config *config)
{
    return !config->has_fd && config->address[0] == '/';
}

static void maybe_closed(struct hws_net_listener *l)
{
    if (l->closing && l->handles_closed && l->n_conns == 0) {
        void (*closed)(struct hws_net_listener *) = l->closed;
        hws_tls_bundle_unref(l->bundle);
        l->bundle = NULL;
        if (l->reserve_fd >= 0) {
            (void)close(l->reserve_fd);
            l->reserve_fd = -1;
        }
        l->closing = false;
        hws_net_book_deinit(&l->by_address);
        hws_net_book_deinit(&l->by_identity);
        if (closed != NULL) {
            closed(l);
        }
    }
}

static void handles_gone(struct hws_net_closer *closer)
{
    struct hws_net_listener *l = (struct hws_net_listener *)(void *)closer;

    l->handles_closed = true;
    maybe_closed(l);
}

static void not_pending(struct hws_net_conn *conn, bool identified)
{
    if (!conn->pending) {
        return;
    }
    conn->pending = false;
    conn->listener->n_handshakes--;
    if (conn->address != NULL) {
        conn->address->n_pending--;
        hws_net__gate_leave(conn, identified);
    }
}

void hws_net__listener_hung_up(struct hws_net_conn *conn)
{
    conn->listener->n_open--;
    not_pending(conn, false);
}

void hws_net__listener_forget(struct hws_net_conn *conn)
{
    struct hws_net_listener *l = conn->listener;

    hws_list_remove(&conn->link);
    l->n_conns--;
    hws_net_book_close(&l->by_address, conn->address, hws_net_now_ms(l->net));
    hws_net_book_close(&l->by_identity, conn->identity, hws_net_now_ms(l->net));
    maybe_closed(l);
}

/* The peer before the bundle of today. HWS_E_DENIED when it is revoked or denied. */
static enum hws_code judge(struct hws_net_listener *l, const struct hws_net_conn *conn,
                           struct hws_err *err)
{
    enum hws_tls_reason reason =
        hws_net__has_tls(conn) ? hws_tls_bundle_judge(l->bundle, &conn->tls.peer, &conn->tls.path)
                               : HWS_TLS_REASON_NONE;

    if (reason == HWS_TLS_REASON_NONE) {
        return HWS_OK;
    }
    l->net->stats.cut_off++;
    return hws_err_set(err, HWS_E_DENIED, "%s: %s", hws_tls_reason_name(reason),
                       hws_tls_reason_text(reason));
}

enum hws_code hws_net__listener_admit(struct hws_net_conn *conn, struct hws_err *err)
{
    struct hws_net_listener *l = conn->listener;

    not_pending(conn, true);
    /* The handshake began with the bundle of its first byte, which may have been replaced since. */
    enum hws_code rc = judge(l, conn, err);
    if (rc != HWS_OK) {
        return rc;
    }
    conn->identity =
        hws_net_book_open(&l->by_identity, conn->peer.principal, hws_net_now_ms(l->net));
    if (conn->identity == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "account of the peer");
    }
    if (conn->identity->n_conns > l->limits.max_conns_per_identity) {
        l->net->stats.over_limit++;
        l->net->stats.over_conns_identity++;
        conn->identity->n_refused++;
        return hws_err_set(err, HWS_E_BUSY, "%.100s has %u connections, the limit",
                           conn->peer.principal, l->limits.max_conns_per_identity);
    }
    return HWS_OK;
}

void hws_net__listener_accounts(struct hws_net_conn *conn,
                                struct hws_grpc_account *out[HWS_GRPC_MAX_ACCOUNTS])
{
    out[0] = &conn->identity->use;
    out[1] = conn->address == NULL ? NULL : &conn->address->use;
    out[2] = &conn->listener->all;
}

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
    if (!l->held && !uv_is_active((uv_handle_t *)&l->pause)) {
        (void)uv_poll_start(&l->ready, UV_READABLE, readable); /* cannot fail */
    }
}

static void keep_reserve(struct hws_net_listener *l)
{
    if (l->reserve_fd < 0) {
        l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static int next_peer(const struct hws_net_listener *l)
{
    return accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Without descriptors: gives up the reserve, takes the peer, drops it, takes the reserve back;
 * false if that did not help. */
static bool shed(struct hws_net_listener *l)
{
    if (l->reserve_fd < 0) {
        return false;
    }
    (void)close(l->reserve_fd);
    l->reserve_fd = -1;
    int peer = next_peer(l);
    if (peer >= 0) {
        (void)close(peer);
    }
    keep_reserve(l);
    return peer >= 0;
}

static void pause_over(uv_timer_t *pause)
{
    struct hws_net_listener *l = (struct hws_net_listener *)pause->data;

    keep_reserve(l);
    watch(l);
}

static void rest(struct hws_net_listener *l)
{
    (void)uv_poll_stop(&l->ready);
    (void)uv_timer_start(&l->pause, pause_over, HWS_NET_ACCEPT_PAUSE_MS, 0);
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
    if ((error == EMFILE || error == ENFILE) && shed(l)) {
        return true;
    }
    rest(l);
    return false;
}

static bool accept_next(struct hws_net_listener *l)
{
    if (hws_net__gate_is_full(&l->gate)) {
        l->held = true;
        (void)uv_poll_stop(&l->ready);
        return false;
    }
    int peer = next_peer(l);
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

void hws_net__listener_resume(struct hws_net_listener *l)
{
    if (l->held && !l->closer.closing && !hws_net__gate_is_full(&l->gate)) {
        l->held = false;
        watch(l);
    }
}

/* True for a TCP socket that listens. */
static bool is_listening_tcp(int fd)
{
    int domain = 0;
    int protocol = 0;
    int listening = 0;
    socklen_t n = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 &&
           (domain == AF_INET || domain == AF_INET6) && protocol == IPPROTO_TCP && listening == 1;
}

/* The passed socket becomes the handle's. */
static int take_socket(struct hws_net_listener *l)
{
    return is_listening_tcp(l->config.fd) ? uv_tcp_open(&l->io.tcp, l->config.fd) : UV_EINVAL;
}

static int bind_address(struct hws_net_listener *l, enum hws_code *rc, struct hws_err *err)
{
    struct sockaddr_storage addr;

    *rc = hws_net__address_parse(l->config.address, &addr, err);
    return *rc == HWS_OK ? uv_tcp_bind(&l->io.tcp, (const struct sockaddr *)&addr, 0) : 0;
}

/* From here on a readable socket is a peer. */
static int start(struct hws_net_listener *l)
{
    int status = uv_fileno(&l->io.handle, &l->fd);

    if (status == 0 && listen(l->fd, HWS_NET_BACKLOG) != 0) {
        status = uv_translate_sys_error(errno);
    }
    if (status == 0) {
        status = uv_poll_init(l->net->loop, &l->ready, l->fd);
    }
    if (status == 0) {
        l->ready.data = l;
        hws_net_closer_hold(&l->closer);
        watch(l);
    }
    return status;
}

static int listen_tcp(struct hws_net_listener *l)
{
    struct sockaddr_storage addr;
    int n = sizeof(addr);
    int status = uv_tcp_getsockname(&l->io.tcp, (struct sockaddr *)&addr, &n);

    return status == 0 ? start(l) : status; /* that bind failed is said here only */
}

static enum hws_code open_tcp(struct hws_net_listener *l, struct hws_err *err)
{
    enum hws_code rc = HWS_OK;
    int status = l->config.has_fd ? take_socket(l) : bind_address(l, &rc, err);

    if (rc != HWS_OK) {
        return rc;
    }
    if (status == 0) {
        status = listen_tcp(l);
    }
    if (status == UV_EADDRINUSE) {
        return hws_err_set(err, HWS_E_EXISTS, "%s is in use", l->config.address);
    }
    if (status != 0) {
        return hws_net_fail(err, status,
                            l->config.has_fd ? "the passed socket" : l->config.address);
    }
    hws_net__local_address(&l->io.tcp, l->bound, sizeof(l->bound));
    return HWS_OK;
}

/* Is somebody listening at this path? */
static bool path_answers(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (!hws_str_copy(addr.sun_path, sizeof(addr.sun_path), path)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true; /* cannot tell: do not take the path away */
    }
    bool answers = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0;
    (void)close(fd);
    return answers;
}

static enum hws_code open_unix(struct hws_net_listener *l, struct hws_err *err)
{
    const char *path = l->config.address;

    if (!hws_str_copy(l->bound, sizeof(l->bound), path)) {
        return hws_err_set(err, HWS_E_INVALID, "%.60s...: a socket path has at most 107 bytes",
                           path);
    }
    if (path_answers(path)) {
        return hws_err_set(err, HWS_E_EXISTS, "%s is in use", path);
    }
    (void)unlink(path);
    int status = uv_pipe_bind(&l->io.pipe, path);
    if (status == 0 && chmod(path, l->config.unix_mode) != 0) {
        status = UV_EPERM;
    }
    if (status == 0) {
        status = start(l);
    }
    return status == 0 ? HWS_OK : hws_net_fail(err, status, path);
}

/* Connections leave fd_reserve descriptors to the rest of the process. */
static uint32_t conns_by_descriptors(const struct hws_net_limits *limits)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY) {
        return limits->max_conns;
    }
    uint64_t left = r.rlim_cur > limits->fd_reserve ? r.rlim_cur - limits->fd_reserve : 1;
    return left < limits->max_conns ? (uint32_t)left : limits->max_conns;
}

static void take_limits(struct hws_net_listener *l)
{
    struct hws_net_limits *limits = &l->limits;
    uint64_t now_ms = hws_net_now_ms(l->net);

    if (l->config.limits != NULL) {
        *limits = *l->config.limits;
    } else {
        hws_net_limits_default(limits);
    }
    l->config.limits = NULL; /* borrowed during open only */
    limits->max_conns = conns_by_descriptors(limits);
    l->all.max_calls = limits->total_calls;
    l->all.max_held_bytes = limits->total_held_bytes;
    hws_grpc_rate_init(&l->attempts, limits->handshake_burst, limits->handshakes_per_s, now_ms);
    const struct hws_net_book_config address = {
        .max_idle = limits->max_idle_accounts,
        .attempt_burst = limits->handshake_burst_per_address,
        .attempts_per_s = limits->handshakes_per_s_per_address,
        .max_calls = limits->calls_per_address,
        .max_held_bytes = limits->held_bytes_per_address,
    };
    hws_net_book_init(&l->by_address, &address);
    const struct hws_net_book_config identity = {
        .max_idle = limits->max_idle_accounts,
        .max_calls = limits->calls_per_identity,
        .max_held_bytes = limits->held_bytes_per_identity,
    };
    hws_net_book_init(&l->by_identity, &identity);
}

static void failed_open_closed(struct hws_net_closer *closer)
{
    (void)closer;
}

enum hws_code hws_net_listener_open(struct hws_net_listener *l, struct hws_net *net,
                                    const struct hws_net_listen_config *config, struct hws_err *err)
{
    memset(l, 0, sizeof(*l));
    l->net = net;
    l->config = *config;
    l->config.unix_mode = config->unix_mode == 0 ? 0600 : config->unix_mode;
    hws_list_init(&l->conns);
    take_limits(l);
    if (!is_unix(config) && config->bundle == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "%s: TCP needs a certificate: there is no plain TCP",
                           config->address);
    }
    int status = is_unix(config) ? uv_pipe_init(net->loop, &l->io.pipe, 0)
                                 : uv_tcp_init(net->loop, &l->io.tcp);
    if (status != 0) {
        return hws_net_fail(err, status, "listener");
    }
    l->io.handle.data = l;
    hws_net_closer_hold(&l->closer);
    (void)uv_timer_init(net->loop, &l->pause); /* cannot fail */
    l->pause.data = l;
    hws_net_closer_hold(&l->closer);
    hws_net__gate_init(l);
    enum hws_code rc = is_unix(config) ? open_unix(l, err) : open_tcp(l, err);
    if (rc != HWS_OK) {
        hws_net_closer_handle(&l->closer, (uv_handle_t *)&l->pause);
        hws_net_closer_handle(&l->closer, (uv_handle_t *)&l->gate.timer);
        hws_net_closer_handle(&l->closer, &l->io.handle);
        hws_net_closer_close(&l->closer, failed_open_closed);
        return rc;
    }
    l->bundle = config->bundle == NULL ? NULL : hws_tls_bundle_ref(config->bundle);
    l->reserve_fd = -1;
    keep_reserve(l);
    return HWS_OK;
}

const char *hws_net_listener_address(const struct hws_net_listener *l)
{
    return l->bound;
}

void hws_net_listener_set_bundle(struct hws_net_listener *l, struct hws_tls_bundle *bundle)
{
    struct hws_tls_bundle *old = l->bundle;

    l->bundle = hws_tls_bundle_ref(bundle);
    hws_tls_bundle_unref(old);
    HWS_LIST_FOREACH (it, tmp, &l->conns) {
        struct hws_net_conn *conn = hws_container_of(it, struct hws_net_conn, link);
        struct hws_err err;
        if (conn->opened && !conn->hung_up && judge(l, conn, &err) != HWS_OK) {
            hws_net__conn_fail(conn, &err);
        }
    }
}

void hws_net_listener_drain(struct hws_net_listener *l, uint64_t grace_ms)
{
    HWS_LIST_FOREACH (it, tmp, &l->conns) {
        hws_net_conn_drain(hws_container_of(it, struct hws_net_conn, link), grace_ms);
    }
}

void hws_net_listener_stop(struct hws_net_listener *l)
{
    if (l->closer.n_held > 0 && !l->closer.closing) {
        if (l->io.handle.type == UV_NAMED_PIPE) {
            (void)unlink(l->bound);
        }
        hws_net_closer_handle(&l->closer, (uv_handle_t *)&l->pause);
        hws_net_closer_handle(&l->closer, (uv_handle_t *)&l->gate.timer);
        hws_net_closer_handle(&l->closer, (uv_handle_t *)&l->ready); /* before its descriptor */
        hws_net_closer_handle(&l->closer, &l->io.handle);
        hws_net_closer_close(&l->closer, handles_gone);
        hws_net__gate_close(l);
    }
}

void hws_net_listener_close(struct hws_net_listener *l,
                            void (*closed)(struct hws_net_listener *listener))
{
    if (l->closing) {
        return;
    }
    l->closing = true;
    l->closed = closed;
    hws_net_listener_stop(l);
    HWS_LIST_FOREACH (it, tmp, &l->conns) {
        hws_net_conn_close(hws_container_of(it, struct hws_net_conn, link));
    }
    if (l->handles_closed) {
        maybe_closed(l);
    }
}
