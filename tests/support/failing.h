/*
 * Allocations by site, and failures told from outside. A program linked with hws_failing_wrap has
 * its calls of base/mem.h counted in a file that it maps when it starts (HAWSER_FAILING=FILE), each
 * by the place it was called from; whoever else maps the file sees them while they happen, and says
 * which allocation fails: of a process that is already confined, too, and of the one that follows
 * it. Without the variable, and in programs that are not linked so, nothing happens.
 *
 * tests/oom/sites.py reads such files and has their layout.
 */
#ifndef HWS_TESTS_FAILING_H
#define HWS_TESTS_FAILING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HWS_FAILING_ENV       "HAWSER_FAILING"
#define HWS_FAILING_MAX_SITES 1024u
#define HWS_FAILING_LIBRARY   1u /* the place of callers that are not in the program itself */

struct hws_failing_site {
    _Atomic uint64_t place;  /* the return address from the program's start; 0 = free */
    _Atomic uint64_t first;  /* its first allocation since the last reset; 0 = none */
    _Atomic uint64_t failed; /* so many of its allocations failed */
    _Atomic uint64_t judged; /* of them in a scenario that is judged to its end */
};

struct hws_failing {
    _Atomic uint64_t n_allocs; /* since the last reset */
    _Atomic uint64_t fail_at;  /* this one fails; 0 = none */
    _Atomic uint64_t n_failed; /* since the last reset */
    _Atomic uint32_t sticky;   /* all after it, too */
    _Atomic uint32_t drawn;    /* what fails now is not judged to its end: sweep.h's own failures */
    struct hws_failing_site sites[HWS_FAILING_MAX_SITES];
};

/* Makes the file if it is not there, maps it and keeps it as hws_failing_shared. False with errno
 * if it cannot. */
bool hws_failing_map(const char *path);

/* What was mapped; NULL = nothing. */
struct hws_failing *hws_failing_shared(void);

/* Nothing fails, and counting starts at zero. What failed at each site stays on record. */
void hws_failing_reset(struct hws_failing *f);

/* The k-th allocation from now fails, and with sticky all after it; 0: none from now on. */
void hws_failing_after(struct hws_failing *f, uint64_t k, bool sticky);

/* Counts an allocation called from place; true if it is to fail. */
bool hws_failing_must(struct hws_failing *f, uint64_t place);

/* An allocation called from place has failed. */
void hws_failing_note(struct hws_failing *f, uint64_t place);

#endif
