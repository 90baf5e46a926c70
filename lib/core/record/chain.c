/*
 * The canonical bytes of an audit record and their hash. One table says which text stands where, so
 * that encode, decode and clean cannot disagree on the order.
 */
#include "record/chain.h"

#include <stdbool.h>
#include <string.h>

#include "base/bits.h"
#include "base/text.h"

#define HEAD_BYTES 116u

static const uint8_t s_magic[4] = {'H', 'W', 'R', '2'};

/* The texts in canonical order. */
static const size_t s_texts[] = {
    offsetof(struct hws_record, principal), offsetof(struct hws_record, cert_serial),
    offsetof(struct hws_record, peer),      offsetof(struct hws_record, method),
    offsetof(struct hws_record, device),    offsetof(struct hws_record, rule),
    offsetof(struct hws_record, detail),    offsetof(struct hws_record, code),
    offsetof(struct hws_record, request_id)};

#define N_TEXTS (sizeof(s_texts) / sizeof(s_texts[0]))

#define MAX_EFFECT 6u /* the highest effect class of the public API */
#define MAX_SCOPE  4u /* 1 + the highest fwctl scope */

static const char *text_of(const struct hws_record *r, size_t idx)
{
    const char *text;

    memcpy(&text, (const char *)r + s_texts[idx], sizeof(text));
    return text == NULL ? "" : text;
}

static void set_text(struct hws_record *r, size_t idx, const char *text)
{
    memcpy((char *)r + s_texts[idx], &text, sizeof(text));
}

/* The texts up to the last one that is not empty. */
static size_t n_texts_of(const struct hws_record *r)
{
    size_t n = N_TEXTS;

    while (n > 0 && text_of(r, n - 1)[0] == '\0') {
        n--;
    }
    return n;
}

static bool head_fits(const struct hws_record *r)
{
    return r->phase > HWS_RECORD_NO_PHASE && r->phase < HWS_RECORD_N_PHASES &&
           r->effect <= MAX_EFFECT && r->scope <= MAX_SCOPE;
}

static enum hws_code put_text(struct hws_buf *out, const char *text)
{
    size_t n = strnlen(text, HWS_RECORD_TEXT_MAX_BYTES + 1);
    uint8_t *p;

    if (n > HWS_RECORD_TEXT_MAX_BYTES) {
        return HWS_E_INVALID;
    }
    enum hws_code rc = hws_buf_reserve(out, n + 5, &p);
    if (rc != HWS_OK) {
        return rc;
    }
    hws_store_be32(p, (uint32_t)n);
    memcpy(p + 4, text, n + 1);
    hws_buf_commit(out, n + 5);
    return HWS_OK;
}

enum hws_code hws_record_encode(const struct hws_record *r, struct hws_buf *out)
{
    size_t n_texts = n_texts_of(r);
    uint8_t *p;

    if (!head_fits(r)) {
        return HWS_E_INVALID;
    }
    enum hws_code rc = hws_buf_reserve(out, HEAD_BYTES, &p);
    if (rc != HWS_OK) {
        return rc;
    }
    memcpy(p, s_magic, sizeof(s_magic));
    hws_store_be64(p + 4, r->seq);
    hws_store_be64(p + 12, r->unix_ms);
    hws_store_be64(p + 20, r->intent_seq);
    p[28] = r->phase;
    p[29] = r->effect;
    p[30] = r->scope;
    p[31] = (uint8_t)n_texts;
    hws_store_be32(p + 32, r->n_others);
    hws_store_be64(p + 36, r->taint_before);
    hws_store_be64(p + 44, r->taint_after);
    memcpy(p + 52, r->table_hash.b, HWS_DIGEST_BYTES);
    memcpy(p + 84, r->policy_hash.b, HWS_DIGEST_BYTES);
    hws_buf_commit(out, HEAD_BYTES);

    for (size_t i = 0; i < n_texts && rc == HWS_OK; i++) {
        rc = put_text(out, text_of(r, i));
    }
    return rc;
}

static void read_head(const uint8_t *p, struct hws_record *r)
{
    r->seq = hws_load_be64(p + 4);
    r->unix_ms = hws_load_be64(p + 12);
    r->intent_seq = hws_load_be64(p + 20);
    r->phase = p[28];
    r->effect = p[29];
    r->scope = p[30];
    r->n_others = hws_load_be32(p + 32);
    r->taint_before = hws_load_be64(p + 36);
    r->taint_after = hws_load_be64(p + 44);
    memcpy(r->table_hash.b, p + 52, HWS_DIGEST_BYTES);
    memcpy(r->policy_hash.b, p + 84, HWS_DIGEST_BYTES);
}

enum hws_code hws_record_decode(const uint8_t *bytes, size_t n, struct hws_record *out,
                                struct hws_err *err)
{
    struct hws_record r = {0};
    size_t at = HEAD_BYTES;

    if (n < HEAD_BYTES || memcmp(bytes, s_magic, sizeof(s_magic)) != 0) {
        return hws_err_set(err, HWS_E_PROTO, "record: no header in %zu bytes", n);
    }
    size_t n_texts = bytes[31];
    read_head(bytes, &r);
    if (!head_fits(&r) || n_texts > N_TEXTS) {
        return hws_err_set(err, HWS_E_PROTO,
                           "record: phase %u, effect %u, scope %u, %zu texts at offset 28", r.phase,
                           r.effect, r.scope, n_texts);
    }
    for (size_t i = 0; i < n_texts; i++) {
        size_t len = n - at < 5 ? SIZE_MAX : hws_load_be32(bytes + at);
        if (len > HWS_RECORD_TEXT_MAX_BYTES || len > n - at - 5 || bytes[at + 4 + len] != 0 ||
            memchr(bytes + at + 4, 0, len) != NULL) {
            return hws_err_set(err, HWS_E_PROTO, "record: bad text %zu at offset %zu", i, at);
        }
        set_text(&r, i, (const char *)bytes + at + 4);
        at += len + 5;
    }
    if (at != n || n_texts_of(&r) != n_texts) {
        return hws_err_set(err, HWS_E_PROTO,
                           "record: %zu bytes after the end, or an empty last text", n - at);
    }
    for (size_t i = n_texts; i < N_TEXTS; i++) {
        set_text(&r, i, "");
    }
    *out = r;
    return HWS_OK;
}

enum hws_code hws_record_hash(const struct hws_digest *prev, const uint8_t *bytes, size_t n,
                              struct hws_digest *out)
{
    struct hws_sha256 h;
    enum hws_code rc = hws_sha256_init(&h);

    if (rc != HWS_OK) {
        return rc;
    }
    hws_sha256_update(&h, prev->b, sizeof(prev->b));
    hws_sha256_update(&h, bytes, n);
    return hws_sha256_final(&h, out);
}

static bool is_clean(const char *text)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t at = 0;

    while (s[at] != 0) {
        size_t n =
            hws_utf8_bytes(s + at, 4); /* stops at the NUL, which is no part of a character */
        if (n == 0 || at + n > HWS_RECORD_TEXT_MAX_BYTES) {
            return false;
        }
        at += n;
    }
    return true;
}

/* Writes a clean copy of text with its NUL into dst, which holds HWS_RECORD_TEXT_MAX_BYTES + 1. */
static size_t clean_copy(uint8_t *dst, const char *text)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t n = 0;
    size_t cut = 0; /* the last end of a character that leaves room for "..." */

    while (*s != 0) {
        size_t step = hws_utf8_bytes(s, 4);
        size_t width = step == 0 ? 1 : step;
        if (n + width > HWS_RECORD_TEXT_MAX_BYTES) {
            memcpy(dst + cut, "...", 3);
            n = cut + 3;
            break;
        }
        if (step == 0) {
            dst[n] = '?';
        } else {
            memcpy(dst + n, s, step);
        }
        n += width;
        s += width;
        if (n + 3 <= HWS_RECORD_TEXT_MAX_BYTES) {
            cut = n;
        }
    }
    dst[n] = 0;
    return n + 1;
}

enum hws_code hws_record_clean(struct hws_record *r, struct hws_buf *store)
{
    size_t offsets[N_TEXTS];

    hws_buf_reset(store);
    for (size_t i = 0; i < N_TEXTS; i++) {
        uint8_t *dst;
        offsets[i] = SIZE_MAX;
        if (is_clean(text_of(r, i))) {
            continue;
        }
        enum hws_code rc = hws_buf_reserve(store, HWS_RECORD_TEXT_MAX_BYTES + 1, &dst);
        if (rc != HWS_OK) {
            return rc;
        }
        offsets[i] = hws_buf_len(store);
        hws_buf_commit(store, clean_copy(dst, text_of(r, i)));
    }
    /* Only now does the buffer stay where it is. */
    for (size_t i = 0; i < N_TEXTS; i++) {
        if (offsets[i] != SIZE_MAX) {
            set_text(r, i, (const char *)hws_buf_peek(store) + offsets[i]);
        }
    }
    return HWS_OK;
}

const char *hws_record_phase_name(unsigned phase)
{
    static const char *const names[HWS_RECORD_N_PHASES] = {"?",    "intent", "outcome",
                                                           "read", "denied", "note"};

    return phase < HWS_RECORD_N_PHASES ? names[phase] : "?";
}
