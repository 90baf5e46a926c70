/* Link speeds by PTYS bit. */
#include "emu/speeds.h"

#include <stddef.h>

static const struct hws_emu_eth_speed eth[] = {
#define HWS_EMU_ETH(bit, mbps, lanes, source) {(bit), (lanes), (mbps)},
#define HWS_EMU_IB(bit, name, mbps, fec, source)
#include "emu/speeds.def"
#undef HWS_EMU_ETH
#undef HWS_EMU_IB
};

static const struct hws_emu_ib_speed ib[] = {
#define HWS_EMU_ETH(bit, mbps, lanes, source)
#define HWS_EMU_IB(bit, name, mbps, fec, source) {(bit), #name, (mbps), (fec)},
#include "emu/speeds.def"
#undef HWS_EMU_ETH
#undef HWS_EMU_IB
};

const struct hws_emu_eth_speed *hws_emu_eth_speeds(uint32_t *out_n)
{
    *out_n = (uint32_t)(sizeof(eth) / sizeof(eth[0]));
    return eth;
}

const struct hws_emu_ib_speed *hws_emu_ib_speeds(uint32_t *out_n)
{
    *out_n = (uint32_t)(sizeof(ib) / sizeof(ib[0]));
    return ib;
}

const struct hws_emu_eth_speed *hws_emu_eth_best(uint32_t mask, uint32_t max_mbps)
{
    const struct hws_emu_eth_speed *best = NULL;

    for (size_t i = 0; i < sizeof(eth) / sizeof(eth[0]); i++) {
        if ((mask >> eth[i].bit & 1) != 0 && eth[i].mbps <= max_mbps &&
            (best == NULL || eth[i].mbps > best->mbps)) {
            best = &eth[i];
        }
    }
    return best;
}

const struct hws_emu_ib_speed *hws_emu_ib_best(uint16_t mask, uint8_t n_lanes, uint32_t max_mbps)
{
    const struct hws_emu_ib_speed *best = NULL;

    for (size_t i = 0; i < sizeof(ib) / sizeof(ib[0]); i++) {
        if (((uint32_t)mask >> ib[i].bit & 1) != 0 && ib[i].mbps * n_lanes <= max_mbps &&
            (best == NULL || ib[i].mbps > best->mbps)) {
            best = &ib[i];
        }
    }
    return best;
}
