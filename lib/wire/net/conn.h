/*
 * One connection: a libuv stream (TCP, or a Unix socket), TLS when it is TCP, and the gRPC engine
 * on top. Both sides use it; net/listen.h and net/dial.h make it.
 *
 *     CONNECTING (dial) -> HANDSHAKE (TLS) -> OPEN -> CLOSING -> CLOSED
 *
 * Every byte moves here: transport -> TLS -> gRPC engine -> TLS -> transport, one write for what a
 * read brings, one for what comes otherwise in a turn of the loop, and one in flight at a time, so
 * a peer that does not read makes us stop reading from it. The engine's work and timers run from
 * one prepare and one timer handle a connection.
 *
 * Ownership: made and freed by this layer; a pointer is good until on_closed returned.
 */
#ifndef HWS_NET_CONN_H
#define HWS_NET_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "grpc/session.h"
#include "net/closer.h"
#include "net/net.h"
#include "tls/conn.h"

enum hws_net_transport { HWS_NET_TLS, HWS_NET_UNIX };

enum hws_net_state {
    HWS_NET_CONNECTING,
    HWS_NET_HANDSHAKE,
    HWS_NET_OPEN,
    HWS_NET_CLOSING, /* the last bytes leave, or handles close */
    HWS_NET_CLOSED,
    HWS_NET_N_STATES
};

/* Who is at the other end. Valid from OPEN on. */
struct hws_net_peer {
    const char *principal; /* "spiffe://...", "dns:name" or "unix:uid:N"; the connection's */
    const char *serial;    /* certificate serial in hex; "" on a Unix socket */
    const uint8_t *sha256; /* of the certificate, 32 bytes; NULL on a Unix socket */
    uint64_t not_after_s;  /* of the certificate; UINT64_MAX on a Unix socket */
    char address[HWS_NET_PEER_BYTES]; /* "192.0.2.1:4711" or "unix:pid:123" */
    enum hws_net_transport transport;
    uint32_t uid; /* Unix socket: of the peer process */
    uint32_t pid;
};

struct hws_net_account;
struct hws_net_conn;

struct hws_net_conn_ops {
    /*
     * The peer is identified (TLS handshake done, or Unix credentials read). Fill cfg: a server
     * sets cfg->server; cfg->limits has the defaults of the side, stats and spread are set, the
     * rest is zero. accounts, spares, on_wake and data are this layer's (use hws_net_conn_set_data
     * for yours). Anything but HWS_OK, or a server's without cfg->server, refuses the peer, with
     * err's text for the log. A client may leave it NULL.
     */
    enum hws_code (*on_open)(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err);
    /* Calls may be started from here on: right after on_open said HWS_OK. May be NULL. */
    void (*on_ready)(struct hws_net_conn *conn);
    /* Exactly once for each on_open that said HWS_OK, and for each failed dial; err tells why
     * (HWS_OK: orderly; HWS_E_GONE: the peer went, as gRPC clients in C++ and Python do without
     * TLS's farewell). The pointer is dead after it. May be NULL. */
    void (*on_closed)(struct hws_net_conn *conn, const struct hws_err *err);
    /* Server: a connection that never opened; reason is a tls/reason.h name, "limit", "refused" or
     * "transport". May be NULL. */
    void (*on_refused)(void *owner, const char *peer, const char *reason, const char *text);
};

struct hws_net__dial; /* of net/dial.c */

struct hws_net_conn {
    struct hws_net_closer closer; /* first: closed() recovers the connection */
    struct hws_net *net;          /* borrowed */
    const struct hws_net_conn_ops *ops;
    void *owner; /* listener's or dial's user pointer */
    void *data;  /* the user's */
    int state;   /* enum hws_net_state */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } io;
    uv_timer_t timer;
    uv_prepare_t wake;
    uv_write_t write_req;
    struct hws_buf
        sending; /* TLS: ciphertext in flight; lent by net's pool, empty memory is not kept */
    size_t grpc_in_flight; /* plain: engine bytes in flight */
    struct hws_tls_conn tls;
    struct hws_grpc_conn grpc;
    struct hws_net_peer peer;
    char unix_principal[32];
    struct hws_err err;      /* why it ends */
    uint64_t write_since_ms; /* a write is in flight since; 0 = none */
    uint64_t timer_at_ms;    /* when conn.c's timer fires; 0 = it does not run */
    uint64_t close_by_ms;    /* CLOSING: when patience ends */
    uint64_t drain_by_ms;    /* server, drained during its handshake: when its calls end; 0 = not */
    uint64_t dial_by_ms; /* client: when connecting and the handshake must be over; 0 = server */
    struct hws_net__dial *dial; /* client: net/dial.c works on it; NULL when connected */
    bool server;
    bool opened;  /* on_open said HWS_OK */
    bool settled; /* in on_closed: the peer's SETTINGS had come */
    bool reading;
    bool eof; /* the peer has ended its side */
    bool pumping;
    bool hung_up;         /* handles are closing */
    size_t linger_bytes;  /* dropped while lingering */
    bool lingering;       /* our end is sent: the peer's bytes are dropped until it ends, too */
    bool pending;         /* server: the listener counts it as not identified yet */
    bool worn;            /* drained because of its keys (tls/conn.h) */
    bool reopening;       /* client: the handle closes to try the next address */
    char *expect;         /* client: owned; what the handshake compares the server with */
    struct hws_list link; /* the listener's */
    struct hws_list
        gate;            /* server: of those whose handshake is under way, or who wait for theirs */
    bool begun;          /* server: under way */
    uint64_t came_at_ms; /* server: accepted */
    uint64_t begun_at_ms;              /* server: the handshake */
    struct hws_net_listener *listener; /* NULL for a dialed one */
    struct hws_net_account *address;   /* server: the peer's; NULL on a Unix socket */
    struct hws_net_account *identity;  /* server: the peer's, once it is proved */
};

/* The gRPC engine, for client.h and call.h; valid while OPEN and CLOSING. */
struct hws_grpc_conn *hws_net_conn_grpc(struct hws_net_conn *conn);

/* The connection of an engine that this layer made. */
struct hws_net_conn *hws_net_conn_of(const struct hws_grpc_conn *grpc);

/* Who is at the other end; valid from on_open to on_closed. */
const struct hws_net_peer *hws_net_conn_peer(const struct hws_net_conn *conn);

/* The user's pointer, NULL until it is set. */
void hws_net_conn_set_data(struct hws_net_conn *conn, void *data);
void *hws_net_conn_data(const struct hws_net_conn *conn);

/* The pointer given to listen or dial. */
void *hws_net_conn_owner(const struct hws_net_conn *conn);

/* No new calls, running ones finish within grace_ms (0: no limit), then it closes by itself. A peer
 * whose handshake is under way has HWS_NET_CLOSE_GRACE_MS to end it, and is told then. */
void hws_net_conn_drain(struct hws_net_conn *conn, uint64_t grace_ms);

/* Ends calls, sends GOAWAY and close_notify for at most HWS_NET_CLOSE_GRACE_MS, closes. Idempotent;
 * on_closed comes later, never inside. */
void hws_net_conn_close(struct hws_net_conn *conn);

#endif
