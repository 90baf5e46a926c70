/*
 * Ending an apply that its process did not live to end. The writes of a plan, as bytes, go into the
 * journal before the first effect; after a crash the card is read against them:
 *
 *   every record old               untouched: nothing had happened (or all of it was put back)
 *   every record new               applied
 *   some old, some new             the new ones are put back as apply does it: restored
 *   a record holds something else  in doubt: somebody else wrote; nothing is touched
 *   not readable                   in doubt
 *
 * The caller first makes sure that no command of the dead process is still running.
 * Contract of next and feed: hca/identity.h. The struct is some 40 KiB: allocate it.
 */
#ifndef HWS_NVCONFIG_RECOVER_H
#define HWS_NVCONFIG_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "ifc/call.h"
#include "nvconfig/apply.h"
#include "nvconfig/plan.h"

/* Version and count; per write type, kind, length, old and new bytes. */
#define HWS_NV_INTENT_MAX_BYTES (2u + HWS_NV_N_TLVS * (6u + 2u * HWS_NV_TLV_MAX_BYTES))

struct hws_nv_recover {
    enum hws_nv_outcome outcome;    /* valid at the end, whichever it is */
    char detail[HWS_ERR_MSG_BYTES]; /* what state the card is in, in words */
    struct hws_err err;             /* after HWS_STEP_FAILED */
    uint64_t timeout_ms;            /* per command; the caller may change it after init */
    /* Private. */
    unsigned state;
    unsigned n_tries;
    size_t read_idx;
    size_t n_old;
    bool is_new[HWS_NV_N_TLVS];
    struct hws_nv_apply apply; /* its writes, and its undoing */
};

/* The plan's writes as bytes into dst[HWS_NV_INTENT_MAX_BYTES]; returns their length. */
size_t hws_nv_intent_encode(const struct hws_nv_plan *plan, uint8_t *dst);

/* From such bytes. HWS_E_PROTO: cut off, another version, or a record this build does not know as
 * it was. */
enum hws_code hws_nv_recover_init(struct hws_nv_recover *r, const uint8_t *bytes, size_t n,
                                  struct hws_err *err) HWS_MUST_USE;

/* HWS_STEP_DONE: untouched, applied or restored. HWS_STEP_FAILED: in doubt; err says why. */
enum hws_step hws_nv_recover_next(struct hws_nv_recover *r, uint64_t now_ms,
                                  struct hws_ctl_call *call);
void hws_nv_recover_feed(struct hws_nv_recover *r, const struct hws_ctl_call *call);

#endif
