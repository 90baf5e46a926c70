/*
 * A growable byte buffer with a ceiling: readers take from the front, writers append at the back.
 * Invariant: head <= tail <= cap. Growing past max_bytes is HWS_E_BUSY, never an abort.
 * The owner embeds it; a zeroed buffer is valid, empty and has no ceiling set (max_bytes 0 =
 * HWS_BUF_MAX).
 */
#ifndef HWS_BASE_BUF_H
#define HWS_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HWS_BUF_MAX ((size_t)1 << 30)

struct hws_buf {
    uint8_t *bytes; /* owned */
    size_t head;    /* first unread byte */
    size_t tail;    /* one past the last byte written */
    size_t cap;     /* allocated */
    size_t max;     /* ceiling on tail - head; 0 = HWS_BUF_MAX */
};

/* An empty buffer that may hold at most max_bytes unread bytes. Allocates nothing. */
void hws_buf_init(struct hws_buf *b, size_t max_bytes);

/* Frees the memory and zeroes the struct; accepts a zeroed one. */
void hws_buf_deinit(struct hws_buf *b);

/* Unread bytes. */
size_t hws_buf_len(const struct hws_buf *b);

/* Pointer to the first unread byte; valid until the next write. */
const uint8_t *hws_buf_peek(const struct hws_buf *b);

/* Makes room for n more bytes and sets *out_space to where they go. HWS_E_BUSY over the ceiling,
 * HWS_E_NOMEM. */
enum hws_code hws_buf_reserve(struct hws_buf *b, size_t n, uint8_t **out_space) HWS_MUST_USE;

/* Counts n bytes written into reserved space. */
void hws_buf_commit(struct hws_buf *b, size_t n);

/* Appends n bytes; all or nothing. Errors as reserve. */
enum hws_code hws_buf_put(struct hws_buf *b, const void *bytes, size_t n) HWS_MUST_USE;

/* Appends formatted text without a NUL. Errors as reserve. */
enum hws_code hws_buf_printf(struct hws_buf *b, const char *fmt, ...) HWS_PRINTF(2, 3) HWS_MUST_USE;

/* Drops n bytes from the front; n must not exceed the length. Keeps the memory. */
void hws_buf_take(struct hws_buf *b, size_t n);

/* Drops everything, keeps the memory. */
void hws_buf_reset(struct hws_buf *b);

/* Appends a NUL that is not counted, and returns the text; NULL when out of memory. Valid until the
 * next write. */
const char *hws_buf_cstr(struct hws_buf *b) HWS_MUST_USE;

#endif
