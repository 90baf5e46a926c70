/*
 * What one client, or many, may cost this process: the limits of its connections and how often a
 * refusal is worth a log line. Pure; one thread.
 */
#ifndef HWS_WIRE_LIMITS_H
#define HWS_WIRE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "grpc/limits.h"
#include "net/limits.h"

#define HWS_LIMITS_MAX_AGE_MS    (UINT64_C(24) * 3600 * 1000) /* of a connection */
#define HWS_LIMITS_AGE_GRACE_MS  30000u
#define HWS_LIMITS_LOG_LINES     10u /* refusals logged in a window; the rest are counted */
#define HWS_LIMITS_LOG_WINDOW_MS 10000u

/* Every limit: of a connection (grpc/limits.def) and of a listener (net/limits.def). */
struct hws_wire_limits {
    struct hws_grpc_limits conn;
    struct hws_net_limits listener;
};

void hws_limits_default(struct hws_wire_limits *out);

/* Sets one limit by "name=value", value in 0..4294967295. HWS_E_INVALID for another name or form.
 */
enum hws_code hws_limits_set(struct hws_wire_limits *l, const char *text, struct hws_err *err)
    HWS_MUST_USE;

/* Calls fn for each limit with its value, those of a listener first. */
void hws_limits_each(const struct hws_wire_limits *l,
                     void (*fn)(void *data, const char *name, uint32_t value), void *data);

/* The limits of a connection whose peer's certificate ends at not_after_s (UINT64_MAX: none): it
 * lives no longer than that. *out holds the general ones. */
void hws_limits_fill(struct hws_grpc_limits *out, uint64_t not_after_s, uint64_t now_s);

/* A window of log lines. Zeroed is a new one. */
struct hws_limits_log {
    uint64_t since_ms;
    uint32_t n_lines;
    uint32_t n_dropped; /* in the window before, or this one */
};

/* True if a line may be written now; *out_dropped is how many were not before it. */
bool hws_limits_may_log(struct hws_limits_log *l, uint64_t now_ms, uint32_t *out_dropped);

#endif
