/*
 * The programs' log: one line on stderr per event, "event key=value ...". An event is logged once,
 * where it stops. Foreign strings are quoted and cut by %Q's stand-in, hws_log_q.
 *
 *     hws_log("adapter_failed", "serial=%s reason=%s", serial, hws_log_q(&q, err.msg));
 */
#ifndef HWS_COMMON_LOG_H
#define HWS_COMMON_LOG_H

#include "base/attr.h"

/* Room for one quoted string. */
struct hws_log_q {
    char text[320];
};

/* The program's name that every line starts with ("hawserd"); set once at start. */
void hws_log_open(const char *program);

/* Writes one line with one write(2); a line over 1000 bytes is cut. */
void hws_log(const char *event, const char *fmt, ...) HWS_PRINTF(2, 3);

/* s in quotes, escaped and cut to 240 bytes; the text lives in *q. */
const char *hws_log_q(struct hws_log_q *q, const char *s);

#endif
