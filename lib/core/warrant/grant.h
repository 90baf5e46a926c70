/*
 * A grant: for a while, one principal may ask for dangerous commands on some adapters, up to an
 * effect and, if rows are named, by these only. Without one nothing dangerous is even looked at.
 * Pure data; texts are borrowed; any thread.
 */
#ifndef HWS_WARRANT_GRANT_H
#define HWS_WARRANT_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "table/row.h"

#define HWS_GRANT_LIFE_S       3600u /* the longest */
#define HWS_GRANT_MAX_ROWS     32u
#define HWS_GRANT_REASON_BYTES 256u /* at most */

struct hws_grant {
    const char *principal;   /* exact */
    const char *device;      /* "*", an id, a PCI address or a serial number */
    enum hws_effect effect;  /* DEBUG_WRITE or FULL: the highest that it covers */
    const char *const *rows; /* "MTRC_CTRL:write", "SET_DIAGNOSTIC_PARAMS"; none: all */
    size_t n_rows;
    uint64_t from_s; /* seconds since 1970, as until_s */
    uint64_t until_s;
    const char *granted_by;
    const char *reason;
};

/* What somebody wants to do. */
struct hws_grant_ask {
    const char *principal;
    const char *device_id;
    const char *device_pci;
    const char *device_serial;
    enum hws_effect effect;
    const char *target;        /* command or register */
    const char *target_method; /* "read", "write" or "" */
};

enum hws_grant_fit {
    HWS_GRANT_OTHER,   /* another principal, adapter, effect or row */
    HWS_GRANT_EXPIRED, /* it would cover it, but its time is over */
    HWS_GRANT_EARLY,   /* it would cover it, but its time has not come */
    HWS_GRANT_COVERS
};

/* True if the command table's effect needs a grant and a warrant. */
bool hws_grant_is_dangerous(enum hws_effect effect);

/* HWS_E_INVALID, *out_field naming what is wrong: empty or too long, no dangerous effect, for
 * longer than HWS_GRANT_LIFE_S, granted by the principal to itself. */
enum hws_code hws_grant_check(const struct hws_grant *g, const char **out_field,
                              struct hws_err *err) HWS_MUST_USE;

enum hws_grant_fit hws_grant_fits(const struct hws_grant *g, const struct hws_grant_ask *ask,
                                  uint64_t now_s);

#endif
