/*
 * A few worker threads for calls that block, started when first needed, and an eventfd that says
 * when a job has ended.
 *
 * The workers share a descriptor table of their own, apart from the process's: what a job opens,
 * the other jobs of this pool can use and nobody else, and a worker that the kernel does not let
 * go, even when the process is killed, keeps neither its lock nor its sockets from being released.
 *
 * A job that never returns keeps its worker and its memory; nobody waits for it, and the other
 * workers go on. The owner decides with hws_pool_n_busy whether it may stop the pool.
 *
 * Thread rule: all functions belong to the owner's thread; only job->run runs on a worker, and
 * touches nothing but the job.
 */
#ifndef HWS_DRV_POOL_H
#define HWS_DRV_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/list.h"

#define HWS_POOL_MAX_WORKERS 8u

struct hws_job {
    struct hws_list link;             /* the pool's while on loan */
    void (*run)(struct hws_job *job); /* on a worker; may block */
};

struct hws_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int event_fd; /* owned */
    unsigned max_workers;
    unsigned n_workers;       /* started */
    bool has_root;            /* the thread that starts the workers runs */
    bool want_worker;         /* under lock: asked of the root */
    bool worker_started;      /* under lock: its answer */
    pthread_cond_t root_wake; /* want_worker or stop was set, or want_worker was answered */
    pthread_t root;
    unsigned n_idle;          /* under lock: waiting for a job */
    unsigned n_busy;          /* under lock: running a job */
    bool stop;                /* under lock */
    struct hws_list waiting;  /* under lock: jobs not yet started */
    struct hws_list finished; /* under lock: jobs that have ended */
    pthread_t workers[HWS_POOL_MAX_WORKERS];
    bool open;
};

/* max_workers is 1..HWS_POOL_MAX_WORKERS. Starts no thread. HWS_E_IO: no eventfd. */
enum hws_code hws_pool_open(struct hws_pool *p, unsigned max_workers, struct hws_err *err)
    HWS_MUST_USE;

/* Ends the workers and frees everything. No job may be running or waiting. Accepts a zeroed one. */
void hws_pool_deinit(struct hws_pool *p);

/* Queues a job. HWS_E_IO: not even one worker could be started. */
enum hws_code hws_pool_submit(struct hws_pool *p, struct hws_job *job, struct hws_err *err)
    HWS_MUST_USE;

/* Takes a job back that no worker has started; false: it runs, or has ended. */
bool hws_pool_take_back(struct hws_pool *p, struct hws_job *job);

/* Readable when a job has ended. */
int hws_pool_fd(const struct hws_pool *p);

/* The next job that has ended, or NULL. Resets the descriptor when there are no more. */
struct hws_job *hws_pool_next(struct hws_pool *p);

/* Jobs that workers are running now. */
unsigned hws_pool_n_busy(struct hws_pool *p);

#endif
