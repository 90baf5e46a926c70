/*
 * The parameter table, lookup with suggestions, and values as text.
 *
 * Failures: an unknown name (the nearest names are suggested), a value that is no number or name of
 * the enumeration, a value out of range (what is allowed is named).
 */
#include "nvconfig/param.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/str.h"
#include "nvconfig/reader.h"
#include "nvconfig/tlv.h"

#define HWS_NV_VALUE(text, number)                                                                 \
    {                                                                                              \
        (text), (number)                                                                           \
    }
#define HWS_NV_VALUES(name, ...)                                                                   \
    static const struct hws_nv_enum_value name##_values[] = {__VA_ARGS__};                         \
    enum { N_##name = sizeof(name##_values) / sizeof(name##_values[0]) };
#include "nvconfig/values.def"
#undef HWS_NV_VALUES
#undef HWS_NV_VALUE
#define NO_VALUES_values NULL
#define N_NO_VALUES      0

/* What the columns of params.def become; each column's word is pasted to one of these. */
#define FIELD(tlv, dw, lsb, bits)                                                                  \
    {                                                                                              \
        HWS_NV_TLV_##tlv, (dw), (lsb), (bits)                                                      \
    }
#define V_ALWAYS         0, 0, 0
#define V_VALID(dw, bit) (dw), (bit), 1
#define M_NO_CAP
#define M_CAP_MAX(tlv, dw, lsb, bits, vdw, vbit)                                                   \
    .max_cap = FIELD(tlv, dw, lsb, bits), .max_valid = FIELD(tlv, vdw, vbit, 1),
#define S_NO_CAP
#define S_CAP_BIT(tlv, dw, bit) .support_cap = FIELD(tlv, dw, bit, 1),

#define ROW(text, tlv, dw, lsb, bits, valid_at, kind, list, lo, hi, cap, sup, level, in, why,      \
            from)                                                                                  \
    {.name = (text),                                                                               \
     .type = HWS_NV_##kind,                                                                        \
     .field = FIELD(tlv, dw, lsb, bits),                                                           \
     .valid = {HWS_NV_TLV_##tlv, V_##valid_at},                                                    \
     .min = (lo),                                                                                  \
     .max = (hi),                                                                                  \
     .values = list##_values,                                                                      \
     .n_values = N_##list,                                                                         \
     M_##cap S_##sup.reset = HWS_NV_RESET_##level,                                                 \
     .unit = (in),                                                                                 \
     .description = (why),                                                                         \
     .source = (from)},
#define HWS_NV_PARAM(name, tlv, dw, lsb, bits, valid_at, kind, list, lo, hi, cap, sup, level, in,  \
                     why, from)                                                                    \
    ROW(#name, tlv, dw, lsb, bits, valid_at, kind, list, lo, hi, cap, sup, level, in, why, from)
#define HWS_NV_PORT_PARAM(name, tlv, dw, lsb, bits, valid_at, kind, list, lo, hi, cap, sup, level, \
                          in, why, from)                                                           \
    ROW(#name "_P1", tlv##_P1, dw, lsb, bits, valid_at, kind, list, lo, hi, cap, sup, level, in,   \
        why, from)                                                                                 \
    ROW(#name "_P2", tlv##_P2, dw, lsb, bits, valid_at, kind, list, lo, hi, cap, sup, level, in,   \
        why, from)

static const struct hws_nv_param params[] = {
#include "nvconfig/params.def"
};

#define N_PARAMS (sizeof(params) / sizeof(params[0]))
_Static_assert(N_PARAMS <= HWS_NV_MAX_PARAMS, "chosen parameters are indices into one byte");

size_t hws_nv_param_count(void)
{
    return N_PARAMS;
}

const struct hws_nv_param *hws_nv_param_at(size_t idx)
{
    hws_assert(idx < N_PARAMS);
    return &params[idx];
}

size_t hws_nv_param_idx(const struct hws_nv_param *p)
{
    hws_assert(p >= params && p < params + N_PARAMS);
    return (size_t)(p - params);
}

#define NAME_MAX_CHARS 48u

static int upper(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* How far apart two names are, in edits: 0 equal but for case; a beginning of the name is near. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_CHARS + 1];
    size_t na = strnlen(a, NAME_MAX_CHARS);
    size_t nb = strnlen(b, NAME_MAX_CHARS);

    if (strncasecmp(a, b, na) == 0 && na >= 3) {
        return 1;
    }
    for (size_t j = 0; j <= nb; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned change = upper(a[i - 1]) != upper(b[j - 1]);
            unsigned best = min3(diagonal + change, row[j] + 1, row[j - 1] + 1);
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

/* The up to three nearest names, nearest first, as "A, B or C"; empty if none is near. */
static void suggest(const char *name, char *dst, size_t cap)
{
    const char *found[3] = {NULL, NULL, NULL};
    unsigned away[N_PARAMS];
    size_t len = strnlen(name, NAME_MAX_CHARS);
    unsigned limit = len < 6 ? 2 : (unsigned)len / 3 + 1;
    size_t n = 0;

    for (size_t i = 0; i < N_PARAMS; i++) {
        away[i] = distance(name, params[i].name);
    }
    for (unsigned d = 1; d <= limit && n < 3; d++) {
        for (size_t i = 0; i < N_PARAMS && n < 3; i++) {
            if (away[i] == d) {
                found[n++] = params[i].name;
            }
        }
    }
    dst[0] = '\0';
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const char *sep = i == 0 ? "" : i + 1 == n ? " or " : ", ";
        if (!hws_str_print(dst + used, cap - used, "%s%s", sep, found[i])) {
            return;
        }
        used += strlen(dst + used);
    }
}

enum hws_code hws_nv_param_find(const char *name, const struct hws_nv_param **out,
                                struct hws_err *err)
{
    char near[128];
    char quoted[64];

    for (size_t i = 0; i < N_PARAMS; i++) {
        if (strcasecmp(params[i].name, name) == 0) {
            *out = &params[i];
            return HWS_OK;
        }
    }
    suggest(name, near, sizeof(near));
    hws_str_quote(quoted, sizeof(quoted), name, strlen(name));
    if (near[0] == '\0') {
        return hws_err_set(err, HWS_E_NOT_FOUND,
                           "no parameter %s; the list of parameters names all %zu", quoted,
                           N_PARAMS);
    }
    return hws_err_set(err, HWS_E_NOT_FOUND, "no parameter %s; did you mean %s?", quoted, near);
}

/* "ETH", "eth", "ETH(2)" of an enumeration. */
static bool parse_name(const struct hws_nv_param *p, const char *text, uint32_t *out)
{
    for (size_t i = 0; i < p->n_values; i++) {
        char both[HWS_NV_VALUE_BYTES];
        (void)hws_str_print(both, sizeof(both), "%s(%" PRIu32 ")", p->values[i].name,
                            p->values[i].value);
        if (strcasecmp(text, p->values[i].name) == 0 || strcasecmp(text, both) == 0) {
            *out = p->values[i].value;
            return true;
        }
    }
    return false;
}

static bool has_value(const struct hws_nv_param *p, uint64_t v)
{
    for (size_t i = 0; i < p->n_values; i++) {
        if (p->values[i].value == v) {
            return true;
        }
    }
    return p->n_values == 0;
}

enum hws_code hws_nv_param_parse(const struct hws_nv_param *p, const char *text, uint32_t *out,
                                 struct hws_err *err)
{
    char allowed[160];
    char quoted[48];
    uint64_t v = 0;

    if (p->type == HWS_NV_BOOL &&
        (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0)) {
        *out = strcasecmp(text, "true") == 0 ? 1 : 0;
        return HWS_OK;
    }
    if (p->type == HWS_NV_ENUM && parse_name(p, text, out)) {
        return HWS_OK;
    }
    if (hws_str_to_u64(text, p->max, &v, NULL) == HWS_OK && v >= p->min && has_value(p, v)) {
        *out = (uint32_t)v;
        return HWS_OK;
    }
    hws_nv_param_allowed(p, p->max, allowed, sizeof(allowed));
    hws_str_quote(quoted, sizeof(quoted), text, strlen(text));
    return hws_err_set(err, HWS_E_INVALID, "%s: %s is not allowed; allowed: %s", p->name, quoted,
                       allowed);
}

void hws_nv_param_format(const struct hws_nv_param *p, uint32_t value, char *dst, size_t cap)
{
    if (p->type == HWS_NV_BOOL) {
        (void)hws_str_copy(dst, cap, value != 0 ? "True" : "False");
        return;
    }
    for (size_t i = 0; i < p->n_values; i++) {
        if (p->values[i].value == value) {
            (void)hws_str_copy(dst, cap, p->values[i].name);
            return;
        }
    }
    (void)hws_str_print(dst, cap, "%" PRIu32, value);
}

void hws_nv_param_allowed(const struct hws_nv_param *p, uint32_t limit, char *dst, size_t cap)
{
    size_t used = 0;

    if (p->type == HWS_NV_BOOL) {
        (void)hws_str_copy(dst, cap, "True or False");
        return;
    }
    if (p->type == HWS_NV_UNSIGNED) {
        (void)hws_str_print(dst, cap, "%" PRIu32 "..%" PRIu32 "%s%s", p->min, limit,
                            p->unit[0] != '\0' ? " " : "", p->unit);
        return;
    }
    dst[0] = '\0';
    for (size_t i = 0; i < p->n_values; i++) {
        const char *sep = i == 0 ? "" : i + 1 == p->n_values ? " or " : ", ";
        if (!hws_str_print(dst + used, cap - used, "%s%s(%" PRIu32 ")", sep, p->values[i].name,
                           p->values[i].value)) {
            return;
        }
        used += strlen(dst + used);
    }
}

const char *hws_nv_reset_name(enum hws_nv_reset reset)
{
    static const char *const names[] = {"none", "driver restart", "firmware reset", "warm reboot",
                                        "power cycle"};
    return (unsigned)reset < sizeof(names) / sizeof(names[0]) ? names[reset] : "?";
}
