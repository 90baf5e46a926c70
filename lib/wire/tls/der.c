/* The DER reader. Lengths above four bytes, indefinite and non-minimal ones are refused. */
#include <string.h>

#include "tls/der_priv.h"

static bool read_length(const struct hws_span *r, size_t *pos, size_t *out_len)
{
    if (*pos >= r->n) {
        return false;
    }
    uint8_t first = r->bytes[(*pos)++];
    if (first < 0x80) {
        *out_len = first;
        return true;
    }
    size_t n_bytes = first & 0x7fu;
    if (n_bytes == 0 || n_bytes > 4 || r->n - *pos < n_bytes) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        len = len << 8 | r->bytes[(*pos)++];
    }
    if (len < 0x80 || len >> (8 * (n_bytes - 1)) == 0) {
        return false; /* a shorter form exists */
    }
    *out_len = len;
    return true;
}

bool hws_tls__der_next(struct hws_span *r, uint8_t *out_tag, struct hws_span *out_content)
{
    size_t pos = 1;
    size_t len = 0;

    if (r->n < 2 || (r->bytes[0] & 0x1fu) == 0x1fu || !read_length(r, &pos, &len) ||
        r->n - pos < len) {
        return false;
    }
    *out_tag = r->bytes[0];
    *out_content = (struct hws_span){.bytes = r->bytes + pos, .n = len};
    r->bytes += pos + len;
    r->n -= pos + len;
    return true;
}

bool hws_tls__der_take(struct hws_span *r, uint8_t tag, struct hws_span *out_content)
{
    struct hws_span rest = *r;
    uint8_t got = 0;

    if (!hws_tls__der_next(&rest, &got, out_content) || got != tag) {
        return false;
    }
    *r = rest;
    return true;
}

bool hws_tls__der_is(struct hws_span content, const uint8_t *bytes, size_t n)
{
    return content.n == n && memcmp(content.bytes, bytes, n) == 0;
}
