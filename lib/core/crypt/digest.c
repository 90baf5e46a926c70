/* SHA-256 through libcrypto's EVP interface, which picks the fastest code the processor has. */
#include "crypt/digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/str.h"

enum hws_code hws_sha256_init(struct hws_sha256 *h)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (ctx == NULL) {
        return HWS_E_NOMEM;
    }
    if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        return HWS_E_NOMEM;
    }
    h->ctx = ctx;
    return HWS_OK;
}

void hws_sha256_update(struct hws_sha256 *h, const void *bytes, size_t n)
{
    if (h->ctx != NULL && n > 0 && EVP_DigestUpdate(h->ctx, bytes, n) != 1) {
        hws_sha256_deinit(h);
    }
}

enum hws_code hws_sha256_final(struct hws_sha256 *h, struct hws_digest *out)
{
    struct hws_digest d;
    unsigned n = 0;
    bool good = h->ctx != NULL && EVP_DigestFinal_ex(h->ctx, d.b, &n) == 1 && n == sizeof(d.b);

    hws_sha256_deinit(h);
    if (!good) {
        return HWS_E_NOMEM;
    }
    *out = d;
    return HWS_OK;
}

void hws_sha256_deinit(struct hws_sha256 *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

enum hws_code hws_sha256_of(const void *bytes, size_t n, struct hws_digest *out)
{
    struct hws_sha256 h;

    if (hws_sha256_init(&h) != HWS_OK) {
        return HWS_E_NOMEM;
    }
    hws_sha256_update(&h, bytes, n);
    return hws_sha256_final(&h, out);
}

bool hws_digest_eq(const struct hws_digest *a, const struct hws_digest *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool hws_digest_is_zero(const struct hws_digest *d)
{
    static const struct hws_digest zero;

    return hws_digest_eq(d, &zero);
}

void hws_digest_hex(const struct hws_digest *d, char *dst)
{
    hws_hex_encode(d->b, sizeof(d->b), dst);
}

enum hws_code hws_digest_from_hex(const char *hex, struct hws_digest *out)
{
    struct hws_digest d;
    size_t n = 0;

    if (hws_hex_decode(hex, d.b, sizeof(d.b), &n) != HWS_OK || n != sizeof(d.b)) {
        return HWS_E_INVALID;
    }
    *out = d;
    return HWS_OK;
}
