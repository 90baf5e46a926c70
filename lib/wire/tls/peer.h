/*
 * Who a certificate says it is. Our own reading of the leaf, independent of the TLS library's
 * verdict: the extensions are walked as raw DER, so that it is the same with every version of it.
 *
 * The identity rule. Exactly one URI SAN is the identity, and it must be a SPIFFE ID; DNS and IP
 * SANs beside it are names for servers, not identities. Without a URI SAN, exactly one DNS SAN is
 * the identity. The subject (CN) is never looked at.
 *
 * SPIFFE ID: "spiffe://", a trust domain of [a-z0-9._-] up to 255 bytes, a path of one or more
 * segments of [A-Za-z0-9._-], none empty, "." or ".."; no port, user, query, fragment or percent;
 * at most HWS_TLS_URI_MAX_BYTES in all.
 *
 * Leaf rule. Not a CA, keyUsage present with digitalSignature and without keyCertSign and cRLSign,
 * extendedKeyUsage present with clientAuth (a peer of a server) or serverAuth (a peer of a client),
 * each extension at most once.
 *
 * Pure functions of bytes; any thread.
 */
#ifndef HWS_TLS_PEER_H
#define HWS_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tls/reason.h"

#define HWS_TLS_URI_MAX_BYTES       1024u /* the SPIFFE text allows 2048; ours are short */
#define HWS_TLS_DOMAIN_MAX_BYTES    255u
#define HWS_TLS_PRINCIPAL_MAX_BYTES HWS_TLS_URI_MAX_BYTES /* "dns:" + 253 is shorter */
#define HWS_TLS_SERIAL_MAX_BYTES    20u                   /* RFC 5280 4.1.2.2 */
#define HWS_TLS_SHA256_BYTES        32u
#define HWS_TLS_MAX_SANS            64u

/* Bits of hws_tls_leaf.eku. */
#define HWS_TLS_EKU_SERVER 1u
#define HWS_TLS_EKU_CLIENT 2u

/* An identified peer. */
struct hws_tls_peer {
    char principal[HWS_TLS_PRINCIPAL_MAX_BYTES + 1]; /* "spiffe://domain/path" or "dns:name" */
    char serial[2 * HWS_TLS_SERIAL_MAX_BYTES + 1];   /* lower-case hex, without DER's sign byte */
    uint8_t sha256[HWS_TLS_SHA256_BYTES];            /* of the leaf's DER */
    uint64_t not_before_s;                           /* seconds since 1970, UTC */
    uint64_t not_after_s;
};

#define HWS_TLS_MAX_CHAIN 3u /* certificates above a leaf, the CA of ours included */

/* The certificates of a chain below the CA of ours, by what a revocation list names. */
struct hws_tls_path {
    unsigned n;
    struct {
        uint8_t issuer[HWS_TLS_SHA256_BYTES]; /* of the issuer's name in DER */
        uint8_t serial[HWS_TLS_SERIAL_MAX_BYTES];
        uint8_t n_serial;
    } certs[HWS_TLS_MAX_CHAIN];
};

/* What the extensions of a leaf say; spans point into the DER that was read. */
struct hws_tls_leaf {
    struct hws_span san; /* content of the SubjectAltName SEQUENCE; n = 0 if absent */
    bool ca;             /* basicConstraints cA */
    bool has_key_usage;
    uint16_t key_usage; /* bit 15 - i is bit i of RFC 5280's KeyUsage */
    bool has_eku;
    unsigned eku; /* HWS_TLS_EKU_... */
};

/*
 * Reads the Extensions SEQUENCE (tag 0x30 included) of a certificate. HWS_E_PROTO for broken DER or
 * an extension that appears twice.
 */
enum hws_code hws_tls_leaf_parse(struct hws_span extensions, struct hws_tls_leaf *out_leaf,
                                 struct hws_err *err) HWS_MUST_USE;

/* Applies the leaf rule: eku is the one bit the peer needs. HWS_E_DENIED naming what is wrong. */
enum hws_code hws_tls_leaf_check_usage(const struct hws_tls_leaf *leaf, unsigned eku,
                                       struct hws_err *err) HWS_MUST_USE;

/*
 * Applies the identity rule to the content of a SubjectAltName SEQUENCE and writes the principal
 * with its NUL into out[cap]; cap must be at least HWS_TLS_PRINCIPAL_MAX_BYTES + 1. HWS_E_PROTO for
 * broken DER, HWS_E_DENIED for names that break the rule.
 */
enum hws_code hws_tls_san_principal(struct hws_span san, char *out, size_t cap, struct hws_err *err)
    HWS_MUST_USE;

/* A host name of letters, digits, '-' and '_' in labels of 1 to 63, at most 253 bytes; in either
 * case, which the caller folds. */
bool hws_tls_dns_check(const char *name, size_t n) HWS_MUST_USE;

/* HWS_OK if text is a SPIFFE ID by the rule above, else HWS_E_INVALID saying why. */
enum hws_code hws_tls_spiffe_check(const char *text, size_t n_bytes, struct hws_err *err)
    HWS_MUST_USE;

/*
 * Does a leaf with this SAN and principal satisfy what a client expects of a server?
 *   "spiffe://d/agent/a"   exactly this principal       "spiffe://d/agent/"  any principal below
 *   "dns:host-a.example"   a DNS SAN equal to it, ASCII case ignored, no wildcards
 *   "ip:127.0.0.1"         an IP SAN equal to it (IPv4 dotted or IPv6 text)
 * HWS_E_DENIED naming both sides when not; HWS_E_INVALID for an expectation of another form.
 */
enum hws_code hws_tls_san_expect(struct hws_span san, const char *principal, const char *expect,
                                 struct hws_err *err) HWS_MUST_USE;

#endif
