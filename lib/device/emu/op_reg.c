/*
 * ACCESS_REG and ACCESS_REGISTER_USER, and the register table. An access may be longer than the
 * register (MGIR arrives with 1024 bytes from some tools) and, where its size varies, shorter
 * (MNVDA writes end with their data). What a read sends beyond the index fields is taken as zero if
 * it is not there.
 */
#include <string.h>

#include "base/str.h"
#include "emu/emu_priv.h"

/* Ids and sizes: mlx5_ifc.h (Linux 7.2.13) and the register database of mstflint 4.33. */
static const struct hws_emu__reg_row rows[] = {
    {0x4019, "QCAM", 0x48, 4, 0x48, hws_emu__qcam, NULL},
    {0x5002, "PMLP", 0x40, 4, 0x40, hws_emu__pmlp, NULL},
    {0x5004, "PTYS", 0x44, 4, 0x40, hws_emu__ptys_read, hws_emu__ptys_write},
    {0x5006, "PAOS", 0x10, 4, 0x10, hws_emu__paos_read, hws_emu__paos_write},
    {0x5008, "PPCNT", 0x100, 8, 0x100, hws_emu__ppcnt, NULL},
    {0x5012, "PMAOS", 0x10, 4, 0x10, hws_emu__pmaos_read, hws_emu__pmaos_write},
    {0x5023, "PPLM", 0x80, 4, 0x80, hws_emu__pplm_read, hws_emu__pplm_write},
    {0x5027, "SLTP", 0x4c, 4, 0x4c, hws_emu__sltp, NULL},
    {0x5031, "PDDR", 0x100, 12, 0x100, hws_emu__pddr, NULL},
    {0x503c, "PMDR", 0x48, 4, 0x48, hws_emu__pmdr, NULL},
    {0x5040, "PPAOS", 0x10, 4, 0x10, hws_emu__ppaos, NULL},
    {0x504c, "PPCR", 0x10, 4, 0x10, hws_emu__ppcr, NULL},
    {0x507f, "PCAM", 0x50, 4, 0x50, hws_emu__pcam, NULL},
    {0x7004, "HOST_ENDIANNESS", 0x10, 0, 0x10, hws_emu__host_endianness_read,
     hws_emu__host_endianness_write},
    {0x9009, "MTCAP", 0x10, 0, 0x10, hws_emu__mtcap, NULL},
    {0x900a, "MTMP", 0x20, 4, 0x20, hws_emu__mtmp_read, hws_emu__mtmp_write},
    {0x9014, "MCIA", 0x94, 16, 0x10, hws_emu__mcia, NULL},
    {0x9020, "MGIR", 0xa0, 0, 0xa0, hws_emu__mgir, NULL},
    {0x9021, "MSGI", 0x80, 0, 0x80, hws_emu__msgi, NULL},
    {0x9024, "MNVDA", 0x10c, 12, 0x0c, hws_emu__mnvda_read, hws_emu__mnvda_write},
    {0x9025, "MNVDI", 0x0c, 12, 0x0c, NULL, hws_emu__mnvdi_write},
    {0x9028, "MFRL", 0x08, 0, 0x08, hws_emu__mfrl_read, hws_emu__mfrl_write},
    {0x902f, "MROQ", 0x20, 4, 0x20, hws_emu__mroq, NULL},
    {0x9030, "MNVQC", 0x08, 4, 0x08, hws_emu__mnvqc, NULL},
    {0x9033, "MNVIA", 0x08, 4, 0x08, NULL, hws_emu__mnvia_write},
    {0x9034, "MNVGC", 0x10, 0, 0x10, hws_emu__mnvgc, NULL},
    {0x9035, "MNVGN", 0x11c, 4, 0x1c, hws_emu__mnvgn, NULL},
    {0x9040, "MTRC_CAP", 0x84, 0, 0x80, hws_emu__mtrc_cap_read, hws_emu__mtrc_cap_write},
    {0x9041, "MTRC_CONF", 0x80, 0, 0x80, hws_emu__mtrc_conf_read, hws_emu__mtrc_conf_write},
    {0x9042, "MTRC_STDB", 0x110, 8, 0x08, hws_emu__mtrc_stdb, NULL},
    {0x9043, "MTRC_CTRL", 0x40, 0, 0x40, hws_emu__mtrc_ctrl_read, hws_emu__mtrc_ctrl_write},
    {0x9050, "MPEIN", 0x30, 4, 0x30, hws_emu__mpein, NULL},
    {0x9051, "MPCNT", 0x100, 8, 0x100, hws_emu__mpcnt, NULL},
    {0x9059, "MPIR", 0x10, 4, 0x10, hws_emu__mpir, NULL},
    {0x9060, "MCQS", 0x10, 4, 0x10, hws_emu__mcqs, NULL},
    {0x9061, "MCQI", 0x94, 24, 0x18, hws_emu__mcqi, NULL},
    {0x9062, "MCC", 0x20, 0, 0x20, hws_emu__mcc_read, hws_emu__mcc_write},
    {0x9063, "MCDA", 0x90, 16, 0x10, NULL, hws_emu__mcda_write},
    {0x9064, "MQIS", 0x18, 12, 0x18, hws_emu__mqis, NULL},
    {0x907f, "MCAM", 0x48, 4, 0x48, hws_emu__mcam, NULL},
    {0x912a, "MRSI", 0x40, 4, 0x40, hws_emu__mrsi, NULL},
    {0xc000, "RESOURCE_DUMP", 0x100, 0x30, 0x100, hws_emu__resource_dump, NULL},
    {0xc00e, "DTOR", 0x40, 0, 0x40, hws_emu__dtor, NULL},
};

const struct hws_emu__reg_row *hws_emu__reg_rows(uint32_t *out_n)
{
    *out_n = (uint32_t)(sizeof(rows) / sizeof(rows[0]));
    return rows;
}

const struct hws_emu__reg_row *hws_emu__reg_row(uint16_t id)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].id == id) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct hws_emu__reg_row *hws_emu__reg_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (hws_str_eq(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static hws_emu__reg_cb pick(const struct hws_emu__reg_row *row, struct hws_emu__cmd *cmd)
{
    bool write = cmd->op_mod == HWS_ACCESS_REG_WRITE;

    if (row == NULL) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_REG);
        return NULL;
    }
    if (!write && cmd->op_mod != HWS_ACCESS_REG_READ) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM, HWS_EMU__SYND_OP_MOD);
        return NULL;
    }
    hws_emu__reg_cb run = write ? row->write : row->read;
    if (run == NULL) {
        hws_emu__refuse(cmd, HWS_FW_BAD_PARAM,
                        write ? HWS_EMU__SYND_REG_READ_ONLY : HWS_EMU__SYND_REG_WRITE_ONLY);
        return NULL;
    }
    if (cmd->in_bytes - HWS_ACCESS_REG_DATA < row->min_bytes) {
        hws_emu__refuse(cmd, HWS_FW_BAD_INP_LEN, HWS_EMU__SYND_IN_LEN);
        return NULL;
    }
    if (write && cmd->in_bytes - HWS_ACCESS_REG_DATA < row->whole_bytes) {
        hws_emu__refuse(cmd, HWS_FW_BAD_INP_LEN, HWS_EMU__SYND_IN_LEN);
        return NULL;
    }
    if (!write && cmd->out_bytes - HWS_ACCESS_REG_DATA < row->whole_bytes) {
        hws_emu__refuse(cmd, HWS_FW_BAD_OUTP_LEN, HWS_EMU__SYND_OUT_LEN);
        return NULL;
    }
    return run;
}

void hws_emu__op_access_reg(struct hws_emu *e, struct hws_emu__cmd *cmd)
{
    const struct hws_emu__reg_row *row =
        hws_emu__reg_row(hws_load_be16(cmd->in + HWS_ACCESS_REG_ID));
    hws_emu__reg_cb run = pick(row, cmd);
    uint8_t data[HWS_EMU__REG_MAX_BYTES] = {0};

    if (run == NULL) {
        return;
    }
    uint32_t in_bytes = cmd->in_bytes - HWS_ACCESS_REG_DATA;
    uint32_t out_bytes = cmd->out_bytes - HWS_ACCESS_REG_DATA;
    in_bytes = in_bytes < row->bytes ? in_bytes : row->bytes;
    out_bytes = out_bytes < row->bytes ? out_bytes : row->bytes;
    memcpy(data, cmd->in + HWS_ACCESS_REG_DATA, in_bytes);
    struct hws_emu__reg r = {.data = data, .in_bytes = in_bytes, .out_cap_bytes = out_bytes};
    run(e, &r);
    if (r.status != HWS_FW_OK) {
        hws_emu__refuse(cmd, r.status, r.syndrome);
        return;
    }
    memcpy(cmd->out + HWS_ACCESS_REG_DATA, data, out_bytes);
}
