/* grpc/protobuf: what could not be unpacked is malformed, or there was no memory for it. */
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"
#include "grpc/protobuf.h"
#include "test.h"

static const uint8_t s_named[] = "\x0a\x05world"; /* HealthCheckRequest: service */
#define N_NAMED (sizeof(s_named) - 1)

static enum hws_code unpack(void *arg)
{
    ProtobufCMessage *message = NULL;
    struct hws_err err;
    (void)arg;
    enum hws_code code = hws_grpc_pb_unpack(&grpc__health__v1__health_check_request__descriptor,
                                            s_named, N_NAMED, &message, &err);

    if (code == HWS_OK) {
        protobuf_c_message_free_unpacked(message, hws_grpc_pb_allocator());
    }
    return code;
}

static void the_want_of_memory_is_told_from_a_malformed_message(void **state)
{
    ProtobufCMessage *message = NULL;
    struct hws_err err;
    (void)state;

    assert_true(hws_test_oom_sweep(unpack, NULL) >= 2);
    assert_code(hws_grpc_pb_unpack(&grpc__health__v1__health_check_request__descriptor, s_named,
                                   N_NAMED - 1, &message, &err),
                HWS_E_PROTO);
    assert_int_equal(hws_grpc_pb_status(HWS_E_PROTO), HWS_GRPC_INTERNAL);
    assert_int_equal(hws_grpc_pb_status(HWS_E_NOMEM), HWS_GRPC_RESOURCE_EXHAUSTED);
}

/* With the allocator that a caller hands to protobuf-c itself, which gives NULL. */
static enum hws_code unpack_by_allocator(void *arg)
{
    Grpc__Health__V1__HealthCheckRequest *request =
        grpc__health__v1__health_check_request__unpack(hws_grpc_pb_allocator(), N_NAMED, s_named);
    (void)arg;

    if (request == NULL) {
        return HWS_E_NOMEM;
    }
    assert_string_equal(request->service, "world");
    grpc__health__v1__health_check_request__free_unpacked(request, hws_grpc_pb_allocator());
    return HWS_OK;
}

static void the_allocator_fails_as_protobuf_c_expects(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(unpack_by_allocator, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_want_of_memory_is_told_from_a_malformed_message),
        cmocka_unit_test(the_allocator_fails_as_protobuf_c_expects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
