/*
 * PPCNT: port counters. Layouts: mlx5_ifc.h (Linux 7.2.13) and the register database of mstflint
 * 4.33. A port receives and sends frames of one size at the profile's rates while its link is up,
 * all unicast, of priority and traffic class 0; each group counts since it was cleared.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "emu/link_priv.h"

#define COUNTERS      8u
#define COUNTER_BYTES 0xf8u
#define ALL_GROUPS    0x3fu
#define PRIORITIES    8u

struct counts {
    const struct hws_emu *e;
    uint32_t port;
    uint32_t prio; /* prio_tc of the request */
    struct hws_emu_tally t;
    uint64_t rx;
    uint64_t tx;
    uint64_t rx_bytes;
    uint64_t tx_bytes;
    uint64_t discards;
    uint64_t symbol_errors;
    uint64_t corrected;
};

static void group_802_3(const struct counts *n, uint8_t *c)
{
    hws_store_be64(c + 0x00, n->tx);
    hws_store_be64(c + 0x08, n->rx);
    hws_store_be64(c + 0x20, n->tx_bytes);
    hws_store_be64(c + 0x28, n->rx_bytes);
    hws_store_be64(c + 0x68, n->symbol_errors);
}

static void group_2863(const struct counts *n, uint8_t *c)
{
    hws_store_be64(c + 0x00, n->rx_bytes);
    hws_store_be64(c + 0x08, n->rx);
    hws_store_be64(c + 0x10, n->discards);
    hws_store_be64(c + 0x28, n->tx_bytes);
    hws_store_be64(c + 0x30, n->tx);
}

/* Which of the ten size classes a frame falls into: 64, 65.., 128.., 256.., 512.., 1024..1518,
 * ..2047, ..4095, ..8191, more. */
static uint32_t size_class(uint32_t bytes)
{
    static const uint32_t last[] = {64, 127, 255, 511, 1023, 1518, 2047, 4095, 8191};
    uint32_t k = 0;

    while (k < sizeof(last) / sizeof(last[0]) && bytes > last[k]) {
        k++;
    }
    return k;
}

static void group_2819(const struct counts *n, uint8_t *c)
{
    uint32_t k = size_class(n->e->profile->ports[n->port].frame_bytes);

    hws_store_be64(c + 0x08, n->rx_bytes);
    hws_store_be64(c + 0x10, n->rx);
    hws_store_be64(c + 0x58 + (size_t)8 * k, n->rx);
}

static void group_3635(const struct counts *n, uint8_t *c)
{
    hws_store_be64(c + 0x60, n->symbol_errors);
}

static void group_extended(const struct counts *n, uint8_t *c)
{
    uint32_t k = size_class(n->e->profile->ports[n->port].frame_bytes);

    hws_store_be64(c + 0x50 + (size_t)8 * k, n->tx);
}

static void group_discards(const struct counts *n, uint8_t *c)
{
    hws_store_be64(c + 0x00, n->discards);
    hws_store_be64(c + 0x78, n->discards);
}

/* The queue itself is never seen with something in it. */
static void group_class(const struct counts *n, uint8_t *c)
{
    if (n->prio == 0) {
        hws_store_be64(c + 0x08, n->discards);
    }
}

static void group_priority(const struct counts *n, uint8_t *c)
{
    if (n->prio == 0) {
        hws_store_be64(c + 0x00, n->rx_bytes);
        hws_store_be64(c + 0x20, n->rx);
        hws_store_be64(c + 0x28, n->tx_bytes);
        hws_store_be64(c + 0x48, n->tx);
    }
}

static void group_physical(const struct counts *n, uint8_t *c)
{
    uint8_t lanes = n->e->profile->ports[n->port].n_lanes;

    hws_store_be64(c + 0x00, n->t.at_ms);
    hws_store_be64(c + 0x08, n->symbol_errors);
    hws_store_be64(c + 0x80, n->symbol_errors);
    hws_store_be64(c + 0x78, n->corrected);
    hws_store_be64(c + 0x98, n->corrected);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        size_t at = lane < 4 ? 0xa0 + (size_t)8 * lane : 0xc8 + (size_t)8 * (lane - 4);
        hws_store_be64(c + at, n->corrected / lanes);
    }
    hws_store_be32(c + 0xc0, n->t.n_down);
    hws_store_be32(c + 0xf4, n->t.n_down); /* every one of them was meant */
}

/* A rate as coef * 10^-magnitude; none seen: 15E-255, as tools take it. */
static void put_rate(uint8_t *dw, uint64_t errors, uint64_t bits)
{
    uint32_t magnitude = 0;

    if (errors == 0 || bits == 0) {
        hws_bits_put(dw, 0, 4, 15);
        hws_bits_put(dw, 8, 8, 255);
        return;
    }
    while (magnitude < 255 && errors < bits && errors <= UINT64_MAX / 10) {
        errors *= 10;
        magnitude++;
    }
    uint64_t coef = errors / bits;
    hws_bits_put(dw, 0, 4, (uint32_t)(coef < 15 ? coef : 15));
    hws_bits_put(dw, 8, 8, magnitude);
}

static void group_statistical(const struct counts *n, uint8_t *c)
{
    uint8_t lanes = n->e->profile->ports[n->port].n_lanes;

    hws_store_be64(c + 0x00, n->t.at_ms);
    hws_store_be64(c + 0x08, n->t.line_bits);
    hws_store_be64(c + 0x10, n->symbol_errors);
    hws_store_be64(c + 0x18, n->corrected);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        hws_store_be64(c + 0x20 + (size_t)8 * lane, n->corrected / lanes);
    }
    put_rate(c + 0x60, n->corrected + n->symbol_errors, n->t.line_bits);
    put_rate(c + 0x64, n->symbol_errors, n->t.line_bits);
    put_rate(c + 0x68, n->symbol_errors, n->t.line_bits);
    hws_store_be64(c + 0x7c, n->symbol_errors);
}

static void group_recovery(const struct counts *n, uint8_t *c)
{
    hws_store_be32(c + 0x08, n->t.n_down); /* every one of them was meant */
}

static uint32_t saturate(uint64_t v, uint32_t most)
{
    return v < most ? (uint32_t)v : most;
}

/* The old InfiniBand counters stop at their last value; data is in words of four bytes. */
static void group_ib(const struct counts *n, uint8_t *c)
{
    hws_bits_put(c, 16, 16, saturate(n->symbol_errors, UINT16_MAX));
    hws_bits_put(c, 0, 8, saturate(n->t.n_down, UINT8_MAX));
    hws_store_be32(c + 0x14, saturate(n->tx_bytes / 4, UINT32_MAX));
    hws_store_be32(c + 0x18, saturate(n->rx_bytes / 4, UINT32_MAX));
    hws_store_be32(c + 0x1c, saturate(n->tx, UINT32_MAX));
    hws_store_be32(c + 0x20, saturate(n->rx, UINT32_MAX));
}

static void group_ib_extended(const struct counts *n, uint8_t *c)
{
    hws_store_be64(c + 0x00, n->symbol_errors);
    hws_store_be64(c + 0x10, n->t.n_down);
    hws_store_be64(c + 0x60, n->tx_bytes / 4);
    hws_store_be64(c + 0x68, n->rx_bytes / 4);
    hws_store_be64(c + 0x70, n->tx);
    hws_store_be64(c + 0x78, n->rx);
    hws_store_be64(c + 0x90, n->tx);
    hws_store_be64(c + 0xa0, n->rx);
}

/* Codewords of 5440 bits with 0, and with 1 corrected symbol; counted while a FEC runs. */
static void group_histogram(const struct counts *n, uint8_t *c)
{
    uint64_t words = n->t.line_bits / 5440;
    uint64_t one = n->corrected < words ? n->corrected : words;

    hws_store_be64(c + 0x00, words - one);
    hws_store_be64(c + 0x08, one);
}

struct group {
    uint8_t number;
    bool per_prio;
    void (*fill)(const struct counts *n, uint8_t *c);
};

static const struct group groups[] = {
    {0x00, false, group_802_3},       {0x01, false, group_2863},      {0x02, false, group_2819},
    {0x03, false, group_3635},        {0x05, false, group_extended},  {0x06, false, group_discards},
    {0x10, true, group_priority},     {0x11, true, group_class},      {0x12, false, group_physical},
    {0x16, false, group_statistical}, {0x1a, false, group_recovery},  {0x20, false, group_ib},
    {0x21, false, group_ib_extended}, {0x23, false, group_histogram},
};

_Static_assert(sizeof(groups) / sizeof(groups[0]) == HWS_EMU_N_PORT_GROUPS,
               "a port keeps one clearing for each group");

static struct counts count(const struct hws_emu *e, uint32_t port, uint32_t group_idx)
{
    const struct hws_emu_nic_port *p = &e->profile->ports[port];
    struct counts n = {.e = e, .port = port, .t = hws_emu__link_tally(e, port, group_idx)};

    n.rx = hws_emu__over(p->rx_frames_per_s, n.t.up_ms);
    n.tx = hws_emu__over(p->tx_frames_per_s, n.t.up_ms);
    n.rx_bytes = n.rx * p->frame_bytes;
    n.tx_bytes = n.tx * p->frame_bytes;
    n.discards = hws_emu__over(p->rx_discards_per_s, n.t.up_ms);
    n.symbol_errors = hws_emu__over(p->symbol_errors_per_h, n.t.up_ms) / 3600;
    n.corrected = hws_emu__over(p->corrected_bits_per_s, n.t.up_ms);
    return n;
}

static void clear_group(struct hws_emu *e, uint32_t port, uint32_t group_idx)
{
    e->nic[port].cleared[group_idx] = hws_emu__link_total(e, port);
}

void hws_emu__ppcnt(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t number = hws_bits_get(r->data, 0, 6);
    uint32_t prio = hws_bits_get(r->data + 4, 0, 5);
    bool clear = hws_bits_get(r->data + 4, 31, 1) != 0;
    uint32_t port;
    uint32_t g = 0;

    if (!hws_emu__port_find(e, r, &port)) {
        return;
    }
    memset(r->data + COUNTERS, 0, COUNTER_BYTES);
    hws_bits_put(r->data + 4, 31, 1, 0);
    if (number == ALL_GROUPS && clear) {
        for (g = 0; g < HWS_EMU_N_PORT_GROUPS; g++) {
            clear_group(e, port, g);
        }
        return;
    }
    while (g < HWS_EMU_N_PORT_GROUPS && groups[g].number != number) {
        g++;
    }
    if (g == HWS_EMU_N_PORT_GROUPS || (groups[g].per_prio && prio >= PRIORITIES)) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_GROUP);
        return;
    }
    struct counts n = count(e, port, g);
    n.prio = prio;
    groups[g].fill(&n, r->data + COUNTERS);
    if (clear) {
        clear_group(e, port, g);
    }
}
