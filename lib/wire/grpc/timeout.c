/* grpc-timeout. */
#include "grpc/timeout.h"

#include "base/assert.h"
#include "base/str.h"

#define MAX_DIGITS 8u
#define MAX_VALUE  99999999u

/* Milliseconds per unit for H M S m; u and n divide. */
static const struct {
    char unit;
    uint32_t ms;
} units[] = {{'m', 1}, {'S', 1000}, {'M', 60000}, {'H', 3600000}};

enum hws_code hws_grpc_timeout_parse(const uint8_t *text, size_t n, uint64_t *out_ms)
{
    uint64_t v = 0;

    if (n < 2 || n > MAX_DIGITS + 1) {
        return HWS_E_PROTO;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return HWS_E_PROTO;
        }
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    char unit = (char)text[n - 1];
    if (unit == 'u' || unit == 'n') {
        uint64_t per_ms = unit == 'u' ? 1000 : 1000000;
        *out_ms = (v + per_ms - 1) / per_ms;
        return HWS_OK;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (unit == units[i].unit) {
            *out_ms = v * units[i].ms;
            return HWS_OK;
        }
    }
    return HWS_E_PROTO;
}

size_t hws_grpc_timeout_print(uint64_t timeout_ms, char dst[HWS_GRPC_TIMEOUT_TEXT_BYTES])
{
    uint64_t v = MAX_VALUE;
    char unit = 'H';

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint64_t in_unit = timeout_ms / units[i].ms + (timeout_ms % units[i].ms != 0);
        if (in_unit <= MAX_VALUE) {
            v = in_unit;
            unit = units[i].unit;
            break;
        }
    }
    bool whole = hws_str_print(dst, HWS_GRPC_TIMEOUT_TEXT_BYTES, "%u%c", (unsigned)v, unit);
    hws_assert(whole);
    size_t n = 0;
    while (dst[n] != '\0') {
        n++;
    }
    return n;
}
