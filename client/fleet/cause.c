/* Why a step failed, from a call's status. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fleet/engine_priv.h"

static enum hws_code code_of(const struct hws_client_status *s)
{
    static const enum hws_code codes[HWS_CLIENT_N_CODES] = {
        [HWS_CLIENT_CANCELLED] = HWS_E_GONE, /* E_CANCELED is kept for our own stop */
        [HWS_CLIENT_UNKNOWN] = HWS_E_GONE,
        [HWS_CLIENT_INVALID_ARGUMENT] = HWS_E_INVALID,
        [HWS_CLIENT_DEADLINE_EXCEEDED] = HWS_E_TIMEOUT,
        [HWS_CLIENT_NOT_FOUND] = HWS_E_NOT_FOUND,
        [HWS_CLIENT_ALREADY_EXISTS] = HWS_E_EXISTS,
        [HWS_CLIENT_PERMISSION_DENIED] = HWS_E_DENIED,
        [HWS_CLIENT_RESOURCE_EXHAUSTED] = HWS_E_BUSY,
        [HWS_CLIENT_FAILED_PRECONDITION] = HWS_E_STATE,
        [HWS_CLIENT_ABORTED] = HWS_E_CONFLICT,
        [HWS_CLIENT_OUT_OF_RANGE] = HWS_E_INVALID,
        [HWS_CLIENT_UNIMPLEMENTED] = HWS_E_UNSUPPORTED,
        [HWS_CLIENT_INTERNAL] = HWS_E_IO,
        [HWS_CLIENT_UNAVAILABLE] = HWS_E_GONE,
        [HWS_CLIENT_DATA_LOSS] = HWS_E_PROTO,
        [HWS_CLIENT_UNAUTHENTICATED] = HWS_E_DENIED,
    };

    if (hws_str_eq(s->reason, "E_DEVICE")) {
        return HWS_E_DEVICE;
    }
    return (unsigned)s->code < HWS_CLIENT_N_CODES ? codes[s->code] : HWS_E_IO;
}

/* What the card saw: what the agent says; else, for an apply, whether the agent can have begun. */
static enum hws_stage stage_of(enum hws_rollout_step step, const struct hws_client_status *s)
{
    switch (s->stage) {
    case HAWSER__V1__STAGE__STAGE_NOT_SENT:
        return HWS_STAGE_NOT_SENT;
    case HAWSER__V1__STAGE__STAGE_REJECTED:
        return HWS_STAGE_REJECTED;
    case HAWSER__V1__STAGE__STAGE_EXECUTED:
        return HWS_STAGE_EXECUTED;
    case HAWSER__V1__STAGE__STAGE_UNKNOWN:
        return HWS_STAGE_UNKNOWN;
    case HAWSER__V1__STAGE__STAGE_UNSPECIFIED:
    case _HAWSER__V1__STAGE_IS_INT_SIZE:
        break;
    }
    if (step != HWS_ROLLOUT_STEP_APPLY) {
        return HWS_STAGE_NONE;
    }
    if (s->unprocessed) {
        return HWS_STAGE_NOT_SENT;
    }
    bool lost = s->code == HWS_CLIENT_UNAVAILABLE || s->code == HWS_CLIENT_DEADLINE_EXCEEDED ||
                s->code == HWS_CLIENT_CANCELLED || s->code == HWS_CLIENT_UNKNOWN ||
                s->code == HWS_CLIENT_INTERNAL;
    return lost ? HWS_STAGE_UNKNOWN : HWS_STAGE_NONE;
}

/* True if name stands in text as a whole word. */
static bool names(const char *text, const char *name)
{
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t n = strlen(name);

    for (const char *at = strstr(text, name); at != NULL; at = strstr(at + 1, name)) {
        bool begins = at == text || strchr(word, at[-1]) == NULL;
        bool ends = at[n] == '\0' || strchr(word, at[n]) == NULL;
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/* The setting that a status is about: by its field, by its text, or all of them where it could be
 * any. */
static void setting_of(const struct hws_client_status *s, const struct hws_rollout_plan *plan,
                       char *dst, size_t cap)
{
    static const char prefix[] = "settings[";
    size_t n = 0;

    if (hws_str_starts(s->field, prefix)) {
        char digits[8];
        const char *from = s->field + sizeof(prefix) - 1;
        uint64_t i = 0;
        (void)hws_str_copy_n(digits, sizeof(digits), from, strspn(from, "0123456789"));
        if (hws_str_to_u64(digits, plan->n_settings - 1, &i, NULL) == HWS_OK) {
            (void)hws_str_copy(dst, cap, plan->settings[i].name);
            return;
        }
    }
    for (size_t i = 0; i < plan->n_settings; i++) {
        if (names(s->message, plan->settings[i].name)) {
            (void)hws_str_copy(dst, cap, plan->settings[i].name);
            return;
        }
    }
    if (s->stage == HAWSER__V1__STAGE__STAGE_UNSPECIFIED) {
        return; /* not about the card: nor about a setting */
    }
    for (size_t i = 0; i < plan->n_settings && n < cap; i++) {
        (void)hws_str_print(dst + n, cap - n, "%s%s", i > 0 ? "," : "", plan->settings[i].name);
        n = strlen(dst);
    }
}

void hws_fleet__cause(struct hws_rollout_cause *c, enum hws_rollout_step step,
                      const struct hws_client_status *status, const struct hws_rollout_plan *plan)
{
    memset(c, 0, sizeof(*c));
    c->step = step;
    setting_of(status, plan, c->setting, sizeof(c->setting));
    (void)hws_err_set(&c->err, code_of(status), "%.220s", status->message);
    hws_err_at(&c->err, stage_of(step, status));
    c->err.delivery_status = (uint8_t)status->delivery_status;
    c->err.exec_status = (uint8_t)status->fw_status;
    c->err.syndrome = status->syndrome;
}

void hws_fleet__cause_text(struct hws_rollout_cause *c, enum hws_rollout_step step,
                           enum hws_code code, const char *fmt, ...)
{
    va_list args;

    memset(c, 0, sizeof(*c));
    c->step = step;
    va_start(args, fmt);
    (void)hws_err_vset(&c->err, code, fmt, args);
    va_end(args);
}
