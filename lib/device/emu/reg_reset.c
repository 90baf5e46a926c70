/*
 * MFRL: the firmware reset. Layout: mlx5_ifc.h, Linux 7.2.13.
 *
 *   dw 4: [7:0] level bits  [15:8] supported types  [19:16] state  [30:29] synchronised start
 *
 * A write with a start of 1 (driver synchronised) or 2 (tool synchronised) and level bit 3
 * triggers: the command completes, and reset_delay_ms later the card resets. Any other write of
 * supported levels only arms the reset that a reboot or a power cycle will do.
 */
#include "emu/emu_priv.h"

#define LEVEL_3           0x08u
#define TYPE_FULL_CHIP    0x01u
#define STATE_IDLE        0u
#define STATE_IN_PROGRESS 2u

void hws_emu__mfrl_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    hws_store_be32(r->data, 0);
    hws_store_be32(r->data + 4, 0);
    hws_bits_put(r->data + 4, 0, 8, e->profile->reset_levels);
    hws_bits_put(r->data + 4, 8, 8, TYPE_FULL_CHIP);
    hws_bits_put(r->data + 4, 16, 4, e->reset_at_ms != UINT64_MAX ? STATE_IN_PROGRESS : STATE_IDLE);
}

void hws_emu__mfrl_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t level = hws_bits_get(r->data + 4, 0, 8);
    uint32_t start = hws_bits_get(r->data + 4, 29, 2);

    if (level == 0 || (level & ~(uint32_t)e->profile->reset_levels) != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_RESET_LEVEL);
        return;
    }
    if (start == 0 || (level & LEVEL_3) == 0) {
        e->mfrl_level = level;
        return;
    }
    if (e->reset_at_ms != UINT64_MAX) {
        hws_emu__reg_refuse(r, HWS_FW_RES_BUSY, HWS_EMU__SYND_RESET_BUSY);
        return;
    }
    e->reset_at_ms = e->now_ms + e->profile->reset_delay_ms;
    HWS_EMU__TRACE(e, "emu: reset triggered");
}
