/* JSON lines in. */
#include "cli/batch.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

enum hws_code hws_cli_batch_open(struct hws_cli_batch *b, const char *path, struct hws_err *err)
{
    memset(b, 0, sizeof(*b));
    hws_buf_init(&b->text, HWS_CLI_BATCH_LINE_BYTES);
    b->file = hws_str_eq(path, "-") ? stdin : fopen(path, "re");
    if (b->file != NULL) {
        return HWS_OK;
    }
    return hws_err_set(err,
                       errno == ENOENT   ? HWS_E_NOT_FOUND
                       : errno == EACCES ? HWS_E_DENIED
                                         : HWS_E_IO,
                       "--batch %.160s: %s", path, strerror(errno));
}

/* One line into b->text; what is too long is read to its end and said so. False at the end. */
static bool read_line(struct hws_cli_batch *b, enum hws_code *code)
{
    char piece[4096];
    size_t n = 0;
    bool any = false;
    int c;

    hws_buf_reset(&b->text);
    *code = HWS_OK;
    while ((c = getc(b->file)) != EOF) {
        any = true;
        if (c == '\n') {
            break;
        }
        piece[n++] = (char)c;
        if (n == sizeof(piece)) {
            *code = *code == HWS_OK ? hws_buf_put(&b->text, piece, n) : *code;
            n = 0;
        }
    }
    *code = *code == HWS_OK ? hws_buf_put(&b->text, piece, n) : *code;
    return any;
}

static bool is_blank(const struct hws_buf *line)
{
    const uint8_t *text = hws_buf_peek(line);

    for (size_t i = 0; i < hws_buf_len(line); i++) {
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') {
            return false;
        }
    }
    return true;
}

static enum hws_code parse(struct hws_cli_batch *b, struct hws_err *err)
{
    json_error_t why;

    b->line = json_loadb((const char *)hws_buf_peek(&b->text), hws_buf_len(&b->text),
                         JSON_REJECT_DUPLICATES, &why);
    if (b->line == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "line %zu: %.160s", b->n_line, why.text);
    }
    if (json_is_object(b->line)) {
        return HWS_OK;
    }
    json_decref(b->line);
    b->line = NULL;
    return hws_err_set(err, HWS_E_INVALID, "line %zu: a JSON object was expected", b->n_line);
}

bool hws_cli_batch_next(struct hws_cli_batch *b, enum hws_code *code, struct hws_err *err)
{
    enum hws_code read;

    json_decref(b->line);
    b->line = NULL;
    do {
        if (!read_line(b, &read)) {
            return false;
        }
        b->n_line++;
    } while (read == HWS_OK && is_blank(&b->text));
    *code = read == HWS_OK ? parse(b, err)
                           : hws_err_set(err, HWS_E_INVALID, "line %zu: longer than %zu bytes",
                                         b->n_line, HWS_CLI_BATCH_LINE_BYTES);
    return true;
}

void hws_cli_batch_close(struct hws_cli_batch *b)
{
    json_decref(b->line);
    hws_buf_deinit(&b->text);
    if (b->file != NULL && b->file != stdin) {
        (void)fclose(b->file);
    }
    memset(b, 0, sizeof(*b));
}

static bool is_type(const json_t *value, json_type type)
{
    return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

static const char *type_name(json_type type)
{
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        break;
    }
    return "null";
}

static enum hws_code unknown_key(const char *key, const struct hws_cli_batch_key *keys,
                                 size_t n_keys, struct hws_err *err)
{
    char known[192] = "";

    for (size_t i = 0; i < n_keys; i++) {
        size_t n = strlen(known);
        (void)hws_str_print(known + n, sizeof(known) - n, "%s%s", i == 0 ? "" : ", ", keys[i].key);
    }
    return hws_err_set(err, HWS_E_INVALID, "unknown key \"%.40s\"; known are %s", key, known);
}

enum hws_code hws_cli_batch_check(json_t *line, const struct hws_cli_batch_key *keys, size_t n_keys,
                                  struct hws_err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(line, key, value)
    {
        size_t i = 0;
        while (i < n_keys && !hws_str_eq(keys[i].key, key)) {
            i++;
        }
        if (i == n_keys) {
            return unknown_key(key, keys, n_keys, err);
        }
        if (!is_type(value, keys[i].type)) {
            return hws_err_set(err, HWS_E_INVALID, "%s: %s was expected", key,
                               type_name(keys[i].type));
        }
    }
    return HWS_OK;
}
