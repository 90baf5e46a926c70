/*
 * The agent's durable state: one SQLite database, one thread that owns it, jobs in, callbacks out.
 *
 * A caller fills a request (mutation.h, audit.h, kv.h), submits it and gets its callback from
 * hws_store_turn. The thread takes all jobs that wait, runs each in a savepoint and commits once
 * for all of them: that one fsync is shared (group commit). A callback with HWS_OK means "on disk".
 *
 * Results a caller must tell apart:
 *   HWS_E_BUSY      a limit (queue, disk space, ledger): nothing was stored
 *   HWS_E_CONFLICT  in doubt: the commit failed, so it may or may not be on disk
 *   HWS_E_PROTO     a stored row is damaged; the text names it
 *   HWS_E_GONE      the store has failed or is closing; nothing was stored
 * After an error in COMMIT, in an fsync or in reading the file the store is FAILED: it takes no
 * more jobs and the owner exits and opens it again, since what the kernel holds of the file is not
 * known any more. A full disk is no such error, not even in COMMIT, which is undone then (in doubt
 * only if the owner dies before the next commit): requests that read go on, and those that write
 * do when there is space.
 *
 * Thread rule: all functions on the owner's thread; callbacks run on it too, inside hws_store_turn
 * or hws_store_run only. Requests are the caller's and on loan from submit until their callback.
 *
 * The struct is opaque, unlike most here: SQLite and thread types stay out of the owner's view.
 */
#ifndef HWS_STORE_STORE_H
#define HWS_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

struct hws_signer; /* crypt/sign.h */
struct hws_store;
struct hws_store_job;
struct hws_store_job_ops; /* one per kind of request; internal */

/* Defaults of struct hws_store_options. */
#define HWS_STORE_MAX_JOBS        1024u
#define HWS_STORE_MAX_LEDGER_ROWS 10000u
#define HWS_STORE_LEDGER_MS       (UINT64_C(24) * 3600 * 1000)
#define HWS_STORE_MAX_AUDIT_ROWS  100000u
#define HWS_STORE_MAX_AUDIT_BYTES (UINT64_C(64) << 20)
#define HWS_STORE_MIN_FREE_BYTES  (UINT64_C(16) << 20)
#define HWS_STORE_SIGN_RECORDS    64u    /* a checkpoint is signed after so many records */
#define HWS_STORE_SIGN_MS         10000u /* or so long after the first one it does not cover */
#define HWS_STORE_MAX_CHECKPOINTS 1024u  /* the newest covers the whole log; older ones go */

/* A batch that shares a commit is at most this long, so that a callback is never far away. */
#define HWS_STORE_MAX_BATCH 256u

/* The log is folded into the database above this size, or when there is nothing to do. */
#define HWS_STORE_WAL_BYTES (UINT64_C(4) << 20)

/* Zero in a number means its default. */
struct hws_store_options {
    const char *path;  /* the database file; its folder must exist. "-wal" appears beside it */
    const char *vfs;   /* SQLite VFS name; NULL = the default (tests inject faults here) */
    uint32_t max_jobs; /* on loan at once; more is HWS_E_BUSY */
    uint32_t max_ledger_rows; /* finished mutations kept for repeated request ids */
    uint64_t ledger_ms;       /* and for how long */
    uint32_t max_audit_rows;  /* audit records kept; older ones are pruned, some at a time between
                                 batches, and the signed horizon moves with them */
    uint64_t max_audit_bytes; /* the same for the bytes of all records */
    uint64_t max_audit_ms;    /* and for their age by the wall clock; 0 = any age */
    const char *host;         /* named in checkpoints; NULL = "" */
    const struct hws_signer *signer; /* signs checkpoints; NULL = none are written. Borrowed until
                                        closed; used by the store's thread alone from now on */
    const struct hws_signer *next_signer; /* used instead if a rotation to it was the last one (its
                                             owner died before it could put it into place) */
    uint32_t sign_records;
    uint32_t sign_ms;
    uint32_t max_checkpoints; /* kept */
    uint64_t min_free_bytes; /* below this much free disk mutations are refused, the rest goes on */
    uint64_t max_pages;      /* ceiling on the database, 4 KiB pages; 0 = none */
    bool full_check;         /* also walk every page and the whole audit chain at open (slow) */
    void (*audit_cb)(void *data, uint64_t head_seq); /* inside turn: new audit rows are durable, or
                                                        a new checkpoint is */
    void *data;                                      /* for audit_cb */
};

/* The common head of every request. Set cb and data; the rest is the store's. */
struct hws_store_job {
    void (*cb)(struct hws_store_job *job); /* last thing the store does with the request; may be
                                              NULL with hws_store_run */
    void *data;                            /* the caller's */
    struct hws_err err;                    /* result */
    const struct hws_store_job_ops *ops;   /* set by the request's init */
    struct hws_list link;                  /* the store's while on loan */
    bool done;                             /* result is in */
};

/* What the thread has done so far. */
struct hws_store_stats {
    uint64_t n_jobs;
    uint64_t n_commits; /* transactions that wrote */
    uint64_t n_checkpoints;
    uint32_t n_on_loan;
    uint64_t n_lost;   /* notes taken that could not be stored after all (disk full) */
    uint64_t n_untold; /* of these: those that no record of the log tells of yet */
};

/*
 * Opens or creates the database and starts the thread. Blocks; call it at start. Takes ownership of
 * nothing. HWS_E_STATE: in use by another process. HWS_E_PROTO: damaged, not a database, or of a
 * newer version, or signed by another key: the owner serves reads only. HWS_E_IO: unreadable,
 * read-only or missing folder. HWS_E_NOMEM.
 */
enum hws_code hws_store_open(const struct hws_store_options *options, struct hws_store **out,
                             struct hws_err *err) HWS_MUST_USE;

/* True if the log goes on with options.next_signer. */
bool hws_store_uses_next(const struct hws_store *s);

/* True if open made the database: on an enrolled host that means the old one was lost. */
bool hws_store_created(const struct hws_store *s);

/* Hands a request to the thread. HWS_E_BUSY naming the limit, HWS_E_GONE; then cb never runs. */
enum hws_code hws_store_submit(struct hws_store *s, struct hws_store_job *job, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Keeps a place for a request to come: a submit after hws_store_unreserve finds it free. Whoever
 * must put something on record reserves before it does what the record is about. HWS_E_BUSY naming
 * the limit, HWS_E_GONE.
 */
enum hws_code hws_store_reserve(struct hws_store *s, struct hws_err *err) HWS_MUST_USE;
void hws_store_unreserve(struct hws_store *s);

/* Readable when callbacks wait: call hws_store_turn. */
int hws_store_fd(const struct hws_store *s);

/* Runs the callbacks of finished requests. They may submit more. */
void hws_store_turn(struct hws_store *s);

/* True after an error that leaves the file in doubt; the text of it in *err (may be NULL). */
bool hws_store_failed(const struct hws_store *s, struct hws_err *err);

/* For tools and tests: submits, waits and turns until this request is done (other callbacks run
 * too). Returns its result. Never on a loop's thread. */
enum hws_code hws_store_run(struct hws_store *s, struct hws_store_job *job, struct hws_err *err)
    HWS_MUST_USE;

/* Frees what a finished request holds (answers, rows); accepts one that never ran. */
void hws_store_job_deinit(struct hws_store_job *job);

/* The seq of the newest durable audit record, 0 if none. */
uint64_t hws_store_audit_head(const struct hws_store *s);

/* How many checkpoints of the log have become durable, ever: grows with each. */
uint64_t hws_store_audit_signed(const struct hws_store *s);

void hws_store_stats(const struct hws_store *s, struct hws_store_stats *out);

/* Refuses new jobs, finishes those on loan; then, inside a later turn and after their callbacks,
 * calls closed once and frees the store. Idempotent until then. */
void hws_store_close(struct hws_store *s, void (*closed)(void *data), void *data);

/* For tools and tests: closes and blocks until all is done; callbacks run inside. NULL is allowed.
 */
void hws_store_close_wait(struct hws_store *s);

/* Makes SQLite allocate through base/mem. Process-wide: call once at program start, before any
 * open. HWS_E_STATE if SQLite is in use already. */
enum hws_code hws_store_use_base_mem(void) HWS_MUST_USE;

#endif
