/*
 * How an adapter feels: the ASIC's temperature (MTMP sensor 0). Stepper contract: hca/identity.h.
 */
#ifndef HWS_HCA_HEALTH_H
#define HWS_HCA_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hca/cmd.h"
#include "ifc/call.h"

struct hws_hca_health {
    bool has_temperature;    /* false: the firmware refuses MTMP */
    int32_t temperature_mc;  /* thousandths of a degree Celsius */
    int32_t max_mc;          /* highest since tracking was switched on */
    int32_t threshold_mc;    /* upper warning threshold */
    struct hws_err err;      /* after HWS_STEP_FAILED */
    uint64_t timeout_ms;     /* per command; the caller may change it after init */
    unsigned state;          /* private */
    struct hws_hca_regio io; /* private */
};

void hws_hca_health_init(struct hws_hca_health *health);
enum hws_step hws_hca_health_next(struct hws_hca_health *health, uint64_t now_ms,
                                  struct hws_ctl_call *call);
void hws_hca_health_feed(struct hws_hca_health *health, const struct hws_ctl_call *call);

#endif
