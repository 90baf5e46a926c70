/* One line per event on stderr. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define LINE_BYTES  1000u
#define QUOTE_BYTES 240u

static const char *log_program = "hawser"; /* set once, before anything else runs */

void hws_log_open(const char *program)
{
    log_program = program;
}

void hws_log(const char *event, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list args;

    int n = snprintf(line, sizeof(line), "%s: %s ", log_program, event);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof(line) - 2) {
        va_start(args, fmt);
        n = vsnprintf(line + used, sizeof(line) - 1 - used, fmt, args);
        va_end(args);
        used += n < 0 ? 0 : (size_t)n;
    }
    if (used > sizeof(line) - 2) {
        used = sizeof(line) - 2;
    }
    line[used++] = '\n';
    (void)!write(STDERR_FILENO, line, used); /* a log that cannot be written has no better place */
}

const char *hws_log_q(struct hws_log_q *q, const char *s)
{
    q->text[0] = '"';
    hws_str_quote(q->text + 1, QUOTE_BYTES, s, strlen(s));
    size_t n = strlen(q->text);
    q->text[n] = '"';
    q->text[n + 1] = '\0';
    return q->text;
}
