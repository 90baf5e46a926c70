/* Bounded string helpers. */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

bool hws_str_copy_n(char *dst, size_t cap, const void *src, size_t n)
{
    size_t len = n < cap - 1 ? n : cap - 1;

    if (len > 0) {
        memcpy(dst, src, len);
    }
    dst[len] = '\0';
    return len == n;
}

bool hws_str_copy(char *dst, size_t cap, const char *src)
{
    return hws_str_copy_n(dst, cap, src, strlen(src));
}

bool hws_str_print(char *dst, size_t cap, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(dst, cap, fmt, args);
    va_end(args);
    return n >= 0 && (size_t)n < cap;
}

bool hws_str_eq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool hws_str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return 99;
}

enum hws_code hws_str_to_u64(const char *s, uint64_t max, uint64_t *out, struct hws_err *err)
{
    const char *p = s;
    unsigned base = 10;
    uint64_t v = 0;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    } else if (p[0] == '0' && (p[1] == 'b' || p[1] == 'B')) {
        base = 2;
        p += 2;
    }
    if (*p == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "\"%.40s\" is not a number", s);
    }
    for (; *p != '\0'; p++) {
        unsigned d = (unsigned)digit_of(*p);
        if (d >= base) {
            return hws_err_set(err, HWS_E_INVALID, "\"%.40s\" is not a number", s);
        }
        if (v > (max - (d > max ? max : d)) / base || d > max) {
            return hws_err_set(err, HWS_E_INVALID, "\"%.40s\" is over %llu", s,
                               (unsigned long long)max);
        }
        v = v * base + d;
    }
    *out = v;
    return HWS_OK;
}

void hws_hex_encode(const uint8_t *bytes, size_t n, char *dst)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = digits[bytes[i] >> 4];
        dst[2 * i + 1] = digits[bytes[i] & 15];
    }
    dst[2 * n] = '\0';
}

enum hws_code hws_hex_decode(const char *s, uint8_t *out, size_t cap, size_t *out_n)
{
    size_t len = strlen(s);

    if (len % 2 != 0) {
        return HWS_E_INVALID;
    }
    if (len / 2 > cap) {
        return HWS_E_BUSY;
    }
    for (size_t i = 0; i < len; i += 2) {
        int hi = digit_of(s[i]);
        int lo = digit_of(s[i + 1]);
        if (hi > 15 || lo > 15) {
            return HWS_E_INVALID;
        }
        out[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    *out_n = len / 2;
    return HWS_OK;
}

void hws_str_quote(char *dst, size_t cap, const void *s, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = s;
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        bool plain = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\';
        size_t need = plain ? 1 : 4;
        if (used + need + 1 > cap) {
            break;
        }
        if (plain) {
            dst[used++] = (char)p[i];
            continue;
        }
        dst[used++] = '\\';
        dst[used++] = 'x';
        dst[used++] = digits[p[i] >> 4];
        dst[used++] = digits[p[i] & 15];
    }
    dst[used] = '\0';
}
