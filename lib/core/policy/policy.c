/*
 * The judge. Deny rules are asked first; then the first allow rule that covers everything decides.
 * When none does, the reason names the rule that came nearest: the one that failed at the last of
 * the five questions who, which method, which device, which register, how far.
 */
#include "policy/policy.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/policy_priv.h"
#include "table/table.h"

/* How far a rule agrees with a request. */
enum depth { NOT_WHO, NOT_METHOD, NOT_DEVICE, NOT_TARGET, NOT_EFFECT, FITS };

static bool device_fits(const struct hws_policy_rule *r, const struct hws_policy_request *req)
{
    for (size_t i = 0; i < r->devices.n; i++) {
        if (hws_policy__device_fits(r->devices.items[i], req)) {
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

static bool who_fits(const struct hws_policy_rule *r, const char *principal)
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
    if (!who_fits(r, req->principal)) {
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
    bool enough = r->deny ? req->effect >= r->effect : req->effect <= r->effect;
    return enough ? FITS : NOT_EFFECT;
}

static const char *or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

/* Says why nothing allows it: near is the rule that came nearest, NULL if none names the principal.
 */
static void explain_denial(const struct hws_policy_rule *near, enum depth depth,
                           const struct hws_policy_request *req, struct hws_policy_decision *out)
{
    const char *effect = hws_effect_name(req->effect);
    char why[256];

    switch (depth) {
    case NOT_EFFECT:
        (void)hws_str_print(why, sizeof(why), "rule %s allows up to %s, not %s", near->name,
                            hws_effect_name(near->effect), effect);
        break;
    case NOT_TARGET:
        (void)hws_str_print(why, sizeof(why), "rule %s does not name %s", near->name,
                            req->target[0] == '\0' ? "a call without a register" : req->target);
        break;
    case NOT_DEVICE:
        (void)hws_str_print(why, sizeof(why), "rule %s does not cover %s", near->name,
                            req->device_id[0] == '\0' ? "all devices" : req->device_id);
        break;
    case NOT_METHOD:
        (void)hws_str_print(why, sizeof(why), "rule %s does not grant %s", near->name,
                            req->permission);
        break;
    case NOT_WHO:
    case FITS:
    default:
        (void)hws_str_copy(out->reason, sizeof(out->reason), "no rule names this principal");
        return;
    }
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
    (void)hws_str_print(out->reason, sizeof(out->reason), "allowed by rule %s up to effect %s",
                        allow->name, hws_effect_name(allow->effect));
}

void hws_policy_judge(const struct hws_policy *p, const struct hws_policy_request *req,
                      struct hws_policy_decision *out)
{
    struct hws_policy_request r = {.principal = or_empty(req->principal),
                                   .path = or_empty(req->path),
                                   .permission = or_empty(req->permission),
                                   .device_id = or_empty(req->device_id),
                                   .device_pci = or_empty(req->device_pci),
                                   .device_serial = or_empty(req->device_serial),
                                   .effect = req->effect,
                                   .target = or_empty(req->target),
                                   .target_method = or_empty(req->target_method)};

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

static void free_texts(struct hws_policy_texts *t)
{
    for (size_t i = 0; i < t->n; i++) {
        hws_mem_free(t->items[i]);
    }
    hws_mem_free(t->items);
}

struct hws_policy *hws_policy_ref(struct hws_policy *p)
{
    p->n_refs++;
    return p;
}

void hws_policy_unref(struct hws_policy *p)
{
    if (p == NULL || --p->n_refs > 0) {
        return;
    }
    for (size_t i = 0; i < p->n_rules; i++) {
        struct hws_policy_rule *r = &p->rules[i];
        hws_mem_free(r->name);
        free_texts(&r->principals);
        free_texts(&r->methods);
        free_texts(&r->devices);
        free_texts(&r->targets);
    }
    for (size_t i = 0; i < p->n_locals; i++) {
        hws_mem_free(p->locals[i].principal);
    }
    hws_mem_free(p->rules);
    hws_mem_free(p->locals);
    hws_mem_free(p);
}

const struct hws_digest *hws_policy_hash(const struct hws_policy *p)
{
    return &p->hash;
}

const char *hws_policy_local(const struct hws_policy *p, uint32_t uid, char *buf, size_t cap)
{
    for (size_t i = 0; i < p->n_locals; i++) {
        if (p->locals[i].uid == uid) {
            return p->locals[i].principal;
        }
    }
    (void)hws_str_print(buf, cap, "unix:uid:%" PRIu32, uid);
    return buf;
}

size_t hws_policy_rules_of(const struct hws_policy *p, const char *principal, const char **names,
                           size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        if (who_fits(&p->rules[i], principal)) {
            if (n < cap) {
                names[n] = p->rules[i].name;
            }
            n++;
        }
    }
    return n;
}

static enum hws_code put_texts(struct hws_buf *out, const char *before,
                               const struct hws_policy_texts *t)
{
    enum hws_code rc = HWS_OK;

    for (size_t i = 0; i < t->n && rc == HWS_OK; i++) {
        rc = hws_buf_printf(out, "%s%s", i == 0 ? before : ", ", t->items[i]);
    }
    return rc;
}

enum hws_code hws_policy_explain(const struct hws_policy *p, const char *principal,
                                 struct hws_buf *out)
{
    enum hws_code rc = HWS_OK;

    for (size_t i = 0; i < p->n_rules && rc == HWS_OK; i++) {
        const struct hws_policy_rule *r = &p->rules[i];
        if (principal != NULL && !who_fits(r, principal)) {
            continue;
        }
        rc = hws_buf_printf(out, "%s: %s", r->name, r->deny ? "deny " : "allow ");
        rc = rc == HWS_OK ? put_texts(out, "", &r->methods) : rc;
        rc = rc == HWS_OK ? put_texts(out, " on ", &r->devices) : rc;
        rc = rc == HWS_OK ? put_texts(out, " with ", &r->targets) : rc;
        if (rc == HWS_OK) {
            rc = hws_buf_printf(out, r->deny ? " from effect %s up\n" : " up to effect %s\n",
                                hws_effect_name(r->effect));
        }
    }
    return rc;
}
