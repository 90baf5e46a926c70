/*
 * What an adapter allows of the settings, known beforehand: its own maxima and what its firmware
 * supports, read once each time the adapter has come and was identified. A value out of range is
 * then refused without asking the card. Until it is known, and again after the adapter has gone,
 * everything is allowed here, and the plan judges by its own reading.
 * Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_BOUNDS_H
#define HWS_HAWSERD_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hawserd/run.h"
#include "nvconfig/param.h"
#include "nvconfig/reader.h"

#define HWS_BOUNDS_MS 10000u /* limit of the whole reading */

struct hws_adapter;

struct hws_bounds {
    bool known;
    bool stale; /* the adapter went away while it was being read */
    struct hws_nv_reader reader;
    struct hws_run run;
};

/* Reads them unless they are known or being read. A failure is logged and leaves them unknown. */
void hws_bounds_read(struct hws_bounds *l, struct hws_adapter *a);

/* The adapter went away: what comes back may run another firmware. */
void hws_bounds_forget(struct hws_bounds *l);

/* HWS_E_UNSUPPORTED (blame the name) or HWS_E_INVALID naming what is allowed (blame the value). */
enum hws_code hws_bounds_check(const struct hws_bounds *l, const struct hws_nv_param *p,
                               uint32_t value, struct hws_err *err) HWS_MUST_USE;

#endif
