/*
 * Services by table. add: for each listed method its input type (protobuf-c's descriptor) and kind
 * (the descriptor set), then one row each in the server's table, all served by the callbacks here.
 */
#include "grpc/service.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/protobuf.h"
#include "reflect_priv.h"
#include "session_priv.h"

/* google/protobuf/descriptor.proto */
#define SET_FILE                1u
#define FILE_PACKAGE            2u
#define FILE_SERVICE            6u
#define SERVICE_NAME            1u
#define SERVICE_METHOD          2u
#define METHOD_NAME             1u
#define METHOD_CLIENT_STREAMING 5u
#define METHOD_SERVER_STREAMING 6u

/* ---- callbacks ---- */

static const struct hws_grpc_service *service_of(const struct hws_grpc_call *call)
{
    return call->route->data;
}

static const struct hws_grpc_service_method *method_of(const struct hws_grpc_call *call)
{
    return &service_of(call)->def.methods[call->route->method_idx];
}

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    const struct hws_grpc_service *service = data;
    const struct hws_grpc_call_ops *ops = method_of(call)->ops;

    call->data = service->def.data;
    return ops == NULL || ops->on_call == NULL ? HWS_GRPC_OK : ops->on_call(call, call->data);
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    const ProtobufCMessageDescriptor *input = service_of(call)->inputs[call->route->method_idx];
    ProtobufCMessage *message = NULL;
    struct hws_err err;
    enum hws_code code = hws_grpc_pb_unpack(input, bytes, n, &message, &err);

    if (code != HWS_OK) {
        hws_grpc__call_fail(call, hws_grpc_pb_status(code), err.msg);
        return;
    }
    method_of(call)->on_message(call, message);
    protobuf_c_message_free_unpacked(message, hws_grpc_pb_allocator());
}

static void on_half_close(struct hws_grpc_call *call)
{
    const struct hws_grpc_call_ops *ops = method_of(call)->ops;

    if (ops != NULL && ops->on_half_close != NULL) {
        ops->on_half_close(call);
    }
}

static void on_writable(struct hws_grpc_call *call)
{
    const struct hws_grpc_call_ops *ops = method_of(call)->ops;

    if (ops != NULL && ops->on_writable != NULL) {
        ops->on_writable(call);
    }
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    const struct hws_grpc_call_ops *ops = method_of(call)->ops;

    if (ops != NULL && ops->on_cancel != NULL) {
        ops->on_cancel(call, why);
    } else {
        hws_grpc_call_finish_text(call, why->code, "");
    }
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    const struct hws_grpc_call_ops *ops = method_of(call)->ops;

    if (ops != NULL && ops->on_close != NULL) {
        ops->on_close(call, outcome);
    }
}

static const struct hws_grpc_call_ops service_ops = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
    .on_close = on_close,
};

/* ---- kinds ---- */

static bool span_is(struct hws_span span, const char *text, size_t n)
{
    return span.n == n && memcmp(span.bytes, text, n) == 0;
}

static enum hws_grpc_kind kind_of(struct hws_span method, bool *out_bad)
{
    struct hws_grpc_reflect_field f;
    bool client = false;
    bool server = false;

    while (hws_grpc__reflect_next(&method, &f, out_bad)) {
        client = f.number == METHOD_CLIENT_STREAMING ? f.value != 0 : client;
        server = f.number == METHOD_SERVER_STREAMING ? f.value != 0 : server;
    }
    if (client) {
        return server ? HWS_GRPC_BIDI : HWS_GRPC_CLIENT_STREAM;
    }
    return server ? HWS_GRPC_SERVER_STREAM : HWS_GRPC_UNARY;
}

/* The field of that number whose name field is the text; bytes NULL if there is none. */
static struct hws_span find_named(struct hws_span in, uint32_t number, uint32_t name_number,
                                  const char *name, size_t n_name, bool *out_bad)
{
    struct hws_grpc_reflect_field f;

    while (hws_grpc__reflect_next(&in, &f, out_bad)) {
        if (f.number == number && f.span.bytes != NULL &&
            span_is(hws_grpc__reflect_span(f.span, name_number, out_bad), name, n_name)) {
            return f.span;
        }
    }
    return (struct hws_span){NULL, 0};
}

/* The service's ServiceDescriptorProto: in the file whose package and the service's name make the
 * full one. */
static struct hws_span find_service(struct hws_span set, const char *full, bool *out_bad)
{
    const char *dot = strrchr(full, '.');
    const char *name = dot == NULL ? full : dot + 1;
    size_t n_package = dot == NULL ? 0 : (size_t)(dot - full);
    struct hws_grpc_reflect_field f;

    while (hws_grpc__reflect_next(&set, &f, out_bad)) {
        if (f.number != SET_FILE || f.span.bytes == NULL ||
            !span_is(hws_grpc__reflect_span(f.span, FILE_PACKAGE, out_bad), full, n_package)) {
            continue;
        }
        struct hws_span found =
            find_named(f.span, FILE_SERVICE, SERVICE_NAME, name, strlen(name), out_bad);
        if (found.bytes != NULL) {
            return found;
        }
    }
    return (struct hws_span){NULL, 0};
}

/* ---- add ---- */

static const ProtobufCMessageDescriptor *input_of(const ProtobufCServiceDescriptor *d,
                                                  const char *method)
{
    for (unsigned i = 0; i < d->n_methods; i++) {
        if (strcmp(d->methods[i].name, method) == 0) {
            return d->methods[i].input;
        }
    }
    return NULL;
}

static enum hws_code fill_row(struct hws_grpc_service *service, size_t i, struct hws_span proto,
                              struct hws_err *err)
{
    const struct hws_grpc_service_def *def = &service->def;
    const struct hws_grpc_service_method *m = &def->methods[i];
    bool bad = false;
    struct hws_span method =
        find_named(proto, SERVICE_METHOD, METHOD_NAME, m->name, strlen(m->name), &bad);

    service->inputs[i] = input_of(def->descriptor, m->name);
    if (service->inputs[i] == NULL || method.bytes == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "%.80s has no method %.80s", def->descriptor->name,
                           m->name);
    }
    if (m->on_message == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "%.80s.%.80s has no on_message",
                           def->descriptor->name, m->name);
    }
    service->rows[i].kind = kind_of(method, &bad);
    service->rows[i].long_lived = m->long_lived;
    return bad ? hws_err_set(err, HWS_E_PROTO, "malformed descriptor set") : HWS_OK;
}

/* "/service/method" for each row, one after another in one block. */
static enum hws_code make_paths(struct hws_grpc_service *service, struct hws_err *err)
{
    const struct hws_grpc_service_def *def = &service->def;
    size_t n = 0;

    for (size_t i = 0; i < def->n_methods; i++) {
        n += strlen(def->descriptor->name) + strlen(def->methods[i].name) + 3;
    }
    service->paths = hws_mem_alloc(n);
    if (service->paths == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "method paths");
    }
    char *at = service->paths;
    for (size_t i = 0; i < def->n_methods; i++) {
        size_t left = n - (size_t)(at - service->paths);
        (void)hws_str_print(at, left, "/%s/%s", def->descriptor->name, def->methods[i].name);
        service->rows[i].path = at;
        at += strlen(at) + 1;
    }
    return HWS_OK;
}

static enum hws_code fill(struct hws_grpc_service *service, struct hws_err *err)
{
    const struct hws_grpc_service_def *def = &service->def;
    bool bad = false;
    struct hws_span proto =
        find_service((struct hws_span){def->set, def->n_set}, def->descriptor->name, &bad);

    if (bad || proto.bytes == NULL) {
        return hws_err_set(err, bad ? HWS_E_PROTO : HWS_E_NOT_FOUND, "descriptor set: %s %.80s",
                           bad ? "malformed, or no" : "no", def->descriptor->name);
    }
    enum hws_code code = make_paths(service, err);
    for (size_t i = 0; code == HWS_OK && i < def->n_methods; i++) {
        code = fill_row(service, i, proto, err);
    }
    return code;
}

enum hws_code hws_grpc_service_add(struct hws_grpc_service *service, struct hws_grpc_server *server,
                                   const struct hws_grpc_service_def *def, struct hws_err *err)
{
    *service = (struct hws_grpc_service){.def = *def};
    service->rows = hws_mem_zalloc(def->n_methods, sizeof(*service->rows));
    service->inputs = hws_mem_zalloc(def->n_methods, sizeof(const ProtobufCMessageDescriptor *));
    enum hws_code code = service->rows == NULL || service->inputs == NULL
                             ? hws_err_set(err, HWS_E_NOMEM, "methods")
                             : fill(service, err);
    if (code == HWS_OK) {
        code =
            hws_grpc_server_add(server, service->rows, def->n_methods, &service_ops, service, err);
    }
    if (code != HWS_OK) {
        hws_grpc_service_deinit(service);
    }
    return code;
}

void hws_grpc_service_deinit(struct hws_grpc_service *service)
{
    hws_mem_free(service->rows);
    hws_mem_free(service->inputs);
    hws_mem_free(service->paths);
    *service = (struct hws_grpc_service){0};
}

void hws_grpc_service_reply(struct hws_grpc_call *call, const ProtobufCMessage *message)
{
    struct hws_err err;
    enum hws_code code = hws_grpc_pb_send(call, message, &err);

    hws_grpc_call_finish_text(call, code == HWS_OK ? HWS_GRPC_OK : HWS_GRPC_RESOURCE_EXHAUSTED,
                              code == HWS_OK ? "" : err.msg);
}
