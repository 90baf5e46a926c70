/* protobuf-c's hooks. */
#include "grpc/protobuf.h"

#include "base/mem.h"
#include "session_priv.h"

static void *pb_alloc(void *data, size_t n)
{
    (void)data;
    return hws_mem_alloc(n);
}

static void pb_free(void *data, void *p)
{
    (void)data;
    hws_mem_free(p);
}

ProtobufCAllocator *hws_grpc_pb_allocator(void)
{
    /* Never written; protobuf-c only takes it without const. */
    static ProtobufCAllocator allocator = {pb_alloc, pb_free, NULL};
    return &allocator;
}

static void *alloc_and_note(void *data, size_t n)
{
    bool *no_memory = data;
    void *p = hws_mem_alloc(n);

    *no_memory = *no_memory || p == NULL;
    return p;
}

enum hws_code hws_grpc_pb_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                                 size_t n, ProtobufCMessage **out, struct hws_err *err)
{
    bool no_memory = false;
    ProtobufCAllocator allocator = {alloc_and_note, pb_free, &no_memory};
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, n, bytes);

    if (message == NULL) {
        return no_memory ? hws_err_set(err, HWS_E_NOMEM, "%.80s: out of memory", type->name)
                         : hws_err_set(err, HWS_E_PROTO, "malformed %.80s", type->name);
    }
    *out = message;
    return HWS_OK;
}

enum hws_grpc_code hws_grpc_pb_status(enum hws_code code)
{
    return code == HWS_E_NOMEM ? HWS_GRPC_RESOURCE_EXHAUSTED : HWS_GRPC_INTERNAL;
}

/* What is to be compressed cannot be packed where it goes out. */
static enum hws_code pack_and_send(struct hws_grpc_call *call, const ProtobufCMessage *message,
                                   size_t n, struct hws_err *err)
{
    uint8_t *bytes = hws_mem_alloc(n);

    if (bytes == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "message of %zu bytes: out of memory", n);
    }
    (void)protobuf_c_message_pack(message, bytes);
    enum hws_code code = hws_grpc_call_send(call, bytes, n, err);
    hws_mem_free(bytes);
    return code;
}

enum hws_code hws_grpc_pb_send(struct hws_grpc_call *call, const ProtobufCMessage *message,
                               struct hws_err *err)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *space = NULL;

    if (call->compress != HWS_GRPC_IDENTITY) {
        return pack_and_send(call, message, n, err);
    }
    enum hws_code code = hws_grpc_call_reserve(call, n, &space, err);
    if (code == HWS_OK) {
        (void)protobuf_c_message_pack(message, space);
        hws_grpc_call_commit(call);
    }
    return code;
}
