/* AES-GCM: who does it, chosen when a key is set. */
#include "base/assert.h"
#include "base/mem.h"
#include "tls/aead_priv.h"

#ifndef HWS_WITH_IPSEC_MB
const struct hws_tls__aead_ops *hws_tls__aead_ipsec_mb(void)
{
    return NULL;
}
#endif

static const struct hws_tls__aead_ops *find(enum hws_tls_aead_by by)
{
    const struct hws_tls__aead_ops *fast =
        by == HWS_TLS_AEAD_BEST ? hws_tls__aead_ipsec_mb() : NULL;

    return fast != NULL ? fast : &hws_tls__aead_libcrypto;
}

const char *hws_tls_aead_name(enum hws_tls_aead_by by)
{
    return find(by)->name;
}

enum hws_code hws_tls_aead_set_key(struct hws_tls_aead *a, enum hws_tls_aead_by by,
                                   const uint8_t *key, size_t n_key, bool seals,
                                   struct hws_err *err)
{
    const struct hws_tls__aead_ops *ops = find(by);

    hws_assert(n_key == 16 || n_key == 32);
    void *ctx = ops->new (key, n_key, seals);
    if (ctx == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "AES-GCM: out of memory");
    }
    hws_tls_aead_deinit(a);
    *a = (struct hws_tls_aead){.ctx = ctx, .ops = ops, .seals = seals};
    return HWS_OK;
}

void hws_tls_aead_deinit(struct hws_tls_aead *a)
{
    if (a->ops != NULL) {
        a->ops->free(a->ctx);
    }
    *a = (struct hws_tls_aead){0};
}

bool hws_tls_aead_seal(struct hws_tls_aead *a, const uint8_t nonce[HWS_TLS_NONCE_BYTES],
                       struct hws_span aad, const struct hws_span *texts, size_t n_texts,
                       uint8_t *out)
{
    hws_assert(a->seals);
    return a->ops->seal(a->ctx, nonce, aad, texts, n_texts, out);
}

bool hws_tls_aead_open(struct hws_tls_aead *a, const uint8_t nonce[HWS_TLS_NONCE_BYTES],
                       struct hws_span aad, struct hws_span sealed, uint8_t *out)
{
    hws_assert(!a->seals && sealed.n >= HWS_TLS_TAG_BYTES);
    bool ok = a->ops->open(a->ctx, nonce, aad, sealed, out);
    if (!ok) {
        hws_mem_wipe(out, sealed.n - HWS_TLS_TAG_BYTES); /* unproven bytes go nowhere */
    }
    return ok;
}
