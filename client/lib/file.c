/* Reading a small file. */
#include "client/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES 16384u

static enum hws_code open_error(const char *path, int error, struct hws_err *err)
{
    enum hws_code code = error == ENOENT   ? HWS_E_NOT_FOUND
                         : error == EACCES ? HWS_E_DENIED
                         : error == EISDIR ? HWS_E_INVALID
                                           : HWS_E_IO;

    return hws_err_set(err, code, "%.160s: %s", path, strerror(error));
}

static enum hws_code read_all(int fd, const char *path, struct hws_buf *out, struct hws_err *err)
{
    for (;;) {
        uint8_t *space = NULL;
        enum hws_code rc = hws_buf_reserve(out, PIECE_BYTES, &space);
        if (rc == HWS_E_BUSY) {
            return hws_err_set(err, rc, "%.160s: larger than %zu bytes", path, out->max);
        }
        if (rc != HWS_OK) {
            return hws_err_set(err, rc, "%.160s: no memory to read it", path);
        }
        ssize_t n = read(fd, space, PIECE_BYTES);
        if (n < 0 && errno != EINTR) {
            return open_error(path, errno, err);
        }
        if (n == 0) {
            return HWS_OK;
        }
        hws_buf_commit(out, n < 0 ? 0 : (size_t)n);
    }
}

enum hws_code hws_file_read(const char *path, struct hws_buf *out, struct hws_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return open_error(path, errno, err);
    }
    enum hws_code rc = read_all(fd, path, out, err);
    (void)close(fd);
    return rc;
}
