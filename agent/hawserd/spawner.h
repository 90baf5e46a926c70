/*
 * Starts the other processes, since hawserd itself may not: its filter knows no fork and no exec,
 * and what it started would inherit its walls. The spawner is a process forked before the sandbox
 * is entered; it holds the command lines since then, does nothing but start, signal and reap those
 * two, and ends with hawserd. Decision record 9.
 */
#ifndef HWS_HAWSERD_SPAWNER_H
#define HWS_HAWSERD_SPAWNER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define HWS_SPAWNER_PROGRAMS 2u

enum hws_spawner_news {
    HWS_SPAWNER_STARTED = 1,
    HWS_SPAWNER_FAILED, /* value: the errno of fork or exec */
    HWS_SPAWNER_ENDED   /* value: its exit status; signal: what killed it, or 0 */
};

struct hws_spawner_event {
    uint8_t news;    /* enum hws_spawner_news */
    uint8_t program; /* HWS_SPAWNER_PROGRAMS: one that another start of the program replaced */
    int32_t pid;     /* 0 for FAILED */
    int32_t value;
    int32_t signal;
};

struct hws_spawner {
    int fd;    /* owned; readable when there are events; -1 = none */
    pid_t pid; /* of the spawner */
};

/* Forks it. argv[i] is the command line of program i, NULL-terminated, argv[i][0] its path. To be
 * called while there is one thread. HWS_E_IO. */
enum hws_code hws_spawner_open(struct hws_spawner *s,
                               const char *const *const argv[HWS_SPAWNER_PROGRAMS],
                               struct hws_err *err) HWS_MUST_USE;

/* Asks for a start; STARTED or FAILED follows. One that runs still is left to
 * itself: its end is told as that of no program. HWS_E_IO: the spawner is gone. */
enum hws_code hws_spawner_start(struct hws_spawner *s, unsigned program, struct hws_err *err)
    HWS_MUST_USE;

/* Signals the program if it runs still. Best effort. */
void hws_spawner_kill(struct hws_spawner *s, unsigned program, int signal);

/* HWS_E_BUSY: no event. HWS_E_GONE: the spawner is gone. */
enum hws_code hws_spawner_next(struct hws_spawner *s, struct hws_spawner_event *out) HWS_MUST_USE;

/* Ends it and waits for its end; its programs go on. Accepts a closed one. */
void hws_spawner_close(struct hws_spawner *s);

#endif
