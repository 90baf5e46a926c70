/* Loading: the journal's records, one after another, each judged by the same rules as the move that
 * wrote it. */
#include <string.h>

#include "base/assert.h"
#include "rollout/state_priv.h"

static enum hws_code load_plan(struct hws_rollout *r, const uint8_t *bytes, size_t n,
                               size_t *out_n_used, struct hws_err *err)
{
    struct hws_rollout_record rec;
    struct hws_rollout_plan plan;
    enum hws_code rc = hws_rollout_record_get(bytes, n, &rec, out_n_used, err);

    if (rc != HWS_OK) {
        return hws_err_set(err, HWS_E_PROTO, "the journal has no whole plan at its start");
    }
    if (rec.type != HWS_ROLLOUT_REC_PLAN) {
        return hws_err_set(err, HWS_E_PROTO, "the journal does not start with a plan");
    }
    rc = hws_rollout_plan_decode(&plan, rec.plan, rec.n_plan, err);
    if (rc != HWS_OK) {
        return rc;
    }
    rc = hws_rollout__setup(r, &plan, err);
    if (rc != HWS_OK) {
        hws_rollout_plan_deinit(&plan);
        return rc;
    }
    r->created_unix_ms = rec.unix_ms;
    r->changed_unix_ms = rec.unix_ms;
    return HWS_OK;
}

static void replay(struct hws_rollout *r, const struct hws_rollout_record *rec)
{
    switch (rec->type) {
    case HWS_ROLLOUT_REC_MEMBER:
        hws_rollout__member_moved(r, rec);
        return;
    case HWS_ROLLOUT_REC_STATE:
        hws_rollout__state_moved(r, rec);
        return;
    case HWS_ROLLOUT_REC_WAVE:
        hws_rollout__wave_opened(r, rec);
        return;
    case HWS_ROLLOUT_REC_PLAN:
        break;
    }
    hws_assert(false); /* may_move refuses a second plan */
}

enum hws_code hws_rollout_load(struct hws_rollout *r, const uint8_t *bytes, size_t n,
                               size_t *out_n_used, struct hws_err *err)
{
    struct hws_rollout_record rec;
    size_t used = 0;
    size_t n_rec = 0;

    memset(r, 0, sizeof(*r));
    enum hws_code rc = load_plan(r, bytes, n, &used, err);
    while (rc == HWS_OK) {
        rc = hws_rollout_record_get(bytes + used, n - used, &rec, &n_rec, err);
        if (rc == HWS_E_NOT_FOUND) {
            *out_n_used = used;
            hws_err_clear(err);
            return HWS_OK;
        }
        if (rc == HWS_OK && !hws_rollout__may_move(r, &rec)) {
            rc = hws_err_set(err, HWS_E_PROTO,
                             "the journal record at byte %zu cannot follow the ones before", used);
        }
        if (rc == HWS_OK) {
            replay(r, &rec);
            used += n_rec;
        }
    }
    hws_rollout_deinit(r);
    return rc;
}
