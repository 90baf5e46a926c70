/* One adapter of a device process as a struct hws_ctl: submit, cancel, close. */
#include "base/list.h"
#include "ctl/ctl_ipc_priv.h"

static struct hws_ctl_ipc_adapter *adapter_of(struct hws_ctl *ctl)
{
    return hws_container_of(ctl, struct hws_ctl_ipc_adapter, ctl);
}

static bool length_ok(size_t n)
{
    return n >= HWS_CALL_MIN_BYTES && n <= HWS_CALL_MAX_BYTES;
}

static enum hws_code op_submit(struct hws_ctl *ctl, struct hws_ctl_call *call, struct hws_err *err)
{
    struct hws_ctl_ipc_adapter *a = adapter_of(ctl);
    enum hws_code code = HWS_OK;

    if (!length_ok(call->in_bytes) || !length_ok(call->out_cap_bytes)) {
        code = hws_err_set(err, HWS_E_INVALID, "command of %zu and %zu bytes, allowed are %u..%u",
                           call->in_bytes, call->out_cap_bytes, HWS_CALL_MIN_BYTES,
                           HWS_CALL_MAX_BYTES);
    } else if (a->closing || !a->present || a->state != HWS_LINK_ADAPTER_UP) {
        code = hws_err_set(err, HWS_E_GONE, "adapter %s is away%s%.150s", a->pci,
                           a->reason[0] != 0 ? ": " : "", a->reason);
    } else if (hws_ctl_ipc_in_flight(a) >= a->depth) {
        code = hws_err_set(err, HWS_E_BUSY, "adapter %s has its %u commands in flight", a->pci,
                           a->depth);
    }
    if (code != HWS_OK) {
        hws_err_at(err, HWS_STAGE_NOT_SENT);
        return code;
    }
    call->out_bytes = 0;
    hws_list_push(&a->unsent, &call->link);
    a->n_unsent++;
    hws_ctl_ipc__kick(a->ipc);
    return HWS_OK;
}

static bool is_unsent(struct hws_ctl_ipc_adapter *a, const struct hws_ctl_call *call)
{
    HWS_LIST_FOREACH (it, tmp, &a->unsent) {
        if (it == &call->link) {
            return true;
        }
    }
    return false;
}

static void op_cancel(struct hws_ctl *ctl, struct hws_ctl_call *call)
{
    struct hws_ctl_ipc_adapter *a = adapter_of(ctl);
    struct hws_ctl_ipc *ipc = a->ipc;

    if (is_unsent(a, call)) {
        hws_ctl_ipc__unsent_remove(a, call);
        hws_ctl_ipc__fail_call(a, call, HWS_E_CANCELED, HWS_STAGE_NOT_SENT, "cancelled");
        return;
    }
    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        if (a->slots[k].call == call) {
            if (ipc->n_cancels < HWS_CTL_IPC_MAX_CANCELS) {
                ipc->cancels[ipc->n_cancels++] = a->slots[k].id;
            }
            hws_ctl_ipc__slot_abandon(a, &a->slots[k]);
            hws_ctl_ipc__fail_call(a, call, HWS_E_CANCELED, HWS_STAGE_UNKNOWN,
                                   "cancelled while it ran");
            return;
        }
    }
}

static int op_fd(struct hws_ctl *ctl)
{
    return hws_ctl_ipc_fd(adapter_of(ctl)->ipc);
}

static uint64_t op_turn(struct hws_ctl *ctl, uint64_t now_ms)
{
    return hws_ctl_ipc_turn(adapter_of(ctl)->ipc, now_ms);
}

static void op_close(struct hws_ctl *ctl, void (*closed)(struct hws_ctl *ctl))
{
    struct hws_ctl_ipc_adapter *a = adapter_of(ctl);

    if (a->closing) {
        return;
    }
    a->closing = true;
    a->closed = closed;
    while (hws_ctl_ipc__first_unsent(a) != NULL) {
        op_cancel(ctl, hws_ctl_ipc__first_unsent(a));
    }
    for (size_t k = 0; k < HWS_LINK_MAX_DEPTH; k++) {
        if (a->slots[k].call != NULL) {
            op_cancel(ctl, a->slots[k].call);
        }
    }
    hws_ctl_ipc__kick(a->ipc);
}

const struct hws_ctl_ops hws_ctl_ipc__adapter_ops = {
    .submit = op_submit,
    .cancel = op_cancel,
    .fd = op_fd,
    .turn = op_turn,
    .close = op_close,
};
