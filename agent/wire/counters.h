/*
 * hawser-wire's counters, for hawserd and through it for people: what it serves, what it refused
 * and why, and of the peers of each kind those that cost most now. Thread rule: the loop thread.
 */
#ifndef HWS_WIRE_COUNTERS_H
#define HWS_WIRE_COUNTERS_H

#include <stddef.h>

struct hws_service;

/* Those that are not 0 as "name value\n" lines, each whole or not there: at most cap - 1 bytes and
 * a NUL; cap is at least 1. */
void hws_counters_write(const struct hws_service *service, char *dst, size_t cap);

#endif
