/*
 * Identity from a SubjectAltName: one URI that is a SPIFFE ID, or else one DNS name. Names are
 * judged byte by byte against small alphabets, so that a NUL, a control byte or another script can
 * never reach a policy rule.
 */
#include "tls/peer.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/assert.h"
#include "tls/der_priv.h"

#define SPIFFE          "spiffe://"
#define SPIFFE_BYTES    (sizeof(SPIFFE) - 1)
#define DNS_PREFIX      "dns:"
#define DNS_MAX_BYTES   253u
#define LABEL_MAX_BYTES 63u
#define SAN_DNS         (HWS_DER_CONTEXT | 2u)
#define SAN_URI         (HWS_DER_CONTEXT | 6u)
#define SAN_IP          (HWS_DER_CONTEXT | 7u)

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_domain_char(char c)
{
    return is_lower_or_digit(c) || c == '.' || c == '-' || c == '_';
}

static bool is_path_char(char c)
{
    return is_domain_char(c) || (c >= 'A' && c <= 'Z');
}

static char ascii_lower(char c)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz";

    if (c >= 'A' && c <= 'Z') {
        return lower[c - 'A'];
    }
    return c;
}

static enum hws_code check_segment(const char *seg, size_t n, struct hws_err *err)
{
    if (n == 0) {
        return hws_err_set(err, HWS_E_INVALID, "SPIFFE ID: empty path segment");
    }
    if (seg[0] == '.' && (n == 1 || (n == 2 && seg[1] == '.'))) {
        return hws_err_set(err, HWS_E_INVALID, "SPIFFE ID: path segment \".\" or \"..\"");
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_path_char(seg[i])) {
            return hws_err_set(err, HWS_E_INVALID, "SPIFFE ID: byte 0x%02x in the path",
                               (unsigned char)seg[i]);
        }
    }
    return HWS_OK;
}

static enum hws_code check_domain(const char *text, size_t n, struct hws_err *err)
{
    if (n == 0 || n > HWS_TLS_DOMAIN_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "SPIFFE ID: trust domain of %zu bytes (1 to %u)", n,
                           HWS_TLS_DOMAIN_MAX_BYTES);
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_domain_char(text[i])) {
            return hws_err_set(err, HWS_E_INVALID, "SPIFFE ID: byte 0x%02x in the trust domain",
                               (unsigned char)text[i]);
        }
    }
    return HWS_OK;
}

enum hws_code hws_tls_spiffe_check(const char *text, size_t n_bytes, struct hws_err *err)
{
    if (n_bytes > HWS_TLS_URI_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "SPIFFE ID of %zu bytes (at most %u)", n_bytes,
                           HWS_TLS_URI_MAX_BYTES);
    }
    if (n_bytes < SPIFFE_BYTES || memcmp(text, SPIFFE, SPIFFE_BYTES) != 0) {
        return hws_err_set(err, HWS_E_INVALID, "URI name is not \"spiffe://...\"");
    }
    const char *domain = text + SPIFFE_BYTES;
    const char *end = text + n_bytes;
    const char *slash = memchr(domain, '/', (size_t)(end - domain));
    enum hws_code rc = check_domain(domain, (size_t)((slash == NULL ? end : slash) - domain), err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (slash == NULL) {
        return hws_err_set(err, HWS_E_INVALID, "SPIFFE ID: a trust domain without a path");
    }
    while (slash != NULL && rc == HWS_OK) {
        const char *seg = slash + 1;
        slash = memchr(seg, '/', (size_t)(end - seg));
        rc = check_segment(seg, (size_t)((slash == NULL ? end : slash) - seg), err);
    }
    return rc;
}

bool hws_tls_dns_check(const char *name, size_t n)
{
    size_t label = 0;

    if (n == 0 || n > DNS_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char c = ascii_lower(name[i]);
        if (c == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
            continue;
        }
        if (!is_domain_char(c) || ++label > LABEL_MAX_BYTES) {
            return false;
        }
    }
    return label > 0;
}

struct names {
    unsigned n_uri;
    unsigned n_dns;
    struct hws_span uri; /* the first */
    struct hws_span dns; /* the first */
};

static enum hws_code collect(struct hws_span san, struct names *names, struct hws_err *err)
{
    unsigned n = 0;

    while (san.n > 0) {
        uint8_t tag = 0;
        struct hws_span name;
        if (!hws_tls__der_next(&san, &tag, &name)) {
            return hws_err_set(err, HWS_E_PROTO, "subjectAltName is not valid DER");
        }
        if (++n > HWS_TLS_MAX_SANS) {
            return hws_err_set(err, HWS_E_DENIED, "more than %u names in the certificate",
                               HWS_TLS_MAX_SANS);
        }
        if (tag == SAN_URI && names->n_uri++ == 0) {
            names->uri = name;
        } else if (tag == SAN_DNS && names->n_dns++ == 0) {
            names->dns = name;
        }
    }
    return HWS_OK;
}

static enum hws_code dns_principal(const struct names *names, char *out, size_t cap,
                                   struct hws_err *err)
{
    const char *name = (const char *)names->dns.bytes;
    size_t n = names->dns.n;

    if (names->n_dns != 1) {
        return hws_err_set(err, HWS_E_DENIED, "no URI name and %u DNS names in the certificate",
                           names->n_dns);
    }
    if (!hws_tls_dns_check(name, n)) {
        return hws_err_set(err, HWS_E_DENIED, "the certificate's DNS name is malformed");
    }
    hws_assert(cap > sizeof(DNS_PREFIX) + n);
    memcpy(out, DNS_PREFIX, sizeof(DNS_PREFIX) - 1);
    for (size_t i = 0; i < n; i++) {
        out[sizeof(DNS_PREFIX) - 1 + i] = ascii_lower(name[i]);
    }
    out[sizeof(DNS_PREFIX) - 1 + n] = '\0';
    return HWS_OK;
}

enum hws_code hws_tls_san_principal(struct hws_span san, char *out, size_t cap, struct hws_err *err)
{
    struct names names = {0};

    hws_assert(cap > HWS_TLS_PRINCIPAL_MAX_BYTES);
    enum hws_code rc = collect(san, &names, err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (names.n_uri == 0) {
        return dns_principal(&names, out, cap, err);
    }
    if (names.n_uri > 1) {
        return hws_err_set(err, HWS_E_DENIED, "%u URI names in the certificate", names.n_uri);
    }
    if (hws_tls_spiffe_check((const char *)names.uri.bytes, names.uri.n, err) != HWS_OK) {
        if (err != NULL) {
            err->code = HWS_E_DENIED;
        }
        return HWS_E_DENIED;
    }
    (void)hws_str_copy_n(out, cap, names.uri.bytes, names.uri.n);
    return HWS_OK;
}

static bool same_dns(struct hws_span name, const char *want, size_t n)
{
    if (name.n != n || !hws_tls_dns_check((const char *)name.bytes, n)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (ascii_lower((char)name.bytes[i]) != ascii_lower(want[i])) {
            return false;
        }
    }
    return true;
}

static enum hws_code expect_dns(struct hws_span san, const char *want, struct hws_err *err)
{
    size_t n = strlen(want);
    uint8_t tag = 0;
    struct hws_span name;

    if (!hws_tls_dns_check(want, n)) {
        return hws_err_set(err, HWS_E_INVALID, "\"dns:\" needs a host name");
    }
    while (hws_tls__der_next(&san, &tag, &name)) {
        if (tag == SAN_DNS && same_dns(name, want, n)) {
            return HWS_OK;
        }
    }
    return hws_err_set(err, HWS_E_DENIED, "no DNS name in the server's certificate is %s", want);
}

static enum hws_code expect_ip(struct hws_span san, const char *want, struct hws_err *err)
{
    uint8_t addr[16] = {0};
    size_t n = 0;
    uint8_t tag = 0;
    struct hws_span name;

    if (inet_pton(AF_INET, want, addr) == 1) {
        n = 4;
    } else if (inet_pton(AF_INET6, want, addr) == 1) {
        n = 16;
    } else {
        return hws_err_set(err, HWS_E_INVALID, "\"ip:\" needs an address");
    }
    while (hws_tls__der_next(&san, &tag, &name)) {
        if (tag == SAN_IP && hws_tls__der_is(name, addr, n)) {
            return HWS_OK;
        }
    }
    return hws_err_set(err, HWS_E_DENIED, "no IP address in the server's certificate is %s", want);
}

static enum hws_code expect_spiffe(const char *principal, const char *expect, struct hws_err *err)
{
    size_t n = strlen(expect);
    bool prefix = expect[n - 1] == '/' && n > SPIFFE_BYTES;
    /* A prefix is a SPIFFE ID with its last slash, or a whole trust domain. */
    if (!prefix && hws_tls_spiffe_check(expect, n, err) != HWS_OK) {
        return hws_err_wrap(err, "expected peer");
    }
    if (prefix ? hws_str_starts(principal, expect) : hws_str_eq(principal, expect)) {
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_DENIED, "the server is %.100s, not %.100s", principal, expect);
}

enum hws_code hws_tls_san_expect(struct hws_span san, const char *principal, const char *expect,
                                 struct hws_err *err)
{
    if (hws_str_starts(expect, SPIFFE)) {
        return expect_spiffe(principal, expect, err);
    }
    if (hws_str_starts(expect, DNS_PREFIX)) {
        return expect_dns(san, expect + sizeof(DNS_PREFIX) - 1, err);
    }
    if (hws_str_starts(expect, "ip:")) {
        return expect_ip(san, expect + 3, err);
    }
    return hws_err_set(err, HWS_E_INVALID,
                       "expected peer: \"%.100s\" is not spiffe://..., dns:... or ip:...", expect);
}
