/* A policy as its loader builds it and its judge reads it. */
#ifndef HWS_POLICY_POLICY_PRIV_H
#define HWS_POLICY_POLICY_PRIV_H

#include "policy/policy.h"

/* Owned, NUL-terminated texts. */
struct hws_policy_texts {
    char **items; /* owned */
    size_t n;
};

/* When a rule counts. Zero: always. */
struct hws_policy_when {
    uint8_t days;      /* bit 0 = Sunday; 0 = every day */
    bool hours;        /* from and to are given */
    uint16_t from_min; /* minutes of the day, UTC; the first of the window */
    uint16_t to_min;   /* the first after it; below from: the window ends on the next day */
    bool approval;     /* only what a second principal has approved */
    bool lock;         /* only for who has locked the device or the host for itself */
};

struct hws_policy_rule {
    char *name;    /* owned */
    unsigned line; /* of the file, from 1 */
    bool deny;
    struct hws_policy_texts principals;
    struct hws_policy_texts methods;
    struct hws_policy_texts devices; /* none: any device, or no device at all */
    struct hws_policy_texts targets; /* none: any target, or no target at all */
    struct hws_policy_texts fields;  /* none: any field, or no field at all */
    enum hws_effect effect; /* allow: the highest that is allowed; deny: the lowest denied */
    struct hws_policy_when when;
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
bool hws_policy__device_fits(const char *item, const struct hws_policy_card *card);
bool hws_policy__target_fits(const char *item, const char *target, const char *method);

/* Does the rule name this principal? */
bool hws_policy__who_fits(const struct hws_policy_rule *r, const char *principal);

/* Is the field one of those that the rule lists? */
bool hws_policy__lists_field(const struct hws_policy_rule *r, const char *field);

/* Do the fields that a request gives suit a rule that lists some? An allow rule must list them all,
 * a deny rule one. What gives none, or bytes that may mean any, is never allowed and always denied.
 */
bool hws_policy__fields_fit(const struct hws_policy_rule *r, const struct hws_policy_request *req);

/* Is it the time that the rule names? An unknown time suits deny rules only. */
bool hws_policy__time_fits(const struct hws_policy_rule *r, uint64_t unix_s);

/* Reads days ("mon") and hours ("08:00-18:00"). NULL if well formed, else what is wrong. */
const char *hws_policy__read_day(const char *item, struct hws_policy_when *out);
const char *hws_policy__read_hours(const char *text, struct hws_policy_when *out);

/* Is the entry well formed? NULL if so, else what is wrong. A pattern may be a prefix or "*" where
 * said. How long it may be is where it comes from: HWS_POLICY_TEXT_MAX_BYTES in a file,
 * HWS_BAR_TEXT_BYTES in a bar. */
const char *hws_policy__principal_fault(const char *item, bool may_be_prefix, bool may_be_any);
const char *hws_policy__device_fault(const char *item);
const char *hws_policy__target_fault(const char *item);
const char *hws_policy__field_fault(const char *item);

/* "observe, configure, debug, ..." */
const char *hws_policy__profile_names(void);
bool hws_policy__is_profile(const char *name);

#endif
