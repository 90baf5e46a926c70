/* JSON lines in. */
#include "cli/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

/* ---- lines ----------------------------------------------------------------------------------- */

static enum hws_code cannot(const char *path, int error, struct hws_err *err)
{
    return hws_err_set(err,
                       error == ENOENT   ? HWS_E_NOT_FOUND
                       : error == EACCES ? HWS_E_DENIED
                       : error == EISDIR ? HWS_E_INVALID
                                         : HWS_E_IO,
                       "--batch %.160s: %s", path, strerror(error));
}

enum hws_code hws_cli_batch_open(struct hws_cli_batch *b, const char *path, struct hws_err *err)
{
    struct stat st;

    memset(b, 0, sizeof(*b));
    hws_buf_init(&b->text, HWS_CLI_BATCH_LINE_BYTES);
    b->path = path;
    b->fd = hws_str_eq(path, "-") ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (b->fd < 0) {
        int error = errno;
        b->fd = STDIN_FILENO; /* nothing to close */
        return cannot(path, error, err);
    }
    if (fstat(b->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        hws_cli_batch_close(b);
        return cannot(path, EISDIR, err);
    }
    return HWS_OK;
}

static bool readable(const struct hws_cli_batch *b, bool wait)
{
    struct pollfd p = {.fd = b->fd, .events = POLLIN};

    return poll(&p, 1, wait ? -1 : 0) > 0;
}

static void read_chunk(struct hws_cli_batch *b)
{
    ssize_t n = read(b->fd, b->chunk, sizeof(b->chunk));

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    b->error = n < 0 ? errno : 0;
    b->over = n <= 0;
    b->chunk_at = 0;
    b->chunk_n = n > 0 ? (size_t)n : 0;
}

/* Moves the chunk's bytes into the line, up to the line's end. What is too long is dropped. */
static void take_chunk(struct hws_cli_batch *b)
{
    const char *from = b->chunk + b->chunk_at;
    size_t left = b->chunk_n - b->chunk_at;
    const char *end = memchr(from, '\n', left);
    size_t n = end == NULL ? left : (size_t)(end - from);

    b->any = true;
    b->whole = end != NULL;
    b->too_long = b->too_long || hws_buf_put(&b->text, from, n) != HWS_OK;
    b->chunk_at += n + (end != NULL ? 1 : 0);
}

/* True when there is a line, or the end. */
static bool gather(struct hws_cli_batch *b, bool wait)
{
    while (!b->whole && !b->over) {
        if (b->chunk_at < b->chunk_n) {
            take_chunk(b);
        } else if (readable(b, wait)) {
            read_chunk(b);
        } else if (!wait) {
            return false;
        }
    }
    return true;
}

bool hws_cli_batch_ready(struct hws_cli_batch *b)
{
    return gather(b, false);
}

static void next_line(struct hws_cli_batch *b)
{
    hws_buf_reset(&b->text);
    b->any = false;
    b->whole = false;
    b->too_long = false;
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
    json_decref(b->line);
    b->line = NULL;
    while (gather(b, true) && b->any) {
        b->n_line++;
        if (b->too_long) {
            *code = hws_err_set(err, HWS_E_INVALID, "line %zu: longer than %zu bytes", b->n_line,
                                HWS_CLI_BATCH_LINE_BYTES);
        } else if (!is_blank(&b->text)) {
            *code = parse(b, err);
        } else {
            next_line(b);
            continue;
        }
        next_line(b);
        return true;
    }
    return false;
}

enum hws_code hws_cli_batch_ended(const struct hws_cli_batch *b, struct hws_err *err)
{
    return b->error == 0 ? HWS_OK : cannot(b->path, b->error, err);
}

void hws_cli_batch_close(struct hws_cli_batch *b)
{
    json_decref(b->line);
    hws_buf_deinit(&b->text);
    if (b->fd > STDIN_FILENO) {
        (void)close(b->fd);
    }
    memset(b, 0, sizeof(*b));
}

/* ---- keys ------------------------------------------------------------------------------------ */

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
    char known[256] = "";

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
