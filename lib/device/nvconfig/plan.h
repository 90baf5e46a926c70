/*
 * What a set of settings would do, exactly: the difference per parameter, the register writes, the
 * reset needed. Reads only.
 *
 * Settings of one record merge into one write. A record's other bits keep their NEXT value. Setting
 * a field sets its valid bit; where that makes a neighbour count that did not before, the neighbour
 * is listed as an implied change. Contract of next and feed: hca/identity.h. The struct is some 40
 * KiB: allocate it.
 */
#ifndef HWS_NVCONFIG_PLAN_H
#define HWS_NVCONFIG_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/digest.h"
#include "ifc/call.h"
#include "nvconfig/param.h"
#include "nvconfig/reader.h"

#define HWS_NV_MAX_SETTINGS    64u
#define HWS_NV_DEVICE_ID_BYTES 128u

struct hws_nv_setting {
    const char *name;
    const char *value;
};

struct hws_nv_change {
    const struct hws_nv_param *param;
    char running[HWS_NV_VALUE_BYTES]; /* empty: not available */
    char next_boot[HWS_NV_VALUE_BYTES];
    char wanted[HWS_NV_VALUE_BYTES];
    enum hws_nv_reset reset;
    bool changes; /* wanted differs from next boot */
    bool implied; /* not asked for, but follows (see above) */
};

/* One register write: MNVDA with new_bytes, or MNVDI (back to the factory's bytes, which new_bytes
 * holds). */
struct hws_nv_write {
    uint8_t tlv_idx;
    bool invalidate;
    uint8_t n_bytes;
    uint8_t old_bytes[HWS_NV_TLV_MAX_BYTES];
    uint8_t new_bytes[HWS_NV_TLV_MAX_BYTES];
};

/* A wanted field value. */
struct hws_nv_want {
    uint8_t param_idx;
    bool to_default; /* value is taken from FACTORY */
    uint32_t value;
};

struct hws_nv_plan {
    /* Results, valid after HWS_STEP_DONE. */
    size_t n_changes;
    struct hws_nv_change
        changes[HWS_NV_MAX_PARAMS]; /* asked for first, in that order; then implied ones */
    size_t n_writes;                /* 0: nothing to do */
    struct hws_nv_write writes[HWS_NV_N_TLVS];
    enum hws_nv_reset reset;    /* the highest that any change needs */
    struct hws_digest revision; /* what the adapter holds now */
    struct hws_digest hash;     /* over device id, revision and the exact register writes */
    struct hws_err err;         /* after HWS_STEP_FAILED */
    uint64_t timeout_ms;        /* per command; the caller may change it after init */
    /* Private. */
    char device_id[HWS_NV_DEVICE_ID_BYTES];
    bool is_reset; /* wants come from FACTORY; what the adapter lacks is left out if all were asked
                      for */
    bool reset_all;
    size_t n_wants;
    struct hws_nv_want wants[HWS_NV_MAX_PARAMS];
    unsigned state;
    struct hws_nv_reader reader;
};

/*
 * Parses the settings (borrowed for this call only; 1..HWS_NV_MAX_SETTINGS). Before any device I/O:
 * HWS_E_NOT_FOUND (unknown parameter, with suggestions), HWS_E_INVALID (value out of range with
 * what is allowed, a name twice, no or too many settings).
 */
enum hws_code hws_nv_plan_init(struct hws_nv_plan *plan, const char *device_id,
                               const struct hws_nv_setting *settings, size_t n_settings,
                               struct hws_err *err) HWS_MUST_USE;

/*
 * Fails with HWS_E_UNSUPPORTED (this adapter lacks the parameter or lets nobody write it),
 * HWS_E_INVALID (over the adapter's own maximum, or settings that contradict each other), or what a
 * command came to.
 */
enum hws_step hws_nv_plan_next(struct hws_nv_plan *plan, uint64_t now_ms,
                               struct hws_ctl_call *call);
void hws_nv_plan_feed(struct hws_nv_plan *plan, const struct hws_ctl_call *call);

#endif
