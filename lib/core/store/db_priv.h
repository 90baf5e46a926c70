/*
 * The database as the store's thread sees it: connection, prepared statements, the end of the audit
 * chain. Everything here is called by one thread at a time: by open's caller first, then by the
 * store's thread.
 */
#ifndef HWS_STORE_DB_PRIV_H
#define HWS_STORE_DB_PRIV_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "crypt/digest.h"
#include "crypt/sign.h"
#include "record/chain.h"
#include "store/audit.h"
#include "store/store.h"

#define HWS_STORE_SCHEMA         2          /* PRAGMA user_version: schema.def */
#define HWS_STORE_APPLICATION_ID 0x48575352 /* PRAGMA application_id: "HWSR" */

enum hws_store_sql {
#define HWS_SQL(name, text) HWS_SQL_##name,
#include "store/statements.def"
#undef HWS_SQL
    HWS_N_STORE_SQL
};

/* What a savepoint's rollback must also undo in memory. */
struct hws_store_marks {
    uint64_t head_seq;           /* the newest audit record, 0 = none ever */
    struct hws_digest head_hash; /* zero if none */
    uint64_t horizon_seq;        /* the oldest audit record kept, 0 = none */
    uint64_t n_ledger;           /* rows in ledger */
    uint64_t audit_bytes;        /* of all records kept */
    uint64_t horizon_ms;         /* when the oldest record kept was written, by the wall clock */
    struct hws_digest horizon_prev;
    uint64_t signed_seq;             /* the newest record that a checkpoint covers */
    uint64_t n_checkpoints;          /* numbers given to checkpoints so far */
    uint64_t n_keys;                 /* and to signing keys */
    const struct hws_signer *signer; /* the present one; NULL = nothing is signed */
};

struct hws_store_db {
    struct hws_store_options opt;         /* defaults filled in */
    char *path;                           /* owned; opt.path points at it */
    char *vfs;                            /* owned; opt.vfs points at it; may be NULL */
    char *host;                           /* owned; opt.host points at it */
    char *folder;                         /* owned; where the file lives, for free space */
    sqlite3 *sql;                         /* owned */
    sqlite3_stmt *stmts[HWS_N_STORE_SQL]; /* owned; NULL until first used */
    struct hws_store_marks marks;         /* as of the open transaction */
    struct hws_buf body;                  /* scratch: canonical bytes of the record being written */
    struct hws_buf text;                  /* scratch: cleaned texts of it */
    bool created;
    bool uses_next;     /* the log goes on with opt.next_signer */
    bool broken;        /* the file's state is not known any more */
    uint64_t wal_bytes; /* size of the log after the last commit */
    uint64_t n_untold;  /* notes that were lost, and no record of the log says so yet */
    char why_broken[HWS_ERR_MSG_BYTES];
};

/* Opens, configures, migrates and checks. On failure nothing is left open. */
enum hws_code hws_store__db_open(struct hws_store_db *db, const struct hws_store_options *opt,
                                 struct hws_err *err) HWS_MUST_USE;
void hws_store__db_close(struct hws_store_db *db);

/* Says that the database is another version's; returns code. */
enum hws_code hws_store__other_schema(const char *path, int64_t version, enum hws_code code,
                                      struct hws_err *err);

/* Appends the URI by which SQLite opens the file at path. HWS_E_NOMEM. */
enum hws_code hws_store__uri(const char *path, struct hws_buf *uri) HWS_MUST_USE;

/* True if there is less free disk than the options demand for a mutation. */
bool hws_store__db_low(const struct hws_store_db *db);

/* Moves the log into the database as far as possible. */
void hws_store__db_checkpoint(struct hws_store_db *db);

/* Runs a statement without parameters or rows. */
enum hws_code hws_store__exec(struct hws_store_db *db, enum hws_store_sql id, struct hws_err *err)
    HWS_MUST_USE;

/* Maps SQLite's current error to a code and text; marks the database broken where the file is in
 * doubt. */
enum hws_code hws_store__sql_err(struct hws_store_db *db, int rc, const char *what,
                                 struct hws_err *err);

/*
 * One use of a prepared statement. Errors stick: bind at will, look at the result of step.
 *     struct hws_store_q q;
 *     hws_store__q(&q, db, HWS_SQL_X);
 *     hws_store__u64(&q, id);
 *     if (hws_store__step(&q, err) == HWS_STORE_STEP_ROW) ... columns ...
 *     hws_store__q_end(&q);
 * Bound memory must live until q_end.
 */
struct hws_store_q {
    struct hws_store_db *db;
    sqlite3_stmt *stmt;
    int rc; /* the first error */
    int n_bound;
};

enum hws_store_step { HWS_STORE_STEP_ROW, HWS_STORE_STEP_DONE, HWS_STORE_STEP_ERROR };

void hws_store__q(struct hws_store_q *q, struct hws_store_db *db, enum hws_store_sql id);
void hws_store__u64(struct hws_store_q *q, uint64_t v);
void hws_store__text(struct hws_store_q *q, const char *s);
void hws_store__blob(struct hws_store_q *q, const void *p, size_t n);
enum hws_store_step hws_store__step(struct hws_store_q *q, struct hws_err *err) HWS_MUST_USE;
uint64_t hws_store__col_u64(const struct hws_store_q *q, int idx);
/* Bytes of a text or blob column; valid until the next step or q_end. Never NULL. */
struct hws_span hws_store__col(const struct hws_store_q *q, int idx);
void hws_store__q_end(struct hws_store_q *q);

/* Binds nothing more, steps to the end, ends. For statements without rows. */
enum hws_code hws_store__finish(struct hws_store_q *q, struct hws_err *err) HWS_MUST_USE;

/* SHA-256 over n parts, each preceded by its length; tag keeps rows of different tables apart. */
enum hws_code hws_store__digest(const char *tag, const struct hws_span *parts, size_t n,
                                struct hws_digest *out) HWS_MUST_USE;

/* Copies a 32-byte column; false if it has another length. */
bool hws_store__digest_of(struct hws_span column, struct hws_digest *out);

struct hws_span hws_store__span(const char *s); /* without the NUL; NULL is empty */

/*
 * Appends a record to the chain inside the open transaction: gives it seq and hashes, cleans its
 * texts, keeps retention. The canonical bytes stay in db->body until the next append.
 */
enum hws_code hws_store__audit_append(struct hws_store_db *db, struct hws_record *r,
                                      struct hws_err *err) HWS_MUST_USE;

/* Reads the ends of the chain and checks them; full walks all of it. */
enum hws_code hws_store__audit_open(struct hws_store_db *db, bool full, struct hws_err *err)
    HWS_MUST_USE;

/* Stores the end of the chain beside it, before a commit. */
enum hws_code hws_store__audit_seal(struct hws_store_db *db, struct hws_err *err) HWS_MUST_USE;

/* Signs and stores a checkpoint of the log's end. No effect without a key or without records. */
enum hws_code hws_store__sign(struct hws_store_db *db, struct hws_err *err) HWS_MUST_USE;

/* True if records wait for a checkpoint. */
bool hws_store__unsigned(const struct hws_store_db *db);

/* Reads the keys and checkpoints that *sig asks for, the latter of records up to last_seq. */
enum hws_code hws_store__signed_from(struct hws_store_db *db, uint64_t last_seq,
                                     struct hws_store_signed *sig, struct hws_err *err)
    HWS_MUST_USE;

/* Reads keys and the last checkpoint and checks them against the log; the first time stores the
 * first key. After audit_open. */
enum hws_code hws_store__sign_open(struct hws_store_db *db, struct hws_err *err) HWS_MUST_USE;

/* True if retention wants records pruned; *out_wait_ms is when to ask again (UINT64_MAX: after the
 * next record). */
bool hws_store__prune_due(const struct hws_store_db *db, uint64_t unix_ms, uint64_t *out_wait_ms);

/* Prunes some of the oldest records and signs the new horizon, inside the open transaction. */
enum hws_code hws_store__prune(struct hws_store_db *db, uint64_t unix_ms, struct hws_err *err)
    HWS_MUST_USE;

/* Appends the record that says how many notes were lost, n_untold. */
enum hws_code hws_store__tell_lost(struct hws_store_db *db, uint64_t unix_ms, struct hws_err *err)
    HWS_MUST_USE;

/* Checks the fences and the ledger rows (all, or the unfinished ones). */
enum hws_code hws_store__ledger_open(struct hws_store_db *db, bool full, struct hws_err *err)
    HWS_MUST_USE;

/* One kind of request. */
struct hws_store_job_ops {
    /* Does the work inside a savepoint and sets job->err. False: roll the savepoint back. */
    bool (*run)(struct hws_store_db *db, struct hws_store_job *job);
    void (*deinit)(struct hws_store_job *job); /* frees results; NULL if there are none */
    bool needs_space;                          /* refused when the disk is nearly full */
    bool reads;                                /* writes nothing: no writer's trouble is its own */
    bool unheard; /* nobody learns how it ended: a failure is counted, and told in the log */
};

#endif
