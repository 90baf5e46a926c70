/*
 * The records of a TLS connection after its handshake, by an AEAD (aead.h): bytes in, bytes
 * out. TLS 1.2 (RFC 5246 6.2, RFC 5288) and TLS 1.3 (RFC 8446 5) with AES-GCM; nothing here knows
 * who made the handshake.
 *
 * After a handshake only these are understood: application data, alerts, and in TLS 1.3 KeyUpdate
 * (honoured) and, by a client, NewSessionTicket (discarded). All else is refused with an alert.
 *
 * Wear: an AEAD key may seal so many blocks and no more (RFC 8446 5.5). At HWS_TLS_RECORDS_SOFT TLS
 * 1.3 changes keys by itself, and asks the peer to change its own; TLS 1.2 cannot: is_worn says
 * that the connection should be drained. At twice that nothing is sealed or opened any more.
 *
 * Thread rule: one thread at a time. It holds keys: free wipes them.
 */
#ifndef HWS_TLS_RECORDS_H
#define HWS_TLS_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "tls/aead.h"
#include "tls/keys.h"

#define HWS_TLS_RECORD_MAX_BYTES 16384u /* of plaintext, RFC 8446 5.1 */
#define HWS_TLS_RECORD_ADDED_BYTES                                                                 \
    29u                         /* by a record: header 5, nonce 8 (1.2) or type 1, tag 16          \
                                 */
#define HWS_TLS_RECORD_SPANS 8u /* that one record is gathered from */
/* 2^23 full records of 1024 AES blocks; the limit that RFC 8446 5.5 gives is 2^24.5. */
#define HWS_TLS_RECORDS_SOFT (UINT64_C(1) << 33)
/* Records in a row that carry no data (empty, tickets, key changes), before it is an attack. */
#define HWS_TLS_RECORDS_MAX_IDLE 32u
#define HWS_TLS_TICKET_MAX_BYTES 16384u /* a longer NewSessionTicket is refused */

struct hws_tls_records;

/* Where records begin. */
struct hws_tls_records_start {
    bool tls13;
    bool server; /* we are */
    enum hws_tls_aead_by by;
    enum hws_tls_hash hash;
    uint8_t n_key;                                  /* 16 or 32 */
    uint8_t read_secret[HWS_TLS_SECRET_MAX_BYTES];  /* TLS 1.3: application traffic secrets */
    uint8_t write_secret[HWS_TLS_SECRET_MAX_BYTES]; /* wiped by the caller */
    struct hws_tls_traffic read;                    /* TLS 1.2 */
    struct hws_tls_traffic write;
    uint64_t seq;         /* of the next record, both ways: 1 after a TLS 1.2 handshake, else 0 */
    uint64_t soft_blocks; /* 0 = HWS_TLS_RECORDS_SOFT */
};

/* HWS_E_NOMEM. */
enum hws_code hws_tls_records_new(const struct hws_tls_records_start *start,
                                  struct hws_tls_records **out, struct hws_err *err) HWS_MUST_USE;

/* Wipes and frees; NULL is allowed. */
void hws_tls_records_free(struct hws_tls_records *r);

/*
 * Takes records from the front of *in (the end of an unfinished one is kept inside) and writes at
 * most cap bytes of data to out; *out_n = 0 when *in is used up or the peer is done. What has to be
 * answered (KeyUpdate, the alert of a failure) is appended to reply. HWS_E_PROTO for a record that
 * is forged, malformed or out of place, HWS_E_GONE for the peer's alert, HWS_E_NOMEM; each ends the
 * connection, and later calls say HWS_E_STATE.
 */
enum hws_code hws_tls_records_open(struct hws_tls_records *r, struct hws_span *in, uint8_t *out,
                                   size_t cap, size_t *out_n, struct hws_buf *reply,
                                   struct hws_err *err) HWS_MUST_USE;

/* Whose AEAD it is: hws_tls_aead_name. */
const char *hws_tls_records_name(const struct hws_tls_records *r);

/* Bytes of the peer's that are kept between calls. */
size_t hws_tls_records_holds(const struct hws_tls_records *r);

/* The peer has sent close_notify. */
bool hws_tls_records_is_done(const struct hws_tls_records *r);

/* TLS 1.2, and the keys have sealed or opened as much as they should. */
bool hws_tls_records_is_worn(const struct hws_tls_records *r);

/* Seals the first HWS_TLS_RECORD_MAX_BYTES of what the spans hold, one after the other, as one
 * record at the end of out (of at most HWS_TLS_RECORD_SPANS of them); *out_taken is how many bytes.
 * HWS_E_NOMEM, HWS_E_STATE when the keys are used up. */
enum hws_code hws_tls_records_seal(struct hws_tls_records *r, const struct hws_span *spans,
                                   size_t n_spans, struct hws_buf *out, size_t *out_taken,
                                   struct hws_err *err) HWS_MUST_USE;

/* Appends close_notify. Errors as seal. */
enum hws_code hws_tls_records_close(struct hws_tls_records *r, struct hws_buf *out,
                                    struct hws_err *err) HWS_MUST_USE;

#endif
