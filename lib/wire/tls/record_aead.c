/*
 * Records by our own layer over an AEAD (records.h): takes a connection over from mbedTLS when its
 * handshake is done.
 *
 * mbedTLS exports what the keys come from: TLS 1.2's master secret with both randoms, or TLS 1.3's
 * application traffic secrets. It reads records one by one from what we hand it, so every byte
 * behind the handshake is still ours. Its context is freed: nothing of it is needed any more.
 */
#include <string.h>

#include "base/mem.h"
#include "tls/engine_priv.h"
#include "tls/records.h"

#if MBEDTLS_VERSION_MAJOR >= 3

static void take_secret(void *data, mbedtls_ssl_key_export_type type, const unsigned char *secret,
                        size_t n_secret, const unsigned char client_random[32],
                        const unsigned char server_random[32], mbedtls_tls_prf_types prf)
{
    struct hws_tls__exported *x = data;

    (void)prf;
    if (n_secret > HWS_TLS_SECRET_MAX_BYTES) {
        return;
    }
    switch ((int)type) { /* the other kinds are of no use here */
    case MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET:
        memcpy(x->master, secret, n_secret);
        memcpy(x->client_random, client_random, HWS_TLS_RANDOM_BYTES);
        memcpy(x->server_random, server_random, HWS_TLS_RANDOM_BYTES);
        x->has_master = n_secret == HWS_TLS_MASTER_BYTES;
        break;
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET:
        memcpy(x->client_secret, secret, n_secret);
        x->n_client_secret = n_secret;
        break;
    case MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET:
        memcpy(x->server_secret, secret, n_secret);
        x->n_server_secret = n_secret;
        break;
    default:
        break;
    }
}

void hws_tls__export_from(mbedtls_ssl_context *ssl, struct hws_tls__exported *x)
{
    mbedtls_ssl_set_export_keys_cb(ssl, take_secret, x);
}

#else

/* The callback hangs on the configuration, which connections share: conn.c says whose handshake
 * runs. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are mbedTLS's */
int hws_tls__take_keys(void *data, const unsigned char *master, const unsigned char *block,
                       size_t n_mac, size_t n_key, size_t n_iv,
                       const unsigned char client_random[32], const unsigned char server_random[32],
                       mbedtls_tls_prf_types prf)
{
    const struct hws_tls_bundle *bundle = data;
    struct hws_tls__exported *x = bundle->exporting;

    (void)block;
    (void)n_mac;
    (void)n_key;
    (void)n_iv;
    (void)prf;
    if (x != NULL) {
        memcpy(x->master, master, HWS_TLS_MASTER_BYTES);
        memcpy(x->client_random, client_random, HWS_TLS_RANDOM_BYTES);
        memcpy(x->server_random, server_random, HWS_TLS_RANDOM_BYTES);
        x->has_master = true;
    }
    return 0;
}

#endif

/* What the negotiated suite and version ask for; false if this engine does not serve them. */
static bool read_suite(const struct hws_tls_conn *conn, struct hws_tls_records_start *s)
{
    const struct hws_tls__exported *x = &conn->engine->exported;
    const char *sha384 = "SHA384";
    size_t n_suite = strlen(conn->suite);

    if (strstr(conn->suite, "AES-128-GCM") != NULL) {
        s->n_key = 16;
    } else if (strstr(conn->suite, "AES-256-GCM") != NULL) {
        s->n_key = 32;
    } else {
        return false;
    }
    s->hash = n_suite > strlen(sha384) && hws_str_eq(conn->suite + n_suite - strlen(sha384), sha384)
                  ? HWS_TLS_HASH_SHA384
                  : HWS_TLS_HASH_SHA256;
    s->by = conn->bundle->records == HWS_TLS_RECORDS_LIBCRYPTO ? HWS_TLS_AEAD_LIBCRYPTO
                                                               : HWS_TLS_AEAD_BEST;
    s->server = conn->role == HWS_TLS_SERVER;
    s->tls13 = hws_str_eq(conn->version, "TLSv1.3");
    if (s->tls13) {
        size_t n = hws_tls_hash_bytes(s->hash);
        return x->n_client_secret == n && x->n_server_secret == n;
    }
    return x->has_master && hws_str_eq(conn->version, "TLSv1.2");
}

static enum hws_code derive(const struct hws_tls_conn *conn, struct hws_tls_records_start *s,
                            struct hws_err *err)
{
    const struct hws_tls__exported *x = &conn->engine->exported;
    struct hws_tls_traffic keys[2]; /* the client's writing, the server's */
    enum hws_code rc = HWS_OK;

    if (s->tls13) {
        memcpy(s->read_secret, s->server ? x->client_secret : x->server_secret,
               sizeof(s->read_secret));
        memcpy(s->write_secret, s->server ? x->server_secret : x->client_secret,
               sizeof(s->write_secret));
        return HWS_OK;
    }
    rc = hws_tls_traffic12(s->hash, x->master, x->client_random, x->server_random, s->n_key, keys,
                           err);
    if (rc == HWS_OK) {
        s->read = keys[s->server ? 0 : 1];
        s->write = keys[s->server ? 1 : 0];
        s->seq = 1; /* each side's Finished was number 0 */
    }
    hws_mem_wipe(keys, sizeof(keys));
    return rc;
}

/* A peer without room for full records (RFC 6066 4) is left to mbedTLS, which cuts to its measure.
 * In TLS 1.3 it counts the inner type and its own padding in. */
static bool records_are_full(const struct hws_tls_conn *conn)
{
    return mbedtls_ssl_get_max_out_record_payload(&conn->engine->ssl) >=
           (int)HWS_TLS_RECORD_MAX_BYTES - 16;
}

enum hws_code hws_tls__take_over(struct hws_tls_conn *conn)
{
    struct hws_tls_records_start s;
    struct hws_err err;
    enum hws_code rc = HWS_OK;

    memset(&s, 0, sizeof(s));
    /* What mbedTLS has read and not given out cannot be taken from it. */
    if (conn->bundle->records == HWS_TLS_RECORDS_MBEDTLS || !read_suite(conn, &s) ||
        !records_are_full(conn) || mbedtls_ssl_check_pending(&conn->engine->ssl) != 0) {
        conn->record = &hws_tls__record_mbedtls;
        hws_mem_wipe(&conn->engine->exported, sizeof(conn->engine->exported));
        return HWS_OK;
    }
    rc = derive(conn, &s, &err);
    if (rc == HWS_OK) {
        rc = hws_tls_records_new(&s, &conn->records, &err);
    }
    hws_mem_wipe(&s, sizeof(s));
    if (rc != HWS_OK) {
        return hws_tls__fail(conn, HWS_TLS_REASON_LOCAL, rc, "%s", err.msg);
    }
    conn->record = &hws_tls__record_aead;
    hws_tls__engine_free(conn);
    return HWS_OK;
}

/* ---- the seam -------------------------------------------------------------------------------- */

static enum hws_code failed(struct hws_tls_conn *conn, const struct hws_err *err)
{
    enum hws_tls_reason reason = HWS_TLS_REASON_LOCAL;

    if (err->code == HWS_E_PROTO) {
        reason = HWS_TLS_REASON_PROTOCOL;
    } else if (err->code == HWS_E_GONE) {
        reason = HWS_TLS_REASON_PEER_ALERT;
    }
    return hws_tls__fail(conn, reason, err->code, "%s", err->msg);
}

static enum hws_code open_records(struct hws_tls_conn *conn, uint8_t *out, size_t cap,
                                  size_t *out_n)
{
    struct hws_err err;

    if (hws_tls_records_open(conn->records, &conn->in, out, cap, out_n, &conn->out, &err) !=
        HWS_OK) {
        return failed(conn, &err);
    }
    if (hws_tls_records_is_done(conn->records)) {
        hws_tls__move(conn, HWS_TLS_STATE_PEER_DONE);
    }
    return HWS_OK;
}

static enum hws_code seal_records(struct hws_tls_conn *conn, const struct hws_span *spans,
                                  size_t n_spans, size_t *out_taken)
{
    struct hws_err err;

    if (hws_tls_records_seal(conn->records, spans, n_spans, &conn->out, out_taken, &err) !=
        HWS_OK) {
        return failed(conn, &err);
    }
    return HWS_OK;
}

static enum hws_code send_close_notify(struct hws_tls_conn *conn)
{
    struct hws_err err;

    if (hws_tls_records_close(conn->records, &conn->out, &err) != HWS_OK) {
        return failed(conn, &err);
    }
    return HWS_OK;
}

const struct hws_tls__record_ops hws_tls__record_aead = {
    .open = open_records,
    .seal = seal_records,
    .close_notify = send_close_notify,
};
