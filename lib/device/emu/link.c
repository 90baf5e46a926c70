/*
 * The links of the ports. A link comes up link_up_ms after its port is set up, if there is a cable
 * and its module is on; what PTYS and PPLM allow is negotiated then. It goes down by command only.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "emu/link_priv.h"
#include "emu/speeds.h"

static const struct hws_emu__fec_row fec_rows[] = {
#define HWS_EMU_FEC(bit, cap_dw, cap_lsb, bits, admin_dw, admin_lsb, modes, automatic)             \
    {(bit), (cap_dw), (cap_lsb), (bits), (admin_dw), (admin_lsb), (modes), (automatic)},
#include "emu/fec.def"
#undef HWS_EMU_FEC
};

_Static_assert(sizeof(fec_rows) / sizeof(fec_rows[0]) == HWS_EMU_N_FEC_SPEEDS,
               "fec_admin has one byte a row");

const struct hws_emu__fec_row *hws_emu__fec_rows(void)
{
    return fec_rows;
}

bool hws_emu__port_find(const struct hws_emu *e, struct hws_emu__reg *r, uint32_t *out_i)
{
    uint32_t port = r->data[1];

    if (port == 0 || port > e->profile->n_ports || hws_bits_get(r->data, 12, 2) != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return false;
    }
    *out_i = port - 1;
    return true;
}

static uint32_t module_slot(const struct hws_emu *e, uint8_t index)
{
    uint32_t k = 0;

    while (k < e->profile->n_modules && e->profile->modules[k].index != index) {
        k++;
    }
    return k;
}

const struct hws_emu_module *hws_emu__port_module(const struct hws_emu *e, uint32_t port)
{
    uint32_t k = module_slot(e, e->profile->ports[port].module);

    return k < e->profile->n_modules ? &e->profile->modules[k] : NULL;
}

static bool module_on(const struct hws_emu *e, uint32_t port)
{
    uint32_t k = module_slot(e, e->profile->ports[port].module);

    return k == e->profile->n_modules || (e->modules[k].admin != HWS_EMU__MODULE_DISABLED &&
                                          e->modules[k].ready_at_ms <= e->now_ms);
}

/* ---- counting ---- */

struct hws_emu_tally hws_emu__link_total(const struct hws_emu *e, uint32_t port)
{
    const struct hws_emu_nic_state *s = &e->nic[port];
    struct hws_emu_tally t = s->total;

    if (s->up) {
        t.up_ms += e->now_ms - s->turned_ms;
        t.line_bits += (e->now_ms - s->turned_ms) * s->mbps * 1000;
    }
    t.at_ms = e->now_ms;
    return t;
}

struct hws_emu_tally hws_emu__link_tally(const struct hws_emu *e, uint32_t port, uint32_t group_idx)
{
    const struct hws_emu_tally *from = &e->nic[port].cleared[group_idx];
    struct hws_emu_tally t = hws_emu__link_total(e, port);

    t.at_ms -= from->at_ms;
    t.up_ms -= from->up_ms;
    t.line_bits -= from->line_bits;
    t.n_down -= from->n_down;
    return t;
}

uint32_t hws_emu__link_lane_rate(const struct hws_emu *e, uint32_t port)
{
    const struct hws_emu_nic_state *s = &e->nic[port];
    uint32_t mbps = s->lanes_oper > 0 ? s->mbps / s->lanes_oper : 0;

    if (mbps >= 50000) {
        return mbps * 17 / 160; /* 256/257 and 514/544 */
    }
    return s->type == HWS_EMU_LINK_ETH || mbps >= 25000 ? mbps * 33 / 320 : mbps / 10; /* 64/66 */
}

/* ---- up and down ---- */

static void link_down(struct hws_emu *e, uint32_t port)
{
    struct hws_emu_nic_state *s = &e->nic[port];

    s->total = hws_emu__link_total(e, port);
    s->total.n_down++;
    s->up = false;
    s->turned_ms = e->now_ms;
    s->mbps = 0;
    s->lanes_oper = 0;
    s->fec = 0;
    s->eth_oper = 0;
    s->ib_oper = 0;
    HWS_EMU__TRACE(e, "emu: port %u link down", port + 1);
}

/* Goes down, or begins to come up, as admin state, cable and module say. */
static void link_settle(struct hws_emu *e, uint32_t port)
{
    struct hws_emu_nic_state *s = &e->nic[port];
    bool wanted = s->admin == HWS_EMU__ADMIN_UP || s->admin == HWS_EMU__ADMIN_UP_ONCE;

    if (!wanted || !e->profile->ports[port].cable || !module_on(e, port)) {
        s->up_at_ms = UINT64_MAX;
        if (s->up) {
            link_down(e, port);
        }
    } else if (!s->up && s->up_at_ms == UINT64_MAX) {
        s->try_at_ms = e->now_ms;
        s->up_at_ms = e->now_ms + e->profile->link_up_ms;
    }
}

void hws_emu__link_set_admin(struct hws_emu *e, uint32_t port, uint8_t admin)
{
    e->nic[port].admin = admin;
    link_settle(e, port);
}

void hws_emu__link_module_changed(struct hws_emu *e, uint8_t module)
{
    for (uint32_t i = 0; i < e->profile->n_ports; i++) {
        if (e->profile->ports[i].module == module) {
            link_settle(e, i);
        }
    }
}

static uint8_t fec_of(const struct hws_emu_nic_state *s, uint8_t speed_bit)
{
    for (uint32_t i = 0; i < HWS_EMU_N_FEC_SPEEDS; i++) {
        if (fec_rows[i].bit == speed_bit) {
            return s->fec_admin[i] != 0 ? s->fec_admin[i] - 1 : fec_rows[i].automatic;
        }
    }
    return 0;
}

static void link_up(struct hws_emu *e, uint32_t port)
{
    const struct hws_emu_nic_port *p = &e->profile->ports[port];
    struct hws_emu_nic_state *s = &e->nic[port];
    uint64_t at_ms = s->up_at_ms;

    s->up_at_ms = UINT64_MAX;
    if (s->type == HWS_EMU_LINK_ETH) {
        const struct hws_emu_eth_speed *best =
            hws_emu_eth_best(p->eth_cap & s->eth_admin, p->speed_mbps);
        s->mbps = best != NULL ? best->mbps : 0;
        s->lanes_oper = best != NULL ? best->lanes : 0;
        s->eth_oper = best != NULL ? UINT32_C(1) << best->bit : 0;
        s->fec = best != NULL ? fec_of(s, best->bit) : 0;
    } else {
        const struct hws_emu_ib_speed *best =
            hws_emu_ib_best(p->ib_cap & s->ib_admin, p->n_lanes, p->speed_mbps);
        s->mbps = best != NULL ? best->mbps * p->n_lanes : 0;
        s->lanes_oper = best != NULL ? p->n_lanes : 0;
        s->ib_oper = (uint16_t)(best != NULL ? 1u << best->bit : 0);
        s->fec = best != NULL ? best->fec : 0;
    }
    if (s->mbps == 0) {
        return; /* nothing both ends can do */
    }
    s->up = true;
    s->was_up = true;
    s->turned_ms = at_ms;
    HWS_EMU__TRACE(e, "emu: port %u link up %u Mb/s", port + 1, s->mbps);
}

/* Modules that were started again and are ready now. */
static uint64_t modules_turn(struct hws_emu *e)
{
    uint64_t next_ms = UINT64_MAX;

    for (uint32_t k = 0; k < e->profile->n_modules; k++) {
        struct hws_emu_module_state *m = &e->modules[k];
        if (m->ready_at_ms > e->now_ms) {
            next_ms = m->ready_at_ms < next_ms ? m->ready_at_ms : next_ms;
        } else if (m->ready_at_ms > 0) {
            m->ready_at_ms = 0;
            hws_emu__link_module_changed(e, e->profile->modules[k].index);
        }
    }
    return next_ms;
}

uint64_t hws_emu__nic_turn(struct hws_emu *e)
{
    if (e->state == HWS_EMU_INITIALIZING) {
        return UINT64_MAX;
    }
    uint64_t next_ms = modules_turn(e);
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
    for (uint32_t k = 0; k < e->profile->n_modules; k++) {
        e->modules[k] = (struct hws_emu_module_state){.admin = HWS_EMU__MODULE_ENABLED};
    }
    for (uint32_t i = 0; i < e->profile->n_ports; i++) {
        const struct hws_emu_nic_port *p = &e->profile->ports[i];
        uint32_t type =
            p->has_type_from ? hws_emu_nv_bits(&e->nv, &p->type_from, HWS_EMU_IMAGE_RUNNING) : 0;
        bool known = type == HWS_EMU_LINK_IB || type == HWS_EMU_LINK_ETH;
        e->nic[i] = (struct hws_emu_nic_state){
            .type = known ? (enum hws_emu_link_type)type : p->type,
            .admin = p->admin_up ? HWS_EMU__ADMIN_UP : HWS_EMU__ADMIN_DOWN,
            .up_at_ms = p->admin_up && p->cable
                            ? e->now_ms + e->profile->boot_ms + e->profile->link_up_ms
                            : UINT64_MAX,
            .try_at_ms = e->now_ms + e->profile->boot_ms,
            .turned_ms = e->now_ms,
            .total = {.at_ms = e->now_ms},
            .eth_admin = p->eth_cap,
            .ib_admin = p->ib_cap,
        };
        for (uint32_t g = 0; g < HWS_EMU_N_PORT_GROUPS; g++) {
            e->nic[i].cleared[g] = e->nic[i].total;
        }
    }
}
