/* Journal records: encode and decode, nothing else. */
#include "rollout/journal.h"

#include <string.h>

#include "base/bits.h"
#include "base/str.h"
#include "crypt/crc32c.h"
#include "rollout/wire_priv.h"

static void put_member(struct hws_rollout__writer *w, const struct hws_rollout_record *rec)
{
    const struct hws_rollout_cause *c = &rec->cause;

    hws_rollout__put_u32(w, rec->member);
    hws_rollout__put_u8(w, (uint8_t)rec->member_state);
    hws_rollout__put_u32(w, rec->attempt);
    hws_rollout__put_u8(w, rec->given_up ? 1 : 0);
    hws_rollout__put_text(w, rec->device_id);
    hws_rollout__put_text(w, rec->plan_hash);
    hws_rollout__put_u8(w, (uint8_t)c->step);
    hws_rollout__put_text(w, c->setting);
    hws_rollout__put_u8(w, (uint8_t)c->err.code);
    hws_rollout__put_u8(w, (uint8_t)c->err.stage);
    hws_rollout__put_u8(w, c->err.delivery_status);
    hws_rollout__put_u8(w, c->err.exec_status);
    hws_rollout__put_u32(w, c->err.syndrome);
    hws_rollout__put_text(w, c->err.msg);
}

static void get_member(struct hws_rollout__reader *r, struct hws_rollout_record *rec)
{
    struct hws_rollout_cause *c = &rec->cause;

    rec->member = hws_rollout__get_u32(r);
    uint8_t state = hws_rollout__get_u8(r);
    rec->attempt = hws_rollout__get_u32(r);
    uint8_t given_up = hws_rollout__get_u8(r);
    hws_rollout__get_text(r, rec->device_id, sizeof(rec->device_id));
    hws_rollout__get_text(r, rec->plan_hash, sizeof(rec->plan_hash));
    uint8_t step = hws_rollout__get_u8(r);
    hws_rollout__get_text(r, c->setting, sizeof(c->setting));
    uint8_t code = hws_rollout__get_u8(r);
    uint8_t stage = hws_rollout__get_u8(r);
    c->err.delivery_status = hws_rollout__get_u8(r);
    c->err.exec_status = hws_rollout__get_u8(r);
    c->err.syndrome = hws_rollout__get_u32(r);
    hws_rollout__get_text(r, c->err.msg, sizeof(c->err.msg));
    r->bad = r->bad || state >= HWS_N_ROLLOUT_MEMBER_STATES || step >= HWS_N_ROLLOUT_STEPS ||
             code >= HWS_N_CODES || stage >= HWS_N_STAGES || given_up > 1;
    if (!r->bad) {
        rec->member_state = (enum hws_rollout_member_state)state;
        rec->given_up = given_up == 1;
        c->step = (enum hws_rollout_step)step;
        c->err.code = (enum hws_code)code;
        c->err.stage = (enum hws_stage)stage;
    }
}

static void get_state(struct hws_rollout__reader *r, struct hws_rollout_record *rec)
{
    uint8_t state = hws_rollout__get_u8(r);

    hws_rollout__get_text(r, rec->reason, sizeof(rec->reason));
    r->bad = r->bad || state >= HWS_N_ROLLOUT_STATES;
    rec->state = r->bad ? HWS_ROLLOUT_NEW : (enum hws_rollout_state)state;
}

static void put_body(struct hws_rollout__writer *w, const struct hws_rollout_record *rec)
{
    hws_rollout__put_u64(w, rec->unix_ms);
    switch (rec->type) {
    case HWS_ROLLOUT_REC_PLAN:
        if (w->code == HWS_OK) {
            w->code = hws_buf_put(w->out, rec->plan, rec->n_plan);
        }
        return;
    case HWS_ROLLOUT_REC_MEMBER:
        put_member(w, rec);
        return;
    case HWS_ROLLOUT_REC_STATE:
        hws_rollout__put_u8(w, (uint8_t)rec->state);
        hws_rollout__put_text(w, rec->reason);
        return;
    case HWS_ROLLOUT_REC_WAVE:
        hws_rollout__put_u32(w, rec->wave);
        return;
    }
}

enum hws_code hws_rollout_record_put(struct hws_buf *out, const struct hws_rollout_record *rec)
{
    size_t before = hws_buf_len(out);
    uint8_t head[HWS_ROLLOUT_RECORD_HEAD_BYTES] = {[8] = (uint8_t)rec->type};
    struct hws_rollout__writer w = {.out = out};

    w.code = hws_buf_put(out, head, sizeof(head));
    put_body(&w, rec);
    if (w.code != HWS_OK) {
        out->tail = out->head + before; /* all or nothing */
        return w.code;
    }
    uint8_t *at = out->bytes + out->head + before;
    size_t n_body = hws_buf_len(out) - before - sizeof(head);
    hws_store_be32(at, (uint32_t)n_body);
    hws_store_be32(at + 4, hws_crc32c(0, at + 8, n_body + 1));
    return HWS_OK;
}

static void get_body(struct hws_rollout__reader *r, struct hws_rollout_record *rec)
{
    rec->unix_ms = hws_rollout__get_u64(r);
    switch (rec->type) {
    case HWS_ROLLOUT_REC_PLAN:
        rec->plan = r->p;
        rec->n_plan = r->n;
        r->n = 0;
        return;
    case HWS_ROLLOUT_REC_MEMBER:
        get_member(r, rec);
        return;
    case HWS_ROLLOUT_REC_STATE:
        get_state(r, rec);
        return;
    case HWS_ROLLOUT_REC_WAVE:
        rec->wave = hws_rollout__get_u32(r);
        return;
    }
}

enum hws_code hws_rollout_record_get(const uint8_t *bytes, size_t n, struct hws_rollout_record *rec,
                                     size_t *out_n, struct hws_err *err)
{
    if (n < HWS_ROLLOUT_RECORD_HEAD_BYTES) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "no whole record");
    }
    uint32_t n_body = hws_load_be32(bytes);
    if (n_body > n - HWS_ROLLOUT_RECORD_HEAD_BYTES) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "no whole record");
    }
    if (hws_load_be32(bytes + 4) != hws_crc32c(0, bytes + 8, (size_t)n_body + 1)) {
        return hws_err_set(err, HWS_E_PROTO, "a journal record fails its checksum");
    }
    if (bytes[8] < HWS_ROLLOUT_REC_PLAN || bytes[8] > HWS_ROLLOUT_REC_WAVE) {
        return hws_err_set(err, HWS_E_PROTO, "a journal record has the unknown type %u", bytes[8]);
    }
    struct hws_rollout__reader r = {.p = bytes + HWS_ROLLOUT_RECORD_HEAD_BYTES, .n = n_body};
    memset(rec, 0, sizeof(*rec));
    rec->type = (enum hws_rollout_record_type)bytes[8];
    get_body(&r, rec);
    if (r.bad || r.n != 0) {
        return hws_err_set(err, HWS_E_PROTO, "a journal record of type %u is malformed", bytes[8]);
    }
    *out_n = HWS_ROLLOUT_RECORD_HEAD_BYTES + (size_t)n_body;
    return HWS_OK;
}
