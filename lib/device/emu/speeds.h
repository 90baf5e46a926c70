/* The rows of speeds.def as tables. Pure; any thread. */
#ifndef HWS_EMU_SPEEDS_H
#define HWS_EMU_SPEEDS_H

#include <stdint.h>

struct hws_emu_eth_speed {
    uint8_t bit;
    uint8_t lanes;
    uint32_t mbps;
};

struct hws_emu_ib_speed {
    uint8_t bit;
    const char *name;
    uint32_t mbps; /* per lane */
    uint8_t fec;   /* FEC mode, as in fec.def */
};

/* Sets *out_n to the number of rows. */
const struct hws_emu_eth_speed *hws_emu_eth_speeds(uint32_t *out_n);
const struct hws_emu_ib_speed *hws_emu_ib_speeds(uint32_t *out_n);

/* The fastest row whose bit is in mask and which is at most max_mbps; NULL if none. */
const struct hws_emu_eth_speed *hws_emu_eth_best(uint32_t mask, uint32_t max_mbps);

/* As above; max_mbps is that of all n_lanes together. */
const struct hws_emu_ib_speed *hws_emu_ib_best(uint16_t mask, uint8_t n_lanes, uint32_t max_mbps);

#endif
