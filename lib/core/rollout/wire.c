/* Primitives of the stored form. */
#include <string.h>

#include "base/bits.h"
#include "base/str.h"
#include "rollout/wire_priv.h"

static void put(struct hws_rollout__writer *w, const void *bytes, size_t n)
{
    if (w->code == HWS_OK) {
        w->code = hws_buf_put(w->out, bytes, n);
    }
}

void hws_rollout__put_u8(struct hws_rollout__writer *w, uint8_t v)
{
    put(w, &v, 1);
}

void hws_rollout__put_u32(struct hws_rollout__writer *w, uint32_t v)
{
    uint8_t b[4];

    hws_store_be32(b, v);
    put(w, b, sizeof(b));
}

void hws_rollout__put_u64(struct hws_rollout__writer *w, uint64_t v)
{
    uint8_t b[8];

    hws_store_be64(b, v);
    put(w, b, sizeof(b));
}

void hws_rollout__put_text(struct hws_rollout__writer *w, const char *s)
{
    uint8_t b[2];
    size_t n = strlen(s);

    hws_store_be16(b, (uint16_t)n); /* every text of the stored form has a bound far below 64 KiB */
    put(w, b, sizeof(b));
    put(w, s, n);
}

/* n bytes, or NULL with bad set. */
static const uint8_t *take(struct hws_rollout__reader *r, size_t n)
{
    if (r->bad || r->n < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    r->n -= n;
    return p;
}

uint8_t hws_rollout__get_u8(struct hws_rollout__reader *r)
{
    const uint8_t *p = take(r, 1);

    return p == NULL ? 0 : *p;
}

uint32_t hws_rollout__get_u32(struct hws_rollout__reader *r)
{
    const uint8_t *p = take(r, 4);

    return p == NULL ? 0 : hws_load_be32(p);
}

uint64_t hws_rollout__get_u64(struct hws_rollout__reader *r)
{
    const uint8_t *p = take(r, 8);

    return p == NULL ? 0 : hws_load_be64(p);
}

void hws_rollout__get_text(struct hws_rollout__reader *r, char *dst, size_t cap)
{
    const uint8_t *head = take(r, 2);
    size_t n = head == NULL ? 0 : hws_load_be16(head);
    const uint8_t *p = take(r, n);

    dst[0] = '\0';
    if (p == NULL) {
        return;
    }
    if (n >= cap || memchr(p, 0, n) != NULL) {
        r->bad = true;
        return;
    }
    (void)hws_str_copy_n(dst, cap, p, n);
}
