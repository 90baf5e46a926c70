/*
 * Progress of something long: on a terminal a bar (of bytes: with rate and time left; things come
 * in waves, so their rate says nothing), redrawn in place at most ten times a second; elsewhere a
 * plain line at most every five seconds. Nothing is drawn for what ends within a second. Pure but
 * for the FILE: time is given.
 */
#ifndef HWS_CLI_PROGRESS_H
#define HWS_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct hws_progress {
    FILE *file; /* borrowed */
    bool tty;
    bool bytes;       /* counts are bytes, not things */
    const char *what; /* borrowed: "snapshot.jsonl" */
    uint64_t total;   /* 0: not known */
    uint64_t start_ms;
    uint64_t start_done; /* count at start: a resumed dump does not count what it had */
    uint64_t drawn_ms;
    bool drawn;
};

void hws_progress_start(struct hws_progress *p, FILE *file, bool tty, const char *what, bool bytes,
                        uint64_t total, uint64_t now_ms);

/* note (may be NULL) follows the numbers. */
void hws_progress_show(struct hws_progress *p, uint64_t done, const char *note, uint64_t now_ms);

/* Clears the bar. */
void hws_progress_end(struct hws_progress *p);

#endif
