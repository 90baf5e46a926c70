/*
 * One gRPC connection, server or client side: HTTP/2 by nghttp2, no I/O, no clock.
 *
 * The owner (lib/wire/net, a test) moves bytes and time:
 *
 *     bytes came             hws_grpc_conn_recv, then turn, then pull until nothing comes
 *     on_wake was called     turn, then pull until nothing comes (soon, but not inside on_wake)
 *     the deadline came      turn, then pull until nothing comes
 *     transport wrote n      hws_grpc_conn_sent(n); then pull again
 *     transport ended        hws_grpc_conn_lost
 *     hws_grpc_conn_want_close after a pull that gave nothing: close the transport, then lost, then
 * deinit
 *
 * Time is milliseconds on any monotonic clock, the same for all functions. Application callbacks
 * (grpc/call.h) run only inside recv, turn, pull and lost; they may use every function of call.h,
 * client.h and hws_grpc_conn_drain/close, but not recv, turn, pull, sent, lost or deinit. on_wake
 * is the one exception: it runs inside any function that queues work from outside those four, at
 * most once until the next turn, and may only note that work is there.
 *
 * Thread rule: a connection, its calls and its server belong to one thread. No process-global
 * state.
 */
#ifndef HWS_GRPC_SESSION_H
#define HWS_GRPC_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "grpc/account.h"
#include "grpc/limits.h"
#include "grpc/out.h"
#include "grpc/outq.h"
#include "grpc/rate.h"
#include "grpc/scan.h"
#include "grpc/spares.h"

struct hws_grpc_server;
struct hws_grpc_conn;
struct nghttp2_session;

#define HWS_GRPC_TRIM_MS 1000u /* spares that nothing has used for so long are given back */

enum hws_grpc_conn_state {
    HWS_GRPC_CONN_OPEN,
    HWS_GRPC_CONN_NOTICED,  /* draining, server: first GOAWAY (last id 2^31-1) is out, new streams
                               still taken */
    HWS_GRPC_CONN_DRAINING, /* true GOAWAY is out (or came): no new calls, the old ones finish */
    HWS_GRPC_CONN_CLOSING,  /* GOAWAY with an error, or close: no calls, input ignored, output is
                               flushed */
    HWS_GRPC_CONN_CLOSED,   /* transport gone */
    HWS_GRPC_CONN_N_STATES
};

struct hws_grpc_conn_config {
    struct hws_grpc_server *server; /* borrowed, outlives the connection; NULL: this is a client */
    struct hws_grpc_limits limits;
    struct hws_grpc_stats *stats; /* borrowed; NULL: counts are kept in the connection only */
    /* What is charged for this connection beside its own limits; each borrowed, outlives the
     * connection; NULL = none. */
    struct hws_grpc_account *accounts[HWS_GRPC_MAX_ACCOUNTS];
    /* Memory kept for the next call, shared by connections of one thread; borrowed, outlives the
     * connection; NULL: it keeps its own. */
    struct hws_grpc_spares *spares;
    void (*on_wake)(struct hws_grpc_conn *conn,
                    void *data); /* may be NULL (the owner turns after each use) */
    void *data;                  /* the owner's: peer identity, transport */
    uint32_t spread;             /* any value: max_age_ms comes up to a fifth sooner by it */
    const char *scheme;          /* client's :scheme, "https" or "http"; NULL = https. borrowed */
    const char *authority;       /* client's :authority; NULL = "localhost". borrowed */
    const char *user_agent;      /* client's user-agent; NULL = "hawser-grpc-c/0.1". borrowed */
};

/* Embedded by the owner; fields are the engine's. Read through the functions below. */
struct hws_grpc_conn {
    struct hws_grpc_conn_config cfg;
    struct nghttp2_session *h2; /* owned */
    int state;                  /* enum hws_grpc_conn_state */
    uint64_t now_ms;            /* the latest time given */

    struct hws_list calls;   /* owned: struct hws_grpc_call.link, live ones */
    struct hws_list done;    /* owned: the same, on_close is due */
    struct hws_list poked;   /* struct hws_grpc_call.poke_link: have work for the next settle */
    struct hws_list blocked; /* struct hws_grpc_call.block_link: wait for on_writable */
    uint32_t n_calls;        /* in calls and done */
    uint32_t n_done;         /* in done */
    uint64_t call_due_ms;    /* no call has anything due before */
    unsigned depth;          /* > 0 inside recv, turn, pull, lost */
    bool undated;            /* a call was used from outside, by an old now_ms */
    bool woken;              /* on_wake ran since the last turn */

    struct hws_grpc_out out;           /* owned: frames pulled from nghttp2, not yet sent */
    struct hws_grpc_spares *spares;    /* cfg's, or the following */
    struct hws_grpc_spares own_spares; /* owned */
    uint64_t trim_at_ms;               /* spares are looked at; UINT64_MAX: never */
    size_t unsent_bytes;               /* message bytes queued by all calls */
    size_t transport_bytes;            /* output that the transport holds, as it says */
    size_t recv_bytes;    /* message bytes of all calls that no handler has taken yet */
    size_t app_bytes;     /* that the application holds of all calls (hws_grpc_call_hold) */
    size_t charged_bytes; /* of all, as the accounts have them */
    uint64_t retry_ms;    /* when calls that an account keeps from sending try again */

    uint32_t block_fields; /* of the header block being read */
    uint32_t block_bytes;
    uint64_t block_since_ms; /* it began; UINT64_MAX = none is being read */

    uint64_t opened_ms;
    uint64_t last_recv_ms;  /* bytes came */
    uint64_t last_moved_ms; /* output moved, or was empty */
    uint64_t idle_since_ms; /* no calls since; UINT64_MAX while there are some */
    uint64_t ping_sent_ms;  /* our keepalive ping is out since; UINT64_MAX = none */
    uint64_t drain_at_ms;   /* when the second GOAWAY is due; UINT64_MAX = not */
    uint64_t grace_at_ms;   /* when a drained connection's calls end; UINT64_MAX = never */
    bool settled;           /* the peer's SETTINGS came */
    bool goaway_out;        /* a client's GOAWAY for its drain is queued */
    bool silent;            /* it did not answer our keepalive ping in time */

    uint64_t last_ping_ms; /* the peer's; UINT64_MAX = none yet */
    uint32_t ping_strikes;
    bool sent_since_ping; /* data or headers went out since the peer's last ping */
    struct hws_grpc_scan scan;
    uint32_t n_blocks_begun; /* HEADERS that the library took since the last look */
    struct hws_grpc_rate control;
    struct hws_grpc_rate resets;
    uint32_t n_provoked;        /* in the window that began then */
    uint32_t n_provoked_before; /* in the one before it */
    uint64_t provoked_since_ms;

    bool ending;            /* end_* are set; GOAWAY and CLOSING are due when nghttp2 is left */
    uint32_t end_h2;        /* the HTTP/2 error code for GOAWAY */
    enum hws_code end_code; /* why CLOSING or CLOSED; HWS_OK for an orderly end */
    char end_text[128];     /* the same for people */

    struct hws_grpc_stats own_stats; /* used when cfg.stats is NULL */
    struct hws_grpc_stats *stats;
};

/*
 * Starts a connection; our preface and SETTINGS are queued. cfg is copied, what it points to is
 * borrowed. On error nothing is held. HWS_E_NOMEM, HWS_E_INVALID for a limit out of its range.
 */
enum hws_code hws_grpc_conn_init(struct hws_grpc_conn *conn, const struct hws_grpc_conn_config *cfg,
                                 uint64_t now_ms, struct hws_err *err) HWS_MUST_USE;

/* Frees everything; calls still open get on_close first (as by hws_grpc_conn_lost). Accepts a
 * zeroed struct. */
void hws_grpc_conn_deinit(struct hws_grpc_conn *conn);

/*
 * Takes n bytes from the transport, all of them. HWS_OK, also for bytes after the end (dropped).
 * HWS_E_PROTO: the peer broke HTTP/2; HWS_E_BUSY: a connection limit; HWS_E_NOMEM: in each case
 * open calls ended, a GOAWAY is queued, and want_close comes true when it is flushed. Errors of a
 * single call are not reported here.
 */
enum hws_code hws_grpc_conn_recv(struct hws_grpc_conn *conn, const uint8_t *bytes, size_t n,
                                 uint64_t now_ms, struct hws_err *err) HWS_MUST_USE;

/* The transport holds n bytes of what it was given to send: charged to the accounts until it says
 * otherwise. */
void hws_grpc_conn_transport_holds(struct hws_grpc_conn *conn, size_t n);

/* Runs what time and earlier calls made due. Returns the next absolute deadline, UINT64_MAX if
 * none. */
uint64_t hws_grpc_conn_turn(struct hws_grpc_conn *conn, uint64_t now_ms);

/*
 * What to write: at most cap spans, in order; returns how many, 0 when there is nothing. The bytes
 * stay where they are, and the same until hws_grpc_conn_sent has taken all of them or the
 * connection is deinitialised, whatever else is called; calling it again before that gives the rest
 * of the same bytes. At most some 512 KiB at a time; message bytes lie where their producer put
 * them.
 */
size_t hws_grpc_conn_pull_spans(struct hws_grpc_conn *conn, uint64_t now_ms, struct hws_span *spans,
                                size_t cap);

/* The first of these spans: *out_bytes, *out_n; *out_n 0 when there is nothing. */
void hws_grpc_conn_pull(struct hws_grpc_conn *conn, uint64_t now_ms, const uint8_t **out_bytes,
                        size_t *out_n);

/* Counts n bytes of what was pulled as written. */
void hws_grpc_conn_sent(struct hws_grpc_conn *conn, size_t n, uint64_t now_ms);

/* False while the owner should not read from the transport: the connection ends, or (server) too
 * much output waits. A client always reads, lest both sides wait for each other. */
bool hws_grpc_conn_want_read(const struct hws_grpc_conn *conn);

/* True when the transport may be closed: drained or closing, no calls, and all output pulled and
 * sent. */
bool hws_grpc_conn_want_close(const struct hws_grpc_conn *conn);

/*
 * No new calls; running ones finish. A server says GOAWAY twice (last id 2^31-1, then the true one
 * after the peer's answer to a ping or drain_notice_ms). After grace_ms calls that still run end
 * UNAVAILABLE (0: they may run on). Both count from now_ms. Once more: the sooner end of grace
 * counts.
 */
void hws_grpc_conn_drain(struct hws_grpc_conn *conn, uint64_t grace_ms, uint64_t now_ms);

/* Ends all calls UNAVAILABLE (server: on_cancel) and queues GOAWAY NO_ERROR. Idempotent. */
void hws_grpc_conn_close(struct hws_grpc_conn *conn);

/* The transport is gone: every call ends now, UNAVAILABLE. why is for people. Idempotent. A server
 * call whose handler has not finished gets on_cancel here and on_close at once after it: nothing of
 * the call is left. */
void hws_grpc_conn_lost(struct hws_grpc_conn *conn, const char *why);

/* The owner's cfg.data. */
void *hws_grpc_conn_data(const struct hws_grpc_conn *conn);

/* Calls open now. */
uint32_t hws_grpc_conn_n_calls(const struct hws_grpc_conn *conn);

/* Why the connection ended or is ending: HWS_OK for an orderly end; *out_text (may be NULL) is
 * borrowed. */
enum hws_code hws_grpc_conn_end(const struct hws_grpc_conn *conn, const char **out_text);

#endif
