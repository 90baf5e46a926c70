/*
 * A policy file into rules.
 *   1. libfyaml reads the one document; anchors, aliases and tags are refused, so what is read is
 * what stands there
 *   2. each mapping is walked by a table of its keys: unknown, repeated and missing ones are
 * refused
 *   3. rules are load_rule.c's; each entry is checked by the same file that later matches it
 * Every refusal names file, line and column, counted from 1.
 */
#include <libfyaml.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "policy/policy_priv.h"
#include "policy/yaml_priv.h"

static enum hws_code read_rules(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy *p = obj;
    struct fy_node *item;
    void *it = NULL;
    size_t n = 0;

    enum hws_code rc = hws_policy__count_items(l, node, HWS_POLICY_MAX_RULES, &n);
    if (rc != HWS_OK) {
        return rc;
    }
    p->rules = hws_mem_zalloc(n, sizeof(*p->rules));
    if (p->rules == NULL) {
        return hws_policy__no_memory(l);
    }
    while (rc == HWS_OK && (item = fy_node_sequence_iterate(node, &it)) != NULL) {
        rc = hws_policy__read_rule(l, item, &p->rules[p->n_rules++]);
    }
    return rc;
}

static enum hws_code read_version(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    char *text = NULL;
    enum hws_code rc = hws_policy__read_text(l, node, &text);

    (void)obj;
    if (rc == HWS_OK && !hws_str_eq(text, "1")) {
        rc = hws_policy__fault(l, node, "version %.20s is not known; this agent reads version 1",
                               text);
    }
    hws_mem_free(text);
    return rc;
}

static enum hws_code read_local_pair(struct hws_policy_loader *l, struct fy_node_pair *pair,
                                     struct hws_policy *p)
{
    struct fy_node *key_node = fy_node_pair_key(pair);
    struct fy_node *value = fy_node_pair_value(pair);
    struct hws_policy_local *out = &p->locals[p->n_locals];
    char *key = NULL;
    uint64_t uid = 0;

    enum hws_code rc = hws_policy__read_text(l, key_node, &key);
    if (rc == HWS_OK && (strspn(key, "0123456789") != strlen(key) ||
                         hws_str_to_u64(key, UINT32_MAX, &uid, NULL) != HWS_OK)) {
        rc = hws_policy__fault(l, key_node, "local: \"%.40s\" is no Unix user number", key);
    }
    hws_mem_free(key);
    for (size_t i = 0; i < p->n_locals && rc == HWS_OK; i++) {
        if (p->locals[i].uid == uid) {
            rc = hws_policy__fault(l, key_node, "local: user %u stands here twice", (unsigned)uid);
        }
    }
    if (rc == HWS_OK) {
        rc = hws_policy__refuse_decoration(l, value);
    }
    if (rc == HWS_OK) {
        rc = hws_policy__read_text(l, value, &out->principal);
    }
    if (rc != HWS_OK) {
        return rc;
    }
    out->uid = (uint32_t)uid;
    p->n_locals++;
    const char *why = hws_policy__principal_fault(out->principal, false, false);
    return why == NULL
               ? HWS_OK
               : hws_policy__fault(l, value, "local: principal \"%.80s\": %s", out->principal, why);
}

static enum hws_code read_local(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy *p = obj;
    struct fy_node_pair *pair;
    void *it = NULL;
    enum hws_code rc = HWS_OK;

    if (fy_node_get_type(node) != FYNT_MAPPING) {
        return hws_policy__fault(l, node, "local: \"uid: principal\" lines were expected here");
    }
    p->locals = hws_mem_zalloc(HWS_POLICY_MAX_ITEMS, sizeof(*p->locals));
    if (p->locals == NULL) {
        return hws_policy__no_memory(l);
    }
    while (rc == HWS_OK && (pair = fy_node_mapping_iterate(node, &it)) != NULL) {
        rc = p->n_locals == HWS_POLICY_MAX_ITEMS
                 ? hws_err_set(l->err, HWS_E_BUSY, "%s: local: more than %u users", l->file,
                               HWS_POLICY_MAX_ITEMS)
                 : read_local_pair(l, pair, p);
    }
    return rc;
}

static enum hws_code read_root(struct hws_policy_loader *l, struct fy_node *root)
{
    static const struct hws_policy_field fields[] = {
        {"version", read_version, true},
        {"local", read_local, false},
        {"rules", read_rules, true},
    };
    enum hws_code rc = hws_policy__refuse_decoration(l, root);

    return rc == HWS_OK ? hws_policy__read_mapping(l, root, fields,
                                                   sizeof(fields) / sizeof(fields[0]), l->policy)
                        : rc;
}

static void swallow(struct fy_diag *diag, void *user, const char *buf, size_t len)
{
    (void)diag;
    (void)user;
    (void)buf;
    (void)len;
}

static enum hws_code syntax_fault(struct hws_policy_loader *l, struct fy_diag *diag)
{
    void *it = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &it);

    if (e == NULL || e->msg == NULL) {
        return hws_err_set(l->err, HWS_E_INVALID, "%s:1:1: the file is empty or no YAML", l->file);
    }
    return hws_err_set(l->err, HWS_E_INVALID, "%s:%d:%d: %s", l->file, e->line, e->column, e->msg);
}

static enum hws_code parse(struct hws_policy_loader *l, struct fy_parser *parser,
                           struct fy_diag *diag, const void *bytes, size_t n)
{
    if (fy_parser_set_string(parser, bytes, n) != 0) {
        return hws_policy__no_memory(l);
    }
    struct fy_document *doc = fy_parse_load_document(parser);
    struct fy_node *root = doc == NULL ? NULL : fy_document_root(doc);
    if (root == NULL) {
        fy_parse_document_destroy(parser, doc);
        return syntax_fault(l, diag);
    }
    enum hws_code rc = read_root(l, root);
    struct fy_document *second = rc == HWS_OK ? fy_parse_load_document(parser) : NULL;
    if (second != NULL) {
        rc = hws_err_set(l->err, HWS_E_INVALID,
                         "%s: a second document follows; it would be ignored", l->file);
        fy_parse_document_destroy(parser, second);
    } else if (rc == HWS_OK && fy_diag_got_error(diag)) {
        rc = syntax_fault(l, diag);
    }
    fy_parse_document_destroy(parser, doc);
    return rc;
}

static enum hws_code read_text_of(struct hws_policy_loader *l, const void *bytes, size_t n)
{
    struct fy_diag_cfg diag_cfg;

    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = swallow;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (diag == NULL) {
        return hws_policy__no_memory(l);
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&cfg);
    enum hws_code rc = parser == NULL ? hws_policy__no_memory(l) : parse(l, parser, diag, bytes, n);
    if (parser != NULL) {
        fy_parser_destroy(parser);
    }
    fy_diag_destroy(diag);
    return rc;
}

enum hws_code hws_policy_load(const void *bytes, size_t n, const char *file,
                              const struct hws_policy_method *known, size_t n_known,
                              struct hws_policy **out, struct hws_err *err)
{
    struct hws_policy_loader l = {.file = file, .known = known, .n_known = n_known, .err = err};

    if (n > HWS_POLICY_MAX_BYTES) {
        return hws_err_set(err, HWS_E_BUSY, "%s: %zu bytes (limit %zu)", file, n,
                           HWS_POLICY_MAX_BYTES);
    }
    unsigned line = 0;
    unsigned column = 0;
    const char *why = hws_text_yaml_fault(bytes, n, &line, &column);
    if (why != NULL) {
        return hws_err_set(err, HWS_E_INVALID, "%s:%u:%u: %s", file, line, column, why);
    }
    l.policy = hws_mem_zalloc(1, sizeof(*l.policy));
    if (l.policy == NULL) {
        return hws_policy__no_memory(&l);
    }
    l.policy->n_refs = 1;
    enum hws_code rc = hws_sha256_of(bytes, n, &l.policy->hash);
    if (rc == HWS_OK) {
        rc = read_text_of(&l, bytes, n);
    } else {
        rc = hws_policy__no_memory(&l);
    }
    if (rc != HWS_OK) {
        hws_policy_unref(l.policy);
        return rc;
    }
    *out = l.policy;
    return HWS_OK;
}
