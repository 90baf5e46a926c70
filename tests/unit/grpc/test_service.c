/* A protobuf-c service by a table: kinds from the descriptor set, messages parsed, what is wrong is
 * said. */
#include <string.h>

#include "base/mem.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/protobuf.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/service.h"
#include "pair.h"
#include "test.h"

extern const unsigned char hws_proto_external_descriptors[];
extern const unsigned long hws_proto_external_descriptors_bytes;

#define NAME_CAP 32u

struct world {
    struct pair pair;
    struct hws_grpc_service service;
    char asked[NAME_CAP];            /* the service of the latest Check */
    enum hws_grpc_encoding encoding; /* of Check's answers */
    unsigned n_sent;                 /* by Watch */
    uint64_t fails_at;               /* of the reply's allocations; 0: none */
};

static void check(struct hws_grpc_call *call, const ProtobufCMessage *message)
{
    const Grpc__Health__V1__HealthCheckRequest *request =
        (const Grpc__Health__V1__HealthCheckRequest *)message;
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct world *w = hws_grpc_call_data(call);

    assert_true(strlen(request->service) < NAME_CAP);
    memcpy(w->asked, request->service, strlen(request->service) + 1);
    response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    assert_code(hws_grpc_call_compress(call, w->encoding, NULL), HWS_OK);
    if (w->fails_at > 0) {
        hws_mem_fail_after(w->fails_at, false);
    }
    hws_grpc_service_reply(call, &response.base);
    if (w->fails_at > 0) {
        hws_mem_fail_after(0, false);
    }
}

static void watch(struct hws_grpc_call *call, const ProtobufCMessage *message)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct world *w = hws_grpc_call_data(call);

    (void)message;
    for (w->n_sent = 0; w->n_sent < 3; w->n_sent++) {
        assert_code(hws_grpc_pb_send(call, &response.base, NULL), HWS_OK);
    }
    hws_grpc_call_finish_text(call, HWS_GRPC_OK, "");
}

static const struct hws_grpc_service_method methods[] = {{"Check", check, NULL, false},
                                                         {"Watch", watch, NULL, true}};

static struct hws_grpc_service_def health_def(void *data)
{
    return (struct hws_grpc_service_def){.descriptor = &grpc__health__v1__health__descriptor,
                                         .set = hws_proto_external_descriptors,
                                         .n_set = hws_proto_external_descriptors_bytes,
                                         .methods = methods,
                                         .n_methods = 2,
                                         .data = data};
}

static void open_world(struct world *w)
{
    const struct hws_grpc_service_def def = health_def(w);
    struct hws_err err;

    memset(w, 0, sizeof(*w));
    assert_code(pair_init(&w->pair), HWS_OK);
    assert_ok(hws_grpc_service_add(&w->service, &w->pair.table, &def, &err), &err);
    assert_code(pair_open(&w->pair), HWS_OK);
}

static void close_world(struct world *w)
{
    pair_deinit(&w->pair);
    hws_grpc_service_deinit(&w->service);
}

struct asked {
    enum hws_grpc_code code;
    char message[HWS_GRPC_MESSAGE_BYTES + 1];
    unsigned n_messages;
    unsigned n_compressed; /* of them */
    bool closed;
};

static void count_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct asked *a = hws_grpc_call_data(call);

    (void)bytes;
    (void)n;
    a->n_messages++;
    a->n_compressed += hws_grpc_call_was_compressed(call);
}

static void note_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct asked *a = hws_grpc_call_data(call);

    a->closed = true;
    a->code = outcome->code;
    memcpy(a->message, outcome->message, strlen(outcome->message) + 1);
}

static const struct hws_grpc_call_ops client_ops = {.on_message = count_message,
                                                    .on_close = note_close};

static struct asked ask(struct world *w, const char *path, enum hws_grpc_kind kind,
                        const void *bytes, size_t n)
{
    static struct asked a;
    const struct hws_grpc_start start = {
        .path = path, .kind = kind, .ops = &client_ops, .data = &a};
    struct hws_grpc_call *call = NULL;
    struct hws_err err;

    memset(&a, 0, sizeof(a));
    assert_ok(hws_grpc_client_start(&w->pair.client, &start, w->pair.now_ms, &call, &err), &err);
    assert_ok(hws_grpc_call_send(call, bytes, n, &err), &err);
    (void)pair_run(&w->pair);
    assert_true(a.closed);
    return a;
}

static void listed_methods_are_served_with_parsed_messages(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    struct asked a = ask(&w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY,
                         "\x0a\x03"
                         "abc",
                         5);
    assert_int_equal(a.code, HWS_GRPC_OK);
    assert_int_equal(a.n_messages, 1);
    assert_string_equal(w.asked, "abc");

    a = ask(&w, "/grpc.health.v1.Health/Watch", HWS_GRPC_SERVER_STREAM, "", 0);
    assert_int_equal(a.code, HWS_GRPC_OK);
    assert_int_equal(a.n_messages, 3);

    a = ask(&w, "/grpc.health.v1.Health/List", HWS_GRPC_UNARY, "", 0);
    assert_int_equal(a.code, HWS_GRPC_UNIMPLEMENTED);
    close_world(&w);
}

static void a_compressed_call_has_its_reply_compressed(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    for (unsigned i = HWS_GRPC_IDENTITY; i < HWS_GRPC_N_ENCODINGS; i++) {
        w.encoding = (enum hws_grpc_encoding)i;
        struct asked a = ask(&w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "", 0);
        assert_int_equal(a.code, HWS_GRPC_OK);
        assert_int_equal(a.n_messages, 1);
        assert_int_equal(a.n_compressed, i != HWS_GRPC_IDENTITY);
    }
    close_world(&w);
}

static void a_reply_without_memory_ends_its_call_alone(void **state)
{
    struct world w;

    (void)state;
    hws_test_sweeps_itself();
    open_world(&w);
    w.encoding = HWS_GRPC_GZIP;
    w.fails_at = 1; /* what it is packed into before it is compressed */
    assert_int_equal(ask(&w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "", 0).code,
                     HWS_GRPC_RESOURCE_EXHAUSTED);
    w.fails_at = 0;
    assert_int_equal(ask(&w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "", 0).code,
                     HWS_GRPC_OK);
    close_world(&w);
}

static void a_reply_waits_in_its_stream_while_the_connection_is_full(void **state)
{
    struct world w;
    struct seen pour;

    (void)state;
    open_world(&w);
    assert_code(seen_start(&w.pair, &pour, PAIR_COUNT, 0, NULL), HWS_OK);
    hws_grpc_call_set_credit(assert_got(pour.call), 0);
    assert_code(hws_grpc_call_send(assert_got(pour.call), "100", 3, NULL), HWS_OK);
    (void)pair_run(&w.pair);
    assert_true(w.pair.server.unsent_bytes > 0);
    w.pair.server.cfg.limits.max_unsent_conn_bytes = 1; /* full, whoever comes */

    struct asked a = ask(&w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "", 0);

    assert_int_equal(a.code, HWS_GRPC_OK);
    assert_int_equal(a.n_messages, 1);
    assert_true(w.pair.server.unsent_bytes > 0);
    hws_grpc_call_cancel(assert_got(pour.call));
    (void)pair_run(&w.pair);
    close_world(&w);
}

static void a_request_that_does_not_parse_is_internal(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    struct asked a = ask(&w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "\x0a\x7f", 2);
    assert_int_equal(a.code, HWS_GRPC_INTERNAL);
    assert_non_null(strstr(a.message, "grpc.health.v1.HealthCheckRequest"));
    assert_string_equal(w.asked, "");
    close_world(&w);
}

static void kinds_come_from_the_descriptor_set(void **state)
{
    static const struct hws_grpc_service_method reflection[] = {
        {"ServerReflectionInfo", check, NULL, false}};
    struct hws_grpc_service_def def = health_def(NULL);
    struct hws_grpc_service health = {0};
    struct hws_grpc_service reflect = {0};
    struct hws_grpc_server server;
    struct hws_err err;

    (void)state;
    hws_grpc_server_init(&server);
    assert_ok(hws_grpc_service_add(&health, &server, &def, &err), &err);
    def.descriptor = &grpc__reflection__v1__server_reflection__descriptor;
    def.methods = reflection;
    def.n_methods = 1;
    assert_ok(hws_grpc_service_add(&reflect, &server, &def, &err), &err);

    assert_int_equal(health.rows[0].kind, HWS_GRPC_UNARY);
    assert_int_equal(health.rows[1].kind, HWS_GRPC_SERVER_STREAM);
    assert_true(health.rows[1].long_lived);
    assert_int_equal(reflect.rows[0].kind, HWS_GRPC_BIDI);
    assert_string_equal(reflect.rows[0].path,
                        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    hws_grpc_server_deinit(&server);
    hws_grpc_service_deinit(&health);
    hws_grpc_service_deinit(&reflect);
}

static void what_is_not_there_is_named(void **state)
{
    struct hws_grpc_service_method wrong[] = {{"Chek", check, NULL, false}};
    struct hws_grpc_service_def def = health_def(NULL);
    struct hws_grpc_service service = {0};
    struct hws_grpc_server server;
    struct hws_err err;

    (void)state;
    hws_grpc_server_init(&server);
    def.n_set = 10; /* within the first file */
    assert_code(hws_grpc_service_add(&service, &server, &def, &err), HWS_E_PROTO);
    def.n_set = 0;
    assert_code(hws_grpc_service_add(&service, &server, &def, &err), HWS_E_NOT_FOUND);
    def = health_def(NULL);
    def.methods = wrong;
    def.n_methods = 1;
    assert_code(hws_grpc_service_add(&service, &server, &def, &err), HWS_E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "Chek"));
    wrong[0].name = "Check";
    wrong[0].on_message = NULL;
    assert_code(hws_grpc_service_add(&service, &server, &def, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "grpc.health.v1.Health.Check has no on_message");
    def = health_def(NULL);
    assert_ok(hws_grpc_service_add(&service, &server, &def, &err), &err);
    struct hws_grpc_service twice = {0};
    assert_code(hws_grpc_service_add(&twice, &server, &def, &err), HWS_E_EXISTS);
    hws_grpc_server_deinit(&server);
    hws_grpc_service_deinit(&service);
}

static enum hws_code add_once(void *arg)
{
    const struct hws_grpc_service_def def = health_def(NULL);
    struct hws_grpc_service service = {0};
    struct hws_grpc_server server;

    (void)arg;
    hws_grpc_server_init(&server);
    enum hws_code code = hws_grpc_service_add(&service, &server, &def, NULL);
    hws_grpc_server_deinit(&server);
    hws_grpc_service_deinit(&service);
    return code;
}

static void adding_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(add_once, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_methods_are_served_with_parsed_messages),
        cmocka_unit_test(a_compressed_call_has_its_reply_compressed),
        cmocka_unit_test(a_reply_without_memory_ends_its_call_alone),
        cmocka_unit_test(a_reply_waits_in_its_stream_while_the_connection_is_full),
        cmocka_unit_test(a_request_that_does_not_parse_is_internal),
        cmocka_unit_test(kinds_come_from_the_descriptor_set),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(adding_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
