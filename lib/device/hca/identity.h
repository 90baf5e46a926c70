/*
 * Who an adapter is: a stepper that reads MGIR, MSGI and, per port, PAOS and PTYS.
 *
 * The steppers of this column share one contract. `next` either fills the call's buffers, lengths,
 * scope and deadline and returns HWS_STEP_CALL, or returns how it ended. After HWS_STEP_CALL the
 * caller submits the call and, when its cb came (or submit refused: then put that error into
 * call->err with stage NOT_SENT), feeds it; then next again. The buffers live inside the stepper,
 * which must not move or be freed while a call is on loan. cb and data of the call are never
 * touched. Thread rule: one thread at a time.
 */
#ifndef HWS_HCA_IDENTITY_H
#define HWS_HCA_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hca/cmd.h"
#include "ifc/call.h"

#define HWS_HCA_MAX_PORTS 4u

enum hws_hca_link {
    HWS_HCA_LINK_UNKNOWN, /* the firmware did not say; see port.reason */
    HWS_HCA_LINK_UP,
    HWS_HCA_LINK_DOWN,
    HWS_HCA_LINK_FAILED /* down by failure */
};

struct hws_hca_port {
    uint8_t number; /* from 1 */
    enum hws_hca_link link;
    bool admin_up;
    char speed[24];  /* "200G x4", "HDR x4"; empty when down or unknown */
    char reason[64]; /* why link or speed are unknown; else empty */
};

struct hws_hca_identity {
    char device_name[24];  /* "ConnectX-7", by hw_dev_id; "unknown" */
    char part_number[24];  /* MSGI */
    char product_name[68]; /* MSGI */
    char serial[28];       /* MSGI; the stepper fails if it is empty */
    char revision[12];     /* MSGI */
    char psid[20];         /* MGIR */
    char fw_version[32];   /* running, e.g. "28.43.2006" */
    uint16_t hw_dev_id;    /* MGIR, e.g. 0x218 for ConnectX-7 */
    uint16_t hw_revision;
    uint64_t base_mac; /* 48 bits */
    uint32_t uptime_s;
    uint8_t n_ports;
    struct hws_hca_port ports[HWS_HCA_MAX_PORTS];
};

struct hws_hca_identify {
    struct hws_hca_identity identity; /* the result, valid after HWS_STEP_DONE */
    struct hws_err err;               /* after HWS_STEP_FAILED */
    uint64_t
        timeout_ms; /* per command; HWS_HCA_CMD_TIMEOUT_MS after init; the caller may change it */
    unsigned state; /* private */
    unsigned port_idx;       /* private */
    struct hws_hca_regio io; /* private: the call's buffers */
};

/* Starts over. Needs no deinit. */
void hws_hca_identify_init(struct hws_hca_identify *id);

/* A refused PAOS or PTYS leaves that port's link unknown with a reason; anything else that fails
 * ends the stepper. */
enum hws_step hws_hca_identify_next(struct hws_hca_identify *id, uint64_t now_ms,
                                    struct hws_ctl_call *call);
void hws_hca_identify_feed(struct hws_hca_identify *id, const struct hws_ctl_call *call);

#endif
