/* UTF-8 and the gate before the YAML reader. */
#include "base/text.h"

#include <stdbool.h>

/* What the first byte of a character says: its length, its own bits, the least value of that
 * length. */
static bool lead_byte(uint8_t b, size_t *n, uint32_t *value, uint32_t *least)
{
    if (b >= 0xc2 && b <= 0xdf) {
        *n = 2;
        *value = b & 0x1fu;
        *least = 0xa0; /* U+0080..U+009F are control characters */
    } else if (b >= 0xe0 && b <= 0xef) {
        *n = 3;
        *value = b & 0x0fu;
        *least = 0x800;
    } else if (b >= 0xf0 && b <= 0xf4) {
        *n = 4;
        *value = b & 0x07u;
        *least = 0x10000;
    } else {
        return false;
    }
    return true;
}

size_t hws_utf8_bytes(const uint8_t *s, size_t n)
{
    size_t len;
    uint32_t value;
    uint32_t least;

    if (n == 0) {
        return 0;
    }
    if (s[0] < 0x80) {
        return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
    }
    if (!lead_byte(s[0], &len, &value, &least)) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if (i >= n || (s[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (s[i] & 0x3fu);
    }
    return value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff) ? 0 : len;
}

const char *hws_text_yaml_fault(const void *bytes, size_t n, unsigned *line, unsigned *column)
{
    const uint8_t *p = bytes;
    const uint8_t *end = p + n;
    unsigned n_quotes = 0;

    *line = 1;
    *column = 1;
    while (p < end) {
        n_quotes = *p == '\'' ? n_quotes + 1 : 0;
        if (n_quotes > HWS_TEXT_YAML_MAX_QUOTES) {
            return "so many quotes (') in a row are not used here";
        }
        if (*p == '\n') {
            (*line)++;
            *column = 1;
            p++;
            continue;
        }
        if (*p == '%' && *column == 1) {
            return "directives (a line that begins with '%') are not used here";
        }
        size_t len = *p == '\t' || *p == '\r' ? 1 : hws_utf8_bytes(p, (size_t)(end - p));
        if (len == 0) {
            return "a byte that is no text: control character or broken UTF-8";
        }
        p += len;
        (*column)++;
    }
    return NULL;
}
