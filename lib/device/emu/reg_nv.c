/*
 * Non-volatile parameters over registers: MNVDA (one record), MNVDI and MNVIA (invalidate), MNVGN
 * (all records), MNVQC (what can be done with a record), MNVGC (which images can be read). Layouts:
 * nv_param.c of mlx5_core (Linux 7.2.13) and the register database of mstflint 4.33.
 *
 *   0x00  [23:22] access_mode  [20:16] writer_id  [15:12] version  [8:0] length
 *   0x04  type word      0x08  [15:0] crc16, not used here      0x0c  data
 *
 * A change is persisted before its command completes; if that fails, nothing has changed.
 */
#include <string.h>

#include "base/assert.h"
#include "emu/emu_priv.h"

#define HEADER_BYTES 12u
#define LENGTH_BITS  9u

static bool find(const struct hws_emu *e, struct hws_emu__reg *r, uint32_t *out_idx)
{
    if (hws_emu_nv_find(&e->nv, hws_load_be32(r->data + 4), out_idx)) {
        return true;
    }
    hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_TYPE);
    return false;
}

/* A read may ask for more than the record has (tools send 256): the reply says its true length. */
void hws_emu__mnvda_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t idx;
    uint32_t mode = hws_bits_get(r->data, 22, 2);
    uint32_t length = hws_bits_get(r->data, 0, LENGTH_BITS);

    if (!find(e, r, &idx)) {
        return;
    }
    const struct hws_emu_tlv *tlv = &e->profile->tlvs[idx];
    if (mode > HWS_EMU_IMAGE_DEFAULT) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_ACCESS);
        return;
    }
    if (length < tlv->bytes) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_LENGTH);
        return;
    }
    if (r->out_cap_bytes < HEADER_BYTES + tlv->bytes) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_OUTP_LEN, HWS_EMU__SYND_OUT_LEN);
        return;
    }
    const struct hws_emu_nv_value *v = &e->nv.values[idx];
    memset(r->data, 0, 4);
    hws_bits_put(r->data, 22, 2, mode);
    hws_bits_put(r->data, 16, 5, v->is_stored && mode == HWS_EMU_IMAGE_NEXT ? v->writer_id : 0);
    hws_bits_put(r->data, 12, 4, tlv->version);
    hws_bits_put(r->data, 0, LENGTH_BITS, tlv->bytes);
    memset(r->data + 8, 0, HWS_EMU__REG_MAX_BYTES - 8);
    memcpy(r->data + HEADER_BYTES, hws_emu_nv_read(&e->nv, idx, (enum hws_emu_image)mode),
           tlv->bytes);
}

/* Walks over the records: nv_pointer is where to look, 0 the first, and comes back as the next, 0
 * at the end. Header at 0x10 as in MNVDA, data at 0x1c. */
void hws_emu__mnvgn(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t idx = hws_load_be32(r->data);

    if (idx >= e->profile->n_tlvs) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    const struct hws_emu_tlv *tlv = &e->profile->tlvs[idx];
    const struct hws_emu_nv_value *v = &e->nv.values[idx];
    uint8_t *header = r->data + 0x10;
    memset(r->data, 0, HWS_EMU__REG_MAX_BYTES);
    hws_store_be32(r->data, idx + 1 < e->profile->n_tlvs ? idx + 1 : 0);
    hws_bits_put(header, 16, 5, v->is_stored ? v->writer_id : 0);
    hws_bits_put(header, 12, 4, tlv->version);
    hws_bits_put(header, 0, LENGTH_BITS, tlv->bytes);
    hws_store_be32(header + 4, tlv->type);
    memcpy(header + HEADER_BYTES, hws_emu_nv_read(&e->nv, idx, HWS_EMU_IMAGE_NEXT), tlv->bytes);
}

/* Changes one record, or none: the old value comes back if the new one cannot be persisted. */
static void change(struct hws_emu *e, struct hws_emu__reg *r, uint32_t idx,
                   const struct hws_emu_nv_value *to)
{
    struct hws_emu_nv_value old = e->nv.values[idx];

    e->nv.values[idx] = *to;
    if (!hws_emu__persist(e)) {
        e->nv.values[idx] = old;
        hws_emu__reg_refuse(r, HWS_FW_INT_ERR, HWS_EMU__SYND_NV_FLASH);
    }
}

void hws_emu__mnvda_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t idx;
    uint32_t length = hws_bits_get(r->data, 0, LENGTH_BITS);

    if (!find(e, r, &idx)) {
        return;
    }
    const struct hws_emu_tlv *tlv = &e->profile->tlvs[idx];
    const uint8_t *bytes = r->data + HEADER_BYTES;
    if (hws_bits_get(r->data, 22, 2) != HWS_EMU_IMAGE_NEXT) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_ACCESS);
    } else if (length != tlv->bytes) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_LENGTH);
    } else if (r->in_bytes < HEADER_BYTES + length) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_INP_LEN, HWS_EMU__SYND_IN_LEN);
    } else if (tlv->read_only) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_READ_ONLY);
    } else if (hws_emu_nv_reject(&e->nv, idx, bytes) != NULL) {
        HWS_EMU__TRACE(e, "emu: %s refused: %s", tlv->name,
                       hws_emu_nv_reject(&e->nv, idx, bytes)->name);
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_RANGE);
    } else {
        struct hws_emu_nv_value to = e->nv.values[idx];
        to.is_stored = true;
        to.writer_id = (uint8_t)hws_bits_get(r->data, 16, 5);
        memcpy(to.stored, bytes, length);
        change(e, r, idx, &to);
    }
}

void hws_emu__mnvdi_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t idx;

    if (!find(e, r, &idx)) {
        return;
    }
    if (e->profile->tlvs[idx].read_only) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_NV_READ_ONLY);
        return;
    }
    struct hws_emu_nv_value to = e->nv.values[idx];
    to.is_stored = false;
    to.writer_id = 0;
    memset(to.stored, 0, sizeof(to.stored));
    change(e, r, idx, &to);
}

/* Target 0: every record the user may write. UNTESTED against a card: other targets are refused. */
void hws_emu__mnvia_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    bool was_stored[HWS_EMU_MAX_TLVS];
    uint32_t n = e->profile->n_tlvs;

    if (hws_bits_get(r->data, 0, 3) != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    hws_assert(n <= HWS_EMU_MAX_TLVS);
    for (uint32_t i = 0; i < n; i++) {
        was_stored[i] = e->nv.values[i].is_stored;
        e->nv.values[i].is_stored = false;
    }
    if (!hws_emu__persist(e)) {
        for (uint32_t i = 0; i < n; i++) {
            e->nv.values[i].is_stored = was_stored[i];
        }
        hws_emu__reg_refuse(r, HWS_FW_INT_ERR, HWS_EMU__SYND_NV_FLASH);
    }
}

/* A record the card does not have can be neither read nor written; asking is no error. */
void hws_emu__mnvqc(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t idx;

    hws_store_be32(r->data + 4, 0);
    if (hws_emu_nv_find(&e->nv, hws_load_be32(r->data), &idx)) {
        hws_bits_put(r->data + 4, 0, 1, 1);
        hws_bits_put(r->data + 4, 1, 1, e->profile->tlvs[idx].read_only ? 0 : 1);
        hws_bits_put(r->data + 4, 4, 4, e->profile->tlvs[idx].version);
    }
}

void hws_emu__mnvgc(struct hws_emu *e, struct hws_emu__reg *r)
{
    (void)e;
    memset(r->data, 0, 0x10);
    hws_bits_put(r->data, 0, 2, 3); /* factory and current values can be read */
}
