/* Why a TLS connection failed: an enumeration that logs and counters share (reasons.def). */
#ifndef HWS_TLS_REASON_H
#define HWS_TLS_REASON_H

enum hws_tls_reason {
#define HWS_TLS_REASON(NAME, name, text) HWS_TLS_REASON_##NAME,
#include "tls/reasons.def"
#undef HWS_TLS_REASON
    HWS_TLS_N_REASONS
};

/* "unknown_ca" for HWS_TLS_REASON_UNKNOWN_CA; "?" for a value out of range. */
const char *hws_tls_reason_name(enum hws_tls_reason reason);

/* One clause for people; "?" for a value out of range. */
const char *hws_tls_reason_text(enum hws_tls_reason reason);

#endif
