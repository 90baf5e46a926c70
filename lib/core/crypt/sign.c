/* ECDSA P-256 through libcrypto's EVP interface. */
#include "crypt/sign.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/str.h"

#define GROUP       "prime256v1" /* libcrypto's name of P-256 */
#define HALF_BYTES  32           /* of r and of s */
#define POINT_BYTES 65u          /* of an uncompressed point: 04, x, y */
#define DER_MAX     80           /* of a signature of two 32-byte numbers */
#define GROUP_BYTES 32u

static enum hws_code no_memory(struct hws_err *err)
{
    ERR_clear_error();
    return hws_err_set(err, HWS_E_NOMEM, "libcrypto has failed, maybe for lack of memory");
}

/* ---- keys ------------------------------------------------------------------------------------ */

enum hws_code hws_signer_new(struct hws_signer *s, struct hws_err *err)
{
    EVP_PKEY *key = EVP_EC_gen(GROUP);

    if (key == NULL) {
        return no_memory(err);
    }
    s->key = key;
    return HWS_OK;
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[GROUP_BYTES] = "";
    size_t n = 0;

    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
                                          &n) == 1 &&
           hws_str_eq(group, GROUP);
}

enum hws_code hws_signer_load(struct hws_signer *s, const void *pem, size_t n, struct hws_err *err)
{
    char no_password[] = ""; /* nobody is asked for one */

    if (n > HWS_PEM_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "a key file is at most %zu bytes",
                           HWS_PEM_MAX_BYTES);
    }
    BIO *bio = BIO_new_mem_buf(pem, (int)n);
    if (bio == NULL) {
        return no_memory(err);
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password);
    BIO_free(bio);
    ERR_clear_error();
    if (key == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "no unencrypted private key in PEM");
    }
    if (!is_p256(key)) {
        EVP_PKEY_free(key);
        return hws_err_set(err, HWS_E_INVALID, "the key is not ECDSA P-256");
    }
    s->key = key;
    return HWS_OK;
}

bool hws_signer_pem(const struct hws_signer *s, char *dst, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    bool good =
        bio != NULL && PEM_write_bio_PrivateKey(bio, s->key, NULL, NULL, 0, NULL, NULL) == 1;

    if (good) {
        long n = BIO_get_mem_data(bio, &text);
        good = n > 0 && hws_str_copy_n(dst, cap, text, (size_t)n);
    }
    BIO_free(bio);
    return good;
}

void hws_signer_deinit(struct hws_signer *s)
{
    EVP_PKEY_free(s->key);
    s->key = NULL;
}

enum hws_code hws_signer_public(const struct hws_signer *s, struct hws_public *out,
                                struct hws_err *err)
{
    uint8_t point[POINT_BYTES];
    size_t n = 0;

    if (EVP_PKEY_get_octet_string_param(s->key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
                                        &n) != 1) {
        return no_memory(err);
    }
    if (n == POINT_BYTES && point[0] == 4) {
        point[0] = (uint8_t)(2 + (point[POINT_BYTES - 1] & 1));
    } else if (n != HWS_PUBLIC_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "a public key of %zu bytes is no point of P-256", n);
    }
    memcpy(out->b, point, HWS_PUBLIC_BYTES);
    return HWS_OK;
}

/* libcrypto's object of a public key; NULL if it is no point of the curve. */
static EVP_PKEY *key_of(const struct hws_public *key)
{
    char group[] = GROUP;
    uint8_t point[HWS_PUBLIC_BYTES];
    EVP_PKEY *out = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);

    memcpy(point, key->b, sizeof(point));
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &out, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        out = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return out;
}

bool hws_public_eq(const struct hws_public *a, const struct hws_public *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void hws_public_hex(const struct hws_public *key, char *dst)
{
    hws_hex_encode(key->b, sizeof(key->b), dst);
}

enum hws_code hws_public_from_hex(const char *hex, struct hws_public *out)
{
    struct hws_public key;
    size_t n = 0;

    if (hws_hex_decode(hex, key.b, sizeof(key.b), &n) != HWS_OK || n != sizeof(key.b)) {
        return HWS_E_INVALID;
    }
    EVP_PKEY *object = key_of(&key);
    if (object == NULL) {
        return HWS_E_INVALID;
    }
    EVP_PKEY_free(object);
    *out = key;
    return HWS_OK;
}

/* ---- signatures ------------------------------------------------------------------------------ */

/* libcrypto's DER of a signature as r and s; false if it is none. */
static bool from_der(const uint8_t *der, size_t n, struct hws_signature *out)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool good = sig != NULL &&
                BN_bn2binpad(ECDSA_SIG_get0_r(sig), out->b, HALF_BYTES) == HALF_BYTES &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), out->b + HALF_BYTES, HALF_BYTES) == HALF_BYTES;

    ECDSA_SIG_free(sig);
    return good;
}

/* The other way round; the length, 0 on failure. */
static size_t to_der(const struct hws_signature *in, uint8_t der[DER_MAX])
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(in->b, HALF_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(in->b + HALF_BYTES, HALF_BYTES, NULL);
    uint8_t *at = der;
    int n = 0;

    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = NULL; /* the signature's now */
        s = NULL;
        n = i2d_ECDSA_SIG(sig, NULL) <= DER_MAX ? i2d_ECDSA_SIG(sig, &at) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

enum hws_code hws_sign(const struct hws_signer *s, const void *bytes, size_t n,
                       struct hws_signature *out, struct hws_err *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[DER_MAX];
    size_t n_der = sizeof(der);
    bool good = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, s->key) == 1 &&
                EVP_DigestSign(ctx, der, &n_der, bytes, n) == 1 && from_der(der, n_der, out);

    EVP_MD_CTX_free(ctx);
    return good ? HWS_OK : no_memory(err);
}

enum hws_code hws_sign_check(const struct hws_public *key, const void *bytes, size_t n,
                             const struct hws_signature *sig, struct hws_err *err)
{
    uint8_t der[DER_MAX];
    size_t n_der = to_der(sig, der);
    EVP_PKEY *object = key_of(key);

    if (object == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "the key is no point of P-256");
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL && n_der > 0 &&
                EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, object) == 1 &&
                EVP_DigestVerify(ctx, der, n_der, bytes, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(object);
    ERR_clear_error();
    return good ? HWS_OK : hws_err_set(err, HWS_E_DENIED, "the signature is not the key's");
}
