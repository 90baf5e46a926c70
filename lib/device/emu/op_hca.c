/* Commands about the function as a whole: enable, init, capabilities, identity, interface step,
 * NOP. */
#include <string.h>

#include "emu/emu_priv.h"
#include "ifc/eq.h"

#define ISSI_SUPPORTED 0x3u /* steps 0 and 1 */

void hws_emu__op_nop(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    (void)e;
    (void)cmd;
}

/* ---- capabilities ---- */

#define HWS_EMU_CAP_FIELD(name, dw, lsb, bits, source)                                             \
    enum { CAP_DW_##name = (dw), CAP_LSB_##name = (lsb), CAP_BITS_##name = (bits) };
#include "emu/cap_fields.def"
#undef HWS_EMU_CAP_FIELD

#define CAP_GET(area, name) hws_bits_get((area) + CAP_DW_##name, CAP_LSB_##name, CAP_BITS_##name)

void hws_emu__caps_reset(struct hws_emu *e)
{
    memset(e->cap_cur, 0, sizeof(e->cap_cur));
    for (uint32_t i = 0; i < e->profile->n_caps; i++) {
        const struct hws_emu_cap *c = &e->profile->caps[i];
        hws_bits_put(e->cap_cur + c->dw, c->lsb_idx, c->n_bits, c->cur);
    }
}

static bool is_other_function(const uint8_t *in)
{
    return hws_bits_get(in + HWS_HCA_CAP_OTHER_DW, 31, 1) != 0;
}

void hws_emu__op_query_hca_cap(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint16_t type = cmd->op_mod >> 1;
    uint8_t *area = cmd->out + HWS_HCA_CAP_AREA;

    if (is_other_function(cmd->in)) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_FUNCTION);
        return;
    }
    if (type != HWS_HCA_CAP_GENERAL) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_OP_MOD);
        return;
    }
    memcpy(area, e->cap_cur, sizeof(e->cap_cur));
    if ((cmd->op_mod & 1) == HWS_HCA_CAP_CUR) {
        return;
    }
    for (uint32_t i = 0; i < e->profile->n_caps; i++) {
        const struct hws_emu_cap *c = &e->profile->caps[i];
        hws_bits_put(area + c->dw, c->lsb_idx, c->n_bits, c->max);
    }
}

/* Takes the fields the card knows; a number above its maximum is refused as a whole. */
void hws_emu__op_set_hca_cap(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    const uint8_t *area = cmd->in + HWS_HCA_CAP_AREA;
    const struct hws_emu_profile *p = e->profile;

    if (cmd->op_mod >> 1 != HWS_HCA_CAP_GENERAL || is_other_function(cmd->in)) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_OP_MOD);
        return;
    }
    for (uint32_t i = 0; i < p->n_caps; i++) {
        const struct hws_emu_cap *c = &p->caps[i];
        if (hws_bits_get(area + c->dw, c->lsb_idx, c->n_bits) > c->max) {
            hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_CAP_ABOVE_MAX);
            return;
        }
    }
    for (uint32_t i = 0; i < p->n_caps; i++) {
        const struct hws_emu_cap *c = &p->caps[i];
        hws_bits_put(e->cap_cur + c->dw, c->lsb_idx, c->n_bits,
                     hws_bits_get(area + c->dw, c->lsb_idx, c->n_bits));
    }
    e->checksums = CAP_GET(area, cmdif_checksum) != 0;
}

bool hws_emu__host_syncs_resets(struct hws_emu *e)
{
    return CAP_GET(e->cap_cur, pci_sync_for_fw_update_event) != 0 &&
           hws_emu__eq_has(e, HWS_EVENT_GENERAL);
}

/* ---- identity ---- */

void hws_emu__op_query_adapter(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    memcpy(cmd->out + HWS_QUERY_ADAPTER_PSID, e->profile->psid, strlen(e->profile->psid));
}

/* ---- life ---- */

void hws_emu__op_enable_hca(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    if (hws_load_be16(cmd->in + HWS_BOX_FUNCTION_ID) != 0) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_FUNCTION);
        return;
    }
    e->hca_enabled = true;
}

void hws_emu__op_disable_hca(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    (void)cmd;
    e->hca_enabled = false;
    e->hca_inited = false;
    e->uctx_mask = 0;
    e->uar_mask = 0;
    hws_emu__eq_reset(e);
}

void hws_emu__op_init_hca(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    if (e->n_pages < e->max_pages) {
        hws_emu__refuse(cmd, HWS_FW_NO_RES, HWS_EMU__SYND_PAGES);
        return;
    }
    e->hca_inited = true;
}

/* Prepared, the function goes on until nic_interface is disabled, and is forgotten then. */
void hws_emu__op_teardown_hca(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint16_t profile = hws_load_be16(cmd->in + HWS_TEARDOWN_PROFILE);

    if (profile == HWS_TEARDOWN_PREPARE_FAST && CAP_GET(e->cap_cur, fast_teardown) != 0) {
        e->fast_teardown = true;
        return;
    }
    if (profile != HWS_TEARDOWN_GRACEFUL) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_TEARDOWN);
        return;
    }
    e->hca_inited = false;
    e->uctx_mask = 0;
    e->uar_mask = 0;
    hws_emu__eq_reset(e);
}

void hws_emu__op_query_issi(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    hws_store_be16(cmd->out + HWS_ISSI_CURRENT, e->issi);
    hws_store_be32(cmd->out + HWS_ISSI_SUPPORTED_DW0, ISSI_SUPPORTED);
}

void hws_emu__op_set_issi(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint16_t step = hws_load_be16(cmd->in + HWS_ISSI_CURRENT);

    if (step >= 32 || (ISSI_SUPPORTED >> step & 1) == 0) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_ISSI);
        return;
    }
    e->issi = step;
}
