/* The store as its owner's side (store.c) and its thread (thread.c) share it. */
#ifndef HWS_STORE_STORE_PRIV_H
#define HWS_STORE_STORE_PRIV_H

#include <pthread.h>

#include "store/db_priv.h"

struct hws_store {
    struct hws_store_db db; /* the thread's, once it runs */
    uint64_t
        unsigned_since_ms; /* the thread's: since when records wait for a checkpoint; 0 = none do */
    uint64_t tell_at_ms;   /* the thread's: lost notes are told then at the earliest */
    pthread_t thread;
    int event_fd; /* owned */

    pthread_mutex_t lock; /* guards the next block */
    pthread_cond_t wake;
    struct hws_list queue;
    struct hws_list done;
    bool stop;
    bool exited;
    bool failed;
    uint64_t head_seq; /* the newest durable audit record */
    uint64_t n_signed; /* checkpoints of the audit log that are durable, ever */
    uint64_t n_commits;
    uint64_t n_checkpoints;
    uint64_t n_lost;   /* notes that could not be stored */
    uint64_t n_untold; /* of these: those that the log does not tell of */
    char why_failed[HWS_ERR_MSG_BYTES];

    uint32_t n_on_loan;  /* the owner's from here on */
    uint32_t n_reserved; /* places kept for requests to come */
    uint32_t max_jobs;
    uint64_t n_jobs;
    uint64_t seen_seq;
    uint64_t seen_signed;
    bool created;
    bool uses_next;
    void (*audit_cb)(void *data, uint64_t head_seq);
    void *audit_data;
    bool closing;
    bool turning;
    void (*closed)(void *data);
    void *closed_data;
};

/* The thread: takes a struct hws_store, runs until told to stop, closes the database. */
void *hws_store__thread_main(void *arg);

#endif
