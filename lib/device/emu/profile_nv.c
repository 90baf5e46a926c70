/*
 * Parameters of a profile: the records (TLVs), their fields, and the references between them. A
 * record's default bytes are made of its fields' defaults; bits that no field names are 0 and
 * accepted as written.
 */
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "emu/profile_priv.h"

#define FIELD(type, key, required, kind, field, least, most)                                       \
    {                                                                                              \
        key, required, hws_emu__read_##kind, offsetof(struct type, field), (least), (most)         \
    }
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

#define BITS_KEYS(type, member)                                                                    \
    FIELD(type, "dw", true, u16, member dw, 0, HWS_EMU_TLV_MAX_BYTES - 4),                         \
        FIELD(type, "lsb", true, u8, member lsb_idx, 0, 31),                                       \
        FIELD(type, "bits", true, u8, member n_bits, 1, 32)

static enum hws_code check_bits(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu_bits *b)
{
    if (b->dw % 4 != 0) {
        return hws_emu__yaml_bad(y, node, "dw: %u is not a multiple of 4", b->dw);
    }
    if (b->lsb_idx + b->n_bits > 32) {
        return hws_emu__yaml_bad(y, node, "bits: %u from bit %u reach out of the dword", b->n_bits,
                                 b->lsb_idx);
    }
    return HWS_OK;
}

enum hws_code hws_emu__read_bits(struct hws_emu__yaml *y, struct fy_node *node,
                                 struct hws_emu_bits *out)
{
    static const struct hws_emu__key keys[] = {
        FIELD(hws_emu_bits, "type", true, u32, type, 0, UINT32_MAX),
        BITS_KEYS(hws_emu_bits, ),
    };
    enum hws_code rc = hws_emu__yaml_map(y, node, keys, COUNT(keys), out);

    return rc == HWS_OK ? check_bits(y, node, out) : rc;
}

static enum hws_code read_max_from(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_field *f = obj;

    (void)key;
    f->has_max_from = true;
    return hws_emu__read_bits(y, node, &f->max_from);
}

static enum hws_code read_needs(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_field *f = obj;

    (void)key;
    f->has_needs = true;
    return hws_emu__read_bits(y, node, &f->needs);
}

static enum hws_code read_field(struct hws_emu__yaml *y, struct fy_node *node,
                                struct hws_emu_field *f)
{
    static const struct hws_emu__key keys[] = {
        FIELD(hws_emu_field, "name", true, text, name, 1, HWS_EMU_NAME_BYTES),
        BITS_KEYS(hws_emu_field, at.),
        FIELD(hws_emu_field, "default", false, u32, def, 0, UINT32_MAX),
        FIELD(hws_emu_field, "min", false, u32, min, 0, UINT32_MAX),
        FIELD(hws_emu_field, "max", false, u32, max, 0, UINT32_MAX),
        {"max_from", false, read_max_from, 0, 0, 0},
        {"needs", false, read_needs, 0, 0, 0},
    };

    f->max = UINT32_MAX;
    enum hws_code rc = hws_emu__yaml_map(y, node, keys, COUNT(keys), f);
    if (rc == HWS_OK) {
        rc = check_bits(y, node, &f->at);
    }
    if (rc != HWS_OK) {
        return rc;
    }
    uint32_t ones = f->at.n_bits == 32 ? UINT32_MAX : (UINT32_C(1) << f->at.n_bits) - 1;
    f->max = f->max < ones ? f->max : ones;
    if (f->def > f->max || f->def < f->min) {
        return hws_emu__yaml_bad(y, node, "%s: default %u is not within %u..%u", f->name, f->def,
                                 f->min, f->max);
    }
    return HWS_OK;
}

static enum hws_code read_fields(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_tlv *tlv = obj;
    void *it = NULL;
    uint32_t n = 0;
    enum hws_code rc = hws_emu__yaml_items(y, node, key->name, HWS_EMU_MAX_FIELDS, &n);

    if (rc != HWS_OK) {
        return rc;
    }
    tlv->fields = hws_mem_zalloc((size_t)n + 1, sizeof(*tlv->fields));
    if (tlv->fields == NULL) {
        return hws_err_set(y->err, HWS_E_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; rc == HWS_OK && i < n; i++) {
        rc = read_field(y, fy_node_sequence_iterate(node, &it), &tlv->fields[i]);
        tlv->n_fields = i + 1;
    }
    return rc;
}

static enum hws_code read_tlv(struct hws_emu__yaml *y, struct fy_node *node,
                              struct hws_emu_tlv *tlv)
{
    static const struct hws_emu__key keys[] = {
        FIELD(hws_emu_tlv, "name", true, text, name, 1, HWS_EMU_NAME_BYTES),
        FIELD(hws_emu_tlv, "type", true, u32, type, 0, UINT32_MAX),
        FIELD(hws_emu_tlv, "bytes", true, u16, bytes, 4, HWS_EMU_TLV_MAX_BYTES),
        FIELD(hws_emu_tlv, "read_only", false, bool, read_only, 0, 0),
        FIELD(hws_emu_tlv, "version", false, u8, version, 0, 15),
        {"fields", false, read_fields, 0, 0, 0},
    };
    enum hws_code rc = hws_emu__yaml_map(y, node, keys, COUNT(keys), tlv);

    if (rc == HWS_OK && tlv->bytes % 4 != 0) {
        rc = hws_emu__yaml_bad(y, node, "%s: %u bytes are not whole dwords", tlv->name, tlv->bytes);
    }
    for (uint32_t i = 0; rc == HWS_OK && i < tlv->n_fields; i++) {
        struct hws_emu_field *f = &tlv->fields[i];
        f->at.type = tlv->type;
        if (f->at.dw + 4 > tlv->bytes) {
            rc = hws_emu__yaml_bad(y, node, "%s: field %s is outside its %u bytes", tlv->name,
                                   f->name, tlv->bytes);
        } else {
            hws_bits_put(tlv->def + f->at.dw, f->at.lsb_idx, f->at.n_bits, f->def);
        }
    }
    return rc;
}

enum hws_code hws_emu__read_tlvs(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_profile *p = obj;
    void *it = NULL;
    uint32_t n = 0;
    enum hws_code rc = hws_emu__yaml_items(y, node, key->name, HWS_EMU_MAX_TLVS, &n);

    for (uint32_t i = 0; rc == HWS_OK && i < n; i++) {
        struct fy_node *item = fy_node_sequence_iterate(node, &it);
        rc = read_tlv(y, item, &p->tlvs[i]);
        if (rc == HWS_OK && hws_emu_profile_tlv(p, p->tlvs[i].type) != NULL) {
            rc = hws_emu__yaml_bad(y, item, "%s: type 0x%08x is given twice", p->tlvs[i].name,
                                   p->tlvs[i].type);
        }
        p->n_tlvs = i + 1;
    }
    return rc;
}

static bool hits(const struct hws_emu_profile *p, const struct hws_emu_bits *b)
{
    const struct hws_emu_tlv *tlv = hws_emu_profile_tlv(p, b->type);
    return tlv != NULL && b->dw + 4 <= tlv->bytes;
}

enum hws_code hws_emu__check_references(struct hws_emu__yaml *y, const struct hws_emu_profile *p)
{
    for (uint32_t i = 0; i < p->n_tlvs; i++) {
        for (uint32_t k = 0; k < p->tlvs[i].n_fields; k++) {
            const struct hws_emu_field *f = &p->tlvs[i].fields[k];
            if ((f->has_max_from && !hits(p, &f->max_from)) ||
                (f->has_needs && !hits(p, &f->needs))) {
                return hws_emu__yaml_bad(y, NULL,
                                         "%s: %s refers to a record or dword that is not there",
                                         p->tlvs[i].name, f->name);
            }
        }
    }
    for (uint32_t i = 0; i < p->n_ports; i++) {
        if (p->ports[i].has_type_from && !hits(p, &p->ports[i].type_from)) {
            return hws_emu__yaml_bad(
                y, NULL, "port %u: type_from refers to a record that is not there", i + 1);
        }
    }
    return HWS_OK;
}
