/* A whole small file into memory. */
#ifndef HWS_CLIENT_FILE_H
#define HWS_CLIENT_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's bytes; at most out's ceiling. HWS_E_NOT_FOUND, HWS_E_DENIED, HWS_E_IO,
 * HWS_E_BUSY (too long), HWS_E_NOMEM; the text names the file. */
enum hws_code hws_file_read(const char *path, struct hws_buf *out, struct hws_err *err)
    HWS_MUST_USE;

#endif
