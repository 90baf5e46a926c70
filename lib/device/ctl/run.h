/* Runs one call to its end on the caller's thread: submit, poll, turn. For tests and tools. */
#ifndef HWS_CTL_RUN_H
#define HWS_CTL_RUN_H

#include <stdint.h>

#include "base/err.h"
#include "ifc/call.h"

/* CLOCK_MONOTONIC in milliseconds: the clock that hws_ctl_run gives to turn. */
uint64_t hws_ctl_now_ms(void);

/*
 * Sets call->deadline_ms to timeout_ms from now, submits, and turns the channel until the callback
 * has run. Uses call->cb and call->data for itself. Returns the call's own code and copies its
 * error to err. Blocks for at most about timeout_ms (a channel ends its calls at their deadline).
 */
enum hws_code hws_ctl_run(struct hws_ctl *ctl, struct hws_ctl_call *call, uint32_t timeout_ms,
                          struct hws_err *err) HWS_MUST_USE;

#endif
