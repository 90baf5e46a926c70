/*
 * Does what a plan said, wholly or not at all.
 *
 *   1. reads the adapter again and computes the same plan; HWS_E_CONFLICT if revision or hash is
 * not what was named
 *   2. writes each record and reads it back
 *   3. on any failure writes the old bytes back, last record first, and reads each back
 *
 * A write that ended UNKNOWN is read back before anything is decided: found done, it counts; else
 * all is undone. A refused write is read back as well: the card's bytes decide, not its answer.
 * Each undo step has HWS_NV_UNDO_TRIES tries. outcome says what the card holds at the end; detail
 * says it in words. Contract of next and feed: hca/identity.h. The struct is some 40 KiB: allocate
 * it.
 */
#ifndef HWS_NVCONFIG_APPLY_H
#define HWS_NVCONFIG_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/digest.h"
#include "ifc/call.h"
#include "nvconfig/plan.h"

#define HWS_NV_UNDO_TRIES  3u
#define HWS_NV_UNDO_PASSES 2u /* a record may be refused while another is not back yet */
#define HWS_NV_READ_TRIES  3u

/* What the card holds when the stepper ends. */
enum hws_nv_outcome {
    HWS_NV_UNTOUCHED, /* nothing was written: the old values */
    HWS_NV_APPLIED,   /* the new values, read back */
    HWS_NV_RESTORED,  /* something was written and put back: the old values, read back */
    HWS_NV_IN_DOUBT   /* neither could be established; detail names the records */
};

struct hws_nv_apply {
    enum hws_nv_outcome outcome; /* valid at the end, whichever it is */
    bool late_write; /* a write that ended UNKNOWN read back as not done; it may still land */
    char detail[HWS_ERR_MSG_BYTES]; /* what state the card is in, in words */
    struct hws_digest revision;     /* after HWS_STEP_DONE: of what the adapter holds now */
    struct hws_err err;      /* after HWS_STEP_FAILED: the first failure, what caused the undoing */
    uint64_t timeout_ms;     /* per command; the caller may change it after init */
    struct hws_nv_plan plan; /* what was (to be) done; results as in plan.h once it was computed */
    /* Private. */
    bool has_hash;
    bool has_revision;
    bool sent; /* a write reached, or may have reached, the card */
    struct hws_digest want_hash;
    struct hws_digest want_revision;
    unsigned state;
    unsigned n_tries;
    size_t write_idx;             /* the write under way, or being undone */
    unsigned n_passes;            /* of the undoing, over what is in doubt */
    bool in_doubt[HWS_NV_N_TLVS]; /* by write: its old bytes could not be read back */
    struct hws_err last;          /* of the undoing; err keeps what caused it */
    struct hws_hca_regio io;
};

/*
 * As hws_nv_plan_init, plus what the caller saw: the plan's hash and the revision it was made
 * against (either may be NULL: not compared).
 */
enum hws_code hws_nv_apply_init(struct hws_nv_apply *apply, const char *device_id,
                                const struct hws_nv_setting *settings, size_t n_settings,
                                const struct hws_digest *plan_hash,
                                const struct hws_digest *expected_revision, struct hws_err *err)
    HWS_MUST_USE;
enum hws_step hws_nv_apply_next(struct hws_nv_apply *apply, uint64_t now_ms,
                                struct hws_ctl_call *call);
void hws_nv_apply_feed(struct hws_nv_apply *apply, const struct hws_ctl_call *call);

/* "untouched", "applied", "restored", "in-doubt". */
const char *hws_nv_outcome_name(enum hws_nv_outcome outcome);

#endif
