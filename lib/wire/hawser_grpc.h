/*
 * The gRPC library: everything that a server or client includes. Each header below has its
 * functions with their units, ownership and errors; README.md has the map and two small programs.
 */
#ifndef HWS_HAWSER_GRPC_H
#define HWS_HAWSER_GRPC_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>
#include <uv.h>

#ifdef __cplusplus /* the headers above have seen to themselves */
extern "C" {
#endif

/* errors, buffers, lists, the allocator */
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

/* calls, both sides */
#include "grpc/call.h"
#include "grpc/limits.h"
#include "grpc/meta.h"
#include "grpc/session.h"
#include "grpc/status.h"

/* serving */
#include "grpc/health.h"
#include "grpc/protobuf.h"
#include "grpc/reflect.h"
#include "grpc/server.h"
#include "grpc/service.h"
#include "net/listen.h"

/* calling */
#include "grpc/channel.h"
#include "grpc/client.h"
#include "net/channel.h"
#include "net/dial.h"

/* certificates, connections, the loop */
#include "net/conn.h"
#include "net/files.h"
#include "net/net.h"
#include "tls/bundle.h"
#include "tls/peer.h"
#include "tls/rng.h"

#ifdef __cplusplus
}
#endif

#endif
