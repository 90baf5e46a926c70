/*
 * The reading half of get, plan, apply and reset.
 *
 *   MNVGC -> for each record: MNVQC -> NEXT -> (wanted) CURRENT -> (wanted) FACTORY -> done
 *
 * Failures: a refusal by the firmware makes a record unsupported, or an image not available;
 * everything else (a lost channel, a timeout, an internal error, a reply about another record) ends
 * the reading.
 */
#include "nvconfig/reader.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/str.h"
#include "ifc/names.h"

enum state { ASK_IMAGES, ASK_SUPPORT, ASK_NEXT, ASK_CURRENT, ASK_FACTORY, ENDED, BROKEN };

#define ID_MNVDA 0x9024u
#define ID_MNVQC 0x9030u
#define ID_MNVGC 0x9034u

void hws_nv_reader_init(struct hws_nv_reader *r)
{
    memset(r, 0, sizeof(*r));
    r->timeout_ms = HWS_HCA_CMD_TIMEOUT_MS;
}

static enum hws_nv_image image_of(unsigned state)
{
    return state == ASK_CURRENT   ? HWS_NV_CURRENT
           : state == ASK_FACTORY ? HWS_NV_FACTORY
                                  : HWS_NV_NEXT;
}

enum hws_step hws_nv_reader_next(struct hws_nv_reader *r, uint64_t now_ms,
                                 struct hws_ctl_call *call)
{
    uint8_t data[HWS_REG_MAX_BYTES] = {0};
    uint16_t id = ID_MNVDA;

    if (r->state >= ENDED) {
        return r->state == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    const struct hws_nv_tlv *tlv = hws_nv_tlv_at(r->tlv_idx);
    if (r->state == ASK_IMAGES) {
        id = ID_MNVGC;
    } else if (r->state == ASK_SUPPORT) {
        id = ID_MNVQC;
        hws_store_be32(data, tlv->type);
    } else {
        hws_nv_mnvda_encode(data, tlv->type, image_of(r->state), NULL, tlv->n_bytes);
    }
    hws_hca_regio_prepare(&r->io, id, false, data, hws_reg_by_id(id)->size_bytes,
                          now_ms + r->timeout_ms, call);
    return HWS_STEP_CALL;
}

/* The next question about this record, the next record, or the end. */
static void advance(struct hws_nv_reader *r)
{
    const struct hws_nv_record *rec = &r->records[r->tlv_idx];

    switch ((enum state)r->state) {
    case ASK_IMAGES:
        r->state = ASK_SUPPORT;
        return;
    case ASK_SUPPORT:
        if (rec->supported) {
            r->state = ASK_NEXT;
            return;
        }
        break;
    case ASK_NEXT:
        if (rec->supported && rec->wanted && r->reads_current) {
            r->state = ASK_CURRENT;
            return;
        }
        if (rec->supported && rec->wanted && r->reads_factory) {
            r->state = ASK_FACTORY;
            return;
        }
        break;
    case ASK_CURRENT:
        if (r->reads_factory) {
            r->state = ASK_FACTORY;
            return;
        }
        break;
    case ASK_FACTORY:
    case ENDED:
    case BROKEN:
    default:
        break;
    }
    r->tlv_idx++;
    r->state = ASK_SUPPORT;
    if (r->tlv_idx == HWS_NV_N_TLVS) {
        r->tlv_idx = 0;
        r->state = ENDED;
    }
}

/* The firmware does not have what was asked for. */
static void take_refusal(struct hws_nv_reader *r)
{
    struct hws_nv_record *rec = &r->records[r->tlv_idx];

    if (r->state == ASK_SUPPORT || r->state == ASK_NEXT) {
        rec->supported = false;
        rec->writable = false;
        rec->fw_status = r->err.exec_status;
    }
    hws_err_clear(&r->err); /* ASK_IMAGES: neither image; CURRENT, FACTORY: has[] stays false */
}

static enum hws_code take_support(struct hws_nv_reader *r, const uint8_t *b)
{
    const struct hws_reg *reg = hws_reg_by_id(ID_MNVQC);
    const struct hws_nv_tlv *tlv = hws_nv_tlv_at(r->tlv_idx);
    struct hws_nv_record *rec = &r->records[r->tlv_idx];

    uint64_t type = hws_reg_get(reg, b, "type");
    if (type != tlv->type) {
        return hws_err_set(&r->err, HWS_E_PROTO,
                           "register MNVQC: field type is 0x%08" PRIx64 ", asked for 0x%08" PRIx32,
                           type, tlv->type);
    }
    rec->supported = hws_reg_get(reg, b, "support_rd") != 0;
    rec->writable = hws_reg_get(reg, b, "support_wr") != 0 && !tlv->cap;
    return HWS_OK;
}

static enum hws_code take_image(struct hws_nv_reader *r, const uint8_t *b)
{
    const struct hws_nv_tlv *tlv = hws_nv_tlv_at(r->tlv_idx);
    struct hws_nv_record *rec = &r->records[r->tlv_idx];
    enum hws_nv_image image = image_of(r->state);
    const uint8_t *data = NULL;

    enum hws_code rc =
        hws_nv_mnvda_decode(b, r->io.reg_bytes, tlv->type, image, tlv->n_bytes, &data, &r->err);
    if (rc == HWS_OK) {
        memcpy(rec->data[image], data, tlv->n_bytes);
        rec->has[image] = true;
    }
    return rc;
}

void hws_nv_reader_feed(struct hws_nv_reader *r, const struct hws_ctl_call *call)
{
    const uint8_t *b = NULL;

    hws_assert(r->state < ENDED);
    enum hws_code rc = hws_hca_regio_result(&r->io, call, &b, &r->err);
    if (rc != HWS_OK && hws_hca_is_refusal(&r->err)) {
        take_refusal(r);
        advance(r);
        return;
    }
    if (rc == HWS_OK && r->state == ASK_IMAGES) {
        const struct hws_reg *reg = hws_reg_by_id(ID_MNVGC);
        r->reads_current = hws_reg_get(reg, b, "nvda_read_current_settings") != 0;
        r->reads_factory = hws_reg_get(reg, b, "nvda_read_factory_settings") != 0;
    } else if (rc == HWS_OK && r->state == ASK_SUPPORT) {
        rc = take_support(r, b);
    } else if (rc == HWS_OK) {
        rc = take_image(r, b);
    }
    if (rc != HWS_OK) {
        (void)hws_err_wrap(&r->err, "record %s", hws_nv_tlv_at(r->tlv_idx)->name);
        r->state = BROKEN;
        return;
    }
    advance(r);
}

enum hws_code hws_nv_reader_revision(const struct hws_nv_reader *r, struct hws_digest *out)
{
    static const char label[] = "hawser.nv.revision.v1";
    struct hws_sha256 h = {0};

    if (hws_sha256_init(&h) != HWS_OK) {
        return HWS_E_NOMEM;
    }
    hws_sha256_update(&h, label, sizeof(label));
    for (size_t i = 0; i < HWS_NV_N_TLVS; i++) {
        const struct hws_nv_tlv *tlv = hws_nv_tlv_at(i);
        const struct hws_nv_record *rec = &r->records[i];
        uint8_t head[8];
        if (!rec->supported || tlv->cap) {
            continue;
        }
        hws_store_be32(head, tlv->type);
        hws_store_be32(head + 4, tlv->n_bytes);
        hws_sha256_update(&h, head, sizeof(head));
        hws_sha256_update(&h, rec->data[HWS_NV_NEXT], tlv->n_bytes);
    }
    return hws_sha256_final(&h, out);
}

uint32_t hws_nv_field_get(const struct hws_nv_field *f, const uint8_t *data)
{
    return hws_bits_get(data + f->offset_bytes, f->lsb_idx, f->n_bits);
}

void hws_nv_field_put(const struct hws_nv_field *f, uint8_t *data, uint32_t value)
{
    hws_bits_put(data + f->offset_bytes, f->lsb_idx, f->n_bits, value);
}

bool hws_nv_reader_supports(const struct hws_nv_reader *r, const struct hws_nv_param *p,
                            char *reason, size_t cap)
{
    const struct hws_nv_record *rec = &r->records[p->field.tlv_idx];
    const char *name = hws_nv_tlv_at(p->field.tlv_idx)->name;

    if (!rec->supported && rec->fw_status != 0) {
        (void)hws_str_print(reason, cap, "the firmware refuses record %s (status 0x%02x %s)", name,
                            rec->fw_status, hws_ifc_fw_status_name(rec->fw_status));
        return false;
    }
    if (!rec->supported) {
        (void)hws_str_print(reason, cap, "the firmware has no record %s", name);
        return false;
    }
    if (p->support_cap.n_bits != 0) {
        const struct hws_nv_record *caps = &r->records[p->support_cap.tlv_idx];
        if (!caps->supported || hws_nv_field_get(&p->support_cap, caps->data[HWS_NV_NEXT]) == 0) {
            (void)hws_str_print(reason, cap, "record %s says this adapter cannot",
                                hws_nv_tlv_at(p->support_cap.tlv_idx)->name);
            return false;
        }
    }
    reason[0] = '\0';
    return true;
}

uint32_t hws_nv_reader_max(const struct hws_nv_reader *r, const struct hws_nv_param *p)
{
    const struct hws_nv_record *caps = &r->records[p->max_cap.tlv_idx];

    if (p->max_cap.n_bits == 0 || !caps->supported ||
        hws_nv_field_get(&p->max_valid, caps->data[HWS_NV_NEXT]) == 0) {
        return p->max;
    }
    uint32_t limit = hws_nv_field_get(&p->max_cap, caps->data[HWS_NV_NEXT]);
    return limit < p->max ? limit : p->max;
}

enum hws_code hws_nv_reader_allows(const struct hws_nv_reader *r, const struct hws_nv_param *p,
                                   const uint32_t *value, struct hws_err *err)
{
    char reason[96];
    char text[HWS_NV_VALUE_BYTES];
    char allowed[160];

    if (!hws_nv_reader_supports(r, p, reason, sizeof(reason))) {
        return hws_err_set(err, HWS_E_UNSUPPORTED, "%s: %s", p->name, reason);
    }
    if (!r->records[p->field.tlv_idx].writable) {
        return hws_err_set(err, HWS_E_UNSUPPORTED, "%s: this firmware lets nobody write it",
                           p->name);
    }
    uint32_t limit = hws_nv_reader_max(r, p);
    if (value == NULL || *value <= limit) {
        return HWS_OK;
    }
    hws_nv_param_format(p, *value, text, sizeof(text));
    hws_nv_param_allowed(p, limit, allowed, sizeof(allowed));
    return hws_err_set(err, HWS_E_INVALID, "%s: %s is not allowed on this adapter; allowed: %s",
                       p->name, text, allowed);
}

void hws_nv_reader_text(const struct hws_nv_param *p, const uint8_t *data, char *dst)
{
    uint32_t v = hws_nv_field_get(&p->field, data);

    if (p->valid.n_bits == 0 || hws_nv_field_get(&p->valid, data) != 0) {
        hws_nv_param_format(p, v, dst, HWS_NV_VALUE_BYTES);
    } else if (v == 0) {
        (void)hws_str_copy(dst, HWS_NV_VALUE_BYTES, "unset");
    } else {
        (void)hws_str_print(dst, HWS_NV_VALUE_BYTES, "unset(%" PRIu32 ")", v);
    }
}
