/*
 * The extensions of a leaf, read by our own code: basicConstraints, keyUsage, extendedKeyUsage and
 * subjectAltName. Everything else is left to the TLS library, which refuses unknown critical ones.
 */
#include "tls/der_priv.h"
#include "tls/peer.h"

/* OID contents (RFC 5280 4.2.1): id-ce 2.5.29.n, id-kp 1.3.6.1.5.5.7.3.n. */
static const uint8_t OID_KEY_USAGE[] = {0x55, 0x1d, 0x0f};
static const uint8_t OID_SAN[] = {0x55, 0x1d, 0x11};
static const uint8_t OID_BASIC[] = {0x55, 0x1d, 0x13};
static const uint8_t OID_EKU[] = {0x55, 0x1d, 0x25};
static const uint8_t OID_SERVER_AUTH[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
static const uint8_t OID_CLIENT_AUTH[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};

#define KU_DIGITAL_SIGNATURE 0x8000u /* bit 0 */
#define KU_KEY_CERT_SIGN     0x0400u /* bit 5 */
#define KU_CRL_SIGN          0x0200u /* bit 6 */

static bool parse_basic(struct hws_span value, struct hws_tls_leaf *leaf)
{
    struct hws_span seq;
    struct hws_span flag;

    if (!hws_tls__der_take(&value, HWS_DER_SEQUENCE, &seq) || value.n != 0) {
        return false;
    }
    if (hws_tls__der_take(&seq, HWS_DER_BOOLEAN, &flag)) {
        /* DER has one TRUE; any other non-zero byte counts as a CA too, the stricter reading. */
        leaf->ca = flag.n != 1 || flag.bytes[0] != 0;
    }
    return true;
}

static bool parse_key_usage(struct hws_span value, struct hws_tls_leaf *leaf)
{
    struct hws_span bits;

    if (!hws_tls__der_take(&value, HWS_DER_BIT_STRING, &bits) || value.n != 0 || bits.n < 2 ||
        bits.n > 3 || bits.bytes[0] > 7) {
        return false;
    }
    leaf->has_key_usage = true;
    leaf->key_usage = (uint16_t)(bits.bytes[1] << 8 | (bits.n == 3 ? bits.bytes[2] : 0));
    return true;
}

static bool parse_eku(struct hws_span value, struct hws_tls_leaf *leaf)
{
    struct hws_span seq;
    struct hws_span oid;

    if (!hws_tls__der_take(&value, HWS_DER_SEQUENCE, &seq) || value.n != 0) {
        return false;
    }
    while (seq.n > 0) {
        if (!hws_tls__der_take(&seq, HWS_DER_OID, &oid)) {
            return false;
        }
        if (hws_tls__der_is(oid, OID_SERVER_AUTH, sizeof(OID_SERVER_AUTH))) {
            leaf->eku |= HWS_TLS_EKU_SERVER;
        } else if (hws_tls__der_is(oid, OID_CLIENT_AUTH, sizeof(OID_CLIENT_AUTH))) {
            leaf->eku |= HWS_TLS_EKU_CLIENT;
        }
    }
    leaf->has_eku = true;
    return true;
}

static bool parse_san(struct hws_span value, struct hws_tls_leaf *leaf)
{
    return hws_tls__der_take(&value, HWS_DER_SEQUENCE, &leaf->san) && value.n == 0;
}

static const struct {
    const char *name;
    const uint8_t *oid;
    size_t n_oid;
    bool (*parse)(struct hws_span value, struct hws_tls_leaf *leaf);
} s_known[] = {
    {"basicConstraints", OID_BASIC, sizeof(OID_BASIC), parse_basic},
    {"keyUsage", OID_KEY_USAGE, sizeof(OID_KEY_USAGE), parse_key_usage},
    {"extendedKeyUsage", OID_EKU, sizeof(OID_EKU), parse_eku},
    {"subjectAltName", OID_SAN, sizeof(OID_SAN), parse_san},
};
#define N_KNOWN (sizeof(s_known) / sizeof(s_known[0]))

static enum hws_code parse_one(struct hws_span ext, struct hws_tls_leaf *leaf, unsigned *seen,
                               struct hws_err *err)
{
    struct hws_span oid;
    struct hws_span flag;
    struct hws_span value;

    if (!hws_tls__der_take(&ext, HWS_DER_OID, &oid)) {
        return hws_err_set(err, HWS_E_PROTO, "certificate extension without an OID");
    }
    (void)hws_tls__der_take(&ext, HWS_DER_BOOLEAN, &flag);
    if (!hws_tls__der_take(&ext, HWS_DER_OCTET_STRING, &value) || ext.n != 0) {
        return hws_err_set(err, HWS_E_PROTO, "certificate extension without a value");
    }
    for (unsigned i = 0; i < N_KNOWN; i++) {
        if (!hws_tls__der_is(oid, s_known[i].oid, s_known[i].n_oid)) {
            continue;
        }
        if ((*seen & 1u << i) != 0) {
            return hws_err_set(err, HWS_E_PROTO, "certificate with two %s", s_known[i].name);
        }
        *seen |= 1u << i;
        if (!s_known[i].parse(value, leaf)) {
            return hws_err_set(err, HWS_E_PROTO, "certificate with a broken %s", s_known[i].name);
        }
    }
    return HWS_OK;
}

enum hws_code hws_tls_leaf_parse(struct hws_span extensions, struct hws_tls_leaf *out_leaf,
                                 struct hws_err *err)
{
    struct hws_tls_leaf leaf = {.san = {.bytes = (const uint8_t *)"", .n = 0}};
    struct hws_span list;
    struct hws_span ext;
    unsigned seen = 0;

    if (extensions.n == 0) { /* a version 1 certificate */
        *out_leaf = leaf;
        return HWS_OK;
    }
    if (!hws_tls__der_take(&extensions, HWS_DER_SEQUENCE, &list) || extensions.n != 0) {
        return hws_err_set(err, HWS_E_PROTO, "certificate extensions are not a SEQUENCE");
    }
    while (list.n > 0) {
        if (!hws_tls__der_take(&list, HWS_DER_SEQUENCE, &ext)) {
            return hws_err_set(err, HWS_E_PROTO, "certificate extension is not a SEQUENCE");
        }
        enum hws_code rc = parse_one(ext, &leaf, &seen, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    *out_leaf = leaf;
    return HWS_OK;
}

enum hws_code hws_tls_leaf_check_usage(const struct hws_tls_leaf *leaf, unsigned eku,
                                       struct hws_err *err)
{
    if (leaf->ca) {
        return hws_err_set(err, HWS_E_DENIED, "a CA certificate used as a leaf");
    }
    if (!leaf->has_key_usage || (leaf->key_usage & KU_DIGITAL_SIGNATURE) == 0) {
        return hws_err_set(err, HWS_E_DENIED, "keyUsage lacks digitalSignature");
    }
    if ((leaf->key_usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0) {
        return hws_err_set(err, HWS_E_DENIED, "a leaf whose keyUsage signs certificates or CRLs");
    }
    if (!leaf->has_eku || (leaf->eku & eku) == 0) {
        return hws_err_set(err, HWS_E_DENIED, "extendedKeyUsage lacks %s",
                           eku == HWS_TLS_EKU_SERVER ? "serverAuth" : "clientAuth");
    }
    return HWS_OK;
}
