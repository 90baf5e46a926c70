/*
 * Modules in their cages: PMAOS (state, reset) and MCIA (their memory). Layouts: mlx5_ifc.h (Linux
 * 7.2.13) and the register database of mstflint 4.33; the memory map: SFF-8636 revision 2.10.
 *
 * A module that is reset answers MODULE_INIT_MS later, and its links with it.
 */
#include <string.h>

#include "emu/emu_priv.h"
#include "emu/link_priv.h"

#define MODULE_INIT_MS 2000u /* t_init of SFF-8636: the longest a module may take */

#define ADMIN_ENABLED_ONCE 3u
#define OPER_INITIALIZING  0u
#define OPER_PLUGGED       1u
#define OPER_UNPLUGGED     2u
#define OPER_UNKNOWN       5u

#define MCIA_OK            0u
#define MCIA_NO_EEPROM     1u
#define MCIA_NOT_CONNECTED 3u
#define MCIA_I2C_ERROR     9u
#define MCIA_DISABLED      16u
#define MCIA_MAX_BYTES     128u
#define I2C_ADDRESS        0x50u

#define MAP_BYTES       256u
#define SENSOR_OF_CAGES 64u /* MTMP sensor_index of module 0 */

/* ---- which module ---- */

struct cage {
    bool exists; /* a port lies on it */
    bool cable;
    const struct hws_emu_module *module; /* NULL: the profile says nothing about it */
    uint32_t slot;                       /* of module */
};

static struct cage cage_of(const struct hws_emu *e, uint8_t index)
{
    const struct hws_emu_profile *p = e->profile;
    struct cage c = {0};

    for (uint32_t i = 0; i < p->n_ports; i++) {
        if (p->ports[i].module == index) {
            c.exists = true;
            c.cable = c.cable || p->ports[i].cable;
        }
    }
    for (uint32_t k = 0; k < p->n_modules; k++) {
        if (p->modules[k].index == index) {
            c.module = &p->modules[k];
            c.slot = k;
        }
    }
    return c;
}

static bool find(const struct hws_emu *e, struct hws_emu__reg *r, struct cage *out)
{
    *out = cage_of(e, r->data[1]);
    if (!out->exists) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return false;
    }
    return true;
}

int16_t hws_emu__module_celsius_8(const struct hws_emu *e, const struct hws_emu_module *m)
{
    for (uint32_t i = 0; i < e->profile->n_sensors; i++) {
        if (e->profile->sensors[i].index == SENSOR_OF_CAGES + m->index) {
            return e->profile->sensors[i].value;
        }
    }
    return 0;
}

/* ---- PMAOS ---- */

static uint32_t oper(const struct hws_emu *e, const struct cage *c)
{
    if (!c->cable) {
        return OPER_UNPLUGGED;
    }
    if (c->module == NULL) {
        return OPER_PLUGGED;
    }
    if (e->modules[c->slot].admin == HWS_EMU__MODULE_DISABLED) {
        return OPER_UNKNOWN; /* reserved then */
    }
    return e->modules[c->slot].ready_at_ms > e->now_ms ? OPER_INITIALIZING : OPER_PLUGGED;
}

void hws_emu__pmaos_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    struct cage c;

    if (!find(e, r, &c)) {
        return;
    }
    uint32_t admin = c.module != NULL ? e->modules[c.slot].admin : HWS_EMU__MODULE_ENABLED;
    r->data[0] = 0;
    memset(r->data + 2, 0, 0x0e);
    hws_bits_put(r->data, 8, 4, admin);
    hws_bits_put(r->data, 0, 4, oper(e, &c));
    hws_bits_put(r->data + 4, 0, 2, c.module != NULL ? e->modules[c.slot].event_mode : 0);
}

void hws_emu__pmaos_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    struct cage c;
    uint32_t admin = hws_bits_get(r->data, 8, 4);
    bool ase = hws_bits_get(r->data + 4, 31, 1) != 0;
    bool reset = hws_bits_get(r->data, 31, 1) != 0;

    if (!find(e, r, &c)) {
        return;
    }
    if (c.module == NULL ||
        (ase && !reset && (admin < HWS_EMU__MODULE_ENABLED || admin > ADMIN_ENABLED_ONCE))) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    struct hws_emu_module_state *m = &e->modules[c.slot];
    if (reset) {
        m->ready_at_ms = e->now_ms + MODULE_INIT_MS;
    } else if (ase) {
        m->admin = (uint8_t)admin;
    }
    if (hws_bits_get(r->data + 4, 30, 1) != 0) { /* ee */
        m->event_mode = (uint8_t)hws_bits_get(r->data + 4, 0, 2);
    }
    hws_emu__link_module_changed(e, c.module->index);
    hws_emu__pmaos_read(e, r);
}

/* ---- the memory map ---- */

static void put_padded(uint8_t *dst, size_t n, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < n; i++) {
        dst[i] = i < len ? (uint8_t)text[i] : ' ';
    }
}

static uint8_t sum(const uint8_t *map, size_t from, size_t to)
{
    uint32_t s = 0;

    for (size_t i = from; i <= to; i++) {
        s += map[i];
    }
    return (uint8_t)s;
}

/* Lower memory 0..127 and upper page 0, as SFF-8636 has them. */
static void fill_map(const struct hws_emu *e, const struct hws_emu_module *m, uint8_t *map)
{
    bool copper = m->cable == HWS_EMU_CABLE_COPPER;

    memset(map, 0, MAP_BYTES);
    map[0] = m->identifier;
    map[1] = 0x08; /* SFF-8636 revision 2.8 to 2.10 */
    map[2] = copper ? 0x04 : 0;
    hws_store_be16(map + 22, (uint16_t)(hws_emu__module_celsius_8(e, m) * 32));
    hws_store_be16(map + 26, (uint16_t)(m->millivolt * 10u));
    for (size_t lane = 0; lane < 4; lane++) {
        hws_store_be16(map + 34 + 2 * lane, (uint16_t)(m->rx_uw * 10u));
        hws_store_be16(map + 42 + 2 * lane, m->bias_ua / 2);
        hws_store_be16(map + 50 + 2 * lane, (uint16_t)(m->tx_uw * 10u));
    }
    map[128] = m->identifier;
    map[129] = (uint8_t)(m->power_class <= 3 ? m->power_class << 6 : 0xc0 | (m->power_class - 3));
    map[130] = m->connector;
    map[146] = m->length_m;
    map[147] = (uint8_t)(m->technology << 4);
    put_padded(map + 148, 16, m->vendor);
    map[165] = (uint8_t)(m->oui >> 16);
    hws_store_be16(map + 166, (uint16_t)m->oui);
    put_padded(map + 168, 16, m->part);
    put_padded(map + 184, 2, m->revision);
    hws_store_be16(map + 186, copper ? 0 : (uint16_t)(m->wavelength_nm * 20u));
    map[191] = sum(map, 128, 190);
    put_padded(map + 196, 16, m->serial);
    put_padded(map + 212, 8, m->date);
    map[220] = copper ? 0 : 0x0c; /* receiver power is an average, transmitter power is measured */
    map[223] = sum(map, 192, 222);
}

static uint8_t mcia_status(const struct hws_emu *e, const struct cage *c, uint32_t page,
                           uint32_t last)
{
    if (!c->cable) {
        return MCIA_NOT_CONNECTED;
    }
    if (c->module == NULL) {
        return MCIA_NO_EEPROM;
    }
    if (e->modules[c->slot].admin == HWS_EMU__MODULE_DISABLED) {
        return MCIA_DISABLED;
    }
    bool ready = e->modules[c->slot].ready_at_ms <= e->now_ms;
    return ready && (page == 0 || last < MAP_BYTES / 2) ? MCIA_OK : MCIA_I2C_ERROR;
}

void hws_emu__mcia(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint8_t map[MAP_BYTES];
    struct cage c;
    uint32_t at = hws_load_be16(r->data + 6);
    uint32_t n = hws_load_be16(r->data + 0x0a);

    if (!find(e, r, &c)) {
        return;
    }
    if (r->data[4] != I2C_ADDRESS || n == 0 || n > MCIA_MAX_BYTES || at >= MAP_BYTES ||
        n > MAP_BYTES - at || r->out_cap_bytes < 0x10 + n) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_VALUE);
        return;
    }
    memset(r->data + 0x10, 0, MCIA_MAX_BYTES);
    r->data[3] = mcia_status(e, &c, r->data[5], at + n - 1);
    if (r->data[3] == MCIA_OK) {
        fill_map(e, c.module, map);
        memcpy(r->data + 0x10, map + at, n);
    }
}
