/* The 64-byte entry: encode for the card, judge what comes back. */
#include "cmdq/entry.h"

#include <string.h>

#include "ifc/box.h"
#include "ifc/names.h"
#include "ifc/sig.h"

void hws_cmdq_entry_encode(struct hws_entry *e, const struct hws_cmdq_cmd *cmd)
{
    *e = (struct hws_entry){
        .type = HWS_ENTRY_TYPE_PCI,
        .in_bytes = hws_be32_of(cmd->in_bytes),
        .in_ptr = hws_be64_of(cmd->in_ptr),
        .out_ptr = hws_be64_of(cmd->out_ptr),
        .out_bytes = hws_be32_of(cmd->out_bytes),
        .token = cmd->token,
        .status_own = HWS_ENTRY_OWNER_HW,
    };
    memcpy(e->in_inline, cmd->in, sizeof(e->in_inline));
    hws_store_be16(e->in_inline + HWS_BOX_UID, cmd->uid);
    hws_sig_entry_set(e);
}

enum hws_code hws_cmdq_entry_judge(const struct hws_entry *e, uint8_t token, struct hws_err *err)
{
    uint8_t delivery = e->status_own >> 1;
    const char *wrong = NULL;

    if (!hws_sig_entry_ok(e)) {
        wrong = "signature error";
    } else if (e->type != HWS_ENTRY_TYPE_PCI) {
        wrong = "wrong type";
    } else if (e->token != token) {
        wrong = "wrong token";
    }
    if (wrong != NULL) {
        hws_err_set(err, HWS_E_PROTO, "reply entry: %s", wrong);
        hws_err_at(err, HWS_STAGE_UNKNOWN);
        return HWS_E_PROTO;
    }
    if (delivery != HWS_DLV_OK) {
        hws_err_set(err, HWS_E_DEVICE, "%s: not executed, delivery status 0x%x (%s)",
                    hws_ifc_op_name(hws_box_opcode(e->in_inline)), delivery,
                    hws_ifc_delivery_text(delivery));
        hws_err_at(err, HWS_STAGE_REJECTED);
        if (err != NULL) {
            err->delivery_status = delivery;
        }
        return HWS_E_DEVICE;
    }
    return HWS_OK;
}

enum hws_code hws_cmdq_out_judge(const uint8_t *out, const uint8_t *in, struct hws_err *err)
{
    uint8_t status = hws_box_status(out);

    if (status == HWS_FW_OK) {
        return HWS_OK;
    }
    hws_err_set(err, HWS_E_DEVICE, "%s (0x%x) op_mod 0x%x: status 0x%x (%s), syndrome 0x%08x",
                hws_ifc_op_name(hws_box_opcode(in)), hws_box_opcode(in), hws_box_op_mod(in), status,
                hws_ifc_fw_status_text(status), hws_box_syndrome(out));
    hws_err_at(err, HWS_STAGE_EXECUTED);
    if (err != NULL) {
        err->exec_status = status;
        err->syndrome = hws_box_syndrome(out);
    }
    return HWS_E_DEVICE;
}
