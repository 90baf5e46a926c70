/* YAML nodes to texts, lists and mappings; every refusal names file, line and column, counted
 * from 1. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/yaml_priv.h"

/* The first scalar in or under a node: where it begins in the file. */
static const struct fy_mark *mark_of(struct fy_node *node)
{
    for (int depth = 0; node != NULL && depth < 8; depth++) {
        void *it = NULL;
        enum fy_node_type type = fy_node_get_type(node);
        if (type == FYNT_SCALAR) {
            return fy_token_start_mark(fy_node_get_scalar_token(node)); /* NULL of NULL */
        }
        if (type == FYNT_SEQUENCE) {
            node = fy_node_sequence_iterate(node, &it);
        } else {
            struct fy_node_pair *pair = fy_node_mapping_iterate(node, &it);
            node = pair == NULL ? NULL : fy_node_pair_key(pair);
        }
    }
    return NULL;
}

enum hws_code hws_policy__fault(struct hws_policy_loader *l, struct fy_node *at, const char *fmt,
                                ...)
{
    const struct fy_mark *mark = mark_of(at);
    char text[HWS_ERR_MSG_BYTES];
    va_list args;

    if (mark == NULL) {
        mark = mark_of(l->near);
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return hws_err_set(l->err, HWS_E_INVALID, "%s:%d:%d: %s%.64s%s%s", l->file,
                       mark == NULL ? 1 : mark->line + 1, mark == NULL ? 1 : mark->column + 1,
                       l->rule == NULL ? "" : "rule ", l->rule == NULL ? "" : l->rule,
                       l->rule == NULL ? "" : ": ", text);
}

unsigned hws_policy__line(struct fy_node *node)
{
    const struct fy_mark *mark = mark_of(node);

    return mark == NULL ? 1 : (unsigned)mark->line + 1;
}

enum hws_code hws_policy__no_memory(struct hws_policy_loader *l)
{
    return hws_err_set(l->err, HWS_E_NOMEM, "%s: out of memory", l->file);
}

/* A copy of a scalar's text, 1..HWS_POLICY_TEXT_MAX_BYTES bytes without control characters. */
enum hws_code hws_policy__read_text(struct hws_policy_loader *l, struct fy_node *node, char **out)
{
    size_t n = 0;
    const char *s = NULL;

    if (fy_node_get_type(node) != FYNT_SCALAR || fy_node_is_alias(node)) {
        return hws_policy__fault(l, node, "a plain text was expected here");
    }
    s = fy_node_get_scalar(node, &n);
    if (n == 0 || n > HWS_POLICY_TEXT_MAX_BYTES) {
        return hws_policy__fault(l, node, "a text of 1 to %u bytes was expected here",
                                 HWS_POLICY_TEXT_MAX_BYTES);
    }
    for (size_t i = 0; i < n; i++) {
        if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f) {
            return hws_policy__fault(l, node, "a control character in a text");
        }
    }
    char *text = hws_mem_alloc(n + 1);
    if (text == NULL) {
        return hws_policy__no_memory(l);
    }
    memcpy(text, s, n);
    text[n] = '\0';
    *out = text;
    return HWS_OK;
}

enum hws_code hws_policy__refuse_decoration(struct hws_policy_loader *l, struct fy_node *node)
{
    size_t n = 0;

    if (fy_node_is_alias(node) || fy_node_get_anchor(node) != NULL) {
        return hws_policy__fault(l, node, "anchors and aliases are not used in a policy");
    }
    if (fy_node_get_tag(node, &n) != NULL) {
        return hws_policy__fault(l, node, "tags are not used in a policy");
    }
    return HWS_OK;
}

static void list_keys(const struct hws_policy_field *fields, size_t n, char *dst, size_t cap)
{
    dst[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(dst);
        (void)hws_str_print(dst + used, cap - used, "%s%s", i == 0 ? "" : ", ", fields[i].key);
    }
}

static enum hws_code read_pair(struct hws_policy_loader *l, struct fy_node_pair *pair,
                               const struct hws_policy_field *fields, size_t n_fields, void *obj,
                               uint32_t *seen)
{
    struct fy_node *key_node = fy_node_pair_key(pair);
    struct fy_node *value = fy_node_pair_value(pair);
    char known[160];
    char *key = NULL;

    enum hws_code rc = hws_policy__read_text(l, key_node, &key);
    if (rc != HWS_OK) {
        return rc;
    }
    l->near = key_node;
    size_t i = 0;
    while (i < n_fields && !hws_str_eq(fields[i].key, key)) {
        i++;
    }
    if (i == n_fields) {
        list_keys(fields, n_fields, known, sizeof(known));
        rc = hws_policy__fault(l, key_node, "unknown key \"%.40s\"; known are %s", key, known);
    } else {
        *seen |= UINT32_C(1) << i;
        rc = hws_policy__refuse_decoration(l, value);
        if (rc == HWS_OK) {
            rc = fields[i].read(l, value, obj);
        }
    }
    hws_mem_free(key);
    return rc;
}

/* Walks a mapping by its table of keys. libfyaml gives each a value, an empty text if the file has
 * none, and refuses a key that stands twice. */
enum hws_code hws_policy__read_mapping(struct hws_policy_loader *l, struct fy_node *node,
                                       const struct hws_policy_field *fields, size_t n_fields,
                                       void *obj)
{
    struct fy_node_pair *pair;
    void *it = NULL;
    uint32_t seen = 0;

    if (fy_node_get_type(node) != FYNT_MAPPING) {
        return hws_policy__fault(l, node, "\"key: value\" lines were expected here");
    }
    while ((pair = fy_node_mapping_iterate(node, &it)) != NULL) {
        enum hws_code rc = read_pair(l, pair, fields, n_fields, obj, &seen);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    for (size_t i = 0; i < n_fields; i++) {
        if (fields[i].required && (seen & UINT32_C(1) << i) == 0) {
            return hws_policy__fault(l, node, "key \"%s\" is missing", fields[i].key);
        }
    }
    return HWS_OK;
}

/* How many entries a list has; HWS_E_BUSY over the limit, HWS_E_INVALID for none or no list. */
enum hws_code hws_policy__count_items(struct hws_policy_loader *l, struct fy_node *node, size_t max,
                                      size_t *out)
{
    void *it = NULL;
    size_t n = 0;

    if (fy_node_get_type(node) != FYNT_SEQUENCE) {
        return hws_policy__fault(l, node, "a list was expected here");
    }
    while (fy_node_sequence_iterate(node, &it) != NULL) {
        n++;
    }
    if (n == 0) {
        return hws_policy__fault(l, node, "an empty list; leave the key out instead");
    }
    if (n > max) {
        return hws_err_set(l->err, HWS_E_BUSY, "%s: a list of %zu entries (limit %zu)", l->file, n,
                           max);
    }
    *out = n;
    return HWS_OK;
}

/* Reads a list of texts; check says what is wrong with one, NULL for nothing. */
enum hws_code hws_policy__read_texts(struct hws_policy_loader *l, struct fy_node *node,
                                     struct hws_policy_texts *out,
                                     enum hws_code (*check)(struct hws_policy_loader *l,
                                                            struct fy_node *at, const char *item))
{
    struct fy_node *item;
    void *it = NULL;
    size_t n = 0;

    enum hws_code rc = hws_policy__count_items(l, node, HWS_POLICY_MAX_ITEMS, &n);
    if (rc != HWS_OK) {
        return rc;
    }
    out->items = hws_mem_zalloc(n, sizeof(*out->items));
    if (out->items == NULL) {
        return hws_policy__no_memory(l);
    }
    while (rc == HWS_OK && (item = fy_node_sequence_iterate(node, &it)) != NULL) {
        rc = hws_policy__refuse_decoration(l, item);
        if (rc == HWS_OK) {
            rc = hws_policy__read_text(l, item, &out->items[out->n]);
        }
        if (rc == HWS_OK) {
            rc = check(l, item, out->items[out->n++]);
        }
    }
    return rc;
}
