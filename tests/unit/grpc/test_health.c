/* The health service over a joined pair. */
#include <string.h>

#include "grpc/health.h"
#include "grpc/health/v1/health.pb-c.h"
#include "pair.h"
#include "test.h"

struct fixture {
    struct pair pair;
    struct hws_grpc_health health;
};

struct watched {
    struct hws_grpc_call *call;
    int last; /* state */
    unsigned n;
    bool closed;
    enum hws_grpc_code code;
    uint8_t bytes[512];
    size_t n_bytes;
};

static int setup(void **state)
{
    static struct fixture f;

    *state = &f;
    bool ok = pair_init(&f.pair) == HWS_OK && hws_grpc_health_init(&f.health, NULL) == HWS_OK &&
              hws_grpc_health_register(&f.health, &f.pair.table, NULL) == HWS_OK &&
              hws_grpc_health_set(&f.health, "", HWS_GRPC_HEALTH_SERVING, NULL) == HWS_OK &&
              pair_open(&f.pair) == HWS_OK;
    return ok ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    pair_deinit(&f->pair);
    hws_grpc_health_deinit(&f->health);
    return 0;
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct watched *w = hws_grpc_call_data(call);
    Grpc__Health__V1__HealthCheckResponse *r =
        grpc__health__v1__health_check_response__unpack(NULL, n, bytes);

    w->n++;
    w->n_bytes = n < sizeof(w->bytes) ? n : sizeof(w->bytes);
    memcpy(w->bytes, bytes, w->n_bytes);
    if (r != NULL) {
        w->last = (int)r->status;
        grpc__health__v1__health_check_response__free_unpacked(r, NULL);
    }
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct watched *w = hws_grpc_call_data(call);

    w->closed = true;
    w->code = outcome->code;
}

static const struct hws_grpc_call_ops ops = {.on_message = on_message, .on_close = on_close};

/* request: serialized by hand: field 1, length, name. */
static void start(struct fixture *f, struct watched *w, const char *path, enum hws_grpc_kind kind,
                  const char *name)
{
    const struct hws_grpc_start s = {.path = path, .kind = kind, .ops = &ops, .data = w};
    uint8_t request[200] = {0x0a, (uint8_t)strlen(name)};

    memset(w, 0, sizeof(*w));
    w->last = -1;
    memcpy(request + 2, name, strlen(name) + 1);
    assert_ok(hws_grpc_client_start(&f->pair.client, &s, f->pair.now_ms, &w->call, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(w->call), request,
                                 strlen(name) == 0 ? 0 : 2 + strlen(name), NULL),
              NULL);
    (void)pair_run(&f->pair);
}

static void check_answers_by_name(void **state)
{
    struct fixture *f = *state;
    struct watched w;
    assert_ok(hws_grpc_health_set(&f->health, "a.B", HWS_GRPC_HEALTH_NOT_SERVING, NULL), NULL);

    start(f, &w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "");
    assert_int_equal(w.code, HWS_GRPC_OK);
    assert_int_equal(w.last, HWS_GRPC_HEALTH_SERVING);
    start(f, &w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "a.B");
    assert_int_equal(w.last, HWS_GRPC_HEALTH_NOT_SERVING);
    start(f, &w, "/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, "a.C");
    assert_int_equal(w.code, HWS_GRPC_NOT_FOUND);
    assert_int_equal(w.n, 0);
}

static void malformed_check_is_internal(void **state)
{
    struct fixture *f = *state;
    struct watched w = {0};
    const struct hws_grpc_start s = {
        .path = "/grpc.health.v1.Health/Check", .kind = HWS_GRPC_UNARY, .ops = &ops, .data = &w};

    assert_ok(hws_grpc_client_start(&f->pair.client, &s, f->pair.now_ms, &w.call, NULL), NULL);
    assert_ok(hws_grpc_call_send(assert_got(w.call), "\x0a\x7f", 2, NULL), NULL);
    (void)pair_run(&f->pair);
    assert_int_equal(w.code, HWS_GRPC_INTERNAL);
}

static void watch_tells_each_change_and_unknown_names(void **state)
{
    struct fixture *f = *state;
    struct watched w;

    start(f, &w, "/grpc.health.v1.Health/Watch", HWS_GRPC_SERVER_STREAM, "late.Service");
    assert_int_equal(w.n, 1);
    assert_int_equal(w.last, HWS_GRPC_HEALTH_SERVICE_UNKNOWN);
    assert_int_equal(f->health.n_watchers, 1);

    assert_ok(hws_grpc_health_set(&f->health, "late.Service", HWS_GRPC_HEALTH_SERVING, NULL), NULL);
    assert_ok(hws_grpc_health_set(&f->health, "late.Service", HWS_GRPC_HEALTH_SERVING, NULL), NULL);
    (void)pair_run(&f->pair);
    assert_int_equal(w.n, 2);
    assert_int_equal(w.last, HWS_GRPC_HEALTH_SERVING);

    hws_grpc_health_shutdown(&f->health);
    (void)pair_run(&f->pair);
    assert_int_equal(w.last, HWS_GRPC_HEALTH_NOT_SERVING);
    assert_false(w.closed);
    hws_grpc_call_cancel(assert_got(w.call));
    (void)pair_run(&f->pair);
    assert_int_equal(f->health.n_watchers, 0);
}

static void list_names_every_service(void **state)
{
    struct fixture *f = *state;
    struct watched w;
    assert_ok(hws_grpc_health_set(&f->health, "x.Y", HWS_GRPC_HEALTH_NOT_SERVING, NULL), NULL);

    start(f, &w, "/grpc.health.v1.Health/List", HWS_GRPC_UNARY, "");

    Grpc__Health__V1__HealthListResponse *r =
        grpc__health__v1__health_list_response__unpack(NULL, w.n_bytes, w.bytes);
    assert_non_null(r);
    assert_int_equal(r->n_statuses, 2);
    assert_string_equal(r->statuses[0]->key, "");
    assert_int_equal(r->statuses[0]->value->status, 1);
    assert_string_equal(r->statuses[1]->key, "x.Y");
    assert_int_equal(r->statuses[1]->value->status, 2);
    grpc__health__v1__health_list_response__free_unpacked(r, NULL);
}

static void registry_is_bounded(void **state)
{
    struct fixture *f = *state;
    char name[HWS_GRPC_HEALTH_NAME_BYTES + 1];

    for (unsigned i = 1; i < HWS_GRPC_HEALTH_SERVICES; i++) {
        name[0] = (char)('A' + i % 26);
        name[1] = (char)('A' + i / 26);
        name[2] = '\0';
        assert_ok(hws_grpc_health_set(&f->health, name, HWS_GRPC_HEALTH_SERVING, NULL), NULL);
    }
    assert_code(hws_grpc_health_set(&f->health, "more", HWS_GRPC_HEALTH_SERVING, NULL), HWS_E_BUSY);
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_code(hws_grpc_health_set(&f->health, name, HWS_GRPC_HEALTH_SERVING, NULL),
                HWS_E_INVALID);
}

/* Check, Watch with a change, List: as far as memory goes. */
static enum hws_code whole_service(void *arg)
{
    static const struct {
        const char *path;
        enum hws_grpc_kind kind;
    } methods[] = {{"/grpc.health.v1.Health/Check", HWS_GRPC_UNARY},
                   {"/grpc.health.v1.Health/Watch", HWS_GRPC_SERVER_STREAM},
                   {"/grpc.health.v1.Health/List", HWS_GRPC_UNARY}};
    struct watched w[3] = {{.last = -1}, {.last = -1}, {.last = -1}};
    struct fixture f = {0};
    bool whole;
    enum hws_code code = pair_init(&f.pair);

    (void)arg;
    code = code == HWS_OK ? hws_grpc_health_init(&f.health, NULL) : code;
    code = code == HWS_OK ? hws_grpc_health_register(&f.health, &f.pair.table, NULL) : code;
    code =
        code == HWS_OK ? hws_grpc_health_set(&f.health, "", HWS_GRPC_HEALTH_SERVING, NULL) : code;
    code = code == HWS_OK ? pair_open(&f.pair) : code;
    for (size_t i = 0; i < 3 && code == HWS_OK; i++) {
        const struct hws_grpc_start s = {
            .path = methods[i].path, .kind = methods[i].kind, .ops = &ops, .data = &w[i]};
        code = hws_grpc_client_start(&f.pair.client, &s, f.pair.now_ms, &w[i].call, NULL);
        if (code == HWS_OK) {
            code = hws_grpc_call_send(assert_got(w[i].call), "", 0, NULL);
        }
    }
    (void)pair_run(&f.pair);
    if (code == HWS_OK) {
        code = hws_grpc_health_set(&f.health, "", HWS_GRPC_HEALTH_NOT_SERVING, NULL);
    }
    (void)pair_run(&f.pair);
    whole = w[0].n == 1 && w[1].last == HWS_GRPC_HEALTH_NOT_SERVING && w[2].n == 1;
    pair_deinit(&f.pair);
    hws_grpc_health_deinit(&f.health);
    return code != HWS_OK || whole ? code : HWS_E_NOMEM;
}

static void service_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(whole_service, NULL) > 40);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(check_answers_by_name),
        T(malformed_check_is_internal),
        T(watch_tells_each_change_and_unknown_names),
        T(list_names_every_service),
        T(registry_is_bounded),
        cmocka_unit_test(service_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
