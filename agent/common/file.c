/* Whole-file helpers: read, make a folder, replace. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

static enum hws_code io_error(struct hws_err *err, const char *verb, const char *path, int number)
{
    enum hws_code code = number == ENOENT ? HWS_E_NOT_FOUND : HWS_E_IO;

    return hws_err_set(err, code, "cannot %s %.120s: %s", verb, path, strerror(number));
}

static enum hws_code read_all(int fd, const char *path, size_t max_bytes, struct hws_buf *out,
                              struct hws_err *err)
{
    size_t total = 0;

    for (;;) {
        uint8_t *space;
        enum hws_code code = hws_buf_reserve(out, 4096, &space);
        if (code != HWS_OK) {
            return hws_err_set(err, code, "%.120s: %s", path, hws_code_text(code));
        }
        ssize_t n = read(fd, space, 4096);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return io_error(err, "read", path, errno);
        }
        if (n == 0) {
            return HWS_OK;
        }
        total += (size_t)n;
        if (total > max_bytes) {
            return hws_err_set(err, HWS_E_BUSY, "%.120s: larger than %zu bytes", path, max_bytes);
        }
        hws_buf_commit(out, (size_t)n);
    }
}

enum hws_code hws_file_read(const char *path, size_t max_bytes, struct hws_buf *out,
                            struct hws_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return io_error(err, "open", path, errno);
    }
    enum hws_code code = read_all(fd, path, max_bytes, out, err);
    (void)close(fd);
    return code;
}

enum hws_code hws_file_is_guarded(const char *path, struct hws_err *err)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return io_error(err, "look at", path, errno);
    }
    if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return hws_err_set(err, HWS_E_DENIED,
                           "%.120s must be a plain file of root's that nobody else can write",
                           path);
    }
    return HWS_OK;
}

enum hws_code hws_file_make_dir(const char *path, struct hws_err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) {
        return HWS_OK;
    }
    return io_error(err, "make the folder", path, errno);
}

static enum hws_code write_all(int fd, const char *path, const void *bytes, size_t n,
                               struct hws_err *err)
{
    const uint8_t *at = bytes;

    while (n > 0) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return io_error(err, "write", path, put == 0 ? EIO : errno);
        }
        at += put;
        n -= (size_t)put;
    }
    return fsync(fd) == 0 ? HWS_OK : io_error(err, "sync", path, errno);
}

enum hws_code hws_file_replace(const char *path, const void *bytes, size_t n, struct hws_err *err)
{
    char temp[512];

    if (!hws_str_print(temp, sizeof(temp), "%s.new", path)) {
        return hws_err_set(err, HWS_E_INVALID, "%.120s: path too long", path);
    }
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return io_error(err, "create", temp, errno);
    }
    enum hws_code code = write_all(fd, temp, bytes, n, err);
    if (close(fd) != 0 && code == HWS_OK) {
        code = io_error(err, "close", temp, errno);
    }
    if (code == HWS_OK && rename(temp, path) != 0) {
        code = io_error(err, "rename", temp, errno);
    }
    if (code != HWS_OK) {
        (void)unlink(temp);
    }
    return code;
}
