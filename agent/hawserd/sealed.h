/*
 * A small state file of the keeper's, read and replaced as a whole: one line "MAGIC SHA-256" and
 * then bytes that this is the digest of. They block; they are for what changes seldom.
 */
#ifndef HWS_HAWSERD_SEALED_H
#define HWS_HAWSERD_SEALED_H

#include "base/buf.h"
#include "base/err.h"

#define HWS_SEALED_MAX_BYTES ((size_t)1024 * 1024)

/* Appends the bytes behind the line. HWS_E_NOT_FOUND: there is no such file; HWS_E_PROTO: it is
 * damaged, or another kind of file; HWS_E_IO, HWS_E_BUSY (too long), HWS_E_NOMEM. */
enum hws_code hws_sealed_read(const char *path, const char *magic, struct hws_buf *out,
                              struct hws_err *err) HWS_MUST_USE;

/* Replaces the file, durably, before it returns. HWS_E_IO, HWS_E_NOMEM; then the old one stays. */
enum hws_code hws_sealed_write(const char *path, const char *magic, const void *bytes, size_t n,
                               struct hws_err *err) HWS_MUST_USE;

#endif
