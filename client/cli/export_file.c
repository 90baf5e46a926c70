/* Finding the end of an exported log, and appending to it. */
#include "cli/export_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define LINE_BEGIN "{\"type\":\"" /* of each line; record/line.h */

static enum hws_code io_error(const char *path, struct hws_err *err)
{
    return hws_err_set(err, HWS_E_IO, "%.200s: %s", path == NULL ? "stdout" : path,
                       strerror(errno));
}

/* ---- the end of a file ---- */

/* A walk over a file's whole lines from the last one back. */
struct back {
    int fd;
    const char *path;
    char *text; /* owned; HWS_LINE_MAX_BYTES + 2 */
    off_t at;   /* where the latest line begins: the next one ends before it */
};

/* Reads exactly n bytes. */
static bool read_at(const struct back *b, char *to, size_t n, off_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = pread(b->fd, to + done, n - done, at + (off_t)done);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return false;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Where the bytes behind the last newline before `end` begin; they are in b->text, *out_n of them.
 * More than a line can have is HWS_E_PROTO. */
static enum hws_code tail_before(struct back *b, off_t end, size_t *out_n, struct hws_err *err)
{
    size_t n = end > (off_t)HWS_LINE_MAX_BYTES + 1 ? HWS_LINE_MAX_BYTES + 1 : (size_t)end;

    if (!read_at(b, b->text, n, end - (off_t)n)) {
        return io_error(b->path, err);
    }
    const char *newline = memrchr(b->text, '\n', n);
    if (newline == NULL && (off_t)n < end) {
        return hws_err_set(err, HWS_E_PROTO,
                           "%.200s: its last line is longer than any of an export", b->path);
    }
    size_t skip = newline == NULL ? 0 : (size_t)(newline - b->text) + 1;
    *out_n = n - skip;
    memmove(b->text, b->text + skip, *out_n);
    b->text[*out_n] = '\0';
    b->at = end - (off_t)*out_n;
    return HWS_OK;
}

/* The line before the latest one; HWS_E_NOT_FOUND at the file's begin. */
static enum hws_code line_before(struct back *b, struct hws_line *out, struct hws_err *err)
{
    size_t n = 0;

    if (b->at == 0) {
        return HWS_E_NOT_FOUND;
    }
    enum hws_code rc = tail_before(b, b->at - 1, &n, err);
    if (rc == HWS_OK && hws_line_read(b->text, n, out, NULL) != HWS_OK) {
        rc = hws_err_set(err, HWS_E_PROTO,
                         "%.200s: the line at byte %lld is none of an exported audit log; export "
                         "to another file",
                         b->path, (long long)b->at);
    }
    return rc;
}

/* Goes back to the last record or gap. */
static enum hws_code find_end(struct back *b, struct hws_export_end *end, struct hws_err *err)
{
    struct hws_line line;
    enum hws_code rc;

    while ((rc = line_before(b, &line, err)) == HWS_OK) {
        if (line.kind == HWS_LINE_CHECKPOINT && !end->has_checkpoint) {
            end->has_checkpoint = true;
            end->checkpoint = line.u.checkpoint;
        } else if (line.kind == HWS_LINE_GAP) {
            end->seq = line.u.gap.last;
            break;
        } else if (line.kind == HWS_LINE_RECORD) {
            end->seq = line.u.record.seq;
            end->has_hash = true;
            end->hash = line.u.record.hash;
            break;
        }
    }
    return rc == HWS_E_NOT_FOUND ? HWS_OK : rc;
}

/* True if the n bytes can be the begin of a line of ours, with the zeros that a file system may put
 * in the place of what it lost. */
static bool may_be_ours(const char *text, size_t n)
{
    size_t n_text = strnlen(text, n);
    size_t known = sizeof(LINE_BEGIN) - 1;

    return memcmp(text, LINE_BEGIN, n_text < known ? n_text : known) == 0;
}

/* The end of the file, and how many of its bytes are whole lines. */
static enum hws_code read_end(struct back *b, off_t size, struct hws_export_end *out,
                              off_t *out_whole, struct hws_err *err)
{
    size_t n_torn = 0;
    enum hws_code rc = tail_before(b, size, &n_torn, err);

    *out_whole = b->at;
    if (rc == HWS_OK && n_torn > 0 && !may_be_ours(b->text, n_torn)) {
        return hws_err_set(err, HWS_E_PROTO,
                           "%.200s is no exported audit log; export to another file", b->path);
    }
    return rc == HWS_OK ? find_end(b, out, err) : rc;
}

/* Finds the end of an open file and takes off what is no whole line. */
static enum hws_code settle(int fd, const char *path, off_t size, struct hws_export_end *out,
                            uint64_t *out_whole, struct hws_err *err)
{
    struct back b = {.fd = fd, .path = path, .text = hws_mem_alloc(HWS_LINE_MAX_BYTES + 2)};
    struct hws_export_end end = {0};
    off_t whole = 0;

    if (b.text == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    enum hws_code rc = read_end(&b, size, &end, &whole, err);
    hws_mem_free(b.text);
    if (rc == HWS_OK && whole < size && (ftruncate(fd, whole) != 0 || fsync(fd) != 0)) {
        rc = io_error(path, err);
    }
    if (rc == HWS_OK) {
        *out = end;
        *out_whole = (uint64_t)whole;
    }
    return rc;
}

/* ---- the file ---- */

/* The folder part of path into dst. */
static bool folder_of(const char *path, char *dst, size_t n)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? hws_str_copy(dst, n, ".")
                         : hws_str_print(dst, n, "%.*s", (int)(slash - path) + 1, path);
}

/* A new file is there after a power cut only once its folder is on disk; one that we may not read
 * is somebody else's to keep. */
static bool sync_folder(const char *path)
{
    char folder[1024];
    int fd = folder_of(path, folder, sizeof(folder))
                 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                 : -1;

    if (fd < 0) {
        return true;
    }
    bool good = fsync(fd) == 0;
    (void)close(fd);
    return good;
}

static enum hws_code take(struct hws_export_file *f, struct hws_export_end *out,
                          struct hws_err *err)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0) {
        return io_error(f->path, err);
    }
    f->regular = f->path != NULL && S_ISREG(st.st_mode);
    f->inode = st.st_ino;
    if (!f->regular) {
        return HWS_OK;
    }
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0) {
        return hws_err_set(err, HWS_E_STATE, "%.200s: another export writes to it", f->path);
    }
    /* What was written before the lock was ours counts. */
    if (fstat(f->fd, &st) != 0 || !sync_folder(f->path)) {
        return io_error(f->path, err);
    }
    return settle(f->fd, f->path, st.st_size, out, &f->n_bytes, err);
}

enum hws_code hws_export_file_open(struct hws_export_file *f, const char *path,
                                   struct hws_export_end *out, struct hws_err *err)
{
    struct stat st;

    *f = (struct hws_export_file){.fd = STDOUT_FILENO, .path = path};
    *out = (struct hws_export_end){0};
    if (path == NULL) {
        return HWS_OK;
    }
    /* A pipe is opened for writing alone, or we would be its reader, too. */
    bool other = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    f->fd =
        open(path, (other ? O_WRONLY : O_RDWR) | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    enum hws_code rc = f->fd < 0 ? io_error(path, err) : take(f, out, err);
    if (rc != HWS_OK) {
        hws_export_file_close(f);
    }
    return rc;
}

/* Opens the entry of the folder if it is the file looked for; -1 if not. */
static int open_if(const char *folder, const char *name, ino_t inode, struct stat *st)
{
    char path[1300];

    if (!hws_str_print(path, sizeof(path), "%s/%s", folder, name) || lstat(path, st) != 0 ||
        st->st_ino != inode || !S_ISREG(st->st_mode)) {
        return -1;
    }
    return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

enum hws_code hws_export_file_rotated(const char *path, ino_t inode, struct hws_export_end *out,
                                      struct hws_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    char folder[1024];
    struct dirent *entry;
    struct stat st;
    uint64_t whole;
    int fd = -1;
    DIR *dir = folder_of(path, folder, sizeof(folder)) ? opendir(folder) : NULL;

    if (dir == NULL) {
        return io_error(path, err);
    }
    while (fd < 0 && (entry = readdir(dir)) != NULL) {
        if (hws_str_starts(entry->d_name, base) && !hws_str_eq(entry->d_name, base)) {
            fd = open_if(folder, entry->d_name, inode, &st);
        }
    }
    (void)closedir(dir);
    if (fd < 0) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "%.200s: the file before it is gone", path);
    }
    enum hws_code rc = settle(fd, path, st.st_size, out, &whole, err);
    (void)close(fd);
    return rc;
}

bool hws_export_file_moved(const struct hws_export_file *f)
{
    struct stat st;

    return f->regular &&
           (stat(f->path, &st) != 0 || st.st_ino != f->inode || (uint64_t)st.st_size < f->n_bytes);
}

enum hws_code hws_export_file_put(struct hws_export_file *f, const void *bytes, size_t n,
                                  struct hws_err *err)
{
    const char *p = bytes;

    while (n > 0) {
        ssize_t done = write(f->fd, p, n);
        if (done < 0 && errno != EINTR) {
            return io_error(f->path, err);
        }
        size_t taken = done < 0 ? 0 : (size_t)done;
        p += taken;
        n -= taken;
        f->n_bytes += taken;
    }
    return HWS_OK;
}

enum hws_code hws_export_file_sync(struct hws_export_file *f, struct hws_err *err)
{
    return !f->regular || fsync(f->fd) == 0 ? HWS_OK : io_error(f->path, err);
}

void hws_export_file_close(struct hws_export_file *f)
{
    if (f->path != NULL && f->fd >= 0) {
        (void)close(f->fd);
    }
    f->fd = -1;
    f->regular = false;
}
