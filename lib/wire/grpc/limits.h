/*
 * Limits and counters of gRPC connections. limits.def and stats.def are the lists; each line there
 * has its meaning. Plain data; the engine reads the limits it was given at init and never changes
 * them.
 */
#ifndef HWS_GRPC_LIMITS_H
#define HWS_GRPC_LIMITS_H

#include <stdint.h>

struct hws_grpc_limits {
#define HWS_GRPC_LIMIT(field, server, client) uint32_t field;
#include "grpc/limits.def"
#undef HWS_GRPC_LIMIT
};

struct hws_grpc_stats {
#define HWS_GRPC_STAT(field) uint64_t field;
#include "grpc/stats.def"
#undef HWS_GRPC_STAT
};

/* The defaults of a server's connections, and of a client's. */
void hws_grpc_limits_server(struct hws_grpc_limits *out);
void hws_grpc_limits_client(struct hws_grpc_limits *out);

/* Calls fn(data, name, value) for each counter, in the list's order. */
void hws_grpc_stats_each(const struct hws_grpc_stats *s,
                         void (*fn)(void *data, const char *name, uint64_t value), void *data);

#endif
