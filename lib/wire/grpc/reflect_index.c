/*
 * The reflection index: a small reader of FileDescriptorProto that looks at names only, and lookups
 * by file, symbol and extension. Field numbers: google/protobuf/descriptor.proto.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reflect_priv.h"

#define NAME_BYTES 512u

/* ---- reading protobuf ---- */

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
bool hws_grpc__reflect_next(struct hws_span *in, struct hws_grpc_reflect_field *f, bool *out_bad)
{
    uint64_t tag = 0;
    bool ok = true;

    if (in->n == 0) {
        return false;
    }
    *f = (struct hws_grpc_reflect_field){0};
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

struct hws_span hws_grpc__reflect_span(struct hws_span in, uint32_t number, bool *out_bad)
{
    struct hws_span found = {(const uint8_t *)"", 0};
    struct hws_grpc_reflect_field f;

    while (hws_grpc__reflect_next(&in, &f, out_bad)) {
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
    struct hws_span extendee = hws_grpc__reflect_span(field, 2, &bad);
    enum hws_code code = add_symbol(r, scope, hws_grpc__reflect_span(field, 1, &bad), &name);
    uint64_t number = 0;
    struct hws_grpc_reflect_field f;

    while (hws_grpc__reflect_next(&field, &f, &bad)) {
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
    struct hws_grpc_reflect_field f;

    while (hws_grpc__reflect_next(&in, &f, &bad)) {
        if (f.number == number && f.span.bytes != NULL) {
            const char *name = NULL;
            enum hws_code code =
                add_symbol(r, scope, hws_grpc__reflect_span(f.span, 1, &bad), &name);
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
    enum hws_code code = add_symbol(r, level->scope, hws_grpc__reflect_span(body, 1, &bad), &name);
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
    struct hws_span package = hws_grpc__reflect_span(file, 2, &bad);
    char scope[NAME_BYTES];
    size_t depth = 1;
    struct hws_grpc_reflect_field f;

    if (bad || !hws_str_copy_n(scope, sizeof(scope), package.bytes, package.n)) {
        return HWS_E_PROTO;
    }
    levels[0] = (struct level){file, scope};
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        if (!hws_grpc__reflect_next(&level->rest, &f, &bad)) {
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

const struct hws_grpc_reflect_file *hws_grpc__reflect_file(const struct hws_grpc_reflect *r,
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
    struct hws_span name = hws_grpc__reflect_span(bytes, 1, &bad);

    if (bad || name.n == 0) {
        return HWS_E_PROTO;
    }
    if (hws_grpc__reflect_file(r, name.bytes, name.n) != NULL) {
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
    struct hws_grpc_reflect_field f;

    while (code == HWS_OK && hws_grpc__reflect_next(&in, &f, &bad)) {
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

/* ---- finding ---- */

static int compare_name(const void *name, const void *symbol)
{
    const struct hws_grpc_reflect_symbol *s = symbol;
    return strcmp(name, s->name);
}

const struct hws_grpc_reflect_file *hws_grpc__reflect_symbol(const struct hws_grpc_reflect *r,
                                                             const char *name)
{
    if (r->n_symbols == 0) {
        return NULL;
    }
    const struct hws_grpc_reflect_symbol *found =
        bsearch(name[0] == '.' ? name + 1 : name, r->symbols, r->n_symbols, sizeof(r->symbols[0]),
                compare_name);
    return found == NULL ? NULL : &r->files[found->file_idx];
}

const struct hws_grpc_reflect_file *hws_grpc__reflect_extension(const struct hws_grpc_reflect *r,
                                                                const char *type, int32_t number)
{
    for (size_t i = 0; i < r->n_exts; i++) {
        if (r->exts[i].number == number && strcmp(r->exts[i].extendee, type) == 0) {
            return &r->files[r->exts[i].file_idx];
        }
    }
    return NULL;
}
