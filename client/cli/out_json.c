/*
 * The JSON printer, by jansson: one object with "schema" and "version", facts as members, tables as
 * arrays of objects, "failures" and "summary". A stream prints an object a line, each with schema
 * and version.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/names.h"
#include "cli/out.h"

static void say_nomem(struct hws_out *out, bool failed)
{
    if (failed && out->code == HWS_OK) {
        out->code = HWS_E_NOMEM;
    }
}

static json_t *value_of(const struct hws_cell *cell)
{
    char hex[24];

    switch (cell->kind) {
    case HWS_CELL_TEXT: {
        json_t *s = json_string(cell->text);
        if (s != NULL) {
            return s;
        }
        char quoted[512]; /* not UTF-8 */
        hws_str_quote(quoted, sizeof(quoted), cell->text, strnlen(cell->text, 120));
        return json_string(quoted);
    }
    case HWS_CELL_UINT:
        /* JSON readers lose integers above 2^53. */
        if (cell->number > (UINT64_C(1) << 53)) {
            return json_sprintf("%" PRIu64, cell->number);
        }
        return json_integer((json_int_t)cell->number);
    case HWS_CELL_HEX:
        (void)hws_str_print(hex, sizeof(hex), "0x%" PRIx64, cell->number);
        return json_string(hex);
    case HWS_CELL_BOOL:
        return json_boolean(cell->number != 0);
    case HWS_CELL_JSON:
        return json_incref(cell->json);
    case HWS_CELL_NONE:
        break;
    }
    return json_null();
}

static json_t *new_document(struct hws_out *out)
{
    json_t *root = json_object();

    say_nomem(out, root == NULL);
    if (root != NULL) {
        say_nomem(out, json_object_set_new(root, "schema", json_string(out->schema)) != 0);
        say_nomem(
            out, json_object_set_new(root, "version", json_integer((json_int_t)out->version)) != 0);
    }
    return root;
}

static void json_begin(struct hws_out *out, const char *schema, unsigned version)
{
    (void)schema;
    (void)version;
    out->root = out->stream ? NULL : new_document(out);
}

static void json_fact(struct hws_out *out, const char *key, const char *title,
                      const struct hws_cell *cell)
{
    (void)title;
    if (out->root != NULL) {
        say_nomem(out, json_object_set_new(out->root, key, value_of(cell)) != 0);
    }
}

static void json_table(struct hws_out *out, const char *key, const struct hws_column *columns,
                       size_t n)
{
    out->columns = columns;
    out->n_columns = n;
    if (out->stream || out->root == NULL) {
        return;
    }
    out->array = json_array();
    if (out->array == NULL || json_object_set_new(out->root, key, out->array) != 0) {
        out->array = NULL;
        say_nomem(out, true);
    }
}

static int write_piece(const char *bytes, size_t n, void *data)
{
    return hws_buf_put(data, bytes, n) == HWS_OK ? 0 : -1;
}

static void print(struct hws_out *out, json_t *object, size_t flags)
{
    say_nomem(out, json_dump_callback(object, write_piece, &out->text, flags) != 0);
    say_nomem(out, hws_buf_put(&out->text, "\n", 1) != HWS_OK);
}

static void json_row(struct hws_out *out, const struct hws_cell *cells)
{
    json_t *row = out->stream ? new_document(out) : json_object();

    if (row == NULL) {
        say_nomem(out, true);
        return;
    }
    for (size_t c = 0; c < out->n_columns; c++) {
        say_nomem(out, json_object_set_new(row, out->columns[c].key, value_of(&cells[c])) != 0);
    }
    if (out->stream) {
        print(out, row, JSON_COMPACT);
        json_decref(row);
    } else if (out->array == NULL || json_array_append_new(out->array, row) != 0) {
        json_decref(row);
        say_nomem(out, true);
    }
}

static void json_failure(struct hws_out *out, const char *host,
                         const struct hws_client_status *status)
{
    json_t *row = out->stream ? new_document(out) : json_object();
    json_t *list = out->root == NULL ? NULL : json_object_get(out->root, "failures");

    if (row == NULL) {
        say_nomem(out, true);
        return;
    }
    say_nomem(out, json_object_set_new(row, "host", json_string(host)) != 0);
    say_nomem(out, json_object_set_new(row, "code",
                                       json_string(hws_client_code_name(status->code))) != 0);
    say_nomem(out, json_object_set_new(row, "message", json_string(status->message)) != 0);
    if (status->stage != HAWSER__V1__STAGE__STAGE_UNSPECIFIED) {
        say_nomem(
            out, json_object_set_new(row, "stage", json_string(hws_cli_stage(status->stage))) != 0);
    }
    if (status->field[0] != '\0') {
        say_nomem(out, json_object_set_new(row, "field", json_string(status->field)) != 0);
    }
    if (status->stage == HAWSER__V1__STAGE__STAGE_REJECTED) {
        const struct hws_cell delivery = hws_cell_hex(status->delivery_status);
        say_nomem(out, json_object_set_new(row, "delivery_status", value_of(&delivery)) != 0);
    }
    if (status->stage == HAWSER__V1__STAGE__STAGE_EXECUTED) {
        const struct hws_cell fw_status = hws_cell_hex(status->fw_status);
        const struct hws_cell syndrome = hws_cell_hex(status->syndrome);
        say_nomem(out, json_object_set_new(row, "fw_status", value_of(&fw_status)) != 0);
        say_nomem(out, json_object_set_new(row, "syndrome", value_of(&syndrome)) != 0);
    }
    if (out->stream) {
        print(out, row, JSON_COMPACT);
        json_decref(row);
        return;
    }
    if (list == NULL && out->root != NULL) {
        list = json_array();
        say_nomem(out, json_object_set_new(out->root, "failures", list) != 0);
    }
    say_nomem(out, json_array_append_new(list, row) != 0);
}

static void json_summary(struct hws_out *out, size_t n_ok, size_t n_failed)
{
    if (out->root != NULL) {
        json_t *s = json_pack("{s:I, s:I}", "ok", (json_int_t)n_ok, "failed", (json_int_t)n_failed);
        say_nomem(out, json_object_set_new(out->root, "summary", s) != 0);
    }
}

static void json_drop(struct hws_out *out)
{
    json_decref(out->root);
    out->root = NULL;
    out->array = NULL;
}

static void json_end(struct hws_out *out)
{
    if (out->root != NULL) {
        print(out, out->root, JSON_INDENT(2));
        json_drop(out);
    }
}

const struct hws_out_ops hws_out_json = {json_begin,   json_fact,    json_table, json_row,
                                         json_failure, json_summary, json_end,   json_drop};
