/*
 * Where a rollout's journal is kept: one database file a rollout, NAME.db in the state folder,
 * written by lib/core/store and held by one process at a time (NAME.lock says at once who is late).
 *
 * Thread rule: one thread; append's callback runs from the loop.
 */
#ifndef HWS_FLEET_JOURNAL_H
#define HWS_FLEET_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/kv.h"

#define HWS_FLEET_PATH_BYTES 1024 /* with NUL */

struct hws_fleet_journal {
    struct hws_store *store; /* owned */
    int lock_fd;             /* of NAME.lock; held as long as the journal is open */
    uv_poll_t poll;
    bool polling;
    struct hws_buf bytes; /* of the append that is under way */
    size_t piece;         /* of it, in the present job */
    struct hws_store_kv job;
    void (*done)(void *data, const struct hws_err *err); /* of the append */
    void *data;
    bool poll_open;
    void (*closed)(void *data);
    void *closed_data;
};

/* "DIR/NAME.db". HWS_E_INVALID when it is too long. */
enum hws_code hws_fleet_journal_path(const char *dir, const char *name, char *dst, size_t cap,
                                     struct hws_err *err) HWS_MUST_USE;

/* Makes the folder and those above it, readable by us only. HWS_E_IO, HWS_E_DENIED. */
enum hws_code hws_fleet_make_dir(const char *dir, struct hws_err *err) HWS_MUST_USE;

/*
 * Opens the journal of a rollout. create: it must not exist (HWS_E_EXISTS); else it must
 * (HWS_E_NOT_FOUND). HWS_E_STATE: another process has it. HWS_E_PROTO, HWS_E_IO, HWS_E_NOMEM.
 * Blocks.
 */
enum hws_code hws_fleet_journal_open(struct hws_fleet_journal *j, const char *dir, const char *name,
                                     bool create, struct hws_err *err) HWS_MUST_USE;

/* Appends all of the journal's bytes to out. Blocks. Errors as open. */
enum hws_code hws_fleet_journal_read(struct hws_fleet_journal *j, struct hws_buf *out,
                                     struct hws_err *err) HWS_MUST_USE;

/*
 * Appends to out the journal of a rollout that another process has, as it is now: by a copy, since
 * the file itself is locked. Blocks. HWS_E_BUSY: it changed under every attempt. Else errors as
 * open and read.
 */
enum hws_code hws_fleet_journal_peek(const char *dir, const char *name, struct hws_buf *out,
                                     struct hws_err *err) HWS_MUST_USE;

/* Appends use this loop from now on. HWS_E_IO. */
enum hws_code hws_fleet_journal_attach(struct hws_fleet_journal *j, uv_loop_t *loop,
                                       struct hws_err *err) HWS_MUST_USE;

/* Appends bytes (copied); one at a time. done once, from the loop: err is NULL when they are on
 * disk. HWS_E_BUSY, HWS_E_NOMEM, HWS_E_GONE: then done does not come. */
enum hws_code hws_fleet_journal_append(struct hws_fleet_journal *j, const uint8_t *bytes, size_t n,
                                       void (*done)(void *data, const struct hws_err *err),
                                       void *data, struct hws_err *err) HWS_MUST_USE;

/* Removes the journal of a rollout that nobody has open. HWS_E_STATE: another process has it;
 * HWS_E_IO. Blocks. */
enum hws_code hws_fleet_journal_remove(const char *dir, const char *name, struct hws_err *err)
    HWS_MUST_USE;

/* Closes the file, blocking; then, if it was attached, tells closed from the loop. Accepts a zeroed
 * one. */
void hws_fleet_journal_close(struct hws_fleet_journal *j, void (*closed)(void *data), void *data);

#endif
