/* The reflection index over our own foreign protos, and its answers. */
#include <string.h>

#include "base/buf.h"
#include "grpc/reflect.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "test.h"

extern const unsigned char hws_proto_external_descriptors[];
extern const unsigned long hws_proto_external_descriptors_bytes;

struct fixture {
    struct hws_grpc_reflect reflect;
    struct hws_grpc_server server;
};

static const struct hws_grpc_call_ops no_ops = {0};

static int setup(void **state)
{
    static struct fixture f;
    static const struct hws_grpc_method methods[] = {{"/a.First/X", HWS_GRPC_UNARY, false},
                                                     {"/a.First/Y", HWS_GRPC_UNARY, false}};

    *state = &f;
    hws_grpc_reflect_init(&f.reflect);
    hws_grpc_server_init(&f.server);
    bool ok = hws_grpc_reflect_add(&f.reflect, hws_proto_external_descriptors,
                                   hws_proto_external_descriptors_bytes, NULL) == HWS_OK &&
              hws_grpc_server_add(&f.server, methods, 2, &no_ops, NULL, NULL) == HWS_OK &&
              hws_grpc_reflect_register(&f.reflect, &f.server, NULL) == HWS_OK;
    return ok ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    hws_grpc_reflect_deinit(&f->reflect);
    hws_grpc_server_deinit(&f->server);
    return 0;
}

/* A request with one string field, and its answer. */
static Grpc__Reflection__V1__ServerReflectionResponse *ask(struct fixture *f, unsigned field,
                                                           const char *text)
{
    uint8_t request[200] = {(uint8_t)(field << 3 | 2), (uint8_t)strlen(text)};
    struct hws_buf out = {0};

    memcpy(request + 2, text, strlen(text) + 1);
    assert_ok(hws_grpc_reflect_answer(&f->reflect, request, strlen(text) + 2, &out, NULL), NULL);
    Grpc__Reflection__V1__ServerReflectionResponse *r =
        grpc__reflection__v1__server_reflection_response__unpack(NULL, hws_buf_len(&out),
                                                                 hws_buf_peek(&out));
    hws_buf_deinit(&out);
    assert_non_null(r);
    return r;
}

static void drop(Grpc__Reflection__V1__ServerReflectionResponse *r)
{
    grpc__reflection__v1__server_reflection_response__free_unpacked(r, NULL);
}

static void services_are_those_of_the_table(void **state)
{
    Grpc__Reflection__V1__ServerReflectionResponse *r = ask(*state, 7, "*");

    assert_int_equal(r->list_services_response->n_service, 3);
    assert_string_equal(r->list_services_response->service[0]->name, "a.First");
    assert_string_equal(r->list_services_response->service[1]->name,
                        "grpc.reflection.v1.ServerReflection");
    assert_string_equal(r->list_services_response->service[2]->name,
                        "grpc.reflection.v1alpha.ServerReflection");
    assert_string_equal(r->original_request->list_services, "*");
    drop(r);
}

static void symbols_of_every_sort_lead_to_their_file(void **state)
{
    static const char *const rows[] = {
        "grpc.health.v1.Health",
        "grpc.health.v1.Health.Check",
        "grpc.health.v1.HealthCheckRequest",
        "grpc.health.v1.HealthCheckRequest.service",
        "grpc.health.v1.HealthCheckResponse.ServingStatus",
        "grpc.health.v1.HealthCheckResponse.SERVING",
        "grpc.health.v1.HealthListResponse.StatusesEntry",
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        Grpc__Reflection__V1__ServerReflectionResponse *r = ask(*state, 4, rows[i]);
        assert_int_equal(
            r->message_response_case,
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE);
        assert_int_equal(r->file_descriptor_response->n_file_descriptor_proto, 1);
        const ProtobufCBinaryData *file = &r->file_descriptor_response->file_descriptor_proto[0];
        /* FileDescriptorProto begins with field 1, its name. */
        assert_memory_equal(file->data, "\x0a\x1bgrpc/health/v1/health.proto", 29);
        drop(r);
    }
}

static void files_come_with_their_imports(void **state)
{
    Grpc__Reflection__V1__ServerReflectionResponse *r = ask(*state, 3, "google/rpc/status.proto");

    assert_int_equal(r->file_descriptor_response->n_file_descriptor_proto, 2);
    assert_memory_equal(r->file_descriptor_response->file_descriptor_proto[1].data,
                        "\x0a\x19google/protobuf/any.proto", 27);
    drop(r);
}

static void unknown_names_are_not_found(void **state)
{
    static const unsigned fields[] = {3, 4, 6};

    for (size_t i = 0; i < 3; i++) {
        Grpc__Reflection__V1__ServerReflectionResponse *r = ask(*state, fields[i], "no.such");
        assert_int_equal(r->error_response->error_code, HWS_GRPC_NOT_FOUND);
        drop(r);
    }
    Grpc__Reflection__V1__ServerReflectionResponse *r =
        ask(*state, 6, "grpc.health.v1.HealthCheckRequest");
    assert_int_equal(r->all_extension_numbers_response->n_extension_number, 0);
    drop(r);
}

static void malformed_bytes_are_refused(void **state)
{
    struct fixture *f = *state;
    struct hws_buf out = {0};
    struct hws_grpc_reflect other;

    assert_code(hws_grpc_reflect_answer(&f->reflect, (const uint8_t *)"\x0a\x7f", 2, &out, NULL),
                HWS_E_PROTO);
    for (size_t n = 1; n < 64; n++) { /* a set cut short */
        hws_grpc_reflect_init(&other);
        assert_code(hws_grpc_reflect_add(&other, hws_proto_external_descriptors, n, NULL),
                    HWS_E_PROTO);
        hws_grpc_reflect_deinit(&other);
    }
}

/* By hand (google/protobuf/descriptor.proto): file "e.proto", package "p", message M, extension x =
 * 100 of .p.M. */
static void extensions_are_found_by_number(void **state)
{
    static const uint8_t set[] = {0x0a, 30,                                       /* file */
                                  0x0a, 7,   'e',  '.', 'p', 'r',  'o', 't', 'o', /* name */
                                  0x12, 1,   'p',                                 /* package */
                                  0x22, 3,   0x0a, 1,   'M',                      /* message_type */
                                  0x3a, 11,  0x0a, 1,   'x', 0x12, 4,   '.', 'p',
                                  '.',  'M', /* extension */
                                  0x18, 100};
    static const uint8_t request[] = {0x2a, 7, 0x0a, 3, 'p', '.', 'M', 0x10, 100};
    struct fixture *f = *state;
    struct hws_buf out = {0};
    assert_ok(hws_grpc_reflect_add(&f->reflect, set, sizeof(set), NULL), NULL);

    Grpc__Reflection__V1__ServerReflectionResponse *r = ask(f, 6, "p.M");
    assert_int_equal(r->all_extension_numbers_response->n_extension_number, 1);
    assert_int_equal(r->all_extension_numbers_response->extension_number[0], 100);
    drop(r);
    assert_ok(hws_grpc_reflect_answer(&f->reflect, request, sizeof(request), &out, NULL), NULL);
    r = grpc__reflection__v1__server_reflection_response__unpack(NULL, hws_buf_len(&out),
                                                                 hws_buf_peek(&out));
    assert_non_null(r);
    assert_int_equal(r->file_descriptor_response->n_file_descriptor_proto, 1);
    drop(r);
    hws_buf_deinit(&out);
}

static enum hws_code index_all(void *arg)
{
    struct hws_grpc_reflect r;

    (void)arg;
    hws_grpc_reflect_init(&r);
    enum hws_code code = hws_grpc_reflect_add(&r, hws_proto_external_descriptors,
                                              hws_proto_external_descriptors_bytes, NULL);
    hws_grpc_reflect_deinit(&r);
    return code;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(index_all, NULL) > 50);
}

/* list_services, file_by_filename, file_containing_symbol, all_extension_numbers_of_type, and a
 * name that is not there. */
static enum hws_code ask_for_all(void *arg)
{
    static const char *const asks[] = {"\x3a\x01*", "\x1a\x17google/rpc/status.proto",
                                       "\x22\x15grpc.health.v1.Health",
                                       "\x32\x21google.protobuf.EnumValueOptions!", "\x22\x04none"};
    const struct fixture *f = arg;
    enum hws_code code = HWS_OK;
    struct hws_err err;

    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]) && code == HWS_OK; i++) {
        struct hws_buf out = {0};
        code = hws_grpc_reflect_answer(&f->reflect, (const uint8_t *)asks[i], strlen(asks[i]), &out,
                                       &err);
        hws_buf_deinit(&out);
    }
    return code;
}

static void the_want_of_memory_for_an_answer_is_said(void **state)
{
    assert_true(hws_test_oom_sweep(ask_for_all, *state) >= 15);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(services_are_those_of_the_table),
        T(symbols_of_every_sort_lead_to_their_file),
        T(files_come_with_their_imports),
        T(unknown_names_are_not_found),
        T(malformed_bytes_are_refused),
        T(extensions_are_found_by_number),
        cmocka_unit_test(every_failed_allocation_is_survived),
        T(the_want_of_memory_for_an_answer_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
