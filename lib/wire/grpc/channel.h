/*
 * A channel: one name, an address or several, a connection to each, and calls that wait, go round
 * robin over what is ready, and are tried again where gRPC allows it. Client side; no I/O, no
 * clock.
 *
 * The owner resolves the name (set_addresses), connects when dial asks, and reports up and down.
 * Calls are placed, tried again and timed out in turn only; on_wake says that one is due. An
 * address whose connecting failed rests, longer after each failure (backoff_min_ms, times 1.6, at
 * most backoff_max_ms, each +-20 %: grpc/doc/connection-backoff.md); so does one whose server ended
 * the connection before its SETTINGS came (it is full, or TLS 1.3 refused our certificate late). A
 * connection that ends after that is made again at once when a call wants one, though others may
 * carry it.
 *
 * One struct is a call of any kind. A unary or server-stream call has its one message in the
 * struct; the others send with hws_grpc_channel_send from start on, also while they wait for a
 * connection, and half-close. A send that finds too much unsent says HWS_E_BUSY, and on_writable
 * comes.
 *
 * A call that never reached the server's application is placed again without being counted
 * (transparent retry): HWS_GRPC_CHANNEL_TRANSPARENT times when nothing of it had left, once when a
 * server turned it away unseen (A6: that is load for it). A call that ended UNAVAILABLE before any
 * answer is tried again while max_attempts allows, after a pause that doubles, or the one that the
 * server names in grpc-retry-pushback-ms, behind which the pauses begin anew; a negative or
 * malformed one forbids it. The server sees
 * grpc-previous-rpc-attempts (grpc proposal A6). Callers ask for more than one attempt only where
 * doing it twice is harmless. A stream's messages are kept to be sent again, up to
 * HWS_GRPC_CHANNEL_KEPT_BYTES: one that has sent more is committed to its connection, as is every
 * call whose answer has begun (A6).
 *
 * A server in trouble is not asked more by that (A6, retry throttling): every end of a call that is
 * UNAVAILABLE, or whose server forbids another attempt, takes one of throttle_tokens; every OK
 * gives throttle_milli thousandths of one back; with half of them or less nothing is tried again by
 * status. Transparent retries neither count nor stop.
 *
 * Thread rule: one thread. Callbacks run inside turn and inside the functions of the connections.
 */
#ifndef HWS_GRPC_CHANNEL_H
#define HWS_GRPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "grpc/call.h"
#include "grpc/client.h"
#include "grpc/session.h"

#define HWS_GRPC_CHANNEL_ADDRESSES      16u     /* the first ones of a name */
#define HWS_GRPC_CHANNEL_WAITING        1024u   /* calls without a connection */
#define HWS_GRPC_CHANNEL_TRANSPARENT    5u      /* placements of which nothing left */
#define HWS_GRPC_CHANNEL_ATTEMPTS       5u      /* A6: more are cut to this */
#define HWS_GRPC_CHANNEL_KEPT_BYTES     262144u /* of a stream's messages, with 5 bytes each */
#define HWS_GRPC_CHANNEL_WHY_BYTES      256u    /* with NUL */
#define HWS_GRPC_CHANNEL_BACKOFF_MIN_MS 1000u
#define HWS_GRPC_CHANNEL_BACKOFF_MAX_MS 120000u
#define HWS_GRPC_CHANNEL_RETRY_MIN_MS   100u
#define HWS_GRPC_CHANNEL_RETRY_MAX_MS   5000u
#define HWS_GRPC_CHANNEL_TOKENS         10u  /* A6's own example of a service config */
#define HWS_GRPC_CHANNEL_TOKEN_MILLI    100u /* 0.1 */
#define HWS_GRPC_CHANNEL_MAX_TOKENS     1000u

struct hws_grpc_channel_config {
    /* Connect to address number idx; up or down follows (down, not up, also inside). */
    void (*dial)(void *data, uint32_t idx);
    /* Any value; for the +-20 %. */
    uint32_t (*random)(void *data);
    /* Turn is due; may only note it. */
    void (*on_wake)(void *data);
    void *data;
    uint32_t backoff_min_ms;  /* 0 = HWS_GRPC_CHANNEL_BACKOFF_MIN_MS */
    uint32_t backoff_max_ms;  /* 0 = HWS_GRPC_CHANNEL_BACKOFF_MAX_MS */
    uint32_t throttle_tokens; /* 0 = HWS_GRPC_CHANNEL_TOKENS; more than ..._MAX_TOKENS are cut */
    uint32_t throttle_milli;  /* thousandths for an OK; 0 = HWS_GRPC_CHANNEL_TOKEN_MILLI */
};

enum hws_grpc_channel_address_state {
    HWS_GRPC_ADDRESS_IDLE,
    HWS_GRPC_ADDRESS_CONNECTING,
    HWS_GRPC_ADDRESS_READY,
    HWS_GRPC_ADDRESS_RESTING /* the last attempt failed; until rest_until_ms */
};

struct hws_grpc_channel_address {
    enum hws_grpc_channel_address_state state;
    struct hws_grpc_conn *conn; /* borrowed; READY */
    uint64_t rest_until_ms;
    uint32_t backoff_ms; /* the latest, before its +-20 %; 0: the last connection served */
    uint64_t failure;    /* RESTING: number of the channel's failure that it was */
};

struct hws_grpc_channel {
    struct hws_grpc_channel_config config;
    struct hws_grpc_channel_address addresses[HWS_GRPC_CHANNEL_ADDRESSES];
    uint32_t n_addresses;
    bool resolved;       /* set_addresses came */
    uint64_t n_failures; /* to connect, or to find an address */
    uint64_t unresolved; /* number of the failure that the latest set_addresses was; 0: none */
    uint32_t next;       /* round robin */
    struct hws_list waiting;
    struct hws_list running;
    uint32_t n_waiting;
    uint32_t milli_tokens; /* of retry throttling */
    uint64_t now_ms;
    char why[HWS_GRPC_CHANNEL_WHY_BYTES]; /* the latest reason why there is no connection */
    bool woken;
    bool closed;
    bool turning;
    bool again; /* something came up in the turn that runs */
};

/* A call of any kind: the caller's struct, on loan from start until on_close. Callbacks may be
 * NULL, except on_close. */
struct hws_grpc_channel_call {
    const char *path;    /* these are borrowed until on_close */
    const void *request; /* unary, server stream: the message; else not looked at */
    size_t n_request;
    const struct hws_grpc_meta *meta; /* may be NULL */
    enum hws_grpc_kind kind;
    enum hws_grpc_encoding encoding;
    uint64_t timeout_ms;   /* of all attempts together; 0 = none */
    bool wait_for_ready;   /* false: ends UNAVAILABLE as soon as every address rests */
    bool wait_for_attempt; /* without wait_for_ready: only failures since start count for that */
    uint32_t max_attempts; /* 0 and 1: no retry by status */
    /* The initial metadata is there; not for a trailers-only answer. Borrowed until it returns. */
    void (*on_headers)(struct hws_grpc_channel_call *call, const struct hws_grpc_meta *meta);
    void (*on_message)(struct hws_grpc_channel_call *call, const uint8_t *bytes, size_t n);
    /* There is room again after hws_grpc_channel_send answered HWS_E_BUSY. */
    void (*on_writable)(struct hws_grpc_channel_call *call);
    void (*on_close)(struct hws_grpc_channel_call *call, const struct hws_grpc_outcome *outcome);
    void *data; /* the caller's */

    /* the channel's */
    struct hws_list link;
    struct hws_grpc_channel *channel;
    struct hws_grpc_call *inner; /* NULL while waiting */
    uint64_t deadline_ms;
    uint64_t not_before_ms;
    uint64_t failures_before; /* n_failures at start */
    uint32_t n_attempts;      /* that reached a server */
    uint32_t n_transparent;
    uint32_t n_pauses; /* of our own length, since start or the latest that the server named */
    bool turned_away;  /* a server did not look at it, once */
    bool seen;         /* by an application, maybe */
    struct hws_buf
        kept;        /* messages: those that the present connection took, then those it did not */
    size_t n_taken;  /* bytes of the former */
    uint32_t credit; /* for messages from the server, with limited */
    bool limited;
    bool request_taken; /* by the present connection */
    bool half_closed;
    bool full;      /* on_writable is owed */
    bool committed; /* an answer has begun, or what was sent is not kept: no other attempt */
    bool cancelled;
    bool over;                /* on_close is next, or was */
    enum hws_code unsendable; /* why a message that was taken cannot be sent; HWS_OK: none such */
};

/* Allocates nothing. */
void hws_grpc_channel_init(struct hws_grpc_channel *ch,
                           const struct hws_grpc_channel_config *config);

/* The name means n addresses from now on (0: none was found, and why says it). Connections of
 * before are forgotten; the owner drains them. */
void hws_grpc_channel_set_addresses(struct hws_grpc_channel *ch, uint32_t n, const char *why);

#define HWS_GRPC_CHANNEL_NEW UINT32_MAX

/* The name means these n addresses from now on: number i is what number was[i] was before, with its
 * connection or rest, or HWS_GRPC_CHANNEL_NEW. Connections of others are forgotten. */
void hws_grpc_channel_move_addresses(struct hws_grpc_channel *ch, uint32_t n, const uint32_t *was);

/* Address idx has a connection that takes calls; borrowed until down or failed. */
void hws_grpc_channel_up(struct hws_grpc_channel *ch, uint32_t idx, struct hws_grpc_conn *conn);

/* The connection has ended, now (NULL: failed). */
void hws_grpc_channel_down(struct hws_grpc_channel *ch, uint32_t idx,
                           const struct hws_grpc_conn *conn, uint64_t now_ms, const char *why);

/* Connecting failed (conn NULL), or the connection has ended before the server's SETTINGS came: the
 * address rests. */
void hws_grpc_channel_failed(struct hws_grpc_channel *ch, uint32_t idx,
                             const struct hws_grpc_conn *conn, uint64_t now_ms, const char *why);

/* Queues a call. HWS_E_BUSY over HWS_GRPC_CHANNEL_WAITING; HWS_E_STATE after close. */
enum hws_code hws_grpc_channel_start(struct hws_grpc_channel *ch,
                                     struct hws_grpc_channel_call *call, uint64_t now_ms,
                                     struct hws_err *err) HWS_MUST_USE;

/*
 * Client stream, bidi: the next message (copied); plain: not compressed, whatever the call's
 * encoding. HWS_E_BUSY: the connection holds enough of this call unsent, or a call that waits for
 * one has HWS_GRPC_CHANNEL_KEPT_BYTES; nothing was taken, and on_writable comes. HWS_E_INVALID:
 * over max_send_message_bytes, or a call of another kind; a waiting call, whose limits are not
 * known yet, ends INTERNAL later instead. HWS_E_STATE: half-closed, cancelled or over.
 * HWS_E_NOMEM.
 */
enum hws_code hws_grpc_channel_send(struct hws_grpc_channel_call *call, const void *bytes, size_t n,
                                    bool plain, struct hws_err *err) HWS_MUST_USE;

/* Client stream, bidi: no more messages. Idempotent. */
void hws_grpc_channel_half_close(struct hws_grpc_channel_call *call);

/* True while a connection carries the call. */
bool hws_grpc_channel_placed(const struct hws_grpc_channel_call *call);

/* Back-pressure towards the server, as hws_grpc_call_set_credit and ..._grant; from start on. */
void hws_grpc_channel_set_credit(struct hws_grpc_channel_call *call, uint32_t n_messages);
void hws_grpc_channel_grant(struct hws_grpc_channel_call *call, uint32_t n_messages);

/* In on_message: the message came compressed. */
bool hws_grpc_channel_was_compressed(const struct hws_grpc_channel_call *call);

/* on_close comes with CANCELLED, from turn or from the connection. Idempotent. */
void hws_grpc_channel_cancel(struct hws_grpc_channel_call *call);

/* Does what is due. Returns the next deadline, UINT64_MAX if none. */
uint64_t hws_grpc_channel_turn(struct hws_grpc_channel *ch, uint64_t now_ms);

/* Every call ends CANCELLED: waiting ones in the next turn, running ones by their connections.
 * Idempotent. */
void hws_grpc_channel_close(struct hws_grpc_channel *ch);

#endif
