/*
 * Opening the database.
 *   1. connect through a URI with psow=0: a sector being written may lose its neighbours in a power
 * cut
 *   2. exclusive locking before WAL, so the index of the log lives in our memory and no other
 * process, not even a second agent, can come in between
 *   3. synchronous=FULL, no automatic checkpoint
 *   4. create or check the schema
 *   5. check what the agent stands on: fences, unfinished intents, both ends of the audit chain
 * Failure modes: in use (HWS_E_STATE), damaged or foreign (HWS_E_PROTO), unreadable (HWS_E_IO).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "store/db_priv.h"

#define BUSY_MS 2000 /* a predecessor that was just killed may hold the lock this long */

static const char *const s_schema[] = {
#define HWS_DDL(text) text,
#include "store/schema.def"
#undef HWS_DDL
};

static uint64_t or_default(uint64_t v, uint64_t dflt)
{
    return v == 0 ? dflt : v;
}

static enum hws_code copy_options(struct hws_store_db *db, const struct hws_store_options *opt)
{
    db->opt = *opt;
    db->path = hws_mem_strdup(opt->path);
    db->opt.path = db->path;
    db->vfs = opt->vfs == NULL ? NULL : hws_mem_strdup(opt->vfs);
    db->opt.vfs = db->vfs;
    db->folder = hws_mem_strdup(opt->path);
    db->host = hws_mem_strdup(opt->host == NULL ? "" : opt->host);
    db->opt.host = db->host;
    if (db->path == NULL || db->folder == NULL || db->host == NULL ||
        (opt->vfs != NULL && db->vfs == NULL)) {
        return HWS_E_NOMEM;
    }
    char *slash = strrchr(db->folder, '/');
    if (slash == NULL) {
        (void)hws_str_copy(db->folder, strlen(db->folder) + 1, ".");
    } else if (slash != db->folder) {
        *slash = '\0';
    } else {
        slash[1] = '\0';
    }
    db->opt.max_jobs = (uint32_t)or_default(opt->max_jobs, HWS_STORE_MAX_JOBS);
    db->opt.max_ledger_rows = (uint32_t)or_default(opt->max_ledger_rows, HWS_STORE_MAX_LEDGER_ROWS);
    db->opt.ledger_ms = or_default(opt->ledger_ms, HWS_STORE_LEDGER_MS);
    db->opt.max_audit_rows = (uint32_t)or_default(opt->max_audit_rows, HWS_STORE_MAX_AUDIT_ROWS);
    db->opt.max_audit_bytes = or_default(opt->max_audit_bytes, HWS_STORE_MAX_AUDIT_BYTES);
    db->opt.sign_records = (uint32_t)or_default(opt->sign_records, HWS_STORE_SIGN_RECORDS);
    db->opt.sign_ms = (uint32_t)or_default(opt->sign_ms, HWS_STORE_SIGN_MS);
    db->opt.max_checkpoints = (uint32_t)or_default(opt->max_checkpoints, HWS_STORE_MAX_CHECKPOINTS);
    db->opt.min_free_bytes = or_default(opt->min_free_bytes, HWS_STORE_MIN_FREE_BYTES);
    return HWS_OK;
}

/* "file:<path, percent-encoded>?psow=0" */
enum hws_code hws_store__uri(const char *path, struct hws_buf *uri)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    enum hws_code rc = hws_buf_printf(uri, "file:");

    for (const char *p = path; *p != '\0' && rc == HWS_OK; p++) {
        rc = strchr(plain, *p) != NULL ? hws_buf_put(uri, p, 1)
                                       : hws_buf_printf(uri, "%%%02x", (unsigned)(uint8_t)*p);
    }
    return rc == HWS_OK ? hws_buf_printf(uri, "?psow=0") : rc;
}

static enum hws_code connect_file(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_buf uri = {0};
    const char *name = NULL;

    if (hws_store__uri(db->opt.path, &uri) == HWS_OK) {
        name = hws_buf_cstr(&uri);
    }
    if (name == NULL) {
        hws_buf_deinit(&uri);
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    int rc = sqlite3_open_v2(name, &db->sql,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI |
                                 SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                             db->opt.vfs);
    hws_buf_deinit(&uri);
    if (rc != SQLITE_OK) {
        return hws_store__sql_err(db, rc, "open", err);
    }
    if (sqlite3_db_readonly(db->sql, "main") != 0) {
        return hws_err_set(err, HWS_E_IO, "store: %s is read-only", db->opt.path);
    }
    return HWS_OK;
}

static enum hws_code run_sql(struct hws_store_db *db, const char *sql, struct hws_err *err)
{
    int rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
    char what[32]; /* the first words name the statement well enough */

    (void)hws_str_print(what, sizeof(what), "%.26s", sql);
    return rc == SQLITE_OK ? HWS_OK : hws_store__sql_err(db, rc, what, err);
}

static int keep_int(void *data, int n_columns, char **values, char **names)
{
    int64_t *out = data;

    (void)names;
    if (n_columns == 1 && values[0] != NULL) {
        *out = strtoll(values[0], NULL, 10);
    }
    return 0;
}

static int keep_is_wal(void *data, int n_columns, char **values, char **names)
{
    bool *is_wal = data;

    (void)names;
    *is_wal = n_columns == 1 && values[0] != NULL && hws_str_eq(values[0], "wal");
    return 0;
}

static int on_wal(void *data, sqlite3 *sql, const char *name, int n_pages)
{
    struct hws_store_db *db = data;

    (void)sql;
    (void)name;
    db->wal_bytes = (uint64_t)n_pages * 4096;
    return SQLITE_OK;
}

static enum hws_code configure(struct hws_store_db *db, struct hws_err *err)
{
    bool is_wal = false;
    char limit[64];

    int rc = sqlite3_busy_timeout(db->sql, BUSY_MS);
    if (rc == SQLITE_OK) {
        rc = sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    if (rc != SQLITE_OK) {
        return hws_store__sql_err(db, rc, "configure", err);
    }
    enum hws_code code =
        run_sql(db,
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA trusted_schema=OFF;"
                "PRAGMA cell_size_check=ON; PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY",
                err);
    if (code != HWS_OK) {
        return code;
    }
    rc = sqlite3_exec(db->sql, "PRAGMA journal_mode=WAL", keep_is_wal, &is_wal, NULL);
    if (rc != SQLITE_OK) {
        return hws_store__sql_err(db, rc, "journal_mode", err);
    }
    if (!is_wal) {
        return hws_err_set(err, HWS_E_IO, "store: %s: no write-ahead log here", db->opt.path);
    }
    code = run_sql(db, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0", err);
    (void)sqlite3_wal_hook(db->sql, on_wal, db); /* after that PRAGMA, which takes the hook away */
    if (code == HWS_OK && db->opt.max_pages != 0) {
        (void)hws_str_print(limit, sizeof(limit), "PRAGMA max_page_count=%" PRIu64,
                            db->opt.max_pages);
        code = run_sql(db, limit, err);
    }
    return code;
}

static enum hws_code get_int(struct hws_store_db *db, const char *sql, int64_t *out,
                             struct hws_err *err)
{
    int rc = sqlite3_exec(db->sql, sql, keep_int, out, NULL);

    return rc == SQLITE_OK ? HWS_OK : hws_store__sql_err(db, rc, sql, err);
}

static enum hws_code create_schema(struct hws_store_db *db, struct hws_err *err)
{
    enum hws_code rc = HWS_OK;

    for (size_t i = 0; i < sizeof(s_schema) / sizeof(s_schema[0]) && rc == HWS_OK; i++) {
        rc = run_sql(db, s_schema[i], err);
    }
    db->created = rc == HWS_OK;
    return rc;
}

enum hws_code hws_store__other_schema(const char *path, int64_t version, enum hws_code code,
                                      struct hws_err *err)
{
    const char *slash = strrchr(path, '/');

    return hws_err_set(err, code,
                       "%.40s has schema %" PRId64 " of another version of the agent; this one "
                       "knows %d",
                       slash == NULL ? path : slash + 1, version, HWS_STORE_SCHEMA);
}

/*
 * BEGIN IMMEDIATE takes the exclusive lock now, so that a second agent fails here and not later.
 * The version is written even where it stands already: a file that may not be written, by its mode
 * or by its own header, is found out now and not at the first change. A full disk is no such file.
 */
static enum hws_code migrate(struct hws_store_db *db, struct hws_err *err)
{
    int64_t version = 0;
    int64_t application = 0;
    int64_t n_objects = 0;
    char stamp[96];
    enum hws_code rc = run_sql(db, "BEGIN IMMEDIATE", err);

    if (rc != HWS_OK) {
        return rc;
    }
    rc = get_int(db, "PRAGMA user_version", &version, err);
    if (rc == HWS_OK) {
        rc = get_int(db, "PRAGMA application_id", &application, err);
    }
    if (rc == HWS_OK) {
        rc = get_int(db, "SELECT count(*) FROM sqlite_master", &n_objects, err);
    }
    if (rc != HWS_OK) {
        return rc;
    }
    if (n_objects == 0 && version == 0) {
        rc = create_schema(db, err);
    } else if (application != HWS_STORE_APPLICATION_ID) {
        rc = hws_err_set(err, HWS_E_PROTO, "store: %s is not a Hawser database", db->opt.path);
    } else if (version != HWS_STORE_SCHEMA) {
        rc = hws_store__other_schema(db->opt.path, version, HWS_E_PROTO, err);
    }
    if (rc == HWS_OK) {
        (void)hws_str_print(stamp, sizeof(stamp),
                            "PRAGMA application_id=%d; PRAGMA user_version=%d",
                            HWS_STORE_APPLICATION_ID, HWS_STORE_SCHEMA);
        rc = run_sql(db, stamp, err);
    }
    if (rc == HWS_OK) {
        rc = run_sql(db, "COMMIT", err);
    }
    if (rc == HWS_E_BUSY && version == HWS_STORE_SCHEMA) {
        /* The disk is full: what is stored can be read, and writing may work again any time. */
        rc = sqlite3_get_autocommit(db->sql) != 0 ? HWS_OK : run_sql(db, "ROLLBACK", err);
    }
    return rc;
}

static enum hws_code check_pages(struct hws_store_db *db, enum hws_store_sql how,
                                 struct hws_err *err)
{
    struct hws_store_q q;
    enum hws_code rc = HWS_E_PROTO;

    hws_store__q(&q, db, how);
    if (hws_store__step(&q, err) == HWS_STORE_STEP_ROW) {
        struct hws_span text = hws_store__col(&q, 0);
        if (text.n == 2 && memcmp(text.bytes, "ok", 2) == 0) {
            rc = HWS_OK;
        } else {
            rc = hws_err_set(err, HWS_E_PROTO, "store: %s is damaged: %.*s", db->opt.path,
                             (int)(text.n > 120 ? 120 : text.n), (const char *)text.bytes);
        }
    } else if (err != NULL) {
        rc = err->code;
    }
    hws_store__q_end(&q);
    return rc;
}

static enum hws_code check(struct hws_store_db *db, struct hws_err *err)
{
    bool full = db->opt.full_check;
    /* The ledger in any case: a damaged index would hide a request id, and the change would run
     * twice. */
    enum hws_code rc = check_pages(db, full ? HWS_SQL_CHECK_ALL : HWS_SQL_CHECK_LEDGER, err);

    if (rc == HWS_OK) {
        rc = hws_store__ledger_open(db, full, err);
    }
    if (rc == HWS_OK) {
        rc = hws_store__audit_open(db, full, err);
    }
    return rc == HWS_OK ? hws_store__sign_open(db, err) : rc;
}

enum hws_code hws_store__db_open(struct hws_store_db *db, const struct hws_store_options *opt,
                                 struct hws_err *err)
{
    memset(db, 0, sizeof(*db));
    hws_buf_init(&db->body, HWS_RECORD_MAX_BYTES);
    enum hws_code rc = copy_options(db, opt);
    if (rc != HWS_OK) {
        (void)hws_err_set(err, rc, "store: out of memory");
    } else {
        rc = connect_file(db, err);
    }
    if (rc == HWS_OK) {
        rc = configure(db, err);
    }
    if (rc == HWS_OK) {
        rc = migrate(db, err);
    }
    if (rc == HWS_OK) {
        rc = check(db, err);
    }
    if (rc == HWS_E_STATE) {
        (void)hws_err_set(err, rc, "store: %s is in use by another process", db->opt.path);
    }
    if (rc != HWS_OK) {
        hws_store__db_close(db);
    }
    return rc;
}

void hws_store__db_close(struct hws_store_db *db)
{
    for (size_t i = 0; i < HWS_N_STORE_SQL; i++) {
        (void)sqlite3_finalize(db->stmts[i]); /* repeats the last step's error */
        db->stmts[i] = NULL;
    }
    (void)sqlite3_close_v2(db->sql);
    db->sql = NULL;
    hws_buf_deinit(&db->body);
    hws_buf_deinit(&db->text);
    hws_mem_free(db->folder);
    hws_mem_free(db->path);
    hws_mem_free(db->vfs);
    hws_mem_free(db->host);
    db->host = NULL;
    db->folder = NULL;
    db->path = NULL;
    db->vfs = NULL;
}

bool hws_store__db_low(const struct hws_store_db *db)
{
    struct statvfs fs;

    if (statvfs(db->folder, &fs) != 0) {
        return true; /* not knowing is not having */
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize < db->opt.min_free_bytes;
}

void hws_store__db_checkpoint(struct hws_store_db *db)
{
    int n_log = 0;
    int n_done = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->sql, "main", SQLITE_CHECKPOINT_PASSIVE, &n_log, &n_done);

    db->wal_bytes = 0;
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_FULL && (rc & 0xff) != SQLITE_NOMEM) {
        /* An fsync may have failed: what the kernel still holds of the file is unknown. */
        struct hws_err err;
        (void)hws_store__sql_err(db, rc, "checkpoint", &err);
        if (!db->broken) {
            db->broken = true;
            (void)hws_str_copy(db->why_broken, sizeof(db->why_broken), err.msg);
        }
    }
}
