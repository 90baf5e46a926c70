/*
 * A file of JSON objects, one a line: what --batch reads. Lines are read one by one; an empty line
 * is skipped. One reader has one line at a time.
 */
#ifndef HWS_CLI_BATCH_H
#define HWS_CLI_BATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

#define HWS_CLI_BATCH_LINE_BYTES                                                                   \
    ((size_t)5 * 1024 * 1024) /* an inbox of 2 MiB in hex, and more                                \
                               */

struct hws_cli_batch {
    FILE *file;          /* owned unless it is standard input */
    struct hws_buf text; /* the present line, without its end */
    size_t n_line;       /* of the present line, from 1 */
    json_t *line;        /* owned: the present line; NULL where it is no object */
};

/* "-" is standard input. HWS_E_NOT_FOUND, HWS_E_DENIED, HWS_E_IO naming the file. */
enum hws_code hws_cli_batch_open(struct hws_cli_batch *b, const char *path, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Reads the next line. False at the end. True with HWS_OK in *code, or with HWS_E_INVALID and *err:
 * that line is no JSON object, has a key twice, or is too long; the next call goes on after it.
 */
bool hws_cli_batch_next(struct hws_cli_batch *b, enum hws_code *code, struct hws_err *err);

/* Closes; accepts a zeroed one. */
void hws_cli_batch_close(struct hws_cli_batch *b);

/* A key of a table of allowed ones: its value's kind. */
struct hws_cli_batch_key {
    const char *key;
    json_type type; /* JSON_TRUE stands for either truth value */
};

/* HWS_E_INVALID naming the key that is unknown or of another type, and what is allowed. */
enum hws_code hws_cli_batch_check(json_t *line, const struct hws_cli_batch_key *keys, size_t n_keys,
                                  struct hws_err *err) HWS_MUST_USE;

#endif
