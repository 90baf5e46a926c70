/*
 * Accepting connections.
 *
 * Happy path: open (bind, listen) -> accept -> the connection identifies its peer -> admit ->
 * on_open. Failures: address in use or malformed; accept without descriptors (the reserve is spent
 * to turn the peer away); caps (the connection is closed at once and counted).
 */
#include "net/listen.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"
#include "net/address_priv.h"
#include "net/conn_priv.h"

/* For open only, since the address is borrowed during open; later the handle's type tells. */
static bool is_unix(const struct hws_net_listen_config *config)
{
    return config->address[0] == '/';
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

void hws_net__listener_forget(struct hws_net_conn *conn)
{
    struct hws_net_listener *l = conn->listener;

    hws_list_remove(&conn->link);
    l->n_conns--;
    if (!conn->admitted) {
        l->n_handshakes--;
    }
    maybe_closed(l);
}

enum hws_code hws_net__listener_admit(struct hws_net_conn *conn, struct hws_err *err)
{
    struct hws_net_listener *l = conn->listener;
    uint32_t same = 0;

    HWS_LIST_FOREACH (it, tmp, &l->conns) {
        const struct hws_net_conn *other = hws_container_of(it, struct hws_net_conn, link);
        same +=
            other->admitted && hws_str_eq(other->peer.principal, conn->peer.principal) ? 1u : 0u;
    }
    if (same >= l->config.max_conns_per_identity) {
        return hws_err_set(err, HWS_E_BUSY, "%.100s has %u connections, the limit",
                           conn->peer.principal, same);
    }
    conn->admitted = true;
    l->n_handshakes--;
    return HWS_OK;
}

/* Without descriptors: give up the reserve, take the peer, drop it, take the reserve back. */
static void shed(struct hws_net_listener *l)
{
    uv_os_fd_t fd = -1;

    if (l->reserve_fd < 0 || uv_fileno(&l->io.handle, &fd) != 0) {
        return;
    }
    (void)close(l->reserve_fd);
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer >= 0) {
        (void)close(peer);
    }
    l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void connection(uv_stream_t *server, int status)
{
    struct hws_net_listener *l = (struct hws_net_listener *)server->data;
    struct hws_net_conn *conn = NULL;
    struct hws_err err;

    if (status != 0) {
        l->net->stats.accept_failed++;
        if (status == UV_EMFILE || status == UV_ENFILE) {
            shed(l);
        }
        return;
    }
    enum hws_net_transport transport =
        l->io.handle.type == UV_NAMED_PIPE ? HWS_NET_UNIX : HWS_NET_TLS;
    if (hws_net__conn_new(l->net, transport, true, l->config.ops, l->config.owner, &conn, &err) !=
        HWS_OK) {
        l->net->stats.accept_failed++;
        shed(l);
        return;
    }
    conn->listener = l;
    hws_list_push(&l->conns, &conn->link);
    l->n_conns++;
    l->n_handshakes++;
    status = uv_accept(server, &conn->io.stream);
    if (status != 0) {
        l->net->stats.accept_failed++;
        (void)hws_net_fail(&err, status, "accept");
        hws_net__conn_fail(conn, &err);
        return;
    }
    l->net->stats.accepted++;
    hws_net__peer_address(&conn->io.tcp, transport == HWS_NET_TLS, conn->peer.address,
                          sizeof(conn->peer.address));
    if (l->n_conns > l->config.max_conns || l->n_handshakes > l->config.max_handshakes) {
        l->net->stats.over_limit++;
        (void)hws_err_set(&err, HWS_E_BUSY, "%u connections, %u of them unidentified: the limit",
                          l->n_conns, l->n_handshakes);
        hws_net__conn_fail(conn, &err);
        return;
    }
    hws_net__conn_start(conn, l->bundle, NULL, NULL);
}

static enum hws_code open_tcp(struct hws_net_listener *l, struct hws_err *err)
{
    struct sockaddr_storage addr;

    enum hws_code rc = hws_net__address_parse(l->config.address, &addr, err);
    if (rc != HWS_OK) {
        return rc;
    }
    int status = uv_tcp_bind(&l->io.tcp, (const struct sockaddr *)&addr, 0);
    if (status == 0) {
        status = uv_listen(&l->io.stream, HWS_NET_BACKLOG, connection);
    }
    if (status == UV_EADDRINUSE) {
        return hws_err_set(err, HWS_E_EXISTS, "%s is in use", l->config.address);
    }
    if (status != 0) {
        return hws_net_fail(err, status, l->config.address);
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
        status = uv_listen(&l->io.stream, HWS_NET_BACKLOG, connection);
    }
    return status == 0 ? HWS_OK : hws_net_fail(err, status, path);
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
    l->config.max_conns = config->max_conns == 0 ? HWS_NET_MAX_CONNS : config->max_conns;
    l->config.max_conns_per_identity = config->max_conns_per_identity == 0
                                           ? HWS_NET_MAX_CONNS_PER_IDENTITY
                                           : config->max_conns_per_identity;
    l->config.max_handshakes =
        config->max_handshakes == 0 ? HWS_NET_MAX_HANDSHAKES : config->max_handshakes;
    l->config.unix_mode = config->unix_mode == 0 ? 0600 : config->unix_mode;
    hws_list_init(&l->conns);
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
    enum hws_code rc = is_unix(config) ? open_unix(l, err) : open_tcp(l, err);
    if (rc != HWS_OK) {
        hws_net_closer_handle(&l->closer, &l->io.handle);
        hws_net_closer_close(&l->closer, failed_open_closed);
        return rc;
    }
    l->bundle = config->bundle == NULL ? NULL : hws_tls_bundle_ref(config->bundle);
    l->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
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
        hws_net_closer_handle(&l->closer, &l->io.handle);
        hws_net_closer_close(&l->closer, handles_gone);
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
