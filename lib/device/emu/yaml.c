/* YAML mappings into structs, by tables of keys. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "emu/yaml_priv.h"

/* Mappings and sequences have no mark of their own: the first scalar in them says where they are.
 */
static int node_line(struct fy_node *node)
{
    for (int depth = 0; node != NULL && depth < 32; depth++) {
        void *it = NULL;
        enum fy_node_type type = fy_node_get_type(node);
        if (type == FYNT_SCALAR) {
            struct fy_token *token = fy_node_get_scalar_token(node);
            const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
            return mark != NULL ? mark->line + 1 : 0;
        }
        if (type == FYNT_MAPPING) {
            struct fy_node_pair *pair = fy_node_mapping_iterate(node, &it);
            node = pair != NULL ? fy_node_pair_key(pair) : NULL;
        } else {
            node = fy_node_sequence_iterate(node, &it);
        }
    }
    return 0;
}

enum hws_code hws_emu__yaml_bad(struct hws_emu__yaml *y, struct fy_node *node, const char *fmt, ...)
{
    va_list args;
    int line = node_line(node);

    va_start(args, fmt);
    (void)hws_err_vset(y->err, HWS_E_INVALID, fmt, args);
    va_end(args);
    if (line > 0) {
        (void)hws_err_wrap(y->err, "line %d", line);
    }
    return HWS_E_INVALID;
}

enum hws_code hws_emu__yaml_text(struct hws_emu__yaml *y, struct fy_node *node, const char *what,
                                 char *text)
{
    size_t n = 0;
    const char *s = NULL;

    if (node != NULL && fy_node_get_type(node) == FYNT_SCALAR && !fy_node_is_alias(node)) {
        s = fy_node_get_scalar(node, &n);
    }
    if (s == NULL) {
        return hws_emu__yaml_bad(y, node, "%s: expected a plain value", what);
    }
    if (n >= HWS_EMU__YAML_TEXT_BYTES || memchr(s, '\0', n) != NULL) {
        return hws_emu__yaml_bad(y, node, "%s: at most %u characters", what,
                                 HWS_EMU__YAML_TEXT_BYTES - 1);
    }
    (void)hws_str_copy_n(text, HWS_EMU__YAML_TEXT_BYTES, s, n);
    return HWS_OK;
}

static enum hws_code read_pair(struct hws_emu__yaml *y, struct fy_node_pair *pair,
                               const struct hws_emu__key *keys, size_t n_keys, void *obj,
                               uint64_t *seen)
{
    char name[HWS_EMU__YAML_TEXT_BYTES];
    struct fy_node *key_node = fy_node_pair_key(pair);
    enum hws_code rc = hws_emu__yaml_text(y, key_node, "key", name);

    if (rc != HWS_OK) {
        return rc;
    }
    for (size_t i = 0; i < n_keys; i++) {
        if (!hws_str_eq(keys[i].name, name)) {
            continue;
        }
        if ((*seen >> i & 1) != 0) {
            return hws_emu__yaml_bad(y, key_node, "%s: given twice", name);
        }
        *seen |= UINT64_C(1) << i;
        struct fy_node *value = fy_node_pair_value(pair);
        if (value == NULL) {
            return hws_emu__yaml_bad(y, key_node, "%s: no value", name);
        }
        return keys[i].read(y, value, &keys[i], obj);
    }
    return hws_emu__yaml_bad(y, key_node, "unknown key %s", name);
}

enum hws_code hws_emu__yaml_map(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *keys, size_t n_keys, void *obj)
{
    uint64_t seen = 0;
    void *it = NULL;

    if (node == NULL || fy_node_get_type(node) != FYNT_MAPPING) {
        return hws_emu__yaml_bad(y, node, "expected a mapping");
    }
    for (struct fy_node_pair *pair = fy_node_mapping_iterate(node, &it); pair != NULL;
         pair = fy_node_mapping_iterate(node, &it)) {
        enum hws_code rc = read_pair(y, pair, keys, n_keys, obj, &seen);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    for (size_t i = 0; i < n_keys; i++) {
        if (keys[i].required && (seen >> i & 1) == 0) {
            return hws_emu__yaml_bad(y, node, "%s is missing", keys[i].name);
        }
    }
    return HWS_OK;
}

enum hws_code hws_emu__yaml_items(struct hws_emu__yaml *y, struct fy_node *node, const char *what,
                                  uint32_t max, uint32_t *out_n)
{
    if (fy_node_get_type(node) != FYNT_SEQUENCE) {
        return hws_emu__yaml_bad(y, node, "%s: expected a list", what);
    }
    int n = fy_node_sequence_item_count(node);
    if (n < 0 || (uint32_t)n > max) {
        return hws_emu__yaml_bad(y, node, "%s: %d entries, at most %u", what, n, max);
    }
    *out_n = (uint32_t)n;
    return HWS_OK;
}

enum hws_code hws_emu__yaml_number(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, uint64_t *out)
{
    char text[HWS_EMU__YAML_TEXT_BYTES];
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    if (hws_str_to_u64(text, key->max, &v, NULL) != HWS_OK || v < key->min) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not a number from %llu to %llu", key->name,
                                 text, (unsigned long long)key->min, (unsigned long long)key->max);
    }
    *out = v;
    return HWS_OK;
}

enum hws_code hws_emu__read_text(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    char text[HWS_EMU__YAML_TEXT_BYTES] = {0};
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    size_t n = strlen(text);
    if (n < key->min || n >= key->max) {
        return hws_emu__yaml_bad(y, node, "%s: %zu characters, allowed are %llu to %llu", key->name,
                                 n, (unsigned long long)key->min, (unsigned long long)key->max - 1);
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e) {
            return hws_emu__yaml_bad(y, node, "%s: printable ASCII only", key->name);
        }
    }
    (void)hws_str_copy((char *)obj + key->offset, (size_t)key->max, text);
    return HWS_OK;
}

enum hws_code hws_emu__read_u8(struct hws_emu__yaml *y, struct fy_node *node,
                               const struct hws_emu__key *key, void *obj)
{
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_number(y, node, key, &v);

    if (rc == HWS_OK) {
        uint8_t narrow = (uint8_t)v;
        memcpy((char *)obj + key->offset, &narrow, sizeof(narrow));
    }
    return rc;
}

enum hws_code hws_emu__read_u16(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj)
{
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_number(y, node, key, &v);

    if (rc == HWS_OK) {
        uint16_t narrow = (uint16_t)v;
        memcpy((char *)obj + key->offset, &narrow, sizeof(narrow));
    }
    return rc;
}

enum hws_code hws_emu__read_u32(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj)
{
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_number(y, node, key, &v);

    if (rc == HWS_OK) {
        uint32_t narrow = (uint32_t)v;
        memcpy((char *)obj + key->offset, &narrow, sizeof(narrow));
    }
    return rc;
}

enum hws_code hws_emu__read_u64(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj)
{
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_number(y, node, key, &v);

    if (rc == HWS_OK) {
        memcpy((char *)obj + key->offset, &v, sizeof(v));
    }
    return rc;
}

enum hws_code hws_emu__read_bool(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    char text[HWS_EMU__YAML_TEXT_BYTES];
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    bool v = hws_str_eq(text, "true");
    if (!v && !hws_str_eq(text, "false")) {
        return hws_emu__yaml_bad(y, node, "%s: \"%s\" is neither true nor false", key->name, text);
    }
    memcpy((char *)obj + key->offset, &v, sizeof(v));
    return HWS_OK;
}

/* ---- documents ---- */

/* libfyaml's first complaint, with its line. */
static enum hws_code syntax_error(struct fy_diag *diag, struct hws_err *err)
{
    void *it = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &it);

    if (first == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "not YAML");
    }
    return hws_err_set(err, HWS_E_INVALID, "line %d: %s", first->line, first->msg);
}

enum hws_code hws_emu__yaml_document(const char *text, size_t n,
                                     enum hws_code (*read)(struct hws_emu__yaml *y,
                                                           struct fy_node *root, void *obj),
                                     void *obj, struct hws_err *err)
{
    struct hws_emu__yaml y = {.err = err, .data = NULL};
    unsigned line = 0;
    unsigned column = 0;
    const char *fault = hws_text_yaml_fault(text, n, &line, &column);

    if (fault != NULL) {
        return hws_err_set(err, HWS_E_INVALID, "line %u column %u: %s", line, column, fault);
    }
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (diag == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_DISABLE_MMAP_OPT, .diag = diag};
    struct fy_document *doc = fy_document_build_from_string(&cfg, text, n);
    enum hws_code rc = doc != NULL ? read(&y, fy_document_root(doc), obj) : syntax_error(diag, err);
    fy_document_destroy(doc);
    fy_diag_destroy(diag);
    return rc;
}
