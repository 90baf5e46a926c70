/* Prepared statements with sticky errors, SQLite's errors as ours, and row digests. */
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "store/db_priv.h"

static const char *const s_sql[HWS_N_STORE_SQL] = {
#define HWS_SQL(name, text) text,
#include "store/statements.def"
#undef HWS_SQL
};

static const char *const s_names[HWS_N_STORE_SQL] = {
#define HWS_SQL(name, text) #name,
#include "store/statements.def"
#undef HWS_SQL
};

static enum hws_code code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return HWS_E_NOMEM;
    case SQLITE_FULL:
        return HWS_E_BUSY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return HWS_E_STATE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* a table or column is missing: all our statements are fixed */
    case SQLITE_CONSTRAINT:
        return HWS_E_PROTO;
    case SQLITE_TOOBIG:
        return HWS_E_INVALID;
    default:
        return rc == SQLITE_IOERR_NOMEM ? HWS_E_NOMEM : HWS_E_IO;
    }
}

enum hws_code hws_store__sql_err(struct hws_store_db *db, int rc, const char *what,
                                 struct hws_err *err)
{
    enum hws_code code = code_of(rc);
    const char *text = db->sql == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(db->sql);
    const char *advice = code == HWS_E_BUSY ? "disk full: nothing was stored" : text;

    if (code == HWS_E_IO && !db->broken) {
        db->broken = true;
        (void)hws_str_print(db->why_broken, sizeof(db->why_broken), "%s: %s", what, text);
    }
    return hws_err_set(err, code, "store: %s: %s (SQLite %d)", what, advice, rc);
}

void hws_store__q(struct hws_store_q *q, struct hws_store_db *db, enum hws_store_sql id)
{
    *q = (struct hws_store_q){.db = db, .stmt = db->stmts[id], .rc = SQLITE_OK};
    if (q->stmt == NULL) {
        q->rc = sqlite3_prepare_v3(db->sql, s_sql[id], -1, SQLITE_PREPARE_PERSISTENT,
                                   &db->stmts[id], NULL);
        q->stmt = db->stmts[id];
    }
}

static void keep(struct hws_store_q *q, int rc)
{
    if (q->rc == SQLITE_OK) {
        q->rc = rc;
    }
}

void hws_store__u64(struct hws_store_q *q, uint64_t v)
{
    if (q->rc == SQLITE_OK) {
        keep(q, sqlite3_bind_int64(q->stmt, ++q->n_bound, (sqlite3_int64)v));
    }
}

void hws_store__text(struct hws_store_q *q, const char *s)
{
    if (q->rc == SQLITE_OK) {
        keep(q, sqlite3_bind_text(q->stmt, ++q->n_bound, s == NULL ? "" : s, -1, SQLITE_STATIC));
    }
}

void hws_store__blob(struct hws_store_q *q, const void *p, size_t n)
{
    if (q->rc == SQLITE_OK) {
        /* A NULL pointer would bind SQL's NULL. */
        keep(q, sqlite3_bind_blob64(q->stmt, ++q->n_bound, n == 0 ? "" : p, n, SQLITE_STATIC));
    }
}

enum hws_store_step hws_store__step(struct hws_store_q *q, struct hws_err *err)
{
    if (q->rc == SQLITE_OK) {
        int rc = sqlite3_step(q->stmt);
        if (rc == SQLITE_ROW) {
            return HWS_STORE_STEP_ROW;
        }
        if (rc == SQLITE_DONE) {
            return HWS_STORE_STEP_DONE;
        }
        q->rc = rc;
    }
    const char *what = "prepare";
    for (size_t i = 0; q->stmt != NULL && i < HWS_N_STORE_SQL; i++) {
        if (q->db->stmts[i] == q->stmt) {
            what = s_names[i];
        }
    }
    (void)hws_store__sql_err(q->db, q->rc, what, err);
    return HWS_STORE_STEP_ERROR;
}

uint64_t hws_store__col_u64(const struct hws_store_q *q, int idx)
{
    return (uint64_t)sqlite3_column_int64(q->stmt, idx);
}

struct hws_span hws_store__col(const struct hws_store_q *q, int idx)
{
    const void *p = sqlite3_column_blob(q->stmt, idx);
    int n = sqlite3_column_bytes(q->stmt, idx);

    if (p == NULL || n <= 0) {
        return (struct hws_span){.bytes = (const uint8_t *)"", .n = 0};
    }
    return (struct hws_span){.bytes = p, .n = (size_t)n};
}

void hws_store__q_end(struct hws_store_q *q)
{
    if (q->stmt != NULL) {
        /* The result repeats the last step's error, which was seen already. */
        (void)sqlite3_reset(q->stmt);
        (void)sqlite3_clear_bindings(q->stmt);
    }
}

enum hws_code hws_store__finish(struct hws_store_q *q, struct hws_err *err)
{
    struct hws_err local;
    struct hws_err *e = err == NULL ? &local : err;
    enum hws_store_step step = hws_store__step(q, e);

    hws_store__q_end(q);
    return step == HWS_STORE_STEP_ERROR ? e->code : HWS_OK;
}

enum hws_code hws_store__exec(struct hws_store_db *db, enum hws_store_sql id, struct hws_err *err)
{
    struct hws_store_q q;

    hws_store__q(&q, db, id);
    return hws_store__finish(&q, err);
}

enum hws_code hws_store__digest(const char *tag, const struct hws_span *parts, size_t n,
                                struct hws_digest *out)
{
    struct hws_sha256 h;
    uint8_t len[8];
    enum hws_code rc = hws_sha256_init(&h);

    if (rc != HWS_OK) {
        return rc;
    }
    hws_sha256_update(&h, tag, strlen(tag) + 1);
    for (size_t i = 0; i < n; i++) {
        hws_store_be64(len, parts[i].n);
        hws_sha256_update(&h, len, sizeof(len));
        hws_sha256_update(&h, parts[i].bytes, parts[i].n);
    }
    return hws_sha256_final(&h, out);
}

bool hws_store__digest_of(struct hws_span column, struct hws_digest *out)
{
    if (column.n != sizeof(out->b)) {
        return false;
    }
    memcpy(out->b, column.bytes, sizeof(out->b));
    return true;
}

struct hws_span hws_store__span(const char *s)
{
    return (struct hws_span){.bytes = (const uint8_t *)(s == NULL ? "" : s),
                             .n = s == NULL ? 0 : strlen(s)};
}
