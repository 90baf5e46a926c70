/* The table of limits.def, searched by name. */
#include "common/limits.h"

#include "base/str.h"

static const struct hws_common_limit s_limits[] = {
#define HWS_LIMIT(name, usual, lowest, highest) {#name, usual, lowest, highest},
#include "common/limits.def"
#undef HWS_LIMIT
};
_Static_assert(sizeof(s_limits) / sizeof(s_limits[0]) == HWS_COMMON_N_LIMITS, "rows of limits.def");

const struct hws_common_limit *hws_common_limit_at(size_t idx)
{
    return idx < HWS_COMMON_N_LIMITS ? &s_limits[idx] : NULL;
}

enum hws_code hws_common_limit_check(const char *name, const char *value, struct hws_err *err)
{
    for (size_t i = 0; i < HWS_COMMON_N_LIMITS; i++) {
        const struct hws_common_limit *l = &s_limits[i];
        uint64_t v = 0;

        if (!hws_str_eq(l->name, name)) {
            continue;
        }
        if (hws_str_to_u64(value, UINT32_MAX, &v, NULL) == HWS_OK && v >= l->lowest &&
            v <= l->highest) {
            return HWS_OK;
        }
        return hws_err_set(err, HWS_E_INVALID, "%s is \"%.20s\"; allowed are %u..%u (default %u)",
                           name, value, l->lowest, l->highest, l->usual);
    }
    return hws_err_set(err, HWS_E_NOT_FOUND,
                       "there is no limit \"%.40s\"; hawser-wire --limits lists them", name);
}
