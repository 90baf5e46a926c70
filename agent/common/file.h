/*
 * Small whole-file helpers of the programs: read with a ceiling, make a folder, write by rename.
 * They block; they are for start-up, reload and small runtime files only.
 */
#ifndef HWS_COMMON_FILE_H
#define HWS_COMMON_FILE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's bytes. HWS_E_NOT_FOUND, HWS_E_IO, HWS_E_BUSY over max_bytes, HWS_E_NOMEM. */
enum hws_code hws_file_read(const char *path, size_t max_bytes, struct hws_buf *out,
                            struct hws_err *err) HWS_MUST_USE;

/* HWS_OK if path is a plain file of root's, or of the user that asks, that nobody else can write.
 * HWS_E_DENIED if it is not; HWS_E_NOT_FOUND. */
enum hws_code hws_file_is_guarded(const char *path, struct hws_err *err) HWS_MUST_USE;

/* Makes the folder with mode 0700 if it is not there (parents must be). HWS_E_IO. */
enum hws_code hws_file_make_dir(const char *path, struct hws_err *err) HWS_MUST_USE;

/* Replaces the file at path by n bytes with mode 0600: temp file, fsync, rename. HWS_E_IO. */
enum hws_code hws_file_replace(const char *path, const void *bytes, size_t n, struct hws_err *err)
    HWS_MUST_USE;

#endif
