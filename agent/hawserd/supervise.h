/*
 * The parent of `hawserd --supervise`: runs hawserd, restarts it with back-off when it dies, reaps
 * everything below (it is a subreaper: the other processes outlive hawserd), passes SIGTERM, SIGINT
 * and SIGHUP on. It opens no socket and no database, so there is nothing in it to go wrong.
 */
#ifndef HWS_HAWSERD_SUPERVISE_H
#define HWS_HAWSERD_SUPERVISE_H

#include <stdint.h>

/* Restart delays: 0, 50, 100, 200 ... 2000 ms; back to 0 after a run of this length. */
#define HWS_BACKOFF_MAX_MS   2000u
#define HWS_BACKOFF_RESET_MS 10000u

/* After a SIGTERM: how long processes that hawserd stopped may take from freeing their lock to
 * their end. */
#define HWS_SUPERVISE_ORPHANS_MS 2000u

/* The delay before start number n_failed + 1 after that many quick failures. */
uint64_t hws_backoff_ms(unsigned n_failed);

/* Blocks until hawserd ends for good; returns the exit status for main. argv is hawserd's own, and
 * "--supervise" is left out of the child's. */
int hws_supervise(int argc, char **argv);

#endif
