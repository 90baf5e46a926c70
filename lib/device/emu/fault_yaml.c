/* Planted faults from YAML: a list in a profile, or one alone. */
#include <string.h>

#include "base/str.h"
#include "emu/emu_priv.h"
#include "emu/profile_priv.h"

static const char *const actions[] = {
    [HWS_EMU_FAULT_NONE] = "none",
    [HWS_EMU_FAULT_STATUS] = "status",
    [HWS_EMU_FAULT_DELIVERY] = "delivery",
    [HWS_EMU_FAULT_DROP] = "drop",
    [HWS_EMU_FAULT_DROP_EVENT] = "drop_event",
    [HWS_EMU_FAULT_DELAY] = "delay",
    [HWS_EMU_FAULT_FLIP] = "flip",
    [HWS_EMU_FAULT_BAD_TOKEN] = "bad_token",
    [HWS_EMU_FAULT_BAD_SIGNATURE] = "bad_signature",
    [HWS_EMU_FAULT_HANG] = "hang",
    [HWS_EMU_FAULT_HEALTH] = "health",
    [HWS_EMU_FAULT_FATAL] = "fatal",
    [HWS_EMU_FAULT_RESET] = "reset",
    [HWS_EMU_FAULT_UNPLUG] = "unplug",
    [HWS_EMU_FAULT_N_ACTIONS] = NULL,
};

const char *hws_emu_fault_action_name(enum hws_emu_fault_action action)
{
    return action < HWS_EMU_FAULT_N_ACTIONS ? actions[action] : NULL;
}

static enum hws_code read_opcode(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_fault *f = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    f->any_op = false;
    if (hws_ifc_op_find(text, &f->op)) {
        return HWS_OK;
    }
    if (hws_str_to_u64(text, UINT16_MAX, &v, NULL) != HWS_OK) {
        return hws_emu__yaml_bad(y, node, "%s: unknown opcode \"%s\"", key->name, text);
    }
    f->op = (uint16_t)v;
    return HWS_OK;
}

static enum hws_code read_register(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_fault *f = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK) {
        return rc;
    }
    const struct hws_emu__reg_row *row = hws_emu__reg_by_name(text);
    if (row != NULL) {
        v = row->id;
    } else if (hws_str_to_u64(text, UINT16_MAX, &v, NULL) != HWS_OK) {
        return hws_emu__yaml_bad(y, node, "%s: unknown register \"%s\"", key->name, text);
    }
    f->any_reg = false;
    f->reg = (uint16_t)v;
    return HWS_OK;
}

static enum hws_code read_status(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_fault *f = obj;
    char text[HWS_EMU__YAML_TEXT_BYTES];
    uint64_t v = 0;
    enum hws_code rc = hws_emu__yaml_text(y, node, key->name, text);

    if (rc != HWS_OK || hws_ifc_fw_status_find(text, &f->status)) {
        return rc;
    }
    if (hws_str_to_u64(text, UINT8_MAX, &v, NULL) != HWS_OK) {
        return hws_emu__yaml_bad(y, node, "%s: unknown status \"%s\"", key->name, text);
    }
    f->status = (uint8_t)v;
    return HWS_OK;
}

/* One word of a short list into an enumeration counted from `first`. */
static enum hws_code read_word(struct hws_emu__yaml *y, struct fy_node *node, const char *what,
                               const char *const *words, int *out)
{
    char text[HWS_EMU__YAML_TEXT_BYTES];
    enum hws_code rc = hws_emu__yaml_text(y, node, what, text);

    if (rc != HWS_OK) {
        return rc;
    }
    for (int i = 0; words[i] != NULL; i++) {
        if (hws_str_eq(words[i], text)) {
            *out = i;
            return HWS_OK;
        }
    }
    return hws_emu__yaml_bad(y, node, "%s: unknown word \"%s\"", what, text);
}

static enum hws_code read_access(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    static const char *const words[] = {"any", "read", "write", NULL};
    int i = 0;
    enum hws_code rc = read_word(y, node, key->name, words, &i);

    ((struct hws_emu_fault *)obj)->access = (enum hws_emu_fault_access)i;
    return rc;
}

static enum hws_code read_action(struct hws_emu__yaml *y, struct fy_node *node,
                                 const struct hws_emu__key *key, void *obj)
{
    int i = 0;
    enum hws_code rc = read_word(y, node, key->name, actions, &i);

    ((struct hws_emu_fault *)obj)->action = (enum hws_emu_fault_action)i;
    return rc;
}

/* What an action cannot do without. */
static enum hws_code check_action(struct hws_emu__yaml *y, struct fy_node *node,
                                  const struct hws_emu_fault *f)
{
    if (f->action == HWS_EMU_FAULT_STATUS && f->status == HWS_FW_OK) {
        return hws_emu__yaml_bad(y, node, "fault: action status needs a status that is not OK");
    }
    if (f->action == HWS_EMU_FAULT_DELIVERY && (f->status == 0 || f->status > 0x7f)) {
        return hws_emu__yaml_bad(y, node, "fault: action delivery needs a status from 1 to 127");
    }
    if ((f->action == HWS_EMU_FAULT_HEALTH || f->action == HWS_EMU_FAULT_FATAL) &&
        (f->syndrome == 0 || f->syndrome > UINT8_MAX)) {
        return hws_emu__yaml_bad(y, node, "fault: action %s needs a syndrome from 1 to 255",
                                 actions[f->action]);
    }
    return HWS_OK;
}

static enum hws_code read_fault(struct hws_emu__yaml *y, struct fy_node *node,
                                struct hws_emu_fault *f)
{
    static const struct hws_emu__key keys[] = {
        {"opcode", false, read_opcode, 0, 0, 0},
        {"register", false, read_register, 0, 0, 0},
        {"access", false, read_access, 0, 0, 0},
        HWS_EMU__FIELD(hws_emu_fault, "countdown", false, u32, countdown, 1, UINT32_MAX),
        HWS_EMU__FIELD(hws_emu_fault, "repeat", false, u32, repeat, 0, UINT32_MAX),
        HWS_EMU__FIELD(hws_emu_fault, "percent", false, u8, percent, 1, 100),
        HWS_EMU__FIELD(hws_emu_fault, "seed", false, u64, seed, 0, UINT64_MAX),
        {"action", true, read_action, 0, 0, 0},
        {"status", false, read_status, 0, 0, 0},
        HWS_EMU__FIELD(hws_emu_fault, "syndrome", false, u32, syndrome, 0, UINT32_MAX),
        HWS_EMU__FIELD(hws_emu_fault, "delay_ms", false, u64, delay_ms, 0, HWS_EMU_MAX_DELAY_MS),
        HWS_EMU__FIELD(hws_emu_fault, "offset", false, u32, offset, 0, HWS_CALL_MAX_BYTES - 1),
        HWS_EMU__FIELD(hws_emu_fault, "mask", false, u8, mask, 1, UINT8_MAX),
        HWS_EMU__FIELD(hws_emu_fault, "sign", false, bool, sign, 0, 0),
    };

    *f = (struct hws_emu_fault){
        .any_op = true, .any_reg = true, .countdown = 1, .repeat = 1, .percent = 100, .mask = 1};
    enum hws_code rc = hws_emu__yaml_map(y, node, keys, HWS_EMU__COUNT(keys), f);
    return rc == HWS_OK ? check_action(y, node, f) : rc;
}

enum hws_code hws_emu__read_faults(struct hws_emu__yaml *y, struct fy_node *node,
                                   const struct hws_emu__key *key, void *obj)
{
    struct hws_emu_profile *p = obj;
    void *it = NULL;
    uint32_t n = 0;
    enum hws_code rc = hws_emu__yaml_items(y, node, key->name, HWS_EMU_MAX_FAULTS, &n);

    for (uint32_t i = 0; rc == HWS_OK && i < n; i++) {
        rc = read_fault(y, fy_node_sequence_iterate(node, &it), &p->faults[i]);
        p->n_faults = i + 1;
    }
    return rc;
}

static enum hws_code read_root(struct hws_emu__yaml *y, struct fy_node *root, void *obj)
{
    return read_fault(y, root, obj);
}

enum hws_code hws_emu_fault_parse(const char *text, size_t n, struct hws_emu_fault *out,
                                  struct hws_err *err)
{
    struct hws_emu_fault fault;
    enum hws_code rc = hws_emu__yaml_document(text, n, read_root, &fault, err);

    if (rc == HWS_OK) {
        *out = fault;
    }
    return rc;
}
