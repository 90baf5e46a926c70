/* Bounded strings: copies that always terminate, parsing that rejects rather than guesses. Nothing
 * allocates. */
#ifndef HWS_BASE_STR_H
#define HWS_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A borrowed run of bytes, not NUL-terminated. */
struct hws_span {
    const uint8_t *bytes;
    size_t n;
};

/* Copies src with its NUL into dst[cap]; cuts if too long. Returns false if it was cut. cap >= 1.
 */
bool hws_str_copy(char *dst, size_t cap, const char *src);

/* Copies n bytes and appends a NUL; cuts if too long. Returns false if it was cut. cap >= 1. */
bool hws_str_copy_n(char *dst, size_t cap, const void *src, size_t n);

/* snprintf that returns false if the text was cut. */
bool hws_str_print(char *dst, size_t cap, const char *fmt, ...) HWS_PRINTF(3, 4);

/* Of two NUL-terminated texts. */
bool hws_str_eq(const char *a, const char *b);

/* True if s begins with the prefix. */
bool hws_str_starts(const char *s, const char *prefix);

/*
 * Parses an unsigned number: decimal, 0x hex or 0b binary, the whole string, no sign, no spaces, at
 * most max. HWS_E_INVALID with a text that names the allowed range otherwise.
 */
enum hws_code hws_str_to_u64(const char *s, uint64_t max, uint64_t *out, struct hws_err *err)
    HWS_MUST_USE;

/* Lower-case hex of n bytes and a NUL into dst, which must hold 2n + 1. */
void hws_hex_encode(const uint8_t *bytes, size_t n, char *dst);

/* Hex (either case; an even count of digits, no separators) into out[cap]; sets *out_n.
 * HWS_E_INVALID, HWS_E_BUSY. */
enum hws_code hws_hex_decode(const char *s, uint8_t *out, size_t cap, size_t *out_n) HWS_MUST_USE;

/* Copies s into dst[cap], with bytes outside printable ASCII, quotes and backslashes as \xNN; for
 * log lines. */
void hws_str_quote(char *dst, size_t cap, const void *s, size_t n);

#endif
