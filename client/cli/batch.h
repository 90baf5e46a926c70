/*
 * A file of JSON objects, one a line: what --batch reads. Lines are read one by one; an empty line
 * is skipped. One reader has one line at a time. Who has other things to wait for asks
 * hws_cli_batch_ready first: then nothing here blocks.
 */
#ifndef HWS_CLI_BATCH_H
#define HWS_CLI_BATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* An inbox of 2 MiB in hex, and more. */
#define HWS_CLI_BATCH_LINE_BYTES  ((size_t)5 * 1024 * 1024)
#define HWS_CLI_BATCH_CHUNK_BYTES 65536u

struct hws_cli_batch {
    const char *path; /* borrowed: for messages */
    int fd;           /* owned unless it is standard input */
    char chunk[HWS_CLI_BATCH_CHUNK_BYTES];
    size_t chunk_at; /* what of the chunk has been taken */
    size_t chunk_n;
    bool over;           /* the end was read, or reading failed */
    int error;           /* errno of a read that failed; 0 = none */
    struct hws_buf text; /* the line that is gathered, without its end */
    bool any;            /* something of that line has been read */
    bool whole;          /* and its end */
    bool too_long;       /* and it does not fit */
    size_t n_line;       /* of the present line, from 1 */
    json_t *line;        /* owned: the present line; NULL where it is no object */
};

/* "-" is standard input. HWS_E_NOT_FOUND, HWS_E_DENIED, HWS_E_INVALID (a folder), HWS_E_IO naming
 * the file. */
enum hws_code hws_cli_batch_open(struct hws_cli_batch *b, const char *path, struct hws_err *err)
    HWS_MUST_USE;

/* True if hws_cli_batch_next would not wait for input: reads what there is. */
bool hws_cli_batch_ready(struct hws_cli_batch *b);

/*
 * Reads the next line. False at the end. True with HWS_OK in *code, or with HWS_E_INVALID and *err:
 * that line is no JSON object, has a key twice, or is too long; the next call goes on after it.
 */
bool hws_cli_batch_next(struct hws_cli_batch *b, enum hws_code *code, struct hws_err *err);

/* After the end: HWS_E_IO naming the file if it was not the file's end but a read that failed. */
enum hws_code hws_cli_batch_ended(const struct hws_cli_batch *b, struct hws_err *err) HWS_MUST_USE;

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
