/* User contexts (who may send commands, beside the kernel) and UARs (doorbell pages). */
#include "emu/emu_priv.h"

#define CAP_UCTX_CAP_DW                                                                            \
    0xd4u             /* uctx_cap of the general capabilities (mlx5_ifc.h, Linux 7.2.13)           \
                       */
#define FIRST_UAR 16u /* UAR n is BAR0 page n; 0..2 are the init segment's */

void hws_emu__op_create_uctx(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint32_t wanted = hws_load_be32(cmd->in + HWS_CREATE_UCTX_CAP);
    uint32_t offered = hws_load_be32(e->cap_cur + CAP_UCTX_CAP_DW);

    if (offered == 0 || (wanted & ~offered) != 0) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_UCTX_CAP);
        return;
    }
    if (e->uctx_mask == UINT64_MAX) {
        hws_emu__refuse(cmd, HWS_FW_NO_RES, HWS_EMU__SYND_UCTX_FULL);
        return;
    }
    uint16_t idx = (uint16_t)__builtin_ctzll(~e->uctx_mask);
    e->uctx_mask |= UINT64_C(1) << idx;
    hws_store_be16(cmd->out + HWS_UCTX_UID, (uint16_t)(idx + 1));
}

void hws_emu__op_destroy_uctx(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint16_t uid = hws_load_be16(cmd->in + HWS_UCTX_UID);

    if (uid == 0 || uid > HWS_EMU_MAX_UCTX || (e->uctx_mask >> (uid - 1) & 1) == 0) {
        hws_emu__refuse(cmd, HWS_FW_BAD_RES, HWS_EMU__SYND_UID);
        return;
    }
    e->uctx_mask &= ~(UINT64_C(1) << (uid - 1));
}

void hws_emu__op_alloc_uar(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    if (e->uar_mask == UINT64_MAX) {
        hws_emu__refuse(cmd, HWS_FW_NO_RES, HWS_EMU__SYND_UAR_FULL);
        return;
    }
    uint32_t idx = (uint32_t)__builtin_ctzll(~e->uar_mask);
    e->uar_mask |= UINT64_C(1) << idx;
    hws_store_be24(cmd->out + HWS_UAR_IDX, FIRST_UAR + idx);
}

void hws_emu__op_dealloc_uar(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    uint32_t uar = hws_load_be24(cmd->in + HWS_UAR_IDX);

    if (uar < FIRST_UAR || uar - FIRST_UAR >= HWS_EMU_MAX_UARS ||
        (e->uar_mask >> (uar - FIRST_UAR) & 1) == 0) {
        hws_emu__refuse(cmd, HWS_FW_BAD_RES, HWS_EMU__SYND_UAR);
        return;
    }
    e->uar_mask &= ~(UINT64_C(1) << (uar - FIRST_UAR));
}
