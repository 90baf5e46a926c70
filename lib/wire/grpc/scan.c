/* Frame heads (RFC 9113, section 4.1). */
#include "grpc/scan.h"

#include <string.h>

#include "base/bits.h"

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4, PADDED = 8 };

_Static_assert(HWS_GRPC_OVER_STREAMS == 32, "a bit of reset and of late for each");

void hws_grpc_scan_init(struct hws_grpc_scan *s, uint32_t n_preface)
{
    *s = (struct hws_grpc_scan){.skip = n_preface, .opens = n_preface > 0};
}

/* Where the stream is remembered; HWS_GRPC_OVER_STREAMS when it is not. */
static uint32_t place_of(const struct hws_grpc_scan *s, uint32_t stream)
{
    uint32_t i = 0;

    while (i < HWS_GRPC_OVER_STREAMS && s->over[i] != stream) {
        i++;
    }
    return i;
}

static void remember(struct hws_grpc_scan *s, uint32_t stream, bool reset)
{
    uint32_t i = s->n_over++ % HWS_GRPC_OVER_STREAMS;
    uint32_t bit = UINT32_C(1) << i;

    s->over[i] = stream;
    s->reset = reset ? s->reset | bit : s->reset & ~bit;
    s->late &= ~bit;
}

/* HEADERS or DATA on a stream that is over: of one that was reset they may come, of one that ended
 * only from a server. gRPC C++ sends its trailers twice when a handler ends after the deadline, and
 * the other calls of the connection are not to suffer for it. */
static enum hws_grpc_scan_fault judge_late(struct hws_grpc_scan *s, uint32_t i,
                                           struct hws_grpc_scanned *out)
{
    uint32_t bit = UINT32_C(1) << i;

    if (s->opens && ((s->reset | s->late) & bit) == 0) {
        return HWS_GRPC_SCAN_AFTER_END;
    }
    if ((s->reset & bit) != 0 && out->n_late < HWS_GRPC_OVER_STREAMS) {
        out->late[out->n_late++] = s->over[i];
    }
    s->reset &= ~bit;
    s->late |= bit;
    out->n_control += s->head[3] == DATA ? 1 : 0; /* HEADERS are counted where they are decoded */
    return HWS_GRPC_SCAN_GOOD;
}

/* A client's HEADERS: they open a stream, or are trailers. Even numbers are not a client's, and the
 * library says so. */
static enum hws_grpc_scan_fault judge_headers(struct hws_grpc_scan *s, uint32_t stream)
{
    if (!s->opens || stream % 2 == 0) {
        return HWS_GRPC_SCAN_GOOD;
    }
    if (stream <= s->newest) {
        bool left_out = stream >= s->gap_from && stream <= s->gap_to;
        return left_out                         ? HWS_GRPC_SCAN_OUT_OF_ORDER
               : (s->head[4] & END_STREAM) == 0 ? HWS_GRPC_SCAN_NO_TRAILERS
                                                : HWS_GRPC_SCAN_GOOD;
    }
    if (stream > s->newest + 2) {
        s->gap_from = s->newest + 1;
        s->gap_to = stream - 1;
    }
    s->newest = stream;
    return HWS_GRPC_SCAN_GOOD;
}

/* A frame within a header block is the library's to judge. */
static enum hws_grpc_scan_fault judge(struct hws_grpc_scan *s, struct hws_grpc_scanned *out)
{
    uint8_t type = s->head[3];
    uint32_t stream = hws_load_be32(s->head + 5) & INT32_MAX;

    if (stream == 0 || s->head_goes_on || type > RST_STREAM) {
        return HWS_GRPC_SCAN_GOOD;
    }
    uint32_t place = place_of(s, stream);
    bool over = place < HWS_GRPC_OVER_STREAMS;
    if (type == RST_STREAM && !over) {
        remember(s, stream, true);
    }
    if (type != HEADERS && type != DATA) {
        return HWS_GRPC_SCAN_GOOD;
    }
    if (over) {
        return judge_late(s, place, out);
    }
    if ((s->head[4] & END_STREAM) != 0) {
        remember(s, stream, false);
    }
    return type == HEADERS ? judge_headers(s, stream) : HWS_GRPC_SCAN_GOOD;
}

static void count(struct hws_grpc_scan *s, struct hws_grpc_scanned *out)
{
    uint8_t type = s->head[3];
    uint8_t flags = s->head[4];

    out->fault = judge(s, out);
    if (out->fault != HWS_GRPC_SCAN_GOOD) {
        return;
    }
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
    struct hws_grpc_scanned out = {0};
    size_t n_all = n;

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
        if (s->n_head == sizeof(s->head)) {
            count(s, &out);
        }
        if (out.fault != HWS_GRPC_SCAN_GOOD) {
            out.n_good = n_all - n;
            return out;
        }
        bytes += k;
        n -= k;
    }
    out.n_good = n_all;
    return out;
}

bool hws_grpc_scan_in_block(const struct hws_grpc_scan *s)
{
    return s->head_goes_on || (s->in_head && s->skip > 0);
}
