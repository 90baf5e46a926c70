/* protobuf-c beside the engine: its allocator on base/mem.h, and messages packed straight into a
 * call's output. */
#ifndef HWS_GRPC_PROTOBUF_H
#define HWS_GRPC_PROTOBUF_H

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "grpc/call.h"

/* For every ..._unpack and ..._free_unpacked. Stateless; any thread. */
ProtobufCAllocator *hws_grpc_pb_allocator(void);

/* Packs and queues one message. Errors as hws_grpc_call_reserve; never compressed. */
enum hws_code hws_grpc_pb_send(struct hws_grpc_call *call, const ProtobufCMessage *message,
                               struct hws_err *err) HWS_MUST_USE;

#endif
