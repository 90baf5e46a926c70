/*
 * What a bundle believes: CAs by trust domain, revocation lists, the deny-list.
 *
 * mbedTLS builds a chain to any CA of the bundle; which names that CA may give is judged here, when
 * the leaf is known: the CA that the chain ends in must belong to the leaf's trust domain. So are
 * the lists: mbedTLS's own check passes a certificate for whose issuer there is none, and fails all
 * peers of a CA whose list is late.
 */
#include <string.h>

#include <mbedtls/md.h>
#include <mbedtls/sha256.h>

#include "base/mem.h"
#include "tls/engine_priv.h"

int hws_tls__sha256(const uint8_t *bytes, size_t n, uint8_t out[HWS_TLS_SHA256_BYTES])
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_sha256(bytes, n, out, 0);
#else
    return mbedtls_sha256_ret(bytes, n, out, 0);
#endif
}

struct hws_span hws_tls__serial(const mbedtls_x509_buf *der)
{
    bool sign = der->len > 1 && der->p[0] == 0 && der->p[1] >= 0x80;

    return (struct hws_span){.bytes = der->p + (sign ? 1 : 0), .n = der->len - (sign ? 1 : 0)};
}

static bool same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* ---- CAs ------------------------------------------------------------------------------------- */

static unsigned count(const mbedtls_x509_crt *list)
{
    unsigned n = 0;

    for (; list != NULL && list->raw.p != NULL; list = list->next) {
        n++;
    }
    return n;
}

static enum hws_code check_cas(struct hws_tls_bundle *b, unsigned from, unsigned domain,
                               struct hws_err *err)
{
    unsigned n = 0;

    for (const mbedtls_x509_crt *ca = &b->ca; ca != NULL; ca = ca->next, n++) {
        if (n >= HWS_TLS_MAX_CAS) {
            return hws_err_set(err, HWS_E_INVALID, "ca: more than %u certificates",
                               HWS_TLS_MAX_CAS);
        }
        if (n < from) {
            continue;
        }
        struct hws_tls_leaf ext;
        struct hws_span raw = {.bytes = ca->v3_ext.p, .n = ca->v3_ext.len};
        enum hws_code rc = hws_tls_leaf_parse(raw, &ext, err);
        if (rc != HWS_OK || !ext.ca) {
            return hws_err_set(err, HWS_E_INVALID, "ca: certificate %u is not a CA", n - from + 1);
        }
        b->domain_of_ca[n] = (uint8_t)domain;
    }
    return HWS_OK;
}

static enum hws_code add_domain(struct hws_tls_bundle *b, const struct hws_tls_trust *t,
                                struct hws_err *err)
{
    char id[HWS_TLS_DOMAIN_MAX_BYTES + 16];

    /* The domain of an ID that is well formed is well formed. */
    if (!hws_str_print(id, sizeof(id), "spiffe://%s/x", t->domain) ||
        strchr(t->domain, '/') != NULL || hws_tls_spiffe_check(id, strlen(id), NULL) != HWS_OK) {
        return hws_err_set(err, HWS_E_INVALID, "ca: \"%.100s\" is not a trust domain", t->domain);
    }
    for (unsigned i = 1; i < b->n_domains; i++) {
        if (hws_str_eq(b->domains[i], t->domain)) {
            return hws_err_set(err, HWS_E_INVALID, "ca: trust domain %.100s is given twice",
                               t->domain);
        }
    }
    char *name = hws_mem_strdup(t->domain);
    if (name == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "ca: out of memory");
    }
    b->domains[b->n_domains++] = name;
    unsigned before = count(&b->ca);
    enum hws_code rc = hws_tls__parse_certs(&b->ca, t->ca, "ca", err);
    rc = rc == HWS_OK ? check_cas(b, before, b->n_domains - 1, err) : rc;
    return rc == HWS_OK ? rc : hws_err_wrap(err, "trust domain %.100s", t->domain);
}

enum hws_code hws_tls__trust_load(struct hws_tls_bundle *b, const struct hws_tls_pem *pem,
                                  struct hws_err *err)
{
    if (pem->n_trust > HWS_TLS_MAX_TRUST) {
        return hws_err_set(err, HWS_E_INVALID, "ca: more than %u other trust domains",
                           HWS_TLS_MAX_TRUST);
    }
    b->n_domains = 1; /* number 0 is ours: its name comes with our certificate */
    enum hws_code rc = hws_tls__parse_certs(&b->ca, pem->ca, "ca", err);
    rc = rc == HWS_OK ? check_cas(b, 0, 0, err) : rc;
    for (size_t i = 0; i < pem->n_trust && rc == HWS_OK; i++) {
        rc = add_domain(b, &pem->trust[i], err);
    }
    return rc;
}

/* The trust domain of a principal: its text and length; n = 0 for a DNS name. */
static struct hws_span domain_of(const char *principal)
{
    static const char scheme[] = "spiffe://";

    if (!hws_str_starts(principal, scheme)) {
        return (struct hws_span){.bytes = (const uint8_t *)principal, .n = 0};
    }
    const char *domain = principal + sizeof(scheme) - 1;
    return (struct hws_span){(const uint8_t *)domain, strcspn(domain, "/")};
}

/* The number of the trust domain whose CAs may vouch for a principal; -1 if none. A DNS name is
 * ours. A bundle whose own leaf has no SPIFFE ID has no domain: its CAs vouch for any that is not
 * listed. */
static int domain_number(const struct hws_tls_bundle *b, const char *principal)
{
    struct hws_span domain = domain_of(principal);

    if (domain.n == 0) {
        return 0;
    }
    for (unsigned i = 0; i < b->n_domains; i++) {
        const char *name = b->domains[i];
        if (name != NULL && strlen(name) == domain.n && memcmp(name, domain.bytes, domain.n) == 0) {
            return (int)i;
        }
    }
    return b->domains[0] == NULL ? 0 : -1;
}

enum hws_code hws_tls__trust_own(struct hws_tls_bundle *b, struct hws_err *err)
{
    struct hws_span domain = domain_of(b->self.principal);

    if (domain.n == 0) {
        return HWS_OK;
    }
    if (domain_number(b, b->self.principal) > 0) {
        return hws_err_set(err, HWS_E_INVALID,
                           "ca: trust domain %.*s is our own: its CAs belong to ca", (int)domain.n,
                           (const char *)domain.bytes);
    }
    char *name = hws_mem_zalloc(1, domain.n + 1);
    if (name == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "ca: out of memory");
    }
    memcpy(name, domain.bytes, domain.n);
    b->domains[0] = name;
    return HWS_OK;
}

bool hws_tls__trust_names(const struct hws_tls_bundle *b, const mbedtls_x509_crt *anchor,
                          const char *principal)
{
    int wanted = domain_number(b, principal);
    unsigned i = 0;

    for (const mbedtls_x509_crt *ca = &b->ca; ca != NULL && wanted >= 0; ca = ca->next, i++) {
        if (b->domain_of_ca[i] == wanted && same(&ca->subject_raw, &anchor->subject_raw) &&
            same(&ca->pk_raw, &anchor->pk_raw)) {
            return true;
        }
    }
    return false;
}

/* ---- revocation lists ------------------------------------------------------------------------ */

static bool is_ca(const mbedtls_x509_crt *crt)
{
    struct hws_tls_leaf ext;
    struct hws_span raw = {.bytes = crt->v3_ext.p, .n = crt->v3_ext.len};

    return hws_tls_leaf_parse(raw, &ext, NULL) == HWS_OK && ext.ca;
}

/* Did this CA sign the list? */
static bool signed_by(const mbedtls_x509_crl *crl, mbedtls_x509_crt *ca)
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(crl->MBEDTLS_PRIVATE(sig_md));
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];

    if (!same(&crl->issuer_raw, &ca->subject_raw) || md == NULL || !is_ca(ca) ||
        (hws_tls__profile.allowed_mds & MBEDTLS_X509_ID_FLAG(crl->MBEDTLS_PRIVATE(sig_md))) == 0 ||
        mbedtls_x509_crt_check_key_usage(ca, MBEDTLS_X509_KU_CRL_SIGN) != 0 ||
        mbedtls_md(md, crl->tbs.p, crl->tbs.len, hash) != 0) {
        return false;
    }
    return mbedtls_pk_verify_ext(crl->MBEDTLS_PRIVATE(sig_pk), crl->MBEDTLS_PRIVATE(sig_opts),
                                 &ca->pk, crl->MBEDTLS_PRIVATE(sig_md), hash,
                                 mbedtls_md_get_size(md), crl->MBEDTLS_PRIVATE(sig).p,
                                 crl->MBEDTLS_PRIVATE(sig).len) == 0;
}

/* mbedTLS asks from the anchor down. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is mbedTLS's */
static int note_anchor(void *data, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const mbedtls_x509_crt **anchor = data;
    (void)depth;
    (void)flags;

    if (*anchor == NULL) {
        *anchor = crt;
    }
    return 0;
}

/* The domains, as bits, whose CA vouches for the certificate that stands here in a chain. One that
 * has expired still signs lists: what it issued is refused for its chain anyway, and a list that is
 * left over must not stop a rotation. */
static uint16_t domains_above(struct hws_tls_bundle *b, mbedtls_x509_crt *crt)
{
    const mbedtls_x509_crt *anchor = NULL;
    uint32_t flags = 0;
    unsigned i = 0;
    int lib = mbedtls_x509_crt_verify_with_profile(crt, &b->ca, NULL, &hws_tls__profile, NULL,
                                                   &flags, note_anchor, &anchor);

    if (lib != 0 && (lib != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
                     (flags & ~(uint32_t)MBEDTLS_X509_BADCERT_EXPIRED) != 0)) {
        return 0;
    }
    for (const mbedtls_x509_crt *ca = &b->ca; ca != NULL; ca = ca->next, i++) {
        if (ca == anchor) {
            return (uint16_t)(1u << b->domain_of_ca[i]);
        }
    }
    return 0;
}

/* The same for the lists of intermediates: one of the chain, leaf or not, has signed it. */
static uint16_t domains_by_chain(struct hws_tls_bundle *b, const mbedtls_x509_crl *crl,
                                 mbedtls_x509_crt *chain)
{
    uint16_t domains = 0;

    for (mbedtls_x509_crt *crt = chain; crt != NULL && crt->raw.p != NULL; crt = crt->next) {
        domains |= signed_by(crl, crt) ? domains_above(b, crt) : 0;
    }
    return domains;
}

static enum hws_code check_crl(struct hws_tls_bundle *b, const mbedtls_x509_crl *crl,
                               mbedtls_x509_crt *brought, unsigned number, struct hws_err *err)
{
    unsigned i = 0;

    if (crl->next_update.year == 0) {
        return hws_err_set(err, HWS_E_INVALID, "crl: list %u has no nextUpdate", number);
    }
    for (mbedtls_x509_crt *ca = &b->ca; ca != NULL; ca = ca->next, i++) {
        if (signed_by(crl, ca)) { /* a CA may serve several domains */
            b->domains_of_crl[number - 1] |= (uint16_t)(1u << b->domain_of_ca[i]);
        }
    }
    b->domains_of_crl[number - 1] |=
        (uint16_t)(domains_by_chain(b, crl, brought) | domains_by_chain(b, crl, &b->cert));
    if (b->domains_of_crl[number - 1] != 0) {
        return HWS_OK;
    }
    return hws_err_set(
        err, HWS_E_INVALID,
        "crl: list %u is signed by no CA of ours, nor by an intermediate whose chain is "
        "in the same file or in our own certificate's",
        number);
}

/* mbedTLS takes what follows the last list for a broken one. Returns the bytes up to there, with a
 * NUL. */
static size_t cut_behind_lists(uint8_t *text, size_t n)
{
    static const char mark[] = "-----END X509 CRL-----";
    char *last = NULL;

    for (char *at = strstr((char *)text, mark); at != NULL; at = strstr(at + 1, mark)) {
        last = at;
    }
    if (last == NULL) {
        return n;
    }
    last[sizeof(mark) - 1] = '\0';
    return (size_t)((uint8_t *)last - text) + sizeof(mark);
}

enum hws_code hws_tls__trust_load_crl(struct hws_tls_bundle *b, struct hws_span pem,
                                      struct hws_err *err)
{
    uint8_t *text = NULL;
    size_t n = 0;
    unsigned number = 0;
    enum hws_code rc = hws_tls__copy_pem(pem, "crl", &text, &n, err);

    if (rc != HWS_OK) {
        return rc;
    }
    mbedtls_x509_crt brought;
    mbedtls_x509_crt_init(&brought);
    int lib = mbedtls_x509_crt_parse(&brought, text, n); /* most files have none */
    if (!hws_tls__is_nomem(lib)) {
        lib = mbedtls_x509_crl_parse(&b->crl, text, cut_behind_lists(text, n));
    }
    hws_mem_free(text);
    if (lib != 0) {
        mbedtls_x509_crt_free(&brought);
        return hws_err_set(err, hws_tls__is_nomem(lib) ? HWS_E_NOMEM : HWS_E_INVALID,
                           "crl: no revocation list in PEM (-0x%04x)", (unsigned)-lib);
    }
    b->has_crl = true;
    for (const mbedtls_x509_crl *crl = &b->crl; crl != NULL && rc == HWS_OK; crl = crl->next) {
        rc = ++number > HWS_TLS_MAX_CRLS
                 ? hws_err_set(err, HWS_E_INVALID, "crl: more than %u lists", HWS_TLS_MAX_CRLS)
                 : check_crl(b, crl, &brought, number, err);
    }
    mbedtls_x509_crt_free(&brought);
    return rc;
}

static bool lists(const mbedtls_x509_crl *crl, const struct hws_tls_path *path)
{
    uint8_t issuer[HWS_TLS_SHA256_BYTES];

    if (hws_tls__sha256(crl->issuer_raw.p, crl->issuer_raw.len, issuer) != 0) {
        return true; /* what cannot be compared is not let in */
    }
    for (const mbedtls_x509_crl_entry *e = &crl->entry; e != NULL && e->serial.p != NULL;
         e = e->next) {
        struct hws_span serial = hws_tls__serial(&e->serial);
        for (unsigned i = 0; i < path->n; i++) {
            if (serial.n == path->certs[i].n_serial &&
                memcmp(serial.bytes, path->certs[i].serial, serial.n) == 0 &&
                memcmp(issuer, path->certs[i].issuer, sizeof(issuer)) == 0) {
                return true;
            }
        }
    }
    return false;
}

enum hws_tls_reason hws_tls_bundle_judge(const struct hws_tls_bundle *b,
                                         const struct hws_tls_peer *peer,
                                         const struct hws_tls_path *path)
{
    int domain = domain_number(b, peer->principal);
    unsigned i = 0;

    if (hws_tls_deny_has(b->deny, peer)) {
        return HWS_TLS_REASON_DENIED;
    }
    for (const mbedtls_x509_crl *crl = &b->crl; b->has_crl && crl != NULL; crl = crl->next, i++) {
        if (domain >= 0 && (b->domains_of_crl[i] >> domain & 1) != 0 && lists(crl, path)) {
            return HWS_TLS_REASON_REVOKED;
        }
    }
    return HWS_TLS_REASON_NONE;
}

enum hws_tls_freshness hws_tls_bundle_freshness(const struct hws_tls_bundle *b, uint64_t now_s)
{
    enum hws_tls_freshness worst = HWS_TLS_FRESH;

    for (const mbedtls_x509_crl *crl = &b->crl; b->has_crl && crl != NULL; crl = crl->next) {
        uint64_t from = hws_tls__time_s(&crl->this_update);
        uint64_t next = hws_tls__time_s(&crl->next_update);
        uint64_t span = next > from ? next - from : 0;
        enum hws_tls_freshness is = HWS_TLS_FRESH;
        if (now_s > next) {
            is = now_s - next > span ? HWS_TLS_OVERDUE : HWS_TLS_STALE;
        }
        worst = is > worst ? is : worst;
    }
    return worst;
}

void hws_tls__trust_free(struct hws_tls_bundle *b)
{
    for (unsigned i = 0; i <= HWS_TLS_MAX_TRUST; i++) {
        hws_mem_free(b->domains[i]);
    }
    mbedtls_x509_crl_free(&b->crl);
    hws_tls_deny_free(b->deny);
}
