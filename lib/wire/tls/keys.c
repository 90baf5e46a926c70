/* The key schedules, from HMAC up. */
#include "tls/keys.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define LABEL_MAX_BYTES 32u
#define INFO_MAX_BYTES  (2u + 1u + 6u + LABEL_MAX_BYTES + 1u)
#define SEED_MAX_BYTES  128u
#define BLOCK_MAX_BYTES (2u * HWS_TLS_KEY_MAX_BYTES + 2u * HWS_TLS_SALT_BYTES)

size_t hws_tls_hash_bytes(enum hws_tls_hash hash)
{
    return hash == HWS_TLS_HASH_SHA384 ? 48 : 32;
}

/* One HMAC of at most two parts; out has the hash's length. */
static bool hmac(enum hws_tls_hash hash, struct hws_span key, struct hws_span a, struct hws_span b,
                 uint8_t *out)
{
    uint8_t text[HWS_TLS_SECRET_MAX_BYTES + SEED_MAX_BYTES + INFO_MAX_BYTES];
    unsigned n = 0;

    hws_assert(a.n + b.n <= sizeof(text));
    memcpy(text, a.bytes, a.n);
    if (b.n > 0) {
        memcpy(text + a.n, b.bytes, b.n);
    }
    const EVP_MD *md = hash == HWS_TLS_HASH_SHA384 ? EVP_sha384() : EVP_sha256();
    bool ok = HMAC(md, key.bytes, (int)key.n, text, a.n + b.n, out, &n) != NULL;
    hws_mem_wipe(text, a.n + b.n);
    return ok;
}

static enum hws_code no_memory(struct hws_err *err)
{
    return hws_err_set(err, HWS_E_NOMEM, "TLS keys: out of memory");
}

/* HKDF-Expand of RFC 5869 2.3: each block is HMAC(secret, block before | info | counter). */
static bool expand(enum hws_tls_hash hash, const uint8_t *secret, struct hws_span info,
                   uint8_t *out, size_t n_out)
{
    uint8_t block[HWS_TLS_SECRET_MAX_BYTES];
    uint8_t text[INFO_MAX_BYTES + 1];
    size_t n_hash = hws_tls_hash_bytes(hash);
    struct hws_span before = {.bytes = block, .n = 0};
    struct hws_span key = {.bytes = secret, .n = n_hash};
    uint8_t counter = 0;
    bool ok = true;

    memcpy(text, info.bytes, info.n);
    while (n_out > 0 && ok) {
        text[info.n] = ++counter;
        ok = hmac(hash, key, before, (struct hws_span){text, info.n + 1}, block);
        size_t k = n_out < n_hash ? n_out : n_hash;
        memcpy(out, block, k);
        out += k;
        n_out -= k;
        before.n = n_hash;
    }
    hws_mem_wipe(block, sizeof(block));
    return ok;
}

enum hws_code hws_tls_expand_label(enum hws_tls_hash hash, const uint8_t *secret, const char *label,
                                   uint8_t *out, size_t n_out, struct hws_err *err)
{
    static const char prefix[] = {'t', 'l', 's', '1', '3', ' '};
    size_t n_label = strlen(label);
    uint8_t info[INFO_MAX_BYTES];

    hws_assert(n_label <= LABEL_MAX_BYTES && n_out <= 255);
    info[0] = 0;
    info[1] = (uint8_t)n_out;
    info[2] = (uint8_t)(sizeof(prefix) + n_label);
    memcpy(info + 3, prefix, sizeof(prefix));
    memcpy(info + 3 + sizeof(prefix), label, n_label);
    info[3 + sizeof(prefix) + n_label] = 0; /* no context */
    struct hws_span span = {.bytes = info, .n = 4 + sizeof(prefix) + n_label};
    return expand(hash, secret, span, out, n_out) ? HWS_OK : no_memory(err);
}

enum hws_code hws_tls_traffic13(enum hws_tls_hash hash, const uint8_t *secret, uint8_t n_key,
                                struct hws_tls_traffic *out, struct hws_err *err)
{
    enum hws_code rc = hws_tls_expand_label(hash, secret, "key", out->key, n_key, err);

    if (rc == HWS_OK) {
        rc = hws_tls_expand_label(hash, secret, "iv", out->iv, sizeof(out->iv), err);
    }
    out->n_key = n_key;
    return rc;
}

enum hws_code hws_tls_secret_update(enum hws_tls_hash hash, uint8_t *secret, struct hws_err *err)
{
    uint8_t next[HWS_TLS_SECRET_MAX_BYTES];
    size_t n = hws_tls_hash_bytes(hash);
    enum hws_code rc = hws_tls_expand_label(hash, secret, "traffic upd", next, n, err);

    if (rc == HWS_OK) {
        memcpy(secret, next, n);
    }
    hws_mem_wipe(next, sizeof(next));
    return rc;
}

enum hws_code hws_tls_prf12(enum hws_tls_hash hash, struct hws_span secret, const char *label,
                            struct hws_span seed, uint8_t *out, size_t n_out, struct hws_err *err)
{
    uint8_t text[SEED_MAX_BYTES];
    uint8_t a[HWS_TLS_SECRET_MAX_BYTES];
    uint8_t block[HWS_TLS_SECRET_MAX_BYTES];
    size_t n_label = strlen(label);
    size_t n_hash = hws_tls_hash_bytes(hash);

    hws_assert(n_label + seed.n <= sizeof(text));
    for (size_t i = 0; i < n_label; i++) {
        text[i] = (uint8_t)label[i];
    }
    memcpy(text + n_label, seed.bytes, seed.n);
    struct hws_span whole = {.bytes = text, .n = n_label + seed.n};
    struct hws_span none = {.bytes = text, .n = 0};
    bool ok = hmac(hash, secret, whole, none, a); /* A(1) */
    while (n_out > 0 && ok) {
        struct hws_span at = {.bytes = a, .n = n_hash};
        ok = hmac(hash, secret, at, whole, block);
        size_t k = n_out < n_hash ? n_out : n_hash;
        memcpy(out, block, k);
        out += k;
        n_out -= k;
        ok = ok && hmac(hash, secret, at, none, block); /* A(i + 1) */
        memcpy(a, block, n_hash);
    }
    hws_mem_wipe(a, sizeof(a));
    hws_mem_wipe(block, sizeof(block));
    return ok ? HWS_OK : no_memory(err);
}

enum hws_code hws_tls_traffic12(enum hws_tls_hash hash, const uint8_t master[HWS_TLS_MASTER_BYTES],
                                const uint8_t client_random[HWS_TLS_RANDOM_BYTES],
                                const uint8_t server_random[HWS_TLS_RANDOM_BYTES], uint8_t n_key,
                                struct hws_tls_traffic out[2], struct hws_err *err)
{
    uint8_t seed[2 * HWS_TLS_RANDOM_BYTES];
    uint8_t block[BLOCK_MAX_BYTES];
    const uint8_t *at = block;

    memcpy(seed, server_random, HWS_TLS_RANDOM_BYTES);
    memcpy(seed + HWS_TLS_RANDOM_BYTES, client_random, HWS_TLS_RANDOM_BYTES);
    enum hws_code rc = hws_tls_prf12(hash, (struct hws_span){master, HWS_TLS_MASTER_BYTES},
                                     "key expansion", (struct hws_span){seed, sizeof(seed)}, block,
                                     2 * (size_t)n_key + 2 * (size_t)HWS_TLS_SALT_BYTES, err);
    if (rc == HWS_OK) {
        memset(out, 0, 2 * sizeof(out[0]));
        for (int i = 0; i < 2; i++, at += n_key) {
            memcpy(out[i].key, at, n_key);
            out[i].n_key = n_key;
        }
        for (int i = 0; i < 2; i++, at += HWS_TLS_SALT_BYTES) {
            memcpy(out[i].iv, at, HWS_TLS_SALT_BYTES);
        }
    }
    hws_mem_wipe(block, sizeof(block));
    return rc;
}
