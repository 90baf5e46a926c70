/*
 * A bundle: our certificate chain, its key, and the CAs that we believe. Immutable and counted:
 * rotation makes a new one and swaps a pointer, connections keep the one they began with.
 *
 * Profile: ECDSA P-256 or P-384, or RSA of at least 3072 bits; SHA-256 or better; at most
 * HWS_TLS_MAX_CHAIN certificates above a leaf.
 *
 * Thread rule: one thread. Bundles hold a key: it is wiped when the last reference goes.
 */
#ifndef HWS_TLS_BUNDLE_H
#define HWS_TLS_BUNDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tls/peer.h"
#include "tls/rng.h"

#define HWS_TLS_PEM_MAX_BYTES     ((size_t)256 * 1024) /* each of the three inputs */
#define HWS_TLS_MAX_CAS           64u                  /* of all trust domains together */
#define HWS_TLS_MAX_TRUST         8u                   /* other trust domains than ours */
#define HWS_TLS_MAX_CRLS          32u
#define HWS_TLS_BUNDLE_MIN_LEFT_S 3600u /* a certificate that ends sooner is refused */

struct hws_tls_bundle;

/* Which engine moves the records after a handshake. */
enum hws_tls_records_choice {
    HWS_TLS_RECORDS_AUTO,      /* the fastest AES-GCM there is where that is the suite: aead.h */
    HWS_TLS_RECORDS_LIBCRYPTO, /* libcrypto's AES-GCM there, whatever else is built in */
    HWS_TLS_RECORDS_MBEDTLS,   /* mbedTLS's, always */
};

/* Another trust domain and the CAs that may name its members. */
struct hws_tls_trust {
    const char *domain; /* "other.example" */
    struct hws_span ca; /* PEM */
};

/* PEM texts, borrowed during the call. A trailing NUL is neither needed nor forbidden. */
struct hws_tls_pem {
    struct hws_span cert; /* our leaf first, then its intermediates */
    struct hws_span key;  /* the leaf's key, unencrypted */
    struct hws_span ca;   /* one or more CA certificates; nothing but CAs. They name members of our
                             own trust domain (that of cert), and no others */
    const struct hws_tls_trust *trust; /* CAs of other trust domains; may be NULL */
    size_t n_trust;
    struct hws_span crl;  /* revocation lists of CAs of ours, or of intermediates whose chain is in
                             the same text or  in cert; n = 0: none */
    struct hws_span deny; /* the deny-list (deny.h); n = 0: empty */
    bool allow_tls12;     /* mbedTLS 3 speaks 1.3 only unless this is set; 2.28 always speaks 1.2 */
    enum hws_tls_records_choice records;
};

/*
 * Parses and checks: the key fits the leaf, the leaf passes the leaf and identity rules (peer.h)
 * for at least one side of TLS, the chain verifies against our own CAs (ca) at now_s (seconds since
 * 1970), and at least HWS_TLS_BUNDLE_MIN_LEFT_S are left. The new bundle has one reference.
 * rng: borrowed, outlives the bundle.
 * HWS_E_INVALID (with which input and why), HWS_E_NOMEM.
 */
enum hws_code hws_tls_bundle_new(struct hws_tls_rng *rng, const struct hws_tls_pem *pem,
                                 uint64_t now_s, struct hws_tls_bundle **out_bundle,
                                 struct hws_err *err) HWS_MUST_USE;

/* A handshake of the bundle with itself, in memory, if its leaf may play both sides. HWS_E_INVALID
 * or HWS_E_DENIED with the reason, HWS_E_NOMEM. */
enum hws_code hws_tls_bundle_prove(struct hws_tls_bundle *bundle, uint64_t now_s,
                                   struct hws_err *err) HWS_MUST_USE;

/* Is a peer that was let in once, by the path that its chain took, revoked or denied by this
 * bundle? REVOKED, DENIED or NONE. */
enum hws_tls_reason hws_tls_bundle_judge(const struct hws_tls_bundle *bundle,
                                         const struct hws_tls_peer *peer,
                                         const struct hws_tls_path *path);

/* How old the revocation lists are at now_s; the worst of them. Without any: FRESH. */
enum hws_tls_freshness {
    HWS_TLS_FRESH,
    HWS_TLS_STALE,  /* past nextUpdate: people should know */
    HWS_TLS_OVERDUE /* past it by as long as a list is meant to last: nothing may be changed */
};
enum hws_tls_freshness hws_tls_bundle_freshness(const struct hws_tls_bundle *bundle,
                                                uint64_t now_s);

/* One more reference; returns the bundle. */
struct hws_tls_bundle *hws_tls_bundle_ref(struct hws_tls_bundle *bundle);

/* One reference less; the last one wipes and frees. NULL is allowed. */
void hws_tls_bundle_unref(struct hws_tls_bundle *bundle);

/* Who we are by this bundle; valid as long as the bundle. */
const struct hws_tls_peer *hws_tls_bundle_self(const struct hws_tls_bundle *bundle);

/* What our leaf may be used for: HWS_TLS_EKU_... bits. */
unsigned hws_tls_bundle_eku(const struct hws_tls_bundle *bundle);

#endif
