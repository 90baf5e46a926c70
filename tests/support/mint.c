/* Certificates and CRLs by libcrypto. */
#include "mint.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "test.h"

static const EVP_MD *digest_of(const char *name, const EVP_PKEY *key)
{
    if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519) {
        return NULL; /* the scheme has its own */
    }
    const EVP_MD *md = EVP_get_digestbyname(name == NULL ? "SHA256" : name);
    assert_non_null(md);
    return md;
}

static EVP_PKEY *make_key(const char *kind)
{
    EVP_PKEY *key = NULL;

    if (kind == NULL || kind[0] == 'P' || kind[0] == 's') {
        key = EVP_EC_gen(kind == NULL ? "P-256" : kind);
    } else if (kind[0] == 'R') {
        key = EVP_RSA_gen((unsigned)strtoul(kind + 4, NULL, 10));
    } else {
        key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
    }
    assert_non_null(key);
    return key;
}

static void set_serial(ASN1_INTEGER *out, const char *hex)
{
    BIGNUM *bn = NULL;
    uint8_t random[12];

    if (hex == NULL) {
        assert_int_equal(RAND_bytes(random, sizeof(random)), 1);
        random[0] = (uint8_t)(random[0] | 1);
        bn = BN_bin2bn(random, sizeof(random), NULL);
    } else {
        assert_true(BN_hex2bn(&bn, hex) > 0);
    }
    assert_non_null(BN_to_ASN1_INTEGER(bn, out));
    BN_free(bn);
}

static void add_extensions(X509 *crt, X509 *issuer, const char *lines)
{
    X509V3_CTX ctx;
    BIO *bio = BIO_new(BIO_s_mem());
    CONF *conf = NCONF_new(NULL);
    long at = 0;

    assert_true(BIO_printf(bio, "[ext]\n%s", lines) > 0);
    assert_int_equal(NCONF_load_bio(conf, bio, &at), 1);
    X509V3_set_ctx(&ctx, issuer, crt, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, conf);
    if (X509V3_EXT_add_nconf(conf, &ctx, "ext", crt) != 1) {
        fail_msg("extensions: %s", lines);
    }
    NCONF_free(conf);
    BIO_free(bio);
}

/* The same with a bit flipped in the signature, which is the end of the DER. */
static X509 *break_crt(X509 *crt)
{
    unsigned char *der = NULL;
    int n = i2d_X509(crt, &der);
    const unsigned char *at = der;

    assert_true(n > 0);
    der[n - 1] ^= 1;
    X509_free(crt);
    crt = d2i_X509(NULL, &at, n);
    assert_non_null(crt);
    OPENSSL_free(der);
    return crt;
}

static X509_CRL *break_crl(X509_CRL *crl)
{
    unsigned char *der = NULL;
    int n = i2d_X509_CRL(crl, &der);
    const unsigned char *at = der;

    assert_true(n > 0);
    der[n - 1] ^= 1;
    X509_CRL_free(crl);
    crl = d2i_X509_CRL(NULL, &at, n);
    assert_non_null(crl);
    OPENSSL_free(der);
    return crl;
}

void hws_mint_make(struct hws_mint *out, const struct hws_mint *issuer,
                   const struct hws_mint_spec *spec)
{
    X509 *crt = X509_new();
    EVP_PKEY *key = make_key(spec->key);
    const char *cn = spec->cn == NULL ? "mint" : spec->cn;
    X509_NAME *name = X509_get_subject_name(crt);
    EVP_PKEY *signer = issuer == NULL ? key : issuer->key;
    X509 *by = issuer == NULL ? crt : issuer->crt;

    assert_int_equal(X509_set_version(crt, spec->ext == NULL ? X509_VERSION_1 : X509_VERSION_3), 1);
    set_serial(X509_get_serialNumber(crt), spec->serial);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0),
        1);
    assert_int_equal(X509_set_issuer_name(crt, X509_get_subject_name(by)), 1);
    assert_non_null(
        X509_gmtime_adj(X509_getm_notBefore(crt), spec->from_s == 0 ? -3600 : spec->from_s));
    assert_non_null(
        X509_gmtime_adj(X509_getm_notAfter(crt), spec->until_s == 0 ? 864000 : spec->until_s));
    assert_int_equal(X509_set_pubkey(crt, key), 1);
    if (spec->ext != NULL) {
        add_extensions(crt, by, spec->ext);
    }
    assert_true(X509_sign(crt, signer, digest_of(spec->digest, signer)) > 0);
    if (spec->broken) {
        crt = break_crt(crt);
    }
    out->crt = crt;
    out->key = key;
}

void hws_mint_free(struct hws_mint *m)
{
    X509_free(m->crt);
    EVP_PKEY_free(m->key);
    memset(m, 0, sizeof(*m));
}

static char *take_text(BIO *bio)
{
    char *bytes = NULL;
    long n = BIO_get_mem_data(bio, &bytes);
    char *text = hws_mem_zalloc(1, (size_t)n + 1);

    assert_non_null(text);
    memcpy(text, bytes, (size_t)n);
    BIO_free(bio);
    return text;
}

char *hws_mint_certs_pem(const struct hws_mint *const *certs, size_t n)
{
    BIO *bio = BIO_new(BIO_s_mem());

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(PEM_write_bio_X509(bio, certs[i]->crt), 1);
    }
    return take_text(bio);
}

char *hws_mint_key_pem(const struct hws_mint *m)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, m->key, NULL, NULL, 0, NULL, NULL), 1);
    return take_text(bio);
}

static void revoke(X509_CRL *crl, const char *serial, ASN1_TIME *when)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();

    set_serial(number, serial);
    assert_int_equal(X509_REVOKED_set_serialNumber(entry, number), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(entry, when), 1);
    assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
    ASN1_INTEGER_free(number);
}

char *hws_mint_crl_pem(const struct hws_mint *issuer, const struct hws_mint_crl_spec *spec)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, spec->from_s == 0 ? -3600 : spec->from_s);
    ASN1_TIME *until = X509_gmtime_adj(NULL, spec->until_s == 0 ? 86400 : spec->until_s);
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->crt)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
    if (!spec->no_next) {
        assert_int_equal(X509_CRL_set1_nextUpdate(crl, until), 1);
    }
    for (size_t i = 0; spec->serials != NULL && spec->serials[i] != NULL; i++) {
        revoke(crl, spec->serials[i], from);
    }
    assert_true(X509_CRL_sign(crl, issuer->key, digest_of(spec->digest, issuer->key)) > 0);
    if (spec->broken) {
        crl = break_crl(crl);
    }
    assert_int_equal(PEM_write_bio_X509_CRL(bio, crl), 1);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_CRL_free(crl);
    return take_text(bio);
}
