/*
 * Files of audit logs: exported logs as JSON lines, and checkpoints that were kept (the same lines:
 * the signing keys and one checkpoint). Blocks.
 */
#ifndef HWS_CLI_AUDIT_FILE_H
#define HWS_CLI_AUDIT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hawser.h"
#include "record/line.h"
#include "record/log.h"

/* True if the file begins as an SQLite database does. */
bool hws_audit_file_is_database(const char *path);

/*
 * Judges an exported log. It must begin with record after + 1; with after 0 with record 1 or a gap
 * from it on, or, if a checkpoint comes first, with the oldest record that it tells of. pin may be
 * NULL. As hws_store_check_file.
 */
enum hws_code hws_audit_file_check(const char *path, uint64_t after,
                                   const struct hws_checkpoint *pin, struct hws_log_check *c,
                                   struct hws_err *err) HWS_MUST_USE;

/* The last checkpoint in a file of lines. HWS_E_NOT_FOUND: no such file; HWS_E_PROTO: not a line,
 * or no checkpoint among them. */
enum hws_code hws_audit_file_checkpoint(const char *path, struct hws_checkpoint *out,
                                        struct hws_err *err) HWS_MUST_USE;

/* Replaces the file by n bytes: written beside it, synced, renamed. HWS_E_IO. */
enum hws_code hws_audit_file_write(const char *path, const void *bytes, size_t n,
                                   struct hws_err *err) HWS_MUST_USE;

/* Checks the next signing key of an agent and puts it into check. HWS_E_PROTO. */
enum hws_code hws_audit_take_key(const Hawser__V1__AuditKey *from, struct hws_log_check *check,
                                 struct hws_key_step *out, struct hws_err *err) HWS_MUST_USE;

/* A checkpoint as an agent sent it (NULL: it did not), unchecked. HWS_E_PROTO: it has no such form.
 */
enum hws_code hws_audit_copy_checkpoint(const Hawser__V1__AuditCheckpoint *c,
                                        struct hws_checkpoint *out, struct hws_err *err)
    HWS_MUST_USE;

/* Checks an agent's answer: keys and checkpoint go into check, the checkpoint into *out.
 * HWS_E_PROTO. */
enum hws_code hws_audit_take_checkpoint(const Hawser__V1__CheckpointResponse *a,
                                        struct hws_log_check *check, struct hws_checkpoint *out,
                                        struct hws_err *err) HWS_MUST_USE;

#endif
