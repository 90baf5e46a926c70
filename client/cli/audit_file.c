/* Reading and writing files of audit lines. */
#include "cli/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"

/* One walk over a file's lines. */
struct lines {
    FILE *file;
    const char *path;
    char *text; /* owned; HWS_LINE_MAX_BYTES + 2 */
    size_t n;   /* of the line, without its newline */
    uint64_t number;
};

static enum hws_code open_lines(struct lines *l, const char *path, struct hws_err *err)
{
    memset(l, 0, sizeof(*l));
    l->path = path;
    l->file = fopen(path, "re");
    if (l->file == NULL) {
        return hws_err_set(err, errno == ENOENT ? HWS_E_NOT_FOUND : HWS_E_IO, "%s: %s", path,
                           strerror(errno));
    }
    l->text = hws_mem_alloc(HWS_LINE_MAX_BYTES + 2);
    if (l->text == NULL) {
        (void)fclose(l->file);
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    return HWS_OK;
}

static void close_lines(struct lines *l)
{
    (void)fclose(l->file);
    hws_mem_free(l->text);
}

/* The next line; false at the end. A line that is too long, holds a NUL or lacks its newline reads
 * as none of ours. */
static bool next_line(struct lines *l)
{
    int c = 0;

    hws_assert(l->text != NULL);
    if (fgets(l->text, HWS_LINE_MAX_BYTES + 2, l->file) == NULL) {
        return false;
    }
    l->number++;
    l->n = strlen(l->text);
    if (l->n > 0 && l->text[l->n - 1] == '\n') {
        l->text[--l->n] = '\0';
        return true;
    }
    while (l->n == HWS_LINE_MAX_BYTES + 1 && c != EOF && c != '\n') {
        c = fgetc(l->file);
    }
    (void)hws_str_copy(l->text, HWS_LINE_MAX_BYTES + 2, "?");
    l->n = 1;
    return true;
}

bool hws_audit_file_is_database(const char *path)
{
    char head[16] = "";
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return false;
    }
    size_t n = fread(head, 1, sizeof(head), file);
    (void)fclose(file);
    return n == sizeof(head) && memcmp(head, "SQLite format 3", sizeof(head)) == 0;
}

/* Keys and checkpoints, which may stand anywhere among the records; *out_horizon is the first one's
 * if it stands before them, else 0. Lines that are no lines are the second walk's. */
static enum hws_code take_signed(struct lines *l, struct hws_log_check *c, uint64_t *out_horizon,
                                 struct hws_err *err)
{
    enum hws_code rc = HWS_OK;
    bool begun = false;

    while (rc == HWS_OK && next_line(l)) {
        struct hws_line line;
        if (hws_line_is_record(l->text, l->n)) {
            begun = true; /* by far the most lines */
            continue;
        }
        if (hws_line_read(l->text, l->n, &line, NULL) != HWS_OK) {
            continue;
        }
        begun = begun || line.kind == HWS_LINE_GAP;
        if (line.kind == HWS_LINE_KEY) {
            rc = hws_log_check_key(c, &line.u.key, err);
        } else if (line.kind == HWS_LINE_CHECKPOINT) {
            rc = hws_log_check_checkpoint(c, &line.u.checkpoint, err);
            if (!begun && *out_horizon == 0) {
                *out_horizon = line.u.checkpoint.horizon_seq;
            }
        }
    }
    return rc;
}

static enum hws_code take_record(struct lines *l, struct hws_log_check *c, struct hws_err *err)
{
    struct hws_line line;

    if (hws_line_read(l->text, l->n, &line, err) != HWS_OK) {
        return hws_log_check_malformed(c, 0, err);
    }
    if (line.kind == HWS_LINE_RECORD) {
        return hws_log_check_record(c, &line.u.record, err);
    }
    if (line.kind == HWS_LINE_GAP) {
        return hws_log_check_gap(c, line.u.gap.first, line.u.gap.last, err);
    }
    return HWS_OK;
}

enum hws_code hws_audit_file_check(const char *path, uint64_t after,
                                   const struct hws_checkpoint *pin, struct hws_log_check *c,
                                   struct hws_err *err)
{
    struct lines l;
    uint64_t horizon = 0;
    enum hws_code rc = open_lines(&l, path, err);

    if (rc != HWS_OK) {
        return rc;
    }
    rc = take_signed(&l, c, &horizon, err);
    if (rc == HWS_OK && pin != NULL) {
        rc = hws_log_check_pin(c, pin, err);
    }
    if (rc == HWS_OK) {
        rc = hws_log_check_begin_at(c, after != 0 ? after + 1 : horizon, err);
    }
    rewind(l.file);
    while (rc == HWS_OK && next_line(&l)) {
        rc = take_record(&l, c, err);
    }
    if (rc == HWS_OK && ferror(l.file) != 0) {
        rc = hws_err_set(err, HWS_E_IO, "%s: cannot be read", path);
    }
    close_lines(&l);
    return rc == HWS_OK ? hws_log_check_end(c, err) : rc;
}

enum hws_code hws_audit_file_checkpoint(const char *path, struct hws_checkpoint *out,
                                        struct hws_err *err)
{
    struct lines l;
    bool found = false;
    enum hws_code rc = open_lines(&l, path, err);

    if (rc != HWS_OK) {
        return rc;
    }
    while (rc == HWS_OK && next_line(&l)) {
        struct hws_line line;
        rc = hws_line_read(l.text, l.n, &line, err);
        if (rc != HWS_OK) {
            (void)hws_err_wrap(err, "%.200s:%" PRIu64, path, l.number);
        } else if (line.kind == HWS_LINE_CHECKPOINT) {
            *out = line.u.checkpoint;
            found = true;
        }
    }
    close_lines(&l);
    if (rc == HWS_OK && !found) {
        rc = hws_err_set(err, HWS_E_PROTO, "%s: there is no checkpoint in it", path);
    }
    return rc;
}

enum hws_code hws_audit_file_write(const char *path, const void *bytes, size_t n,
                                   struct hws_err *err)
{
    char temp[1088];

    if (!hws_str_print(temp, sizeof(temp), "%s.new", path)) {
        return hws_err_set(err, HWS_E_INVALID, "%.200s: path too long", path);
    }
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return hws_err_set(err, HWS_E_IO, "%.200s: %s", temp, strerror(errno));
    }
    bool good = fwrite(bytes, 1, n, file) == n && fflush(file) == 0 && fsync(fd) == 0;
    good = fclose(file) == 0 && good && rename(temp, path) == 0;
    if (!good) {
        (void)hws_err_set(err, HWS_E_IO, "%.200s: %s", path, strerror(errno));
        (void)unlink(temp);
    }
    return good ? HWS_OK : HWS_E_IO;
}
