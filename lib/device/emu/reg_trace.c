/*
 * The firmware tracer: MTRC_CAP (what there is, who owns it), MTRC_CONF, MTRC_CTRL and MTRC_STDB
 * (its string database). Layouts: mlx5_ifc.h (Linux 7.2.13), register database of mstflint 4.33.
 * The model traces into its FIFO only: it writes no traces to host memory, and says so.
 */
#include <string.h>

#include "emu/emu_priv.h"

#define MODE_FIFO        0u
#define MODIFY_STATUS    1u /* modify_field_select: trace_status */
#define STDB_DATA        8u
#define CYCLES_PER_MS    1000000u /* of current_timestamp */
#define TIMESTAMP_H_BITS 21u

void hws_emu__mtrc_cap_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu_tracer *t = &e->profile->tracer;

    memset(r->data, 0, 0x84);
    hws_bits_put(r->data, 31, 1, e->tracer.owned ? 1 : 0);
    hws_bits_put(r->data, 0, 4, t->n_bytes > 0 ? 1 : 0);
    r->data[4] = t->first_string;
    r->data[5] = t->n_strings;
    if (t->n_bytes > 0) {
        hws_store_be32(r->data + 0x10, t->base);
        hws_bits_put(r->data + 0x14, 0, 24, t->n_bytes);
    }
}

/* Takes the ownership, or gives it back: then the tracer stops. */
void hws_emu__mtrc_cap_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    bool wanted = hws_bits_get(r->data, 31, 1) != 0;

    if (!wanted) {
        e->tracer = (struct hws_emu_tracer_state){.owned = false};
    }
    e->tracer.owned = wanted;
    hws_emu__mtrc_cap_read(e, r);
}

/* Only the owner sets the tracer up. */
static bool owned(const struct hws_emu *e, struct hws_emu__reg *r)
{
    if (!e->tracer.owned) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_RES_STATE, HWS_EMU__SYND_TRACE_OWNER);
    }
    return e->tracer.owned;
}

void hws_emu__mtrc_conf_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    memset(r->data, 0, 0x80);
    hws_bits_put(r->data, 0, 4, MODE_FIFO);
    r->data[7] = e->tracer.log_size;
}

void hws_emu__mtrc_conf_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    if (!owned(e, r)) {
        return;
    }
    if (hws_bits_get(r->data, 0, 4) != MODE_FIFO || hws_load_be32(r->data + 8) != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    e->tracer.log_size = r->data[7];
    hws_emu__mtrc_conf_read(e, r);
}

void hws_emu__mtrc_ctrl_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint64_t cycles = (e->now_ms - e->boot_at_ms) * CYCLES_PER_MS;

    memset(r->data, 0, 0x40);
    hws_bits_put(r->data, 30, 2, e->tracer.active ? 1 : 0);
    hws_bits_put(r->data + 8, 0, TIMESTAMP_H_BITS,
                 (uint32_t)(cycles >> 32) & ((1u << TIMESTAMP_H_BITS) - 1));
    hws_store_be32(r->data + 0x0c, (uint32_t)cycles);
}

void hws_emu__mtrc_ctrl_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t status = hws_bits_get(r->data, 30, 2);
    uint32_t select = hws_bits_get(r->data, 0, 16);

    if (!owned(e, r)) {
        return;
    }
    if ((select & ~MODIFY_STATUS) != 0 || status > 1) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    if ((select & MODIFY_STATUS) != 0) {
        e->tracer.active = status != 0;
    }
    hws_emu__mtrc_ctrl_read(e, r);
}

void hws_emu__mtrc_stdb(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu_tracer *t = &e->profile->tracer;
    uint32_t n = hws_bits_get(r->data, 0, 24);
    uint32_t at = hws_load_be32(r->data + 4);

    if (hws_bits_get(r->data, 28, 4) != 0 || t->n_bytes == 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    if (n > HWS_EMU__REG_MAX_BYTES - STDB_DATA || at > t->n_bytes || n > t->n_bytes - at) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    if (r->out_cap_bytes < STDB_DATA + n) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_OUTP_LEN, HWS_EMU__SYND_OUT_LEN);
        return;
    }
    memset(r->data + STDB_DATA, 0, HWS_EMU__REG_MAX_BYTES - STDB_DATA);
    memcpy(r->data + STDB_DATA, t->strings + at, n);
}
