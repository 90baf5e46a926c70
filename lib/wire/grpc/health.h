/*
 * grpc.health.v1.Health: a registry of service states and its Check, Watch and List handlers. One
 * registry serves all connections of a thread; "" is the server as a whole. Watchers beyond
 * max_watchers are refused RESOURCE_EXHAUSTED.
 */
#ifndef HWS_GRPC_HEALTH_H
#define HWS_GRPC_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "grpc/server.h"

#define HWS_GRPC_HEALTH_SERVICES     64u /* names in a registry */
#define HWS_GRPC_HEALTH_NAME_BYTES   128u
#define HWS_GRPC_HEALTH_MAX_WATCHERS 256u

enum hws_grpc_health_state { /* grpc.health.v1.HealthCheckResponse.ServingStatus */
                             HWS_GRPC_HEALTH_UNKNOWN = 0,
                             HWS_GRPC_HEALTH_SERVING = 1,
                             HWS_GRPC_HEALTH_NOT_SERVING = 2,
                             HWS_GRPC_HEALTH_SERVICE_UNKNOWN =
                                 3 /* Watch's answer for a name that is not there */
};

struct hws_grpc_health_service {
    char name[HWS_GRPC_HEALTH_NAME_BYTES];
    enum hws_grpc_health_state state;
};

struct hws_grpc_health {
    struct hws_grpc_health_service *services; /* owned */
    size_t n_services;
    struct hws_list watchers; /* owned */
    size_t n_watchers;
    bool shut; /* everything answers NOT_SERVING and set has no effect */
};

/* A registry with "" NOT_SERVING. HWS_E_NOMEM. */
enum hws_code hws_grpc_health_init(struct hws_grpc_health *h, struct hws_err *err) HWS_MUST_USE;

/* No connection with a call of it may be left. Accepts a zeroed struct. */
void hws_grpc_health_deinit(struct hws_grpc_health *h);

/* Adds the three methods to a server. h outlives it. Errors as hws_grpc_server_add. */
enum hws_code hws_grpc_health_register(struct hws_grpc_health *h, struct hws_grpc_server *server,
                                       struct hws_err *err) HWS_MUST_USE;

/* Sets a state (UNKNOWN, SERVING or NOT_SERVING), adding the name; watchers are told (their
 * connections wake). HWS_E_BUSY over the number of names, HWS_E_INVALID for a long name. */
enum hws_code hws_grpc_health_set(struct hws_grpc_health *h, const char *service,
                                  enum hws_grpc_health_state state, struct hws_err *err)
    HWS_MUST_USE;

/* Everything NOT_SERVING from now on: before a drain. */
void hws_grpc_health_shutdown(struct hws_grpc_health *h);

#endif
