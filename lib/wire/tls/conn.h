/*
 * One TLS connection as bytes: ciphertext in, plaintext out, and back. No sockets, no clock: the
 * caller moves the bytes, gives the time and keeps the deadline. Always mutual: each side verifies
 * the other's chain, leaf and identity, and both must agree on ALPN "h2".
 *
 *   hws_tls_conn_init -> [ recv -> read until 0 -> write -> pull ]* -> close -> pull -> deinit
 *
 * After every call that takes bytes or time: pull what is to be sent, look at the state. A failed
 * connection may still have an alert to pull; the transport is closed after it has been sent.
 *
 * Off, always: tickets, session cache, renegotiation, early data, compression, TLS below 1.2.
 *
 * Thread rule: one thread, that of its bundle. No function calls back.
 */
#ifndef HWS_TLS_CONN_H
#define HWS_TLS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "tls/bundle.h"
#include "tls/peer.h"
#include "tls/reason.h"

#define HWS_TLS_HANDSHAKE_TIMEOUT_MS 10000u
/* Write takes no more above this: with the last record it fits a buffer of 512 KiB. A stream costs
 * a quarter less in writes of this size than of half of it: the kernel wakes its reader half as
 * often. */
#define HWS_TLS_UNSENT_MAX_BYTES ((size_t)480 * 1024)
/* What mbedTLS allocates for a connection in its handshake, or whose records stay with it: two
 * record buffers of 17 KiB and its state, 40 to 55 KB by measure. Debian builds it without an
 * allocator hook (MBEDTLS_PLATFORM_MEMORY), so this is reckoned and not counted. */
#define HWS_TLS_ENGINE_BYTES ((size_t)48 * 1024)

enum hws_tls_role { HWS_TLS_SERVER, HWS_TLS_CLIENT };

enum hws_tls_state {
    HWS_TLS_STATE_ZERO,      /* not initialised, or deinitialised */
    HWS_TLS_STATE_HANDSHAKE, /* no plaintext moves yet */
    HWS_TLS_STATE_OPEN,      /* peer identified; plaintext moves both ways */
    HWS_TLS_STATE_PEER_DONE, /* the peer sent close_notify: nothing more to read; writes still go */
    HWS_TLS_STATE_CLOSED,    /* our close_notify is out (or queued): nothing more to write */
    HWS_TLS_STATE_FAILED,    /* see reason; an alert may be left to pull */
    HWS_TLS_N_STATES
};

struct hws_tls_options {
    uint64_t now_ms;               /* monotonic, starts the handshake deadline */
    uint64_t now_s;                /* seconds since 1970, judges certificates */
    uint32_t handshake_timeout_ms; /* 0 = HWS_TLS_HANDSHAKE_TIMEOUT_MS */
    const char *expect;            /* client: hws_tls_san_expect form, borrowed until the handshake
                                      ends; NULL = any server that our CAs vouch for */
    const char *server_name;       /* client: sent as SNI; NULL = none; borrowed during init */
};

struct hws_tls_engine;      /* mbedTLS's half */
struct hws_tls_records;     /* the other engine's state */
struct hws_tls__record_ops; /* which of the two */

struct hws_tls_conn {
    int state; /* enum hws_tls_state */
    enum hws_tls_role role;
    enum hws_tls_reason reason;               /* of a failure */
    struct hws_err err;                       /* of a failure: code and text */
    uint64_t deadline_ms;                     /* of the handshake */
    struct hws_tls_peer peer;                 /* valid from OPEN on */
    struct hws_tls_path path;                 /* the same */
    struct hws_tls_bundle *bundle;            /* owned reference */
    struct hws_tls_engine *engine;            /* owned; NULL when it is not needed any more */
    struct hws_tls_records *records;          /* owned; NULL while mbedTLS moves the records */
    const struct hws_tls__record_ops *record; /* NULL before OPEN */
    const char *version;                      /* static texts; NULL before OPEN */
    const char *suite;
    struct hws_span in; /* ciphertext on loan from recv */
    struct hws_buf out; /* ciphertext to pull */

    bool out_of_memory; /* out could not grow: the library saw a failed send */
};

/*
 * Begins a connection; a client's first flight can be pulled at once. Takes its own reference to
 * the bundle. HWS_E_INVALID if the bundle's leaf may not play this role or an option is malformed,
 * HWS_E_NOMEM. After a failure nothing needs to be undone.
 */
enum hws_code hws_tls_conn_init(struct hws_tls_conn *conn, enum hws_tls_role role,
                                struct hws_tls_bundle *bundle,
                                const struct hws_tls_options *options, struct hws_err *err)
    HWS_MUST_USE;

/* Frees everything, wipes keys; accepts a zeroed one. Sends nothing: that is close. */
void hws_tls_conn_deinit(struct hws_tls_conn *conn);

/*
 * Takes n bytes of ciphertext and drives the handshake with them. The bytes stay on loan until
 * hws_tls_conn_read has returned 0 bytes (or failed); call it in a loop right after. Must not be
 * called while earlier bytes are on loan. Returns HWS_OK, or the failure of the connection (state
 * FAILED, reason set): HWS_E_DENIED if the peer was refused, HWS_E_PROTO for broken TLS, HWS_E_GONE
 * for a peer's alert, HWS_E_NOMEM.
 */
enum hws_code hws_tls_conn_recv(struct hws_tls_conn *conn, const uint8_t *bytes, size_t n,
                                struct hws_err *err) HWS_MUST_USE;

/*
 * Decrypts up to cap bytes into out and sets *out_n; 0 when the bytes on loan are used up, in the
 * handshake, or after the peer's close_notify (state PEER_DONE). Errors as recv.
 */
enum hws_code hws_tls_conn_read(struct hws_tls_conn *conn, uint8_t *out, size_t cap, size_t *out_n,
                                struct hws_err *err) HWS_MUST_USE;

/*
 * Encrypts what the spans hold, one after the other in full records, and takes it off their fronts;
 * *out_taken is how many bytes, less than all when HWS_TLS_UNSENT_MAX_BYTES are waiting to be
 * pulled. HWS_E_STATE outside OPEN and PEER_DONE, HWS_E_NOMEM and HWS_E_IO as failures of the
 * connection.
 */
enum hws_code hws_tls_conn_gather(struct hws_tls_conn *conn, struct hws_span *spans, size_t n_spans,
                                  size_t *out_taken, struct hws_err *err) HWS_MUST_USE;

/* The same for n bytes in a row; errors as hws_tls_conn_gather. */
enum hws_code hws_tls_conn_write(struct hws_tls_conn *conn, const uint8_t *bytes, size_t n,
                                 size_t *out_taken, struct hws_err *err) HWS_MUST_USE;

/*
 * Hands over all ciphertext to be sent by swapping buffers: *out must be empty; its memory is
 * reused by the connection.
 */
void hws_tls_conn_pull(struct hws_tls_conn *conn, struct hws_buf *out);

/* Gives the connection the memory of an empty buffer to seal into, if it has none: *buf is empty
 * afterwards, or as it was. */
void hws_tls_conn_lend(struct hws_tls_conn *conn, struct hws_buf *buf);

/* Bytes that wait to be pulled. */
size_t hws_tls_conn_unsent(const struct hws_tls_conn *conn);

/* Bytes held for the peer: those that wait to be pulled, the front of a record whose end has not
 * come, and HWS_TLS_ENGINE_BYTES while mbedTLS is needed. */
size_t hws_tls_conn_holds(const struct hws_tls_conn *conn);

/* Queues close_notify; no plaintext can be written after it. No effect in the handshake (the state
 * becomes CLOSED), after a failure, or twice. */
void hws_tls_conn_close(struct hws_tls_conn *conn);

/*
 * The transport's end of stream. HWS_OK if the peer had sent close_notify or we had closed; else
 * the connection fails with reason TRUNCATED: HWS_E_GONE.
 */
enum hws_code hws_tls_conn_eof(struct hws_tls_conn *conn, struct hws_err *err) HWS_MUST_USE;

/* The time at which hws_tls_conn_expire must be called; UINT64_MAX when the handshake is over. */
uint64_t hws_tls_conn_deadline_ms(const struct hws_tls_conn *conn);

/* Ends the handshake by then, if it would have had longer. */
void hws_tls_conn_hurry(struct hws_tls_conn *conn, uint64_t deadline_ms);

/* Fails a handshake whose deadline has passed (reason TIMEOUT, HWS_E_TIMEOUT); else HWS_OK. */
enum hws_code hws_tls_conn_expire(struct hws_tls_conn *conn, uint64_t now_ms, struct hws_err *err)
    HWS_MUST_USE;

/* Negotiated names for logs, e.g. "TLSv1.2", "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"; "" before
 * OPEN. */
const char *hws_tls_conn_version(const struct hws_tls_conn *conn);
const char *hws_tls_conn_suite(const struct hws_tls_conn *conn);

/* The engine that moves the records: "ipsec-mb", "libcrypto", "mbedtls"; "" before OPEN. */
const char *hws_tls_conn_records(const struct hws_tls_conn *conn);

/* The keys have done what they may and cannot be changed (TLS 1.2): drain it. */
bool hws_tls_conn_is_worn(const struct hws_tls_conn *conn);

#endif
