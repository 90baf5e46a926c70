/* YAML walking on libfyaml. Only text in, values out; the document is dropped at the end. */
#include <libfyaml.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "base/text.h"
#include "rollout/plan.h"
#include "rollout/yaml_priv.h"

#define MAX_KEYS 32u

/* The first line (from 1) that the node's text touches; 0 if libfyaml cannot say. */
static int line_of(struct fy_node *node)
{
    void *at = NULL;
    struct fy_node_pair *pair = NULL;
    struct fy_token *token = NULL;

    if (node != NULL && fy_node_get_type(node) == FYNT_SCALAR) {
        token = fy_node_get_scalar_token(node);
    } else if (node != NULL && fy_node_get_type(node) == FYNT_MAPPING) {
        pair = fy_node_mapping_iterate(node, &at);
        struct fy_node *key = pair == NULL ? NULL : fy_node_pair_key(pair);
        token = key == NULL || fy_node_get_type(key) != FYNT_SCALAR ? NULL
                                                                    : fy_node_get_scalar_token(key);
    }
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
    return mark == NULL ? 0 : mark->line + 1;
}

enum hws_code hws_rollout__yaml_at(struct fy_node *node, struct hws_err *err)
{
    int line = line_of(node);

    return line > 0 ? hws_err_wrap(err, "line %d", line)
                    : (err == NULL ? HWS_E_INVALID : err->code);
}

static enum hws_code syntax_error(struct fy_diag *diag, struct hws_err *err)
{
    void *at = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);

    if (e == NULL || e->msg == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "not YAML");
    }
    char why[160];
    hws_str_quote(why, sizeof(why), e->msg, strnlen(e->msg, sizeof(why) / 4 - 1));
    return hws_err_set(err, HWS_E_INVALID, "line %d: %s", e->line, why);
}

enum hws_code hws_rollout__yaml_open(struct hws_rollout__yaml *y, const char *text, size_t n,
                                     struct hws_err *err)
{
    static const struct fy_diag_cfg quiet = {.level = FYET_ERROR, .module_mask = ~0u};
    enum hws_code rc = HWS_OK;

    *y = (struct hws_rollout__yaml){0};
    if (n > HWS_ROLLOUT_MAX_YAML_BYTES) {
        return hws_err_set(err, HWS_E_BUSY, "more than %zu bytes of YAML",
                           HWS_ROLLOUT_MAX_YAML_BYTES);
    }
    unsigned line = 0;
    unsigned column = 0;
    if (n == 0) {
        return hws_err_set(err, HWS_E_INVALID, "empty: give keys and values in YAML");
    }
    const char *fault = hws_text_yaml_fault(text, n, &line, &column);
    if (fault != NULL) {
        return hws_err_set(err, HWS_E_INVALID, "line %u: %s", line, fault);
    }
    struct fy_diag *diag = fy_diag_create(&quiet);
    if (diag == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for YAML");
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE,
                               .diag = diag};
    y->doc = fy_document_build_from_string(&cfg, text, n);
    y->root = y->doc == NULL ? NULL : fy_document_root(y->doc);
    if (y->doc == NULL) {
        rc = syntax_error(diag, err);
    } else if (y->root == NULL || fy_node_get_type(y->root) != FYNT_MAPPING) {
        rc = hws_err_set(err, HWS_E_INVALID, "the text is not a map of keys and values");
        hws_rollout__yaml_close(y);
    }
    fy_diag_destroy(diag);
    return rc;
}

void hws_rollout__yaml_close(struct hws_rollout__yaml *y)
{
    if (y->doc != NULL) {
        fy_document_destroy(y->doc);
    }
    *y = (struct hws_rollout__yaml){0};
}

enum hws_code hws_rollout__yaml_text(struct fy_node *node, const char *what, char *dst, size_t cap,
                                     struct hws_err *err)
{
    size_t n = 0;
    const char *s = NULL;

    if (node != NULL && fy_node_get_type(node) == FYNT_SCALAR && !fy_node_is_alias(node)) {
        s = fy_node_get_scalar(node, &n);
    }
    if (s == NULL) {
        (void)hws_err_set(err, HWS_E_INVALID, "%s must be a single value", what);
        return hws_rollout__yaml_at(node, err);
    }
    if (memchr(s, 0, n) != NULL || !hws_str_copy_n(dst, cap, s, n)) {
        (void)hws_err_set(err, HWS_E_INVALID, "%s is longer than %zu characters", what, cap - 1);
        return hws_rollout__yaml_at(node, err);
    }
    return HWS_OK;
}

enum hws_code hws_rollout__yaml_u32(struct fy_node *node, const char *what, uint32_t max,
                                    uint32_t *out, struct hws_err *err)
{
    char text[32];
    uint64_t v = 0;
    enum hws_code rc = hws_rollout__yaml_text(node, what, text, sizeof(text), err);

    if (rc != HWS_OK) {
        return rc;
    }
    if (hws_str_to_u64(text, max, &v, NULL) != HWS_OK) {
        (void)hws_err_set(err, HWS_E_INVALID, "%s is \"%s\"; allowed is 0 to %u", what, text, max);
        return hws_rollout__yaml_at(node, err);
    }
    *out = (uint32_t)v;
    return HWS_OK;
}

enum hws_code hws_rollout__yaml_pairs(struct fy_node *node, const char *what,
                                      enum hws_code (*take)(void *ctx, const char *key,
                                                            struct fy_node *value,
                                                            struct hws_err *err),
                                      void *ctx, struct hws_err *err)
{
    void *at = NULL;
    char key[HWS_ROLLOUT__SCALAR_BYTES];

    if (node == NULL || fy_node_get_type(node) != FYNT_MAPPING) {
        (void)hws_err_set(err, HWS_E_INVALID, "%s must be a map of keys and values", what);
        return hws_rollout__yaml_at(node, err);
    }
    for (struct fy_node_pair *p = fy_node_mapping_iterate(node, &at); p != NULL;
         p = fy_node_mapping_iterate(node, &at)) {
        struct fy_node *k = fy_node_pair_key(p);
        enum hws_code rc = hws_rollout__yaml_text(k, "a key", key, sizeof(key), err);
        if (rc == HWS_OK && fy_node_pair_value(p) == NULL) {
            (void)hws_err_set(err, HWS_E_INVALID, "%s: \"%.64s\" has no value", what, key);
            rc = hws_rollout__yaml_at(k, err);
        }
        if (rc == HWS_OK) {
            rc = take(ctx, key, fy_node_pair_value(p), err);
        }
        if (rc != HWS_OK) {
            return rc;
        }
    }
    return HWS_OK;
}

struct map_walk {
    const char *what;
    const struct hws_rollout__key *keys;
    size_t n_keys;
    void *ctx;
    bool seen[MAX_KEYS];
};

static enum hws_code take_key(void *ctx, const char *key, struct fy_node *value,
                              struct hws_err *err)
{
    struct map_walk *w = ctx;

    for (size_t i = 0; i < w->n_keys; i++) {
        if (!hws_str_eq(key, w->keys[i].name)) {
            continue;
        }
        if (w->seen[i]) {
            (void)hws_err_set(err, HWS_E_INVALID, "%s: \"%s\" is given twice", w->what, key);
            return hws_rollout__yaml_at(value, err);
        }
        w->seen[i] = true;
        return w->keys[i].take(w->ctx, value, err);
    }
    char quoted[100];
    hws_str_quote(quoted, sizeof(quoted), key, strnlen(key, 24));
    (void)hws_err_set(err, HWS_E_INVALID, "%s: unknown key \"%s\"", w->what, quoted);
    return hws_rollout__yaml_at(value, err);
}

enum hws_code hws_rollout__yaml_map(struct fy_node *node, const char *what,
                                    const struct hws_rollout__key *keys, size_t n_keys, void *ctx,
                                    struct hws_err *err)
{
    struct map_walk w = {.what = what, .keys = keys, .n_keys = n_keys, .ctx = ctx};

    hws_assert(n_keys <= MAX_KEYS);
    enum hws_code rc = hws_rollout__yaml_pairs(node, what, take_key, &w, err);
    for (size_t i = 0; i < n_keys && rc == HWS_OK; i++) {
        if (keys[i].required && !w.seen[i]) {
            (void)hws_err_set(err, HWS_E_INVALID, "%s: \"%s\" is missing", what, keys[i].name);
            rc = hws_rollout__yaml_at(node, err);
        }
    }
    return rc;
}

enum hws_code hws_rollout__yaml_list(struct fy_node *node, const char *what,
                                     enum hws_code (*take)(void *ctx, struct fy_node *item,
                                                           struct hws_err *err),
                                     void *ctx, struct hws_err *err)
{
    void *at = NULL;

    if (node == NULL || fy_node_get_type(node) != FYNT_SEQUENCE) {
        (void)hws_err_set(err, HWS_E_INVALID, "%s must be a list", what);
        return hws_rollout__yaml_at(node, err);
    }
    for (struct fy_node *item = fy_node_sequence_iterate(node, &at); item != NULL;
         item = fy_node_sequence_iterate(node, &at)) {
        enum hws_code rc = take(ctx, item, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    return HWS_OK;
}
