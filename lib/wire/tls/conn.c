/*
 * One connection, from bytes to bytes.
 *
 *   init: engine, first flight of a client
 *   recv: the handshake runs as far as the bytes go; at its end the peer is checked once more
 *   read, write: through the record engine
 *   close, eof: close_notify both ways; an end without it is a failure
 *
 * Fails with: the peer refused (verify.c), ALPN, version or suite, broken records, an alert, the
 * deadline, end of stream, no memory. Each once; later calls repeat the first failure.
 */
#include "tls/conn.h"

#include <string.h>

#include "base/assert.h"
#include "base/fsm.h"
#include "base/mem.h"
#include "tls/engine_priv.h"
#include "tls/records.h"

static const uint32_t s_moves[HWS_TLS_N_STATES] = {
    [HWS_TLS_STATE_ZERO] = HWS_FSM_TO(HWS_TLS_STATE_HANDSHAKE),
    [HWS_TLS_STATE_HANDSHAKE] = HWS_FSM_TO(HWS_TLS_STATE_OPEN) | HWS_FSM_TO(HWS_TLS_STATE_CLOSED) |
                                HWS_FSM_TO(HWS_TLS_STATE_FAILED),
    [HWS_TLS_STATE_OPEN] = HWS_FSM_TO(HWS_TLS_STATE_PEER_DONE) | HWS_FSM_TO(HWS_TLS_STATE_CLOSED) |
                           HWS_FSM_TO(HWS_TLS_STATE_FAILED),
    [HWS_TLS_STATE_PEER_DONE] = HWS_FSM_TO(HWS_TLS_STATE_CLOSED) | HWS_FSM_TO(HWS_TLS_STATE_FAILED),
    [HWS_TLS_STATE_CLOSED] = 0,
    [HWS_TLS_STATE_FAILED] = 0,
};

void hws_tls__move(struct hws_tls_conn *conn, enum hws_tls_state to)
{
    hws_fsm_move(s_moves, &conn->state, (int)to);
}

/* Repeats the connection's failure to the caller. */
static enum hws_code report(const struct hws_tls_conn *conn, struct hws_err *err)
{
    if (err != NULL) {
        *err = conn->err;
    }
    return conn->err.code;
}

static int bio_send(void *data, const unsigned char *bytes, size_t n)
{
    struct hws_tls_conn *conn = data;

    if (n > INT32_MAX || hws_buf_put(&conn->out, bytes, n) != HWS_OK) {
        conn->out_of_memory = true;
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    return (int)n;
}

static int bio_recv(void *data, unsigned char *bytes, size_t n)
{
    struct hws_tls_conn *conn = data;
    size_t k = n < conn->in.n ? n : conn->in.n;

    if (k == 0) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    memcpy(bytes, conn->in.bytes, k);
    conn->in.bytes += k;
    conn->in.n -= k;
    return (int)k;
}

static void keep_first(struct hws_tls_engine *e, const uint8_t *bytes, size_t n)
{
    size_t k = sizeof(e->first) - e->n_first < n ? sizeof(e->first) - e->n_first : n;

    if (k > 0) {
        memcpy(e->first + e->n_first, bytes, k);
        e->n_first += k;
    }
}

/* What the callback saw during the handshake must be what the library now holds. */
static bool peer_is_confirmed(struct hws_tls_conn *conn)
{
    struct hws_tls__verify *v = &conn->engine->verify;
    const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&conn->engine->ssl);

    if (crt == NULL || !v->seen || v->flags != 0 || v->reason != HWS_TLS_REASON_NONE ||
        mbedtls_ssl_get_verify_result(&conn->engine->ssl) != 0) {
        return false;
    }
    uint8_t sha256[HWS_TLS_SHA256_BYTES];
    memcpy(sha256, v->peer.sha256, sizeof(sha256));
    return hws_tls__judge_leaf(v, crt) == HWS_OK &&
           memcmp(sha256, v->peer.sha256, sizeof(sha256)) == 0;
}

static enum hws_code finish_handshake(struct hws_tls_conn *conn)
{
    struct hws_tls_engine *e = conn->engine;
    const char *alpn = mbedtls_ssl_get_alpn_protocol(&e->ssl);

    if (!peer_is_confirmed(conn)) {
        return hws_tls__fail(conn, HWS_TLS_REASON_IDENTITY, HWS_E_DENIED,
                             "identity: the peer's certificate does not stand a second check");
    }
    if (alpn == NULL || !hws_str_eq(alpn, "h2")) {
        (void)mbedtls_ssl_send_alert_message(&e->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL);
        return hws_tls__fail(conn, HWS_TLS_REASON_ALPN, HWS_E_DENIED, "alpn: %s",
                             hws_tls_reason_text(HWS_TLS_REASON_ALPN));
    }
    conn->peer = e->verify.peer;
    conn->path = e->verify.path;
    e->verify.expect = NULL;
    conn->version = mbedtls_ssl_get_version(&e->ssl);
    conn->suite = mbedtls_ssl_get_ciphersuite(&e->ssl);
    enum hws_code rc = hws_tls__take_over(conn);
    if (rc == HWS_OK) {
        hws_tls__move(conn, HWS_TLS_STATE_OPEN);
    }
    return rc;
}

static enum hws_code drive_handshake(struct hws_tls_conn *conn)
{
    conn->bundle->exporting = &conn->engine->exported;
    int rc = mbedtls_ssl_handshake(&conn->engine->ssl);
    conn->bundle->exporting = NULL;

    if (rc == MBEDTLS_ERR_SSL_WANT_READ) {
        return HWS_OK;
    }
    return rc == 0 ? finish_handshake(conn) : hws_tls__fail_lib(conn, rc);
}

static enum hws_code check_options(enum hws_tls_role role, const struct hws_tls_bundle *bundle,
                                   const struct hws_tls_options *o, struct hws_err *err)
{
    unsigned need = role == HWS_TLS_SERVER ? HWS_TLS_EKU_SERVER : HWS_TLS_EKU_CLIENT;

    if ((bundle->eku & need) == 0) {
        return hws_err_set(err, HWS_E_INVALID, "our certificate (%.150s) lacks %s",
                           bundle->self.principal,
                           role == HWS_TLS_SERVER ? "serverAuth" : "clientAuth");
    }
    if (o->expect == NULL) {
        return HWS_OK;
    }
    /* Judged against no name at all: only a malformed expectation is INVALID. */
    struct hws_span none = {.bytes = (const uint8_t *)"", .n = 0};
    enum hws_code rc = hws_tls_san_expect(none, "", o->expect, err);
    if (rc == HWS_E_INVALID) {
        return rc;
    }
    hws_err_clear(err);
    return HWS_OK;
}

static enum hws_code setup_engine(struct hws_tls_conn *conn, const struct hws_tls_options *o,
                                  struct hws_err *err)
{
    struct hws_tls_engine *e = conn->engine;
    bool server = conn->role == HWS_TLS_SERVER;
    int rc = mbedtls_ssl_setup(&e->ssl, server ? &conn->bundle->server : &conn->bundle->client);

    if (rc == 0 && !server) { /* 3.6 wants the decision said, even when there is no name */
        rc = mbedtls_ssl_set_hostname(&e->ssl, o->server_name);
    }
    if (rc != 0) {
        bool bad_name = rc == MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
        return hws_err_set(err, bad_name ? HWS_E_INVALID : HWS_E_NOMEM, "TLS connection: %s",
                           bad_name ? "bad server name" : "out of memory");
    }
    e->verify.bundle = conn->bundle;
    e->verify.now_s = o->now_s;
    e->verify.eku = server ? HWS_TLS_EKU_CLIENT : HWS_TLS_EKU_SERVER;
    e->verify.expect = server ? NULL : o->expect;
    mbedtls_ssl_set_verify(&e->ssl, hws_tls__verify_cb, &e->verify);
#if MBEDTLS_VERSION_MAJOR >= 3
    hws_tls__export_from(&e->ssl, &e->exported);
#endif
    mbedtls_ssl_set_bio(&e->ssl, conn, bio_send, bio_recv, NULL);
    return HWS_OK;
}

enum hws_code hws_tls_conn_init(struct hws_tls_conn *conn, enum hws_tls_role role,
                                struct hws_tls_bundle *bundle,
                                const struct hws_tls_options *options, struct hws_err *err)
{
    uint32_t timeout_ms = options->handshake_timeout_ms;

    memset(conn, 0, sizeof(*conn));
    enum hws_code rc = check_options(role, bundle, options, err);
    if (rc != HWS_OK) {
        return rc;
    }
    conn->engine = hws_mem_zalloc(1, sizeof(*conn->engine));
    if (conn->engine == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "TLS connection: out of memory");
    }
    mbedtls_ssl_init(&conn->engine->ssl);
    conn->role = role;
    conn->bundle = hws_tls_bundle_ref(bundle);
    conn->deadline_ms =
        options->now_ms + (timeout_ms == 0 ? HWS_TLS_HANDSHAKE_TIMEOUT_MS : timeout_ms);
    hws_buf_init(&conn->out, 0);
    rc = setup_engine(conn, options, err);
    if (rc == HWS_OK) {
        hws_tls__move(conn, HWS_TLS_STATE_HANDSHAKE);
        rc = role == HWS_TLS_CLIENT ? drive_handshake(conn) : HWS_OK;
        rc = rc == HWS_OK ? HWS_OK : report(conn, err);
    }
    if (rc != HWS_OK) {
        hws_tls_conn_deinit(conn);
    }
    return rc;
}

void hws_tls__engine_free(struct hws_tls_conn *conn)
{
    if (conn->engine != NULL) {
        mbedtls_ssl_free(&conn->engine->ssl);
        hws_mem_free_secret(conn->engine, sizeof(*conn->engine));
        conn->engine = NULL;
    }
}

void hws_tls_conn_deinit(struct hws_tls_conn *conn)
{
    hws_tls__engine_free(conn);
    hws_tls_records_free(conn->records);
    hws_tls_bundle_unref(conn->bundle);
    hws_buf_deinit(&conn->out);
    memset(conn, 0, sizeof(*conn));
}

enum hws_code hws_tls_conn_recv(struct hws_tls_conn *conn, const uint8_t *bytes, size_t n,
                                struct hws_err *err)
{
    hws_assert(conn->in.n == 0);
    if (conn->state == HWS_TLS_STATE_FAILED) {
        return report(conn, err);
    }
    if (conn->state == HWS_TLS_STATE_PEER_DONE || conn->state == HWS_TLS_STATE_CLOSED) {
        return HWS_OK; /* nothing after the peer's or our end is of interest */
    }
    conn->in = (struct hws_span){.bytes = bytes, .n = n};
    if (conn->state == HWS_TLS_STATE_HANDSHAKE) {
        keep_first(conn->engine, bytes, n);
        return drive_handshake(conn) == HWS_OK ? HWS_OK : report(conn, err);
    }
    return HWS_OK;
}

enum hws_code hws_tls_conn_read(struct hws_tls_conn *conn, uint8_t *out, size_t cap, size_t *out_n,
                                struct hws_err *err)
{
    size_t n = 0;

    if (conn->state == HWS_TLS_STATE_FAILED) {
        return report(conn, err);
    }
    if (conn->state == HWS_TLS_STATE_OPEN && conn->record->open(conn, out, cap, &n) != HWS_OK) {
        return report(conn, err);
    }
    if (n == 0) {
        conn->in = (struct hws_span){0};
    }
    *out_n = n;
    return HWS_OK;
}

/* Takes n bytes off the front; returns the first span that has something left. */
static size_t skip(struct hws_span *spans, size_t n_spans, size_t n)
{
    size_t at = 0;

    while (at < n_spans && n >= spans[at].n) {
        n -= spans[at++].n;
    }
    if (at < n_spans) {
        spans[at].bytes += n;
        spans[at].n -= n;
    }
    return at;
}

enum hws_code hws_tls_conn_gather(struct hws_tls_conn *conn, struct hws_span *spans, size_t n_spans,
                                  size_t *out_taken, struct hws_err *err)
{
    size_t done = 0;
    size_t at = skip(spans, n_spans, 0);

    if (conn->state == HWS_TLS_STATE_FAILED) {
        return report(conn, err);
    }
    if (conn->state != HWS_TLS_STATE_OPEN && conn->state != HWS_TLS_STATE_PEER_DONE) {
        return hws_err_set(err, HWS_E_STATE, "TLS connection is not open for writing");
    }
    while (at < n_spans && hws_buf_len(&conn->out) < HWS_TLS_UNSENT_MAX_BYTES) {
        size_t taken = 0;
        if (conn->record->seal(conn, spans + at, n_spans - at, &taken) != HWS_OK) {
            return report(conn, err);
        }
        done += taken;
        at += skip(spans + at, n_spans - at, taken);
    }
    *out_taken = done;
    return HWS_OK;
}

enum hws_code hws_tls_conn_write(struct hws_tls_conn *conn, const uint8_t *bytes, size_t n,
                                 size_t *out_taken, struct hws_err *err)
{
    struct hws_span span = {.bytes = bytes, .n = n};

    return hws_tls_conn_gather(conn, &span, 1, out_taken, err);
}

void hws_tls_conn_pull(struct hws_tls_conn *conn, struct hws_buf *out)
{
    struct hws_buf mine = conn->out;

    hws_assert(hws_buf_len(out) == 0);
    conn->out = *out;
    hws_buf_reset(&conn->out);
    *out = mine;
}

void hws_tls_conn_lend(struct hws_tls_conn *conn, struct hws_buf *buf)
{
    hws_assert(hws_buf_len(buf) == 0);
    if (conn->out.bytes == NULL) {
        hws_tls_conn_pull(conn, buf);
    }
}

size_t hws_tls_conn_unsent(const struct hws_tls_conn *conn)
{
    return hws_buf_len(&conn->out);
}

size_t hws_tls_conn_holds(const struct hws_tls_conn *conn)
{
    size_t partial = conn->records == NULL ? 0 : hws_tls_records_holds(conn->records);
    size_t engine = conn->engine == NULL ? 0 : HWS_TLS_ENGINE_BYTES;

    return hws_tls_conn_unsent(conn) + partial + engine;
}

void hws_tls_conn_close(struct hws_tls_conn *conn)
{
    switch (conn->state) {
    case HWS_TLS_STATE_OPEN:
    case HWS_TLS_STATE_PEER_DONE:
        if (conn->record->close_notify(conn) == HWS_OK) {
            hws_tls__move(conn, HWS_TLS_STATE_CLOSED);
        }
        break;
    case HWS_TLS_STATE_HANDSHAKE:
        hws_tls__move(conn, HWS_TLS_STATE_CLOSED);
        break;
    default:
        break;
    }
    conn->in = (struct hws_span){0};
}

enum hws_code hws_tls_conn_eof(struct hws_tls_conn *conn, struct hws_err *err)
{
    switch (conn->state) {
    case HWS_TLS_STATE_HANDSHAKE:
        (void)hws_tls__fail(conn, HWS_TLS_REASON_TRUNCATED, HWS_E_GONE,
                            "truncated: the peer went away in the handshake");
        return report(conn, err);
    case HWS_TLS_STATE_OPEN:
        (void)hws_tls__fail(conn, HWS_TLS_REASON_TRUNCATED, HWS_E_GONE, "truncated: %s",
                            hws_tls_reason_text(HWS_TLS_REASON_TRUNCATED));
        return report(conn, err);
    case HWS_TLS_STATE_FAILED:
        return report(conn, err);
    default:
        return HWS_OK;
    }
}

uint64_t hws_tls_conn_deadline_ms(const struct hws_tls_conn *conn)
{
    return conn->state == HWS_TLS_STATE_HANDSHAKE ? conn->deadline_ms : UINT64_MAX;
}

void hws_tls_conn_hurry(struct hws_tls_conn *conn, uint64_t deadline_ms)
{
    conn->deadline_ms = deadline_ms < conn->deadline_ms ? deadline_ms : conn->deadline_ms;
}

enum hws_code hws_tls_conn_expire(struct hws_tls_conn *conn, uint64_t now_ms, struct hws_err *err)
{
    if (now_ms < hws_tls_conn_deadline_ms(conn)) {
        return HWS_OK;
    }
    (void)hws_tls__fail(conn, HWS_TLS_REASON_TIMEOUT, HWS_E_TIMEOUT, "timeout: %s",
                        hws_tls_reason_text(HWS_TLS_REASON_TIMEOUT));
    return report(conn, err);
}

const char *hws_tls_conn_version(const struct hws_tls_conn *conn)
{
    return conn->record != NULL ? conn->version : "";
}

const char *hws_tls_conn_suite(const struct hws_tls_conn *conn)
{
    return conn->record != NULL ? conn->suite : "";
}

const char *hws_tls_conn_records(const struct hws_tls_conn *conn)
{
    if (conn->records != NULL) {
        return hws_tls_records_name(conn->records);
    }
    return conn->record != NULL ? "mbedtls" : "";
}

bool hws_tls_conn_is_worn(const struct hws_tls_conn *conn)
{
    return conn->records != NULL && hws_tls_records_is_worn(conn->records);
}
