/*
 * Reads parameters in their four images, and what the adapter supports of them.
 *
 * default = FACTORY, next boot = NEXT, running = CURRENT (MNVDA access modes). The card has no
 * separate image of what is merely stored: what the flash holds is what the next boot uses, so
 * stored is NEXT as well. An image that the firmware does not give (MNVGC) is empty. A field whose
 * valid bit is clear does not count on the card; it shows as "unset", or "unset(N)" when bits are
 * there all the same.
 *
 * Steps: MNVGC; MNVQC and NEXT of every record (the revision covers them all); CURRENT and FACTORY
 * of the chosen ones; the capability records. Contract of next and feed: hca/identity.h.
 */
#ifndef HWS_NVCONFIG_GET_H
#define HWS_NVCONFIG_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/digest.h"
#include "ifc/call.h"
#include "nvconfig/param.h"
#include "nvconfig/reader.h"

/* One parameter on one adapter. */
struct hws_nv_value {
    const struct hws_nv_param *param;
    bool supported;
    char reason[96];                        /* why not supported; else empty */
    bool read_only;                         /* the adapter lets nobody write it */
    uint32_t max;                           /* on this adapter */
    char default_value[HWS_NV_VALUE_BYTES]; /* empty: not available */
    char stored[HWS_NV_VALUE_BYTES];
    char next_boot[HWS_NV_VALUE_BYTES];
    char running[HWS_NV_VALUE_BYTES];
    bool pending; /* next boot differs from running; false if running is not available */
};

struct hws_nv_get {
    struct hws_digest
        revision;        /* after HWS_STEP_DONE: over the NEXT bytes of every supported record */
    struct hws_err err;  /* after HWS_STEP_FAILED */
    size_t n_values;     /* how many parameters were chosen */
    uint64_t timeout_ms; /* per command; the caller may change it after init */
    uint8_t chosen[HWS_NV_MAX_PARAMS]; /* private: indices of parameters */
    struct hws_nv_reader reader;       /* private */
};

/* names == NULL or n_names == 0: every parameter. HWS_E_NOT_FOUND (unknown name), HWS_E_INVALID
 * (twice, too many). */
enum hws_code hws_nv_get_init(struct hws_nv_get *get, const char *const *names, size_t n_names,
                              struct hws_err *err) HWS_MUST_USE;
enum hws_step hws_nv_get_next(struct hws_nv_get *get, uint64_t now_ms, struct hws_ctl_call *call);
void hws_nv_get_feed(struct hws_nv_get *get, const struct hws_ctl_call *call);

/* The idx-th chosen parameter (in the order of names, else of the table), after HWS_STEP_DONE. */
void hws_nv_get_value(const struct hws_nv_get *get, size_t idx, struct hws_nv_value *out);

#endif
