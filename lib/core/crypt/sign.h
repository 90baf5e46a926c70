/*
 * ECDSA over P-256 with SHA-256, by libcrypto: signing with a private key, checking with a public
 * one. Public keys are the 33 bytes of the compressed point, signatures the 64 bytes of r and s
 * (SEC 1 version 2, 2.3.3; FIPS 186-5, 6.4), so that each has one length and one spelling in hex.
 *
 * Whoever holds a signature can make a second valid one of the same message (s and n - s): never
 * use a signature as the name of what it signs. Thread rule: a signer belongs to one thread at a
 * time; the rest may be called from any thread.
 */
#ifndef HWS_CRYPT_SIGN_H
#define HWS_CRYPT_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

#define HWS_PUBLIC_BYTES        33u
#define HWS_PUBLIC_HEX_BYTES    67u /* 66 digits and a NUL */
#define HWS_SIGNATURE_BYTES     64u
#define HWS_SIGNATURE_HEX_BYTES 129u /* 128 digits and a NUL */
#define HWS_PEM_MAX_BYTES       ((size_t)64 * 1024)

/* A public key: 02 or 03, then x. */
struct hws_public {
    uint8_t b[HWS_PUBLIC_BYTES];
};

/* r, then s, 32 bytes each. */
struct hws_signature {
    uint8_t b[HWS_SIGNATURE_BYTES];
};

/* A private key. Zeroed is a valid state that needs no deinit. */
struct hws_signer {
    void *key; /* owned; libcrypto's EVP_PKEY */
};

/* A new random key. HWS_E_NOMEM. */
enum hws_code hws_signer_new(struct hws_signer *s, struct hws_err *err) HWS_MUST_USE;

/* The private key in n bytes of unencrypted PEM (PKCS #8 or SEC 1). HWS_E_INVALID: no such key, or
 * one of another kind than P-256. */
enum hws_code hws_signer_load(struct hws_signer *s, const void *pem, size_t n, struct hws_err *err)
    HWS_MUST_USE;

/* Writes the key as NUL-terminated PKCS #8 PEM into dst[cap]; returns false if it does not fit. */
bool hws_signer_pem(const struct hws_signer *s, char *dst, size_t cap);

/* Accepts a zeroed one. */
void hws_signer_deinit(struct hws_signer *s);

/* The signer's public key. HWS_E_NOMEM. */
enum hws_code hws_signer_public(const struct hws_signer *s, struct hws_public *out,
                                struct hws_err *err) HWS_MUST_USE;

/* Signs n bytes. HWS_E_NOMEM when libcrypto cannot. */
enum hws_code hws_sign(const struct hws_signer *s, const void *bytes, size_t n,
                       struct hws_signature *out, struct hws_err *err) HWS_MUST_USE;

/* HWS_OK if sig is key's signature of these n bytes. HWS_E_DENIED if it is not; HWS_E_INVALID if
 * key is no point of the curve. */
enum hws_code hws_sign_check(const struct hws_public *key, const void *bytes, size_t n,
                             const struct hws_signature *sig, struct hws_err *err) HWS_MUST_USE;

bool hws_public_eq(const struct hws_public *a, const struct hws_public *b);

/* 66 lower-case hex digits and a NUL into dst, which must hold HWS_PUBLIC_HEX_BYTES. */
void hws_public_hex(const struct hws_public *key, char *dst);

/* Exactly 66 hex digits that name a point of the curve. HWS_E_INVALID otherwise. */
enum hws_code hws_public_from_hex(const char *hex, struct hws_public *out) HWS_MUST_USE;

#endif
