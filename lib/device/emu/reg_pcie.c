/* The PCIe link: MPEIN (state) and MPCNT (counters). Layouts: register database of mstflint 4.33.
 */
#include <string.h>

#include "emu/emu_priv.h"

#define GROUP_PERFORMANCE 0u
#define MAX_READ_4096     5u /* encoded as in PCIe Device Control */
#define MAX_PAYLOAD_512   2u

static bool index_ok(struct hws_emu__reg *r)
{
    if (hws_bits_get(r->data, 24, 6) == 0 && r->data[1] == 0 && r->data[2] == 0) {
        return true;
    }
    hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
    return false;
}

void hws_emu__mpein(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu_profile *p = e->profile;

    if (!index_ok(r)) {
        return;
    }
    memset(r->data + 4, 0, 0x2c);
    r->data[0x09] = (uint8_t)p->pcie_width_cap;
    /* Speed bits: bit n - 1 is generation n. */
    hws_store_be16(r->data + 0x0a, (uint16_t)((1u << p->pcie_generation_cap) - 1));
    r->data[0x0d] = p->pcie_width;
    hws_store_be16(r->data + 0x0e, (uint16_t)(1u << (p->pcie_generation - 1)));
    hws_store_be16(r->data + 0x10, (uint16_t)p->n_ports);
    hws_bits_put(r->data + 0x18, 28, 4, MAX_READ_4096);
    hws_bits_put(r->data + 0x18, 24, 4, MAX_PAYLOAD_512);
    hws_bits_put(r->data + 0x1c, 0, 12, p->pcie_power_w);
}

/* A healthy link: time passes, errors do not come. */
void hws_emu__mpcnt(struct hws_emu *e, struct hws_emu__reg *r)
{
    if (!index_ok(r)) {
        return;
    }
    if (hws_bits_get(r->data, 0, 6) != GROUP_PERFORMANCE) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_GROUP);
        return;
    }
    bool clear = hws_bits_get(r->data + 4, 31, 1) != 0;
    memset(r->data + 8, 0, 0xf8);
    hws_store_be64(r->data + 8, (e->now_ms - e->pcie_cleared_ms) / 1000);
    if (clear) {
        e->pcie_cleared_ms = e->now_ms;
    }
}
