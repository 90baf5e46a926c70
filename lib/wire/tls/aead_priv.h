/*
 * The seam behind tls/aead: who seals and opens with a key. A context is one direction's.
 */
#ifndef HWS_TLS_AEAD_PRIV_H
#define HWS_TLS_AEAD_PRIV_H

#include "tls/aead.h"

struct hws_tls__aead_ops {
    const char *name;
    /* A context of a key of 16 or 32 bytes, or NULL: out of memory. */
    void *(*new)(const uint8_t *key, size_t n_key, bool seals);
    /* Wipes and frees; NULL is allowed. */
    void (*free)(void *ctx);
    /* As hws_tls_aead_seal. */
    bool (*seal)(void *ctx, const uint8_t *nonce, struct hws_span aad, const struct hws_span *texts,
                 size_t n_texts, uint8_t *out);
    /* As hws_tls_aead_open, but out may hold unproven bytes afterwards. */
    bool (*open)(void *ctx, const uint8_t *nonce, struct hws_span aad, struct hws_span sealed,
                 uint8_t *out);
};

extern const struct hws_tls__aead_ops hws_tls__aead_libcrypto;

/* ipsec-mb's; NULL where this build is without it or this processor has no VAES. */
const struct hws_tls__aead_ops *hws_tls__aead_ipsec_mb(void);

#endif
