/*
 * Ending an apply that its process did not live to end.
 *
 *   read every record -> all old, all new, or put the new ones back
 *
 * Failures: journal bytes that are not ours, a record with bytes nobody planned, a card that cannot
 * be read.
 */
#include "nvconfig/recover.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/str.h"
#include "nvconfig/plan_priv.h"

enum state { READING, RESTORING, ENDED, BROKEN };

#define INTENT_VERSION 1u
#define HEAD_BYTES     6u /* type, kind, length */

size_t hws_nv_intent_encode(const struct hws_nv_plan *plan, uint8_t *dst)
{
    uint8_t *at = dst;

    *at++ = INTENT_VERSION;
    *at++ = (uint8_t)plan->n_writes;
    for (size_t i = 0; i < plan->n_writes; i++) {
        const struct hws_nv_write *w = &plan->writes[i];
        hws_store_be32(at, hws_nv_tlv_at(w->tlv_idx)->type);
        at[4] = w->invalidate ? 1 : 0;
        at[5] = w->n_bytes;
        at += HEAD_BYTES;
        memcpy(at, w->old_bytes, w->n_bytes);
        at += w->n_bytes;
        memcpy(at, w->new_bytes, w->n_bytes);
        at += w->n_bytes;
    }
    return (size_t)(at - dst);
}

/* One write from bytes; returns how many it took, 0 if it is not one of ours. */
static size_t decode_write(const uint8_t *bytes, size_t n, struct hws_nv_write *out)
{
    if (n < HEAD_BYTES) {
        return 0;
    }
    uint32_t type = hws_load_be32(bytes);
    const struct hws_nv_tlv *tlv = hws_nv_tlv_by_type(type);
    size_t n_data = bytes[5];
    if (tlv == NULL || tlv->cap || tlv->n_bytes != n_data || bytes[4] > 1 ||
        n - HEAD_BYTES < 2 * n_data) {
        return 0;
    }
    out->tlv_idx = (uint8_t)hws_nv_tlv_idx(tlv);
    out->invalidate = bytes[4] != 0;
    out->n_bytes = (uint8_t)n_data;
    memcpy(out->old_bytes, bytes + HEAD_BYTES, n_data);
    memcpy(out->new_bytes, bytes + HEAD_BYTES + n_data, n_data);
    return HEAD_BYTES + 2 * n_data;
}

enum hws_code hws_nv_recover_init(struct hws_nv_recover *r, const uint8_t *bytes, size_t n,
                                  struct hws_err *err)
{
    memset(r, 0, sizeof(*r));
    hws_nv_apply_start(&r->apply, NULL, NULL);
    r->timeout_ms = r->apply.timeout_ms;
    r->outcome = HWS_NV_IN_DOUBT;
    if (n < 2 || bytes[0] != INTENT_VERSION || bytes[1] > HWS_NV_N_TLVS) {
        return hws_err_set(err, HWS_E_PROTO, "journal: %zu bytes are no intent of this version", n);
    }
    size_t at = 2;
    for (size_t i = 0; i < bytes[1]; i++) {
        size_t used = decode_write(bytes + at, n - at, &r->apply.plan.writes[i]);
        if (used == 0) {
            return hws_err_set(err, HWS_E_PROTO, "journal: write %zu is not of a known record", i);
        }
        at += used;
    }
    if (at != n) {
        return hws_err_set(err, HWS_E_PROTO, "journal: %zu bytes behind the intent", n - at);
    }
    r->apply.plan.n_writes = bytes[1];
    return HWS_OK;
}

static void end(struct hws_nv_recover *r, enum hws_nv_outcome outcome, const char *detail)
{
    r->outcome = outcome;
    r->state = outcome == HWS_NV_IN_DOUBT ? BROKEN : ENDED;
    (void)hws_str_copy(r->detail, sizeof(r->detail), detail);
}

/* Every record is old or new. */
static void decide(struct hws_nv_recover *r)
{
    struct hws_nv_plan *plan = &r->apply.plan;
    size_t n_new = 0;

    if (r->n_old == plan->n_writes) {
        end(r, HWS_NV_UNTOUCHED, "every record holds its old values, read back");
        return;
    }
    if (r->n_old == 0) {
        end(r, HWS_NV_APPLIED, "every record holds the new values, read back");
        return;
    }
    for (size_t i = 0; i < plan->n_writes; i++) {
        if (r->is_new[i]) {
            plan->writes[n_new++] = plan->writes[i];
        }
    }
    plan->n_writes = n_new;
    r->state = RESTORING;
    r->apply.timeout_ms = r->timeout_ms;
    hws_nv_apply_undo(&r->apply);
}

enum hws_step hws_nv_recover_next(struct hws_nv_recover *r, uint64_t now_ms,
                                  struct hws_ctl_call *call)
{
    if (r->state == READING && r->read_idx == r->apply.plan.n_writes) {
        decide(r);
    }
    if (r->state == READING) {
        hws_nv_read_back(&r->apply.io, &r->apply.plan.writes[r->read_idx], now_ms + r->timeout_ms,
                         call);
        return HWS_STEP_CALL;
    }
    if (r->state == RESTORING) {
        if (hws_nv_apply_next(&r->apply, now_ms, call) == HWS_STEP_CALL) {
            return HWS_STEP_CALL;
        }
        r->err = r->apply.last;
        if (r->apply.outcome == HWS_NV_IN_DOUBT && r->err.code == HWS_OK) {
            (void)hws_err_set(&r->err, HWS_E_DEVICE, "other bytes than the old read back");
        }
        end(r, r->apply.outcome, r->apply.detail);
    }
    return r->state == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
}

static void feed_read(struct hws_nv_recover *r, const struct hws_ctl_call *call)
{
    const struct hws_nv_write *w = &r->apply.plan.writes[r->read_idx];
    const struct hws_nv_tlv *tlv = hws_nv_tlv_at(w->tlv_idx);
    const uint8_t *b = NULL;
    const uint8_t *data = NULL;

    enum hws_code rc = hws_hca_regio_result(&r->apply.io, call, &b, &r->err);
    if (rc == HWS_OK) {
        rc = hws_nv_mnvda_decode(b, r->apply.io.reg_bytes, tlv->type, HWS_NV_NEXT, w->n_bytes,
                                 &data, &r->err);
    }
    if (rc != HWS_OK) {
        if (++r->n_tries < HWS_NV_READ_TRIES) {
            return;
        }
        (void)hws_err_wrap(&r->err, "record %s", tlv->name);
        end(r, HWS_NV_IN_DOUBT, r->err.msg);
        return;
    }
    r->n_tries = 0;
    bool old = memcmp(data, w->old_bytes, w->n_bytes) == 0;
    if (!old && memcmp(data, w->new_bytes, w->n_bytes) != 0) {
        (void)hws_err_set(&r->err, HWS_E_CONFLICT,
                          "record %s holds neither the old nor the new bytes: somebody else wrote",
                          tlv->name);
        end(r, HWS_NV_IN_DOUBT, r->err.msg);
        return;
    }
    r->is_new[r->read_idx++] = !old;
    r->n_old += old ? 1u : 0u;
}

void hws_nv_recover_feed(struct hws_nv_recover *r, const struct hws_ctl_call *call)
{
    hws_assert(r->state == READING || r->state == RESTORING);
    if (r->state == READING) {
        feed_read(r, call);
    } else {
        hws_nv_apply_feed(&r->apply, call);
    }
}
