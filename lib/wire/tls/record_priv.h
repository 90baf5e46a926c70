/*
 * The record seam: how application data is sealed and opened once the handshake is over. One set of
 * operations a connection, chosen when it opens: our own layer over AES-GCM (records.h), several
 * times as fast, or mbedTLS's records, which serve every suite and are the reference for the other.
 *
 * An engine takes ciphertext from conn->in and appends to conn->out; it fails the connection
 * through hws_tls__fail and reports the peer's close_notify through hws_tls__move to PEER_DONE.
 */
#ifndef HWS_TLS_RECORD_PRIV_H
#define HWS_TLS_RECORD_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct hws_tls_conn;

struct hws_tls__record_ops {
    /* Opens at most cap bytes of plaintext; *out_n = 0 when conn->in is used up or the peer is
     * done. */
    enum hws_code (*open)(struct hws_tls_conn *conn, uint8_t *out, size_t cap, size_t *out_n);
    /* Seals the front of what the spans hold (the first is not empty) as one record; *out_taken > 0
     * on success. */
    enum hws_code (*seal)(struct hws_tls_conn *conn, const struct hws_span *spans, size_t n_spans,
                          size_t *out_taken);
    /* Appends a close_notify alert. */
    enum hws_code (*close_notify)(struct hws_tls_conn *conn);
};

extern const struct hws_tls__record_ops hws_tls__record_mbedtls;
extern const struct hws_tls__record_ops hws_tls__record_aead;

/*
 * Chooses the engine of a connection whose handshake is done; with our own it also frees
 * mbedTLS's half. HWS_E_NOMEM as a failure of the connection.
 */
enum hws_code hws_tls__take_over(struct hws_tls_conn *conn) HWS_MUST_USE;

#endif
