/* Whether a warrant is good for what is about to happen. */
#include <string.h>

#include "base/str.h"
#include "warrant/trust.h"
#include "warrant/warrant_priv.h"

/* The key of the list with which principal has signed. */
static enum hws_code find_key(const struct hws_trust *trust, const struct hws_digest *hash,
                              enum hws_warrant_part part, const char *principal,
                              const struct hws_signature *sig, struct hws_public *out,
                              struct hws_err *err)
{
    const char *name = part == HWS_WARRANT_OPERATOR ? "operator" : "approver";
    char text[HWS_WARRANT__SIGNED_BYTES];
    size_t n = hws_warrant__signed(hash, part, principal, text, sizeof(text));
    bool known = false;

    for (size_t i = 0; n > 0 && i < trust->n_keys; i++) {
        if (!hws_str_eq(trust->keys[i].principal, principal)) {
            continue;
        }
        known = true;
        if (hws_sign_check(&trust->keys[i].key, text, n, sig, NULL) == HWS_OK) {
            *out = trust->keys[i].key;
            return HWS_OK;
        }
    }
    if (!known) {
        return hws_err_set(err, HWS_E_DENIED,
                           "warrant: unknown key: no key of %s %.100s is trusted", name, principal);
    }
    return hws_err_set(err, HWS_E_DENIED,
                       "warrant: the %s's signature is not by a trusted key of %.100s over this "
                       "request",
                       name, principal);
}

static enum hws_code check_times(const struct hws_warrant *w, uint64_t now_s, struct hws_err *err)
{
    if (w->until_s < w->from_s || w->until_s - w->from_s > HWS_WARRANT_LIFE_S) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: valid for longer than %u s",
                           HWS_WARRANT_LIFE_S);
    }
    if (now_s < w->from_s) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: future-dated by %llu s",
                           (unsigned long long)(w->from_s - now_s));
    }
    if (now_s > w->until_s) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: expired %llu s ago",
                           (unsigned long long)(now_s - w->until_s));
    }
    return HWS_OK;
}

enum hws_code hws_warrant_judge_request(const struct hws_warrant *w, const struct hws_trust *trust,
                                        uint64_t now_s, struct hws_warrant_signers *out,
                                        struct hws_err *err)
{
    struct hws_warrant_signers s = {0};

    if (trust->n_keys == 0) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: no operator key is trusted on this host");
    }
    if (!hws_str_eq(w->host, trust->host)) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: for host %s, this is %s", w->host,
                           trust->host);
    }
    enum hws_code code = check_times(w, now_s, err);
    if (code == HWS_OK && !w->has_operator) {
        code = hws_err_set(err, HWS_E_DENIED, "warrant: the operator has not signed it");
    }
    code = code == HWS_OK ? hws_warrant_hash(w, &s.hash, err) : code;
    code = code == HWS_OK ? find_key(trust, &s.hash, HWS_WARRANT_OPERATOR, w->operator_id,
                                     &w->operator_sig, &s.operator_key, err)
                          : code;
    if (code == HWS_OK) {
        *out = s;
    }
    return code;
}

static enum hws_code check_use(const struct hws_warrant *w, const struct hws_warrant_use *use,
                               struct hws_err *err)
{
    struct hws_digest inbox;

    if (!hws_str_eq(w->device, use->device) ||
        (use->serial != NULL && !hws_str_eq(w->serial, use->serial))) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: for adapter %s (%s), not for %s", w->device,
                           w->serial, use->device);
    }
    if (hws_sha256_of(use->in, use->in_bytes, &inbox) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    if (w->in_bytes != use->in_bytes || !hws_digest_eq(&w->inbox, &inbox)) {
        return hws_err_set(err, HWS_E_DENIED,
                           "warrant: hash mismatch: it is for another command than this one");
    }
    return HWS_OK;
}

enum hws_code hws_warrant_judge(const struct hws_warrant *w, const struct hws_trust *trust,
                                const struct hws_warrant_use *use, struct hws_warrant_signers *out,
                                struct hws_err *err)
{
    struct hws_warrant_signers s;
    enum hws_code code = hws_warrant_judge_request(w, trust, use->now_s, &s, err);

    code = code == HWS_OK ? check_use(w, use, err) : code;
    if (code != HWS_OK) {
        return code;
    }
    if (!w->has_approver) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: no second person has approved it");
    }
    if (hws_str_eq(w->operator_id, w->approver_id)) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: approved by the same principal");
    }
    code = find_key(trust, &s.hash, HWS_WARRANT_APPROVER, w->approver_id, &w->approver_sig,
                    &s.approver_key, err);
    if (code == HWS_OK && hws_public_eq(&s.operator_key, &s.approver_key)) {
        code = hws_err_set(err, HWS_E_DENIED, "warrant: approved with the operator's own key");
    }
    if (code == HWS_OK) {
        *out = s;
    }
    return code;
}
