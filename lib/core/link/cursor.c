/* Bounded cursors over a packet's bytes; see cursor_priv.h. */
#include <string.h>

#include "base/bits.h"
#include "link/cursor_priv.h"

bool hws_link__text_ok(struct hws_span s, enum hws_link__text kind)
{
    for (size_t i = 0; i < s.n && kind != HWS_LINK__BYTES; i++) {
        if (s.bytes[i] == 0 ||
            (kind == HWS_LINK__TOKEN && (s.bytes[i] <= 0x20 || s.bytes[i] >= 0x7f))) {
            return false;
        }
    }
    return true;
}

/* Room for n more bytes, or NULL once anything did not fit. */
static uint8_t *room(struct hws_link__writer *w, size_t n)
{
    uint8_t *at = w->bytes + w->n;

    if (w->full || n > w->cap - w->n) {
        w->full = true;
        return NULL;
    }
    w->n += n;
    return at;
}

void hws_link__put_u8(struct hws_link__writer *w, uint8_t v)
{
    uint8_t *at = room(w, 1);

    if (at != NULL) {
        *at = v;
    }
}

void hws_link__put_u16(struct hws_link__writer *w, uint16_t v)
{
    uint8_t *at = room(w, 2);

    if (at != NULL) {
        hws_store_be16(at, v);
    }
}

void hws_link__put_u32(struct hws_link__writer *w, uint32_t v)
{
    uint8_t *at = room(w, 4);

    if (at != NULL) {
        hws_store_be32(at, v);
    }
}

void hws_link__put_u64(struct hws_link__writer *w, uint64_t v)
{
    uint8_t *at = room(w, 8);

    if (at != NULL) {
        hws_store_be64(at, v);
    }
}

void hws_link__put_raw(struct hws_link__writer *w, struct hws_span s)
{
    uint8_t *at = room(w, s.n);

    if (at != NULL && s.n > 0) {
        memcpy(at, s.bytes, s.n);
    }
}

void hws_link__put_text(struct hws_link__writer *w, const char *field, struct hws_span s,
                        size_t max, enum hws_link__text kind)
{
    hws_link__need(w, field, s.n <= max && hws_link__text_ok(s, kind));
    hws_link__put_u16(w, (uint16_t)s.n);
    hws_link__put_raw(w, s);
}

void hws_link__need(struct hws_link__writer *w, const char *field, bool ok)
{
    if (!ok && w->bad == NULL) {
        w->bad = field;
    }
}

/* The next n bytes, or NULL if they are not there; the cursor then stays failed. */
static const uint8_t *take(struct hws_link__reader *r, const char *field, size_t n)
{
    const uint8_t *at = r->bytes + r->at;

    hws_link__want(r, field, n <= r->n - r->at);
    if (r->bad != NULL) {
        return NULL;
    }
    r->at += n;
    return at;
}

uint8_t hws_link__get_u8(struct hws_link__reader *r, const char *field)
{
    const uint8_t *at = take(r, field, 1);

    return at != NULL ? *at : 0;
}

uint16_t hws_link__get_u16(struct hws_link__reader *r, const char *field)
{
    const uint8_t *at = take(r, field, 2);

    return at != NULL ? hws_load_be16(at) : 0;
}

uint32_t hws_link__get_u32(struct hws_link__reader *r, const char *field)
{
    const uint8_t *at = take(r, field, 4);

    return at != NULL ? hws_load_be32(at) : 0;
}

uint64_t hws_link__get_u64(struct hws_link__reader *r, const char *field)
{
    const uint8_t *at = take(r, field, 8);

    return at != NULL ? hws_load_be64(at) : 0;
}

struct hws_span hws_link__get_raw(struct hws_link__reader *r, const char *field, size_t n)
{
    const uint8_t *at = take(r, field, n);

    return at != NULL ? (struct hws_span){at, n} : (struct hws_span){NULL, 0};
}

struct hws_span hws_link__get_rest(struct hws_link__reader *r)
{
    return hws_link__get_raw(r, "rest", r->n - r->at);
}

struct hws_span hws_link__get_text(struct hws_link__reader *r, const char *field, size_t max,
                                   enum hws_link__text kind)
{
    size_t n = hws_link__get_u16(r, field);
    struct hws_span s;

    hws_link__want(r, field, n <= max);
    s = hws_link__get_raw(r, field, n);
    hws_link__want(r, field, hws_link__text_ok(s, kind));
    return s;
}

void hws_link__want(struct hws_link__reader *r, const char *field, bool ok)
{
    if (!ok && r->bad == NULL) {
        r->bad = field;
    }
}
