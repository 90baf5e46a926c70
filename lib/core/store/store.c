/*
 * The store on its owner's thread: submit, turn, close. Requests go to the thread under one lock;
 * finished ones come back the same way and an eventfd says so.
 */
#include "store/store.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "store/store_priv.h"

static enum hws_code start_thread(struct hws_store *s)
{
    sigset_t all;
    sigset_t old;

    /* Signals belong to the loop's thread. */
    (void)sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &old);
    hws_assert(rc == 0);
    rc = pthread_create(&s->thread, NULL, hws_store__thread_main, s);
    int rc2 = pthread_sigmask(SIG_SETMASK, &old, NULL);
    hws_assert(rc2 == 0);
    return rc == 0 ? HWS_OK : HWS_E_NOMEM;
}

static enum hws_code init_sync(struct hws_store *s, struct hws_err *err)
{
    pthread_condattr_t attr;

    s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event_fd < 0) {
        return hws_err_set(err, HWS_E_IO, "store: eventfd: errno %d", errno);
    }
    int rc = pthread_condattr_init(&attr);
    hws_assert(rc == 0);
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    hws_assert(rc == 0);
    rc = pthread_cond_init(&s->wake, &attr);
    hws_assert(rc == 0);
    (void)pthread_condattr_destroy(&attr);
    rc = pthread_mutex_init(&s->lock, NULL);
    hws_assert(rc == 0);
    return HWS_OK;
}

static void deinit_sync(struct hws_store *s)
{
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->wake);
    (void)close(s->event_fd);
}

enum hws_code hws_store_open(const struct hws_store_options *options, struct hws_store **out,
                             struct hws_err *err)
{
    struct hws_store *s = hws_mem_zalloc(1, sizeof(*s));

    if (s == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    hws_list_init(&s->queue);
    hws_list_init(&s->done);
    enum hws_code rc = init_sync(s, err);
    if (rc != HWS_OK) {
        goto fail_after_alloc;
    }
    struct hws_err local;
    rc = hws_store__db_open(&s->db, options, &local);
    if (rc != HWS_OK) {
        (void)hws_err_set(err, rc, "%s", local.msg);
        goto fail_after_sync;
    }
    s->max_jobs = s->db.opt.max_jobs;
    s->created = s->db.created;
    s->uses_next = s->db.uses_next;
    s->head_seq = s->db.marks.head_seq;
    s->seen_seq = s->head_seq;
    s->n_signed = s->db.marks.n_checkpoints;
    s->seen_signed = s->n_signed;
    s->audit_cb = options->audit_cb;
    s->audit_data = options->data;
    rc = start_thread(s);
    if (rc != HWS_OK) {
        (void)hws_err_set(err, rc, "store: no thread");
        goto fail_after_db;
    }
    *out = s;
    return HWS_OK;

fail_after_db:
    hws_store__db_close(&s->db);
fail_after_sync:
    deinit_sync(s);
fail_after_alloc:
    hws_mem_free(s);
    return rc;
}

bool hws_store_uses_next(const struct hws_store *s)
{
    return s->uses_next;
}

bool hws_store_created(const struct hws_store *s)
{
    return s->created;
}

static void lock_const(const struct hws_store *s)
{
    (void)pthread_mutex_lock((pthread_mutex_t *)&s->lock);
}

static void unlock_const(const struct hws_store *s)
{
    (void)pthread_mutex_unlock((pthread_mutex_t *)&s->lock);
}

/* HWS_OK if the store takes one more request. */
static enum hws_code has_place(struct hws_store *s, struct hws_err *err)
{
    struct hws_err why;

    if (s->closing) {
        return hws_err_set(err, HWS_E_GONE, "store is closing");
    }
    if (hws_store_failed(s, &why)) {
        return hws_err_set(err, HWS_E_GONE, "%s", why.msg);
    }
    if (s->n_on_loan + s->n_reserved >= s->max_jobs) {
        return hws_err_set(err, HWS_E_BUSY,
                           "store: %u requests wait or are announced already (limit max_jobs)",
                           s->n_on_loan + s->n_reserved);
    }
    return HWS_OK;
}

enum hws_code hws_store_reserve(struct hws_store *s, struct hws_err *err)
{
    enum hws_code rc = has_place(s, err);

    s->n_reserved += rc == HWS_OK ? 1 : 0;
    return rc;
}

void hws_store_unreserve(struct hws_store *s)
{
    hws_assert(s->n_reserved > 0);
    s->n_reserved--;
}

enum hws_code hws_store_submit(struct hws_store *s, struct hws_store_job *job, struct hws_err *err)
{
    enum hws_code rc = has_place(s, err);

    if (rc != HWS_OK) {
        return rc;
    }
    s->n_on_loan++;
    s->n_jobs++;
    job->done = false;
    hws_err_clear(&job->err);
    (void)pthread_mutex_lock(&s->lock);
    hws_list_push(&s->queue, &job->link);
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
    return HWS_OK;
}

int hws_store_fd(const struct hws_store *s)
{
    return s->event_fd;
}

/* The object dies when the thread is gone, all callbacks ran and no turn is on the stack. */
static void maybe_closed(struct hws_store *s)
{
    (void)pthread_mutex_lock(&s->lock);
    bool exited = s->exited;
    (void)pthread_mutex_unlock(&s->lock);
    if (!s->closing || !exited || s->n_on_loan > 0 || s->turning) {
        return;
    }
    void (*closed)(void *data) = s->closed;
    void *data = s->closed_data;
    int rc = pthread_join(s->thread, NULL);
    hws_assert(rc == 0);
    deinit_sync(s);
    hws_mem_free(s);
    if (closed != NULL) {
        closed(data);
    }
}

static void run_callbacks(struct hws_store *s)
{
    struct hws_list *item;

    for (;;) {
        (void)pthread_mutex_lock(&s->lock);
        item = hws_list_pop(&s->done);
        (void)pthread_mutex_unlock(&s->lock);
        if (item == NULL) {
            return;
        }
        struct hws_store_job *job = hws_container_of(item, struct hws_store_job, link);
        s->n_on_loan--;
        job->done = true;
        if (job->cb != NULL) {
            job->cb(job);
        }
    }
}

void hws_store_turn(struct hws_store *s)
{
    uint64_t count;
    ssize_t n;

    hws_assert(!s->turning);
    do {
        n = read(s->event_fd, &count, sizeof(count));
    } while (n < 0 && errno == EINTR);
    s->turning = true;
    run_callbacks(s);
    uint64_t head = hws_store_audit_head(s);
    uint64_t n_signed = hws_store_audit_signed(s);
    if (s->audit_cb != NULL && (head > s->seen_seq || n_signed > s->seen_signed)) {
        s->seen_seq = head;
        s->seen_signed = n_signed;
        s->audit_cb(s->audit_data, head);
    }
    s->turning = false;
    maybe_closed(s);
}

bool hws_store_failed(const struct hws_store *s, struct hws_err *err)
{
    lock_const(s);
    bool failed = s->failed;
    if (failed) {
        (void)hws_err_set(err, HWS_E_IO, "store has failed: %s", s->why_failed);
    }
    unlock_const(s);
    return failed;
}

static void wait_and_turn(struct hws_store *s)
{
    struct pollfd p = {.fd = s->event_fd, .events = POLLIN};

    (void)poll(&p, 1, -1); /* an interruption only makes a turn that finds nothing */
    hws_store_turn(s);
}

enum hws_code hws_store_run(struct hws_store *s, struct hws_store_job *job, struct hws_err *err)
{
    enum hws_code rc = hws_store_submit(s, job, err);

    if (rc != HWS_OK) {
        return rc;
    }
    while (!job->done) {
        wait_and_turn(s);
    }
    if (job->err.code != HWS_OK) {
        (void)hws_err_set(err, job->err.code, "%s", job->err.msg);
    }
    return job->err.code;
}

void hws_store_job_deinit(struct hws_store_job *job)
{
    if (job->ops != NULL && job->ops->deinit != NULL) {
        job->ops->deinit(job);
    }
}

uint64_t hws_store_audit_head(const struct hws_store *s)
{
    lock_const(s);
    uint64_t head = s->head_seq;
    unlock_const(s);
    return head;
}

uint64_t hws_store_audit_signed(const struct hws_store *s)
{
    lock_const(s);
    uint64_t n = s->n_signed;
    unlock_const(s);
    return n;
}

void hws_store_stats(const struct hws_store *s, struct hws_store_stats *out)
{
    lock_const(s);
    *out = (struct hws_store_stats){.n_jobs = s->n_jobs,
                                    .n_commits = s->n_commits,
                                    .n_checkpoints = s->n_checkpoints,
                                    .n_on_loan = s->n_on_loan,
                                    .n_lost = s->n_lost,
                                    .n_untold = s->n_untold};
    unlock_const(s);
}

void hws_store_close(struct hws_store *s, void (*closed)(void *data), void *data)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    s->closed = closed;
    s->closed_data = data;
    (void)pthread_mutex_lock(&s->lock);
    s->stop = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->lock);
}

static void note_closed(void *data)
{
    *(bool *)data = true;
}

void hws_store_close_wait(struct hws_store *s)
{
    bool closed = false;

    if (s == NULL) {
        return;
    }
    hws_store_close(s, note_closed, &closed);
    while (!closed) {
        wait_and_turn(s);
    }
}
