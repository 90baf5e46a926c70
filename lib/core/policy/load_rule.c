/* One rule of a policy file: its keys, and what only the whole rule shows. */
#include <libfyaml.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/policy_priv.h"
#include "policy/yaml_priv.h"
#include "table/table.h"

static enum hws_code check_principal(struct hws_policy_loader *l, struct fy_node *at,
                                     const char *item)
{
    const char *why = hws_policy__principal_fault(item, true, true);

    return why == NULL ? HWS_OK : hws_policy__fault(l, at, "principal \"%.80s\": %s", item, why);
}

static enum hws_code check_method(struct hws_policy_loader *l, struct fy_node *at, const char *item)
{
    for (size_t i = 0; i < l->n_known; i++) {
        if (hws_policy__method_fits(item, l->known[i].path, l->known[i].permission)) {
            return HWS_OK;
        }
    }
    if (hws_policy__is_profile(item)) {
        return HWS_OK; /* a set whose methods this agent does not have */
    }
    return hws_policy__fault(
        l, at,
        "\"%.80s\" is no method of this agent: give a path (/hawser.v1.Service/Method), a "
        "permission (config.apply, config.*) or a profile (%s)",
        item, hws_policy__profile_names());
}

static enum hws_code check_device(struct hws_policy_loader *l, struct fy_node *at, const char *item)
{
    const char *why = hws_policy__device_fault(item);

    return why == NULL ? HWS_OK : hws_policy__fault(l, at, "\"%.80s\": %s", item, why);
}

static enum hws_code check_target(struct hws_policy_loader *l, struct fy_node *at, const char *item)
{
    const char *why = hws_policy__target_fault(item);

    return why == NULL ? HWS_OK : hws_policy__fault(l, at, "\"%.80s\": %s", item, why);
}

static enum hws_code read_name(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;
    enum hws_code rc = hws_policy__read_text(l, node, &r->name);

    if (rc != HWS_OK) {
        return rc;
    }
    size_t n = strlen(r->name);
    if (n > HWS_POLICY_NAME_MAX_BYTES ||
        strspn(r->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n) {
        return hws_policy__fault(l, node,
                                 "a rule's name is 1 to %u lower-case letters, digits and '-'",
                                 HWS_POLICY_NAME_MAX_BYTES);
    }
    for (const struct hws_policy_rule *other = l->policy->rules; other != r; other++) {
        if (hws_str_eq(other->name, r->name)) {
            return hws_policy__fault(l, node, "two rules are named \"%s\"", r->name);
        }
    }
    l->rule = r->name;
    return HWS_OK;
}

static enum hws_code read_decision(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;
    char *text = NULL;
    enum hws_code rc = hws_policy__read_text(l, node, &text);

    if (rc != HWS_OK) {
        return rc;
    }
    r->deny = hws_str_eq(text, "deny");
    if (!r->deny && !hws_str_eq(text, "allow")) {
        rc = hws_policy__fault(l, node, "decision is \"allow\" or \"deny\"");
    }
    hws_mem_free(text);
    return rc;
}

static enum hws_code read_principals(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;

    return hws_policy__read_texts(l, node, &r->principals, check_principal);
}

static enum hws_code read_methods(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;

    return hws_policy__read_texts(l, node, &r->methods, check_method);
}

static enum hws_code read_devices(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;

    return hws_policy__read_texts(l, node, &r->devices, check_device);
}

static enum hws_code read_targets(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;

    return hws_policy__read_texts(l, node, &r->targets, check_target);
}

static enum hws_code check_field(struct hws_policy_loader *l, struct fy_node *at, const char *item)
{
    const char *why = hws_policy__field_fault(item);

    return why == NULL ? HWS_OK : hws_policy__fault(l, at, "\"%.80s\": %s", item, why);
}

static enum hws_code read_fields(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;

    return hws_policy__read_texts(l, node, &r->fields, check_field);
}

static enum hws_code read_days(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_when *when = obj;
    struct fy_node *item;
    void *it = NULL;
    size_t n = 0;

    enum hws_code rc = hws_policy__count_items(l, node, 7, &n);
    while (rc == HWS_OK && (item = fy_node_sequence_iterate(node, &it)) != NULL) {
        char *text = NULL;
        rc = hws_policy__read_text(l, item, &text);
        const char *why = rc == HWS_OK ? hws_policy__read_day(text, when) : NULL;
        if (why != NULL) {
            rc = hws_policy__fault(l, item, "day \"%.20s\": %s", text, why);
        }
        hws_mem_free(text);
    }
    return rc;
}

static enum hws_code read_hours(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    char *text = NULL;
    enum hws_code rc = hws_policy__read_text(l, node, &text);
    const char *why = rc == HWS_OK ? hws_policy__read_hours(text, obj) : NULL;

    if (why != NULL) {
        rc = hws_policy__fault(l, node, "hours \"%.20s\": %s", text, why);
    }
    hws_mem_free(text);
    return rc;
}

/* A key with one value: what it stands for is set. */
static enum hws_code read_word(struct hws_policy_loader *l, struct fy_node *node, const char *word,
                               bool *out)
{
    char *text = NULL;
    enum hws_code rc = hws_policy__read_text(l, node, &text);

    if (rc == HWS_OK && !hws_str_eq(text, word)) {
        rc = hws_policy__fault(l, node, "\"%s\" was expected here", word);
    }
    hws_mem_free(text);
    *out = rc == HWS_OK;
    return rc;
}

static enum hws_code read_approval(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_when *when = obj;

    return read_word(l, node, "required", &when->approval);
}

static enum hws_code read_lock(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_when *when = obj;

    return read_word(l, node, "held", &when->lock);
}

static enum hws_code read_when(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    static const struct hws_policy_field fields[] = {
        {"days", read_days, false},
        {"hours", read_hours, false},
        {"approval", read_approval, false},
        {"lock", read_lock, false},
    };
    struct hws_policy_rule *r = obj;

    return hws_policy__read_mapping(l, node, fields, sizeof(fields) / sizeof(fields[0]), &r->when);
}

static enum hws_code read_effect(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    struct hws_policy_rule *r = obj;
    char *text = NULL;
    enum hws_code rc = hws_policy__read_text(l, node, &text);

    if (rc != HWS_OK) {
        return rc;
    }
    r->effect = hws_effect_from_name(text);
    if (r->effect == HWS_EFFECT_NONE) {
        rc = hws_policy__fault(
            l, node,
            "effect \"%.40s\" is unknown; known are read, read-sensitive, config-next-reset, "
            "config-live, debug-write, full",
            text);
    } else if (l->saw_effect) {
        rc = hws_policy__fault(l, node, "max_effect is for allow rules, min_effect for deny rules");
    }
    l->saw_effect = true;
    hws_mem_free(text);
    return rc;
}

static enum hws_code read_min_effect(struct hws_policy_loader *l, struct fy_node *node, void *obj)
{
    enum hws_code rc = read_effect(l, node, obj);

    l->min_effect = true;
    return rc;
}

static bool has_any(const struct hws_policy_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (hws_str_eq(t->items[i], "*")) {
            return true;
        }
    }
    return false;
}

/* What only the whole rule shows. */
static enum hws_code check_rule(struct hws_policy_loader *l, struct fy_node *node,
                                struct hws_policy_rule *r)
{
    if (l->saw_effect && l->min_effect != r->deny) {
        return hws_policy__fault(l, node,
                                 "max_effect is for allow rules, min_effect for deny rules");
    }
    if (!r->deny && !l->saw_effect) {
        return hws_policy__fault(l, node,
                                 "key \"max_effect\" is missing: say how far the rule goes");
    }
    if (r->deny && !l->saw_effect) {
        r->effect = HWS_EFFECT_READ;
    }
    if (!r->deny && (has_any(&r->principals) || has_any(&r->methods))) {
        return hws_policy__fault(l, node, "\"*\" for principals or methods is for deny rules only");
    }
    if (r->deny && (r->when.approval || r->when.lock)) {
        return hws_policy__fault(l, node, "approval and lock are conditions of allow rules only");
    }
    if (r->fields.n > 0 && r->targets.n == 0) {
        return hws_policy__fault(l, node, "fields are those of a register: say which in targets");
    }
    return HWS_OK;
}

enum hws_code hws_policy__read_rule(struct hws_policy_loader *l, struct fy_node *node,
                                    struct hws_policy_rule *r)
{
    /* The name first in the table does not mean first in the file: rules are named as soon as
     * known. */
    static const struct hws_policy_field fields[] = {
        {"name", read_name, true},
        {"decision", read_decision, false},
        {"principals", read_principals, true},
        {"methods", read_methods, true},
        {"devices", read_devices, false},
        {"targets", read_targets, false},
        {"fields", read_fields, false},
        {"max_effect", read_effect, false},
        {"min_effect", read_min_effect, false},
        {"when", read_when, false},
    };

    l->rule = NULL;
    l->saw_effect = false;
    l->min_effect = false;
    r->line = hws_policy__line(node);
    enum hws_code rc = hws_policy__refuse_decoration(l, node);
    if (rc == HWS_OK) {
        rc = hws_policy__read_mapping(l, node, fields, sizeof(fields) / sizeof(fields[0]), r);
    }
    if (rc == HWS_OK) {
        rc = check_rule(l, node, r);
    }
    l->rule = NULL;
    return rc;
}
