/* Checkpoints and key steps as bytes, signed and checked. */
#include "record/checkpoint.h"

#include <string.h>

#include "base/bits.h"

#define CHECKPOINT_HEAD (HWS_CHECKPOINT_MAX_BYTES - HWS_CHECKPOINT_HOST_BYTES)

static const uint8_t s_checkpoint_magic[4] = {'H', 'W', 'C', '1'};
static const uint8_t s_step_magic[4] = {'H', 'W', 'K', '1'};

enum hws_code hws_checkpoint_encode(const struct hws_checkpoint *c, struct hws_buf *out)
{
    size_t n_host = strnlen(c->host, sizeof(c->host));
    uint8_t *p;
    enum hws_code rc = hws_buf_reserve(out, CHECKPOINT_HEAD, &p);

    if (rc != HWS_OK) {
        return rc;
    }
    memcpy(p, s_checkpoint_magic, sizeof(s_checkpoint_magic));
    hws_store_be64(p + 4, c->seq);
    hws_store_be64(p + 12, c->unix_ms);
    hws_store_be64(p + 20, c->horizon_seq);
    memcpy(p + 28, c->hash.b, HWS_DIGEST_BYTES);
    memcpy(p + 60, c->horizon_prev.b, HWS_DIGEST_BYTES);
    memcpy(p + 92, c->key.b, HWS_PUBLIC_BYTES);
    hws_store_be32(p + 125, (uint32_t)n_host);
    hws_buf_commit(out, CHECKPOINT_HEAD);
    return hws_buf_put(out, c->host, n_host);
}

enum hws_code hws_checkpoint_decode(const uint8_t *bytes, size_t n, struct hws_checkpoint *out)
{
    struct hws_checkpoint c = {0};

    if (n < CHECKPOINT_HEAD || memcmp(bytes, s_checkpoint_magic, sizeof(s_checkpoint_magic)) != 0) {
        return HWS_E_PROTO;
    }
    size_t n_host = hws_load_be32(bytes + 125);
    if (n_host != n - CHECKPOINT_HEAD || n_host >= sizeof(c.host) ||
        memchr(bytes + CHECKPOINT_HEAD, 0, n_host) != NULL) {
        return HWS_E_PROTO;
    }
    c.seq = hws_load_be64(bytes + 4);
    c.unix_ms = hws_load_be64(bytes + 12);
    c.horizon_seq = hws_load_be64(bytes + 20);
    memcpy(c.hash.b, bytes + 28, HWS_DIGEST_BYTES);
    memcpy(c.horizon_prev.b, bytes + 60, HWS_DIGEST_BYTES);
    memcpy(c.key.b, bytes + 92, HWS_PUBLIC_BYTES);
    memcpy(c.host, bytes + CHECKPOINT_HEAD, n_host);
    *out = c;
    return HWS_OK;
}

enum hws_code hws_key_step_encode(const struct hws_key_step *k, struct hws_buf *out)
{
    uint8_t *p;
    enum hws_code rc = hws_buf_reserve(out, HWS_KEY_STEP_BYTES, &p);

    if (rc != HWS_OK) {
        return rc;
    }
    memcpy(p, s_step_magic, sizeof(s_step_magic));
    hws_store_be64(p + 4, k->from_seq);
    hws_store_be64(p + 12, k->unix_ms);
    memcpy(p + 20, k->key.b, HWS_PUBLIC_BYTES);
    memcpy(p + 20 + HWS_PUBLIC_BYTES, k->by.b, HWS_PUBLIC_BYTES);
    hws_buf_commit(out, HWS_KEY_STEP_BYTES);
    return HWS_OK;
}

enum hws_code hws_key_step_decode(const uint8_t *bytes, size_t n, struct hws_key_step *out)
{
    struct hws_key_step k = {0};

    if (n != HWS_KEY_STEP_BYTES || memcmp(bytes, s_step_magic, sizeof(s_step_magic)) != 0) {
        return HWS_E_PROTO;
    }
    k.from_seq = hws_load_be64(bytes + 4);
    k.unix_ms = hws_load_be64(bytes + 12);
    memcpy(k.key.b, bytes + 20, HWS_PUBLIC_BYTES);
    memcpy(k.by.b, bytes + 20 + HWS_PUBLIC_BYTES, HWS_PUBLIC_BYTES);
    *out = k;
    return HWS_OK;
}

enum hws_code hws_checkpoint_sign(struct hws_checkpoint *c, const struct hws_signer *signer,
                                  struct hws_err *err)
{
    struct hws_buf bytes = {0};
    enum hws_code rc = hws_signer_public(signer, &c->key, err);

    if (rc == HWS_OK && (rc = hws_checkpoint_encode(c, &bytes)) != HWS_OK) {
        (void)hws_err_set(err, rc, "checkpoint: out of memory");
    }
    if (rc == HWS_OK) {
        rc = hws_sign(signer, hws_buf_peek(&bytes), hws_buf_len(&bytes), &c->signature, err);
    }
    hws_buf_deinit(&bytes);
    return rc;
}

enum hws_code hws_checkpoint_check(const struct hws_checkpoint *c, struct hws_err *err)
{
    struct hws_buf bytes = {0};
    enum hws_code rc = hws_checkpoint_encode(c, &bytes);

    if (rc == HWS_OK) {
        rc = hws_sign_check(&c->key, hws_buf_peek(&bytes), hws_buf_len(&bytes), &c->signature, err);
    } else {
        (void)hws_err_set(err, rc, "checkpoint: out of memory");
    }
    hws_buf_deinit(&bytes);
    return rc;
}

enum hws_code hws_key_step_sign(struct hws_key_step *k, const struct hws_signer *by,
                                struct hws_err *err)
{
    struct hws_buf bytes = {0};
    enum hws_code rc = hws_signer_public(by, &k->by, err);

    if (rc == HWS_OK && (rc = hws_key_step_encode(k, &bytes)) != HWS_OK) {
        (void)hws_err_set(err, rc, "key: out of memory");
    }
    if (rc == HWS_OK) {
        rc = hws_sign(by, hws_buf_peek(&bytes), hws_buf_len(&bytes), &k->signature, err);
    }
    hws_buf_deinit(&bytes);
    return rc;
}

enum hws_code hws_key_step_check(const struct hws_key_step *k, struct hws_err *err)
{
    struct hws_buf bytes = {0};
    enum hws_code rc = hws_key_step_encode(k, &bytes);

    if (rc == HWS_OK) {
        rc = hws_sign_check(&k->by, hws_buf_peek(&bytes), hws_buf_len(&bytes), &k->signature, err);
    } else {
        (void)hws_err_set(err, rc, "key: out of memory");
    }
    hws_buf_deinit(&bytes);
    return rc;
}
