/*
 * The limits of hawser-wire as hawserd may set them by its configuration: names, defaults and
 * ranges (limits.def). Pure; any thread.
 */
#ifndef HWS_COMMON_LIMITS_H
#define HWS_COMMON_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HWS_COMMON_N_LIMITS 61u

struct hws_common_limit {
    const char *name;
    uint32_t usual; /* the default */
    uint32_t lowest;
    uint32_t highest;
};

/* The limit at idx; NULL from HWS_COMMON_N_LIMITS on. */
const struct hws_common_limit *hws_common_limit_at(size_t idx);

/* HWS_E_NOT_FOUND: no such limit. HWS_E_INVALID: the value is none that it takes, or no number; the
 * text says which are. */
enum hws_code hws_common_limit_check(const char *name, const char *value, struct hws_err *err)
    HWS_MUST_USE;

#endif
