/* Defaults of the limits, and the counters by name. */
#include "grpc/limits.h"

void hws_grpc_limits_server(struct hws_grpc_limits *out)
{
    *out = (struct hws_grpc_limits){
#define HWS_GRPC_LIMIT(field, server, client) .field = (server),
#include "grpc/limits.def"
#undef HWS_GRPC_LIMIT
    };
}

void hws_grpc_limits_client(struct hws_grpc_limits *out)
{
    *out = (struct hws_grpc_limits){
#define HWS_GRPC_LIMIT(field, server, client) .field = (client),
#include "grpc/limits.def"
#undef HWS_GRPC_LIMIT
    };
}

void hws_grpc_stats_each(const struct hws_grpc_stats *s,
                         void (*fn)(void *data, const char *name, uint64_t value), void *data)
{
#define HWS_GRPC_STAT(field) fn(data, #field, s->field);
#include "grpc/stats.def"
#undef HWS_GRPC_STAT
}
