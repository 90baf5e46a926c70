/*
 * Connecting as a client.
 *
 * Happy path: resolve (TCP by name) -> connect -> hws_net__conn_start -> on_open.
 * A name may have several addresses: each is tried in turn, for an equal share of the time left, on
 * a fresh handle, since libuv cannot connect one twice.
 * Failures: name not found, all refused or unreachable, the deadline; all end in on_closed.
 */
#include "net/dial.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/address_priv.h"
#include "net/conn_priv.h"

/* One dial, alive from hws_net_dial until the stream is connected or given up. */
struct hws_net__dial {
    struct hws_net_conn *conn; /* held through its closer */
    struct hws_tls_bundle *bundle;
    char *expect;
    char host[HWS_NET_HOST_BYTES];
    struct addrinfo *list; /* owned: of the name; NULL for a numeric address */
    struct addrinfo *next; /* not tried yet */
    union {
        uv_getaddrinfo_t resolve;
        uv_connect_t connect;
    } req;
};

/* The dial is over; the connection goes on alone. */
static void dial_free(struct hws_net__dial *dial)
{
    struct hws_net_conn *conn = dial->conn;

    uv_freeaddrinfo(dial->list);
    hws_tls_bundle_unref(dial->bundle);
    hws_mem_free(dial->expect);
    hws_mem_free(dial);
    conn->dial = NULL;
    hws_net_closer_drop(&conn->closer);
}

static void dial_fail(struct hws_net__dial *dial, int status, const char *what)
{
    struct hws_err err;
    char text[HWS_NET_HOST_BYTES + 16];

    (void)hws_str_print(text, sizeof(text), "%s %s", what, dial->conn->peer.address);
    (void)hws_net_fail(&err, status, text);
    hws_net__conn_fail(dial->conn, &err);
    dial_free(dial);
}

static void deadline_passed(uv_timer_t *timer);
static void try_next(struct hws_net__dial *dial);

/* The handle of the attempt before is gone: its memory takes the next one. */
static void reopened(uv_handle_t *handle)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)handle->data;
    struct hws_net__dial *dial = conn->dial;

    conn->reopening = false;
    if (conn->hung_up) {
        hws_net_closer_drop(&conn->closer); /* for the handle, which hang_up left to us */
        dial_fail(dial, UV_ECANCELED, "connect to");
        return;
    }
    (void)uv_tcp_init(conn->net->loop, &conn->io.tcp); /* cannot fail without flags */
    conn->io.handle.data = conn;
    try_next(dial);
}

static void give_up_address(struct hws_net__dial *dial)
{
    dial->conn->reopening = true;
    uv_close(&dial->conn->io.handle, reopened);
}

/* Without it (a kernel that has not the option) a silent server is found by keepalive_ms only. */
static void watch_silence(const struct hws_net_conn *conn)
{
    const struct {
        int level;
        int option;
        int value;
    } rows[] = {
        {IPPROTO_TCP, TCP_KEEPIDLE, HWS_NET_SILENCE_MS / 1000},
        {IPPROTO_TCP, TCP_KEEPINTVL, 1},
        {IPPROTO_TCP, TCP_KEEPCNT, HWS_NET_SILENCE_TIMEOUT_MS / 1000},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, HWS_NET_SILENCE_MS + HWS_NET_SILENCE_TIMEOUT_MS},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
    };
    uv_os_fd_t fd = -1;

    if (conn->peer.transport != HWS_NET_TLS || uv_fileno(&conn->io.handle, &fd) != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)setsockopt(fd, rows[i].level, rows[i].option, &rows[i].value, sizeof(rows[i].value));
    }
}

static void connected(uv_connect_t *req, int status)
{
    struct hws_net__dial *dial = req->data;
    struct hws_net_conn *conn = dial->conn;

    if (conn->reopening) {
        return; /* given up already: reopened() goes on */
    }
    if (status != 0 && !conn->hung_up && dial->next != NULL) {
        give_up_address(dial);
        return;
    }
    if (status != 0 || conn->hung_up) {
        dial_fail(dial, status == 0 ? UV_ECANCELED : status, "connect to");
        return;
    }
    conn->net->stats.dialed++;
    watch_silence(conn);
    hws_net__conn_start(conn, dial->bundle, dial->expect, NULL);
    if (conn->peer.transport == HWS_NET_TLS && !conn->hung_up) {
        conn->expect = dial->expect; /* the handshake borrows it: the connection frees it */
        dial->expect = NULL;
    }
    dial_free(dial);
}

/* Connects to dial->next, which is there, within its share of the time left. */
static void try_next(struct hws_net__dial *dial)
{
    struct hws_net_conn *conn = dial->conn;
    struct addrinfo *address = dial->next;
    uint64_t now = hws_net_now_ms(conn->net);
    uint64_t left = conn->dial_by_ms > now ? conn->dial_by_ms - now : 0;
    uint64_t n_left = 0;

    for (const struct addrinfo *a = address; a != NULL; a = a->ai_next) {
        n_left++;
    }
    hws_assert(n_left > 0);
    dial->next = address->ai_next;
    dial->req.connect.data = dial;
    (void)uv_timer_start(&conn->timer, deadline_passed, left / n_left, 0);
    int status = uv_tcp_connect(&dial->req.connect, &conn->io.tcp, address->ai_addr, connected);
    if (status == 0) {
        return;
    }
    if (dial->next != NULL) {
        give_up_address(dial);
    } else {
        dial_fail(dial, status, "connect to");
    }
}

static void resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct hws_net__dial *dial = req->data;

    dial->list = list;
    dial->next = list;
    if (status != 0 || dial->conn->hung_up) {
        dial_fail(dial, status == 0 ? UV_ECANCELED : status, "resolve");
        return;
    }
    try_next(dial);
}

static void deadline_passed(uv_timer_t *timer)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)timer->data;
    struct hws_net__dial *dial = conn->dial;
    struct hws_err err;

    if (conn->reopening) {
        return; /* the next address has its own share */
    }
    if (dial != NULL && dial->next != NULL) {
        give_up_address(dial);
        return;
    }
    (void)hws_err_set(&err, HWS_E_TIMEOUT, "connect to %.100s: no answer in time",
                      conn->peer.address);
    hws_net__conn_fail(conn, &err);
}

static enum hws_code start_tcp(struct hws_net__dial *dial, const char *target, struct hws_err *err)
{
    struct hws_net_conn *conn = dial->conn;
    struct sockaddr_storage addr;
    char port[8];
    int status = 0;

    enum hws_code rc =
        hws_net__address_split(target, dial->host, sizeof(dial->host), port, sizeof(port), err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (hws_net__address_parse(target, &addr, NULL) == HWS_OK) {
        dial->req.connect.data = dial;
        status = uv_tcp_connect(&dial->req.connect, &conn->io.tcp, (const struct sockaddr *)&addr,
                                connected);
    } else {
        struct addrinfo hints;
        memset(&hints, 0, sizeof(hints));
        hints.ai_socktype = SOCK_STREAM;
        dial->req.resolve.data = dial;
        status =
            uv_getaddrinfo(conn->net->loop, &dial->req.resolve, resolved, dial->host, port, &hints);
    }
    return status == 0 ? HWS_OK : hws_net_fail(err, status, target);
}

static void unmade(struct hws_net_conn *conn, const struct hws_err *err)
{
    (void)conn;
    (void)err;
}

static const struct hws_net_conn_ops s_silent = {.on_closed = unmade};

enum hws_code hws_net_dial(struct hws_net *net, const struct hws_net_dial_config *config,
                           struct hws_net_conn **out_conn, struct hws_err *err)
{
    bool local = hws_str_starts(config->target, "unix:");
    const char *path = local ? hws_net__unix_path(config->target, err) : NULL;
    struct hws_net_conn *conn = NULL;

    if (local && path == NULL) {
        return HWS_E_INVALID;
    }
    if (!local && config->bundle == NULL) {
        return hws_err_set(err, HWS_E_INVALID,
                           "%.100s: TCP needs a certificate: there is no plain TCP",
                           config->target);
    }
    struct hws_net__dial *dial = hws_mem_zalloc(1, sizeof(*dial));
    char *expect = config->expect == NULL ? NULL : hws_mem_strdup(config->expect);
    if (dial == NULL || (config->expect != NULL && expect == NULL)) {
        hws_mem_free(dial);
        hws_mem_free(expect);
        return hws_err_set(err, HWS_E_NOMEM, "connection");
    }
    enum hws_code rc = hws_net__conn_new(net, local ? HWS_NET_UNIX : HWS_NET_TLS, false,
                                         config->ops, config->owner, &conn, err);
    if (rc != HWS_OK) {
        hws_mem_free(dial);
        hws_mem_free(expect);
        return rc;
    }
    dial->conn = conn;
    dial->expect = expect;
    dial->bundle = config->bundle == NULL ? NULL : hws_tls_bundle_ref(config->bundle);
    uint32_t timeout_ms = config->timeout_ms == 0 ? HWS_NET_DIAL_TIMEOUT_MS : config->timeout_ms;
    conn->dial = dial;
    conn->dial_by_ms = hws_net_now_ms(net) + timeout_ms;
    hws_net_closer_hold(&conn->closer);
    (void)hws_str_copy(conn->peer.address, sizeof(conn->peer.address), config->target);
    if (local) {
        dial->req.connect.data = dial;
        uv_pipe_connect(&dial->req.connect, &conn->io.pipe, path, connected);
    } else {
        rc = start_tcp(dial, config->target, err);
    }
    if (rc != HWS_OK) {
        struct hws_err why = {.code = rc};
        conn->ops = &s_silent; /* the caller hears it from us, once */
        hws_net__conn_fail(conn, &why);
        dial_free(dial);
        return rc;
    }
    (void)uv_timer_start(&conn->timer, deadline_passed, timeout_ms, 0);
    *out_conn = conn;
    return HWS_OK;
}
