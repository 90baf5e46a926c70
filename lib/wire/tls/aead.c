/* AES-GCM by libcrypto's EVP. */
#include "tls/aead.h"

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/mem.h"

enum hws_code hws_tls_aead_set_key(struct hws_tls_aead *a, const uint8_t *key, size_t n_key,
                                   bool seals, struct hws_err *err)
{
    const EVP_CIPHER *cipher = n_key == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    hws_assert(n_key == 16 || n_key == 32);
    if (ctx == NULL || EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, seals ? 1 : 0) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return hws_err_set(err, HWS_E_NOMEM, "AES-GCM: out of memory");
    }
    hws_tls_aead_deinit(a);
    a->ctx = ctx;
    a->seals = seals;
    return HWS_OK;
}

void hws_tls_aead_deinit(struct hws_tls_aead *a)
{
    EVP_CIPHER_CTX_free(a->ctx); /* cleanses the key schedule */
    a->ctx = NULL;
}

static bool update(EVP_CIPHER_CTX *ctx, uint8_t *out, struct hws_span in)
{
    int n = 0;

    return in.n == 0 ||
           (EVP_CipherUpdate(ctx, out, &n, in.bytes, (int)in.n) == 1 && (size_t)n == in.n);
}

bool hws_tls_aead_seal(struct hws_tls_aead *a, const uint8_t nonce[HWS_TLS_NONCE_BYTES],
                       struct hws_span aad, const struct hws_span *texts, size_t n_texts,
                       uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = a->ctx;
    int n = 0;
    bool ok = EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 && update(ctx, NULL, aad);

    hws_assert(a->seals);
    for (size_t i = 0; ok && i < n_texts; i++) {
        hws_assert(texts[i].n < INT32_MAX);
        ok = update(ctx, out, texts[i]);
        out += texts[i].n;
    }
    return ok && EVP_CipherFinal_ex(ctx, out, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, HWS_TLS_TAG_BYTES, out) == 1;
}

bool hws_tls_aead_open(struct hws_tls_aead *a, const uint8_t nonce[HWS_TLS_NONCE_BYTES],
                       struct hws_span aad, struct hws_span sealed, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = a->ctx;
    uint8_t tag[HWS_TLS_TAG_BYTES];
    int n = 0;

    hws_assert(!a->seals && sealed.n >= sizeof(tag) && sealed.n < INT32_MAX);
    struct hws_span text = {.bytes = sealed.bytes, .n = sealed.n - sizeof(tag)};
    for (size_t i = 0; i < sizeof(tag); i++) {
        tag[i] = sealed.bytes[text.n + i];
    }
    bool ok = EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 && update(ctx, NULL, aad) &&
              update(ctx, out, text) &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
              EVP_CipherFinal_ex(ctx, out + text.n, &n) == 1;
    if (!ok) {
        hws_mem_wipe(out, text.n); /* unproven bytes go nowhere */
    }
    return ok;
}
