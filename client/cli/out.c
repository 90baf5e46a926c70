/* What both printers share: the cells, and getting bytes out. */
#include "cli/out.h"

#include <string.h>

#include "base/assert.h"

struct hws_cell hws_cell_text(const char *text)
{
    bool none = text == NULL || text[0] == '\0';

    return (struct hws_cell){.kind = none ? HWS_CELL_NONE : HWS_CELL_TEXT, .text = text};
}

struct hws_cell hws_cell_tone(const char *text, enum hws_tone tone)
{
    struct hws_cell cell = hws_cell_text(text);

    cell.tone = tone;
    return cell;
}

struct hws_cell hws_cell_uint(uint64_t number)
{
    return (struct hws_cell){.kind = HWS_CELL_UINT, .number = number};
}

struct hws_cell hws_cell_hex(uint64_t number)
{
    return (struct hws_cell){.kind = HWS_CELL_HEX, .number = number};
}

struct hws_cell hws_cell_bool(bool value)
{
    return (struct hws_cell){.kind = HWS_CELL_BOOL, .number = value ? 1 : 0};
}

struct hws_cell hws_cell_none(void)
{
    return (struct hws_cell){.kind = HWS_CELL_NONE};
}

struct hws_cell hws_cell_json(void *json)
{
    return (struct hws_cell){.kind = json == NULL ? HWS_CELL_NONE : HWS_CELL_JSON, .json = json};
}

void hws_out_init(struct hws_out *out, bool json, FILE *file, bool colour)
{
    memset(out, 0, sizeof(*out));
    out->ops = json ? &hws_out_json : &hws_out_text;
    out->file = file;
    out->colour = colour && !json;
    hws_buf_init(&out->text, HWS_OUT_MAX_BYTES);
    hws_buf_init(&out->cells, HWS_OUT_MAX_BYTES);
}

bool hws_out_is_json(const struct hws_out *out)
{
    return out->ops == &hws_out_json;
}

bool hws_out_has_document(const struct hws_out *out)
{
    return hws_out_is_json(out) && out->root != NULL;
}

void hws_out_deinit(struct hws_out *out)
{
    if (out->ops != NULL) {
        out->ops->drop(out);
    }
    hws_buf_deinit(&out->text);
    hws_buf_deinit(&out->cells);
}

static void flush(struct hws_out *out)
{
    size_t n = hws_buf_len(&out->text);

    if (out->file == NULL || n == 0) {
        return;
    }
    bool ok = fwrite(hws_buf_peek(&out->text), 1, n, out->file) == n && fflush(out->file) == 0;
    if (!ok && out->code == HWS_OK) {
        out->code = HWS_E_IO;
    }
    hws_buf_take(&out->text, n);
}

void hws_out_begin(struct hws_out *out, const char *schema, unsigned version, bool stream)
{
    out->stream = stream;
    out->schema = schema;
    out->version = version;
    out->ops->begin(out, schema, version);
}

void hws_out_fact(struct hws_out *out, const char *key, const char *title, struct hws_cell cell)
{
    out->ops->fact(out, key, title, &cell);
}

void hws_out_table(struct hws_out *out, const char *key, const struct hws_column *columns, size_t n)
{
    hws_assert(n <= HWS_OUT_MAX_COLUMNS);
    out->ops->table(out, key, columns, n);
}

void hws_out_row(struct hws_out *out, const struct hws_cell *cells)
{
    out->ops->row(out, cells);
    if (out->stream) {
        flush(out);
    }
}

void hws_out_failure(struct hws_out *out, const char *host, const struct hws_client_status *status)
{
    out->ops->failure(out, host, status);
    if (out->stream) {
        flush(out);
    }
}

void hws_out_summary(struct hws_out *out, size_t n_ok, size_t n_failed)
{
    out->ops->summary(out, n_ok, n_failed);
}

enum hws_code hws_out_end(struct hws_out *out, struct hws_err *err)
{
    out->ops->end(out);
    flush(out);
    if (out->code == HWS_E_IO) {
        return hws_err_set(err, HWS_E_IO, "cannot write the output");
    }
    return out->code == HWS_OK ? HWS_OK : hws_err_set(err, out->code, "no memory for the output");
}
