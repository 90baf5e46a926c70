/*
 * A control channel that holds every call until the test ends it: what a device process's server
 * needs as its adapter. Callbacks run in turn, as the contract says.
 */
#ifndef HWS_TESTS_HELD_CTL_H
#define HWS_TESTS_HELD_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ifc/call.h"

#define HWS_HELD_MAX 64u

struct hws_held_ctl {
    struct hws_ctl ctl;                       /* first */
    struct hws_ctl_call *calls[HWS_HELD_MAX]; /* on loan, in order of submit; NULL = ended */
    size_t n_calls;                           /* submitted in all */
    struct hws_list ended;                    /* callback due */
    enum hws_code refuse;                     /* not HWS_OK: submit answers this */
    unsigned n_cancels;
    unsigned n_turns;
};

void hws_held_init(struct hws_held_ctl *held);

/* Call number i (from 0) ends well: out_bytes bytes of value fill. */
void hws_held_ok(struct hws_held_ctl *held, size_t i, uint8_t fill, size_t out_bytes);

/* Call number i ends with this error. */
void hws_held_fail(struct hws_held_ctl *held, size_t i, enum hws_code code, enum hws_stage stage);

#endif
