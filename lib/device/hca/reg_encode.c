/*
 * Named fields to register bytes.
 *
 * Happy path: into a copy, first the header's fields (they select the page), then the page's; then
 * the copy goes out. Failures: a name the layout lacks, a name twice, a value that does not fit, a
 * field a read may not set.
 */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/str.h"
#include "hca/reg.h"
#include "hca/reg_priv.h"

static const struct hws_reg_field *find(const struct hws_reg_field *fields, size_t n,
                                        const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

static void list_fields(const struct hws_reg_field *fields, size_t n, bool write, char *dst,
                        size_t cap)
{
    size_t used = strlen(dst);
    for (size_t i = 0; i < n; i++) {
        if (!write && fields[i].kind != HWS_FIELD_INDEX) {
            continue;
        }
        const char *sep = used > 0 ? ", " : "";
        if (!hws_str_print(dst + used, cap - used, "%s%s", sep, fields[i].name)) {
            return;
        }
        used += strlen(sep) + strlen(fields[i].name);
    }
}

static enum hws_code refuse_name(const struct hws_reg *reg, const struct hws_reg_page *page,
                                 bool write, const char *name, struct hws_err *err)
{
    char allowed[HWS_ERR_MSG_BYTES - 60] = "";
    char quoted[48];

    list_fields(reg->fields, reg->n_fields, write, allowed, sizeof(allowed));
    if (page != NULL) {
        list_fields(page->fields, page->n_fields, write, allowed, sizeof(allowed));
    }
    hws_str_quote(quoted, sizeof(quoted), name, strlen(name));
    return hws_err_set(err, HWS_E_INVALID, "register %s: no field %s to %s; allowed: %s", reg->name,
                       quoted, write ? "write" : "read by", allowed[0] ? allowed : "none");
}

static enum hws_code parse_number(const struct hws_reg *reg, const struct hws_reg_field *f,
                                  const char *text, uint64_t *out, struct hws_err *err)
{
    uint64_t max = f->n_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << f->n_bits) - 1;
    bool negative = f->kind == HWS_FIELD_SINT && text[0] == '-';

    if (hws_hca__value_of(f->enumeration, text, out)) {
        *out = f->kind == HWS_FIELD_BITMAP ? UINT64_C(1) << *out : *out;
        return HWS_OK;
    }
    uint64_t limit = f->kind == HWS_FIELD_SINT ? (max >> 1) + negative : max;
    if (hws_str_to_u64(text + negative, limit, out, NULL) != HWS_OK) {
        return hws_err_set(err, HWS_E_INVALID, "register %s: field %s: allowed is %s%" PRIu64,
                           reg->name, f->name, f->kind == HWS_FIELD_SINT ? "up to +/-" : "0..",
                           limit);
    }
    *out = negative ? (0 - *out) & max : *out;
    return HWS_OK;
}

static enum hws_code set_field(const struct hws_reg *reg, const struct hws_reg_field *f,
                               const char *text, uint8_t *bytes, struct hws_err *err)
{
    size_t n = f->n_bits / 8u;
    uint64_t v = 0;

    if (f->kind == HWS_FIELD_STRING) {
        size_t len = strnlen(text, n + 1);
        if (len > n) {
            return hws_err_set(err, HWS_E_INVALID, "register %s: field %s: at most %zu characters",
                               reg->name, f->name, n);
        }
        memset(bytes + f->offset_bytes, 0, n);
        memcpy(bytes + f->offset_bytes, text, len);
        return HWS_OK;
    }
    if (f->n_bits > 64) {
        uint8_t raw[HWS_REG_MAX_BYTES];
        size_t got = 0;
        hws_assert(n <= sizeof(raw));
        if (hws_hex_decode(text, raw, n, &got) != HWS_OK) {
            return hws_err_set(err, HWS_E_INVALID, "register %s: field %s: at most %zu hex digits",
                               reg->name, f->name, 2 * n);
        }
        memset(bytes + f->offset_bytes, 0, n);
        memcpy(bytes + f->offset_bytes, raw, got);
        return HWS_OK;
    }
    enum hws_code rc = parse_number(reg, f, text, &v, err);
    if (rc == HWS_OK) {
        hws_hca__field_store(f, bytes, v);
    }
    return rc;
}

static bool given_before(const struct hws_reg_assign *fields, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcasecmp(fields[k].name, fields[i].name) == 0) {
            return true;
        }
    }
    return false;
}

enum hws_code hws_reg_encode(const struct hws_reg *reg, bool write,
                             const struct hws_reg_assign *fields, size_t n_fields, uint8_t *bytes,
                             size_t n, struct hws_err *err)
{
    uint8_t copy[HWS_REG_MAX_BYTES];
    hws_assert(n >= reg->size_bytes && reg->size_bytes <= sizeof(copy));
    memcpy(copy, bytes, reg->size_bytes);

    for (size_t i = 0; i < n_fields; i++) {
        if (given_before(fields, i)) {
            return hws_err_set(err, HWS_E_INVALID, "register %s: a field is given twice",
                               reg->name);
        }
        const struct hws_reg_field *f = find(reg->fields, reg->n_fields, fields[i].name);
        if (f == NULL || (!write && f->kind != HWS_FIELD_INDEX)) {
            continue; /* a page's, or refused below */
        }
        enum hws_code rc = set_field(reg, f, fields[i].value, copy, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    const struct hws_reg_page *page = hws_hca__page(reg, copy);
    for (size_t i = 0; i < n_fields; i++) {
        const struct hws_reg_field *f = find(reg->fields, reg->n_fields, fields[i].name);
        bool header = f != NULL;
        if (!header && page != NULL) {
            f = find(page->fields, page->n_fields, fields[i].name);
        }
        if (f == NULL || (!write && f->kind != HWS_FIELD_INDEX)) {
            return refuse_name(reg, page, write, fields[i].name, err);
        }
        enum hws_code rc = header ? HWS_OK : set_field(reg, f, fields[i].value, copy, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    memcpy(bytes, copy, reg->size_bytes);
    return HWS_OK;
}
