/*
 * DTOR: the timeouts that the firmware wishes its driver to keep, and the two of the init segment.
 * Layout: dtor_reg in mlx5_ifc.h (Linux 7.2.13): [31:29] multiplier (0 ms, 1 s) [19:0] value; 0
 * leaves the driver's own.
 */
#include <string.h>

#include "emu/emu_priv.h"

#define VALUE_MASK     0xfffffu
#define UNIT_S_LSB     29u
#define FIRST_REGISTER 2u /* timeout.def: the first two rows are the init segment's */

static const uint8_t offsets[] = {
#define HWS_EMU_TIMEOUT(name, offset, source) (offset),
#include "emu/timeout.def"
#undef HWS_EMU_TIMEOUT
};

_Static_assert(sizeof(offsets) == HWS_EMU_N_TIMEOUTS, "a timeout for each row");

/* Whole seconds where milliseconds do not fit: rounded up. */
static uint32_t encode(uint64_t ms)
{
    return ms <= VALUE_MASK ? (uint32_t)ms
                            : 1u << UNIT_S_LSB | (uint32_t)(((ms + 999) / 1000) & VALUE_MASK);
}

uint32_t hws_emu__timeout_word(const struct hws_emu *e, uint32_t row)
{
    return encode(e->profile->timeouts_ms[row]);
}

void hws_emu__dtor(struct hws_emu *e, struct hws_emu__reg *r)
{
    memset(r->data, 0, 0x40);
    for (uint32_t i = FIRST_REGISTER; i < HWS_EMU_N_TIMEOUTS; i++) {
        hws_store_be32(r->data + offsets[i], encode(e->profile->timeouts_ms[i]));
    }
}
