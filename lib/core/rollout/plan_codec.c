/*
 * The plan's stored form, version 1: u8 version, name, id, election, limits, settings, targets. A
 * decoded plan passes the same checks as one that was typed.
 */
#include <string.h>

#include "rollout/plan.h"
#include "rollout/wire_priv.h"

#define VERSION 1u

enum hws_code hws_rollout_plan_encode(const struct hws_rollout_plan *plan, struct hws_buf *out)
{
    struct hws_rollout__writer w = {.out = out};

    hws_rollout__put_u8(&w, VERSION);
    hws_rollout__put_text(&w, plan->name);
    hws_rollout__put_text(&w, plan->id);
    hws_rollout__put_u64(&w, plan->election);
    hws_rollout__put_u32(&w, plan->canary);
    hws_rollout__put_u8(&w, (uint8_t)plan->wave_kind);
    hws_rollout__put_u32(&w, plan->wave_size);
    hws_rollout__put_u32(&w, plan->budget);
    hws_rollout__put_u32(&w, plan->in_flight);
    hws_rollout__put_u32(&w, plan->settle_ms);
    hws_rollout__put_u32(&w, plan->gate_timeout_ms);
    hws_rollout__put_u32(&w, (uint32_t)plan->n_settings);
    for (size_t i = 0; i < plan->n_settings; i++) {
        hws_rollout__put_text(&w, plan->settings[i].name);
        hws_rollout__put_text(&w, plan->settings[i].value);
    }
    hws_rollout__put_u32(&w, (uint32_t)plan->n_targets);
    for (size_t i = 0; i < plan->n_targets; i++) {
        hws_rollout__put_text(&w, plan->targets[i].host);
        hws_rollout__put_text(&w, plan->targets[i].target);
        hws_rollout__put_text(&w, plan->targets[i].device);
    }
    return w.code;
}

static void get_head(struct hws_rollout_plan *plan, struct hws_rollout__reader *r)
{
    if (hws_rollout__get_u8(r) != VERSION) {
        r->bad = true;
    }
    hws_rollout__get_text(r, plan->name, sizeof(plan->name));
    hws_rollout__get_text(r, plan->id, sizeof(plan->id));
    plan->election = hws_rollout__get_u64(r);
    plan->canary = hws_rollout__get_u32(r);
    uint8_t kind = hws_rollout__get_u8(r);
    if (kind >= HWS_N_ROLLOUT_WAVE_KINDS) {
        r->bad = true;
        return;
    }
    plan->wave_kind = (enum hws_rollout_wave_kind)kind;
    plan->wave_size = hws_rollout__get_u32(r);
    plan->budget = hws_rollout__get_u32(r);
    plan->in_flight = hws_rollout__get_u32(r);
    plan->settle_ms = hws_rollout__get_u32(r);
    plan->gate_timeout_ms = hws_rollout__get_u32(r);
}

static enum hws_code get_settings(struct hws_rollout_plan *plan, struct hws_rollout__reader *r,
                                  struct hws_err *err)
{
    uint32_t n = hws_rollout__get_u32(r);

    for (uint32_t i = 0; i < n && !r->bad; i++) {
        struct hws_rollout_setting s;
        hws_rollout__get_text(r, s.name, sizeof(s.name));
        hws_rollout__get_text(r, s.value, sizeof(s.value));
        enum hws_code rc = r->bad ? HWS_OK : hws_rollout_plan_set(plan, s.name, s.value, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    return HWS_OK;
}

static enum hws_code get_targets(struct hws_rollout_plan *plan, struct hws_rollout__reader *r,
                                 struct hws_err *err)
{
    uint32_t n = hws_rollout__get_u32(r);

    for (uint32_t i = 0; i < n && !r->bad; i++) {
        struct hws_rollout_target t;
        hws_rollout__get_text(r, t.host, sizeof(t.host));
        hws_rollout__get_text(r, t.target, sizeof(t.target));
        hws_rollout__get_text(r, t.device, sizeof(t.device));
        enum hws_code rc =
            r->bad ? HWS_OK : hws_rollout_plan_add(plan, t.host, t.target, t.device, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    return HWS_OK;
}

enum hws_code hws_rollout_plan_decode(struct hws_rollout_plan *plan, const uint8_t *bytes, size_t n,
                                      struct hws_err *err)
{
    struct hws_rollout__reader r = {.p = bytes, .n = n};
    struct hws_err why;

    hws_err_clear(&why);
    hws_rollout_plan_init(plan);
    get_head(plan, &r);
    enum hws_code rc = get_settings(plan, &r, &why);
    if (rc == HWS_OK) {
        rc = get_targets(plan, &r, &why);
    }
    if (rc == HWS_OK && (r.bad || r.n != 0)) {
        rc = hws_err_set(&why, HWS_E_PROTO, "cut, or bytes left over");
    }
    if (rc == HWS_OK) {
        rc = hws_rollout_plan_check(plan, true, &why);
    }
    if (rc == HWS_OK) {
        return HWS_OK;
    }
    hws_rollout_plan_deinit(plan);
    return hws_err_set(err, rc == HWS_E_NOMEM ? HWS_E_NOMEM : HWS_E_PROTO,
                       "the stored plan: %.200s", why.msg);
}
