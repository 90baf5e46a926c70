/* Names and texts of the reasons, from the one list. */
#include "tls/reason.h"

#include <stddef.h>

static const struct {
    const char *name;
    const char *text;
} s_reasons[HWS_TLS_N_REASONS] = {
#define HWS_TLS_REASON(NAME, name, text) {name, text},
#include "tls/reasons.def"
#undef HWS_TLS_REASON
};

const char *hws_tls_reason_name(enum hws_tls_reason reason)
{
    return (unsigned)reason < HWS_TLS_N_REASONS ? s_reasons[reason].name : "?";
}

const char *hws_tls_reason_text(enum hws_tls_reason reason)
{
    return (unsigned)reason < HWS_TLS_N_REASONS ? s_reasons[reason].text : "?";
}
