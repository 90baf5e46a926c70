/*
 * Reflection's answers and its service. v1 and v1alpha are the same on the wire, so one answer
 * serves both.
 */
#include "grpc/reflect.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "grpc/protobuf.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "reflect_priv.h"

/* ---- answers ---- */

/* protobuf-c has no const: what is only packed loses it here. */
static void *no_const(const void *p)
{
    union {
        const void *in;
        void *out;
    } both = {.in = p};
    return both.out;
}

/* Packs the answer; what it pointed to is forgotten. */
static enum hws_code pack(Grpc__Reflection__V1__ServerReflectionResponse *response,
                          struct hws_buf *out)
{
    size_t n = grpc__reflection__v1__server_reflection_response__get_packed_size(response);
    uint8_t *space = NULL;
    enum hws_code code = hws_buf_reserve(out, n, &space);

    if (code == HWS_OK) {
        (void)grpc__reflection__v1__server_reflection_response__pack(response, space);
        hws_buf_commit(out, n);
    }
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE__NOT_SET;
    response->file_descriptor_response = NULL; /* and with it every member of the union */
    return code;
}

static enum hws_code answer_error(Grpc__Reflection__V1__ServerReflectionResponse *response,
                                  enum hws_grpc_code status, const char *text, struct hws_buf *out)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

    error.error_code = (int32_t)status;
    error.error_message = no_const(text);
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response->error_response = &error;
    return pack(response, out);
}

/* The file and everything it imports, each once: FileDescriptorProto.dependency is field 3. */
static size_t collect(const struct hws_grpc_reflect *r, const struct hws_grpc_reflect_file *first,
                      const struct hws_grpc_reflect_file *out_files[HWS_GRPC_REFLECT_FILES])
{
    bool seen[HWS_GRPC_REFLECT_FILES] = {false};
    size_t n = 0;

    out_files[n++] = first;
    seen[first - r->files] = true;
    for (size_t i = 0; i < n; i++) {
        struct hws_span in = out_files[i]->bytes;
        bool bad = false;
        struct hws_grpc_reflect_field f;
        while (hws_grpc__reflect_next(&in, &f, &bad)) {
            const struct hws_grpc_reflect_file *dep =
                f.number == 3 && f.span.bytes != NULL
                    ? hws_grpc__reflect_file(r, f.span.bytes, f.span.n)
                    : NULL;
            if (dep != NULL && !seen[dep - r->files]) {
                seen[dep - r->files] = true;
                out_files[n++] = dep;
            }
        }
    }
    return n;
}

static enum hws_code answer_file(const struct hws_grpc_reflect *r,
                                 Grpc__Reflection__V1__ServerReflectionResponse *response,
                                 const struct hws_grpc_reflect_file *file, struct hws_buf *out)
{
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    const struct hws_grpc_reflect_file *found[HWS_GRPC_REFLECT_FILES];
    ProtobufCBinaryData bytes[HWS_GRPC_REFLECT_FILES];

    if (file == NULL) {
        return answer_error(response, HWS_GRPC_NOT_FOUND, "not found", out);
    }
    files.n_file_descriptor_proto = collect(r, file, found);
    for (size_t i = 0; i < files.n_file_descriptor_proto; i++) {
        bytes[i].data = no_const(found[i]->bytes.bytes);
        bytes[i].len = found[i]->bytes.n;
    }
    files.file_descriptor_proto = bytes;
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    response->file_descriptor_response = &files;
    return pack(response, out);
}

static enum hws_code answer_numbers(const struct hws_grpc_reflect *r,
                                    Grpc__Reflection__V1__ServerReflectionResponse *response,
                                    char *type, struct hws_buf *out)
{
    Grpc__Reflection__V1__ExtensionNumberResponse numbers =
        GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
    int32_t *list = hws_mem_zalloc(r->n_exts + 1, sizeof(*list));

    if (list == NULL) {
        return HWS_E_NOMEM;
    }
    for (size_t i = 0; i < r->n_exts; i++) {
        if (strcmp(r->exts[i].extendee, type) == 0) {
            list[numbers.n_extension_number++] = r->exts[i].number;
        }
    }
    enum hws_code code = HWS_OK;
    if (hws_grpc__reflect_symbol(r, type) == NULL) {
        code = answer_error(response, HWS_GRPC_NOT_FOUND, "not found", out);
    } else {
        numbers.base_type_name = type;
        numbers.extension_number = list;
        response->message_response_case =
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
        response->all_extension_numbers_response = &numbers;
        code = pack(response, out);
    }
    hws_mem_free(list);
    return code;
}

struct service_list { /* one allocation for all names of the answer */
    Grpc__Reflection__V1__ServiceResponse *items;
    Grpc__Reflection__V1__ServiceResponse **refs;
    char *text;
};

/* The services of the method table, whose rows are sorted by path, each once. */
static size_t list_names(const struct hws_grpc_server *server, struct service_list *list)
{
    size_t n = 0;
    char *text = list->text;

    for (size_t i = 0; i < server->n_routes; i++) {
        const char *path = server->routes[i].method.path + 1;
        size_t n_name = strcspn(path, "/");
        memcpy(text, path, n_name);
        text[n_name] = '\0';
        if (n > 0 && strcmp(list->items[n - 1].name, text) == 0) {
            continue;
        }
        grpc__reflection__v1__service_response__init(&list->items[n]);
        list->items[n].name = text;
        list->refs[n] = &list->items[n];
        text += n_name + 1;
        n++;
    }
    return n;
}

static enum hws_code answer_services(const struct hws_grpc_reflect *r,
                                     Grpc__Reflection__V1__ServerReflectionResponse *response,
                                     struct hws_buf *out)
{
    Grpc__Reflection__V1__ListServiceResponse services =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    size_t n_routes = r->server == NULL ? 0 : r->server->n_routes;
    size_t n_text = 1;

    for (size_t i = 0; i < n_routes; i++) {
        n_text += strlen(r->server->routes[i].method.path);
    }
    struct service_list list = {
        .items = hws_mem_zalloc(n_routes + 1, sizeof(*list.items)),
        .refs = hws_mem_zalloc(n_routes + 1, sizeof(void *)),
        .text = hws_mem_zalloc(n_text, 1),
    };
    enum hws_code code = HWS_E_NOMEM;
    if (list.items != NULL && list.refs != NULL && list.text != NULL) {
        services.n_service = r->server == NULL ? 0 : list_names(r->server, &list);
        services.service = list.refs;
        response->message_response_case =
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
        response->list_services_response = &services;
        code = pack(response, out);
    }
    hws_mem_free(list.items);
    hws_mem_free(list.refs);
    hws_mem_free(list.text);
    return code;
}

static enum hws_code answer(const struct hws_grpc_reflect *r,
                            Grpc__Reflection__V1__ServerReflectionRequest *request,
                            struct hws_buf *out)
{
    Grpc__Reflection__V1__ServerReflectionResponse response =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;

    response.valid_host = request->host;
    response.original_request = request;
    switch ((unsigned)request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        return answer_file(
            r, &response,
            hws_grpc__reflect_file(r, request->file_by_filename, strlen(request->file_by_filename)),
            out);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        return answer_file(r, &response,
                           hws_grpc__reflect_symbol(r, request->file_containing_symbol), out);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        return answer_file(
            r, &response,
            hws_grpc__reflect_extension(r, request->file_containing_extension->containing_type,
                                        request->file_containing_extension->extension_number),
            out);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        return answer_numbers(r, &response, request->all_extension_numbers_of_type, out);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        return answer_services(r, &response, out);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
    case _GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__CASE_IS_INT_SIZE:
    default:
        return answer_error(&response, HWS_GRPC_INVALID_ARGUMENT, "request names nothing", out);
    }
}

enum hws_code hws_grpc_reflect_answer(const struct hws_grpc_reflect *r, const uint8_t *request,
                                      size_t n, struct hws_buf *out, struct hws_err *err)
{
    ProtobufCMessage *unpacked = NULL;
    enum hws_code code = hws_grpc_pb_unpack(
        &grpc__reflection__v1__server_reflection_request__descriptor, request, n, &unpacked, err);

    if (code != HWS_OK) {
        return code;
    }
    code = answer(r, (Grpc__Reflection__V1__ServerReflectionRequest *)unpacked, out);
    protobuf_c_message_free_unpacked(unpacked, hws_grpc_pb_allocator());
    return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "reflection answer");
}

/* ---- the service: one answer at a time; the next request waits until there is room for its answer
 * ---- */

static const struct hws_grpc_method methods[] = {
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", HWS_GRPC_BIDI, false},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", HWS_GRPC_BIDI, false},
};

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    (void)data;
    hws_grpc_call_set_credit(call, 1);
    return HWS_GRPC_OK;
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct hws_buf out;
    struct hws_err err;

    hws_buf_init(&out, 0);
    enum hws_code code = hws_grpc_reflect_answer(hws_grpc_call_data(call), bytes, n, &out, &err);
    if (code == HWS_OK) {
        code = hws_grpc_call_send(call, hws_buf_peek(&out), hws_buf_len(&out), &err);
    }
    hws_buf_deinit(&out);
    if (code == HWS_E_PROTO) {
        hws_grpc_call_finish_text(call, HWS_GRPC_INTERNAL, err.msg);
    } else if (code != HWS_OK) {
        hws_grpc_call_finish_text(call, HWS_GRPC_RESOURCE_EXHAUSTED, err.msg);
    } else {
        hws_grpc_call_want_writable(call);
    }
}

static void on_half_close(struct hws_grpc_call *call)
{
    hws_grpc_call_finish_text(call, HWS_GRPC_OK, "");
}

static void on_writable(struct hws_grpc_call *call)
{
    hws_grpc_call_grant(call, 1);
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, why->message);
}

static const struct hws_grpc_call_ops ops = {
    .on_call = on_call,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_writable = on_writable,
    .on_cancel = on_cancel,
};

enum hws_code hws_grpc_reflect_register(struct hws_grpc_reflect *r, struct hws_grpc_server *server,
                                        struct hws_err *err)
{
    enum hws_code code =
        hws_grpc_server_add(server, methods, sizeof(methods) / sizeof(methods[0]), &ops, r, err);

    if (code == HWS_OK) {
        r->server = server;
    }
    return code;
}
