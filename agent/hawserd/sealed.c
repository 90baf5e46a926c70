/* State files that know when they are damaged. */
#include "hawserd/sealed.h"

#include <string.h>

#include "base/str.h"
#include "common/file.h"
#include "crypt/digest.h"

static enum hws_code first_line(const char *magic, const void *bytes, size_t n, char *dst,
                                size_t cap)
{
    char hex[HWS_DIGEST_HEX_BYTES];
    struct hws_digest digest;

    if (hws_sha256_of(bytes, n, &digest) != HWS_OK) {
        return HWS_E_NOMEM;
    }
    hws_digest_hex(&digest, hex);
    return hws_str_print(dst, cap, "%s %s\n", magic, hex) ? HWS_OK : HWS_E_INVALID;
}

static enum hws_code check(const char *path, const char *magic, const struct hws_buf *whole,
                           struct hws_buf *out, struct hws_err *err)
{
    const uint8_t *bytes = hws_buf_peek(whole);
    size_t n = hws_buf_len(whole);
    const uint8_t *end = n == 0 ? NULL : memchr(bytes, '\n', n);
    char expected[160];

    if (end == NULL) {
        return hws_err_set(err, HWS_E_PROTO, "%.120s is damaged: it has no first line", path);
    }
    size_t n_line = (size_t)(end - bytes) + 1;
    enum hws_code code = first_line(magic, end + 1, n - n_line, expected, sizeof(expected));
    if (code != HWS_OK) {
        return hws_err_set(err, code, "%.120s: %s", path, hws_code_text(code));
    }
    if (strlen(expected) != n_line || memcmp(expected, bytes, n_line) != 0) {
        return hws_err_set(err, HWS_E_PROTO, "%.120s is damaged: its digest does not match", path);
    }
    return hws_buf_put(out, end + 1, n - n_line) == HWS_OK
               ? HWS_OK
               : hws_err_set(err, HWS_E_NOMEM, "out of memory");
}

enum hws_code hws_sealed_read(const char *path, const char *magic, struct hws_buf *out,
                              struct hws_err *err)
{
    struct hws_buf whole;

    hws_buf_init(&whole, 0);
    enum hws_code code = hws_file_read(path, HWS_SEALED_MAX_BYTES, &whole, err);
    if (code == HWS_OK) {
        code = check(path, magic, &whole, out, err);
    }
    hws_buf_deinit(&whole);
    return code;
}

enum hws_code hws_sealed_write(const char *path, const char *magic, const void *bytes, size_t n,
                               struct hws_err *err)
{
    struct hws_buf whole;
    char line[160];

    hws_buf_init(&whole, 0);
    enum hws_code code = first_line(magic, bytes, n, line, sizeof(line));
    if (code == HWS_OK) {
        code = hws_buf_put(&whole, line, strlen(line));
    }
    if (code == HWS_OK) {
        code = hws_buf_put(&whole, bytes, n);
    }
    code = code == HWS_OK ? hws_file_replace(path, hws_buf_peek(&whole), hws_buf_len(&whole), err)
                          : hws_err_set(err, code, "%.120s: %s", path, hws_code_text(code));
    hws_buf_deinit(&whole);
    return code;
}
