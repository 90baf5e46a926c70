/*
 * AES-GCM with a key that stays: one context a direction, a nonce a record. It is told the nonce
 * and never checks that it is new: that is the sequence number's work (records.h).
 *
 * Thread rule: one thread at a time.
 */
#ifndef HWS_TLS_AEAD_H
#define HWS_TLS_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define HWS_TLS_NONCE_BYTES 12u
#define HWS_TLS_TAG_BYTES   16u

struct hws_tls__aead_ops;

/* Whose AES-GCM. */
enum hws_tls_aead_by {
    HWS_TLS_AEAD_BEST, /* ipsec-mb's where it is built in and this processor has VAES and AVX-512,
                          else libcrypto's */
    HWS_TLS_AEAD_LIBCRYPTO,
};

/* Zeroed is a valid one without a key. */
struct hws_tls_aead {
    void *ctx; /* owned; it holds the key, and wipes it in the end */
    const struct hws_tls__aead_ops *ops;
    bool seals;
};

/* "ipsec-mb" or "libcrypto": who does it here. */
const char *hws_tls_aead_name(enum hws_tls_aead_by by);

/* Takes a key of 16 or 32 bytes for sealing or for opening; replaces the one before. HWS_E_NOMEM;
 * then the one before is still there. */
enum hws_code hws_tls_aead_set_key(struct hws_tls_aead *a, enum hws_tls_aead_by by,
                                   const uint8_t *key, size_t n_key, bool seals,
                                   struct hws_err *err) HWS_MUST_USE;

/* Wipes and frees; accepts a zeroed one. */
void hws_tls_aead_deinit(struct hws_tls_aead *a);

/*
 * Encrypts the texts one after the other (each may be empty) to out, and the tag after them: out
 * has room for all of them and HWS_TLS_TAG_BYTES, and may be the first one's bytes themselves.
 * False if the library failed.
 */
bool hws_tls_aead_seal(struct hws_tls_aead *a, const uint8_t nonce[HWS_TLS_NONCE_BYTES],
                       struct hws_span aad, const struct hws_span *texts, size_t n_texts,
                       uint8_t *out) HWS_MUST_USE;

/*
 * Decrypts sealed, whose last HWS_TLS_TAG_BYTES are the tag, to out (the rest's length). False if
 * the tag is not that of these bytes: then out holds nothing to be used.
 */
bool hws_tls_aead_open(struct hws_tls_aead *a, const uint8_t nonce[HWS_TLS_NONCE_BYTES],
                       struct hws_span aad, struct hws_span sealed, uint8_t *out) HWS_MUST_USE;

#endif
