/*
 * JSON lines of an audit log. One table of fields a kind serves both directions, so that what is
 * printed and what is read cannot disagree.
 */
#include "record/line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"

enum field_type { FIELD_U64, FIELD_U32, FIELD_U8, FIELD_PHASE, FIELD_TEXT, FIELD_CHARS, FIELD_HEX };

struct field {
    const char *key;
    enum field_type type;
    size_t offset; /* in struct hws_line */
    size_t n;      /* FIELD_HEX: bytes; FIELD_CHARS: room with NUL */
};

#define FIELD(key, type, member)                                                                   \
    {                                                                                              \
        key, type, offsetof(struct hws_line, u.member), 0                                          \
    }
#define HEX(key, member)                                                                           \
    {                                                                                              \
        key, FIELD_HEX, offsetof(struct hws_line, u.member),                                       \
            sizeof(((struct hws_line *)0)->u.member)                                               \
    }

static const struct field s_key[] = {FIELD("from_seq", FIELD_U64, key.from_seq),
                                     FIELD("unix_ms", FIELD_U64, key.unix_ms),
                                     HEX("key", key.key.b),
                                     HEX("by", key.by.b),
                                     HEX("signature", key.signature.b),
                                     {NULL, FIELD_U64, 0, 0}};

static const struct field s_record[] = {FIELD("seq", FIELD_U64, record.seq),
                                        FIELD("unix_ms", FIELD_U64, record.unix_ms),
                                        FIELD("phase", FIELD_PHASE, record.phase),
                                        FIELD("principal", FIELD_TEXT, record.principal),
                                        FIELD("cert_serial", FIELD_TEXT, record.cert_serial),
                                        FIELD("peer", FIELD_TEXT, record.peer),
                                        FIELD("method", FIELD_TEXT, record.method),
                                        FIELD("device", FIELD_TEXT, record.device),
                                        FIELD("effect", FIELD_U8, record.effect),
                                        FIELD("scope_plus_one", FIELD_U8, record.scope),
                                        FIELD("rule", FIELD_TEXT, record.rule),
                                        FIELD("detail", FIELD_TEXT, record.detail),
                                        FIELD("code", FIELD_TEXT, record.code),
                                        FIELD("intent_seq", FIELD_U64, record.intent_seq),
                                        FIELD("request_id", FIELD_TEXT, record.request_id),
                                        FIELD("n_others", FIELD_U32, record.n_others),
                                        FIELD("taint_before", FIELD_U64, record.taint_before),
                                        FIELD("taint_after", FIELD_U64, record.taint_after),
                                        HEX("table_hash", record.table_hash.b),
                                        HEX("policy_hash", record.policy_hash.b),
                                        HEX("prev_hash", record.prev_hash.b),
                                        HEX("hash", record.hash.b),
                                        {NULL, FIELD_U64, 0, 0}};

static const struct field s_checkpoint[] = {
    {"host", FIELD_CHARS, offsetof(struct hws_line, u.checkpoint.host), HWS_CHECKPOINT_HOST_BYTES},
    FIELD("seq", FIELD_U64, checkpoint.seq),
    FIELD("unix_ms", FIELD_U64, checkpoint.unix_ms),
    HEX("hash", checkpoint.hash.b),
    FIELD("horizon_seq", FIELD_U64, checkpoint.horizon_seq),
    HEX("horizon_prev", checkpoint.horizon_prev.b),
    HEX("key", checkpoint.key.b),
    HEX("signature", checkpoint.signature.b),
    {NULL, FIELD_U64, 0, 0}};

static const struct field s_gap[] = {FIELD("first", FIELD_U64, gap.first),
                                     FIELD("last", FIELD_U64, gap.last),
                                     {NULL, FIELD_U64, 0, 0}};

static const struct {
    const char *name;
    const struct field *fields;
} s_kinds[HWS_N_LINE_KINDS] = {[HWS_LINE_KEY] = {"key", s_key},
                               [HWS_LINE_RECORD] = {"record", s_record},
                               [HWS_LINE_CHECKPOINT] = {"checkpoint", s_checkpoint},
                               [HWS_LINE_GAP] = {"gap", s_gap}};

/* ---- print ---- */

static enum hws_code put_text(struct hws_buf *out, const char *text)
{
    const uint8_t *s = (const uint8_t *)(text == NULL ? "" : text);
    enum hws_code rc = hws_buf_put(out, "\"", 1);

    while (rc == HWS_OK && *s != 0) {
        size_t n = hws_utf8_bytes(s, 4); /* stops at the NUL, which is no part of a character */
        if (n == 0) {
            return HWS_E_INVALID;
        }
        if (*s == '"' || *s == '\\') {
            rc = hws_buf_put(out, "\\", 1);
        }
        rc = rc == HWS_OK ? hws_buf_put(out, s, n) : rc;
        s += n;
    }
    return rc == HWS_OK ? hws_buf_put(out, "\"", 1) : rc;
}

static enum hws_code put_hex(struct hws_buf *out, const uint8_t *bytes, size_t n)
{
    char hex[2 * HWS_SIGNATURE_BYTES + 1];

    hws_hex_encode(bytes, n, hex);
    return hws_buf_printf(out, "\"%s\"", hex);
}

static enum hws_code put_value(struct hws_buf *out, const struct field *f, const void *line)
{
    const uint8_t *at = (const uint8_t *)line + f->offset;
    uint64_t u64;
    uint32_t u32;
    const char *text;

    switch (f->type) {
    case FIELD_U64:
        memcpy(&u64, at, sizeof(u64));
        return hws_buf_printf(out, "%" PRIu64, u64);
    case FIELD_U32:
        memcpy(&u32, at, sizeof(u32));
        return hws_buf_printf(out, "%" PRIu32, u32);
    case FIELD_U8:
        return hws_buf_printf(out, "%u", *at);
    case FIELD_PHASE:
        return hws_buf_printf(out, "\"%s\"", hws_record_phase_name(*at));
    case FIELD_TEXT:
        memcpy(&text, at, sizeof(text));
        return put_text(out, text);
    case FIELD_CHARS:
        return put_text(out, (const char *)at);
    case FIELD_HEX:
        break;
    }
    return put_hex(out, at, f->n);
}

enum hws_code hws_line_print(const struct hws_line *line, struct hws_buf *out)
{
    enum hws_code rc = hws_buf_printf(out, "{\"type\":\"%s\"", s_kinds[line->kind].name);

    for (const struct field *f = s_kinds[line->kind].fields; rc == HWS_OK && f->key != NULL; f++) {
        rc = hws_buf_printf(out, ",\"%s\":", f->key);
        rc = rc == HWS_OK ? put_value(out, f, line) : rc;
    }
    return rc == HWS_OK ? hws_buf_put(out, "}\n", 2) : rc;
}

/* ---- read ---- */

struct reader {
    char *text;
    size_t n;
    size_t at;
};

static bool take(struct reader *r, const char *literal)
{
    size_t n = strlen(literal);

    if (r->n - r->at < n || memcmp(r->text + r->at, literal, n) != 0) {
        return false;
    }
    r->at += n;
    return true;
}

/* Decimal without leading zeros, at most max. */
static bool take_number(struct reader *r, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    size_t from = r->at;

    while (r->at < r->n && r->text[r->at] >= '0' && r->text[r->at] <= '9') {
        uint64_t digit = (uint64_t)(r->text[r->at] - '0');
        if (v > (max - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
        r->at++;
    }
    if (r->at == from || (r->text[from] == '0' && r->at - from > 1)) {
        return false;
    }
    *out = v;
    return true;
}

/* A character that stands for itself, as nearly all do. */
static bool is_plain(char c)
{
    return c >= ' ' && c < 0x7f && c != '\\';
}

/* A text in quotes, unescaped where it stands and ended by a NUL on its closing quote. */
static bool take_text(struct reader *r, const char **out)
{
    char *to = r->text + r->at + 1;

    if (!take(r, "\"")) {
        return false;
    }
    *out = to;
    while (r->at < r->n && r->text[r->at] != '"') {
        if (is_plain(r->text[r->at])) {
            *to++ = r->text[r->at++];
            continue;
        }
        if (r->text[r->at] == '\\') {
            r->at++;
            if (r->at == r->n || (r->text[r->at] != '"' && r->text[r->at] != '\\')) {
                return false;
            }
        }
        size_t n = hws_utf8_bytes((const uint8_t *)r->text + r->at, r->n - r->at);
        if (n == 0) {
            return false;
        }
        memmove(to, r->text + r->at, n);
        to += n;
        r->at += n;
    }
    if (r->at == r->n) {
        return false;
    }
    *to = '\0';
    r->at++;
    return true;
}

/* The value of a lower-case hex digit; 16 for any other byte. */
static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static bool take_hex(struct reader *r, uint8_t *out, size_t n)
{
    if (!take(r, "\"") || r->n - r->at < 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++, r->at += 2) {
        unsigned high = digit_of(r->text[r->at]);
        unsigned low = digit_of(r->text[r->at + 1]);
        if (high > 15 || low > 15) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return take(r, "\"");
}

static bool take_phase(struct reader *r, uint8_t *out)
{
    const char *name;

    if (!take_text(r, &name)) {
        return false;
    }
    for (unsigned i = HWS_RECORD_NO_PHASE + 1; i < HWS_RECORD_N_PHASES; i++) {
        if (hws_str_eq(name, hws_record_phase_name(i))) {
            *out = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool take_value(struct reader *r, const struct field *f, void *line)
{
    uint8_t *at = (uint8_t *)line + f->offset;
    const char *text;
    uint64_t v;

    switch (f->type) {
    case FIELD_U64:
        return take_number(r, UINT64_MAX, &v) && memcpy(at, &v, sizeof(v)) != NULL;
    case FIELD_U32:
        if (!take_number(r, UINT32_MAX, &v)) {
            return false;
        }
        memcpy(at, &(uint32_t){(uint32_t)v}, sizeof(uint32_t));
        return true;
    case FIELD_U8:
        if (!take_number(r, UINT8_MAX, &v)) {
            return false;
        }
        *at = (uint8_t)v;
        return true;
    case FIELD_PHASE:
        return take_phase(r, at);
    case FIELD_TEXT:
        return take_text(r, &text) && memcpy(at, &text, sizeof(text)) != NULL;
    case FIELD_CHARS:
        return take_text(r, &text) && hws_str_copy((char *)at, f->n, text);
    case FIELD_HEX:
        break;
    }
    return take_hex(r, at, f->n);
}

static bool take_field(struct reader *r, const struct field *f, struct hws_line *line)
{
    return take(r, ",\"") && take(r, f->key) && take(r, "\":") && take_value(r, f, line);
}

static bool take_kind(struct reader *r, enum hws_line_kind *out)
{
    if (!take(r, "{\"type\":\"")) {
        return false;
    }
    for (unsigned i = 0; i < HWS_N_LINE_KINDS; i++) {
        if (take(r, s_kinds[i].name)) {
            *out = (enum hws_line_kind)i;
            return take(r, "\"");
        }
    }
    return false;
}

bool hws_line_is_record(const char *text, size_t n)
{
    static const char begin[] = "{\"type\":\"record\"";

    return n >= sizeof(begin) - 1 && memcmp(text, begin, sizeof(begin) - 1) == 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): texts are unescaped where they stand */
enum hws_code hws_line_read(char *text, size_t n, struct hws_line *out, struct hws_err *err)
{
    struct reader r = {.text = text, .n = n};
    bool good = take_kind(&r, &out->kind);

    if (good) {
        memset(&out->u, 0, sizeof(out->u));
        for (const struct field *f = s_kinds[out->kind].fields; good && f->key != NULL; f++) {
            good = take_field(&r, f, out);
        }
    }
    good = good && take(&r, "}") && r.at == n;
    return good ? HWS_OK
                : hws_err_set(err, HWS_E_PROTO, "no line of an audit log: offset %zu", r.at);
}
