/*
 * A listener: TCP with mutual TLS, or a Unix socket with peer credentials. There is no third kind:
 * no flag makes TCP plain.
 *
 * Limits (net/limits.def) are kept early and counted: connections in all, of an address and of an
 * identity; handshakes begun in a second; handshakes under way, for which peers queue (net/gate.h)
 * so that slow strangers keep nobody out and many who come at once are all served. Connections
 * never take the process's last descriptors (should others take them: net/accept.h).
 *
 * Rotation: hws_net_listener_set_bundle swaps a pointer; connections keep the bundle they began
 * with.
 */
#ifndef HWS_NET_LISTEN_H
#define HWS_NET_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "net/accept.h"
#include "net/account.h"
#include "net/conn.h"
#include "net/gate.h"
#include "net/limits.h"
#include "net/net.h"
#include "tls/bundle.h"

#define HWS_NET_BACKLOG 1024 /* who waits in the kernel; the system may lower it */

struct hws_net_listen_config {
    const char *address; /* "127.0.0.1:0", "[::1]:7654" (port 0: the kernel picks), or for a Unix
                            socket "unix:/path" or "/path"; borrowed during open */
    bool has_fd;         /* TCP: fd listens already, address is not looked at */
    int fd;              /* taken on success */
    struct hws_tls_bundle *bundle;       /* TCP: required; a reference is taken */
    uint32_t unix_mode;                  /* Unix socket's file mode; 0 = 0600 */
    const struct hws_net_limits *limits; /* read during open; NULL = the defaults */
    const struct hws_net_conn_ops *ops;  /* borrowed (outlives the listener) */
    void *owner;                         /* hws_net_conn_owner of its connections */
};

struct hws_net_listener {
    struct hws_net_closer closer; /* first */
    struct hws_net *net;          /* borrowed */
    struct hws_net_listen_config config;
    struct hws_tls_bundle *bundle; /* owned reference; NULL on a Unix socket */
    union {
        uv_handle_t handle;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } io;
    struct hws_net_accept accept;
    struct hws_list conns; /* hws_net_conn.link, all */
    struct hws_net_gate gate;
    uint32_t n_conns;
    uint32_t n_open;       /* of them, still with a descriptor */
    uint32_t n_handshakes; /* of them, not identified yet */
    struct hws_net_limits limits;
    struct hws_net_book by_address;
    struct hws_net_book by_identity;
    struct hws_grpc_account all;    /* what all connections hold together */
    struct hws_grpc_rate attempts;  /* handshakes */
    char bound[HWS_NET_PEER_BYTES]; /* "127.0.0.1:41234" or the path */
    bool closing;                   /* closed is due when nothing is left */
    bool finishing;                 /* the same, and connections may take their time */
    bool handles_closed;
    void (*closed)(struct hws_net_listener *listener);
    void *data; /* the owner's, for closed */
};

/*
 * Binds and listens, or takes a socket that listens (a service manager's). A Unix path that exists
 * and answers nobody is replaced. HWS_E_INVALID for an address of another form, HWS_E_EXISTS for
 * one in use, HWS_E_IO, HWS_E_NOMEM. After a failure nothing is to be undone, but the loop must
 * turn once before the struct's memory goes.
 */
enum hws_code hws_net_listener_open(struct hws_net_listener *listener, struct hws_net *net,
                                    const struct hws_net_listen_config *config, struct hws_err *err)
    HWS_MUST_USE;

/* The real address, with the port that the kernel picked, or the path. Borrowed for the listener's
 * life. */
const char *hws_net_listener_address(const struct hws_net_listener *listener);

/* New connections use this bundle (a reference is taken) from now on. Those that are open keep
 * theirs, but end at once if the new bundle's lists name their peer (hws_tls_bundle_judge). */
void hws_net_listener_set_bundle(struct hws_net_listener *listener, struct hws_tls_bundle *bundle);

/*
 * The orderly end of a server: stops accepting, drains every connection (hws_net_conn_drain:
 * calls that run may take grace_ms more, then they end UNAVAILABLE; 0: no limit), and calls closed
 * (may be NULL) once when the last has gone, never inside unless nothing is left of a listener that
 * was stopped. Then nothing refers to the listener, which may be freed in closed. A server with
 * health says hws_grpc_health_shutdown first. close may follow, for those who cannot wait: then its
 * closed is the one that comes.
 */
void hws_net_listener_finish(struct hws_net_listener *listener, uint64_t grace_ms,
                             void (*closed)(struct hws_net_listener *listener));

/* Drains every connection of now (hws_net_conn_drain); still accepts. */
void hws_net_listener_drain(struct hws_net_listener *listener, uint64_t grace_ms);

/* Stops accepting, closes every connection (hws_net_conn_close: calls end UNAVAILABLE), then calls
 * closed as finish does. Once only. */
void hws_net_listener_close(struct hws_net_listener *listener,
                            void (*closed)(struct hws_net_listener *listener));

/* Stops accepting; connections live on. finish or close may follow. */
void hws_net_listener_stop(struct hws_net_listener *listener);

#endif
