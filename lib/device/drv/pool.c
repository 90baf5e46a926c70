/*
 * Worker threads; see pool.h. One mutex guards both lists and the counters; a worker holds it only
 * to fetch and to return a job. Signals stay with the owner's thread: workers block them all.
 *
 * A thread inherits its creator's descriptor table. So one thread of the pool, the root, takes
 * leave of the process's table and creates the workers, which then share its own; it runs no job
 * and never blocks.
 */
#include "drv/pool.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

static void lock(struct hws_pool *p)
{
    int failed = pthread_mutex_lock(&p->lock);

    hws_assert(failed == 0);
}

static void unlock(struct hws_pool *p)
{
    int failed = pthread_mutex_unlock(&p->lock);

    hws_assert(failed == 0);
}

static void *work(void *arg)
{
    struct hws_pool *p = arg;
    const uint64_t one = 1;

    lock(p);
    while (!p->stop) {
        struct hws_list *it = hws_list_pop(&p->waiting);
        struct hws_job *job;

        if (it == NULL) {
            p->n_idle++;
            (void)pthread_cond_wait(&p->wake, &p->lock);
            p->n_idle--;
            continue;
        }
        job = hws_container_of(it, struct hws_job, link);
        p->n_busy++;
        unlock(p);
        job->run(job);
        lock(p);
        p->n_busy--;
        hws_list_push(&p->finished, &job->link);
        /* Cannot fail: the counter would have to reach 2^64 - 1. */
        (void)!write(p->event_fd, &one, sizeof one);
    }
    unlock(p);
    return NULL;
}

enum hws_code hws_pool_open(struct hws_pool *p, unsigned max_workers, struct hws_err *err)
{
    hws_assert(max_workers >= 1 && max_workers <= HWS_POOL_MAX_WORKERS);
    memset(p, 0, sizeof *p);
    p->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->event_fd < 0) {
        return hws_err_set(err, HWS_E_IO, "eventfd (errno %d)", errno);
    }
    p->max_workers = max_workers;
    hws_list_init(&p->waiting);
    hws_list_init(&p->finished);
    if (pthread_mutex_init(&p->lock, NULL) != 0 || pthread_cond_init(&p->wake, NULL) != 0 ||
        pthread_cond_init(&p->root_wake, NULL) != 0) {
        (void)close(p->event_fd); /* UNTESTED: glibc's never fail */
        return hws_err_set(err, HWS_E_IO, "mutex");
    }
    p->open = true;
    return HWS_OK;
}

void hws_pool_deinit(struct hws_pool *p)
{
    if (!p->open) {
        return;
    }
    lock(p);
    hws_assert(p->n_busy == 0 && hws_list_empty(&p->waiting));
    p->stop = true;
    (void)pthread_cond_broadcast(&p->wake);
    (void)pthread_cond_broadcast(&p->root_wake);
    unlock(p);
    if (p->has_root) {
        (void)pthread_join(p->root, NULL);
    }
    for (unsigned i = 0; i < p->n_workers; i++) {
        (void)pthread_join(p->workers[i], NULL);
    }
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_cond_destroy(&p->root_wake);
    (void)pthread_mutex_destroy(&p->lock);
    (void)close(p->event_fd);
    memset(p, 0, sizeof *p);
}

/* Only the standard descriptors and the eventfd stay. Where the kernel cannot do it (before 5.9,
 * which has no fwctl either) the table stays shared, and only a killed process is worse off. */
static void leave_table(const struct hws_pool *p)
{
    unsigned keep = (unsigned)p->event_fd;

    if (unshare(CLONE_FILES) == 0) {
        (void)(keep > STDERR_FILENO + 1 && close_range(STDERR_FILENO + 1, keep - 1, 0));
        (void)close_range(keep + 1, ~0u, 0);
    }
}

static void *run_root(void *arg)
{
    struct hws_pool *p = arg;

    leave_table(p);
    lock(p);
    while (!p->stop) {
        if (!p->want_worker) {
            (void)pthread_cond_wait(&p->root_wake, &p->lock);
            continue;
        }
        p->worker_started = pthread_create(&p->workers[p->n_workers], NULL, work, p) == 0;
        p->n_workers += p->worker_started ? 1u : 0u;
        p->want_worker = false;
        (void)pthread_cond_broadcast(&p->root_wake);
    }
    unlock(p);
    return NULL;
}

/* Starts the root with every signal blocked, which its workers inherit. */
static bool start_root(struct hws_pool *p)
{
    sigset_t all;
    sigset_t old;

    if (p->has_root) {
        return true;
    }
    if (sigfillset(&all) != 0 || pthread_sigmask(SIG_SETMASK, &all, &old) != 0) {
        return false;
    }
    p->has_root = pthread_create(&p->root, NULL, run_root, p) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return p->has_root;
}

/* Has the root start one more worker. */
static bool start_worker(struct hws_pool *p)
{
    bool started;

    if (!start_root(p)) {
        return false;
    }
    lock(p);
    p->want_worker = true;
    (void)pthread_cond_broadcast(&p->root_wake);
    while (p->want_worker) {
        (void)pthread_cond_wait(&p->root_wake, &p->lock);
    }
    started = p->worker_started;
    unlock(p);
    return started;
}

enum hws_code hws_pool_submit(struct hws_pool *p, struct hws_job *job, struct hws_err *err)
{
    bool need_worker;
    unsigned n_waiting = 1;

    lock(p);
    HWS_LIST_FOREACH (it, tmp, &p->waiting) {
        n_waiting++;
    }
    need_worker = p->n_idle < n_waiting && p->n_workers < p->max_workers;
    unlock(p);
    if (need_worker && !start_worker(p) && p->n_workers == 0) {
        return hws_err_set(err, HWS_E_IO, "no worker thread could be started");
    }
    lock(p);
    hws_list_push(&p->waiting, &job->link);
    (void)pthread_cond_signal(&p->wake);
    unlock(p);
    return HWS_OK;
}

bool hws_pool_take_back(struct hws_pool *p, struct hws_job *job)
{
    bool taken = false;

    lock(p);
    HWS_LIST_FOREACH (it, tmp, &p->waiting) {
        if (it == &job->link) {
            hws_list_remove(it);
            taken = true;
            break;
        }
    }
    unlock(p);
    return taken;
}

int hws_pool_fd(const struct hws_pool *p)
{
    return p->event_fd;
}

struct hws_job *hws_pool_next(struct hws_pool *p)
{
    struct hws_list *it;
    uint64_t n;

    lock(p);
    it = hws_list_pop(&p->finished);
    if (it == NULL) {
        (void)!read(p->event_fd, &n, sizeof n);
    }
    unlock(p);
    return it != NULL ? hws_container_of(it, struct hws_job, link) : NULL;
}

unsigned hws_pool_n_busy(struct hws_pool *p)
{
    unsigned n;

    lock(p);
    n = p->n_busy;
    unlock(p);
    return n;
}
