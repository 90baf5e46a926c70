/* Reflection: the input is a descriptor set, and again a request over the set of our own foreign
 * protos. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "grpc/reflect.h"

extern const unsigned char hws_proto_external_descriptors[];
extern const unsigned long hws_proto_external_descriptors_bytes;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_grpc_reflect r;
    struct hws_buf out = {0};

    hws_grpc_reflect_init(&r);
    (void)!hws_grpc_reflect_add(&r, data, size, NULL);
    hws_grpc_reflect_deinit(&r);

    hws_grpc_reflect_init(&r);
    if (hws_grpc_reflect_add(&r, hws_proto_external_descriptors,
                             hws_proto_external_descriptors_bytes, NULL) == HWS_OK) {
        (void)!hws_grpc_reflect_answer(&r, data, size, &out, NULL);
    }
    hws_buf_deinit(&out);
    hws_grpc_reflect_deinit(&r);
    return 0;
}
