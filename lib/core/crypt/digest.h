/*
 * SHA-256 by libcrypto, whole or in parts, and the 32-byte value it makes.
 *
 * A digest is public data: compare with hws_digest_eq. Thread rule: a running hash belongs to one
 * thread at a time; the functions without one may be called from any thread.
 */
#ifndef HWS_CRYPT_DIGEST_H
#define HWS_CRYPT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

#define HWS_DIGEST_BYTES     32u
#define HWS_DIGEST_HEX_BYTES 65u /* 64 digits and a NUL */

/* A SHA-256 value. All zero stands for "none": the digest before the first record of a chain. */
struct hws_digest {
    uint8_t b[HWS_DIGEST_BYTES];
};

/* A hash being computed. Zeroed is a valid state that needs no deinit. */
struct hws_sha256 {
    void *ctx; /* owned; libcrypto's context */
};

/* Hashes n bytes (bytes may be NULL if n is 0). HWS_E_NOMEM when libcrypto cannot allocate. */
enum hws_code hws_sha256_of(const void *bytes, size_t n, struct hws_digest *out) HWS_MUST_USE;

/* Starts a hash. HWS_E_NOMEM; then there is nothing to undo. */
enum hws_code hws_sha256_init(struct hws_sha256 *h) HWS_MUST_USE;

/* Adds n bytes. A failure inside libcrypto is remembered and reported by final. */
void hws_sha256_update(struct hws_sha256 *h, const void *bytes, size_t n);

/* Writes the digest and releases the hash (also when it fails). HWS_E_NOMEM if any step failed. */
enum hws_code hws_sha256_final(struct hws_sha256 *h, struct hws_digest *out) HWS_MUST_USE;

/* Releases a hash that is not wanted any more; accepts a zeroed one. */
void hws_sha256_deinit(struct hws_sha256 *h);

bool hws_digest_eq(const struct hws_digest *a, const struct hws_digest *b);

/* True for the all-zero value. */
bool hws_digest_is_zero(const struct hws_digest *d);

/* 64 lower-case hex digits and a NUL into dst, which must hold HWS_DIGEST_HEX_BYTES. */
void hws_digest_hex(const struct hws_digest *d, char *dst);

/* Exactly 64 hex digits of either case. HWS_E_INVALID otherwise. */
enum hws_code hws_digest_from_hex(const char *hex, struct hws_digest *out) HWS_MUST_USE;

#endif
