/* The links of the ports: how they come and go, and what counts meanwhile. Shared by the port
 * registers. */
#ifndef HWS_EMU_LINK_PRIV_H
#define HWS_EMU_LINK_PRIV_H

#include "emu/emu_priv.h"

#define HWS_EMU__ADMIN_UP      1u /* PAOS admin_status */
#define HWS_EMU__ADMIN_DOWN    2u
#define HWS_EMU__ADMIN_UP_ONCE 3u

#define HWS_EMU__MODULE_ENABLED  1u /* PMAOS admin_status */
#define HWS_EMU__MODULE_DISABLED 2u

#define HWS_EMU__PROTO_IB  1u /* PTYS proto_mask */
#define HWS_EMU__PROTO_ETH 4u

struct hws_emu__fec_row {
    uint8_t bit;    /* the speed's in PTYS */
    uint8_t cap_dw; /* offsets in PPLM */
    uint8_t cap_lsb;
    uint8_t n_bits;
    uint8_t admin_dw;
    uint8_t admin_lsb;
    uint16_t modes;
    uint8_t automatic;
};

/* HWS_EMU_N_FEC_SPEEDS rows, numbered as fec_admin. */
const struct hws_emu__fec_row *hws_emu__fec_rows(void);

/* A register's port: local_port in byte 1 counts from 1, its high bits are 0. Refuses otherwise. */
bool hws_emu__port_find(const struct hws_emu *e, struct hws_emu__reg *r, uint32_t *out_i);

/* The module that a port lies on; NULL if the profile lists none there. */
const struct hws_emu_module *hws_emu__port_module(const struct hws_emu *e, uint32_t port);

/* Moves the port's administrative state, and with it the link. */
void hws_emu__link_set_admin(struct hws_emu *e, uint32_t port, uint8_t admin);

/* The module of these ports went off or on, or starts again: their links go down, or try again. */
void hws_emu__link_module_changed(struct hws_emu *e, uint8_t module);

/* What has counted since a group was cleared; the same since boot. */
struct hws_emu_tally hws_emu__link_tally(const struct hws_emu *e, uint32_t port,
                                         uint32_t group_idx);
struct hws_emu_tally hws_emu__link_total(const struct hws_emu *e, uint32_t port);

/* The rate on each physical lane with coding and FEC, in 10 Mb/s; 0 while down. */
uint32_t hws_emu__link_lane_rate(const struct hws_emu *e, uint32_t port);

/* per_s * ms / 1000 without an overflow in between. */
static inline uint64_t hws_emu__over(uint64_t per_s, uint64_t ms)
{
    return per_s * (ms / 1000) + per_s * (ms % 1000) / 1000;
}

#endif
