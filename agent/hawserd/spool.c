/* Files of dumps: made, scanned at start, dropped when the quota needs it. */
#include "hawserd/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "common/file.h"

#define SUFFIX ".dump"

static bool path_of(const struct hws_spool_file *f, char *dst, size_t cap)
{
    return hws_str_print(dst, cap, "%s/%s%s", f->spool->dir, f->id, SUFFIX);
}

static enum hws_code io_error(struct hws_err *err, const char *what)
{
    return hws_err_set(err, HWS_E_IO, "spool: cannot %s: %s", what, strerror(errno));
}

/* Unlinks and frees it. */
static void drop(struct hws_spool_file *f)
{
    char path[400];
    struct hws_spool *s = f->spool;

    if (path_of(f, path, sizeof(path))) {
        (void)unlink(path);
    }
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    hws_dump_tally_deinit(&f->tally);
    s->total_bytes -= f->bytes;
    s->n_files--;
    hws_list_remove(&f->link);
    hws_mem_free(f);
}

static struct hws_spool_file *oldest_unused(struct hws_spool *s)
{
    HWS_LIST_FOREACH (it, tmp, &s->files) {
        struct hws_spool_file *f = hws_container_of(it, struct hws_spool_file, link);
        if (f->n_users == 0) {
            return f;
        }
    }
    return NULL;
}

/* Drops old files until `more` bytes and n_files more fit. */
static enum hws_code make_room(struct hws_spool *s, uint64_t more, size_t n_files,
                               struct hws_err *err)
{
    while (s->total_bytes + more > HWS_SPOOL_MAX_BYTES ||
           s->n_files + n_files > HWS_SPOOL_MAX_FILES) {
        struct hws_spool_file *f = oldest_unused(s);
        if (f == NULL) {
            return hws_err_set(err, HWS_E_BUSY,
                               "the spool is full (%u files, %" PRIu64 " MiB) and all are in use",
                               HWS_SPOOL_MAX_FILES, HWS_SPOOL_MAX_BYTES >> 20);
        }
        drop(f);
    }
    return HWS_OK;
}

static struct hws_spool_file *new_file(struct hws_spool *s, const char *id)
{
    struct hws_spool_file *f = hws_mem_zalloc(1, sizeof(*f));

    if (f == NULL) {
        return NULL;
    }
    f->spool = s;
    f->fd = -1;
    hws_str_copy(f->id, sizeof(f->id), id);
    hws_list_push(&s->files, &f->link);
    s->n_files++;
    return f;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool draw_id(char *dst)
{
    uint8_t bytes[8];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return false;
    }
    hws_hex_encode(bytes, sizeof(bytes), dst);
    return true;
}

enum hws_code hws_spool_create(struct hws_spool *s, const struct hws_spool_what *what,
                               struct hws_spool_file **out, struct hws_err *err)
{
    char id[HWS_SPOOL_ID_BYTES];
    char path[400];
    enum hws_code code = make_room(s, 0, 1, err);

    if (code != HWS_OK) {
        return code;
    }
    struct hws_spool_file *f = draw_id(id) ? new_file(s, id) : NULL;
    if (f == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "spool: out of memory");
    }
    hws_str_copy(f->device, sizeof(f->device), what->device);
    hws_str_copy(f->source, sizeof(f->source), what->source);
    hws_str_copy(f->format, sizeof(f->format), what->format);
    hws_str_copy(f->firmware, sizeof(f->firmware), what->firmware);
    f->taken_unix_ms = what->unix_ms;
    if (path_of(f, path, sizeof(path))) {
        f->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (f->fd < 0) {
        code = io_error(err, "create a file");
    } else if (hws_dump_tally_init(&f->tally) != HWS_OK) {
        code = hws_err_set(err, HWS_E_NOMEM, "spool: out of memory");
    }
    if (code != HWS_OK) {
        drop(f);
        return code;
    }
    f->n_users = 1;
    *out = f;
    return HWS_OK;
}

static enum hws_code write_at(struct hws_spool_file *f, const void *bytes, size_t n, off_t at,
                              struct hws_err *err)
{
    ssize_t put = pwrite(f->fd, bytes, n, at);

    if (put == (ssize_t)n) {
        return HWS_OK;
    }
    if (put >= 0) {
        errno = ENOSPC; /* a short write to a regular file: the disk is full */
    }
    return io_error(err, "write");
}

enum hws_code hws_spool_write(struct hws_spool_file *f, const void *bytes, size_t n,
                              struct hws_err *err)
{
    enum hws_code code = make_room(f->spool, n, 0, err);

    if (code == HWS_OK) {
        code = write_at(f, bytes, n, (off_t)(HWS_SPOOL_HEAD_BYTES + f->bytes), err);
    }
    if (code != HWS_OK) {
        return code;
    }
    hws_dump_tally_add(&f->tally, bytes, n);
    f->bytes += n;
    f->spool->total_bytes += n;
    return HWS_OK;
}

enum hws_code hws_spool_commit(struct hws_spool_file *f, struct hws_err *err)
{
    char head[HWS_SPOOL_HEAD_BYTES];
    char hex[HWS_DIGEST_HEX_BYTES];

    if (hws_dump_tally_finish(&f->tally, &f->manifest) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "spool: out of memory");
    }
    hws_digest_hex(&f->manifest.sha256, hex);
    memset(head, 0, sizeof(head));
    hws_str_print(head, sizeof(head),
                  "hawser-dump 1\ndevice %s\nsource %s\nformat %s\nfirmware %s\ntaken %" PRIu64
                  "\nbytes %" PRIu64 "\nsha256 %s\nend\n",
                  f->device, f->source, f->format, f->firmware, f->taken_unix_ms,
                  f->manifest.total_bytes, hex);
    enum hws_code code = write_at(f, head, sizeof(head), 0, err);
    f->complete = code == HWS_OK;
    return code;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct hws_spool_file *hws_spool_use(struct hws_spool *s, const char *id)
{
    HWS_LIST_FOREACH (it, tmp, &s->files) {
        struct hws_spool_file *f = hws_container_of(it, struct hws_spool_file, link);
        if (f->complete && hws_str_eq(f->id, id)) {
            f->n_users++;
            return f;
        }
    }
    return NULL;
}

void hws_spool_leave(struct hws_spool_file *f)
{
    hws_assert(f->n_users > 0);
    if (--f->n_users > 0) {
        return;
    }
    if (!f->complete) {
        drop(f);
        return;
    }
    if (f->fd >= 0) {
        (void)close(f->fd);
        f->fd = -1;
    }
}

enum hws_code hws_spool_read(struct hws_spool_file *f, uint64_t offset, void *bytes, size_t n,
                             struct hws_err *err)
{
    char path[400];

    if (f->fd < 0 && path_of(f, path, sizeof(path))) {
        f->fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (f->fd < 0) {
        return io_error(err, "open a dump");
    }
    ssize_t got = pread(f->fd, bytes, n, (off_t)(HWS_SPOOL_HEAD_BYTES + offset));
    if (got == (ssize_t)n) {
        return HWS_OK;
    }
    if (got >= 0) {
        return hws_err_set(err, HWS_E_IO, "spool: dump %s is shorter than its head says", f->id);
    }
    return io_error(err, "read");
}

/* ---- start ----------------------------------------------------------------------------------- */

/* The value of "key value\n" in a head, copied; false if it is not there or too long. */
static bool take(const char *head, const char *key, char *dst, size_t cap)
{
    char line[48];

    hws_str_print(line, sizeof(line), "\n%s ", key);
    const char *at = strstr(head, line);
    if (at == NULL) {
        return false;
    }
    at += strlen(line);
    return hws_str_copy_n(dst, cap, at, strcspn(at, "\n"));
}

static bool parse_head(struct hws_spool_file *f, const char *head)
{
    char number[24];
    char hex[HWS_DIGEST_HEX_BYTES];
    uint64_t total;

    if (!hws_str_starts(head, "hawser-dump 1\n") || strstr(head, "\nend\n") == NULL) {
        return false;
    }
    if (!take(head, "device", f->device, sizeof(f->device)) ||
        !take(head, "source", f->source, sizeof(f->source)) ||
        !take(head, "format", f->format, sizeof(f->format)) ||
        !take(head, "firmware", f->firmware, sizeof(f->firmware)) ||
        !take(head, "sha256", hex, sizeof(hex)) ||
        hws_digest_from_hex(hex, &f->manifest.sha256) != HWS_OK ||
        !take(head, "taken", number, sizeof(number)) ||
        hws_str_to_u64(number, UINT64_MAX, &f->taken_unix_ms, NULL) != HWS_OK ||
        !take(head, "bytes", number, sizeof(number)) ||
        hws_str_to_u64(number, HWS_SPOOL_MAX_BYTES, &total, NULL) != HWS_OK) {
        return false;
    }
    f->manifest.total_bytes = total;
    f->manifest.chunk_bytes = HWS_DUMP_CHUNK_BYTES;
    f->manifest.n_chunks = (uint32_t)((total + HWS_DUMP_CHUNK_BYTES - 1) / HWS_DUMP_CHUNK_BYTES);
    f->bytes = total;
    return true;
}

static void scan_file(struct hws_spool *s, const char *name)
{
    char path[400];
    char head[HWS_SPOOL_HEAD_BYTES + 1];
    char id[HWS_SPOOL_ID_BYTES];

    hws_str_copy_n(id, sizeof(id), name, HWS_SPOOL_ID_BYTES - 1);
    struct hws_spool_file *f = new_file(s, id);
    if (f == NULL || !path_of(f, path, sizeof(path))) {
        return;
    }
    memset(head, 0, sizeof(head));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, HWS_SPOOL_HEAD_BYTES, 0);
    if (fd >= 0) {
        (void)close(fd);
    }
    f->complete = n == (ssize_t)HWS_SPOOL_HEAD_BYTES && parse_head(f, head);
    s->total_bytes += f->bytes;
    if (!f->complete) {
        drop(f);
    }
}

enum hws_code hws_spool_open(struct hws_spool *s, const char *state_dir, struct hws_err *err)
{
    memset(s, 0, sizeof(*s));
    hws_list_init(&s->files);
    if (!hws_str_print(s->dir, sizeof(s->dir), "%s/spool", state_dir)) {
        return hws_err_set(err, HWS_E_INVALID, "state_dir is too long");
    }
    enum hws_code code = hws_file_make_dir(s->dir, err);
    DIR *dir = code == HWS_OK ? opendir(s->dir) : NULL;
    if (dir == NULL) {
        return code == HWS_OK ? io_error(err, "list the folder") : code;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        size_t n = strlen(entry->d_name);
        if (n == HWS_SPOOL_ID_BYTES - 1 + strlen(SUFFIX) &&
            hws_str_eq(entry->d_name + HWS_SPOOL_ID_BYTES - 1, SUFFIX)) {
            scan_file(s, entry->d_name);
        }
    }
    (void)closedir(dir);
    return make_room(s, 0, 0, err);
}

void hws_spool_deinit(struct hws_spool *s)
{
    if (s->files.next == NULL) {
        return;
    }
    HWS_LIST_FOREACH (it, tmp, &s->files) {
        struct hws_spool_file *f = hws_container_of(it, struct hws_spool_file, link);
        hws_list_remove(&f->link);
        if (f->fd >= 0) {
            (void)close(f->fd);
        }
        hws_dump_tally_deinit(&f->tally);
        hws_mem_free(f);
    }
}
