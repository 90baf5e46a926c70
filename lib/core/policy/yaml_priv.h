/* Reading a YAML document by tables of keys, every refusal with its place: for load.c and
 * load_rule.c. */
#ifndef HWS_POLICY_YAML_PRIV_H
#define HWS_POLICY_YAML_PRIV_H

#include <libfyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "policy/policy_priv.h"

struct hws_policy_loader {
    const char *file;
    const struct hws_policy_method *known;
    size_t n_known;
    struct hws_policy *policy;
    const char *rule;     /* name of the rule being read, for messages; NULL outside */
    struct fy_node *near; /* the last key read: the place of values that have none of their own */
    bool saw_effect;      /* of the rule being read */
    bool min_effect;      /* it was min_effect */
    struct hws_err *err;
};

/* One key of a mapping. */
struct hws_policy_field {
    const char *key;
    enum hws_code (*read)(struct hws_policy_loader *l, struct fy_node *value, void *obj);
    bool required;
};

/* Sets "file:line:column: rule name: text" and returns HWS_E_INVALID. */
enum hws_code hws_policy__fault(struct hws_policy_loader *l, struct fy_node *at, const char *fmt,
                                ...) HWS_PRINTF(3, 4);

/* The line on which a node begins, from 1. */
unsigned hws_policy__line(struct fy_node *node);

enum hws_code hws_policy__no_memory(struct hws_policy_loader *l);

/* A copy of a scalar's text: 1..HWS_POLICY_TEXT_MAX_BYTES bytes without control characters. The
 * caller's. */
enum hws_code hws_policy__read_text(struct hws_policy_loader *l, struct fy_node *node, char **out)
    HWS_MUST_USE;

/* HWS_E_INVALID for anchors, aliases and tags. */
enum hws_code hws_policy__refuse_decoration(struct hws_policy_loader *l, struct fy_node *node)
    HWS_MUST_USE;

/* Walks a mapping by its table of at most 32 keys; refuses unknown and missing ones. */
enum hws_code hws_policy__read_mapping(struct hws_policy_loader *l, struct fy_node *node,
                                       const struct hws_policy_field *fields, size_t n_fields,
                                       void *obj) HWS_MUST_USE;

/* How many entries a list has; HWS_E_BUSY over max, HWS_E_INVALID for none or no list. */
enum hws_code hws_policy__count_items(struct hws_policy_loader *l, struct fy_node *node, size_t max,
                                      size_t *out) HWS_MUST_USE;

/* Reads a list of texts; check judges each. */
enum hws_code hws_policy__read_texts(struct hws_policy_loader *l, struct fy_node *node,
                                     struct hws_policy_texts *out,
                                     enum hws_code (*check)(struct hws_policy_loader *l,
                                                            struct fy_node *at, const char *item))
    HWS_MUST_USE;

/* Reads one rule into *r, which is zero but for its place in the policy. */
enum hws_code hws_policy__read_rule(struct hws_policy_loader *l, struct fy_node *node,
                                    struct hws_policy_rule *r) HWS_MUST_USE;

#endif
