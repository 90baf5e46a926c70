/*
 * Output: commands say what there is, in facts and tables of cells; one of two printers (text,
 * JSON) says how it looks. No command formats by itself.
 *
 * A document has a schema name and version, facts (key and value), tables, and for several hosts
 * the ones that failed and a summary. It is collected and written at the end, so that a command
 * that fails prints nothing on stdout, or in JSON a document that says so. A stream document (begin
 * with stream = true; one table, no facts) writes each row as it comes: as a line of text, or as a
 * JSON object on a line.
 *
 * Text cells are copied. Errors (no memory, write) are remembered and told by hws_out_end.
 */
#ifndef HWS_CLI_OUT_H
#define HWS_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "hawser.h"

#define HWS_OUT_MAX_COLUMNS 24u
#define HWS_OUT_MAX_BYTES   ((size_t)64 * 1024 * 1024)

enum hws_cell_kind {
    HWS_CELL_NONE,
    HWS_CELL_TEXT,
    HWS_CELL_UINT,
    HWS_CELL_BOOL,
    HWS_CELL_HEX,
    HWS_CELL_JSON
};

enum hws_tone { HWS_TONE_PLAIN, HWS_TONE_GOOD, HWS_TONE_WARN, HWS_TONE_BAD };

struct hws_cell {
    enum hws_cell_kind kind;
    const char *text; /* TEXT; NULL is as NONE */
    uint64_t number;  /* UINT; BOOL: 0 or 1; HEX */
    enum hws_tone tone;
    void *json; /* JSON: json_t, borrowed; shown by the JSON printer only */
};

struct hws_column {
    const char *key;   /* in JSON */
    const char *title; /* in text; NULL: JSON only */
    int min_width;     /* in a stream */
};

struct hws_out;

struct hws_out_ops {
    void (*begin)(struct hws_out *out, const char *schema, unsigned version);
    void (*fact)(struct hws_out *out, const char *key, const char *title,
                 const struct hws_cell *cell);
    void (*table)(struct hws_out *out, const char *key, const struct hws_column *columns, size_t n);
    void (*row)(struct hws_out *out, const struct hws_cell *cells);
    void (*failure)(struct hws_out *out, const char *host, const struct hws_client_status *status);
    void (*summary)(struct hws_out *out, size_t n_ok, size_t n_failed);
    void (*end)(struct hws_out *out);  /* everything that is left goes into out->text */
    void (*drop)(struct hws_out *out); /* frees what the printer holds */
};

extern const struct hws_out_ops hws_out_text;
extern const struct hws_out_ops hws_out_json;

struct hws_out {
    const struct hws_out_ops *ops;
    FILE *file; /* borrowed; NULL: keep everything in text (tests) */
    bool colour;
    bool stream;
    struct hws_buf text; /* what is to be written */
    enum hws_code code;  /* the first failure */
    /* the text printer's */
    const struct hws_column *columns; /* borrowed from table() */
    size_t n_columns;
    struct hws_buf cells; /* of the table: tone byte, text, NUL each */
    size_t n_rows;
    bool wrote;  /* a blank line is due before the next table */
    bool titles; /* of the stream's table are out */
    /* the JSON printer's */
    void *root;  /* json_t, owned */
    void *array; /* json_t, borrowed from root: the present table */
    const char *schema;
    unsigned version;
};

/* file may be NULL. */
void hws_out_init(struct hws_out *out, bool json, FILE *file, bool colour);

/* True when everything goes into a JSON document, nothing to be read by people. */
bool hws_out_is_json(const struct hws_out *out);

/* True when a JSON document has been begun that is no stream: a failure can be told in it. */
bool hws_out_has_document(const struct hws_out *out);
void hws_out_deinit(struct hws_out *out);

void hws_out_begin(struct hws_out *out, const char *schema, unsigned version, bool stream);
void hws_out_fact(struct hws_out *out, const char *key, const char *title, struct hws_cell cell);
void hws_out_table(struct hws_out *out, const char *key, const struct hws_column *columns,
                   size_t n);
void hws_out_row(struct hws_out *out, const struct hws_cell *cells);
void hws_out_failure(struct hws_out *out, const char *host, const struct hws_client_status *status);
void hws_out_summary(struct hws_out *out, size_t n_ok, size_t n_failed);

/* Writes what is left and flushes. HWS_E_NOMEM, HWS_E_IO. */
enum hws_code hws_out_end(struct hws_out *out, struct hws_err *err) HWS_MUST_USE;

/* For cells. */
struct hws_cell hws_cell_text(const char *text);
struct hws_cell hws_cell_tone(const char *text, enum hws_tone tone);
struct hws_cell hws_cell_uint(uint64_t number);
struct hws_cell hws_cell_hex(uint64_t number);
struct hws_cell hws_cell_bool(bool value);
struct hws_cell hws_cell_none(void);
struct hws_cell hws_cell_json(void *json); /* NULL is as none */

#endif
