/*
 * The one place that asks the policy. Given the method's row, who calls and what is wanted, it
 * answers yes or no with the rule; what the answer leads to is task.c's. Pure.
 */
#ifndef HWS_HAWSERD_AUTHORIZE_H
#define HWS_HAWSERD_AUTHORIZE_H

#include <stdbool.h>

#include "base/err.h"
#include "link/methods.h"
#include "policy/policy.h"

/* What is wanted, without pointers into adapters: texts may be "" but not NULL. */
struct hws_authorize_what {
    struct hws_policy_card device;
    enum hws_effect effect;
    const char *target;
    const char *target_method;
    const char *const *fields; /* of the register, as given; may be NULL */
    size_t n_fields;
    bool raw; /* bytes instead */
    uint64_t unix_s;
    bool approved;
    bool holds_lock;
};

/* The same as the policy's judge takes it. */
void hws_authorize_request(const struct hws_method *row, const char *principal,
                           const struct hws_authorize_what *what, struct hws_policy_request *out);

/* Fills *out. A NULL policy or row, an empty principal and the effect NONE are refused. */
void hws_authorize(const struct hws_policy *policy, const struct hws_method *row,
                   const char *principal, const struct hws_authorize_what *what,
                   struct hws_policy_decision *out);

/* The refusal as an error: HWS_E_DENIED, naming principal and rule. */
enum hws_code hws_authorize_error(const struct hws_policy_decision *d, const char *principal,
                                  const struct hws_method *row, struct hws_err *err);

#endif
