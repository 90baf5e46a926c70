/*
 * Reflection. The index is made by a small reader of FileDescriptorProto that looks at names only;
 * v1 and v1alpha are the same on the wire, so one answer serves both.
 *
 * Field numbers: google/protobuf/descriptor.proto.
 */
#include "grpc/reflect.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "grpc/protobuf.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

#define NAME_BYTES 512u

/* ---- reading protobuf ---- */

struct field {
    uint32_t number;
    uint64_t value;       /* of a varint */
    struct hws_span span; /* of a length-delimited field */
};

static bool read_varint(struct hws_span *in, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && in->n > 0; shift += 7) {
        uint8_t byte = *in->bytes++;
        in->n--;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool skip(struct hws_span *in, uint64_t n)
{
    if (n > in->n) {
        return false;
    }
    in->bytes += n;
    in->n -= (size_t)n;
    return true;
}

/* The next field; false at the end or at malformed bytes (then *out_bad). */
static bool next_field(struct hws_span *in, struct field *f, bool *out_bad)
{
    uint64_t tag = 0;
    bool ok = true;

    if (in->n == 0) {
        return false;
    }
    *f = (struct field){0};
    ok = read_varint(in, &tag);
    f->number = (uint32_t)(tag >> 3);
    if (ok && (tag & 7) == 0) {
        ok = read_varint(in, &f->value);
    } else if (ok && (tag & 7) == 2) {
        uint64_t n = 0;
        ok = read_varint(in, &n);
        f->span = (struct hws_span){in->bytes, (size_t)n};
        ok = ok && skip(in, n);
    } else {
        ok = ok && ((tag & 7) == 1 ? skip(in, 8) : (tag & 7) == 5 ? skip(in, 4) : false);
    }
    *out_bad = *out_bad || !ok;
    return ok;
}

/* The last length-delimited field of a number; empty if there is none. */
static struct hws_span find_span(struct hws_span in, uint32_t number, bool *out_bad)
{
    struct hws_span found = {(const uint8_t *)"", 0};
    struct field f;

    while (next_field(&in, &f, out_bad)) {
        if (f.number == number && f.span.bytes != NULL) {
            found = f.span;
        }
    }
    return found;
}

/* ---- the index ---- */

void hws_grpc_reflect_init(struct hws_grpc_reflect *r)
{
    *r = (struct hws_grpc_reflect){0};
}

void hws_grpc_reflect_deinit(struct hws_grpc_reflect *r)
{
    for (size_t i = 0; i < r->n_symbols; i++) {
        hws_mem_free(r->symbols[i].name);
    }
    for (size_t i = 0; i < r->n_exts; i++) {
        hws_mem_free(r->exts[i].extendee);
    }
    hws_mem_free(r->symbols);
    hws_mem_free(r->exts);
    hws_mem_free(r->files);
    *r = (struct hws_grpc_reflect){0};
}

/* Room for one more of n elements; the array doubles when n is a power of two. */
static enum hws_code grow(void **array, size_t n, size_t size, size_t max)
{
    if (n >= max) {
        return HWS_E_BUSY;
    }
    if (n != 0 && (n & (n - 1)) != 0) {
        return HWS_OK;
    }
    void *bigger = hws_mem_realloc(*array, (n == 0 ? 1 : n * 2) * size);
    if (bigger == NULL) {
        return HWS_E_NOMEM;
    }
    *array = bigger;
    return HWS_OK;
}

/* "scope.name" (or "name") as an owned string. */
static char *join(const char *scope, struct hws_span name)
{
    size_t n_scope = strlen(scope);
    char *text = hws_mem_alloc(n_scope + 1 + name.n + 1);

    if (text != NULL) {
        memcpy(text, scope, n_scope);
        size_t at = n_scope;
        if (n_scope > 0) {
            text[at++] = '.';
        }
        memcpy(text + at, name.bytes, name.n);
        text[at + name.n] = '\0';
    }
    return text;
}

static enum hws_code add_symbol(struct hws_grpc_reflect *r, const char *scope, struct hws_span name,
                                const char **out_name)
{
    void *array = r->symbols;
    enum hws_code code = name.n > NAME_BYTES ? HWS_E_PROTO
                                             : grow(&array, r->n_symbols, sizeof(*r->symbols),
                                                    HWS_GRPC_REFLECT_SYMBOLS);
    if (code != HWS_OK) {
        return code;
    }
    r->symbols = array;
    char *text = join(scope, name);
    if (text == NULL) {
        return HWS_E_NOMEM;
    }
    r->symbols[r->n_symbols++] = (struct hws_grpc_reflect_symbol){text, (uint32_t)r->n_files - 1};
    *out_name = text;
    return HWS_OK;
}

/* FieldDescriptorProto: 1 name, 2 extendee, 3 number. */
static enum hws_code add_extension(struct hws_grpc_reflect *r, const char *scope,
                                   struct hws_span field)
{
    bool bad = false;
    const char *name = NULL;
    struct hws_span extendee = find_span(field, 2, &bad);
    enum hws_code code = add_symbol(r, scope, find_span(field, 1, &bad), &name);
    uint64_t number = 0;
    struct field f;

    while (next_field(&field, &f, &bad)) {
        number = f.number == 3 ? f.value : number;
    }
    if (code != HWS_OK || bad) {
        return code != HWS_OK ? code : HWS_E_PROTO;
    }
    if (extendee.n > 0 && extendee.bytes[0] == '.') {
        extendee.bytes++;
        extendee.n--;
    }
    void *array = r->exts;
    code = grow(&array, r->n_exts, sizeof(*r->exts), HWS_GRPC_REFLECT_SYMBOLS);
    if (code != HWS_OK) {
        return code;
    }
    r->exts = array;
    char *text = join("", extendee);
    if (text == NULL) {
        return HWS_E_NOMEM;
    }
    r->exts[r->n_exts++] =
        (struct hws_grpc_reflect_ext){text, (int32_t)number, (uint32_t)r->n_files - 1};
    return HWS_OK;
}

/* The names in one field of `number` inside `in` (values of enums, fields of messages, methods of
 * services). */
static enum hws_code add_members(struct hws_grpc_reflect *r, const char *scope, struct hws_span in,
                                 uint32_t number)
{
    bool bad = false;
    struct field f;

    while (next_field(&in, &f, &bad)) {
        if (f.number == number && f.span.bytes != NULL) {
            const char *name = NULL;
            enum hws_code code = add_symbol(r, scope, find_span(f.span, 1, &bad), &name);
            if (code != HWS_OK) {
                return code;
            }
        }
    }
    return bad ? HWS_E_PROTO : HWS_OK;
}

struct level {
    struct hws_span rest; /* of a DescriptorProto, or of the file */
    const char *scope;    /* borrowed from a symbol */
};

/* What a field of a level is: the numbers differ between FileDescriptorProto and DescriptorProto.
 */
enum part { PART_NONE, PART_MESSAGE, PART_ENUM, PART_SERVICE, PART_EXTENSION, PART_MEMBER };

static enum part part_of(bool file, uint32_t number)
{
    static const enum part of_file[] = {
        [4] = PART_MESSAGE, [5] = PART_ENUM, [6] = PART_SERVICE, [7] = PART_EXTENSION};
    static const enum part of_message[] = {[2] = PART_MEMBER,
                                           [3] = PART_MESSAGE,
                                           [4] = PART_ENUM,
                                           [6] = PART_EXTENSION,
                                           [8] = PART_MEMBER};

    if (file) {
        return number < sizeof(of_file) / sizeof(of_file[0]) ? of_file[number] : PART_NONE;
    }
    return number < sizeof(of_message) / sizeof(of_message[0]) ? of_message[number] : PART_NONE;
}

/* Adds what one field names; a message's body is left to the caller in *out_scope. */
static enum hws_code add_part(struct hws_grpc_reflect *r, const struct level *level, enum part part,
                              struct hws_span body, const char **out_scope)
{
    bool bad = false;
    const char *name = NULL;

    *out_scope = NULL;
    if (part == PART_EXTENSION) {
        return add_extension(r, level->scope, body);
    }
    enum hws_code code = add_symbol(r, level->scope, find_span(body, 1, &bad), &name);
    if (code != HWS_OK || bad) {
        return code != HWS_OK ? code : HWS_E_PROTO;
    }
    if (part == PART_SERVICE) {
        return add_members(r, name, body, 2);
    }
    if (part == PART_ENUM) {
        return add_members(r, level->scope, body, 2); /* values live beside their enum */
    }
    *out_scope = part == PART_MESSAGE ? name : NULL;
    return HWS_OK;
}

static enum hws_code index_file(struct hws_grpc_reflect *r, struct hws_span file)
{
    struct level levels[HWS_GRPC_REFLECT_DEPTH];
    bool bad = false;
    struct hws_span package = find_span(file, 2, &bad);
    char scope[NAME_BYTES];
    size_t depth = 1;
    struct field f;

    if (bad || !hws_str_copy_n(scope, sizeof(scope), package.bytes, package.n)) {
        return HWS_E_PROTO;
    }
    levels[0] = (struct level){file, scope};
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        if (!next_field(&level->rest, &f, &bad)) {
            depth--;
            continue;
        }
        enum part part = f.span.bytes == NULL ? PART_NONE : part_of(depth == 1, f.number);
        if (part == PART_NONE) {
            continue;
        }
        const char *inner = NULL;
        enum hws_code code = add_part(r, level, part, f.span, &inner);
        if (code != HWS_OK) {
            return code;
        }
        if (inner != NULL) {
            if (depth == HWS_GRPC_REFLECT_DEPTH) {
                return HWS_E_BUSY;
            }
            levels[depth++] = (struct level){f.span, inner};
        }
    }
    return bad ? HWS_E_PROTO : HWS_OK;
}

static bool span_eq(struct hws_span a, const void *bytes, size_t n)
{
    return a.n == n && memcmp(a.bytes, bytes, n) == 0;
}

static const struct hws_grpc_reflect_file *file_named(const struct hws_grpc_reflect *r,
                                                      const void *name, size_t n)
{
    for (size_t i = 0; i < r->n_files; i++) {
        if (span_eq(r->files[i].name, name, n)) {
            return &r->files[i];
        }
    }
    return NULL;
}

static enum hws_code add_file(struct hws_grpc_reflect *r, struct hws_span bytes)
{
    bool bad = false;
    struct hws_span name = find_span(bytes, 1, &bad);

    if (bad || name.n == 0) {
        return HWS_E_PROTO;
    }
    if (file_named(r, name.bytes, name.n) != NULL) {
        return HWS_OK;
    }
    void *array = r->files;
    enum hws_code code = grow(&array, r->n_files, sizeof(*r->files), HWS_GRPC_REFLECT_FILES);
    if (code != HWS_OK) {
        return code;
    }
    r->files = array;
    r->files[r->n_files++] = (struct hws_grpc_reflect_file){name, bytes};
    return index_file(r, bytes);
}

static int compare_symbols(const void *a, const void *b)
{
    const struct hws_grpc_reflect_symbol *left = a;
    const struct hws_grpc_reflect_symbol *right = b;
    return strcmp(left->name, right->name);
}

enum hws_code hws_grpc_reflect_add(struct hws_grpc_reflect *r, const uint8_t *set, size_t n,
                                   struct hws_err *err)
{
    struct hws_span in = {set, n};
    enum hws_code code = HWS_OK;
    bool bad = false;
    struct field f;

    while (code == HWS_OK && next_field(&in, &f, &bad)) {
        if (f.number == 1 && f.span.bytes != NULL) {
            code = add_file(r, f.span);
        }
    }
    code = code == HWS_OK && bad ? HWS_E_PROTO : code;
    if (code != HWS_OK) {
        return hws_err_set(err, code, "file descriptor set");
    }
    if (r->n_symbols > 0) {
        qsort(r->symbols, r->n_symbols, sizeof(r->symbols[0]), compare_symbols);
    }
    return HWS_OK;
}

/* ---- answers ---- */

static const struct hws_grpc_reflect_file *file_of_symbol(const struct hws_grpc_reflect *r,
                                                          const char *name)
{
    const struct hws_grpc_reflect_symbol key = {
        .name = (char *)(uintptr_t)(name[0] == '.' ? name + 1 : name)};

    if (r->n_symbols == 0) {
        return NULL;
    }
    const struct hws_grpc_reflect_symbol *found =
        bsearch(&key, r->symbols, r->n_symbols, sizeof(key), compare_symbols);
    return found == NULL ? NULL : &r->files[found->file_idx];
}

static const struct hws_grpc_reflect_file *file_of_extension(const struct hws_grpc_reflect *r,
                                                             const char *type, int32_t number)
{
    for (size_t i = 0; i < r->n_exts; i++) {
        if (r->exts[i].number == number && strcmp(r->exts[i].extendee, type) == 0) {
            return &r->files[r->exts[i].file_idx];
        }
    }
    return NULL;
}

static enum hws_code pack(const Grpc__Reflection__V1__ServerReflectionResponse *response,
                          struct hws_buf *out)
{
    size_t n = grpc__reflection__v1__server_reflection_response__get_packed_size(response);
    uint8_t *space = NULL;
    enum hws_code code = hws_buf_reserve(out, n, &space);

    if (code == HWS_OK) {
        (void)grpc__reflection__v1__server_reflection_response__pack(response, space);
        hws_buf_commit(out, n);
    }
    return code;
}

static enum hws_code answer_error(Grpc__Reflection__V1__ServerReflectionResponse *response,
                                  enum hws_grpc_code status, const char *text, struct hws_buf *out)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

    error.error_code = (int32_t)status;
    error.error_message = (char *)(uintptr_t)text;
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
        struct field f;
        while (next_field(&in, &f, &bad)) {
            const struct hws_grpc_reflect_file *dep = f.number == 3 && f.span.bytes != NULL
                                                          ? file_named(r, f.span.bytes, f.span.n)
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
        bytes[i].data = (uint8_t *)(uintptr_t)found[i]->bytes.bytes;
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
    if (file_of_symbol(r, type) == NULL) {
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
        .refs = hws_mem_zalloc(n_routes + 1, sizeof(*list.refs)),
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
            file_named(r, request->file_by_filename, strlen(request->file_by_filename)), out);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        return answer_file(r, &response, file_of_symbol(r, request->file_containing_symbol), out);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        return answer_file(r, &response,
                           file_of_extension(r, request->file_containing_extension->containing_type,
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
    Grpc__Reflection__V1__ServerReflectionRequest *unpacked =
        grpc__reflection__v1__server_reflection_request__unpack(hws_grpc_pb_allocator(), n,
                                                                request);

    if (unpacked == NULL) {
        return hws_err_set(err, HWS_E_PROTO, "malformed ServerReflectionRequest");
    }
    enum hws_code code = answer(r, unpacked, out);
    grpc__reflection__v1__server_reflection_request__free_unpacked(unpacked,
                                                                   hws_grpc_pb_allocator());
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
