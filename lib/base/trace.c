/* Trace points. */
#include "base/trace.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void hws_trace_emit(const struct hws_trace *t, uint64_t now_ms, const char *fmt, ...)
{
    char text[240];
    va_list args;

    if (t == NULL || t->line == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    t->line(t->data, now_ms, text);
}
