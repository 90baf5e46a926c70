/* What the files of the device process channel share: ctl_ipc.c (connection, turn), ctl_ipc_recv.c,
 * ctl_ipc_send.c, ctl_ipc_adapter.c (one adapter as a control channel). */
#ifndef HWS_CTL_CTL_IPC_PRIV_H
#define HWS_CTL_CTL_IPC_PRIV_H

#include "ctl/ctl_ipc.h"

extern const struct hws_ctl_ops hws_ctl_ipc__adapter_ops;

/* Makes the owner call turn. */
void hws_ctl_ipc__kick(struct hws_ctl_ipc *ipc);

/* Tells the owner. */
void hws_ctl_ipc__adapter_changed(struct hws_ctl_ipc_adapter *a);

/* Queues the call's callback with this outcome. The call must be in no list. */
void hws_ctl_ipc__end_call(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call,
                           const struct hws_err *outcome);

/* As end_call for a call that has failed here: no output. */
void hws_ctl_ipc__fail_call(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call,
                            enum hws_code code, enum hws_stage stage, const char *why);

void hws_ctl_ipc__slot_free(struct hws_ctl_ipc_slot *slot);

/* Nobody waits for the slot's answer any more; it stays taken until that comes. */
void hws_ctl_ipc__slot_abandon(struct hws_ctl_ipc_adapter *a, struct hws_ctl_ipc_slot *slot);

void hws_ctl_ipc__unsent_remove(struct hws_ctl_ipc_adapter *a, struct hws_ctl_call *call);

/* NULL if there is none. */
struct hws_ctl_call *hws_ctl_ipc__first_unsent(struct hws_ctl_ipc_adapter *a);

/* The connection ended by itself, or has to. */
void hws_ctl_ipc__break_off(struct hws_ctl_ipc *ipc, const struct hws_err *why);

/* Reads what waits; true if more may wait. */
bool hws_ctl_ipc__receive(struct hws_ctl_ipc *ipc);

/* Sends what is due; HWS_E_BUSY if the socket is full. No call's deadline may have come. */
enum hws_code hws_ctl_ipc__transmit(struct hws_ctl_ipc *ipc, uint64_t now_ms);

#endif
