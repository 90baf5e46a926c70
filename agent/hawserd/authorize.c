/* Asking the policy. */
#include "hawserd/authorize.h"

#include <string.h>

#include "base/str.h"

static void refuse(struct hws_policy_decision *out, const char *reason)
{
    memset(out, 0, sizeof(*out));
    out->rule = "";
    hws_str_copy(out->reason, sizeof(out->reason), reason);
}

void hws_authorize_request(const struct hws_method *row, const char *principal,
                           const struct hws_authorize_what *what, struct hws_policy_request *out)
{
    *out = (struct hws_policy_request){
        .principal = principal,
        .path = row->path,
        .permission = row->permission,
        .device = what->device,
        .effect = what->effect,
        .target = what->target,
        .target_method = what->target_method,
        .fields = what->fields,
        .n_fields = what->n_fields,
        .raw = what->raw,
        .unix_s = what->unix_s,
        .approved = what->approved,
        .holds_lock = what->holds_lock,
    };
}

void hws_authorize(const struct hws_policy *policy, const struct hws_method *row,
                   const char *principal, const struct hws_authorize_what *what,
                   struct hws_policy_decision *out)
{
    if (policy == NULL || row == NULL) {
        refuse(out, "no policy is in force");
        return;
    }
    if (principal == NULL || principal[0] == '\0' || what->effect == HWS_EFFECT_NONE) {
        refuse(out, "no principal or no effect");
        return;
    }
    struct hws_policy_request req;
    hws_authorize_request(row, principal, what, &req);
    hws_policy_judge(policy, &req, out);
}

enum hws_code hws_authorize_error(const struct hws_policy_decision *d, const char *principal,
                                  const struct hws_method *row, struct hws_err *err)
{
    if (d->rule[0] == '\0') {
        return hws_err_set(err, HWS_E_DENIED, "%.60s may not %s: %.140s", principal,
                           row->permission, d->reason);
    }
    return hws_err_set(err, HWS_E_DENIED, "%.60s may not %s: rule \"%.60s\": %.100s", principal,
                       row->permission, d->rule, d->reason);
}
