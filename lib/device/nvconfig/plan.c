/*
 * What a set of settings would do.
 *
 *   read everything -> check each want against this adapter -> new bytes of each record ->
 * differences -> writes -> digests
 *
 * Failures: what the adapter lacks or forbids, settings that contradict each other, a failed read.
 */
#include "nvconfig/plan.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/str.h"
#include "nvconfig/plan_priv.h"

enum state { READING, ENDED, BROKEN };

#define ID_MNVDA 0x9024u
#define ID_MNVDI 0x9025u

/* The records' bytes as they shall become. */
struct images {
    uint8_t data[HWS_NV_N_TLVS][HWS_NV_TLV_MAX_BYTES];
};

enum hws_code hws_nv_plan_start(struct hws_nv_plan *plan, const char *device_id,
                                struct hws_err *err)
{
    memset(plan, 0, sizeof(*plan));
    hws_nv_reader_init(&plan->reader);
    plan->timeout_ms = plan->reader.timeout_ms;
    if (!hws_str_copy(plan->device_id, sizeof(plan->device_id), device_id)) {
        return hws_err_set(err, HWS_E_INVALID, "device id: over %u bytes",
                           HWS_NV_DEVICE_ID_BYTES - 1);
    }
    return HWS_OK;
}

enum hws_code hws_nv_plan_init(struct hws_nv_plan *plan, const char *device_id,
                               const struct hws_nv_setting *settings, size_t n_settings,
                               struct hws_err *err)
{
    bool seen[HWS_NV_MAX_PARAMS] = {false};

    enum hws_code rc = hws_nv_plan_start(plan, device_id, err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (n_settings == 0 || n_settings > HWS_NV_MAX_SETTINGS) {
        return hws_err_set(err, HWS_E_INVALID, "%zu settings; allowed: 1..%u", n_settings,
                           HWS_NV_MAX_SETTINGS);
    }
    for (size_t i = 0; i < n_settings; i++) {
        const struct hws_nv_param *p = NULL;
        struct hws_nv_want *want = &plan->wants[i];
        rc = hws_nv_param_find(settings[i].name, &p, err);
        if (rc == HWS_OK) {
            rc = hws_nv_param_parse(p, settings[i].value, &want->value, err);
        }
        if (rc != HWS_OK) {
            return rc;
        }
        want->param_idx = (uint8_t)hws_nv_param_idx(p);
        if (seen[want->param_idx]) {
            return hws_err_set(err, HWS_E_INVALID, "%s is set twice", p->name);
        }
        seen[want->param_idx] = true;
        plan->reader.records[p->field.tlv_idx].wanted = true;
    }
    plan->n_wants = n_settings;
    return HWS_OK;
}

/* Refuses what this adapter lacks or forbids. */
static enum hws_code check_want(struct hws_nv_plan *plan, const struct hws_nv_want *want)
{
    const struct hws_nv_param *p = hws_nv_param_at(want->param_idx);
    const struct hws_nv_record *rec = &plan->reader.records[p->field.tlv_idx];

    enum hws_code rc =
        hws_nv_reader_allows(&plan->reader, p, want->to_default ? NULL : &want->value, &plan->err);
    if (rc == HWS_OK && want->to_default && !rec->has[HWS_NV_FACTORY]) {
        return hws_err_set(&plan->err, HWS_E_UNSUPPORTED,
                           "%s: this firmware does not give factory values, so a reset cannot be "
                           "planned and verified",
                           p->name);
    }
    return rc;
}

/* A reset of everything leaves out what the adapter lacks; anything else must be possible. */
static enum hws_code check_wants(struct hws_nv_plan *plan)
{
    size_t kept = 0;

    for (size_t i = 0; i < plan->n_wants; i++) {
        enum hws_code rc = check_want(plan, &plan->wants[i]);
        if (rc == HWS_OK) {
            plan->wants[kept++] = plan->wants[i];
        } else if (!plan->reset_all || (rc == HWS_E_UNSUPPORTED && !plan->reader.reads_factory)) {
            return rc;
        }
    }
    hws_err_clear(&plan->err);
    plan->n_wants = kept;
    return HWS_OK;
}

static bool same_bit(const struct hws_nv_field *a, const struct hws_nv_field *bit)
{
    return a->n_bits != 0 && a->tlv_idx == bit->tlv_idx && a->offset_bytes == bit->offset_bytes &&
           bit->lsb_idx >= a->lsb_idx && bit->lsb_idx < a->lsb_idx + a->n_bits;
}

/* True if a parameter that is not wanted depends on that valid bit. */
static bool shared_valid(const struct hws_nv_plan *plan, const struct hws_nv_field *bit)
{
    bool wanted[HWS_NV_MAX_PARAMS] = {false};

    for (size_t i = 0; i < plan->n_wants; i++) {
        wanted[plan->wants[i].param_idx] = true;
    }
    for (size_t i = 0; i < hws_nv_param_count(); i++) {
        const struct hws_nv_param *p = hws_nv_param_at(i);
        if (!wanted[i] && (same_bit(&p->valid, bit) || same_bit(&p->field, bit))) {
            return true;
        }
    }
    return false;
}

static void put_want(const struct hws_nv_plan *plan, const struct hws_nv_want *want,
                     struct images *img)
{
    const struct hws_nv_param *p = hws_nv_param_at(want->param_idx);
    uint8_t *data = img->data[p->field.tlv_idx];
    const uint8_t *factory = plan->reader.records[p->field.tlv_idx].data[HWS_NV_FACTORY];

    if (!want->to_default) {
        hws_nv_field_put(&p->field, data, want->value);
        if (p->valid.n_bits != 0) {
            hws_nv_field_put(&p->valid, data, 1);
        }
        return;
    }
    hws_nv_field_put(&p->field, data, hws_nv_field_get(&p->field, factory));
    if (p->valid.n_bits != 0 && !shared_valid(plan, &p->valid)) {
        hws_nv_field_put(&p->valid, data, hws_nv_field_get(&p->valid, factory));
    }
}

/* Settings that undo each other (a value, and the bit that switches it off) are refused. */
static enum hws_code check_result(struct hws_nv_plan *plan, const struct images *img)
{
    for (size_t i = 0; i < plan->n_wants; i++) {
        const struct hws_nv_want *want = &plan->wants[i];
        const struct hws_nv_param *p = hws_nv_param_at(want->param_idx);
        const uint8_t *data = img->data[p->field.tlv_idx];
        bool counts = p->valid.n_bits == 0 || hws_nv_field_get(&p->valid, data) != 0;
        if (!want->to_default && (hws_nv_field_get(&p->field, data) != want->value || !counts)) {
            return hws_err_set(&plan->err, HWS_E_INVALID,
                               "%s: another of the settings contradicts this one", p->name);
        }
    }
    return HWS_OK;
}

static void add_change(struct hws_nv_plan *plan, size_t param_idx, const struct images *img,
                       bool implied)
{
    const struct hws_nv_param *p = hws_nv_param_at(param_idx);
    const struct hws_nv_record *rec = &plan->reader.records[p->field.tlv_idx];
    struct hws_nv_change c = {.param = p, .reset = p->reset, .implied = implied};

    if (rec->has[HWS_NV_CURRENT]) {
        hws_nv_reader_text(p, rec->data[HWS_NV_CURRENT], c.running);
    }
    hws_nv_reader_text(p, rec->data[HWS_NV_NEXT], c.next_boot);
    hws_nv_reader_text(p, img->data[p->field.tlv_idx], c.wanted);
    c.changes = !hws_str_eq(c.next_boot, c.wanted);
    if (implied && !c.changes) {
        return;
    }
    if (c.changes && c.reset > plan->reset) {
        plan->reset = c.reset;
    }
    plan->changes[plan->n_changes++] = c;
}

static void list_changes(struct hws_nv_plan *plan, const struct images *img)
{
    bool listed[HWS_NV_MAX_PARAMS] = {false};

    for (size_t i = 0; i < plan->n_wants; i++) {
        listed[plan->wants[i].param_idx] = true;
        add_change(plan, plan->wants[i].param_idx, img, false);
    }
    for (size_t i = 0; i < hws_nv_param_count(); i++) {
        const struct hws_nv_record *rec = &plan->reader.records[hws_nv_param_at(i)->field.tlv_idx];
        if (!listed[i] && rec->supported && rec->wanted) {
            add_change(plan, i, img, true);
        }
    }
}

static void list_writes(struct hws_nv_plan *plan, const struct images *img)
{
    for (size_t i = 0; i < HWS_NV_N_TLVS; i++) {
        const struct hws_nv_record *rec = &plan->reader.records[i];
        size_t n = hws_nv_tlv_at(i)->n_bytes;
        if (!rec->supported || memcmp(rec->data[HWS_NV_NEXT], img->data[i], n) == 0) {
            continue;
        }
        struct hws_nv_write *w = &plan->writes[plan->n_writes++];
        w->tlv_idx = (uint8_t)i;
        w->n_bytes = (uint8_t)n;
        memcpy(w->old_bytes, rec->data[HWS_NV_NEXT], n);
        memcpy(w->new_bytes, img->data[i], n);
        w->invalidate = plan->is_reset && rec->has[HWS_NV_FACTORY] &&
                        memcmp(rec->data[HWS_NV_FACTORY], img->data[i], n) == 0;
    }
}

size_t hws_nv_write_encode(const struct hws_nv_write *w, bool back, uint8_t *reg,
                           uint16_t *out_reg_id)
{
    uint32_t type = hws_nv_tlv_at(w->tlv_idx)->type;
    bool invalidate = w->invalidate && !back;

    *out_reg_id = invalidate ? ID_MNVDI : ID_MNVDA;
    hws_nv_mnvda_encode(reg, type, HWS_NV_NEXT, back ? w->old_bytes : w->new_bytes, w->n_bytes);
    return HWS_NV_HEADER_BYTES + (invalidate ? 0u : w->n_bytes);
}

void hws_nv_read_back(struct hws_hca_regio *io, const struct hws_nv_write *w, uint64_t deadline_ms,
                      struct hws_ctl_call *call)
{
    uint8_t reg[HWS_REG_MAX_BYTES] = {0};

    hws_nv_mnvda_encode(reg, hws_nv_tlv_at(w->tlv_idx)->type, HWS_NV_NEXT, NULL, w->n_bytes);
    hws_hca_regio_prepare(io, ID_MNVDA, false, reg, hws_reg_by_id(ID_MNVDA)->size_bytes,
                          deadline_ms, call);
}

static enum hws_code digest_plan(struct hws_nv_plan *plan)
{
    static const char label[] = "hawser.nv.plan.v1";
    struct hws_sha256 h = {0};
    uint8_t head[4];

    if (hws_sha256_init(&h) != HWS_OK) {
        return hws_err_set(&plan->err, HWS_E_NOMEM, "plan hash");
    }
    hws_sha256_update(&h, label, sizeof(label));
    hws_sha256_update(&h, plan->device_id, strlen(plan->device_id) + 1);
    hws_sha256_update(&h, plan->revision.b, sizeof(plan->revision.b));
    for (size_t i = 0; i < plan->n_writes; i++) {
        uint8_t reg[HWS_NV_HEADER_BYTES + HWS_NV_TLV_MAX_BYTES];
        uint16_t id = 0;
        size_t n = hws_nv_write_encode(&plan->writes[i], false, reg, &id);
        hws_store_be16(head, id);
        hws_store_be16(head + 2, (uint16_t)n);
        hws_sha256_update(&h, head, sizeof(head));
        hws_sha256_update(&h, reg, n);
    }
    if (hws_sha256_final(&h, &plan->hash) != HWS_OK) {
        return hws_err_set(&plan->err, HWS_E_NOMEM, "plan hash");
    }
    return HWS_OK;
}

static enum hws_code compute(struct hws_nv_plan *plan)
{
    struct images img;

    enum hws_code rc = check_wants(plan);
    if (rc != HWS_OK) {
        return rc;
    }
    for (size_t i = 0; i < HWS_NV_N_TLVS; i++) {
        memcpy(img.data[i], plan->reader.records[i].data[HWS_NV_NEXT], sizeof(img.data[i]));
    }
    for (size_t i = 0; i < plan->n_wants; i++) {
        put_want(plan, &plan->wants[i], &img);
    }
    rc = check_result(plan, &img);
    if (rc != HWS_OK) {
        return rc;
    }
    list_changes(plan, &img);
    list_writes(plan, &img);
    if (hws_nv_reader_revision(&plan->reader, &plan->revision) != HWS_OK) {
        return hws_err_set(&plan->err, HWS_E_NOMEM, "revision");
    }
    return digest_plan(plan);
}

enum hws_step hws_nv_plan_next(struct hws_nv_plan *plan, uint64_t now_ms, struct hws_ctl_call *call)
{
    if (plan->state != READING) {
        return plan->state == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    plan->reader.timeout_ms = plan->timeout_ms;
    enum hws_step step = hws_nv_reader_next(&plan->reader, now_ms, call);
    if (step == HWS_STEP_CALL) {
        return step;
    }
    if (step == HWS_STEP_FAILED) {
        plan->err = plan->reader.err;
    }
    bool good = step == HWS_STEP_DONE && compute(plan) == HWS_OK;
    plan->state = good ? ENDED : BROKEN;
    return good ? HWS_STEP_DONE : HWS_STEP_FAILED;
}

void hws_nv_plan_feed(struct hws_nv_plan *plan, const struct hws_ctl_call *call)
{
    hws_assert(plan->state == READING);
    hws_nv_reader_feed(&plan->reader, call);
}
