/* The growable byte buffer. Moves data to the front before it grows, so memory follows what is
 * unread. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define MIN_CAP 256
/* Large blocks of a power of two lie a multiple of a page and a few bytes apart, and on some
 * processors a copy between two such places is taken for one that overlaps itself: sixteen times
 * slower (glibc's bug 30994). So large blocks are a little longer. */
#define SKEW_FROM 4096
#define SKEW      576

void hws_buf_init(struct hws_buf *b, size_t max_bytes)
{
    memset(b, 0, sizeof(*b));
    b->max = max_bytes;
}

void hws_buf_deinit(struct hws_buf *b)
{
    hws_mem_free(b->bytes);
    memset(b, 0, sizeof(*b));
}

size_t hws_buf_len(const struct hws_buf *b)
{
    return b->tail - b->head;
}

const uint8_t *hws_buf_peek(const struct hws_buf *b)
{
    return b->bytes == NULL ? (const uint8_t *)"" : b->bytes + b->head;
}

static enum hws_code grow(struct hws_buf *b, size_t need)
{
    size_t cap = MIN_CAP;

    while (cap < need) {
        cap *= 2;
    }
    cap += cap >= SKEW_FROM ? SKEW : 0;
    uint8_t *bytes = hws_mem_realloc(b->bytes, cap);
    if (bytes == NULL) {
        return HWS_E_NOMEM;
    }
    b->bytes = bytes;
    b->cap = cap;
    return HWS_OK;
}

enum hws_code hws_buf_reserve(struct hws_buf *b, size_t n, uint8_t **out_space)
{
    size_t len = hws_buf_len(b);
    size_t max = b->max == 0 ? HWS_BUF_MAX : b->max;

    if (n > max || len > max - n) {
        return HWS_E_BUSY;
    }
    if (b->bytes != NULL && b->cap - b->tail < n && b->head > 0) {
        memmove(b->bytes, b->bytes + b->head, len);
        b->head = 0;
        b->tail = len;
    }
    if (b->bytes == NULL || b->cap - b->tail < n) {
        enum hws_code rc = grow(b, b->tail + n);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    *out_space = b->bytes + b->tail;
    return HWS_OK;
}

void hws_buf_commit(struct hws_buf *b, size_t n)
{
    hws_assert(n <= b->cap - b->tail);
    b->tail += n;
}

enum hws_code hws_buf_put(struct hws_buf *b, const void *bytes, size_t n)
{
    uint8_t *space = NULL;
    enum hws_code rc = hws_buf_reserve(b, n, &space);

    if (rc != HWS_OK) {
        return rc;
    }
    if (n > 0) {
        memcpy(space, bytes, n);
    }
    hws_buf_commit(b, n);
    return HWS_OK;
}

enum hws_code hws_buf_printf(struct hws_buf *b, const char *fmt, ...)
{
    va_list args;
    uint8_t *space = NULL;

    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        return HWS_E_INVALID;
    }
    enum hws_code rc = hws_buf_reserve(b, (size_t)n + 1, &space);
    if (rc != HWS_OK) {
        return rc;
    }
    va_start(args, fmt);
    (void)vsnprintf((char *)space, (size_t)n + 1, fmt, args);
    va_end(args);
    hws_buf_commit(b, (size_t)n);
    return HWS_OK;
}

void hws_buf_take(struct hws_buf *b, size_t n)
{
    hws_assert(n <= hws_buf_len(b));
    b->head += n;
    if (b->head == b->tail) {
        b->head = 0;
        b->tail = 0;
    }
}

void hws_buf_reset(struct hws_buf *b)
{
    b->head = 0;
    b->tail = 0;
}

const char *hws_buf_cstr(struct hws_buf *b)
{
    uint8_t *space = NULL;

    if (b->bytes == NULL || b->cap == b->tail) {
        size_t max = b->max;
        b->max = 0; /* the NUL is not payload */
        enum hws_code rc = hws_buf_reserve(b, 1, &space);
        b->max = max;
        if (rc != HWS_OK) {
            return NULL;
        }
    }
    b->bytes[b->tail] = 0;
    return (const char *)(b->bytes + b->head);
}
