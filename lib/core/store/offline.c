/*
 * Reading the audit log of a database at rest. Our own statements on our own connection: nothing
 * here can write, and nothing of what open checks is taken for granted.
 */
#include "store/offline.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "store/db_priv.h"

#define VFS "unix-none" /* takes no locks, so a file that may not be written can be read */

/* What SQLite locks: the pending byte and what follows (SQLite's file format, section 1.2). */
#define LOCK_AT    0x40000000
#define LOCK_BYTES 512

/* HWS_E_STATE if a process holds SQLite's locks on the file. */
static enum hws_code is_at_rest(const char *path, struct hws_err *err)
{
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = LOCK_AT, .l_len = LOCK_BYTES};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "%s: cannot be opened", path);
    }
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    bool asked = fcntl(fd, F_GETLK, &lock) == 0;
    (void)close(fd);
    if (!regular || !asked) {
        return hws_err_set(err, HWS_E_IO, "%s: cannot be read", path);
    }
    return lock.l_type == F_UNLCK
               ? HWS_OK
               : hws_err_set(err, HWS_E_STATE,
                             "%s is in use: copy it together with its -wal file, or export the log",
                             path);
}

/* One statement; columns by sqlite3_column_*. */
static sqlite3_stmt *prepare(sqlite3 *sql, const char *text)
{
    sqlite3_stmt *stmt = NULL;

    return sqlite3_prepare_v2(sql, text, -1, &stmt, NULL) == SQLITE_OK ? stmt : NULL;
}

static struct hws_span column(sqlite3_stmt *stmt, int idx)
{
    const void *p = sqlite3_column_blob(stmt, idx);
    int n = sqlite3_column_bytes(stmt, idx);

    return (struct hws_span){.bytes = p == NULL ? (const uint8_t *)"" : p,
                             .n = p == NULL || n < 0 ? 0 : (size_t)n};
}

static bool take_signature(sqlite3_stmt *stmt, int idx, struct hws_signature *out)
{
    struct hws_span s = column(stmt, idx);

    if (s.n != sizeof(out->b)) {
        return false;
    }
    memcpy(out->b, s.bytes, s.n);
    return true;
}

static enum hws_code take_key(struct hws_log_check *c, sqlite3_stmt *stmt, struct hws_err *err)
{
    struct hws_span body = column(stmt, 0);
    struct hws_key_step k;

    if (hws_key_step_decode(body.bytes, body.n, &k) != HWS_OK ||
        !take_signature(stmt, 1, &k.signature)) {
        c->fault = "key";
        c->bad_seq = 1;
        return hws_err_set(err, HWS_E_PROTO, "audit record 1: a signing key is malformed");
    }
    return hws_log_check_key(c, &k, err);
}

static enum hws_code take_checkpoint(struct hws_log_check *c, sqlite3_stmt *stmt,
                                     struct hws_err *err)
{
    struct hws_span body = column(stmt, 0);
    uint64_t seq = (uint64_t)sqlite3_column_int64(stmt, 2);
    struct hws_checkpoint p;

    if (hws_checkpoint_decode(body.bytes, body.n, &p) != HWS_OK || p.seq != seq ||
        !take_signature(stmt, 1, &p.signature)) {
        c->fault = "checkpoint";
        c->bad_seq = seq;
        return hws_err_set(err, HWS_E_PROTO,
                           "audit record %" PRIu64 ": its checkpoint is malformed", seq);
    }
    return hws_log_check_checkpoint(c, &p, err);
}

static enum hws_code take_record(struct hws_log_check *c, sqlite3_stmt *stmt, struct hws_err *err)
{
    struct hws_span body = column(stmt, 0);
    uint64_t seq = (uint64_t)sqlite3_column_int64(stmt, 3);
    struct hws_record r;

    if (hws_record_decode(body.bytes, body.n, &r, NULL) != HWS_OK || r.seq != seq ||
        !hws_store__digest_of(column(stmt, 1), &r.prev_hash) ||
        !hws_store__digest_of(column(stmt, 2), &r.hash)) {
        return hws_log_check_malformed(c, seq, err);
    }
    return hws_log_check_record(c, &r, err);
}

/* meta's audit_head: the newest record by the log's own word. */
static enum hws_code take_head(struct hws_log_check *c, sqlite3_stmt *stmt, struct hws_err *err)
{
    struct hws_span head = column(stmt, 0);

    (void)err;
    if (head.n >= 8) {
        c->stated_head = hws_load_be64(head.bytes);
    }
    return HWS_OK;
}

static enum hws_code each(sqlite3 *sql, const char *text, struct hws_log_check *c,
                          enum hws_code (*take)(struct hws_log_check *c, sqlite3_stmt *stmt,
                                                struct hws_err *err),
                          struct hws_err *err)
{
    sqlite3_stmt *stmt = prepare(sql, text);
    enum hws_code rc = HWS_OK;
    int step = stmt == NULL ? SQLITE_ERROR : SQLITE_DONE;

    while (rc == HWS_OK && stmt != NULL && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = take(c, stmt, err);
    }
    if (rc == HWS_OK && step != SQLITE_DONE) {
        rc = step == SQLITE_NOMEM
                 ? hws_err_set(err, HWS_E_NOMEM, "out of memory")
                 : hws_err_set(err, HWS_E_PROTO,
                               "no readable audit log: %s (after record %" PRIu64 ")",
                               sqlite3_errmsg(sql), c->last_seq);
    }
    (void)sqlite3_finalize(stmt); /* repeats the last step's error */
    return rc;
}

static enum hws_code check_rows(sqlite3 *sql, const struct hws_checkpoint *pin,
                                struct hws_log_check *c, struct hws_err *err)
{
    enum hws_code rc =
        each(sql, "SELECT body,signature FROM audit_key ORDER BY n", c, take_key, err);

    if (rc == HWS_OK) {
        rc = each(sql, "SELECT body,signature,seq FROM audit_checkpoint ORDER BY n", c,
                  take_checkpoint, err);
    }
    if (rc == HWS_OK && pin != NULL) {
        rc = hws_log_check_pin(c, pin, err);
    }
    if (rc == HWS_OK) {
        rc = each(sql, "SELECT value FROM meta WHERE key='audit_head'", c, take_head, err);
    }
    if (rc == HWS_OK) {
        rc = hws_log_check_begin(c, err);
    }
    if (rc == HWS_OK) {
        rc = each(sql, "SELECT body,prev,hash,seq FROM audit ORDER BY seq", c, take_record, err);
    }
    return rc == HWS_OK ? hws_log_check_end(c, err) : rc;
}

/* 0 if it cannot be read. */
static int64_t pragma_of(sqlite3 *sql, const char *text)
{
    sqlite3_stmt *stmt = prepare(sql, text);
    int64_t value =
        stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;

    (void)sqlite3_finalize(stmt); /* repeats the step's error */
    return value;
}

/* HWS_E_UNSUPPORTED for a database of ours of another version; whatever else it may be is HWS_OK
 * here. */
static enum hws_code is_this_schema(sqlite3 *sql, const char *path, struct hws_err *err)
{
    int64_t version = pragma_of(sql, "PRAGMA user_version");

    return pragma_of(sql, "PRAGMA application_id") != HWS_STORE_APPLICATION_ID ||
                   version == HWS_STORE_SCHEMA
               ? HWS_OK
               : hws_store__other_schema(path, version, HWS_E_UNSUPPORTED, err);
}

/* On failure, too, *out is to be closed. */
static enum hws_code open_at_rest(const char *path, sqlite3 **out, struct hws_err *err)
{
    struct hws_buf uri = {0};
    const char *name = NULL;

    if (hws_store__uri(path, &uri) == HWS_OK) {
        name = hws_buf_cstr(&uri);
    }
    if (name == NULL) {
        hws_buf_deinit(&uri);
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    int opened = sqlite3_open_v2(
        name, out,
        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, VFS);
    hws_buf_deinit(&uri);
    /* With an exclusive connection the index of the write-ahead log lives in our memory. */
    if (opened != SQLITE_OK || sqlite3_exec(*out,
                                            "PRAGMA locking_mode=EXCLUSIVE;"
                                            "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON",
                                            NULL, NULL, NULL) != SQLITE_OK) {
        return hws_err_set(err, HWS_E_IO, "%s: %s", path,
                           *out == NULL ? "out of memory" : sqlite3_errmsg(*out));
    }
    return HWS_OK;
}

enum hws_code hws_store_check_file(const char *path, const struct hws_checkpoint *pin,
                                   struct hws_log_check *c, struct hws_err *err)
{
    sqlite3 *sql = NULL;
    enum hws_code rc = is_at_rest(path, err);

    if (rc != HWS_OK) {
        return rc;
    }
    c->max_unsigned = c->max_unsigned != 0 ? c->max_unsigned : HWS_STORE_SIGN_RECORDS;
    rc = open_at_rest(path, &sql, err);
    if (rc == HWS_OK) {
        rc = is_this_schema(sql, path, err);
    }
    if (rc == HWS_OK) {
        rc = check_rows(sql, pin, c, err);
    }
    (void)sqlite3_close_v2(sql);
    return rc;
}

enum hws_code hws_store_check_schema(const char *path, struct hws_err *err)
{
    sqlite3 *sql = NULL;
    enum hws_code rc = HWS_OK;

    if (open_at_rest(path, &sql, NULL) == HWS_OK) {
        rc = is_this_schema(sql, path, err);
    }
    (void)sqlite3_close_v2(sql);
    return rc;
}
