/*
 * The transmitters and the coding of a port: PPLM (FEC) and SLTP (one lane). Layouts: pplm_reg in
 * mlx5_ifc.h (Linux 7.2.13), both in the register database of mstflint 4.33. A forced FEC mode
 * counts at the next link-up.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "emu/link_priv.h"

#define NARROW_BITS 4u

/* The FEC mode of each bit of a 4-bit word. */
static const uint8_t narrow_modes[] = {0, 1, 2};

static uint32_t word_of_modes(const struct hws_emu__fec_row *row, uint32_t modes)
{
    uint32_t word = 0;

    if (row->n_bits != NARROW_BITS) {
        return modes;
    }
    for (uint32_t bit = 0; bit < sizeof(narrow_modes); bit++) {
        word |= (modes >> narrow_modes[bit] & 1) << bit;
    }
    return word;
}

static bool served(const struct hws_emu *e, uint32_t port, const struct hws_emu__fec_row *row)
{
    return e->nic[port].type == HWS_EMU_LINK_ETH &&
           (e->profile->ports[port].eth_cap >> row->bit & 1) != 0;
}

void hws_emu__pplm_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu__fec_row *rows = hws_emu__fec_rows();
    uint32_t i;

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_state *s = &e->nic[i];
    memset(r->data + 2, 0, 0x7e);
    hws_bits_put(r->data + 0x0c, 0, 24, s->fec);
    for (uint32_t k = 0; k < HWS_EMU_N_FEC_SPEEDS; k++) {
        if (served(e, i, &rows[k])) {
            uint32_t admin = s->fec_admin[k] != 0 ? 1u << (s->fec_admin[k] - 1) : 0;
            hws_bits_put(r->data + rows[k].cap_dw, rows[k].cap_lsb, rows[k].n_bits,
                         word_of_modes(&rows[k], rows[k].modes));
            hws_bits_put(r->data + rows[k].admin_dw, rows[k].admin_lsb, rows[k].n_bits,
                         word_of_modes(&rows[k], admin));
        }
    }
}

/* The mode + 1 that a word asks for, 0 for automatic; false if it is none of the speed's. */
static bool mode_of_word(const struct hws_emu__fec_row *row, uint32_t word, uint8_t *out)
{
    for (uint8_t mode = 0; mode < 16; mode++) {
        if ((row->modes >> mode & 1) != 0 && word == word_of_modes(row, 1u << mode)) {
            *out = (uint8_t)(mode + 1);
            return true;
        }
    }
    *out = 0;
    return word == 0;
}

void hws_emu__pplm_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu__fec_row *rows = hws_emu__fec_rows();
    uint8_t wanted[HWS_EMU_N_FEC_SPEEDS] = {0};
    uint32_t i;

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    for (uint32_t k = 0; k < HWS_EMU_N_FEC_SPEEDS; k++) {
        uint32_t word = hws_bits_get(r->data + rows[k].admin_dw, rows[k].admin_lsb, rows[k].n_bits);
        if (!served(e, i, &rows[k])) {
            continue;
        }
        if (!mode_of_word(&rows[k], word, &wanted[k])) {
            hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
            return;
        }
    }
    memcpy(e->nic[i].fec_admin, wanted, sizeof(wanted));
    hws_emu__pplm_read(e, r);
}

/* The code of a lane's speed: PTYS Ethernet bits and InfiniBand generations share the numbers. */
static uint32_t lane_speed(const struct hws_emu *e, uint32_t port)
{
    static const struct {
        uint32_t rate; /* 10 Mb/s, the least of the code */
        uint32_t code;
    } codes[] = {{21250, 8}, {10625, 7}, {5312, 6}, {2578, 5}, {1400, 4},
                 {1031, 3},  {1000, 2},  {500, 1},  {250, 0}};
    uint32_t rate = hws_emu__link_lane_rate(e, port);

    for (size_t k = 0; k < sizeof(codes) / sizeof(codes[0]); k++) {
        if (rate >= codes[k].rate) {
            return codes[k].code;
        }
    }
    return 0;
}

/* UNTESTED against a card: the page of taps, which depends on the silicon, is all zero. */
void hws_emu__sltp(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;
    uint32_t lane = hws_bits_get(r->data, 8, 4);

    hws_bits_put(r->data, 12, 2, 0); /* conf_mod and tx_policy, not a port's high bits here */
    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    if (lane >= e->profile->ports[i].n_lanes) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    memset(r->data, 0, 0x4c);
    r->data[1] = (uint8_t)(i + 1);
    hws_bits_put(r->data, 28, 1, e->nic[i].up ? 1 : 0);
    hws_bits_put(r->data, 24, 4, e->profile->serdes);
    hws_bits_put(r->data, 8, 4, lane);
    hws_bits_put(r->data, 4, 4, lane_speed(e, i));
}
