/*
 * The text printer: facts as "title: value", tables with columns as wide as their widest cell,
 * failed hosts as one line each. Cells of a table wait in out->cells until the table ends.
 */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "cli/out.h"

#define CELL_TEXT_BYTES 32
#define SGR_RESET       "\x1b[0m"
#define SGR_BOLD        "\x1b[1m"

static const char *colour_of(int tone)
{
    switch (tone) {
    case HWS_TONE_GOOD:
        return "\x1b[32m";
    case HWS_TONE_WARN:
        return "\x1b[33m";
    case HWS_TONE_BAD:
        return "\x1b[31m";
    default:
        return "";
    }
}

static void say(struct hws_out *out, enum hws_code code)
{
    if (code != HWS_OK && out->code == HWS_OK) {
        out->code = code;
    }
}

/* The cell's text; numbers are written into room. */
static const char *text_of(const struct hws_cell *cell, char *room)
{
    switch (cell->kind) {
    case HWS_CELL_TEXT:
        return cell->text;
    case HWS_CELL_UINT:
        (void)hws_str_print(room, CELL_TEXT_BYTES, "%" PRIu64, cell->number);
        return room;
    case HWS_CELL_HEX:
        (void)hws_str_print(room, CELL_TEXT_BYTES, "0x%" PRIx64, cell->number);
        return room;
    case HWS_CELL_BOOL:
        return cell->number != 0 ? "yes" : "no";
    case HWS_CELL_JSON:
    case HWS_CELL_NONE:
        break;
    }
    return "-";
}

/* Columns a text takes: one for each UTF-8 character. */
static size_t width_of(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++) {
        n += ((unsigned char)*s & 0xc0) != 0x80 ? 1 : 0;
    }
    return n;
}

/* One cell of a line: padded unless it is the last. */
static void put_cell(struct hws_out *out, const char *text, const char *colour, size_t width,
                     bool last)
{
    size_t n = width_of(text);
    bool paint = out->colour && colour[0] != '\0';

    say(out,
        hws_buf_printf(&out->text, "%s%s%s", paint ? colour : "", text, paint ? SGR_RESET : ""));
    if (!last) {
        say(out, hws_buf_printf(&out->text, "%*s", (int)(width > n ? width - n : 0) + 2, ""));
    }
}

static size_t last_shown(const struct hws_out *out)
{
    size_t last = 0;

    for (size_t c = 0; c < out->n_columns; c++) {
        last = out->columns[c].title != NULL ? c : last;
    }
    return last;
}

static void put_titles(struct hws_out *out, const size_t *widths)
{
    for (size_t c = 0; c < out->n_columns; c++) {
        if (out->columns[c].title != NULL) {
            put_cell(out, out->columns[c].title, SGR_BOLD, widths[c], c == last_shown(out));
        }
    }
    say(out, hws_buf_put(&out->text, "\n", 1));
}

/* Walks the waiting cells: fn for each, with its column. */
static void each_cell(struct hws_out *out, size_t *widths, bool put)
{
    const char *p = (const char *)hws_buf_peek(&out->cells);
    const char *end = p + hws_buf_len(&out->cells);
    size_t last = last_shown(out);

    for (size_t c = 0; p < end; c = c + 1 == out->n_columns ? 0 : c + 1) {
        const char *text = p + 1;
        bool shown = out->columns[c].title != NULL;
        if (shown && put) {
            put_cell(out, text, colour_of(*p), widths[c], c == last);
        } else if (shown && width_of(text) > widths[c]) {
            widths[c] = width_of(text);
        }
        if (put && c + 1 == out->n_columns) {
            say(out, hws_buf_put(&out->text, "\n", 1));
        }
        p = text + strlen(text) + 1;
    }
}

static void flush_table(struct hws_out *out)
{
    size_t widths[HWS_OUT_MAX_COLUMNS] = {0};

    if (out->columns == NULL || out->stream) {
        return;
    }
    if (out->n_rows > 0) {
        for (size_t c = 0; c < out->n_columns; c++) {
            widths[c] = out->columns[c].title != NULL ? width_of(out->columns[c].title) : 0;
        }
        if (out->wrote) {
            say(out, hws_buf_put(&out->text, "\n", 1));
        }
        each_cell(out, widths, false);
        put_titles(out, widths);
        each_cell(out, widths, true);
        out->wrote = true;
    }
    hws_buf_reset(&out->cells);
    out->columns = NULL;
    out->n_rows = 0;
}

/* A document that found nothing shows the titles of what it looked for. */
static void end_tables(struct hws_out *out)
{
    size_t widths[HWS_OUT_MAX_COLUMNS] = {0};

    for (size_t c = 0; out->columns != NULL && c < out->n_columns; c++) {
        const struct hws_column *column = &out->columns[c];
        widths[c] = out->stream             ? (size_t)column->min_width
                    : column->title != NULL ? width_of(column->title)
                                            : 0;
    }
    if (out->columns != NULL && out->n_rows == 0 && !out->titles && !out->wrote) {
        put_titles(out, widths);
        out->titles = true;
    }
    flush_table(out);
}

static void text_begin(struct hws_out *out, const char *schema, unsigned version)
{
    (void)out;
    (void)schema;
    (void)version;
}

static void text_fact(struct hws_out *out, const char *key, const char *title,
                      const struct hws_cell *cell)
{
    char room[CELL_TEXT_BYTES];

    (void)key;
    if (title == NULL) {
        return;
    }
    flush_table(out);
    say(out, hws_buf_printf(&out->text, "%-16s ", title));
    put_cell(out, text_of(cell, room), colour_of((int)cell->tone), 0, true);
    say(out, hws_buf_put(&out->text, "\n", 1));
    out->wrote = true;
}

static void text_table(struct hws_out *out, const char *key, const struct hws_column *columns,
                       size_t n)
{
    (void)key;
    flush_table(out);
    out->columns = columns;
    out->n_columns = n;
    out->n_rows = 0;
    out->titles = false;
}

static void stream_row(struct hws_out *out, const struct hws_cell *cells)
{
    size_t widths[HWS_OUT_MAX_COLUMNS] = {0};
    size_t last = last_shown(out);

    for (size_t c = 0; c < out->n_columns; c++) {
        widths[c] = (size_t)out->columns[c].min_width;
    }
    if (!out->titles) {
        put_titles(out, widths);
        out->titles = true;
    }
    for (size_t c = 0; c < out->n_columns; c++) {
        char room[CELL_TEXT_BYTES];
        if (out->columns[c].title != NULL) {
            put_cell(out, text_of(&cells[c], room), colour_of((int)cells[c].tone), widths[c],
                     c == last);
        }
    }
    say(out, hws_buf_put(&out->text, "\n", 1));
}

static void text_row(struct hws_out *out, const struct hws_cell *cells)
{
    if (out->stream) {
        stream_row(out, cells);
        return;
    }
    for (size_t c = 0; c < out->n_columns; c++) {
        char room[CELL_TEXT_BYTES];
        const char *text = text_of(&cells[c], room);
        uint8_t tone = (uint8_t)cells[c].tone;
        say(out, hws_buf_put(&out->cells, &tone, 1));
        say(out, hws_buf_put(&out->cells, text, strlen(text) + 1));
    }
    out->n_rows++;
}

static void text_failure(struct hws_out *out, const char *host,
                         const struct hws_client_status *status)
{
    flush_table(out);
    say(out, hws_buf_printf(&out->text, "%s  ", host));
    put_cell(out, hws_client_code_name(status->code), colour_of(HWS_TONE_BAD), 0, true);
    say(out, hws_buf_printf(&out->text, "  %s", status->message));
    if (status->stage == HAWSER__V1__STAGE__STAGE_EXECUTED) {
        say(out, hws_buf_printf(&out->text, " (status 0x%x, syndrome 0x%x)", status->fw_status,
                                status->syndrome));
    }
    say(out, hws_buf_put(&out->text, "\n", 1));
    out->wrote = true;
}

static void text_summary(struct hws_out *out, size_t n_ok, size_t n_failed)
{
    end_tables(out);
    say(out, hws_buf_printf(&out->text, "%zu ok, %zu failed\n", n_ok, n_failed));
}

static void text_end(struct hws_out *out)
{
    end_tables(out);
}

static void text_drop(struct hws_out *out)
{
    (void)out;
}

const struct hws_out_ops hws_out_text = {text_begin,   text_fact,    text_table, text_row,
                                         text_failure, text_summary, text_end,   text_drop};
