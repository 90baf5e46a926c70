/* Metadata storage, its rules, and base64. */
#include "grpc/meta.h"

#include <string.h>

#include "base/mem.h"

#define FIELD_COST          32u /* RFC 9113, section 10.5.1: the size of a field is name + value + 32 */
#define DEFAULT_MAX_ENTRIES 64u
#define DEFAULT_MAX_BYTES   8192u
#define BAD                 64 /* not a base64 character */

void hws_grpc_meta_deinit(struct hws_grpc_meta *m)
{
    hws_mem_free(m->entries);
    hws_buf_deinit(&m->text);
    *m = (struct hws_grpc_meta){0};
}

void hws_grpc_meta_reset(struct hws_grpc_meta *m)
{
    m->n_entries = 0;
    m->used_bytes = 0;
    hws_buf_reset(&m->text);
}

bool hws_grpc_meta_is_bin(const void *name, size_t n_name)
{
    return n_name > 4 && memcmp((const char *)name + n_name - 4, "-bin", 4) == 0;
}

static enum hws_code grow(struct hws_grpc_meta *m)
{
    if (m->n_entries < m->cap_entries) {
        return HWS_OK;
    }
    uint32_t cap = m->cap_entries == 0 ? 8 : m->cap_entries * 2;
    struct hws_grpc_meta_entry *entries = hws_mem_realloc(m->entries, cap * sizeof(*entries));
    if (entries == NULL) {
        return HWS_E_NOMEM;
    }
    m->entries = entries;
    m->cap_entries = cap;
    return HWS_OK;
}

/* Reserves a field with room for n_value value bytes; *out_value is where they go. */
static enum hws_code add_entry(struct hws_grpc_meta *m, const void *name, size_t n_name,
                               size_t n_value, uint8_t **out_value, struct hws_err *err)
{
    uint32_t max_entries = m->max_entries == 0 ? DEFAULT_MAX_ENTRIES : m->max_entries;
    uint32_t max_bytes = m->max_bytes == 0 ? DEFAULT_MAX_BYTES : m->max_bytes;
    size_t cost = n_name + n_value + FIELD_COST;

    if (m->n_entries >= max_entries || cost > max_bytes - m->used_bytes) {
        return hws_err_set(err, HWS_E_BUSY, "more than %u metadata fields or %u bytes", max_entries,
                           max_bytes);
    }
    uint8_t *space = NULL;
    if (grow(m) != HWS_OK || hws_buf_reserve(&m->text, n_name + n_value + 2, &space) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "metadata");
    }
    uint32_t at = (uint32_t)hws_buf_len(&m->text);
    memcpy(space, name, n_name);
    space[n_name] = '\0';
    space[n_name + 1 + n_value] = '\0';
    m->entries[m->n_entries++] =
        (struct hws_grpc_meta_entry){.name_at = at,
                                     .value_at = (uint32_t)(at + n_name + 1),
                                     .n_value = (uint32_t)n_value,
                                     .n_name = (uint16_t)n_name};
    m->used_bytes += (uint32_t)cost;
    hws_buf_commit(&m->text, n_name + n_value + 2);
    *out_value = space + n_name + 1;
    return HWS_OK;
}

static bool name_ok(const char *name, size_t n)
{
    /* A peer takes a message that does not fit a content-length, or one of the last five (RFC 9113,
     * section 8.2.2), for malformed. */
    static const char *const own[] = {"te",         "content-type",     "user-agent",
                                      "host",       "content-length",   "connection",
                                      "keep-alive", "proxy-connection", "transfer-encoding",
                                      "upgrade"};

    /* gRPC's own names are reserved but for the two that applications use to steer retries (A6). */
    bool retry = strcmp(name, "grpc-retry-pushback-ms") == 0 ||
                 strcmp(name, "grpc-previous-rpc-attempts") == 0;
    if (n == 0 || n > 256 || (strncmp(name, "grpc-", 5) == 0 && !retry)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
              c == '.')) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcmp(name, own[i]) == 0) {
            return false;
        }
    }
    return true;
}

static bool value_ok(const uint8_t *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (value[i] < 0x20 || value[i] > 0x7e) {
            return false;
        }
    }
    return n == 0 || (value[0] != ' ' && value[n - 1] != ' ');
}

enum hws_code hws_grpc_meta_add(struct hws_grpc_meta *m, const char *name, const void *value,
                                size_t n_value, struct hws_err *err)
{
    size_t n_name = strlen(name);

    if (!name_ok(name, n_name)) {
        return hws_err_set(err, HWS_E_INVALID,
                           "metadata name \"%.40s\": lower case, digits, '_', '-' and '.' are "
                           "allowed, and no name "
                           "of gRPC's or HTTP's own",
                           name);
    }
    if (!hws_grpc_meta_is_bin(name, n_name) && !value_ok(value, n_value)) {
        return hws_err_set(
            err, HWS_E_INVALID,
            "metadata value of %.40s is not printable ASCII without a space at either end; "
            "a name that ends in -bin may have any bytes",
            name);
    }
    uint8_t *space = NULL;
    enum hws_code code = add_entry(m, name, n_name, n_value, &space, err);
    if (code == HWS_OK && space != NULL && n_value > 0) {
        memcpy(space, value, n_value);
    }
    return code;
}

enum hws_code hws_grpc_meta_add_text(struct hws_grpc_meta *m, const char *name, const char *value,
                                     struct hws_err *err)
{
    return hws_grpc_meta_add(m, name, value, strlen(value), err);
}

/* One base64 value, blanks around it allowed (RFC 9110 lists). */
static enum hws_code add_bin(struct hws_grpc_meta *m, const uint8_t *name, size_t n_name,
                             const uint8_t *text, size_t n_text, struct hws_err *err)
{
    while (n_text > 0 && text[0] == ' ') {
        text++;
        n_text--;
    }
    while (n_text > 0 && text[n_text - 1] == ' ') {
        n_text--;
    }
    size_t digits = n_text;
    while (digits > 0 && n_text - digits < 2 && text[digits - 1] == '=') {
        digits--;
    }
    size_t n_value = digits / 4 * 3 + (digits % 4 == 0 ? 0 : digits % 4 - 1);
    uint8_t scratch[3 * 64 + 3];
    uint8_t *big = n_value + 3 > sizeof(scratch) ? hws_mem_alloc(n_text / 4 * 3 + 3) : scratch;
    if (big == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "metadata");
    }
    size_t got = 0;
    enum hws_code code = hws_grpc_base64_decode(text, n_text, big, &got);
    uint8_t *space = NULL;
    if (code != HWS_OK) {
        hws_err_set(err, code, "metadata %.*s is not base64", (int)(n_name < 40 ? n_name : 40),
                    name);
    } else {
        code = add_entry(m, name, n_name, got, &space, err);
    }
    if (code == HWS_OK && space != NULL && got > 0) {
        memcpy(space, big, got);
    }
    if (big != scratch) {
        hws_mem_free(big);
    }
    return code;
}

enum hws_code hws_grpc_meta_add_wire(struct hws_grpc_meta *m, const uint8_t *name, size_t n_name,
                                     const uint8_t *value, size_t n_value, struct hws_err *err)
{
    if (!hws_grpc_meta_is_bin(name, n_name)) {
        uint8_t *space = NULL;
        enum hws_code code = add_entry(m, name, n_name, n_value, &space, err);
        if (code == HWS_OK && space != NULL && n_value > 0) {
            memcpy(space, value, n_value);
        }
        return code;
    }
    for (size_t at = 0; at <= n_value;) {
        const uint8_t *comma = n_value > at ? memchr(value + at, ',', n_value - at) : NULL;
        size_t n = comma == NULL ? n_value - at : (size_t)(comma - value) - at;
        enum hws_code code = add_bin(m, name, n_name, value + at, n, err);
        if (code != HWS_OK) {
            return code;
        }
        at += n + 1;
    }
    return HWS_OK;
}

bool hws_grpc_meta_get(const struct hws_grpc_meta *m, const char *name, size_t idx,
                       struct hws_span *out_value)
{
    size_t n_name = strlen(name);

    for (uint32_t i = 0; i < m->n_entries; i++) {
        struct hws_span at;
        struct hws_span value;
        hws_grpc_meta_at(m, i, &at, &value);
        if (at.n == n_name && memcmp(at.bytes, name, n_name) == 0 && idx-- == 0) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

void hws_grpc_meta_at(const struct hws_grpc_meta *m, size_t idx, struct hws_span *out_name,
                      struct hws_span *out_value)
{
    const struct hws_grpc_meta_entry *e = &m->entries[idx];
    const uint8_t *text = hws_buf_peek(&m->text);

    *out_name = (struct hws_span){text + e->name_at, e->n_name};
    *out_value = (struct hws_span){text + e->value_at, e->n_value};
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t hws_grpc_base64_encode(const uint8_t *bytes, size_t n, char *dst)
{
    size_t used = 0;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)bytes[i] << 16;
        v |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        v |= left > 2 ? bytes[i + 2] : 0;
        for (size_t k = 0; k <= left; k++) {
            dst[used++] = alphabet[v >> (18 - 6 * k) & 63];
        }
    }
    return used;
}

static uint32_t digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (uint32_t)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (uint32_t)(c - '0') + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : BAD;
}

enum hws_code hws_grpc_base64_decode(const uint8_t *text, size_t n, uint8_t *dst, size_t *out_n)
{
    size_t pad = 0;

    while (n > 0 && pad < 2 && text[n - 1] == '=') {
        n--;
        pad++;
    }
    /* Padding, where there is any, must complete the group of four. */
    if (n % 4 == 1 || (pad != 0 && (n + pad) % 4 != 0)) {
        return HWS_E_PROTO;
    }
    size_t used = 0;
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t digit = digit_of(text[i]);
        if (digit == BAD) {
            return HWS_E_PROTO;
        }
        v = v << 6 | digit;
        if (i % 4 == 3) {
            dst[used++] = (uint8_t)(v >> 16);
            dst[used++] = (uint8_t)(v >> 8);
            dst[used++] = (uint8_t)v;
            v = 0;
        }
    }
    if ((n % 4 == 2 && (v & 0xf) != 0) || (n % 4 == 3 && (v & 3) != 0)) {
        return HWS_E_PROTO;
    }
    if (n % 4 == 2) {
        dst[used++] = (uint8_t)(v >> 4);
    } else if (n % 4 == 3) {
        dst[used++] = (uint8_t)(v >> 10);
        dst[used++] = (uint8_t)(v >> 2);
    }
    *out_n = used;
    return HWS_OK;
}
