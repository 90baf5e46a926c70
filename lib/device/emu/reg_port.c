/*
 * Network ports: PAOS (admin and oper state), PPAOS (the physical port), PTYS (speeds), PMLP
 * (lanes), PMDR (where a port lies), PPCR (planes: none). Layouts: mlx5_ifc.h (Linux 7.2.13) and
 * the register database of mstflint 4.33.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "emu/link_priv.h"

#define OPER_UP   1u
#define OPER_DOWN 2u

#define PHYS_POLLING   2u
#define PHYS_DISABLED  3u
#define PHYS_LINK_UP   5u
#define LOGICAL_DOWN   1u
#define LOGICAL_ACTIVE 4u

#define AN_OK            1u
#define AN_NOT_DONE_UP   3u
#define AN_NOT_DONE_DOWN 4u

#define CONNECTOR_NONE  1u
#define CONNECTOR_FIBRE 6u
#define CONNECTOR_DA    7u

#define PTYS_BYTES 0x44u

/* ---- PAOS, PPAOS ---- */

void hws_emu__paos_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_state *s = &e->nic[i];
    uint32_t phys = s->admin == HWS_EMU__ADMIN_DOWN ? PHYS_DISABLED : PHYS_POLLING;
    memset(r->data + 2, 0, 14);
    hws_bits_put(r->data, 8, 4, s->admin);
    hws_bits_put(r->data, 0, 4, s->up ? OPER_UP : OPER_DOWN);
    hws_bits_put(r->data + 4, 0, 2, s->event_mode);
    hws_bits_put(r->data + 4, 4, 4, s->up ? PHYS_LINK_UP : phys);
    hws_bits_put(r->data + 4, 16, 3, s->up ? LOGICAL_ACTIVE : LOGICAL_DOWN);
    hws_bits_put(r->data + 8, 16, 3, s->was_up ? (s->up ? OPER_DOWN : OPER_UP) : 0); /* before */
}

void hws_emu__paos_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;
    uint32_t admin = hws_bits_get(r->data, 8, 4);

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    if (hws_bits_get(r->data + 4, 31, 1) != 0) { /* ase: the admin state is meant */
        if (admin < HWS_EMU__ADMIN_UP || admin > HWS_EMU__ADMIN_UP_ONCE) {
            hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
            return;
        }
        hws_emu__link_set_admin(e, i, (uint8_t)admin);
    }
    if (hws_bits_get(r->data + 4, 30, 1) != 0) { /* ee: the event mode is meant */
        e->nic[i].event_mode = (uint8_t)hws_bits_get(r->data + 4, 0, 2);
    }
    hws_emu__paos_read(e, r);
}

/* The model has no test mode: the physical port follows the link. */
void hws_emu__ppaos(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_state *s = &e->nic[i];
    memset(r->data + 2, 0, 14);
    hws_bits_put(r->data + 4, 0, 4, s->admin == HWS_EMU__ADMIN_DOWN ? 2 : s->up ? 1 : 0);
}

/* ---- PTYS ---- */

static uint32_t connector(const struct hws_emu *e, uint32_t port)
{
    const struct hws_emu_module *m = hws_emu__port_module(e, port);

    if (!e->profile->ports[port].cable) {
        return CONNECTOR_NONE;
    }
    if (m == NULL) {
        return 0; /* unknown */
    }
    return m->cable == HWS_EMU_CABLE_COPPER ? CONNECTOR_DA : CONNECTOR_FIBRE;
}

static uint32_t an_status(const struct hws_emu_nic_state *s)
{
    if (s->an_disable) {
        return s->up ? AN_NOT_DONE_UP : AN_NOT_DONE_DOWN;
    }
    return s->up ? AN_OK : AN_NOT_DONE_DOWN;
}

void hws_emu__ptys_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    const struct hws_emu_nic_state *s = &e->nic[i];
    uint16_t width = p->n_lanes; /* 1x 1, 2x 2, 4x 4, 8x 8 */
    uint32_t mask = hws_bits_get(r->data, 0, 3);

    memset(r->data + 4, 0, PTYS_BYTES - 4);
    hws_bits_put(r->data, 24, 8, 0);
    hws_bits_put(r->data, 29, 1, s->type == HWS_EMU_LINK_ETH ? 1 : 0); /* an_disable_cap */
    hws_bits_put(r->data, 30, 1, s->an_disable ? 1 : 0);
    hws_bits_put(r->data + 4, 28, 4, an_status(s));
    hws_bits_put(r->data + 4, 16, 12, p->speed_mbps / 1000);
    hws_bits_put(r->data + 4, 0, 16, s->mbps / 100);
    if (s->type == HWS_EMU_LINK_ETH && (mask & HWS_EMU__PROTO_ETH) != 0) {
        hws_store_be32(r->data + 0x08, p->eth_cap);
        hws_store_be32(r->data + 0x14, s->eth_admin);
        hws_store_be32(r->data + 0x20, s->eth_oper);
    }
    if (s->type == HWS_EMU_LINK_IB && (mask & HWS_EMU__PROTO_IB) != 0) {
        hws_store_be16(r->data + 0x10, width);
        hws_store_be16(r->data + 0x12, p->ib_cap);
        hws_store_be16(r->data + 0x1c, width);
        hws_store_be16(r->data + 0x1e, s->ib_admin);
        hws_store_be16(r->data + 0x28, s->up ? width : 0);
        hws_store_be16(r->data + 0x2a, s->ib_oper);
    }
    hws_bits_put(r->data + 0x2c, 4, 20, hws_emu__link_lane_rate(e, i));
    hws_bits_put(r->data + 0x2c, 0, 4, connector(e, i));
}

void hws_emu__ptys_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;
    uint32_t mask = hws_bits_get(r->data, 0, 3);

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    struct hws_emu_nic_state *s = &e->nic[i];
    bool eth = s->type == HWS_EMU_LINK_ETH;
    bool an_disable = hws_bits_get(r->data, 30, 1) != 0;
    uint32_t admin = eth ? hws_load_be32(r->data + 0x14) : hws_load_be16(r->data + 0x1e);
    uint32_t cap = eth ? p->eth_cap : p->ib_cap;

    if (mask != (eth ? HWS_EMU__PROTO_ETH : HWS_EMU__PROTO_IB) || admin == 0 ||
        (admin & ~cap) != 0 || (an_disable && !eth)) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    s->an_disable = an_disable;
    if (eth) {
        s->eth_admin = admin;
    } else {
        s->ib_admin = (uint16_t)admin;
    }
    hws_emu__ptys_read(e, r);
}

/* ---- PMLP, PMDR, PPCR ---- */

void hws_emu__pmlp(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    memset(r->data + 2, 0, 0x3e);
    r->data[3] = p->n_lanes;
    for (uint32_t lane = 0; lane < p->n_lanes; lane++) {
        uint8_t *d = r->data + 4 + (size_t)4 * lane;
        hws_bits_put(d, 0, 8, p->module);
        hws_bits_put(d, 16, 4, p->first_lane + lane);
        hws_bits_put(d, 24, 4, p->first_lane + lane);
    }
}

void hws_emu__pmdr(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!hws_emu__port_find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    memset(r->data + 2, 0, 0x46);
    r->data[0] = (uint8_t)(1u << 4 | e->profile->serdes); /* status: valid */
    r->data[4] = (uint8_t)i;
    r->data[5] = p->module;
    r->data[0x0a] = (uint8_t)(((1u << p->n_lanes) - 1) << p->first_lane);
    r->data[0x0b] = (uint8_t)(i + 1);
    for (uint32_t lane = 0; lane < p->n_lanes && p->first_lane + lane < 8; lane++) {
        hws_bits_put(r->data + 0x14, 3 * lane, 3, p->first_lane + lane);
        hws_bits_put(r->data + 0x18, 3 * lane, 3, p->first_lane + lane);
    }
}

/* No part here has planes. */
void hws_emu__ppcr(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (hws_emu__port_find(e, r, &i)) {
        memset(r->data + 2, 0, 0x0e);
    }
}
