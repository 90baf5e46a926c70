/* AES-GCM by libcrypto's EVP: everywhere. */
#include <openssl/evp.h>
#include <string.h>

#include "base/assert.h"
#include "tls/aead_priv.h"

static void *new_ctx(const uint8_t *key, size_t n_key, bool seals)
{
    const EVP_CIPHER *cipher = n_key == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx == NULL || EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, seals ? 1 : 0) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void free_ctx(void *ctx)
{
    EVP_CIPHER_CTX_free(ctx); /* cleanses the key schedule */
}

static bool update(EVP_CIPHER_CTX *ctx, uint8_t *out, struct hws_span in)
{
    int n = 0;

    hws_assert(in.n < INT32_MAX);
    return in.n == 0 ||
           (EVP_CipherUpdate(ctx, out, &n, in.bytes, (int)in.n) == 1 && (size_t)n == in.n);
}

static bool seal(void *ctx, const uint8_t *nonce, struct hws_span aad, const struct hws_span *texts,
                 size_t n_texts, uint8_t *out)
{
    int n = 0;
    bool ok = EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 && update(ctx, NULL, aad);

    for (size_t i = 0; ok && i < n_texts; i++) {
        ok = update(ctx, out, texts[i]);
        out += texts[i].n;
    }
    return ok && EVP_CipherFinal_ex(ctx, out, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, HWS_TLS_TAG_BYTES, out) == 1;
}

static bool open(void *ctx, const uint8_t *nonce, struct hws_span aad, struct hws_span sealed,
                 uint8_t *out)
{
    uint8_t tag[HWS_TLS_TAG_BYTES];
    struct hws_span text = {.bytes = sealed.bytes, .n = sealed.n - sizeof(tag)};
    int n = 0;

    memcpy(tag, sealed.bytes + text.n, sizeof(tag)); /* EVP takes no const one */
    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 && update(ctx, NULL, aad) &&
           update(ctx, out, text) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
           EVP_CipherFinal_ex(ctx, out + text.n, &n) == 1;
}

const struct hws_tls__aead_ops hws_tls__aead_libcrypto = {
    .name = "libcrypto",
    .new = new_ctx,
    .free = free_ctx,
    .seal = seal,
    .open = open,
};
