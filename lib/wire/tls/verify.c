/*
 * What we add to mbedTLS's verification of a chain. The library builds the chain and checks the
 * signatures, the profile and the CA bits; the time is judged here against the caller's clock, and
 * the leaf by peer.h. Refusing inside the callback makes the handshake itself fail, with an alert.
 */
#include <string.h>

#include "tls/engine_priv.h"

#define TIME_FLAGS ((uint32_t)MBEDTLS_X509_BADCERT_EXPIRED | (uint32_t)MBEDTLS_X509_BADCERT_FUTURE)
#define NAME_FLAGS ((uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH)

uint64_t hws_tls__time_s(const mbedtls_x509_time *t)
{
    /* Days from the civil calendar, with years that begin in March. */
    int64_t y = t->mon <= 2 ? t->year - 1 : t->year;
    int64_t m = t->mon <= 2 ? t->mon + 9 : t->mon - 3;
    int64_t days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + t->day - 1 - 719468;
    int64_t s = ((days * 24 + t->hour) * 60 + t->min) * 60 + t->sec;

    return s < 0 ? 0 : (uint64_t)s;
}

static uint32_t time_flags(const mbedtls_x509_crt *crt, uint64_t now_s)
{
    if (now_s > hws_tls__time_s(&crt->valid_to)) {
        return MBEDTLS_X509_BADCERT_EXPIRED;
    }
    return now_s < hws_tls__time_s(&crt->valid_from) ? MBEDTLS_X509_BADCERT_FUTURE : 0;
}

enum hws_tls_reason hws_tls__flags_reason(uint32_t flags)
{
    static const struct {
        uint32_t flags;
        enum hws_tls_reason reason;
    } map[] = {
        {MBEDTLS_X509_BADCERT_MISSING, HWS_TLS_REASON_NO_CERTIFICATE},
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, HWS_TLS_REASON_UNKNOWN_CA},
        {MBEDTLS_X509_BADCERT_EXPIRED, HWS_TLS_REASON_EXPIRED},
        {MBEDTLS_X509_BADCERT_FUTURE, HWS_TLS_REASON_NOT_YET_VALID},
        {MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
         HWS_TLS_REASON_WEAK},
        {MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
             MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
         HWS_TLS_REASON_KEY_USAGE},
        {MBEDTLS_X509_BADCERT_REVOKED, HWS_TLS_REASON_REVOKED},
        {MBEDTLS_X509_BADCERT_OTHER, HWS_TLS_REASON_CHAIN},
    };

    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
        if ((flags & map[i].flags) != 0) {
            return map[i].reason;
        }
    }
    return HWS_TLS_REASON_LOCAL;
}

/*
 * The serial as people and `openssl x509 -serial` write it: the number, without the zero byte that
 * DER puts before a high bit. A negative one or one of another form than the shortest is refused,
 * so that two certificates of a CA never share a text.
 */
static enum hws_code read_serial(struct hws_tls__verify *v, const mbedtls_x509_buf *der)
{
    struct hws_span serial = hws_tls__serial(der);

    if (der->len > 0 && serial.n == der->len &&
        (serial.bytes[0] >= 0x80 || (serial.n > 1 && serial.bytes[0] == 0))) {
        return hws_err_set(&v->err, HWS_E_DENIED, "certificate serial is %s",
                           serial.bytes[0] == 0 ? "padded with zeros" : "negative");
    }
    if (serial.n == 0 || serial.n > HWS_TLS_SERIAL_MAX_BYTES) {
        return hws_err_set(&v->err, HWS_E_DENIED, "certificate serial of %zu bytes (1 to %u)",
                           serial.n, HWS_TLS_SERIAL_MAX_BYTES);
    }
    hws_hex_encode(serial.bytes, serial.n, v->peer.serial);
    return HWS_OK;
}

static enum hws_code read_identity(struct hws_tls__verify *v, const mbedtls_x509_crt *crt)
{
    struct hws_tls_peer *p = &v->peer;

    v->reason = HWS_TLS_REASON_IDENTITY;
    enum hws_code rc = read_serial(v, &crt->serial);
    if (rc != HWS_OK) {
        return rc;
    }
    if (hws_tls__sha256(crt->raw.p, crt->raw.len, p->sha256) != 0) {
        v->reason = HWS_TLS_REASON_LOCAL;
        return hws_err_set(&v->err, HWS_E_IO, "SHA-256 of the certificate failed");
    }
    p->not_before_s = hws_tls__time_s(&crt->valid_from);
    p->not_after_s = hws_tls__time_s(&crt->valid_to);
    return hws_tls_san_principal(v->leaf.san, p->principal, sizeof(p->principal), &v->err);
}

enum hws_code hws_tls__judge_leaf(struct hws_tls__verify *v, const mbedtls_x509_crt *crt)
{
    struct hws_span ext = {.bytes = crt->v3_ext.p, .n = crt->v3_ext.len};

    memset(&v->peer, 0, sizeof(v->peer));
    v->reason = HWS_TLS_REASON_IDENTITY;
    enum hws_code rc = hws_tls_leaf_parse(ext, &v->leaf, &v->err);
    if (rc != HWS_OK) {
        return rc;
    }
    unsigned eku = v->eku != 0 ? v->eku : v->leaf.eku;
    rc = hws_tls_leaf_check_usage(&v->leaf, eku, &v->err);
    if (rc != HWS_OK) {
        v->reason = HWS_TLS_REASON_KEY_USAGE;
        return rc;
    }
    rc = read_identity(v, crt);
    if (rc != HWS_OK) {
        return rc;
    }
    if (v->expect != NULL) {
        v->reason = HWS_TLS_REASON_UNEXPECTED_PEER;
        rc = hws_tls_san_expect(v->leaf.san, v->peer.principal, v->expect, &v->err);
    }
    if (rc == HWS_OK) {
        v->reason = hws_tls_bundle_judge(v->bundle, &v->peer, &v->path);
        rc = v->reason == HWS_TLS_REASON_NONE
                 ? HWS_OK
                 : hws_err_set(&v->err, HWS_E_DENIED, "%s", hws_tls_reason_text(v->reason));
    }
    return rc;
}

/* May the CA at the end of the chain give the name that the leaf has? */
static enum hws_code judge_anchor(struct hws_tls__verify *v)
{
    if (hws_tls__trust_names(v->bundle, v->anchor, v->peer.principal)) {
        return HWS_OK;
    }
    v->reason = HWS_TLS_REASON_TRUST_DOMAIN;
    return hws_err_set(&v->err, HWS_E_DENIED, "%s", hws_tls_reason_text(v->reason));
}

/* Notes a certificate below the CA of ours; false if no list could name it. */
static bool note(struct hws_tls_path *path, const mbedtls_x509_crt *crt)
{
    struct hws_span serial = hws_tls__serial(&crt->serial);

    if (path->n == HWS_TLS_MAX_CHAIN || serial.n == 0 || serial.n > HWS_TLS_SERIAL_MAX_BYTES ||
        hws_tls__sha256(crt->issuer_raw.p, crt->issuer_raw.len, path->certs[path->n].issuer) != 0) {
        return false;
    }
    memcpy(path->certs[path->n].serial, serial.bytes, serial.n);
    path->certs[path->n].n_serial = (uint8_t)serial.n;
    path->n++;
    return true;
}

/* What makes mbedTLS refuse, with the alert that fits best. */
static uint32_t flag_of(enum hws_tls_reason reason)
{
    switch ((int)reason) {
    case HWS_TLS_REASON_KEY_USAGE:
        return MBEDTLS_X509_BADCERT_KEY_USAGE;
    case HWS_TLS_REASON_REVOKED:
        return MBEDTLS_X509_BADCERT_REVOKED;
    default:
        return MBEDTLS_X509_BADCERT_OTHER;
    }
}

int hws_tls__verify_cb(void *data, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct hws_tls__verify *v = data;

    *flags &= ~(TIME_FLAGS | NAME_FLAGS);
    *flags |= time_flags(crt, v->now_s);
    if (depth > (int)HWS_TLS_MAX_CHAIN) {
        *flags |= MBEDTLS_X509_BADCERT_OTHER;
    }
    if (v->anchor == NULL) { /* the first is the top */
        v->anchor = crt;
    } else if (!note(&v->path, crt) && depth > 0) { /* of a leaf, judge_leaf says it better */
        *flags |= MBEDTLS_X509_BADCERT_OTHER;
    }
    v->flags |= *flags;
    if (depth > 0) {
        return 0;
    }
    v->seen = true;
    enum hws_code rc = hws_tls__judge_leaf(v, crt);
    if (rc == HWS_OK) {
        rc = judge_anchor(v);
    }
    if (v->flags != 0) { /* the chain is worse news than the leaf */
        v->reason = hws_tls__flags_reason(v->flags);
        (void)hws_err_set(&v->err, HWS_E_DENIED, "%s", hws_tls_reason_text(v->reason));
    } else if (rc != HWS_OK) {
        *flags |= flag_of(v->reason);
    }
    return 0;
}
