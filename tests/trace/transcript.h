/* Records trace lines and compares them with a committed file. */
#ifndef HWS_TESTS_TRANSCRIPT_H
#define HWS_TESTS_TRANSCRIPT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/trace.h"

struct transcript {
    struct hws_buf text;
    bool muted; /* lines are dropped meanwhile */
};

void transcript_init(struct transcript *t);

/* The hook that records; borrowed by the objects under test. */
struct hws_trace transcript_hook(struct transcript *t);

/* A line of the test's own. */
void transcript_note(struct transcript *t, uint64_t now_ms, const char *fmt, ...) HWS_PRINTF(3, 4);

/*
 * Compares with tests/trace/expected/NAME.txt and fails the test with a diff if they differ, or
 * rewrites the file if HAWSER_UPDATE_TRACES=1. Frees the record.
 */
void transcript_check(struct transcript *t, const char *name);

#endif
