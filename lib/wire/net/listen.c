/*
 * A listener: its socket, the accounts of its connections, its end.
 *
 * Happy path: open (bind, listen) -> accept.c's turn -> the connection identifies its peer -> admit
 * -> on_open. Failures: address in use or malformed; a peer that the bundle of today refuses, or
 * whose identity has too many connections.
 */
#include "net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"
#include "net/accept_priv.h"
#include "net/address_priv.h"
#include "net/conn_priv.h"
#include "net/gate_priv.h"

#define UNIX_SCHEME "unix:"

/* For open only, since the address is borrowed during open; later the handle's type tells. */
static bool is_unix(const struct hws_net_listen_config *config)
{
    return !config->has_fd &&
           (config->address[0] == '/' || hws_str_starts(config->address, UNIX_SCHEME "/"));
}

static void maybe_closed(struct hws_net_listener *l)
{
    if (l->closing && l->handles_closed && l->n_conns == 0) {
        void (*closed)(struct hws_net_listener *) = l->closed;
        hws_tls_bundle_unref(l->bundle);
        l->bundle = NULL;
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
    uv_os_fd_t fd;
    int status = uv_fileno(&l->io.handle, &fd);

    if (status == 0 && listen(fd, HWS_NET_BACKLOG) != 0) {
        status = uv_translate_sys_error(errno);
    }
    return status == 0 ? hws_net__accept_start(l, fd) : status;
}

static int listen_tcp(struct hws_net_listener *l)
{
    /* A listener that cannot say where it is serves nobody; that bind failed is said here, too. */
    int status = hws_net__local_address(&l->io.tcp, l->bound, sizeof(l->bound));

    return status == 0 ? start(l) : status;
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
    const char *path = strchr(l->config.address, '/'); /* behind "unix:", if that is there */

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

static void close_handles(struct hws_net_listener *l, void (*closed)(struct hws_net_closer *closer))
{
    hws_net__accept_close(l); /* watches io's descriptor, so before it */
    hws_net_closer_handle(&l->closer, (uv_handle_t *)&l->gate.timer);
    hws_net_closer_handle(&l->closer, &l->io.handle);
    hws_net_closer_close(&l->closer, closed);
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
    hws_net__accept_init(l);
    hws_net__gate_init(l);
    enum hws_code rc = is_unix(config) ? open_unix(l, err) : open_tcp(l, err);
    if (rc != HWS_OK) {
        close_handles(l, failed_open_closed);
        return rc;
    }
    l->bundle = config->bundle == NULL ? NULL : hws_tls_bundle_ref(config->bundle);
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
        close_handles(l, handles_gone);
        hws_net__gate_close(l);
    }
}

void hws_net_listener_finish(struct hws_net_listener *l, uint64_t grace_ms,
                             void (*closed)(struct hws_net_listener *listener))
{
    if (l->closing) {
        return;
    }
    l->closing = true;
    l->finishing = true;
    l->closed = closed;
    hws_net_listener_stop(l);
    hws_net_listener_drain(l, grace_ms);
    if (l->handles_closed) {
        maybe_closed(l);
    }
}

void hws_net_listener_close(struct hws_net_listener *l,
                            void (*closed)(struct hws_net_listener *listener))
{
    if (l->closing && !l->finishing) {
        return;
    }
    l->closing = true;
    l->finishing = false;
    l->closed = closed;
    hws_net_listener_stop(l);
    HWS_LIST_FOREACH (it, tmp, &l->conns) {
        hws_net_conn_close(hws_container_of(it, struct hws_net_conn, link));
    }
    if (l->handles_closed) {
        maybe_closed(l);
    }
}
