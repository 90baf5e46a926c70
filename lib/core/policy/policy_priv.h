/* A policy as its loader builds it and its judge reads it. */
#ifndef HWS_POLICY_POLICY_PRIV_H
#define HWS_POLICY_POLICY_PRIV_H

#include "policy/policy.h"

/* Owned, NUL-terminated texts. */
struct hws_policy_texts {
    char **items; /* owned */
    size_t n;
};

struct hws_policy_rule {
    char *name; /* owned */
    bool deny;
    struct hws_policy_texts principals;
    struct hws_policy_texts methods;
    struct hws_policy_texts devices; /* none: any device, or no device at all */
    struct hws_policy_texts targets; /* none: any target, or no target at all */
    enum hws_effect effect; /* allow: the highest that is allowed; deny: the lowest denied */
};

struct hws_policy_local {
    uint32_t uid;
    char *principal; /* owned */
};

struct hws_policy {
    uint32_t n_refs;
    struct hws_digest hash;
    struct hws_policy_rule *rules; /* owned */
    size_t n_rules;
    struct hws_policy_local *locals; /* owned */
    size_t n_locals;
};

/* Does an entry of a rule's list cover what was asked? Shared by judge and loader. */
bool hws_policy__principal_fits(const char *item, const char *principal);
bool hws_policy__method_fits(const char *item, const char *path, const char *permission);
bool hws_policy__device_fits(const char *item, const struct hws_policy_request *req);
bool hws_policy__target_fits(const char *item, const char *target, const char *method);

/* Is the entry well formed? NULL if so, else what is wrong. A pattern may be a prefix or "*" where
 * said. */
const char *hws_policy__principal_fault(const char *item, bool may_be_prefix, bool may_be_any);
const char *hws_policy__device_fault(const char *item);
const char *hws_policy__target_fault(const char *item);

/* "observe, configure, debug, ..." */
const char *hws_policy__profile_names(void);
bool hws_policy__is_profile(const char *name);

#endif
