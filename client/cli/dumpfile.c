/* A dump on its way into a file. */
#include "cli/dumpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "crypt/crc32c.h"

static enum hws_code io_error(const char *what, const char *path, struct hws_err *err)
{
    int error = errno;
    enum hws_code code = error == EACCES   ? HWS_E_DENIED
                         : error == ENOENT ? HWS_E_NOT_FOUND
                         : error == EISDIR ? HWS_E_INVALID
                                           : HWS_E_IO;

    return hws_err_set(err, code, "cannot %s %.160s: %s", what, path, strerror(error));
}

/* Opens the .part file for us alone: two pulls into one file would mix their bytes. */
static enum hws_code open_part(struct hws_dumpfile *f, struct hws_err *err)
{
    struct stat ours;
    struct stat named;

    f->fd = open(f->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0) {
        return io_error("write", f->part, err);
    }
    /* Another one may have ended, and renamed the file, between our open and our lock. */
    if (flock(f->fd, LOCK_EX | LOCK_NB) == 0 && fstat(f->fd, &ours) == 0 &&
        lstat(f->part, &named) == 0 && ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
        return ftruncate(f->fd, 0) == 0 ? HWS_OK : io_error("empty", f->part, err);
    }
    (void)close(f->fd);
    f->fd = -1;
    return hws_err_set(err, HWS_E_STATE, "%.160s is being written by another dump pull", f->part);
}

enum hws_code hws_dumpfile_open(struct hws_dumpfile *f, const char *path, struct hws_err *err)
{
    struct stat st;

    memset(f, 0, sizeof(*f));
    f->fd = -1;
    if (!hws_str_copy(f->path, sizeof(f->path), path) ||
        !hws_str_print(f->part, sizeof(f->part), "%s.part", path) || path[0] == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "the file name is empty or too long");
    }
    if (hws_str_eq(path, "-")) { /* a file of this name is ./- */
        return hws_err_set(err, HWS_E_INVALID,
                           "\"-\": a dump is checked as a whole before it counts: give the name of "
                           "a file, not standard output");
    }
    /* The dump is renamed to path at the end: that must not replace a device node or a link to one
     * (/dev/null, /dev/stdout). */
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return hws_err_set(err, HWS_E_INVALID, "%.160s is %s: give the name of a new or plain file",
                           path, S_ISDIR(st.st_mode) ? "a folder" : "no plain file");
    }
    enum hws_code rc = open_part(f, err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (hws_sha256_init(&f->hash) != HWS_OK) {
        hws_dumpfile_close(f);
        return hws_err_set(err, HWS_E_NOMEM, "no memory for a digest");
    }
    return HWS_OK;
}

enum hws_code hws_dumpfile_manifest(struct hws_dumpfile *f, const char *dump_id, uint64_t total,
                                    const char *sha256, struct hws_err *err)
{
    struct hws_digest digest;

    if (f->dump_id[0] != '\0') {
        if (!hws_str_eq(f->dump_id, dump_id) || f->total != total ||
            !hws_str_eq(f->sha256, sha256)) {
            return hws_err_set(err, HWS_E_CONFLICT, "the agent offers another dump (%.64s)",
                               dump_id);
        }
        return HWS_OK;
    }
    if (dump_id[0] == '\0' || hws_digest_from_hex(sha256, &digest) != HWS_OK ||
        !hws_str_copy(f->dump_id, sizeof(f->dump_id), dump_id)) {
        f->dump_id[0] = '\0';
        return hws_err_set(err, HWS_E_PROTO, "the dump's manifest is malformed");
    }
    hws_digest_hex(&digest, f->sha256);
    f->total = total;
    return HWS_OK;
}

static enum hws_code write_all(struct hws_dumpfile *f, const uint8_t *bytes, size_t n,
                               struct hws_err *err)
{
    while (n > 0) {
        ssize_t k = write(f->fd, bytes, n);
        if (k < 0 && errno != EINTR) {
            return io_error("write", f->part, err);
        }
        bytes += k < 0 ? 0 : k;
        n -= k < 0 ? 0 : (size_t)k;
    }
    return HWS_OK;
}

enum hws_code hws_dumpfile_chunk(struct hws_dumpfile *f, uint64_t offset, const uint8_t *bytes,
                                 size_t n, uint32_t crc32c, struct hws_err *err)
{
    if (f->dump_id[0] == '\0') {
        return hws_err_set(err, HWS_E_PROTO, "a chunk came before the manifest");
    }
    if (offset != f->offset || n > f->total - f->offset) {
        return hws_err_set(err, HWS_E_PROTO,
                           "chunk at %" PRIu64 " of %zu bytes: expected offset %" PRIu64
                           " and at most %" PRIu64 " bytes",
                           offset, n, f->offset, f->total - f->offset);
    }
    if (hws_crc32c(0, bytes, n) != crc32c) {
        return hws_err_set(err, HWS_E_PROTO, "chunk at %" PRIu64 ": wrong CRC-32C", offset);
    }
    enum hws_code rc = write_all(f, bytes, n, err);
    if (rc == HWS_OK) {
        hws_sha256_update(&f->hash, bytes, n);
        f->offset += n;
    }
    return rc;
}

enum hws_code hws_dumpfile_end(struct hws_dumpfile *f, uint64_t total, const char *sha256,
                               struct hws_err *err)
{
    struct hws_digest digest;
    char hex[HWS_DIGEST_HEX_BYTES];

    if (f->dump_id[0] == '\0' || total != f->total || f->offset != f->total) {
        return hws_err_set(err, HWS_E_PROTO, "the dump ended at %" PRIu64 " of %" PRIu64 " bytes",
                           f->offset, f->total);
    }
    if (hws_sha256_final(&f->hash, &digest) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for a digest");
    }
    hws_digest_hex(&digest, hex);
    if (!hws_str_eq(hex, f->sha256) || !hws_str_eq(hex, sha256)) {
        return hws_err_set(err, HWS_E_PROTO,
                           "the dump's SHA-256 is %.16s..., promised was %.16s...", hex, f->sha256);
    }
    if (fsync(f->fd) != 0) {
        return io_error("sync", f->part, err);
    }
    if (rename(f->part, f->path) != 0) {
        return io_error("rename to", f->path, err);
    }
    f->done = true;
    return HWS_OK;
}

enum hws_code hws_dumpfile_restart(struct hws_dumpfile *f, struct hws_err *err)
{
    hws_sha256_deinit(&f->hash);
    f->dump_id[0] = '\0';
    f->sha256[0] = '\0';
    f->total = 0;
    f->offset = 0;
    if (lseek(f->fd, 0, SEEK_SET) != 0 || ftruncate(f->fd, 0) != 0) {
        return io_error("empty", f->part, err);
    }
    return hws_sha256_init(&f->hash) == HWS_OK
               ? HWS_OK
               : hws_err_set(err, HWS_E_NOMEM, "no memory for a digest");
}

void hws_dumpfile_close(struct hws_dumpfile *f)
{
    hws_sha256_deinit(&f->hash);
    if (f->fd >= 0) {
        (void)close(f->fd);
        if (!f->done) {
            (void)unlink(f->part);
        }
    }
    f->fd = -1;
}
