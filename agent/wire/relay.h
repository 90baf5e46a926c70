/*
 * Between gRPC and the keeper: every RPC of the public API becomes a link call, message by message.
 * Routing and cardinality come from the method rows (link/methods.h); nothing here reads a message.
 *
 * Credit both ways: a client may have as many messages under way as hawserd has granted, and
 * hawserd as many as gRPC has taken, so a slow reader holds a bounded number of messages. While
 * hawserd is away, calls end UNAVAILABLE at once and the connection is tried every 20 ms; calls in
 * flight when it dies end UNAVAILABLE.
 *
 * Thread rule: the loop thread.
 */
#ifndef HWS_WIRE_RELAY_H
#define HWS_WIRE_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "grpc/health.h"
#include "grpc/server.h"
#include "link/methods.h"
#include "link/packet.h"

#define HWS_RELAY_RECONNECT_MS   20u
#define HWS_RELAY_MAX_CALLS      1150u /* of all clients; hawserd takes 1200 */
#define HWS_RELAY_BUCKETS        256u  /* a power of two */
#define HWS_RELAY_READS_PER_TURN 64u
#define HWS_RELAY_STATS_BYTES    16384u
#define HWS_RELAY_STATS_MS       500u /* at most this often, and only after a change */

struct hws_grpc_conn;

/* Who is at the other end of a connection; borrowed texts. */
struct hws_relay_peer {
    uint8_t transport;     /* enum hws_link_transport */
    const char *principal; /* "spiffe://...", "dns:...", "unix:uid:N" */
    const char *serial;    /* hex, "" on a Unix socket */
    const uint8_t *sha256; /* 32 bytes; NULL on a Unix socket */
    const char *peer;      /* address for people */
};

struct hws_relay_config {
    uv_loop_t *loop;                /* borrowed */
    const char *socket_path;        /* hawserd's; borrowed */
    const char *build_id;           /* borrowed */
    struct hws_grpc_health *health; /* borrowed: follows whether hawserd is there */
    /* Fills *out for a connection; never fails. */
    void (*peer_of)(void *data, struct hws_grpc_conn *conn, struct hws_relay_peer *out);
    /* The counters as "name value\n" lines; at most cap - 1 bytes and a NUL. */
    void (*stats)(void *data, char *dst, size_t cap);
    void (*up)(void *data);    /* hawserd is there, again or for the first time */
    void (*drain)(void *data); /* hawserd says: finish and end */
    /* hawserd says: read the certificate files now. The text of *out is written into text. */
    void (*reload)(void *data, struct hws_link_reloaded *out, char *text, size_t cap);
    void *data;
};

struct hws_relay {
    struct hws_relay_config config;
    int fd;          /* owned; -1 = hawserd is away */
    bool up;         /* its HELLO came */
    bool closing;    /* no reconnects */
    uv_poll_t *poll; /* owned; freed by its close callback */
    int events;
    uv_timer_t reconnect;
    uv_timer_t stats_timer;
    uv_prepare_t prepare; /* before each wait: what is queued is sent */
    bool hello_due;
    bool stats_due;
    uint64_t reload_due;   /* the id of a RELOAD not answered yet; 0 = none */
    bool tls_reads_only;   /* the owner's: revocation lists are overdue, nothing may be changed */
    uint64_t n_reads_only; /* calls refused for it */
    bool reset_due;        /* the keeper broke the protocol */
    uint64_t generation;
    uint64_t next_id;
    struct hws_list table[HWS_RELAY_BUCKETS]; /* calls by id */
    struct hws_list ready;                    /* calls with something to send */
    size_t n_calls;
    uint64_t n_refused; /* calls ended because hawserd was away */
    uint64_t n_lost;    /* calls that hawserd's end cut off */
    size_t n_pending;
    uint8_t pending[HWS_LINK_MAX_BYTES];
    uint8_t packet[HWS_LINK_MAX_BYTES];
};

/* Adds every method row to the server and begins to connect. HWS_E_NOMEM, HWS_E_IO. */
enum hws_code hws_relay_open(struct hws_relay *r, const struct hws_relay_config *config,
                             struct hws_grpc_server *server, struct hws_err *err) HWS_MUST_USE;

/* A counter has changed: hawserd is told soon. */
void hws_relay_stats_changed(struct hws_relay *r);

/* Closes handles; calls still open end UNAVAILABLE. */
void hws_relay_close(struct hws_relay *r);

#endif
