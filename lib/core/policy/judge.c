/*
 * The judge. Deny rules are asked first; then the first allow rule that covers everything decides.
 * When none does, the reason names the rule that came nearest: the one that failed at the last of
 * the questions who, which method, which device, which register, which fields, how far, when.
 */
#include <string.h>

#include "base/str.h"
#include "policy/policy_priv.h"
#include "table/table.h"

/* How far a rule agrees with a request. */
enum depth {
    NOT_WHO,
    NOT_METHOD,
    NOT_DEVICE,
    NOT_TARGET,
    NOT_FIELD,
    NOT_EFFECT,
    NOT_NOW,
    NOT_LOCKED,
    NOT_APPROVED,
    FITS
};

static bool device_fits(const struct hws_policy_rule *r, const struct hws_policy_request *req)
{
    for (size_t i = 0; i < r->devices.n; i++) {
        if (hws_policy__device_fits(r->devices.items[i], &req->device)) {
            return true;
        }
    }
    return r->devices.n == 0;
}

static bool target_fits(const struct hws_policy_rule *r, const struct hws_policy_request *req)
{
    for (size_t i = 0; i < r->targets.n; i++) {
        if (hws_policy__target_fits(r->targets.items[i], req->target, req->target_method)) {
            return true;
        }
    }
    return r->targets.n == 0;
}

bool hws_policy__who_fits(const struct hws_policy_rule *r, const char *principal)
{
    for (size_t i = 0; i < r->principals.n; i++) {
        if (hws_policy__principal_fits(r->principals.items[i], principal)) {
            return true;
        }
    }
    return false;
}

static bool method_fits(const struct hws_policy_rule *r, const struct hws_policy_request *req)
{
    for (size_t i = 0; i < r->methods.n; i++) {
        if (hws_policy__method_fits(r->methods.items[i], req->path, req->permission)) {
            return true;
        }
    }
    return false;
}

static enum depth agree(const struct hws_policy_rule *r, const struct hws_policy_request *req)
{
    if (!hws_policy__who_fits(r, req->principal)) {
        return NOT_WHO;
    }
    if (!method_fits(r, req)) {
        return NOT_METHOD;
    }
    if (!device_fits(r, req)) {
        return NOT_DEVICE;
    }
    if (!target_fits(r, req)) {
        return NOT_TARGET;
    }
    if (!hws_policy__fields_fit(r, req)) {
        return NOT_FIELD;
    }
    bool enough = r->deny ? req->effect >= r->effect : req->effect <= r->effect;
    if (!enough) {
        return NOT_EFFECT;
    }
    if (!hws_policy__time_fits(r, req->unix_s)) {
        return NOT_NOW;
    }
    if (r->when.lock && !req->holds_lock) {
        return NOT_LOCKED;
    }
    return r->when.approval && !req->approved ? NOT_APPROVED : FITS;
}

static const char *or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

/* The first field that the call gives and the rule, which does not cover them all, does not list.
 */
static const char *odd_field(const struct hws_policy_rule *r, const struct hws_policy_request *req)
{
    const char *odd = req->fields[0];

    for (size_t i = 1; i < req->n_fields && hws_policy__lists_field(r, odd); i++) {
        odd = req->fields[i];
    }
    return odd;
}

static void say_field(const struct hws_policy_rule *r, const struct hws_policy_request *req,
                      char *why, size_t cap)
{
    if (req->raw) {
        (void)hws_str_print(why, cap, "rule %s names fields, and this call gives bytes", r->name);
    } else if (r->deny || req->n_fields == 0) {
        (void)hws_str_print(why, cap, "rule %s names fields, and this call gives none of them",
                            r->name);
    } else {
        (void)hws_str_print(why, cap, "rule %s does not name field %.64s", r->name,
                            odd_field(r, req));
    }
}

/* Why the rule does not cover the request. */
static void say_why_not(const struct hws_policy_rule *r, enum depth depth,
                        const struct hws_policy_request *req, char *why, size_t cap)
{
    switch (depth) {
    case NOT_WHO:
        (void)hws_str_print(why, cap, "rule %s does not name this principal", r->name);
        break;
    case NOT_METHOD:
        (void)hws_str_print(why, cap, "rule %s does not %s %s", r->name, r->deny ? "deny" : "grant",
                            req->permission);
        break;
    case NOT_DEVICE:
        (void)hws_str_print(why, cap, "rule %s does not cover %s", r->name,
                            req->device.id[0] == '\0' ? "all devices" : req->device.id);
        break;
    case NOT_TARGET:
        (void)hws_str_print(why, cap, "rule %s does not name %s", r->name,
                            req->target[0] == '\0' ? "a call without a register" : req->target);
        break;
    case NOT_FIELD:
        say_field(r, req, why, cap);
        break;
    case NOT_EFFECT:
        (void)hws_str_print(why, cap, "rule %s %s %s, not %s", r->name,
                            r->deny ? "denies from" : "allows up to", hws_effect_name(r->effect),
                            hws_effect_name(req->effect));
        break;
    case NOT_NOW:
        (void)hws_str_print(why, cap, "rule %s does not count at this hour (UTC)", r->name);
        break;
    case NOT_LOCKED:
        (void)hws_str_print(why, cap, "rule %s is for who has locked the device", r->name);
        break;
    case NOT_APPROVED:
        (void)hws_str_print(why, cap, "rule %s wants the approval of a second principal", r->name);
        break;
    case FITS:
    default:
        why[0] = '\0';
        break;
    }
}

/* Why nothing allows it: near is the rule that came nearest, NULL if none names the principal. */
static void explain_denial(const struct hws_policy_rule *near, enum depth depth,
                           const struct hws_policy_request *req, struct hws_policy_decision *out)
{
    char why[HWS_POLICY_REASON_BYTES - 32];

    if (near == NULL) {
        (void)hws_str_copy(out->reason, sizeof(out->reason), "no rule names this principal");
        return;
    }
    say_why_not(near, depth, req, why, sizeof(why));
    (void)hws_str_print(out->reason, sizeof(out->reason), "%s, and no other rule does", why);
}

static void judge(const struct hws_policy *p, const struct hws_policy_request *req,
                  struct hws_policy_decision *out)
{
    const struct hws_policy_rule *allow = NULL;
    const struct hws_policy_rule *near = NULL;
    enum depth near_depth = NOT_WHO;

    for (size_t i = 0; i < p->n_rules; i++) {
        const struct hws_policy_rule *r = &p->rules[i];
        enum depth depth = agree(r, req);
        if (r->deny && depth == FITS) {
            out->rule = r->name;
            out->line = r->line;
            (void)hws_str_print(out->reason, sizeof(out->reason),
                                "denied by rule %s: effect %s for %.160s on %.100s", r->name,
                                hws_effect_name(req->effect), req->principal, req->path);
            return;
        }
        if (!r->deny && depth == FITS && allow == NULL) {
            allow = r;
        }
        if (!r->deny && depth > near_depth) {
            near = r;
            near_depth = depth;
        }
    }
    if (allow == NULL) {
        explain_denial(near, near_depth, req, out);
        return;
    }
    out->allowed = true;
    out->rule = allow->name;
    out->line = allow->line;
    (void)hws_str_print(out->reason, sizeof(out->reason), "allowed by rule %s up to effect %s",
                        allow->name, hws_effect_name(allow->effect));
}

/* The request with "" for what it does not say. */
static struct hws_policy_request whole(const struct hws_policy_request *req)
{
    struct hws_policy_request r = *req;

    r.principal = or_empty(req->principal);
    r.path = or_empty(req->path);
    r.permission = or_empty(req->permission);
    r.device = (struct hws_policy_card){
        .id = or_empty(req->device.id),
        .pci = or_empty(req->device.pci),
        .serial = or_empty(req->device.serial),
        .part = or_empty(req->device.part),
        .psid = or_empty(req->device.psid),
    };
    r.target = or_empty(req->target);
    r.target_method = or_empty(req->target_method);
    return r;
}

void hws_policy_judge(const struct hws_policy *p, const struct hws_policy_request *req,
                      struct hws_policy_decision *out)
{
    struct hws_policy_request r = whole(req);

    memset(out, 0, sizeof(*out));
    out->rule = "";
    if (r.effect <= HWS_EFFECT_NONE || r.effect >= HWS_N_EFFECTS || r.principal[0] == '\0' ||
        r.path[0] == '\0') {
        (void)hws_str_copy(out->reason, sizeof(out->reason),
                           "denied: a request needs a principal, a method and an effect class");
        return;
    }
    judge(p, &r, out);
}

void hws_policy_verdict(const struct hws_policy *p, size_t idx,
                        const struct hws_policy_request *req, struct hws_policy_verdict *out)
{
    struct hws_policy_request r = whole(req);
    const struct hws_policy_rule *rule = &p->rules[idx];
    enum depth depth = agree(rule, &r);

    out->rule = rule->name;
    out->line = rule->line;
    out->deny = rule->deny;
    out->matches = depth == FITS;
    say_why_not(rule, depth, &r, out->why, sizeof(out->why));
}
