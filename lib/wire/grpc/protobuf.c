/* protobuf-c's hooks. */
#include "grpc/protobuf.h"

#include "base/mem.h"

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

enum hws_code hws_grpc_pb_send(struct hws_grpc_call *call, const ProtobufCMessage *message,
                               struct hws_err *err)
{
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *space = NULL;
    enum hws_code code = hws_grpc_call_reserve(call, n, &space, err);

    if (code == HWS_OK) {
        (void)protobuf_c_message_pack(message, space);
        hws_grpc_call_commit(call);
    }
    return code;
}
