/*
 * Connecting as a client.
 *
 * Happy path: resolve (TCP by name) -> connect -> hws_net__conn_start -> on_open.
 * Failures: name not found, refused, unreachable, the deadline; all end in on_closed.
 */
#include "net/dial.h"

#include <netdb.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "net/address_priv.h"
#include "net/conn_priv.h"

/* One attempt, alive from dial until the stream is connected or given up. */
struct dial {
    struct hws_net_conn *conn; /* held through its closer */
    struct hws_tls_bundle *bundle;
    char *expect;
    char host[HWS_NET_HOST_BYTES];
    union {
        uv_getaddrinfo_t resolve;
        uv_connect_t connect;
    } req;
};

/* The attempt is over; the connection goes on alone. */
static void dial_free(struct dial *dial)
{
    struct hws_net_conn *conn = dial->conn;

    hws_tls_bundle_unref(dial->bundle);
    hws_mem_free(dial->expect);
    hws_mem_free(dial);
    conn->dialing = false;
    hws_net_closer_drop(&conn->closer);
}

static void dial_fail(struct dial *dial, int status, const char *what)
{
    struct hws_err err;
    char text[HWS_NET_HOST_BYTES + 16];

    (void)hws_str_print(text, sizeof(text), "%s %s", what, dial->conn->peer.address);
    (void)hws_net_fail(&err, status, text);
    hws_net__conn_fail(dial->conn, &err);
    dial_free(dial);
}

static void connected(uv_connect_t *req, int status)
{
    struct dial *dial = req->data;
    struct hws_net_conn *conn = dial->conn;

    if (status != 0 || conn->hung_up) {
        dial_fail(dial, status == 0 ? UV_ECANCELED : status, "connect to");
        return;
    }
    conn->net->stats.dialed++;
    hws_net__conn_start(conn, dial->bundle, dial->expect, NULL);
    if (conn->peer.transport == HWS_NET_TLS && !conn->hung_up) {
        conn->expect = dial->expect; /* the handshake borrows it: the connection frees it */
        dial->expect = NULL;
    }
    dial_free(dial);
}

static void resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct dial *dial = req->data;

    if (status != 0 || dial->conn->hung_up) {
        uv_freeaddrinfo(list);
        dial_fail(dial, status == 0 ? UV_ECANCELED : status, "resolve");
        return;
    }
    dial->req.connect.data = dial;
    status = uv_tcp_connect(&dial->req.connect, &dial->conn->io.tcp, list->ai_addr, connected);
    uv_freeaddrinfo(list);
    if (status != 0) {
        dial_fail(dial, status, "connect to");
    }
}

static void deadline_passed(uv_timer_t *timer)
{
    struct hws_net_conn *conn = (struct hws_net_conn *)timer->data;
    struct hws_err err;

    (void)hws_err_set(&err, HWS_E_TIMEOUT, "connect to %.100s: no answer in time",
                      conn->peer.address);
    hws_net__conn_fail(conn, &err);
}

static enum hws_code start_tcp(struct dial *dial, const char *target, struct hws_err *err)
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
    static const char unix_prefix[] = "unix:";
    bool local = hws_str_starts(config->target, unix_prefix);
    struct hws_net_conn *conn = NULL;

    if (!local && config->bundle == NULL) {
        return hws_err_set(err, HWS_E_INVALID,
                           "%.100s: TCP needs a certificate: there is no plain TCP",
                           config->target);
    }
    struct dial *dial = hws_mem_zalloc(1, sizeof(*dial));
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
    conn->dialing = true;
    hws_net_closer_hold(&conn->closer);
    (void)hws_str_copy(conn->peer.address, sizeof(conn->peer.address), config->target);
    if (local) {
        dial->req.connect.data = dial;
        uv_pipe_connect(&dial->req.connect, &conn->io.pipe,
                        config->target + sizeof(unix_prefix) - 1, connected);
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
    uint32_t timeout_ms = config->timeout_ms == 0 ? HWS_NET_DIAL_TIMEOUT_MS : config->timeout_ms;
    (void)uv_timer_start(&conn->timer, deadline_passed, timeout_ms, 0);
    *out_conn = conn;
    return HWS_OK;
}
