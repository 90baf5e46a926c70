/* Records by mbedTLS: the reference engine, good for every suite and version. */
#include "tls/engine_priv.h"

/* A message that mbedTLS reports through the read call and that carries no data. */
#if MBEDTLS_VERSION_MAJOR >= 3
#define IS_NO_DATA(rc) ((rc) == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
#else
#define IS_NO_DATA(rc) false
#endif

static enum hws_code open_records(struct hws_tls_conn *conn, uint8_t *out, size_t cap,
                                  size_t *out_n)
{
    size_t n = 0;

    while (n < cap) {
        int rc = mbedtls_ssl_read(&conn->engine->ssl, out + n, cap - n);
        if (rc > 0) {
            n += (size_t)rc;
            continue;
        }
        if (IS_NO_DATA(rc)) {
            continue;
        }
        if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
            break;
        }
        if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
            hws_tls__move(conn, HWS_TLS_STATE_PEER_DONE);
            break;
        }
        return hws_tls__fail_lib(conn, rc);
    }
    *out_n = n;
    return HWS_OK;
}

/* A record of one span: mbedTLS gathers nothing. */
static enum hws_code seal_records(struct hws_tls_conn *conn, const struct hws_span *spans,
                                  size_t n_spans, size_t *out_taken)
{
    (void)n_spans;
    int rc = mbedtls_ssl_write(&conn->engine->ssl, spans[0].bytes, spans[0].n);

    if (rc <= 0) {
        return hws_tls__fail_lib(conn, rc);
    }
    *out_taken = (size_t)rc;
    return HWS_OK;
}

static enum hws_code send_close_notify(struct hws_tls_conn *conn)
{
    int rc = mbedtls_ssl_close_notify(&conn->engine->ssl);

    return rc == 0 ? HWS_OK : hws_tls__fail_lib(conn, rc);
}

const struct hws_tls__record_ops hws_tls__record_mbedtls = {
    .open = open_records,
    .seal = seal_records,
    .close_notify = send_close_notify,
};
