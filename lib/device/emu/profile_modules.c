/* Modules of a profile, and the port silicon. */
#include <string.h>

#include "base/str.h"
#include "emu/profile_priv.h"

#define FIELD(key, required, kind, field, least, most)                                             \
    {                                                                                              \
        key, required, hws_emu__read_##kind, offsetof(struct hws_emu_module, field), (least),      \
            (most)                                                                                 \
    }
#define TEXT(key, field)                                                                           \
    {                                                                                              \
        key, true, hws_emu__read_text, offsetof(struct hws_emu_module, field), 1,                  \
            sizeof(((struct hws_emu_module *)0)->field)                                            \
    }

static enum hws_code read_cable(struct hws_emu__yaml *y, struct fy_node *node,
                                const struct hws_emu__key *key, void *obj)
{
    static const struct {
        const char *word;
        enum hws_emu_cable cable;
    } words[] = {{"active", HWS_EMU_CABLE_ACTIVE},
                 {"optical", HWS_EMU_CABLE_OPTICAL},
                 {"copper", HWS_EMU_CABLE_COPPER}};
    char text[HWS_EMU__YAML_TEXT_BYTES];
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (hws_str_eq(words[i].word, text)) {
            ((struct hws_emu_module *)obj)->cable = words[i].cable;
            return HWS_OK;
        }
    }
    return hws_emu__yaml_bad(y, node, "%s: \"%s\" is not active, optical or copper", key->name,
                             text);
}

enum hws_code hws_emu__read_modules(struct hws_emu__yaml *y, struct fy_node *node,
                                    const struct hws_emu__key *key, void *obj)
{
    static const struct hws_emu__key keys[] = {
        FIELD("index", true, u8, index, 0, UINT8_MAX),
        {"cable", true, read_cable, 0, 0, 0},
        FIELD("identifier", true, u8, identifier, 1, UINT8_MAX),
        FIELD("connector", true, u8, connector, 0, UINT8_MAX),
        FIELD("technology", true, u8, technology, 0, 15),
        FIELD("length_m", false, u8, length_m, 0, UINT8_MAX),
        FIELD("power_class", false, u8, power_class, 0, 7),
        FIELD("wavelength_nm", false, u16, wavelength_nm, 0, 3000),
        TEXT("vendor", vendor),
        TEXT("part", part),
        TEXT("serial", serial),
        TEXT("revision", revision),
        TEXT("date", date),
        FIELD("oui", true, u32, oui, 0, 0xffffff),
        FIELD("millivolt", false, u16, millivolt, 0, 6553),
        FIELD("rx_uw", false, u16, rx_uw, 0, 6553),
        FIELD("tx_uw", false, u16, tx_uw, 0, 6553),
        FIELD("bias_ua", false, u16, bias_ua, 0, UINT16_MAX),
    };
    struct hws_emu_profile *p = obj;
    void *it = NULL;
    uint32_t n = 0;
    enum hws_code rc = hws_emu__yaml_items(y, node, key->name, HWS_EMU_MAX_MODULES, &n);

    for (uint32_t i = 0; rc == HWS_OK && i < n; i++) {
        struct fy_node *item = fy_node_sequence_iterate(node, &it);
        rc = hws_emu__yaml_map(y, item, keys, sizeof(keys) / sizeof(keys[0]), &p->modules[i]);
        for (uint32_t k = 0; rc == HWS_OK && k < i; k++) {
            if (p->modules[k].index == p->modules[i].index) {
                rc = hws_emu__yaml_bad(y, item, "module %u is given twice", p->modules[k].index);
            }
        }
        p->n_modules = i + 1;
    }
    return rc;
}
