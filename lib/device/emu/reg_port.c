/*
 * Network ports: PAOS (admin and oper state), PTYS (speeds), PPCNT (counters), PMLP (lanes).
 * Layouts: mlx5_ifc.h, Linux 7.2.13.
 *
 * A link comes up link_up_ms after its port is set up, if there is a cable; its counters move with
 * the time it has been up. What PTYS allows is negotiated at the next link-up.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "emu/speeds.h"

#define ADMIN_UP      1u
#define ADMIN_DOWN    2u
#define ADMIN_UP_ONCE 3u
#define OPER_UP       1u
#define OPER_DOWN     2u

#define PHYS_POLLING   2u
#define PHYS_DISABLED  3u
#define PHYS_LINK_UP   5u
#define LOGICAL_DOWN   1u
#define LOGICAL_ACTIVE 4u

#define PROTO_IB         1u
#define PROTO_ETH        4u
#define AN_OK            1u
#define AN_NOT_DONE_DOWN 4u

#define GROUP_802_3    0x00u
#define GROUP_2863     0x01u
#define GROUP_PHYSICAL 0x12u
#define COUNTERS       8u

/* ---- links ---- */

static void link_down(struct hws_emu *e, uint32_t i)
{
    struct hws_emu_nic_state *s = &e->nic[i];

    s->up = false;
    s->n_link_down++;
    s->up_total_ms += e->now_ms - s->up_since_ms;
    s->mbps = 0;
    s->eth_oper = 0;
    s->ib_oper = 0;
    HWS_EMU__TRACE(e, "emu: port %u link down", i + 1);
}

static void link_set_admin(struct hws_emu *e, uint32_t i, uint8_t admin)
{
    struct hws_emu_nic_state *s = &e->nic[i];

    s->admin = admin;
    if (admin == ADMIN_DOWN) {
        s->up_at_ms = UINT64_MAX;
        if (s->up) {
            link_down(e, i);
        }
    } else if (!s->up && s->up_at_ms == UINT64_MAX && e->profile->ports[i].cable) {
        s->up_at_ms = e->now_ms + e->profile->link_up_ms;
    }
}

static void link_up(struct hws_emu *e, uint32_t i)
{
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    struct hws_emu_nic_state *s = &e->nic[i];

    s->up_at_ms = UINT64_MAX;
    if (s->type == HWS_EMU_LINK_ETH) {
        const struct hws_emu_eth_speed *best =
            hws_emu_eth_best(p->eth_cap & s->eth_admin, p->speed_mbps);
        s->mbps = best != NULL ? best->mbps : 0;
        s->eth_oper = best != NULL ? UINT32_C(1) << best->bit : 0;
    } else {
        const struct hws_emu_ib_speed *best =
            hws_emu_ib_best(p->ib_cap & s->ib_admin, p->n_lanes, p->speed_mbps);
        s->mbps = best != NULL ? best->mbps * p->n_lanes : 0;
        s->ib_oper = (uint16_t)(best != NULL ? 1u << best->bit : 0);
    }
    if (s->mbps == 0) {
        return; /* nothing both ends can do */
    }
    s->up = true;
    s->up_since_ms = e->now_ms;
    HWS_EMU__TRACE(e, "emu: port %u link up %u Mb/s", i + 1, s->mbps);
}

uint64_t hws_emu__nic_turn(struct hws_emu *e)
{
    uint64_t next_ms = UINT64_MAX;

    if (e->state == HWS_EMU_INITIALIZING) {
        return next_ms;
    }
    for (uint32_t i = 0; i < e->profile->n_ports; i++) {
        if (e->nic[i].up_at_ms <= e->now_ms) {
            link_up(e, i);
        } else if (e->nic[i].up_at_ms < next_ms) {
            next_ms = e->nic[i].up_at_ms;
        }
    }
    return next_ms;
}

void hws_emu__nic_reset(struct hws_emu *e)
{
    for (uint32_t i = 0; i < e->profile->n_ports; i++) {
        const struct hws_emu_nic_port *p = &e->profile->ports[i];
        uint32_t type =
            p->has_type_from ? hws_emu_nv_bits(&e->nv, &p->type_from, HWS_EMU_IMAGE_RUNNING) : 0;
        bool known = type == HWS_EMU_LINK_IB || type == HWS_EMU_LINK_ETH;
        e->nic[i] = (struct hws_emu_nic_state){
            .type = known ? (enum hws_emu_link_type)type : p->type,
            .admin = p->admin_up ? ADMIN_UP : ADMIN_DOWN,
            .up_at_ms = p->admin_up && p->cable
                            ? e->now_ms + e->profile->boot_ms + e->profile->link_up_ms
                            : UINT64_MAX,
            .cleared_ms = e->now_ms,
            .eth_admin = p->eth_cap,
            .ib_admin = p->ib_cap,
        };
    }
}

/* ---- registers ---- */

/* local_port in byte 1 counts from 1. */
static bool find(const struct hws_emu *e, struct hws_emu__reg *r, uint32_t *out_i)
{
    uint32_t port = r->data[1];

    if (port == 0 || port > e->profile->n_ports) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return false;
    }
    *out_i = port - 1;
    return true;
}

void hws_emu__paos_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_state *s = &e->nic[i];
    uint32_t phys = s->admin == ADMIN_DOWN ? PHYS_DISABLED : PHYS_POLLING;
    memset(r->data + 2, 0, 14);
    hws_bits_put(r->data, 8, 4, s->admin);
    hws_bits_put(r->data, 0, 4, s->up ? OPER_UP : OPER_DOWN);
    hws_bits_put(r->data + 4, 0, 2, s->event_mode);
    hws_bits_put(r->data + 4, 4, 4, s->up ? PHYS_LINK_UP : phys);
    hws_bits_put(r->data + 4, 16, 3, s->up ? LOGICAL_ACTIVE : LOGICAL_DOWN);
}

void hws_emu__paos_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;
    uint32_t admin = hws_bits_get(r->data, 8, 4);

    if (!find(e, r, &i)) {
        return;
    }
    if (hws_bits_get(r->data + 4, 31, 1) != 0) { /* ase: the admin state is meant */
        if (admin < ADMIN_UP || admin > ADMIN_UP_ONCE) {
            hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
            return;
        }
        link_set_admin(e, i, (uint8_t)admin);
    }
    if (hws_bits_get(r->data + 4, 30, 1) != 0) { /* ee: the event mode is meant */
        e->nic[i].event_mode = (uint8_t)hws_bits_get(r->data + 4, 0, 2);
    }
    hws_emu__paos_read(e, r);
}

void hws_emu__ptys_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    const struct hws_emu_nic_state *s = &e->nic[i];
    uint16_t width = p->n_lanes; /* 1x 1, 2x 2, 4x 4, 8x 8 */
    uint32_t mask = hws_bits_get(r->data, 0, 3);

    memset(r->data + 4, 0, 0x40);
    hws_bits_put(r->data + 4, 28, 4, s->up ? AN_OK : AN_NOT_DONE_DOWN);
    hws_bits_put(r->data + 4, 0, 16, s->mbps / 100);
    if (s->type == HWS_EMU_LINK_ETH && (mask & PROTO_ETH) != 0) {
        hws_store_be32(r->data + 0x08, p->eth_cap);
        hws_store_be32(r->data + 0x14, s->eth_admin);
        hws_store_be32(r->data + 0x20, s->eth_oper);
    }
    if (s->type == HWS_EMU_LINK_IB && (mask & PROTO_IB) != 0) {
        hws_store_be16(r->data + 0x10, width);
        hws_store_be16(r->data + 0x12, p->ib_cap);
        hws_store_be16(r->data + 0x1c, width);
        hws_store_be16(r->data + 0x1e, s->ib_admin);
        hws_store_be16(r->data + 0x28, s->up ? width : 0);
        hws_store_be16(r->data + 0x2a, s->ib_oper);
    }
}

void hws_emu__ptys_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;
    uint32_t mask = hws_bits_get(r->data, 0, 3);

    if (!find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    struct hws_emu_nic_state *s = &e->nic[i];
    bool eth = s->type == HWS_EMU_LINK_ETH;
    uint32_t admin = eth ? hws_load_be32(r->data + 0x14) : hws_load_be16(r->data + 0x1e);
    uint32_t cap = eth ? p->eth_cap : p->ib_cap;

    if (mask != (eth ? PROTO_ETH : PROTO_IB) || admin == 0 || (admin & ~cap) != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    if (eth) {
        s->eth_admin = admin;
    } else {
        s->ib_admin = (uint16_t)admin;
    }
    hws_emu__ptys_read(e, r);
}

static uint64_t up_ms(const struct hws_emu *e, const struct hws_emu_nic_state *s)
{
    return s->up_total_ms + (s->up ? e->now_ms - s->up_since_ms : 0);
}

/* per_s * ms / 1000 without an overflow in between. */
static uint64_t moved(uint64_t per_s, uint64_t ms)
{
    return per_s * (ms / 1000) + per_s * (ms % 1000) / 1000;
}

void hws_emu__ppcnt(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;
    uint32_t group = hws_bits_get(r->data, 0, 6);
    bool clear = hws_bits_get(r->data + 4, 31, 1) != 0;
    uint8_t *c = r->data + COUNTERS;

    if (!find(e, r, &i)) {
        return;
    }
    const struct hws_emu_nic_port *p = &e->profile->ports[i];
    struct hws_emu_nic_state *s = &e->nic[i];
    uint64_t ms = up_ms(e, s);
    uint64_t rx = moved(p->rx_frames_per_s, ms);
    uint64_t tx = moved(p->tx_frames_per_s, ms);

    memset(c, 0, 248);
    switch (group) {
    case GROUP_802_3:
        hws_store_be64(c + 0x00, tx);
        hws_store_be64(c + 0x08, rx);
        hws_store_be64(c + 0x20, tx * p->frame_bytes);
        hws_store_be64(c + 0x28, rx * p->frame_bytes);
        break;
    case GROUP_2863:
        hws_store_be64(c + 0x00, rx * p->frame_bytes);
        hws_store_be64(c + 0x08, rx);
        hws_store_be64(c + 0x28, tx * p->frame_bytes);
        hws_store_be64(c + 0x30, tx);
        break;
    case GROUP_PHYSICAL:
        hws_store_be64(c + 0x00, e->now_ms - s->cleared_ms);
        hws_store_be64(c + 0x08, moved(p->symbol_errors_per_h, ms) / 3600);
        hws_store_be32(c + 0xc0, s->n_link_down);
        break;
    default:
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_GROUP);
        return;
    }
    if (clear) { /* the model keeps one age for all groups of a port */
        s->up_total_ms = 0;
        s->up_since_ms = e->now_ms;
        s->cleared_ms = e->now_ms;
        s->n_link_down = 0;
    }
}

void hws_emu__pmlp(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!find(e, r, &i)) {
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
