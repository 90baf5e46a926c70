/*
 * MFRL: the firmware reset; MROQ: its options; MRSI: the last one. Layout: mlx5_ifc.h,
 * Linux 7.2.13.
 *
 *   dw 4: [7:0] level bits  [15:8] supported types  [19:16] state  [30:29] synchronised start
 *
 * A write with a start of 1 (driver synchronised) or 2 (tool synchronised) and level bit 3
 * triggers: the command completes, and reset_delay_ms later the card resets. Any other write of
 * supported levels only arms the reset that a reboot or a power cycle will do.
 */
#include <string.h>

#include "emu/emu_priv.h"

#define LEVEL_3           0x08u
#define STATE_IDLE        0u
#define STATE_IN_PROGRESS 2u

void hws_emu__mfrl_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    hws_store_be32(r->data, 0);
    hws_store_be32(r->data + 4, 0);
    hws_bits_put(r->data + 4, 0, 8, e->profile->reset_levels);
    hws_bits_put(r->data + 4, 8, 8, e->profile->reset_types);
    hws_bits_put(r->data + 4, 16, 4, e->reset_at_ms != UINT64_MAX ? STATE_IN_PROGRESS : STATE_IDLE);
}

void hws_emu__mfrl_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t level = hws_bits_get(r->data + 4, 0, 8);
    uint32_t start = hws_bits_get(r->data + 4, 29, 2);
    uint32_t type = hws_bits_get(r->data + 4, 24, 3);

    if ((e->profile->reset_types >> type & 1) == 0 || level == 0 ||
        (level & ~(uint32_t)e->profile->reset_levels) != 0) {
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

/* ---- MROQ, MRSI ---- */

#define START_FLOWS   0x07u /* legacy, synchronised by the driver, by a tool */
#define METHOD_TOGGLE 0x01u /* the link is disabled and enabled */
#define DEVICE_MAIN   0u
#define DEVICE_CPU    1u
#define CPU_RUNS      5u
#define CYCLES_PER_MS 1000000u

/* What the reset type that is asked about offers; nothing, if the card has no such type. */
void hws_emu__mroq(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint8_t type = r->data[2];
    bool there = type < 8 && (e->profile->reset_types >> type & 1) != 0;

    memset(r->data, 0, 0x20);
    r->data[2] = type;
    if (there) {
        hws_bits_put(r->data, 24, 8, METHOD_TOGGLE);
        hws_bits_put(r->data, 17, 4, START_FLOWS);
        hws_bits_put(r->data, 16, 1, 1);
        hws_bits_put(r->data, 0, 8, e->profile->reset_levels);
    }
}

/* Why the card, or its embedded CPU, started the last time. */
void hws_emu__mrsi(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t device = hws_bits_get(r->data, 0, 4);

    if (device > (e->profile->embedded_cpu ? DEVICE_CPU : DEVICE_MAIN)) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    memset(r->data, 0, 0x40);
    hws_bits_put(r->data, 0, 4, device);
    hws_bits_put(r->data + 4, 0, 4, e->warm ? 1 : 0);
    hws_store_be64(r->data + 8, (e->now_ms - e->cold_at_ms) * CYCLES_PER_MS);
    r->data[0x17] = device == DEVICE_CPU ? CPU_RUNS : 0;
}
