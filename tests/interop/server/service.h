/* grpc.testing.TestService by the rules of gRPC's interop test descriptions. One thread, that of
 * the loop. */
#ifndef HWS_TESTS_INTEROP_SERVICE_H
#define HWS_TESTS_INTEROP_SERVICE_H

#include <uv.h>

#include "base/err.h"
#include "grpc/server.h"

/* Adds the service; loop outlives every call. Errors as hws_grpc_server_add. */
enum hws_code interop_service_register(struct hws_grpc_server *server, uv_loop_t *loop,
                                       struct hws_err *err) HWS_MUST_USE;

#endif
