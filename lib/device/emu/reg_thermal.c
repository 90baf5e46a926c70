/* Temperatures: MTCAP (which sensors) and MTMP (one sensor). Layouts: mlx5_ifc.h, Linux 7.2.13. */
#include <string.h>

#include "emu/emu_priv.h"

void hws_emu__thermal_reset(struct hws_emu *e)
{
    for (uint32_t i = 0; i < e->profile->n_sensors; i++) {
        const struct hws_emu_sensor *s = &e->profile->sensors[i];
        e->sensors[i] = (struct hws_emu_sensor_state){
            .max = s->value, .threshold_hi = s->threshold_hi, .threshold_lo = s->threshold_lo};
    }
}

/* Counts what its map names, as the driver's hwmon takes it: sensors of modules are beside them. */
void hws_emu__mtcap(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint64_t map = 0;
    uint32_t n_internal = 0;

    for (uint32_t i = 0; i < e->profile->n_sensors; i++) {
        uint16_t index = e->profile->sensors[i].index;
        if (index < 64) {
            map |= UINT64_C(1) << index;
            n_internal++;
        }
    }
    memset(r->data, 0, 0x10);
    hws_bits_put(r->data, 0, 7, n_internal);
    r->data[7] = (uint8_t)n_internal;
    hws_store_be64(r->data + 8, map);
}

static bool find(const struct hws_emu *e, struct hws_emu__reg *r, uint32_t *out_i)
{
    for (uint32_t i = 0; i < e->profile->n_sensors; i++) {
        if (e->profile->sensors[i].index == hws_bits_get(r->data, 0, 12)) {
            *out_i = i;
            return true;
        }
    }
    hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
    return false;
}

void hws_emu__mtmp_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!find(e, r, &i)) {
        return;
    }
    const struct hws_emu_sensor *p = &e->profile->sensors[i];
    const struct hws_emu_sensor_state *s = &e->sensors[i];
    memset(r->data + 4, 0, 0x1c);
    hws_store_be16(r->data + 0x06, (uint16_t)p->value);
    hws_bits_put(r->data + 0x08, 31, 1, s->track_max ? 1 : 0);
    hws_store_be16(r->data + 0x0a, (uint16_t)s->max);
    hws_bits_put(r->data + 0x0c, 30, 2, s->event_mode);
    hws_store_be16(r->data + 0x0e, (uint16_t)s->threshold_hi);
    hws_store_be16(r->data + 0x12, (uint16_t)s->threshold_lo);
    memcpy(r->data + 0x18, p->name, 8);
}

void hws_emu__mtmp_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    uint32_t i;

    if (!find(e, r, &i)) {
        return;
    }
    struct hws_emu_sensor_state *s = &e->sensors[i];
    s->track_max = hws_bits_get(r->data + 0x08, 31, 1) != 0;
    if (hws_bits_get(r->data + 0x08, 30, 1) != 0) {
        s->max = e->profile->sensors[i].value;
    }
    s->event_mode = (uint8_t)hws_bits_get(r->data + 0x0c, 30, 2);
    s->threshold_hi = (int16_t)hws_load_be16(r->data + 0x0e);
    s->threshold_lo = (int16_t)hws_load_be16(r->data + 0x12);
    hws_emu__mtmp_read(e, r);
}
