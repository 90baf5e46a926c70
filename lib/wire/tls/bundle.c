/*
 * Loading a bundle:
 *   1. parse the three PEM inputs, each bounded;
 *   2. every CA is a CA, the key fits the leaf, the lists are signed by our CAs;
 *   3. the chain verifies against our own CAs by the rules that a peer will apply to it;
 *   4. enough time is left;
 *   5. one configuration for each side of TLS is built, to be shared by all connections.
 * Whatever fails, nothing of the old bundle is touched: the caller swaps a pointer on success.
 */
#include "tls/bundle.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "tls/aead.h"
#include "tls/engine_priv.h"

bool hws_tls__is_nomem(int rc)
{
    /* The low-level codes ride in the low 7 bits of a high-level one, so compare whole values. */
    return rc == MBEDTLS_ERR_SSL_ALLOC_FAILED || rc == MBEDTLS_ERR_X509_ALLOC_FAILED ||
           rc == MBEDTLS_ERR_PK_ALLOC_FAILED;
}

static enum hws_code lib_error(struct hws_err *err, const char *what, int rc)
{
    if (hws_tls__is_nomem(rc)) {
        return hws_err_set(err, HWS_E_NOMEM, "%s: out of memory", what);
    }
    if (rc > 0) {
        return hws_err_set(err, HWS_E_INVALID, "%s: %d certificates of it do not parse", what, rc);
    }
    return hws_err_set(err, HWS_E_INVALID, "%s: no %s in PEM that this build can read (-0x%04x)",
                       what, what[0] == 'k' ? "private key" : "certificate", (unsigned)-rc);
}

/* mbedTLS tells PEM from DER by a final NUL, so each input is copied with one. */
enum hws_code hws_tls__copy_pem(struct hws_span in, const char *what, uint8_t **out, size_t *out_n,
                                struct hws_err *err)
{
    size_t n = in.n > 0 && in.bytes[in.n - 1] == '\0' ? in.n - 1 : in.n;

    if (n == 0) {
        return hws_err_set(err, HWS_E_INVALID, "%s: empty", what);
    }
    if (n > HWS_TLS_PEM_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "%s: %zu bytes (at most %zu)", what, n,
                           HWS_TLS_PEM_MAX_BYTES);
    }
    if (memchr(in.bytes, '\0', n) != NULL) {
        return hws_err_set(err, HWS_E_INVALID, "%s: not text", what);
    }
    uint8_t *copy = hws_mem_alloc(n + 1);
    if (copy == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "%s: out of memory", what);
    }
    memcpy(copy, in.bytes, n);
    copy[n] = '\0';
    *out = copy;
    *out_n = n + 1;
    return HWS_OK;
}

enum hws_code hws_tls__parse_certs(mbedtls_x509_crt *crt, struct hws_span pem, const char *what,
                                   struct hws_err *err)
{
    uint8_t *text = NULL;
    size_t n = 0;
    enum hws_code rc = hws_tls__copy_pem(pem, what, &text, &n, err);

    if (rc != HWS_OK) {
        return rc;
    }
    int lib = mbedtls_x509_crt_parse(crt, text, n);
    hws_mem_free(text);
    return lib == 0 ? HWS_OK : lib_error(err, what, lib);
}

static enum hws_code parse_key(struct hws_tls_bundle *b, struct hws_span pem, struct hws_err *err)
{
    uint8_t *text = NULL;
    size_t n = 0;
    enum hws_code rc = hws_tls__copy_pem(pem, "key", &text, &n, err);

    if (rc != HWS_OK) {
        return rc;
    }
#if MBEDTLS_VERSION_MAJOR >= 3
    int lib =
        mbedtls_pk_parse_key(&b->key, text, n, NULL, 0, mbedtls_ctr_drbg_random, &b->rng->drbg);
#else
    int lib = mbedtls_pk_parse_key(&b->key, text, n, NULL, 0);
#endif
    hws_mem_free_secret(text, n);
    return lib == 0 ? HWS_OK : lib_error(err, "key", lib);
}

static enum hws_code check_pair(struct hws_tls_bundle *b, struct hws_err *err)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    int lib = mbedtls_pk_check_pair(&b->cert.pk, &b->key, mbedtls_ctr_drbg_random, &b->rng->drbg);
#else
    int lib = mbedtls_pk_check_pair(&b->cert.pk, &b->key);
#endif
    if (lib != 0) {
        return hws_err_set(err, HWS_E_INVALID, "key: does not belong to the certificate");
    }
    return HWS_OK;
}

static enum hws_code check_chain(struct hws_tls_bundle *b, uint64_t now_s, struct hws_err *err)
{
    struct hws_tls__verify v = {.bundle = b, .now_s = now_s};
    uint32_t flags = 0;
    int lib = mbedtls_x509_crt_verify_with_profile(&b->cert, &b->ca, NULL, &hws_tls__profile, NULL,
                                                   &flags, hws_tls__verify_cb, &v);

    if (lib == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && v.seen) {
        return hws_err_set(err, HWS_E_INVALID, "cert: %s: %.200s", hws_tls_reason_name(v.reason),
                           v.err.msg);
    }
    if (lib != 0 || !v.seen) {
        return hws_err_set(err, hws_tls__is_nomem(lib) ? HWS_E_NOMEM : HWS_E_INVALID,
                           "cert: cannot be verified (-0x%04x)", (unsigned)-lib);
    }
    if (v.peer.not_after_s - now_s < HWS_TLS_BUNDLE_MIN_LEFT_S) {
        return hws_err_set(err, HWS_E_INVALID, "cert: expires in %u s (at least %u must be left)",
                           (unsigned)(v.peer.not_after_s - now_s), HWS_TLS_BUNDLE_MIN_LEFT_S);
    }
    b->self = v.peer;
    b->eku = v.leaf.eku;
    return hws_tls__trust_own(b, err);
}

static enum hws_code load(struct hws_tls_bundle *b, const struct hws_tls_pem *pem, uint64_t now_s,
                          struct hws_err *err)
{
    enum hws_code rc = hws_tls__trust_load(b, pem, err);

    if (rc == HWS_OK) {
        rc = hws_tls__parse_certs(&b->cert, pem->cert, "cert", err);
    }
    if (rc == HWS_OK) {
        rc = parse_key(b, pem->key, err);
    }
    if (rc == HWS_OK) {
        rc = check_pair(b, err);
    }
    if (rc == HWS_OK) {
        rc = check_chain(b, now_s, err);
    }
    if (rc == HWS_OK && pem->crl.n > 0) {
        rc = hws_tls__trust_load_crl(b, pem->crl, err);
    }
    if (rc == HWS_OK && pem->deny.n > 0) {
        rc = hws_tls_deny_parse(pem->deny, &b->deny, err);
    }
    if (rc == HWS_OK) {
        rc = hws_tls__config_init(&b->server, HWS_TLS_SERVER, b, err);
    }
    if (rc == HWS_OK) {
        rc = hws_tls__config_init(&b->client, HWS_TLS_CLIENT, b, err);
    }
    return rc;
}

enum hws_code hws_tls_bundle_new(struct hws_tls_rng *rng, const struct hws_tls_pem *pem,
                                 uint64_t now_s, struct hws_tls_bundle **out_bundle,
                                 struct hws_err *err)
{
    struct hws_tls_bundle *b = hws_mem_zalloc(1, sizeof(*b));

    if (b == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "TLS bundle: out of memory");
    }
    b->n_refs = 1;
    b->rng = rng;
    b->allow_tls12 = pem->allow_tls12;
    b->records = pem->records;
    if (b->records == HWS_TLS_RECORDS_AUTO) { /* what is made once is made before anybody waits */
        (void)hws_tls_aead_name(HWS_TLS_AEAD_BEST);
    }
    mbedtls_x509_crt_init(&b->cert);
    mbedtls_x509_crt_init(&b->ca);
    mbedtls_x509_crl_init(&b->crl);
    mbedtls_pk_init(&b->key);
    mbedtls_ssl_config_init(&b->server);
    mbedtls_ssl_config_init(&b->client);
    enum hws_code rc = load(b, pem, now_s, err);
    if (rc != HWS_OK) {
        hws_tls_bundle_unref(b);
        return rc;
    }
    *out_bundle = b;
    return HWS_OK;
}

struct hws_tls_bundle *hws_tls_bundle_ref(struct hws_tls_bundle *bundle)
{
    bundle->n_refs++;
    return bundle;
}

void hws_tls_bundle_unref(struct hws_tls_bundle *bundle)
{
    if (bundle == NULL) {
        return;
    }
    hws_assert(bundle->n_refs > 0);
    if (--bundle->n_refs > 0) {
        return;
    }
    mbedtls_ssl_config_free(&bundle->server);
    mbedtls_ssl_config_free(&bundle->client);
    mbedtls_pk_free(&bundle->key);
    mbedtls_x509_crt_free(&bundle->cert);
    mbedtls_x509_crt_free(&bundle->ca);
    hws_tls__trust_free(bundle);
    hws_mem_free(bundle);
}

const struct hws_tls_peer *hws_tls_bundle_self(const struct hws_tls_bundle *bundle)
{
    return &bundle->self;
}

unsigned hws_tls_bundle_eku(const struct hws_tls_bundle *bundle)
{
    return bundle->eku;
}
