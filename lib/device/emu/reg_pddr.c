/*
 * PDDR: what a port's physical layer is doing, a page at a time: operational (0), troubleshooting
 * (1), phy (2), module (3), the last link-down (6) and link-up (8). Layout: register database of
 * mstflint 4.33.
 */
#include <string.h>

#include "base/str.h"
#include "emu/emu_priv.h"
#include "emu/link_priv.h"

#define PAGE       8u
#define PAGE_BYTES 0xf8u

#define FSM_DISABLED 0u /* phy_mngr_fsm_state */
#define FSM_POLLING  2u
#define FSM_ACTIVE   3u

#define NEGOTIATED_NONE 0u /* neg_mode_active */
#define NEGOTIATED_CL73 2u
#define NEGOTIATED_IB   4u

#define AN_ETH_ABILITY 2u /* eth_an_fsm_state */
#define AN_ETH_GOOD    6u
#define AN_IB_UP       7u /* ib_phy_fsm_state */
#define AN_IB_POLLING  8u

#define PHY_LINKUP  0x50u /* hw_link_phy_state */
#define PHY_POLLING 0x20u
#define PHY_DISABLE 0x30u

#define ISSUE_NONE       0u /* monitor_opcode */
#define ISSUE_CLOSED     1u
#define ISSUE_NO_PARTNER 2u
#define ISSUE_NOT_KNOWN  1023u
#define ISSUE_UNPLUGGED  1024u

#define DOWN_BY_MANAGEMENT 22u /* local_reason_opcode */
#define BLAME_LOCAL        1u

#define CABLE_UNPLUGGED 4u
#define CABLE_QSFP28    0u /* cable_identifier */
#define CABLE_QSFP_PLUS 1u
#define SFF_QSFP_PLUS   0x0du
#define MODULE_READY    3u

static bool closed(const struct hws_emu_nic_state *s)
{
    return s->admin == HWS_EMU__ADMIN_DOWN;
}

static void put_words(uint8_t *d, const struct hws_emu_nic_state *s, uint32_t eth, uint16_t ib,
                      uint16_t width)
{
    if (s->type == HWS_EMU_LINK_ETH) {
        hws_store_be32(d, eth);
    } else {
        hws_store_be16(d, width);
        hws_store_be16(d + 2, ib);
    }
}

static void page_operational(const struct hws_emu *e, uint32_t port, uint8_t *d)
{
    const struct hws_emu_nic_port *p = &e->profile->ports[port];
    const struct hws_emu_nic_state *s = &e->nic[port];
    bool eth = s->type == HWS_EMU_LINK_ETH;
    uint32_t by = eth ? NEGOTIATED_CL73 : NEGOTIATED_IB;

    hws_bits_put(d, 20, 4, eth ? HWS_EMU__PROTO_ETH : HWS_EMU__PROTO_IB);
    hws_bits_put(d, 16, 4, s->up && !s->an_disable ? by : NEGOTIATED_NONE);
    d[4] = s->up ? FSM_ACTIVE : closed(s) ? FSM_DISABLED : FSM_POLLING;
    if (eth) {
        d[5] = s->up ? AN_ETH_GOOD : closed(s) ? 0 : AN_ETH_ABILITY;
    } else {
        d[6] = s->up ? AN_IB_UP : closed(s) ? 0 : AN_IB_POLLING;
    }
    put_words(d + 0x08, s, s->eth_admin, s->ib_admin, p->n_lanes);
    put_words(d + 0x0c, s, s->eth_admin, s->ib_admin, p->n_lanes);
    if (p->cable) {
        put_words(d + 0x10, s, p->eth_cap, p->ib_cap, p->n_lanes);
    }
    put_words(d + 0x14, s, s->eth_oper, s->ib_oper, s->lanes_oper);
    hws_store_be16(d + 0x1c, s->fec);
}

struct issue {
    uint16_t opcode;
    const char *text;
};

static struct issue issue_of(const struct hws_emu *e, uint32_t port)
{
    const struct hws_emu_nic_state *s = &e->nic[port];

    if (s->up) {
        return (struct issue){ISSUE_NONE, "No issue was observed"};
    }
    if (!e->profile->ports[port].cable) {
        return (struct issue){ISSUE_UNPLUGGED, "Cable is unplugged"};
    }
    if (closed(s)) {
        return (struct issue){ISSUE_CLOSED, "Port is closed by command"};
    }
    if (s->up_at_ms == UINT64_MAX) {
        return (struct issue){ISSUE_NOT_KNOWN, "The module is not ready"};
    }
    return (struct issue){ISSUE_NO_PARTNER, "Negotiation failure: no partner detected"};
}

static void page_troubleshooting(const struct hws_emu *e, uint32_t port, uint8_t *d)
{
    struct issue issue = issue_of(e, port);

    hws_store_be16(d + 6, issue.opcode);
    hws_emu__put_text(d + 0x0c, PAGE_BYTES - 0x0c, issue.text);
}

static void page_phy(const struct hws_emu *e, uint32_t port, uint8_t *d)
{
    const struct hws_emu_nic_state *s = &e->nic[port];

    d[8] = s->up ? PHY_LINKUP : closed(s) ? PHY_DISABLE : PHY_POLLING;
    put_words(d + 0x10, s, s->up ? e->profile->ports[port].eth_cap : 0,
              s->up ? e->profile->ports[port].ib_cap : 0,
              s->up ? e->profile->ports[port].n_lanes : 0);
    hws_store_be16(d + 0x16, s->fec);
    for (uint32_t lane = 0; lane < s->lanes_oper && lane < 8; lane++) {
        d[0x68] = (uint8_t)(d[0x68] | 1u << lane); /* signal_detected */
    }
}

static void page_module(const struct hws_emu *e, uint32_t port, uint8_t *d)
{
    const struct hws_emu_module *m = hws_emu__port_module(e, port);

    if (!e->profile->ports[port].cable) {
        hws_bits_put(d + 4, 28, 4, CABLE_UNPLUGGED);
        return;
    }
    if (m == NULL) {
        return; /* unidentified */
    }
    d[0] = (uint8_t)(m->technology << 4); /* byte 147 of SFF-8636 */
    hws_bits_put(d + 4, 28, 4, m->cable);
    d[5] = m->length_m;
    d[6] = m->identifier == SFF_QSFP_PLUS ? CABLE_QSFP_PLUS : CABLE_QSFP28;
    d[7] = m->power_class;
    hws_emu__put_text(d + 0x14, 16, m->vendor);
    hws_emu__put_text(d + 0x24, 16, m->part);
    hws_emu__put_text(d + 0x34, 4, m->revision);
    hws_emu__put_text(d + 0x3c, 16, m->serial);
    hws_store_be16(d + 0x4c, (uint16_t)(hws_emu__module_celsius_8(e, m) * 32));
    hws_store_be16(d + 0x4e, (uint16_t)(m->millivolt * 10u));
    for (size_t lane = 0; lane < e->profile->ports[port].n_lanes && lane < 8; lane++) {
        hws_store_be16(d + 0x50 + 2 * lane, m->rx_uw);
        hws_store_be16(d + 0x60 + 2 * lane, m->tx_uw);
        hws_store_be16(d + 0x70 + 2 * lane, m->bias_ua / 2);
    }
    hws_store_be16(d + 0x96, m->wavelength_nm);
    hws_bits_put(d + 0x94, 29, 3, MODULE_READY);
    hws_emu__put_text(d + 0xb0, 8, m->date);
    d[0xb8] = m->connector;
    d[0xb9] = (uint8_t)(m->oui >> 16);
    hws_store_be16(d + 0xba, (uint16_t)m->oui);
}

static void page_down(const struct hws_emu *e, uint32_t port, uint8_t *d)
{
    if (hws_emu__link_total(e, port).n_down > 0) {
        d[3] = BLAME_LOCAL;
        d[7] = DOWN_BY_MANAGEMENT;
    }
}

static void page_up(const struct hws_emu *e, uint32_t port, uint8_t *d)
{
    const struct hws_emu_nic_state *s = &e->nic[port];

    if (s->up) {
        hws_bits_put(d, 8, 4, 1); /* by a host */
        hws_store_be32(d + 0x04, (uint32_t)(s->turned_ms - s->try_at_ms));
        hws_store_be32(d + 0x10, (uint32_t)(s->turned_ms - s->try_at_ms));
    }
}

void hws_emu__pddr(struct hws_emu *e, struct hws_emu__reg *r)
{
    static const struct {
        uint8_t number;
        void (*fill)(const struct hws_emu *e, uint32_t port, uint8_t *d);
    } pages[] = {
        {0, page_operational}, {1, page_troubleshooting},
        {2, page_phy},         {3, page_module},
        {6, page_down},        {8, page_up},
    };
    uint32_t port;
    uint8_t *d = r->data + PAGE;

    if (!hws_emu__port_find(e, r, &port)) {
        return;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (pages[i].number != r->data[7]) {
            continue;
        }
        if (r->data[7] == 1 && hws_load_be16(d + 2) != 0) {
            break; /* another group of opcodes than the monitor's */
        }
        memset(d, 0, PAGE_BYTES);
        pages[i].fill(e, port, d);
        return;
    }
    hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_GROUP);
}
