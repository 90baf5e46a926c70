/*
 * hawser-wire's whole: listeners, gRPC server with health and reflection, relay to hawserd, drain.
 * Thread rule: the loop thread.
 */
#ifndef HWS_WIRE_SERVICE_H
#define HWS_WIRE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/err.h"
#include "certs.h"
#include "common/notify.h"
#include "grpc/health.h"
#include "grpc/reflect.h"
#include "grpc/server.h"
#include "limits.h"
#include "net/listen.h"
#include "net/net.h"
#include "options.h"
#include "relay.h"

#define HWS_SERVICE_DRAIN_MS 22000u /* running calls get this long; hawserd waits longer */
#define HWS_SERVICE_TRIM_MS  1000u
/* After the second SIGTERM: for what hawserd said last; for callers who are still reading. */
#define HWS_SERVICE_HURRY_MS 500u
#define HWS_SERVICE_READ_MS  4000u

struct hws_service {
    uv_loop_t loop;
    const struct hws_wire_options *options; /* borrowed */
    const struct hws_wire_limits *limits;   /* borrowed */
    char build_id[48];
    struct hws_net net;
    struct hws_certs certs; /* zeroed without TCP */
    struct hws_grpc_server server;
    struct hws_grpc_health health;
    struct hws_grpc_reflect reflect;
    struct hws_relay relay;
    struct hws_net_listener local;
    struct hws_net_listener tcp;
    bool has_local; /* opened */
    bool has_tcp;
    bool waiting; /* for TLS files that load: no TCP until then */
    uv_signal_t signals[3];
    struct hws_notify notify; /* of the service manager */
    uv_timer_t alive;         /* tells it that the loop lives */
    uv_timer_t hurry;
    uv_timer_t trim; /* some time after a connection ended: free memory goes back to the system */
    struct hws_limits_log refusals;
    uint64_t n_conns_opened;
    bool handles_open;
    bool draining;
    bool must_hurry; /* the second SIGTERM came */
    uint64_t hurried_ms;
    bool closing;
};

/* Of the connections of both listeners; their owner is the service. */
extern const struct hws_net_conn_ops hws_service_conn_ops;

/* Serves until told to end; returns the exit status for main. notify is taken over. */
int hws_service_run(const struct hws_wire_options *options, const struct hws_wire_limits *limits,
                    const struct hws_notify *notify);

#endif
