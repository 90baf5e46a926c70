/*
 * Which firmware resets an adapter offers and whether one is under way (MFRL). Reads only: nothing
 * here resets. Stepper contract: hca/identity.h.
 */
#ifndef HWS_HCA_RESET_H
#define HWS_HCA_RESET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hca/cmd.h"
#include "ifc/call.h"

/* Bits of MFRL reset_level (mlx5-ifc). */
#define HWS_HCA_RESET_LIVE      0x01u /* live patch */
#define HWS_HCA_RESET_IMMEDIATE 0x02u
#define HWS_HCA_RESET_DRIVER    0x08u /* level 3: driver restart and PCIe link toggle */
#define HWS_HCA_RESET_WARM      0x40u /* level 6: PERST, warm reboot */

struct hws_hca_reset {
    uint8_t levels; /* HWS_HCA_RESET_* the firmware offers */
    uint8_t types;  /* MFRL reset_type bitmap */
    uint8_t state;  /* MFRL reset_state; 0 idle */
    char state_text[32];
    struct hws_err err;      /* after HWS_STEP_FAILED */
    uint64_t timeout_ms;     /* per command; the caller may change it after init */
    unsigned step;           /* private */
    struct hws_hca_regio io; /* private */
};

void hws_hca_reset_init(struct hws_hca_reset *reset);
enum hws_step hws_hca_reset_next(struct hws_hca_reset *reset, uint64_t now_ms,
                                 struct hws_ctl_call *call);
void hws_hca_reset_feed(struct hws_hca_reset *reset, const struct hws_ctl_call *call);

#endif
