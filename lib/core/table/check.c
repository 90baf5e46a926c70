/* Whether an inbox suits its row: lengths, and the bits of fields.def. */
#include "base/bits.h"
#include "base/str.h"
#include "table/table.h"
#include "table/table_priv.h"

struct field {
    const char *name;
    enum hws_reg_method method;
    size_t offset;
    uint32_t mask;
    uint32_t value;
    const char *reason;
};

#define HWS_FIELD(name, method, offset, mask, value, reason)                                       \
    {#name, HWS_REG_##method, (offset), (mask), (value), (reason)},
static const struct field fields[] = {
#include "table/fields.def"
};
#undef HWS_FIELD

#define N_FIELDS (sizeof fields / sizeof fields[0])

enum hws_code hws_table_check_lengths(const struct hws_table_row *row, size_t in_bytes,
                                      size_t out_cap, struct hws_err *err)
{
    if (in_bytes < row->in_min_bytes || in_bytes > row->in_max_bytes) {
        return hws_err_set(err, HWS_E_INVALID, "%s%s%s: inbox of %zu bytes, allowed are %u..%u",
                           row->name, row->method == HWS_REG_NONE ? "" : " ",
                           hws_reg_method_name(row->method), in_bytes, row->in_min_bytes,
                           row->in_max_bytes);
    }
    if (out_cap < row->out_min_bytes || out_cap > row->out_max_bytes) {
        return hws_err_set(err, HWS_E_INVALID, "%s%s%s: outbox of %zu bytes, allowed are %u..%u",
                           row->name, row->method == HWS_REG_NONE ? "" : " ",
                           hws_reg_method_name(row->method), out_cap, row->out_min_bytes,
                           row->out_max_bytes);
    }
    return HWS_OK;
}

/* The dword at offset; bytes beyond the inbox are zero, as the card reads them. */
static uint32_t dword(const uint8_t *in, size_t n, size_t offset)
{
    uint8_t bytes[4] = {0};

    for (size_t i = 0; i < sizeof bytes && offset + i < n; i++) {
        bytes[i] = in[offset + i];
    }
    return hws_load_be32(bytes);
}

enum hws_code hws_table_check_fields(const struct hws_table_row *row, const uint8_t *in, size_t n,
                                     struct hws_err *err)
{
    for (size_t i = 0; i < N_FIELDS; i++) {
        const struct field *f = &fields[i];

        if (f->method == row->method && hws_str_eq(f->name, row->name) &&
            (dword(in, n, f->offset) & f->mask) != f->value) {
            return hws_err_set(err, HWS_E_DENIED, "%s%s%s: %s", row->name,
                               row->method == HWS_REG_NONE ? "" : " ",
                               hws_reg_method_name(row->method), f->reason);
        }
    }
    return HWS_OK;
}

enum hws_code hws_table__fields_text(struct hws_buf *out)
{
    enum hws_code code = HWS_OK;

    for (size_t i = 0; i < N_FIELDS && code == HWS_OK; i++) {
        const struct field *f = &fields[i];

        code =
            hws_buf_printf(out, "mlx5 %s method=%s offset=0x%02zx mask=0x%08x value=0x%08x\n",
                           f->name, hws_reg_method_name(f->method), f->offset, f->mask, f->value);
    }
    return code;
}
