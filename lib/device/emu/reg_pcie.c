/* The PCIe link: MPEIN (state), MPIR (place) and MPCNT (counters). Layouts: register database of
 * mstflint 4.33.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "emu/link_priv.h"

#define GROUP_PERFORMANCE 0u
#define GROUP_PHYSICAL    3u
#define GROUP_TRAFFIC     4u

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
    hws_bits_put(r->data + 0x18, 28, 4, p->pcie_max_read);
    hws_bits_put(r->data + 0x18, 24, 4, p->pcie_max_payload);
    hws_store_be16(r->data + 0x14, p->bdf);
    hws_bits_put(r->data + 0x1c, 0, 12, p->pcie_power_w);
    hws_store_be16(r->data + 0x1c, (uint16_t)(1u << (p->pcie_generation_cap - 1)));
}

/* The only link, to the only host. */
void hws_emu__mpir(struct hws_emu *e, struct hws_emu__reg *r)
{
    if (!index_ok(r)) {
        return;
    }
    memset(r->data + 4, 0, 0x0c);
    hws_bits_put(r->data, 31, 1, 0);
    hws_bits_put(r->data, 0, 4, 0);
    r->data[8] = 1; /* local port */
    r->data[9] = (uint8_t)(e->profile->bdf >> 8);
    hws_bits_put(r->data + 8, 3, 5, e->profile->bdf >> 3 & 0x1f);
}

/* What the ports have received goes to the host, what they have sent came from it: in dwords. */
static void traffic(const struct hws_emu *e, uint64_t *out)
{
    out[0] = 0;
    out[1] = 0;
    for (uint32_t i = 0; i < e->profile->n_ports; i++) {
        const struct hws_emu_nic_port *p = &e->profile->ports[i];
        uint64_t up_ms = hws_emu__link_total(e, i).up_ms;
        out[0] += hws_emu__over(p->rx_frames_per_s, up_ms) * p->frame_bytes / 4;
        out[1] += hws_emu__over(p->tx_frames_per_s, up_ms) * p->frame_bytes / 4;
    }
}

/* A healthy link: time passes and data moves, errors do not come. */
void hws_emu__mpcnt(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t group = hws_bits_get(r->data, 0, 6);
    bool clear = hws_bits_get(r->data + 4, 31, 1) != 0;
    uint64_t dw[2];

    if (!index_ok(r)) {
        return;
    }
    memset(r->data + 4, 0, 0xfc);
    traffic(e, dw);
    if (group == GROUP_PERFORMANCE) {
        hws_store_be64(r->data + 8, (e->now_ms - e->pcie_cleared_ms) / 1000);
        e->pcie_cleared_ms = clear ? e->now_ms : e->pcie_cleared_ms;
    } else if (group == GROUP_TRAFFIC) {
        hws_store_be32(r->data + 8, (uint32_t)(dw[0] - e->pcie_cleared_dw[0]));
        hws_store_be32(r->data + 0x0c, (uint32_t)(dw[1] - e->pcie_cleared_dw[1]));
        memcpy(e->pcie_cleared_dw, dw, clear ? sizeof(dw) : 0);
    } else if (group != GROUP_PHYSICAL) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_GROUP);
    }
}
