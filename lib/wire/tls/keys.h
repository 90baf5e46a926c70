/*
 * From the secrets of a handshake to the keys of its records: the key schedule of TLS 1.3 (RFC 8446
 * 7.1 to 7.3) below the traffic secrets, and the key block of TLS 1.2 (RFC 5246 5 and 6.3). Pure
 * functions by libcrypto's HMAC; any thread. Outputs are secrets: the caller wipes them.
 *
 * The one error of each is HWS_E_NOMEM: libcrypto could not allocate.
 */
#ifndef HWS_TLS_KEYS_H
#define HWS_TLS_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* The hash of a cipher suite. */
enum hws_tls_hash { HWS_TLS_HASH_SHA256, HWS_TLS_HASH_SHA384 };

#define HWS_TLS_SECRET_MAX_BYTES 48u /* SHA-384's, and TLS 1.2's master secret */
#define HWS_TLS_MASTER_BYTES     48u /* RFC 5246 8.1 */
#define HWS_TLS_RANDOM_BYTES     32u
#define HWS_TLS_KEY_MAX_BYTES    32u /* AES-256 */
#define HWS_TLS_IV_BYTES         12u /* of a GCM nonce; RFC 5288 3, RFC 8446 5.3 */
#define HWS_TLS_SALT_BYTES       4u  /* TLS 1.2: the part of it that is a key, RFC 5288 3 */

/* What seals one direction. TLS 1.2 uses the first HWS_TLS_SALT_BYTES of iv. */
struct hws_tls_traffic {
    uint8_t key[HWS_TLS_KEY_MAX_BYTES];
    uint8_t iv[HWS_TLS_IV_BYTES];
    uint8_t n_key; /* 16 or 32 */
};

/* Bytes of a hash's output, which is also the length of a traffic secret. */
size_t hws_tls_hash_bytes(enum hws_tls_hash hash);

/* HKDF-Expand-Label of RFC 8446 7.1 with an empty context; label without "tls13 ", at most 32
 * bytes; n_out at most 255. */
enum hws_code hws_tls_expand_label(enum hws_tls_hash hash, const uint8_t *secret, const char *label,
                                   uint8_t *out, size_t n_out, struct hws_err *err) HWS_MUST_USE;

/* Key and IV of a traffic secret, RFC 8446 7.3; n_key 16 or 32. */
enum hws_code hws_tls_traffic13(enum hws_tls_hash hash, const uint8_t *secret, uint8_t n_key,
                                struct hws_tls_traffic *out, struct hws_err *err) HWS_MUST_USE;

/* The next generation of a traffic secret, in place, RFC 8446 7.2. Unchanged on failure. */
enum hws_code hws_tls_secret_update(enum hws_tls_hash hash, uint8_t *secret, struct hws_err *err)
    HWS_MUST_USE;

/* The PRF of TLS 1.2: P_hash over label and seed, RFC 5246 5; label and seed at most 128 bytes
 * together. */
enum hws_code hws_tls_prf12(enum hws_tls_hash hash, struct hws_span secret, const char *label,
                            struct hws_span seed, uint8_t *out, size_t n_out, struct hws_err *err)
    HWS_MUST_USE;

/* Both directions of a TLS 1.2 AES-GCM connection, RFC 5246 6.3; n_key 16 or 32. */
enum hws_code
hws_tls_traffic12(enum hws_tls_hash hash, const uint8_t master[HWS_TLS_MASTER_BYTES],
                  const uint8_t client_random[HWS_TLS_RANDOM_BYTES],
                  const uint8_t server_random[HWS_TLS_RANDOM_BYTES], uint8_t n_key,
                  struct hws_tls_traffic out[2], /* the client's writing, the server's */
                  struct hws_err *err) HWS_MUST_USE;

#endif
