/*
 * Connecting as a client: TCP with mutual TLS, or a Unix socket. The result is a connection whose
 * ops' on_open comes when calls may start, or whose on_closed comes with the reason why not:
 * HWS_E_GONE (refused, unreachable, name not found, TLS ended by the peer), HWS_E_DENIED (the
 * server is not who was expected), HWS_E_TIMEOUT, HWS_E_PROTO.
 */
#ifndef HWS_NET_DIAL_H
#define HWS_NET_DIAL_H

#include <stdint.h>

#include "base/err.h"
#include "net/conn.h"
#include "net/net.h"
#include "tls/bundle.h"

/* Resolving, connecting (to each address of the name in turn) and the handshake together. */
#define HWS_NET_DIAL_TIMEOUT_MS 10000u

/*
 * TCP: the server's host is missed by our kernel. After the silence it probes each second; when the
 * timeout has passed, too, the connection ends HWS_E_TIMEOUT, as it does when what was sent is not
 * taken within both together. Probes and not pings, since gRPC servers end a client that pings more
 * often than every 5 min (grpc/doc/keepalive.md), and since probes also watch connections without
 * calls. The engine's keepalive_ms finds the server whose kernel answers and whose program does
 * not.
 */
#define HWS_NET_SILENCE_MS         30000u
#define HWS_NET_SILENCE_TIMEOUT_MS 10000u

struct hws_net_dial_config {
    const char *target; /* "host:port", "[v6]:port" or "unix:/path"; borrowed during dial */
    struct hws_tls_bundle *bundle; /* TCP: required; a reference is taken while connecting */
    const char *expect;            /* hws_tls_san_expect form, or NULL for any server of our CAs;
                                      borrowed until on_open or on_closed */
    uint32_t timeout_ms;           /* 0 = HWS_NET_DIAL_TIMEOUT_MS */
    const struct hws_net_conn_ops *ops; /* borrowed (outlives the connection) */
    void *owner;
};

/*
 * Starts to connect. HWS_E_INVALID for a target of another form, a path that is too long for a
 * socket, or TCP without a bundle, HWS_E_NOMEM, HWS_E_IO; then no callback comes and *out_conn is
 * not set. Callbacks never come inside.
 */
enum hws_code hws_net_dial(struct hws_net *net, const struct hws_net_dial_config *config,
                           struct hws_net_conn **out_conn, struct hws_err *err) HWS_MUST_USE;

#endif
