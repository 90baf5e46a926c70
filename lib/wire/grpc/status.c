/* Status tables and the percent coding of grpc-message. */
#include "grpc/status.h"

#include <stdbool.h>

static const struct {
    const char *name;
    unsigned http;
} statuses[] = {
#define HWS_GRPC_STATUS(name, number, http) [number] = {#name, http},
#include "grpc/status.def"
#undef HWS_GRPC_STATUS
};

/* HTTP/2 error codes (RFC 9113, section 7) and the status each means (PROTOCOL-HTTP2.md, "Errors").
 */
static const enum hws_grpc_code of_rst[] = {
    [0x0] = HWS_GRPC_INTERNAL,           /* NO_ERROR */
    [0x1] = HWS_GRPC_INTERNAL,           /* PROTOCOL_ERROR */
    [0x2] = HWS_GRPC_INTERNAL,           /* INTERNAL_ERROR */
    [0x3] = HWS_GRPC_INTERNAL,           /* FLOW_CONTROL_ERROR */
    [0x4] = HWS_GRPC_INTERNAL,           /* SETTINGS_TIMEOUT */
    [0x5] = HWS_GRPC_INTERNAL,           /* STREAM_CLOSED */
    [0x6] = HWS_GRPC_INTERNAL,           /* FRAME_SIZE_ERROR */
    [0x7] = HWS_GRPC_UNAVAILABLE,        /* REFUSED_STREAM */
    [0x8] = HWS_GRPC_CANCELLED,          /* CANCEL */
    [0x9] = HWS_GRPC_INTERNAL,           /* COMPRESSION_ERROR */
    [0xa] = HWS_GRPC_INTERNAL,           /* CONNECT_ERROR */
    [0xb] = HWS_GRPC_RESOURCE_EXHAUSTED, /* ENHANCE_YOUR_CALM */
    [0xc] = HWS_GRPC_PERMISSION_DENIED,  /* INADEQUATE_SECURITY */
    [0xd] = HWS_GRPC_UNKNOWN,            /* HTTP_1_1_REQUIRED */
};

const char *hws_grpc_code_name(enum hws_grpc_code code)
{
    return (unsigned)code < HWS_GRPC_N_CODES ? statuses[code].name : "?";
}

enum hws_grpc_code hws_grpc_code_parse(const uint8_t *text, size_t n)
{
    unsigned v = 0;

    if (n == 0 || n > 2) {
        return HWS_GRPC_UNKNOWN;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return HWS_GRPC_UNKNOWN;
        }
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    return v < HWS_GRPC_N_CODES ? (enum hws_grpc_code)v : HWS_GRPC_UNKNOWN;
}

enum hws_grpc_code hws_grpc_code_of_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return HWS_GRPC_INTERNAL;
    case 401:
        return HWS_GRPC_UNAUTHENTICATED;
    case 403:
        return HWS_GRPC_PERMISSION_DENIED;
    case 404:
        return HWS_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return HWS_GRPC_UNAVAILABLE;
    default:
        return HWS_GRPC_UNKNOWN;
    }
}

unsigned hws_grpc_code_to_http(enum hws_grpc_code code)
{
    return (unsigned)code < HWS_GRPC_N_CODES ? statuses[code].http : 500;
}

enum hws_grpc_code hws_grpc_code_of_rst(uint32_t h2_error)
{
    if (h2_error >= sizeof(of_rst) / sizeof(of_rst[0])) {
        return HWS_GRPC_UNKNOWN;
    }
    return of_rst[h2_error];
}

uint32_t hws_grpc_code_to_rst(enum hws_grpc_code code)
{
    if (code == HWS_GRPC_OK) {
        return 0x0; /* NO_ERROR */
    }
    if (code == HWS_GRPC_INTERNAL) {
        return 0x2; /* INTERNAL_ERROR */
    }
    if (code == HWS_GRPC_RESOURCE_EXHAUSTED) {
        return 0xb; /* ENHANCE_YOUR_CALM */
    }
    return 0x8; /* CANCEL */
}

static bool plain(uint8_t c)
{
    return c >= 0x20 && c <= 0x7e && c != '%';
}

/* Bytes of the UTF-8 character that begins at text; 1 for a stray byte. */
static size_t utf8_len(const uint8_t *text, size_t n)
{
    size_t want = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc0 ? 2 : 1;
    size_t len = 1;

    while (len < want && len < n && (text[len] & 0xc0) == 0x80) {
        len++;
    }
    return len;
}

size_t hws_grpc_percent_encode(const char *text, size_t n, char *dst, size_t cap)
{
    static const char hex[] = "0123456789ABCDEF";
    const uint8_t *in = (const uint8_t *)text;
    size_t used = 0;

    for (size_t i = 0; i < n;) {
        size_t len = utf8_len(in + i, n - i);
        size_t need = plain(in[i]) ? 1 : 3 * len;
        if (used + need > cap) {
            break;
        }
        if (need == 1) {
            dst[used++] = text[i++];
            continue;
        }
        for (size_t end = i + len; i < end; i++) {
            dst[used++] = '%';
            dst[used++] = hex[in[i] >> 4];
            dst[used++] = hex[in[i] & 0xf];
        }
    }
    return used;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t hws_grpc_percent_decode(const uint8_t *text, size_t n, char *dst, size_t cap)
{
    size_t used = 0;

    for (size_t i = 0; i < n && used + 1 < cap; i++) {
        uint8_t c = text[i];
        if (c == '%' && n - i > 2 && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = (uint8_t)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        }
        bool control = c < 0x20 || c == 0x7f;
        if (control && c != '\t' && c != '\n' && c != '\r') {
            c = '?';
        }
        dst[used++] = (char)c;
    }
    dst[used] = '\0';
    return used;
}
