/*
 * The alert that a handshake's failure is due, and telling it to the peer.
 *
 * mbedTLS says nothing for most faults of a ClientHello, and one alert for many in TLS 1.2. What it
 * refused is looked at again, only to name the fault: a server's first record by its head, a
 * client's later messages by what mbedTLS holds of them. An alert that the library has put out
 * unprotected is corrected; once it protects what it says, its word stands.
 *
 * Alerts: RFC 5246 7.2.2, RFC 8446 6.2; each fault and its alert: tests/tlsscan/probes.py.
 */
#include <string.h>

#include "base/bits.h"
#include "tls/engine_priv.h"

#define ALERT_RECORD_BYTES 7u /* type, version (2), length (2), level, description */
#define HEADER_BYTES       5u /* of a record */
#define ALERT_BYTES        2u
#define RECORD_MAX_BYTES   16384u /* RFC 5246 6.2.1, RFC 8446 5.1 */
#define SILENCE            256u   /* no alert is due */
#define AS_SAID            257u   /* the library's own alert, if any, is right */
#define UNEXPECTED         MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE
#define DECODE_ERROR       MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR
#define ILLEGAL            MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER
#define CLOSE_NOTIFY       MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY

/* The alert record in plain text that ends our output, or NULL. */
static uint8_t *last_alert(struct hws_tls_conn *conn)
{
    size_t n = hws_buf_len(&conn->out);

    if (n < ALERT_RECORD_BYTES) {
        return NULL;
    }
    uint8_t *rec = conn->out.bytes + conn->out.tail - ALERT_RECORD_BYTES;
    bool alert = rec[0] == MBEDTLS_SSL_MSG_ALERT && rec[1] == 3 && rec[3] == 0 &&
                 rec[4] == ALERT_BYTES && rec[5] == MBEDTLS_SSL_ALERT_LEVEL_FATAL;
    return alert ? rec : NULL;
}

uint8_t hws_tls__last_alert(struct hws_tls_conn *conn)
{
    const uint8_t *rec = last_alert(conn);

    return rec != NULL ? rec[6] : 0;
}

/* What is wrong with the head of a server's first record. */
static unsigned of_first_record(const struct hws_tls_engine *e)
{
    const uint8_t *rec = e->first;

    if (e->n_first < HEADER_BYTES) {
        return AS_SAID;
    }
    unsigned n = hws_load_be16(rec + 3);
    switch (rec[0]) {
    case MBEDTLS_SSL_MSG_ALERT:
        if (n == 0) {
            return UNEXPECTED; /* RFC 8446 5.4 */
        }
        if (n != ALERT_BYTES) {
            return DECODE_ERROR;
        }
        return e->n_first == sizeof(e->first) && rec[6] == CLOSE_NOTIFY ? CLOSE_NOTIFY : SILENCE;
    case MBEDTLS_SSL_MSG_HANDSHAKE:
        if (rec[1] != 3) {
            return MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION;
        }
        if (n > RECORD_MAX_BYTES) {
            return MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW;
        }
        return n == 0 || (e->n_first > HEADER_BYTES &&
                          rec[HEADER_BYTES] != MBEDTLS_SSL_HS_CLIENT_HELLO)
                   ? UNEXPECTED
                   : AS_SAID;
    default:
        return UNEXPECTED;
    }
}

#if MBEDTLS_VERSION_MAJOR < 3

#define MESSAGE_HEADER_BYTES 4u

/* Is it one of the pairs of hash and signature that a server of ours asks for (config.c)? */
static bool is_asked_for(const uint8_t pair[2])
{
    return pair[0] >= MBEDTLS_SSL_HASH_SHA256 && pair[0] <= MBEDTLS_SSL_HASH_SHA512 &&
           (pair[1] == MBEDTLS_SSL_SIG_RSA || pair[1] == MBEDTLS_SSL_SIG_ECDSA);
}

/* What is wrong with the message of a client's second flight, which the library has refused with rc
 * (it may have moved its state on by then). */
static unsigned of_message(const mbedtls_ssl_context *ssl, int rc)
{
    const uint8_t *body = ssl->in_msg + MESSAGE_HEADER_BYTES;
    uint8_t type = 0;

    switch (rc) {
    case MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE:
        type = MBEDTLS_SSL_HS_CERTIFICATE;
        break;
    case MBEDTLS_ERR_SSL_BAD_HS_CLIENT_KEY_EXCHANGE:
    case MBEDTLS_ERR_SSL_BAD_HS_CLIENT_KEY_EXCHANGE_RP:
    case MBEDTLS_ERR_SSL_BAD_HS_CLIENT_KEY_EXCHANGE_CS:
        type = MBEDTLS_SSL_HS_CLIENT_KEY_EXCHANGE;
        break;
    case MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE_VERIFY:
    case MBEDTLS_ERR_ECP_VERIFY_FAILED:
    case MBEDTLS_ERR_RSA_VERIFY_FAILED:
        type = MBEDTLS_SSL_HS_CERTIFICATE_VERIFY;
        break;
    default:
        return AS_SAID;
    }
    if (ssl->in_msgtype != MBEDTLS_SSL_MSG_HANDSHAKE || ssl->in_msg[0] != type) {
        return UNEXPECTED;
    }
    size_t n = ssl->in_hslen < MESSAGE_HEADER_BYTES ? 0 : ssl->in_hslen - MESSAGE_HEADER_BYTES;
    if (type == MBEDTLS_SSL_HS_CLIENT_KEY_EXCHANGE) {
        return n < 2 || n != 1u + body[0] ? DECODE_ERROR : ILLEGAL;
    }
    if (type == MBEDTLS_SSL_HS_CERTIFICATE_VERIFY) {
        if (n < 4 || n != 4u + hws_load_be16(body + 2)) {
            return DECODE_ERROR;
        }
        return is_asked_for(body) ? MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR : ILLEGAL;
    }
    return AS_SAID;
}

#endif

/* What the library's return value amounts to, where it has said nothing. */
static unsigned of_value(int rc)
{
    switch (rc) {
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE;
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
#if MBEDTLS_VERSION_MAJOR < 3
    case MBEDTLS_ERR_SSL_UNEXPECTED_RECORD:
#endif
        return UNEXPECTED;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return CLOSE_NOTIFY;
    case MBEDTLS_ERR_ECP_VERIFY_FAILED:
    case MBEDTLS_ERR_RSA_VERIFY_FAILED:
        return MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR;
    default:
        return DECODE_ERROR;
    }
}

static unsigned due(const struct hws_tls_conn *conn, int rc)
{
    const mbedtls_ssl_context *ssl = &conn->engine->ssl;

    if (conn->role != HWS_TLS_SERVER) {
        return AS_SAID;
    }
    if (ssl->MBEDTLS_PRIVATE(state) <= MBEDTLS_SSL_CLIENT_HELLO) {
        return of_first_record(conn->engine);
    }
#if MBEDTLS_VERSION_MAJOR < 3
    return of_message(ssl, rc);
#else
    (void)rc; /* its ServerHello is out when it meets the key share */
    return ssl->MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_SERVER_HELLO ? ILLEGAL : AS_SAID;
#endif
}

/* Before there is a version the library would send a record of version 0: it is put together here.
 */
static void tell_plain(struct hws_tls_conn *conn, unsigned alert)
{
    uint8_t level =
        alert == CLOSE_NOTIFY ? MBEDTLS_SSL_ALERT_LEVEL_WARNING : MBEDTLS_SSL_ALERT_LEVEL_FATAL;
    const uint8_t record[ALERT_RECORD_BYTES] = {MBEDTLS_SSL_MSG_ALERT, 3, 3, 0, ALERT_BYTES, level,
                                                (uint8_t)alert};

    if (hws_buf_put(&conn->out, record, sizeof(record)) != HWS_OK) {
        conn->out_of_memory = true; /* it goes unsaid */
    }
}

void hws_tls__tell_peer(struct hws_tls_conn *conn, int rc)
{
    mbedtls_ssl_context *ssl = &conn->engine->ssl;

    if (conn->state != HWS_TLS_STATE_HANDSHAKE) {
        return;
    }
    if (ssl->MBEDTLS_PRIVATE(transform_out) != NULL) { /* of these alone it says nothing */
        if (rc == MBEDTLS_ERR_SSL_INVALID_RECORD) {
            (void)mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, UNEXPECTED);
        } else if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            (void)mbedtls_ssl_close_notify(ssl);
        }
        return;
    }
    unsigned alert = due(conn, rc);
    uint8_t *said = last_alert(conn);
    if (said != NULL && alert <= UINT8_MAX) {
        said[6] = (uint8_t)alert;
    } else if (said == NULL && alert != SILENCE) {
        tell_plain(conn, alert == AS_SAID ? of_value(rc) : alert);
    }
}
