/*
 * Who the adapter is: MGIR, MSGI, MQIS, and which registers it has: MCAM,
 * PCAM, QCAM.
 * Layouts: register database of mstflint 4.33 and mlx5_ifc.h, Linux 7.2.13.
 */
#include <string.h>

#include "emu/emu_priv.h"

#define CAP_IDS               128u /* registers in a group of MCAM, PCAM, QCAM */
#define CAP_REGISTERS_LAST_DW 0x14u
#define CAP_FEATURES_LAST_DW  0x34u

void hws_emu__mgir(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu_profile *p = e->profile;
    const struct hws_emu_version *fw = &e->nv.running;
    uint8_t *d = r->data;

    memset(d, 0, 0xa0);
    hws_store_be16(d + 0x00, p->hw_revision);
    hws_store_be16(d + 0x02, p->pci_device_id);
    hws_bits_put(d + 0x04, 16, 12, p->n_ports);
    hws_store_be16(d + 0x0a, p->hw_dev_id);
    hws_store_be16(d + 0x12, (uint16_t)(p->base_mac >> 32));
    hws_store_be32(d + 0x14, (uint32_t)p->base_mac);
    hws_store_be32(d + 0x1c, (uint32_t)((e->now_ms - e->boot_at_ms) / 1000));
    /* The old version fields have eight bits each. */
    d[0x21] = (uint8_t)fw->major;
    d[0x22] = (uint8_t)fw->minor;
    d[0x23] = (uint8_t)fw->subminor;
    hws_store_be32(d + 0x24, fw->build_id);
    d[0x28] = fw->month;
    d[0x29] = fw->day;
    hws_store_be16(d + 0x2a, fw->year);
    hws_emu__put_text(d + 0x30, 16, p->psid);
    hws_store_be32(d + 0x44, fw->major);
    hws_store_be32(d + 0x48, fw->minor);
    hws_store_be32(d + 0x4c, fw->subminor);
    hws_emu__put_text(d + 0x80, 28, fw->branch);
}

void hws_emu__msgi(struct hws_emu *e, struct hws_emu__reg *r)
{
    const struct hws_emu_profile *p = e->profile;

    memset(r->data, 0, 0x80);
    hws_emu__put_text(r->data + 0x00, 24, p->serial);
    hws_emu__put_text(r->data + 0x20, 20, p->part);
    hws_emu__put_text(r->data + 0x38, 8, p->revision);
    hws_emu__put_text(r->data + 0x40, 64, p->product);
}

/* Information strings, eight bytes at a time: info_type B3, info_length u16@6, read_offset u16@8,
 * read_length u16@10, text @0x10. */
void hws_emu__mqis(struct hws_emu *e, struct hws_emu__reg *r)
{
    const char *text;

    switch (r->data[3]) {
    case 1: /* model name */
        text = e->profile->part;
        break;
    case 2: /* model description */
        text = e->profile->product;
        break;
    default:
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_INDEX);
        return;
    }
    size_t len = strlen(text);
    size_t offset = hws_load_be16(r->data + 8);
    size_t n = hws_load_be16(r->data + 10);
    n = n < 8 ? n : 8;
    n = offset >= len ? 0 : n;
    n = n < len - offset || offset >= len ? n : len - offset;
    hws_store_be16(r->data + 6, (uint16_t)len);
    hws_store_be16(r->data + 10, (uint16_t)n);
    memset(r->data + 0x10, 0, 8);
    if (n > 0) {
        memcpy(r->data + 0x10, text + offset, n);
    }
}

/* A bit of a mask of 128: bit i & 31 of the dword at last_dw - 4 * (i >> 5). */
static void put_bit(uint8_t *data, uint32_t last_dw, uint32_t bit)
{
    hws_bits_put(data + last_dw - (size_t)4 * (bit >> 5), bit & 31, 1, 1);
}

/* Answers MCAM, PCAM or QCAM: a bit for each register there is from base on, and the features. */
static void cap_mask(struct hws_emu__reg *r, uint32_t bytes, uint32_t n_groups, uint16_t base,
                     const uint8_t *features, size_t n_features)
{
    uint32_t n;
    uint8_t group = r->data[3];
    const struct hws_emu__reg_row *rows = hws_emu__reg_rows(&n);

    if (group >= n_groups || r->data[1] != 0) {
        hws_emu__reg_refuse(r, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG_GROUP);
        return;
    }
    uint32_t from = base + CAP_IDS * group;
    memset(r->data, 0, bytes);
    r->data[3] = group;
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i].id >= from && rows[i].id < from + CAP_IDS) {
            put_bit(r->data, CAP_REGISTERS_LAST_DW, rows[i].id - from);
        }
    }
    for (size_t i = 0; i < n_features; i++) {
        put_bit(r->data, CAP_FEATURES_LAST_DW, features[i]);
    }
}

/* PCIe performance group of MPCNT, status and power of MPEIN, reset_state of MFRL, MCIA of 128
 * bytes. */
void hws_emu__mcam(struct hws_emu *e, struct hws_emu__reg *r)
{
    static const uint8_t features[] = {0, 17, 21, 34};

    (void)e;
    cap_mask(r, 0x48, 4, 0x9000, features, sizeof(features));
}

/* Groups of PPCNT: statistical, discard, recovery; connector of PTYS, errors of each lane, extended
 * Ethernet words; PPLM's words of 50, 100 and 200 Gb/s a lane. */
void hws_emu__pcam(struct hws_emu *e, struct hws_emu__reg *r)
{
    static const uint8_t features[] = {0, 1, 3, 5, 13, 23, 55, 98, 111};

    (void)e;
    cap_mask(r, 0x50, 1, 0x5000, features, sizeof(features));
}

void hws_emu__qcam(struct hws_emu *e, struct hws_emu__reg *r)
{
    (void)e;
    cap_mask(r, 0x48, 1, 0x4000, NULL, 0);
}

void hws_emu__host_endianness_read(struct hws_emu *e, struct hws_emu__reg *r)
{
    memcpy(r->data, e->host_endianness, sizeof(e->host_endianness));
}

void hws_emu__host_endianness_write(struct hws_emu *e, struct hws_emu__reg *r)
{
    memcpy(e->host_endianness, r->data, sizeof(e->host_endianness));
}
