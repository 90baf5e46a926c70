/* Frame heads (RFC 9113, section 4.1). */
#include "grpc/scan.h"

#include <string.h>

#include "base/bits.h"

enum { DATA = 0, HEADERS = 1, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };

void hws_grpc_scan_init(struct hws_grpc_scan *s, uint32_t n_preface)
{
    *s = (struct hws_grpc_scan){.skip = n_preface};
}

static void count(struct hws_grpc_scan *s, struct hws_grpc_scanned *out)
{
    uint8_t type = s->head[3];
    uint8_t flags = s->head[4];

    s->skip = hws_load_be24(s->head);
    s->n_head = 0;
    s->in_head = type == HEADERS || type == CONTINUATION;
    s->head_goes_on = s->in_head && (flags & END_HEADERS) == 0;
    if (type == HEADERS) {
        out->n_headers++;
    } else if (type == DATA && (flags & END_STREAM) == 0 && (flags & PADDED) != 0 && s->skip > 0) {
        s->n_padded = 1; /* its first byte tells whether there is more than padding */
    } else if (type != CONTINUATION &&
               !(type == DATA && (s->skip > 0 || (flags & END_STREAM) != 0))) {
        out->n_control++;
    }
}

struct hws_grpc_scanned hws_grpc_scan(struct hws_grpc_scan *s, const uint8_t *bytes, size_t n)
{
    struct hws_grpc_scanned out = {0, 0};

    while (n > 0) {
        if (s->n_padded > 0) {
            out.n_control += (uint32_t)bytes[0] + 1 >= s->skip ? 1 : 0;
            s->n_padded = 0;
        }
        if (s->skip > 0) {
            size_t k = s->skip < n ? s->skip : n;
            s->skip -= (uint32_t)k;
            bytes += k;
            n -= k;
            continue;
        }
        size_t k = sizeof(s->head) - s->n_head < n ? sizeof(s->head) - s->n_head : n;
        memcpy(s->head + s->n_head, bytes, k);
        s->n_head = (uint8_t)(s->n_head + k);
        bytes += k;
        n -= k;
        if (s->n_head == sizeof(s->head)) {
            count(s, &out);
        }
    }
    return out;
}

bool hws_grpc_scan_in_block(const struct hws_grpc_scan *s)
{
    return s->head_goes_on || (s->in_head && s->skip > 0);
}
