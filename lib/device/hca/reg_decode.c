/*
 * Register bytes to named rows.
 *
 * Happy path: check that every field is there, one row per field of the header, one per field of
 * the selected page, then one per dword that has bits set where no field lies. Failure: bytes that
 * end inside the layout.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/str.h"
#include "hca/reg.h"
#include "hca/reg_priv.h"

/* Rows of undecoded dwords in one decode; the rest is counted in one more row. */
#define MAX_UNDECODED 256u

size_t hws_hca__field_end(const struct hws_reg_field *f)
{
    return f->offset_bytes + (f->n_bits <= 32 && f->kind != HWS_FIELD_STRING ? 4u : f->n_bits / 8u);
}

uint64_t hws_hca__field_number(const struct hws_reg_field *f, const uint8_t *bytes)
{
    hws_assert(f->n_bits <= 64 && f->kind != HWS_FIELD_STRING);
    return f->n_bits == 64 ? hws_load_be64(bytes + f->offset_bytes)
                           : hws_bits_get(bytes + f->offset_bytes, f->lsb_idx, f->n_bits);
}

void hws_hca__field_store(const struct hws_reg_field *f, uint8_t *bytes, uint64_t value)
{
    hws_assert(f->n_bits <= 64 && f->kind != HWS_FIELD_STRING);
    hws_assert(f->n_bits == 64 || value >> f->n_bits == 0);
    if (f->n_bits == 64) {
        hws_store_be64(bytes + f->offset_bytes, value);
    } else {
        hws_bits_put(bytes + f->offset_bytes, f->lsb_idx, f->n_bits, (uint32_t)value);
    }
}

/* "200G x4, 100G x2, bit 30": the names of the bits that are set. */
static void bitmap_text(enum hws_reg_enum enumeration, uint64_t value, char *dst, size_t cap)
{
    size_t used = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((value >> bit & 1) == 0) {
            continue;
        }
        char one[40];
        const char *name = hws_hca__meaning(enumeration, bit);
        (void)hws_str_print(one, sizeof(one), name[0] != '\0' ? "%s%s" : "%sbit %s%u",
                            used > 0 ? ", " : "", name, bit);
        size_t n = strlen(one);
        if (used + n >= cap) {
            break;
        }
        memcpy(dst + used, one, n);
        used += n;
    }
    dst[used] = '\0';
}

static void number_row(const struct hws_reg_field *f, uint64_t v, char *value, char *meaning)
{
    const char *text = "";
    switch (f->kind) {
    case HWS_FIELD_SINT: {
        uint64_t sign = UINT64_C(1) << (f->n_bits - 1);
        int64_t s = (v & sign) != 0 ? (int64_t)v - (int64_t)(sign << 1) : (int64_t)v;
        (void)hws_str_print(value, HWS_REG_VALUE_BYTES, "%" PRId64, s);
        break;
    }
    case HWS_FIELD_HEX:
        (void)hws_str_print(value, HWS_REG_VALUE_BYTES, "0x%" PRIx64, v);
        text = hws_hca__meaning(f->enumeration, v);
        break;
    case HWS_FIELD_BITMAP:
        (void)hws_str_print(value, HWS_REG_VALUE_BYTES, "0x%" PRIx64, v);
        bitmap_text(f->enumeration, v, meaning, HWS_REG_MEANING_BYTES);
        return;
    case HWS_FIELD_UINT:
    case HWS_FIELD_FLAG:
    case HWS_FIELD_INDEX:
    case HWS_FIELD_STRING:
    default:
        (void)hws_str_print(value, HWS_REG_VALUE_BYTES, "%" PRIu64, v);
        text = hws_hca__meaning(f->enumeration, v);
        break;
    }
    (void)hws_str_copy(meaning, HWS_REG_MEANING_BYTES, text);
}

static void field_row(const struct hws_reg_field *f, const uint8_t *bytes,
                      const struct hws_hca__sink *sink)
{
    char value[HWS_REG_VALUE_BYTES];
    char meaning[HWS_REG_MEANING_BYTES] = "";
    const uint8_t *p = bytes + f->offset_bytes;
    size_t n = f->n_bits / 8u;

    if (f->kind == HWS_FIELD_STRING) {
        while (n > 0 && p[n - 1] == 0) {
            n--;
        }
        hws_str_quote(value, sizeof(value), p, n);
    } else if (f->n_bits > 64) {
        hws_assert(2 * n < sizeof(value));
        hws_hex_encode(p, n, value);
    } else {
        number_row(f, hws_hca__field_number(f, bytes), value, meaning);
    }
    struct hws_reg_row row = {f->name, value, meaning};
    sink->cb(sink->arg, &row);
}

/* The bits of the dword at offset that fields cover. */
static uint32_t covered_bits(const struct hws_reg_field *fields, size_t n_fields, size_t n,
                             size_t offset)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < n_fields; i++) {
        const struct hws_reg_field *f = &fields[i];
        size_t end = hws_hca__field_end(f);
        if (offset < f->offset_bytes || offset >= end || end > n) {
            continue;
        }
        if (f->n_bits <= 32 && f->kind != HWS_FIELD_STRING) {
            mask |= (uint32_t)((UINT64_C(1) << f->n_bits) - 1) << f->lsb_idx;
        } else {
            mask = UINT32_MAX; /* strings and wide fields are whole dwords (a test holds that) */
        }
    }
    return mask;
}

static void undecoded_rows(const struct hws_reg *reg, const struct hws_reg_page *page, size_t from,
                           const uint8_t *bytes, size_t n, const struct hws_hca__sink *sink)
{
    char name[32];
    char value[32];
    size_t n_rows = 0;

    for (size_t at = from; at < n; at += 4) {
        uint8_t dword[4] = {0};
        memcpy(dword, bytes + at, n - at < 4 ? n - at : 4);
        uint32_t v = hws_load_be32(dword);
        if (v == 0) {
            continue;
        }
        v &= ~covered_bits(reg->fields, reg->n_fields, n, at);
        if (page != NULL) {
            v &= ~covered_bits(page->fields, page->n_fields, n, at);
        }
        if (v == 0 || n_rows++ >= MAX_UNDECODED) {
            continue;
        }
        (void)hws_str_print(name, sizeof(name), "undecoded@0x%zx", at);
        (void)hws_str_print(value, sizeof(value), "0x%08" PRIx32, v);
        struct hws_reg_row row = {name, value, ""};
        sink->cb(sink->arg, &row);
    }
    if (n_rows > MAX_UNDECODED) {
        (void)hws_str_print(value, sizeof(value), "%zu", n_rows - MAX_UNDECODED);
        struct hws_reg_row row = {"undecoded_more", value, "further dwords"};
        sink->cb(sink->arg, &row);
    }
}

static void rows(const struct hws_reg_field *fields, size_t n_fields, const uint8_t *bytes,
                 size_t n, const struct hws_hca__sink *sink)
{
    for (size_t i = 0; i < n_fields; i++) {
        if (hws_hca__field_end(&fields[i]) <= n) {
            field_row(&fields[i], bytes, sink);
        }
    }
}

enum hws_code hws_hca__decode(const struct hws_reg *reg, size_t from, const uint8_t *bytes,
                              size_t n, bool short_ok, const struct hws_hca__sink *sink,
                              struct hws_err *err)
{
    if (n < reg->size_bytes && !short_ok) {
        const char *name = "the end";
        for (size_t i = reg->n_fields; i > 0; i--) {
            name = hws_hca__field_end(&reg->fields[i - 1]) > n ? reg->fields[i - 1].name : name;
        }
        return hws_err_set(err, HWS_E_PROTO, "%s: %zu of %u bytes, cut off before %s", reg->name, n,
                           reg->size_bytes, name);
    }
    const struct hws_reg_page *page = n >= reg->size_bytes ? hws_hca__page(reg, bytes) : NULL;
    rows(reg->fields, reg->n_fields, bytes, n, sink);
    if (page != NULL) {
        rows(page->fields, page->n_fields, bytes, n, sink);
    }
    undecoded_rows(reg, page, from, bytes, n, sink);
    return HWS_OK;
}

enum hws_code hws_reg_decode(const struct hws_reg *reg, const uint8_t *bytes, size_t n,
                             void (*row_cb)(void *arg, const struct hws_reg_row *row), void *arg,
                             struct hws_err *err)
{
    struct hws_hca__sink sink = {row_cb, arg};
    return hws_hca__decode(reg, 0, bytes, n, false, &sink, err);
}

uint64_t hws_reg_get(const struct hws_reg *reg, const uint8_t *bytes, const char *field)
{
    const struct hws_reg_field *f = NULL;
    for (size_t i = 0; i < reg->n_fields && f == NULL; i++) {
        f = strcmp(reg->fields[i].name, field) == 0 ? &reg->fields[i] : NULL;
    }
    if (f == NULL) {
        f = hws_hca__field(reg, bytes, field);
    }
    hws_assert(f != NULL);
    return hws_hca__field_number(f, bytes);
}

void hws_reg_put(const struct hws_reg *reg, uint8_t *bytes, const char *field, uint64_t value)
{
    const struct hws_reg_field *f = hws_hca__field(reg, bytes, field);
    hws_assert(f != NULL);
    hws_hca__field_store(f, bytes, value);
}

enum hws_code hws_reg_get_text(const struct hws_reg *reg, const uint8_t *bytes, const char *field,
                               char *dst, size_t cap, struct hws_err *err)
{
    const struct hws_reg_field *f = hws_hca__field(reg, bytes, field);
    hws_assert(f != NULL && f->kind == HWS_FIELD_STRING);
    const uint8_t *p = bytes + f->offset_bytes;
    size_t n_max = f->n_bits / 8u;
    hws_assert(n_max < cap);

    size_t n = 0;
    while (n < n_max && p[n] != 0) {
        if (!isprint(p[n]) || p[n] > 0x7E) {
            return hws_err_set(err, HWS_E_PROTO, "register %s: field %s has byte 0x%02x at %zu",
                               reg->name, field, p[n], n);
        }
        n++;
    }
    for (size_t i = n; i < n_max; i++) {
        if (p[i] != 0 && p[i] != ' ') {
            return hws_err_set(err, HWS_E_PROTO,
                               "register %s: field %s has byte 0x%02x after its end", reg->name,
                               field, p[i]);
        }
    }
    while (n > 0 && p[n - 1] == ' ') {
        n--; /* vendors pad with blanks, too */
    }
    memcpy(dst, p, n);
    dst[n] = '\0';
    return HWS_OK;
}
