/*
 * The opcode table: what each command needs before its handler may run. What has no row is answered
 * BAD_OP, as a card answers what it does not know.
 */
#include "emu/emu_priv.h"
#include "ifc/eq.h"

enum needs {
    NEEDS_NOTHING,
    NEEDS_ENABLED, /* ENABLE_HCA done */
    NEEDS_INITED   /* INIT_HCA done */
};

struct row {
    uint16_t op;
    uint16_t min_in;
    uint16_t min_out;
    enum needs needs;
    bool any_uid; /* also from a user context; else from the kernel (uid 0) only */
    void (*run)(struct hws_emu *e, struct hws_emu__cmd *cmd);
};

static const struct row rows[] = {
    {HWS_OP_ACCESS_REG, 16, 16, NEEDS_ENABLED, true, hws_emu__op_access_reg},
    {HWS_OP_ACCESS_REGISTER_USER, 16, 16, NEEDS_ENABLED, true, hws_emu__op_access_reg},
    {HWS_OP_NOP, 16, 8, NEEDS_NOTHING, true, hws_emu__op_nop},
    {HWS_OP_QUERY_HCA_CAP, 16, HWS_HCA_CAP_BYTES, NEEDS_ENABLED, true, hws_emu__op_query_hca_cap},
    {HWS_OP_SET_HCA_CAP, HWS_HCA_CAP_BYTES, 8, NEEDS_ENABLED, false, hws_emu__op_set_hca_cap},
    {HWS_OP_QUERY_ADAPTER, 16, HWS_QUERY_ADAPTER_OUT_BYTES, NEEDS_ENABLED, true,
     hws_emu__op_query_adapter},
    {HWS_OP_ENABLE_HCA, 16, 8, NEEDS_NOTHING, false, hws_emu__op_enable_hca},
    {HWS_OP_DISABLE_HCA, 16, 8, NEEDS_ENABLED, false, hws_emu__op_disable_hca},
    {HWS_OP_INIT_HCA, HWS_INIT_HCA_IN_BYTES, 8, NEEDS_ENABLED, false, hws_emu__op_init_hca},
    {HWS_OP_TEARDOWN_HCA, 16, 8, NEEDS_INITED, false, hws_emu__op_teardown_hca},
    {HWS_OP_QUERY_ISSI, 16, HWS_QUERY_ISSI_OUT_BYTES, NEEDS_ENABLED, true, hws_emu__op_query_issi},
    {HWS_OP_SET_ISSI, 16, 8, NEEDS_ENABLED, false, hws_emu__op_set_issi},
    {HWS_OP_QUERY_PAGES, 16, 16, NEEDS_ENABLED, true, hws_emu__op_query_pages},
    {HWS_OP_MANAGE_PAGES, 16, HWS_MANAGE_ADDRS, NEEDS_ENABLED, false, hws_emu__op_manage_pages},
    {HWS_OP_CREATE_EQ, HWS_CREATE_EQ_PAGES + 8, 16, NEEDS_INITED, false, hws_emu__op_create_eq},
    {HWS_OP_DESTROY_EQ, 16, 8, NEEDS_INITED, false, hws_emu__op_destroy_eq},
    {HWS_OP_CREATE_UCTX, 24, 16, NEEDS_INITED, false, hws_emu__op_create_uctx},
    {HWS_OP_DESTROY_UCTX, 16, 8, NEEDS_INITED, false, hws_emu__op_destroy_uctx},
    {HWS_OP_ALLOC_UAR, 16, 16, NEEDS_INITED, true, hws_emu__op_alloc_uar},
    {HWS_OP_DEALLOC_UAR, 16, 8, NEEDS_INITED, true, hws_emu__op_dealloc_uar},
};

static const struct row *find(uint16_t op)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].op == op) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool uid_ok(const struct hws_emu *e, const struct row *row, uint16_t uid)
{
    if (uid == 0) {
        return true;
    }
    return row->any_uid && uid <= HWS_EMU_MAX_UCTX && (e->uctx_mask >> (uid - 1) & 1) != 0;
}

void hws_emu__dispatch(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    const struct row *row = find(cmd->op);

    if (row == NULL) {
        hws_emu__refuse(cmd, HWS_FW_BAD_OP, HWS_EMU__SYND_OPCODE);
    } else if (!uid_ok(e, row, cmd->uid)) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_UID);
    } else if (cmd->in_bytes < row->min_in) {
        hws_emu__refuse(cmd, HWS_FW_BAD_INP_LEN, HWS_EMU__SYND_IN_LEN);
    } else if (cmd->out_bytes < row->min_out) {
        hws_emu__refuse(cmd, HWS_FW_BAD_OUTP_LEN, HWS_EMU__SYND_OUT_LEN);
    } else if (row->needs >= NEEDS_ENABLED && !e->hca_enabled) {
        hws_emu__refuse(cmd, HWS_FW_BAD_SYS_STATE, HWS_EMU__SYND_NOT_ENABLED);
    } else if (row->needs == NEEDS_INITED && !e->hca_inited) {
        hws_emu__refuse(cmd, HWS_FW_BAD_SYS_STATE, HWS_EMU__SYND_NOT_INITED);
    } else {
        row->run(e, cmd);
    }
}
