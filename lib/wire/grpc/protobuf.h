/* protobuf-c beside the engine: its allocator on base/mem.h, and messages packed straight into a
 * call's output. */
#ifndef HWS_GRPC_PROTOBUF_H
#define HWS_GRPC_PROTOBUF_H

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "grpc/call.h"

/* For every ..._unpack and ..._free_unpacked. Stateless; any thread. */
ProtobufCAllocator *hws_grpc_pb_allocator(void);

/* Unpacks n bytes as a message of that type; *out is the caller's, who frees it with
 * protobuf_c_message_free_unpacked and the allocator above. HWS_E_PROTO: they are no such message;
 * HWS_E_NOMEM, which protobuf-c itself does not tell from it. */
enum hws_code hws_grpc_pb_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                                 size_t n, ProtobufCMessage **out, struct hws_err *err)
    HWS_MUST_USE;

/* The status of a call whose request could not be unpacked for such a reason. */
enum hws_grpc_code hws_grpc_pb_status(enum hws_code code);

/* Packs and queues one message, compressed as the call is (hws_grpc_call_compress, or what the
 * client's start said): in place when it is not. message: "&words.base" of a generated struct; read
 * before it returns. Errors as hws_grpc_call_send. */
enum hws_code hws_grpc_pb_send(struct hws_grpc_call *call, const ProtobufCMessage *message,
                               struct hws_err *err) HWS_MUST_USE;

#endif
