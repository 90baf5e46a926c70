/*
 * Trace points: libraries do not log, they tell a hook. Off by default; tests record the lines and
 * compare them with a text file. One hook per object that emits, held by the owner, so nothing is
 * process-global.
 */
#ifndef HWS_BASE_TRACE_H
#define HWS_BASE_TRACE_H

#include <stdint.h>

#include "base/attr.h"

struct hws_trace {
    void (*line)(void *data, uint64_t now_ms, const char *text); /* borrowed text; NULL = off */
    void *data;                                                  /* borrowed */
};

/* Formats (cut at 240 bytes) and hands the line to the hook; does nothing if t or its hook is NULL.
 */
void hws_trace_emit(const struct hws_trace *t, uint64_t now_ms, const char *fmt, ...)
    HWS_PRINTF(3, 4);

#endif
