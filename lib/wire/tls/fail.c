/*
 * How a connection fails: a return value of mbedTLS, the verdict of verification and the alert that
 * was sent or received become one reason, one code and one line of text.
 */
#include <stdarg.h>
#include <string.h>

#include "tls/engine_priv.h"

static const struct {
    uint8_t alert;
    const char *name;
} s_alerts[] = {
    {10, "unexpected_message"},  {20, "bad_record_mac"},          {40, "handshake_failure"},
    {42, "bad_certificate"},     {43, "unsupported_certificate"}, {44, "certificate_revoked"},
    {45, "certificate_expired"}, {46, "certificate_unknown"},     {47, "illegal_parameter"},
    {48, "unknown_ca"},          {49, "access_denied"},           {50, "decode_error"},
    {51, "decrypt_error"},       {70, "protocol_version"},        {71, "insufficient_security"},
    {80, "internal_error"},      {90, "user_canceled"},           {109, "missing_extension"},
    {112, "unrecognized_name"},  {116, "certificate_required"},   {120, "no_application_protocol"},
};

static const char *alert_name(uint8_t alert)
{
    for (size_t i = 0; i < sizeof(s_alerts) / sizeof(s_alerts[0]); i++) {
        if (s_alerts[i].alert == alert) {
            return s_alerts[i].name;
        }
    }
    return "unnamed";
}

enum hws_code hws_tls__fail(struct hws_tls_conn *conn, enum hws_tls_reason reason,
                            enum hws_code code, const char *fmt, ...)
{
    if (conn->state == HWS_TLS_STATE_FAILED) {
        return conn->err.code;
    }
    va_list args;
    va_start(args, fmt);
    (void)hws_err_vset(&conn->err, code, fmt, args);
    va_end(args);
    conn->reason = reason;
    conn->in = (struct hws_span){0};
    hws_tls__move(conn, HWS_TLS_STATE_FAILED);
    return code;
}

static enum hws_tls_reason reason_of(struct hws_tls_conn *conn, int rc)
{
    if (conn->out_of_memory || hws_tls__is_nomem(rc)) {
        return HWS_TLS_REASON_LOCAL;
    }
    if (hws_tls__last_alert(conn) == MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL) {
        return HWS_TLS_REASON_ALPN;
    }
    switch (rc) {
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return HWS_TLS_REASON_NO_CERTIFICATE;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return HWS_TLS_REASON_PEER_ALERT;
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
#if MBEDTLS_VERSION_MAJOR < 3
    case MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE: /* a suite in common, and no group or key for it */
#endif
        return HWS_TLS_REASON_CIPHER;
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return HWS_TLS_REASON_VERSION;
    case MBEDTLS_ERR_X509_FATAL_ERROR:
        return HWS_TLS_REASON_CHAIN;
    default:
        return HWS_TLS_REASON_PROTOCOL;
    }
}

static enum hws_code refuse(struct hws_tls_conn *conn)
{
    const struct hws_tls__verify *v = &conn->engine->verify;
    uint32_t flags = mbedtls_ssl_get_verify_result(&conn->engine->ssl);
    enum hws_tls_reason reason = v->reason;

    if (!v->seen || reason == HWS_TLS_REASON_NONE) { /* the library refused what we let pass */
        reason =
            flags != 0 && flags != UINT32_MAX ? hws_tls__flags_reason(flags) : HWS_TLS_REASON_CHAIN;
    }
    const char *why = v->err.msg[0] != '\0' ? v->err.msg : hws_tls_reason_text(reason);
    const char *who = strstr(why, v->peer.principal) == NULL ? v->peer.principal : "";
    return hws_tls__fail(conn, reason, HWS_E_DENIED, "%s: %.240s%s%.100s%s",
                         hws_tls_reason_name(reason), why, who[0] != '\0' ? " (the peer is " : "",
                         who, who[0] != '\0' ? ")" : "");
}

enum hws_code hws_tls__fail_lib(struct hws_tls_conn *conn, int rc)
{
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
        (rc == MBEDTLS_ERR_SSL_BAD_CERTIFICATE && conn->engine->verify.seen)) {
        return refuse(conn);
    }
    enum hws_tls_reason reason = reason_of(conn, rc);
    switch ((int)reason) {
    case HWS_TLS_REASON_LOCAL:
        return hws_tls__fail(conn, reason, HWS_E_NOMEM, "TLS: out of memory");
    case HWS_TLS_REASON_PEER_ALERT: {
        uint8_t alert = conn->engine->ssl.MBEDTLS_PRIVATE(in_msg)[1];
        return hws_tls__fail(conn, reason, HWS_E_GONE, "the peer ended TLS with alert %u %s", alert,
                             alert_name(alert));
    }
    case HWS_TLS_REASON_NO_CERTIFICATE:
        hws_tls__tell_peer(conn, rc);
        return hws_tls__fail(conn, reason, HWS_E_DENIED, "%s: %s", hws_tls_reason_name(reason),
                             hws_tls_reason_text(reason));
    default:
        hws_tls__tell_peer(conn, rc);
        return hws_tls__fail(conn, reason, HWS_E_PROTO, "%s: %s (-0x%04x)",
                             hws_tls_reason_name(reason), hws_tls_reason_text(reason),
                             (unsigned)-rc);
    }
}
