/*
 * The store's thread.
 *
 * A batch, on the thread:
 *   1. take all jobs that wait (at most HWS_STORE_MAX_BATCH)
 *   2. BEGIN; each job in a savepoint, kept or rolled back by the job's own judgement
 *   3. one COMMIT for all; with it the end of the audit chain
 *   4. hand the jobs back and wake the owner
 * Failure modes:
 *   - SQLite rolled the whole transaction back (disk full, memory): the jobs of the batch so far
 * were not stored and end with that error; the rest goes into a new transaction
 *   - COMMIT failed: every job of the batch that wrote is in doubt (HWS_E_CONFLICT), the store is
 * FAILED. But a full disk alone fails no store: SQLite has undone the transaction, and the doubt is
 * only whether a crash before the next commit would bring it back
 *   - a job that only reads sees what is committed and ends at once, so none of this meets it
 *   - the store is FAILED or closing: HWS_E_GONE
 * Between batches, each in a transaction of its own: some of the records that retention wants gone
 * are pruned; records that no checkpoint covers for sign_ms are signed, and at the end all are; a
 * record tells how many notes were lost, at once, after the next commit, and every RETRY_MS.
 * When nothing waits for IDLE_MS the log is folded into the database; then the thread sleeps until
 * one of these is due, mostly for good.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/store_priv.h"

#define IDLE_MS     500u
#define RETRY_MS    10000u
#define MAX_WAIT_MS 3600000u

static uint64_t mono_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t unix_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Until a checkpoint is due by time; UINT64_MAX if all records are covered. */
static uint64_t sign_wait_ms(const struct hws_store *s)
{
    if (!hws_store__unsigned(&s->db)) {
        return UINT64_MAX;
    }
    uint64_t age_ms = mono_ms() - s->unsigned_since_ms;
    return age_ms >= s->db.opt.sign_ms ? 0 : s->db.opt.sign_ms - age_ms;
}

/* One transaction's worth of a batch. */
struct batch {
    struct hws_store *s;
    struct hws_list ran; /* jobs run in the open transaction */
    bool open;           /* a transaction is open */
    bool low;            /* the disk is nearly full */
    bool low_known;
    struct hws_store_marks before; /* as of BEGIN */
};

static void finish_job(struct batch *b, struct hws_store_job *job)
{
    struct hws_store *s = b->s;
    bool lost = job->ops->unheard && job->err.code != HWS_OK;

    s->db.n_untold += lost ? 1 : 0;
    (void)pthread_mutex_lock(&s->lock);
    s->n_lost += lost ? 1 : 0;
    s->n_untold = s->db.n_untold;
    hws_list_push(&s->done, &job->link);
    (void)pthread_mutex_unlock(&s->lock);
}

/* Ends the jobs of the open transaction. code HWS_OK leaves each its own result. */
static void finish_ran(struct batch *b, enum hws_code code, const char *why)
{
    struct hws_list *item;

    while ((item = hws_list_pop(&b->ran)) != NULL) {
        struct hws_store_job *job = hws_container_of(item, struct hws_store_job, link);
        if (code != HWS_OK) {
            (void)hws_err_set(&job->err, code, "%s", why);
        }
        finish_job(b, job);
    }
}

/* SQLite ended the transaction by itself: nothing of it was stored. */
static void transaction_lost(struct batch *b, const struct hws_err *cause)
{
    b->s->db.marks = b->before;
    b->open = false;
    finish_ran(b, cause->code, cause->msg);
}

static bool begin(struct batch *b, struct hws_store_job *job)
{
    if (b->open) {
        return true;
    }
    b->before = b->s->db.marks;
    if (hws_store__exec(&b->s->db, HWS_SQL_BEGIN, &job->err) != HWS_OK) {
        return false;
    }
    b->open = true;
    return true;
}

static bool refused(struct batch *b, struct hws_store_job *job)
{
    if (b->s->db.broken) {
        (void)hws_err_set(&job->err, HWS_E_GONE, "store has failed: %s", b->s->db.why_broken);
        return true;
    }
    if (!job->ops->needs_space) {
        return false;
    }
    if (!b->low_known) {
        b->low = hws_store__db_low(&b->s->db);
        b->low_known = true;
    }
    if (b->low) {
        (void)hws_err_set(&job->err, HWS_E_BUSY,
                          "store: less than %" PRIu64 " MiB of free disk: no change is begun",
                          b->s->db.opt.min_free_bytes >> 20);
    }
    return b->low;
}

static void fail_store(struct hws_store *s, const char *why)
{
    s->db.broken = true;
    (void)pthread_mutex_lock(&s->lock);
    if (!s->failed) {
        s->failed = true;
        (void)hws_str_copy(s->why_failed, sizeof(s->why_failed), why);
    }
    (void)pthread_mutex_unlock(&s->lock);
    (void)hws_str_copy(s->db.why_broken, sizeof(s->db.why_broken), s->why_failed);
}

static void roll_back(struct hws_store *s)
{
    struct hws_err err;

    if (sqlite3_get_autocommit(s->db.sql) == 0 &&
        hws_store__exec(&s->db, HWS_SQL_ROLLBACK, &err) != HWS_OK) {
        fail_store(s, err.msg); /* UNTESTED: SQLite has no reason to refuse this */
    }
}

/* The end of the chain beside it, and a checkpoint when enough records wait for one. */
static enum hws_code seal(struct hws_store *s, struct hws_err *err)
{
    struct hws_store_db *db = &s->db;
    enum hws_code rc = hws_store__audit_seal(db, err);
    uint64_t n = db->marks.head_seq - db->marks.signed_seq;

    if (rc == HWS_OK && hws_store__unsigned(db) &&
        (n >= db->opt.sign_records || (s->unsigned_since_ms != 0 && sign_wait_ms(s) == 0))) {
        rc = hws_store__sign(db, err);
    }
    return rc;
}

/* When the oldest record that no checkpoint covers became durable. */
static void note_unsigned(struct hws_store *s)
{
    if (!hws_store__unsigned(&s->db)) {
        s->unsigned_since_ms = 0;
    } else if (s->unsigned_since_ms == 0) {
        s->unsigned_since_ms = mono_ms();
    }
}

/* COMMIT; false, and why in *err, if it is in doubt. */
static bool commit_sql(struct hws_store *s, struct hws_err *err)
{
    struct hws_err cause;
    enum hws_code rc = hws_store__exec(&s->db, HWS_SQL_COMMIT, &cause);

    if (rc == HWS_OK) {
        return true;
    }
    (void)hws_err_set(err, HWS_E_CONFLICT, "in doubt, the commit failed: %.200s", cause.msg);
    if (rc != HWS_E_BUSY || sqlite3_get_autocommit(s->db.sql) == 0) {
        fail_store(s, err->msg);
    }
    return false;
}

static void commit(struct batch *b)
{
    struct hws_store *s = b->s;
    struct hws_err err;
    enum hws_code rc = HWS_OK;

    if (!b->open) {
        return;
    }
    b->open = false;
    bool wrote = sqlite3_txn_state(s->db.sql, "main") == SQLITE_TXN_WRITE;
    if (s->db.broken) {
        rc = hws_err_set(&err, HWS_E_IO, "store has failed: %s", s->db.why_broken);
    } else if (s->db.marks.head_seq != b->before.head_seq) {
        rc = seal(s, &err);
    }
    if (rc != HWS_OK) {
        roll_back(s);
        transaction_lost(b, &err);
        return;
    }
    if (!commit_sql(s, &err)) {
        s->db.marks = b->before;
        finish_ran(b, HWS_E_CONFLICT, err.msg);
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->head_seq = s->db.marks.head_seq;
    s->n_signed = s->db.marks.n_checkpoints;
    s->n_commits += wrote ? 1 : 0;
    (void)pthread_mutex_unlock(&s->lock);
    s->tell_at_ms = wrote ? 0 : s->tell_at_ms;
    note_unsigned(s);
    finish_ran(b, HWS_OK, NULL);
}

/* A job that only reads: in a transaction of its own, so that it shows nothing that may yet be
 * undone. */
static void run_read(struct batch *b, struct hws_store_job *job)
{
    commit(b);
    hws_err_clear(&job->err);
    if (!refused(b, job) && begin(b, job)) {
        (void)job->ops->run(&b->s->db, job);
        roll_back(b->s);
        b->open = false;
    }
    finish_job(b, job);
}

static void run_job(struct batch *b, struct hws_store_job *job)
{
    struct hws_store_db *db = &b->s->db;
    struct hws_err err;

    hws_err_clear(&job->err);
    if (refused(b, job) || !begin(b, job) ||
        hws_store__exec(db, HWS_SQL_SAVEPOINT, &job->err) != HWS_OK) {
        finish_job(b, job);
        return;
    }
    struct hws_store_marks marks = db->marks;
    bool keep = job->ops->run(db, job);
    hws_list_push(&b->ran, &job->link);
    if (sqlite3_get_autocommit(db->sql) != 0) {
        err = job->err;
        if (err.code == HWS_OK) {
            (void)hws_err_set(&err, HWS_E_IO, "store: the transaction was rolled back");
        }
        transaction_lost(b, &err);
        return;
    }
    enum hws_code rc = HWS_OK;
    if (!keep) {
        db->marks = marks;
        rc = hws_store__exec(db, HWS_SQL_ROLLBACK_TO, &err);
    }
    if (rc == HWS_OK) {
        rc = hws_store__exec(db, HWS_SQL_RELEASE, &err);
    }
    if (rc != HWS_OK) {
        /* UNTESTED: a savepoint that can be neither kept nor undone; nothing is kept then. */
        roll_back(b->s);
        transaction_lost(b, &err);
    }
}

/* ---- the thread's own work ---- */

static void wake_owner(struct hws_store *s)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(s->event_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the owner has been woken anyway. */
}

static void run_batch(struct hws_store *s, struct hws_list *jobs)
{
    struct batch b = {.s = s};
    struct hws_list *item;

    hws_list_init(&b.ran);
    while ((item = hws_list_pop(jobs)) != NULL) {
        struct hws_store_job *job = hws_container_of(item, struct hws_store_job, link);
        if (job->ops->reads) {
            run_read(&b, job);
        } else {
            run_job(&b, job);
        }
    }
    commit(&b);
    if (s->db.broken) {
        fail_store(s, s->db.why_broken);
    }
    wake_owner(s);
}

/* One transaction of the thread's own; what fails is tried again later. */
static bool run_own(struct hws_store *s,
                    enum hws_code (*work)(struct hws_store_db *db, struct hws_err *err))
{
    struct hws_store_marks before = s->db.marks;
    struct hws_err err;

    if (s->db.broken) {
        return false;
    }
    enum hws_code rc = hws_store__exec(&s->db, HWS_SQL_BEGIN, &err);
    if (rc == HWS_OK) {
        rc = work(&s->db, &err);
    }
    if (rc != HWS_OK) {
        roll_back(s);
        s->db.marks = before;
    } else if (!commit_sql(s, &err)) {
        s->db.marks = before;
        rc = HWS_E_CONFLICT;
    } else {
        (void)pthread_mutex_lock(&s->lock);
        s->n_commits++;
        s->head_seq = s->db.marks.head_seq;
        s->n_signed = s->db.marks.n_checkpoints;
        (void)pthread_mutex_unlock(&s->lock);
        note_unsigned(s);
    }
    if (s->db.broken) {
        fail_store(s, s->db.why_broken);
    }
    if (s->db.broken || s->db.marks.head_seq != before.head_seq ||
        s->db.marks.n_checkpoints != before.n_checkpoints) {
        wake_owner(s);
    }
    return rc == HWS_OK;
}

static enum hws_code tell_now(struct hws_store_db *db, struct hws_err *err)
{
    enum hws_code rc = hws_store__tell_lost(db, unix_ms(), err);

    return rc == HWS_OK ? seal(hws_container_of(db, struct hws_store, db), err) : rc;
}

/* Puts on record how many notes were lost, if any were; the milliseconds until it is tried again.
 */
static uint64_t tell_lost(struct hws_store *s)
{
    uint64_t now_ms = mono_ms();

    if (s->db.n_untold == 0) {
        return UINT64_MAX;
    }
    if (s->tell_at_ms > now_ms) {
        return s->tell_at_ms - now_ms;
    }
    if (!run_own(s, tell_now)) {
        s->tell_at_ms = now_ms + RETRY_MS;
        return RETRY_MS;
    }
    s->db.n_untold = 0;
    (void)pthread_mutex_lock(&s->lock);
    s->n_untold = 0;
    (void)pthread_mutex_unlock(&s->lock);
    return UINT64_MAX;
}

static enum hws_code prune_now(struct hws_store_db *db, struct hws_err *err)
{
    return hws_store__prune(db, unix_ms(), err);
}

/* Tells, prunes and signs what is due; the milliseconds until something is, UINT64_MAX for never.
 */
static uint64_t housekeep(struct hws_store *s)
{
    uint64_t prune_ms = UINT64_MAX;
    uint64_t tell_ms = tell_lost(s);

    if (sign_wait_ms(s) == 0 && !run_own(s, hws_store__sign)) {
        s->unsigned_since_ms = mono_ms(); /* no space or memory: after another sign_ms */
    }
    if (hws_store__prune_due(&s->db, unix_ms(), &prune_ms)) {
        prune_ms = run_own(s, prune_now) ? 0 : RETRY_MS;
    }
    uint64_t sign_ms = sign_wait_ms(s);
    uint64_t next_ms = sign_ms < prune_ms ? sign_ms : prune_ms;
    return tell_ms < next_ms ? tell_ms : next_ms;
}

static void checkpoint(struct hws_store *s)
{
    hws_store__db_checkpoint(&s->db);
    (void)pthread_mutex_lock(&s->lock);
    s->n_checkpoints++;
    (void)pthread_mutex_unlock(&s->lock);
    if (s->db.broken) {
        fail_store(s, s->db.why_broken);
        wake_owner(s);
    }
}

/* Waits for work with the lock held, wait_ms at most (UINT64_MAX: for ever); false when that passed
 * without any. */
static bool wait_for_work(struct hws_store *s, uint64_t wait_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    if (wait_ms != UINT64_MAX) {
        wait_ms = wait_ms > MAX_WAIT_MS ? MAX_WAIT_MS : wait_ms;
        until.tv_sec += (time_t)(wait_ms / 1000);
        until.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
    }
    while (hws_list_empty(&s->queue) && !s->stop) {
        int rc = wait_ms != UINT64_MAX ? pthread_cond_timedwait(&s->wake, &s->lock, &until)
                                       : pthread_cond_wait(&s->wake, &s->lock);
        if (rc == ETIMEDOUT) {
            return false;
        }
    }
    return true;
}

void *hws_store__thread_main(void *arg)
{
    struct hws_store *s = arg;
    bool stop = false;
    uint64_t wait_ms = 0;

    note_unsigned(s);
    while (!stop) {
        struct hws_list jobs;
        uint32_t n = 0;
        hws_list_init(&jobs);
        (void)pthread_mutex_lock(&s->lock);
        bool idle = s->db.wal_bytes != 0 && !s->db.broken && wait_ms > IDLE_MS;
        bool work = wait_for_work(s, idle ? IDLE_MS : wait_ms);
        while (!hws_list_empty(&s->queue) && n < HWS_STORE_MAX_BATCH) {
            hws_list_push(&jobs, hws_list_pop(&s->queue));
            n++;
        }
        stop = s->stop && n == 0;
        (void)pthread_mutex_unlock(&s->lock);
        if (n > 0) {
            run_batch(s, &jobs);
        }
        if (!s->db.broken &&
            ((!work && s->db.wal_bytes != 0) || s->db.wal_bytes > HWS_STORE_WAL_BYTES)) {
            checkpoint(s);
        }
        wait_ms = s->db.broken ? UINT64_MAX : housekeep(s);
    }
    s->tell_at_ms = 0;
    (void)tell_lost(s);
    if (hws_store__unsigned(&s->db)) {
        (void)run_own(s, hws_store__sign);
    }
    hws_store__db_close(&s->db);
    (void)pthread_mutex_lock(&s->lock);
    s->exited = true;
    (void)pthread_mutex_unlock(&s->lock);
    wake_owner(s);
    return NULL;
}
