/*
 * The certificate matrix: every certificate that a client of ours may meet at the door, minted
 * here, with the exact verdict of a server. Names, usages, dates, keys, digests, chains, trust
 * domains, revocation lists and the deny-list.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "pair.h"
#include "stranger.h"
#include "test.h"

#define NAMES(san) HWS_MINT_LEAF_EXT HWS_MINT_CLIENT "subjectAltName=" san "\n"
#define OLGA       "URI:spiffe://unit.test/operator/olga"
#define GOOD       NAMES(OLGA)
#define DAY        86400L

/* Who signs a leaf. */
enum signer {
    BY_ROOT,    /* ours */
    BY_MIDDLE,  /* an intermediate of ours; the leaf brings it */
    BY_MIDDLE2, /* one below it: three above the leaf */
    BY_MIDDLE3, /* one more: too deep */
    BY_LOOSE,   /* the intermediate of ours, which the leaf does not bring */
    BY_OTHER,   /* the CA of the trust domain other.test */
    BY_STRANGE, /* a CA with our root's name and another key */
    BY_SELF,
    BY_NO_CA,     /* an intermediate that is no CA */
    BY_NO_SIGN,   /* one whose keyUsage does not sign certificates */
    BY_LATE,      /* one that has expired */
    BY_ZERO_PATH, /* below one with pathlen:0 */
    BY_REVOKED,   /* an intermediate on the CRL */
    BY_WEAK,      /* an intermediate with RSA 2048 */
    N_SIGNERS
};

struct row {
    const char *what;
    const char *reason; /* "none" = let in */
    enum signer by;
    struct hws_mint_spec spec;
    const char *principal; /* of one let in; NULL = OLGA's */
};

#define ID(text, verdict)                                                                          \
    {                                                                                              \
        .what = (text), .reason = (verdict), .spec = {.ext = NAMES("URI:" text)},                  \
        .principal = (text)                                                                        \
    }
#define EXT(name, verdict, lines)                                                                  \
    {                                                                                              \
        .what = (name), .reason = (verdict), .spec = {.ext = (lines) }                             \
    }
#define USE(ku, eku) "basicConstraints=critical,CA:FALSE\n" ku eku "subjectAltName=" OLGA "\n"
#define L63          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct row s_rows[] = {
    /* identities */
    ID("spiffe://unit.test/operator/olga", "none"),
    ID("spiffe://unit.test/a", "none"),
    ID("spiffe://unit.test/A.b-c_d/9", "none"),
    ID("spiffe://unit.test", "identity"),
    ID("spiffe://unit.test/", "identity"),
    ID("spiffe://unit.test/a/", "identity"),
    ID("spiffe://unit.test//a", "identity"),
    ID("spiffe://unit.test/./a", "identity"),
    ID("spiffe://unit.test/a/..", "identity"),
    ID("spiffe://unit.test/a%2fb", "identity"),
    ID("spiffe://unit.test/a?b", "identity"),
    ID("spiffe://unit.test:443/a", "identity"),
    ID("spiffe://u@unit.test/a", "identity"),
    ID("spiffe://UNIT.test/a", "identity"),
    ID("Spiffe://unit.test/a", "identity"),
    ID("https://unit.test/a", "identity"),
    ID("spiffe:///a", "identity"),
    ID("urn:a", "identity"),
    EXT("two URIs", "identity", NAMES(OLGA ",URI:spiffe://unit.test/operator/root")),
    EXT("the same URI twice", "identity", NAMES(OLGA "," OLGA)),
    EXT("a URI and a DNS name", "none", NAMES(OLGA ",DNS:olga.unit.test")),
    EXT("a URI, an address and an email", "none", NAMES(OLGA ",IP:127.0.0.1,email:a@b.c")),
    EXT("a bad URI and a DNS name", "identity", NAMES("URI:http://x/y,DNS:olga.unit.test")),
    {.what = "one DNS name",
     .reason = "none",
     .spec = {.ext = NAMES("DNS:Olga.unit.test")},
     .principal = "dns:olga.unit.test"},
    EXT("two DNS names", "identity", NAMES("DNS:a.unit.test,DNS:b.unit.test")),
    EXT("a wildcard DNS name", "identity", NAMES("DNS:*.unit.test")),
    EXT("a DNS label of 64", "identity", NAMES("DNS:a" L63 ".test")),
    EXT("an address only", "identity", NAMES("IP:127.0.0.1")),
    EXT("an email only", "identity", NAMES("email:olga@unit.test")),
    EXT("no names", "identity", HWS_MINT_LEAF_EXT HWS_MINT_CLIENT),
    {.what = "the identity in the CN only",
     .reason = "identity",
     .spec = {.cn = "spiffe://unit.test/operator/olga", .ext = HWS_MINT_LEAF_EXT HWS_MINT_CLIENT}},
    {.what = "another identity in the CN",
     .reason = "none",
     .spec = {.cn = "spiffe://unit.test/operator/root", .ext = GOOD}},
    EXT("a NUL in the URI", "identity",
        NAMES("DER:30:16:86:14:73:70:69:66:66:65:3A:2F:2F:75:2E:74:2F:61:00:62:63:64:65:66")),
    EXT("a control byte in the URI", "identity",
        NAMES("DER:30:11:86:0F:73:70:69:66:66:65:3A:2F:2F:75:2E:74:2F:61:07")),
    EXT("an empty list of names", "identity", NAMES("DER:30:00")),
    EXT("names that end early", "protocol", NAMES("DER:30:04:86:09:73:70")),
    EXT("names with bytes behind", "protocol",
        NAMES("DER:30:11:86:0F:73:70:69:66:66:65:3A:2F:2F:75:2E:74:2F:61:61:05:00")),
    EXT("critical names", "none",
        HWS_MINT_LEAF_EXT HWS_MINT_CLIENT "subjectAltName=critical," OLGA "\n"),
    /* usages */
    EXT("server and client", "none", USE("keyUsage=digitalSignature\n", HWS_MINT_BOTH)),
    EXT("server only", "key_usage", USE("keyUsage=digitalSignature\n", HWS_MINT_SERVER)),
    EXT("code signing", "key_usage",
        USE("keyUsage=digitalSignature\n", "extendedKeyUsage=codeSigning\n")),
    EXT("any extended usage", "key_usage",
        USE("keyUsage=digitalSignature\n", "extendedKeyUsage=anyExtendedKeyUsage\n")),
    EXT("client and one unknown", "none",
        USE("keyUsage=digitalSignature\n", "extendedKeyUsage=clientAuth,1.2.3.4\n")),
    EXT("no extended usage", "key_usage", USE("keyUsage=digitalSignature\n", "")),
    EXT("no key usage", "key_usage", USE("", HWS_MINT_CLIENT)),
    EXT("key agreement", "key_usage", USE("keyUsage=keyAgreement\n", HWS_MINT_CLIENT)),
    EXT("signature and encipherment", "none",
        USE("keyUsage=digitalSignature,keyEncipherment\n", HWS_MINT_CLIENT)),
    EXT("a leaf that signs certificates", "key_usage",
        USE("keyUsage=digitalSignature,keyCertSign\n", HWS_MINT_CLIENT)),
    EXT("a leaf that signs lists", "key_usage",
        USE("keyUsage=digitalSignature,cRLSign\n", HWS_MINT_CLIENT)),
    EXT("a CA as a leaf", "key_usage", HWS_MINT_CA_EXT HWS_MINT_CLIENT "subjectAltName=" OLGA "\n"),
    EXT("a CA that signs like a leaf", "key_usage",
        "basicConstraints=CA:TRUE\nkeyUsage=digitalSignature\n" HWS_MINT_CLIENT
        "subjectAltName=" OLGA "\n"),
    EXT("no basic constraints", "none",
        "keyUsage=digitalSignature\n" HWS_MINT_CLIENT "subjectAltName=" OLGA "\n"),
    EXT("an unknown extension", "none", GOOD "1.2.3.4=DER:05:00\n"),
    EXT("an unknown critical one", "protocol", GOOD "1.2.3.4=critical,DER:05:00\n"),
    {.what = "version 1, without extensions", .reason = "key_usage", .spec = {.ext = NULL}},
    /* dates */
    {.what = "an hour left", .reason = "none", .spec = {.ext = GOOD, .until_s = 3600}},
    {.what = "expired a minute ago", .reason = "expired", .spec = {.ext = GOOD, .until_s = -60}},
    {.what = "expired a year ago",
     .reason = "expired",
     .spec = {.ext = GOOD, .from_s = -800 * DAY, .until_s = -365 * DAY}},
    {.what = "not valid for an hour yet",
     .reason = "not_yet_valid",
     .spec = {.ext = GOOD, .from_s = 3600}},
    {.what = "over before it began",
     .reason = "expired",
     .spec = {.ext = GOOD, .from_s = DAY, .until_s = -DAY}},
    {.what = "until 2070", .reason = "none", .spec = {.ext = GOOD, .until_s = 16060 * DAY}},
    /* keys, digests, signatures */
    {.what = "P-384", .reason = "none", .spec = {.ext = GOOD, .key = "P-384"}},
    {.what = "P-521", .reason = "weak", .spec = {.ext = GOOD, .key = "P-521"}},
    {.what = "secp256k1", .reason = "weak", .spec = {.ext = GOOD, .key = "secp256k1"}},
    {.what = "RSA 3072", .reason = "none", .spec = {.ext = GOOD, .key = "RSA-3072"}},
    {.what = "RSA 2048", .reason = "weak", .spec = {.ext = GOOD, .key = "RSA-2048"}},
    {.what = "SHA-384", .reason = "none", .spec = {.ext = GOOD, .digest = "SHA384"}},
    {.what = "SHA-512", .reason = "none", .spec = {.ext = GOOD, .digest = "SHA512"}},
    {.what = "SHA-1", .reason = "weak", .spec = {.ext = GOOD, .digest = "SHA1"}},
    {.what = "SHA-224", .reason = "weak", .spec = {.ext = GOOD, .digest = "SHA224"}},
    {.what = "a broken signature", .reason = "unknown_ca", .spec = {.ext = GOOD, .broken = true}},
    /* serials */
    {.what = "a serial of 20 bytes, high bit set",
     .reason = "none",
     .spec = {.ext = GOOD, .serial = "f000000000000000000000000000000000000001"}},
    {.what = "a serial of 21 bytes",
     .reason = "identity",
     .spec = {.ext = GOOD, .serial = "01f000000000000000000000000000000000000001"}},
    {.what = "a negative serial", .reason = "identity", .spec = {.ext = GOOD, .serial = "-55"}},
    {.what = "serial 0", .reason = "none", .spec = {.ext = GOOD, .serial = "00"}},
    /* chains */
    {.what = "an intermediate", .reason = "none", .by = BY_MIDDLE, .spec = {.ext = GOOD}},
    {.what = "two intermediates", .reason = "none", .by = BY_MIDDLE2, .spec = {.ext = GOOD}},
    {.what = "three intermediates", .reason = "chain", .by = BY_MIDDLE3, .spec = {.ext = GOOD}},
    {.what = "an intermediate left out",
     .reason = "unknown_ca",
     .by = BY_LOOSE,
     .spec = {.ext = GOOD}},
    {.what = "a CA of our name", .reason = "unknown_ca", .by = BY_STRANGE, .spec = {.ext = GOOD}},
    {.what = "signed by itself", .reason = "unknown_ca", .by = BY_SELF, .spec = {.ext = GOOD}},
    {.what = "an intermediate that is no CA",
     .reason = "unknown_ca",
     .by = BY_NO_CA,
     .spec = {.ext = GOOD}},
    {.what = "an intermediate that may not sign",
     .reason = "unknown_ca",
     .by = BY_NO_SIGN,
     .spec = {.ext = GOOD}},
    {.what = "an intermediate that has expired",
     .reason = "expired",
     .by = BY_LATE,
     .spec = {.ext = GOOD}},
    {.what = "below an intermediate of path length 0",
     .reason = "unknown_ca",
     .by = BY_ZERO_PATH,
     .spec = {.ext = GOOD}},
    {.what = "an intermediate with a weak key",
     .reason = "weak",
     .by = BY_WEAK,
     .spec = {.ext = GOOD}},
    /* trust domains */
    {.what = "a member of the other domain",
     .reason = "none",
     .by = BY_OTHER,
     .spec = {.ext = NAMES("URI:spiffe://other.test/operator/otto")},
     .principal = "spiffe://other.test/operator/otto"},
    {.what = "the other CA naming one of ours",
     .reason = "trust_domain",
     .by = BY_OTHER,
     .spec = {.ext = GOOD}},
    {.what = "the other CA naming a host",
     .reason = "trust_domain",
     .by = BY_OTHER,
     .spec = {.ext = NAMES("DNS:host.unit.test")}},
    {.what = "our CA naming one of the other domain",
     .reason = "trust_domain",
     .spec = {.ext = NAMES("URI:spiffe://other.test/operator/otto")}},
    {.what = "our CA naming one of a third domain",
     .reason = "trust_domain",
     .spec = {.ext = NAMES("URI:spiffe://third.test/operator/otto")}},
    {.what = "our intermediate naming one of the other domain",
     .reason = "trust_domain",
     .by = BY_MIDDLE,
     .spec = {.ext = NAMES("URI:spiffe://other.test/operator/otto")}},
    {.what = "a domain that begins with ours",
     .reason = "trust_domain",
     .spec = {.ext = NAMES("URI:spiffe://unit.test.evil/operator/olga")}},
    {.what = "a domain that ends with ours",
     .reason = "trust_domain",
     .spec = {.ext = NAMES("URI:spiffe://evil.unit.test/operator/olga")}},
    /* lists */
    {.what = "a serial on our CRL", .reason = "revoked", .spec = {.ext = GOOD, .serial = "1234"}},
    {.what = "a serial on our CRL, high bit set",
     .reason = "revoked",
     .spec = {.ext = GOOD, .serial = "f1f2f3f4"}},
    {.what = "a serial next to one on our CRL",
     .reason = "none",
     .spec = {.ext = GOOD, .serial = "1235"}},
    {.what = "our CRL's serial by the other CA",
     .reason = "none",
     .by = BY_OTHER,
     .spec = {.ext = NAMES("URI:spiffe://other.test/operator/otto"), .serial = "1234"},
     .principal = "spiffe://other.test/operator/otto"},
    {.what = "our CRL's serial by an intermediate",
     .reason = "none",
     .by = BY_MIDDLE,
     .spec = {.ext = GOOD, .serial = "1234"}},
    {.what = "an intermediate on our CRL",
     .reason = "revoked",
     .by = BY_REVOKED,
     .spec = {.ext = GOOD}},
    {.what = "a principal on the deny-list",
     .reason = "denied",
     .spec = {.ext = NAMES("URI:spiffe://unit.test/operator/mallory")}},
    {.what = "a principal that begins with one on it",
     .reason = "none",
     .spec = {.ext = NAMES("URI:spiffe://unit.test/operator/mallory2")},
     .principal = "spiffe://unit.test/operator/mallory2"},
    {.what = "a principal below a folder on it",
     .reason = "denied",
     .spec = {.ext = NAMES("URI:spiffe://unit.test/locked/a/b")}},
    {.what = "a serial on the deny-list",
     .reason = "denied",
     .spec = {.ext = GOOD, .serial = "abcd"}},
};
#define N_ROWS (sizeof(s_rows) / sizeof(s_rows[0]))

static struct hws_tls_rng *s_rng;
static struct hws_mint s_root;
static struct hws_mint s_host;
static struct hws_mint s_cas[N_SIGNERS]; /* those that exist */
static struct hws_tls_bundle *s_bundle;

static void middle(enum signer as, const struct hws_mint *by, const struct hws_mint_spec *spec)
{
    struct hws_mint_spec s = *spec;
    static const char *const names[N_SIGNERS] = {
        "root", "middle", "middle2", "middle3", "loose", "other",   "strange",
        "self", "no ca",  "no sign", "late",    "zero",  "revoked", "weak"};

    s.cn = s.cn == NULL ? names[as] : s.cn;
    s.ext = s.ext == NULL ? HWS_MINT_CA_EXT : s.ext;
    hws_mint_make(&s_cas[as], by, &s);
}

static struct hws_span span(const char *text)
{
    return (struct hws_span){(const uint8_t *)text, strlen(text)};
}

static void make_bundle(const char *crl, uint64_t now_s, enum hws_code want)
{
    static const char deny[] = "# people who left\n"
                               "principal spiffe://unit.test/operator/mallory\n"
                               "  principal spiffe://unit.test/locked/   # a folder\n"
                               "serial ABCD\n\n";
    const struct hws_mint *leaf[] = {&s_host};
    const struct hws_mint *ours[] = {&s_root};
    const struct hws_mint *other[] = {&s_cas[BY_OTHER]};
    char *cert = hws_mint_certs_pem(leaf, 1);
    char *key = hws_mint_key_pem(&s_host);
    char *ca = hws_mint_certs_pem(ours, 1);
    char *other_ca = hws_mint_certs_pem(other, 1);
    struct hws_tls_trust trust = {.domain = "other.test", .ca = span(other_ca)};
    struct hws_tls_pem pem = {.cert = span(cert),
                              .key = span(key),
                              .ca = span(ca),
                              .trust = &trust,
                              .n_trust = 1,
                              .crl = span(crl),
                              .deny = span(deny),
                              .allow_tls12 = true};
    struct hws_err err;
    hws_tls_bundle_unref(s_bundle);
    s_bundle = NULL;
    hws_test_assert_code(hws_tls_bundle_new(s_rng, &pem, now_s, &s_bundle, &err), want, &err,
                         __FILE__, __LINE__);
    hws_mem_free(cert);
    hws_mem_free(key);
    hws_mem_free(ca);
    hws_mem_free(other_ca);
}

static int setup(void **state)
{
    static const char *const revoked[] = {"1234", "F1F2F3F4", "0777", NULL};
    static const char *const others[] = {"99", NULL};
    struct hws_err err;
    (void)state;
    assert_ok(hws_tls_rng_open(&s_rng, &err), &err);
    hws_mint_make(&s_root, NULL, &(struct hws_mint_spec){.cn = "root", .ext = HWS_MINT_CA_EXT});
    middle(BY_OTHER, NULL, &(struct hws_mint_spec){.cn = "other root"});
    middle(BY_STRANGE, NULL, &(struct hws_mint_spec){.cn = "root"});
    middle(BY_MIDDLE, &s_root, &(struct hws_mint_spec){0});
    middle(BY_MIDDLE2, &s_cas[BY_MIDDLE], &(struct hws_mint_spec){0});
    middle(BY_MIDDLE3, &s_cas[BY_MIDDLE2], &(struct hws_mint_spec){0});
    middle(BY_LOOSE, &s_root, &(struct hws_mint_spec){0});
    middle(BY_NO_CA, &s_root,
           &(struct hws_mint_spec){.ext = "basicConstraints=CA:FALSE\nkeyUsage=keyCertSign\n"});
    middle(BY_NO_SIGN, &s_root,
           &(struct hws_mint_spec){.ext = "basicConstraints=CA:TRUE\nkeyUsage=digitalSignature\n"});
    middle(BY_LATE, &s_root, &(struct hws_mint_spec){.until_s = -60});
    middle(BY_REVOKED, &s_root, &(struct hws_mint_spec){.serial = "0777"});
    middle(BY_WEAK, &s_root, &(struct hws_mint_spec){.key = "RSA-2048"});
    middle(BY_SELF, &s_root,
           &(struct hws_mint_spec){
               .cn = "zero path",
               .ext = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign\n"});
    middle(BY_ZERO_PATH, &s_cas[BY_SELF], &(struct hws_mint_spec){0});
    hws_mint_make(&s_host, &s_root,
                  &(struct hws_mint_spec){.ext = HWS_MINT_LEAF_EXT HWS_MINT_BOTH
                                          "subjectAltName=URI:spiffe://unit.test/agent/host\n"});
    char *one = hws_mint_crl_pem(&s_root, &(struct hws_mint_crl_spec){.serials = revoked});
    char *two = hws_mint_crl_pem(&s_cas[BY_OTHER], &(struct hws_mint_crl_spec){.serials = others});
    char both[8192];
    assert_true(hws_str_print(both, sizeof(both), "%s%s", one, two));
    make_bundle(both, hws_pair_now_s(), HWS_OK);
    hws_mem_free(one);
    hws_mem_free(two);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_tls_bundle_unref(s_bundle);
    for (int i = 0; i < N_SIGNERS; i++) {
        hws_mint_free(&s_cas[i]);
    }
    hws_mint_free(&s_host);
    hws_mint_free(&s_root);
    hws_tls_rng_free(s_rng);
    return 0;
}

/*
 * The verdict of a server of ours on a client with this chain. In TLS 1.3 the client itself holds a
 * certificate back that cannot sign by an algorithm of ours.
 */
static void judge(const struct row *row, size_t number, bool tls13)
{
    static const enum signer above[N_SIGNERS][3] = {
        [BY_MIDDLE] = {BY_MIDDLE},
        [BY_MIDDLE2] = {BY_MIDDLE2, BY_MIDDLE},
        [BY_MIDDLE3] = {BY_MIDDLE3, BY_MIDDLE2, BY_MIDDLE},
        [BY_NO_CA] = {BY_NO_CA},
        [BY_NO_SIGN] = {BY_NO_SIGN},
        [BY_LATE] = {BY_LATE},
        [BY_ZERO_PATH] = {BY_ZERO_PATH, BY_SELF},
        [BY_REVOKED] = {BY_REVOKED},
        [BY_WEAK] = {BY_WEAK},
    };
    struct hws_mint leaf;
    const struct hws_mint *chain[4] = {&leaf};
    const struct hws_mint *by = row->by == BY_ROOT ? &s_root : &s_cas[row->by];
    struct hws_pair_stranger stranger;
    size_t n = 1;

    hws_mint_make(&leaf, row->by == BY_SELF ? NULL : by, &row->spec);
    for (size_t i = 0; i < 3 && above[row->by][i] != BY_ROOT; i++) {
        chain[n++] = &s_cas[above[row->by][i]];
    }
    hws_pair_stranger_meet(&stranger, s_bundle, tls13, chain, n);
    const char *got = hws_tls_reason_name(stranger.conn.reason);
    bool open = stranger.conn.state == HWS_TLS_STATE_OPEN;
    bool held_back = tls13 && hws_str_eq(row->reason, "weak") && hws_str_eq(got, "no_certificate");
    if ((!hws_str_eq(got, row->reason) && !held_back) || open != hws_str_eq(row->reason, "none")) {
        fail_msg("row %zu (TLS 1.%d), %s: %s, not %s (%s)", number, tls13 ? 3 : 2, row->what,
                 open ? "let in" : got, row->reason, stranger.conn.err.msg);
    }
    if (open) {
        assert_string_equal(stranger.conn.peer.principal, row->principal == NULL
                                                              ? "spiffe://unit.test/operator/olga"
                                                              : row->principal);
    }
    hws_pair_stranger_part(&stranger);
    hws_mint_free(&leaf);
}

/* Does this build's mbedTLS serve TLS 1.3? */
static bool serves_tls13(void)
{
    struct hws_mint leaf;
    const struct hws_mint *chain[] = {&leaf};
    struct hws_pair_stranger stranger;

    hws_mint_make(&leaf, &s_root, &(struct hws_mint_spec){.ext = GOOD});
    hws_pair_stranger_meet(&stranger, s_bundle, true, chain, 1);
    bool open = stranger.conn.state == HWS_TLS_STATE_OPEN;
    hws_pair_stranger_part(&stranger);
    hws_mint_free(&leaf);
    return open;
}

static void every_certificate_gets_its_own_verdict(void **state)
{
    bool tls13 = serves_tls13();
    unsigned n_good = 0;
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        judge(&s_rows[i], i, false);
        if (tls13) {
            judge(&s_rows[i], i, true);
        }
        n_good += hws_str_eq(s_rows[i].reason, "none") ? 1 : 0;
    }
    print_message("%zu certificates%s: %u let in, %zu refused\n", N_ROWS,
                  tls13 ? ", in TLS 1.2 and 1.3" : "", n_good, N_ROWS - n_good);
    assert_true(N_ROWS >= 80);
}

static void a_revocation_list_must_be_ours_whole_and_dated(void **state)
{
    static const char *const none[] = {NULL};
    static const struct {
        enum signer by;
        struct hws_mint_crl_spec spec;
        enum hws_code code;
    } rows[] = {
        {BY_ROOT, {.serials = none}, HWS_OK},
        {BY_OTHER, {.serials = none}, HWS_OK},
        {BY_STRANGE, {.serials = none}, HWS_E_INVALID},
        {BY_MIDDLE, {.serials = none}, HWS_E_INVALID},
        {BY_ROOT, {.serials = none, .broken = true}, HWS_E_INVALID},
        {BY_ROOT, {.serials = none, .no_next = true}, HWS_E_INVALID},
        {BY_ROOT, {.serials = none, .digest = "SHA1"}, HWS_E_INVALID},
        {BY_ROOT, {.serials = none, .until_s = -60}, HWS_OK}, /* late, not useless */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *crl =
            hws_mint_crl_pem(rows[i].by == BY_ROOT ? &s_root : &s_cas[rows[i].by], &rows[i].spec);
        make_bundle(crl, hws_pair_now_s(), rows[i].code);
        hws_mem_free(crl);
    }
    make_bundle("not a list", hws_pair_now_s(), HWS_E_INVALID);
    make_bundle("", hws_pair_now_s(), HWS_OK);
}

/* thisUpdate an hour ago, nextUpdate in an hour: a list for two hours. */
static void a_late_list_is_said_and_then_overdue(void **state)
{
    char *crl =
        hws_mint_crl_pem(&s_root, &(struct hws_mint_crl_spec){.from_s = -3600, .until_s = 3600});
    uint64_t now = hws_pair_now_s();
    (void)state;
    make_bundle(crl, now, HWS_OK);
    hws_mem_free(crl);
    assert_int_equal(hws_tls_bundle_freshness(s_bundle, now), HWS_TLS_FRESH);
    assert_int_equal(hws_tls_bundle_freshness(s_bundle, now + 3500), HWS_TLS_FRESH);
    assert_int_equal(hws_tls_bundle_freshness(s_bundle, now + 3700), HWS_TLS_STALE);
    assert_int_equal(hws_tls_bundle_freshness(s_bundle, now + 10700), HWS_TLS_STALE);
    assert_int_equal(hws_tls_bundle_freshness(s_bundle, now + 10900), HWS_TLS_OVERDUE);
    make_bundle("", now, HWS_OK);
    assert_int_equal(hws_tls_bundle_freshness(s_bundle, now + 10900), HWS_TLS_FRESH);
}

/* The list of an intermediate, with the certificates of with after it, in one file. */
static char *list_with(const struct hws_mint *by, const struct hws_mint_crl_spec *spec,
                       const struct hws_mint *const *with, size_t n)
{
    char *crl = hws_mint_crl_pem(by, spec);
    char *certs = hws_mint_certs_pem(with, n);
    size_t cap = strlen(crl) + strlen(certs) + 1;
    char *both = assert_got(hws_mem_alloc(cap));

    assert_non_null(both);
    assert_true(hws_str_print(both, cap, "%s%s", crl, certs));
    hws_mem_free(crl);
    hws_mem_free(certs);
    return both;
}

static void a_list_of_an_intermediate_counts_when_its_chain_is_there(void **state)
{
    static const char *const left[] = {"5151", NULL};
    const struct hws_mint_crl_spec spec = {.serials = left};
    const struct {
        const char *what;
        enum signer by;
        const struct hws_mint *with[2];
        size_t n;
        enum hws_code code;
    } rows[] = {
        {"its certificate", BY_MIDDLE, {&s_cas[BY_MIDDLE]}, 1, HWS_OK},
        {"its chain", BY_MIDDLE2, {&s_cas[BY_MIDDLE2], &s_cas[BY_MIDDLE]}, 2, HWS_OK},
        {"half its chain", BY_MIDDLE2, {&s_cas[BY_MIDDLE2]}, 1, HWS_E_INVALID},
        {"another's", BY_MIDDLE, {&s_cas[BY_LOOSE]}, 1, HWS_E_INVALID},
        {"one that is no CA", BY_NO_CA, {&s_cas[BY_NO_CA]}, 1, HWS_E_INVALID},
        {"one of a stranger", BY_STRANGE, {&s_cas[BY_STRANGE]}, 1, HWS_E_INVALID},
        {"a late one: its list hurts nobody", BY_LATE, {&s_cas[BY_LATE]}, 1, HWS_OK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *file = list_with(&s_cas[rows[i].by], &spec, rows[i].with, rows[i].n);
        print_message("%s\n", rows[i].what);
        make_bundle(file, hws_pair_now_s(), rows[i].code);
        hws_mem_free(file);
    }

    char *file = list_with(&s_cas[BY_MIDDLE], &spec, rows[0].with, 1);
    make_bundle(file, hws_pair_now_s(), HWS_OK);
    hws_mem_free(file);
    judge(&(struct row){"on its list", "revoked", BY_MIDDLE, {.serial = "5151", .ext = GOOD}, NULL},
          0, false);
    judge(&(struct row){"not on it", "none", BY_MIDDLE, {.serial = "5152", .ext = GOOD}, NULL}, 1,
          false);
    judge(&(struct row){"another's", "none", BY_ROOT, {.serial = "5151", .ext = GOOD}, NULL}, 2,
          false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_certificate_gets_its_own_verdict),
        cmocka_unit_test(a_list_of_an_intermediate_counts_when_its_chain_is_there),
        cmocka_unit_test(a_revocation_list_must_be_ours_whole_and_dated),
        cmocka_unit_test(a_late_list_is_said_and_then_overdue),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
