/*
 * The health service. Check and List answer from the table; Watch sends the state at once and at
 * each change. A watcher whose output is full is told the latest state when there is room, not each
 * one between.
 */
#include "grpc/health.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/protobuf.h"

enum { METHOD_CHECK, METHOD_LIST };

static const struct hws_grpc_method unary_methods[] = {
    [METHOD_CHECK] = {"/grpc.health.v1.Health/Check", HWS_GRPC_UNARY, false},
    [METHOD_LIST] = {"/grpc.health.v1.Health/List", HWS_GRPC_UNARY, false},
};

static const struct hws_grpc_method watch_methods[] = {
    {"/grpc.health.v1.Health/Watch", HWS_GRPC_SERVER_STREAM, true},
};

struct watcher {
    struct hws_list link;
    struct hws_grpc_health *health; /* borrowed */
    struct hws_grpc_call *call;     /* borrowed */
    char name[HWS_GRPC_HEALTH_NAME_BYTES];
    bool named; /* the request came */
    int told;   /* the state sent last */
};

#define UNTOLD (-1)

static struct hws_grpc_health_service *find(const struct hws_grpc_health *h, const char *name)
{
    for (size_t i = 0; i < h->n_services; i++) {
        if (strcmp(h->services[i].name, name) == 0) {
            return &h->services[i];
        }
    }
    return NULL;
}

static enum hws_grpc_health_state state_of(const struct hws_grpc_health *h,
                                           const struct hws_grpc_health_service *s)
{
    return h->shut ? HWS_GRPC_HEALTH_NOT_SERVING : s->state;
}

/* ---- answers ---- */

static enum hws_code send_state(struct hws_grpc_call *call, enum hws_grpc_health_state state)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)state;
    return hws_grpc_pb_send(call, &response.base, NULL);
}

static void tell_watcher(struct watcher *w)
{
    const struct hws_grpc_health_service *s = find(w->health, w->name);

    if (!w->named) {
        return;
    }
    int state = s == NULL ? (int)HWS_GRPC_HEALTH_SERVICE_UNKNOWN : (int)state_of(w->health, s);

    if (state == w->told) {
        return;
    }
    enum hws_code code = send_state(w->call, (enum hws_grpc_health_state)state);
    if (code == HWS_OK) {
        w->told = state;
    } else if (code != HWS_E_BUSY && code != HWS_E_STATE) {
        hws_grpc_call_finish_text(w->call, HWS_GRPC_RESOURCE_EXHAUSTED, "out of memory");
    }
}

static void check(struct hws_grpc_call *call, const struct hws_grpc_health *h, const char *name)
{
    const struct hws_grpc_health_service *s = find(h, name);

    if (s == NULL) {
        hws_grpc_call_finish_text(call, HWS_GRPC_NOT_FOUND, "unknown service");
        return;
    }
    enum hws_code code = send_state(call, state_of(h, s));
    hws_grpc_call_finish_text(call, code == HWS_OK ? HWS_GRPC_OK : HWS_GRPC_RESOURCE_EXHAUSTED, "");
}

static void list(struct hws_grpc_call *call, const struct hws_grpc_health *h)
{
    Grpc__Health__V1__HealthListResponse response = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    Grpc__Health__V1__HealthListResponse__StatusesEntry entries[HWS_GRPC_HEALTH_SERVICES];
    Grpc__Health__V1__HealthListResponse__StatusesEntry *refs[HWS_GRPC_HEALTH_SERVICES];
    Grpc__Health__V1__HealthCheckResponse values[HWS_GRPC_HEALTH_SERVICES];

    for (size_t i = 0; i < h->n_services; i++) {
        grpc__health__v1__health_list_response__statuses_entry__init(&entries[i]);
        grpc__health__v1__health_check_response__init(&values[i]);
        values[i].status =
            (Grpc__Health__V1__HealthCheckResponse__ServingStatus)state_of(h, &h->services[i]);
        entries[i].key = h->services[i].name;
        entries[i].value = &values[i];
        refs[i] = &entries[i];
    }
    response.n_statuses = h->n_services;
    response.statuses = refs;
    enum hws_code code = hws_grpc_pb_send(call, &response.base, NULL);
    hws_grpc_call_finish_text(call, code == HWS_OK ? HWS_GRPC_OK : HWS_GRPC_RESOURCE_EXHAUSTED, "");
}

/* ---- Check and List: the call's data is the registry ---- */

/* The service a request names; false, and the call is finished, when it names none. */
static bool requested_name(struct hws_grpc_call *call, const uint8_t *bytes, size_t n,
                           char out_name[HWS_GRPC_HEALTH_NAME_BYTES])
{
    ProtobufCMessage *message = NULL;
    struct hws_err err;
    enum hws_code code = hws_grpc_pb_unpack(&grpc__health__v1__health_check_request__descriptor,
                                            bytes, n, &message, &err);

    if (code != HWS_OK) {
        hws_grpc_call_finish_text(call, hws_grpc_pb_status(code), err.msg);
        return false;
    }
    const Grpc__Health__V1__HealthCheckRequest *request =
        (const Grpc__Health__V1__HealthCheckRequest *)message;
    bool whole = hws_str_copy(out_name, HWS_GRPC_HEALTH_NAME_BYTES, request->service);
    protobuf_c_message_free_unpacked(message, hws_grpc_pb_allocator());
    if (!whole) {
        hws_grpc_call_finish_text(call, HWS_GRPC_INVALID_ARGUMENT, "service: name is too long");
    }
    return whole;
}

static void on_unary(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    const struct hws_grpc_health *h = hws_grpc_call_data(call);
    char name[HWS_GRPC_HEALTH_NAME_BYTES];

    if (hws_grpc_call_method(call) == METHOD_LIST) {
        list(call, h);
    } else if (requested_name(call, bytes, n, name)) {
        check(call, h, name);
    }
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, why->message);
}

static const struct hws_grpc_call_ops unary_ops = {
    .on_message = on_unary,
    .on_cancel = on_cancel,
};

/* ---- Watch: the call's data is its watcher ---- */

static enum hws_grpc_code on_watch(struct hws_grpc_call *call, void *data)
{
    struct hws_grpc_health *h = data;
    struct watcher *w =
        h->n_watchers < HWS_GRPC_HEALTH_MAX_WATCHERS ? hws_mem_zalloc(1, sizeof(*w)) : NULL;

    if (w == NULL) {
        return HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    w->health = h;
    w->call = call;
    w->told = UNTOLD;
    hws_list_push(&h->watchers, &w->link);
    h->n_watchers++;
    hws_grpc_call_set_data(call, w);
    return HWS_GRPC_OK;
}

static void on_watch_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct watcher *w = hws_grpc_call_data(call);

    if (requested_name(call, bytes, n, w->name)) {
        w->named = true;
        tell_watcher(w);
    }
}

static void on_watch_writable(struct hws_grpc_call *call)
{
    tell_watcher(hws_grpc_call_data(call));
}

static void on_watch_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct watcher *w = hws_grpc_call_data(call);

    (void)outcome;
    hws_list_remove(&w->link);
    w->health->n_watchers--;
    hws_mem_free(w);
}

static const struct hws_grpc_call_ops watch_ops = {
    .on_call = on_watch,
    .on_message = on_watch_message,
    .on_writable = on_watch_writable,
    .on_cancel = on_cancel,
    .on_close = on_watch_close,
};

/* ---- the registry ---- */

enum hws_code hws_grpc_health_init(struct hws_grpc_health *h, struct hws_err *err)
{
    *h = (struct hws_grpc_health){0};
    hws_list_init(&h->watchers);
    h->services = hws_mem_zalloc(HWS_GRPC_HEALTH_SERVICES, sizeof(*h->services));
    if (h->services == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "health registry");
    }
    h->n_services = 1; /* "": the server as a whole */
    h->services[0].state = HWS_GRPC_HEALTH_NOT_SERVING;
    return HWS_OK;
}

void hws_grpc_health_deinit(struct hws_grpc_health *h)
{
    hws_assert(h->services == NULL || h->n_watchers == 0);
    hws_mem_free(h->services);
    *h = (struct hws_grpc_health){0};
}

enum hws_code hws_grpc_health_register(struct hws_grpc_health *h, struct hws_grpc_server *server,
                                       struct hws_err *err)
{
    enum hws_code code =
        hws_grpc_server_add(server, unary_methods, sizeof(unary_methods) / sizeof(unary_methods[0]),
                            &unary_ops, h, err);

    return code != HWS_OK ? code
                          : hws_grpc_server_add(server, watch_methods,
                                                sizeof(watch_methods) / sizeof(watch_methods[0]),
                                                &watch_ops, h, err);
}

static void tell_all(struct hws_grpc_health *h)
{
    HWS_LIST_FOREACH (it, tmp, &h->watchers) {
        tell_watcher(hws_container_of(it, struct watcher, link));
    }
}

enum hws_code hws_grpc_health_set(struct hws_grpc_health *h, const char *service,
                                  enum hws_grpc_health_state state, struct hws_err *err)
{
    struct hws_grpc_health_service *s = find(h, service);

    if (state == HWS_GRPC_HEALTH_SERVICE_UNKNOWN || strlen(service) >= HWS_GRPC_HEALTH_NAME_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "health state of %.80s", service);
    }
    if (s == NULL) {
        if (h->n_services >= HWS_GRPC_HEALTH_SERVICES) {
            return hws_err_set(err, HWS_E_BUSY, "more than %u services", HWS_GRPC_HEALTH_SERVICES);
        }
        s = &h->services[h->n_services++];
        (void)hws_str_copy(s->name, sizeof(s->name), service);
    }
    s->state = state;
    tell_all(h);
    return HWS_OK;
}

void hws_grpc_health_shutdown(struct hws_grpc_health *h)
{
    h->shut = true;
    tell_all(h);
}
