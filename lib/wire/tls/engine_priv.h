/*
 * The library's half of the layer: what bundle, verify, conn and record share. Only the files of
 * this folder include it; nothing above sees mbedTLS. Bridges 2.28 and 3.6.
 */
#ifndef HWS_TLS_ENGINE_PRIV_H
#define HWS_TLS_ENGINE_PRIV_H

#include <stdint.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>

#include "tls/bundle.h"
#include "tls/conn.h"
#include "tls/deny.h"
#include "tls/keys.h"
#include "tls/record_priv.h"

#if MBEDTLS_VERSION_MAJOR < 3
#define MBEDTLS_PRIVATE(member)              member
#define MBEDTLS_ERR_SSL_BAD_CERTIFICATE      MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE
#define MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION
#define MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE    MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN
#endif

struct hws_tls_rng {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
};

/* What the keys of records come from, as mbedTLS exports it in a handshake. Secret. */
struct hws_tls__exported {
    bool has_master; /* TLS 1.2 */
    uint8_t master[HWS_TLS_MASTER_BYTES];
    uint8_t client_random[HWS_TLS_RANDOM_BYTES];
    uint8_t server_random[HWS_TLS_RANDOM_BYTES];
    size_t n_client_secret; /* TLS 1.3; 0 = not there */
    size_t n_server_secret;
    uint8_t client_secret[HWS_TLS_SECRET_MAX_BYTES];
    uint8_t server_secret[HWS_TLS_SECRET_MAX_BYTES];
};

struct hws_tls_bundle {
    unsigned n_refs;
    struct hws_tls_rng *rng; /* borrowed */
    mbedtls_x509_crt cert;   /* our chain, leaf first */
    mbedtls_pk_context key;
    mbedtls_x509_crt ca;                  /* of all trust domains, in one list */
    char *domains[1 + HWS_TLS_MAX_TRUST]; /* owned; 0 is ours, NULL if our leaf has no SPIFFE ID */
    unsigned n_domains;
    uint8_t domain_of_ca[HWS_TLS_MAX_CAS]; /* by position in ca */
    mbedtls_x509_crl crl;
    bool has_crl;
    uint16_t domains_of_crl[HWS_TLS_MAX_CRLS]; /* bit i: domain i, whose CA signed it */
    struct hws_tls_deny *deny;                 /* owned; NULL = empty */
    mbedtls_ssl_config server;                 /* shared by the connections of this bundle */
    mbedtls_ssl_config client;
    struct hws_tls_peer self;
    unsigned eku;
    bool allow_tls12;
    enum hws_tls_records_choice records;
    struct hws_tls__exported *exporting; /* 2.28: of the connection whose handshake runs, or NULL */
};

/* One verification of a chain: what is asked for, and the verdict with its reason. */
struct hws_tls__verify {
    const struct hws_tls_bundle *bundle; /* whose CAs and lists judge */
    uint64_t now_s;
    unsigned eku;             /* what the leaf must allow; 0 = either side (our own certificate) */
    const char *expect;       /* hws_tls_san_expect form, or NULL */
    uint32_t flags;           /* of all certificates of the chain */
    bool seen;                /* the leaf has been judged */
    struct hws_tls_leaf leaf; /* spans into the certificate: valid during the callback only */
    struct hws_tls_peer peer;
    const mbedtls_x509_crt *anchor; /* the CA of ours; valid during the verification only */
    struct hws_tls_path path;
    enum hws_tls_reason reason;
    struct hws_err err;
};

#define HWS_TLS__FIRST_BYTES 7u /* a record's header, and a whole alert or a message's type */

struct hws_tls_engine {
    mbedtls_ssl_context ssl;
    struct hws_tls__verify verify;
    struct hws_tls__exported exported;
    uint8_t first[HWS_TLS__FIRST_BYTES]; /* of what has come: alert.c names the fault by it */
    size_t n_first;
};

/* The certificate profile, and the rest of the configuration of one side. HWS_E_NOMEM, HWS_E_IO. */
extern const mbedtls_x509_crt_profile hws_tls__profile;
enum hws_code hws_tls__config_init(mbedtls_ssl_config *conf, enum hws_tls_role role,
                                   struct hws_tls_bundle *bundle, struct hws_err *err) HWS_MUST_USE;

/* mbedTLS's callback for each certificate of a chain, root first; data is a struct
 * hws_tls__verify. Replaces the library's clock and name checks by ours. */
int hws_tls__verify_cb(void *data, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* The reason that a set of verification flags amounts to; LOCAL if none is set. */
enum hws_tls_reason hws_tls__flags_reason(uint32_t flags);

/* Reads and judges a leaf: usage, identity, expectation; fills v->peer, or reason and err. */
enum hws_code hws_tls__judge_leaf(struct hws_tls__verify *v, const mbedtls_x509_crt *crt)
    HWS_MUST_USE;

/* The PEM of what (a name for errors) with a final NUL, as mbedTLS wants it; freed by the caller.
 * HWS_E_INVALID, HWS_E_NOMEM. */
enum hws_code hws_tls__copy_pem(struct hws_span in, const char *what, uint8_t **out, size_t *out_n,
                                struct hws_err *err) HWS_MUST_USE;

/* Appends the certificates of a PEM text to a list. Errors as copy_pem. */
enum hws_code hws_tls__parse_certs(mbedtls_x509_crt *crt, struct hws_span pem, const char *what,
                                   struct hws_err *err) HWS_MUST_USE;

/* trust.c: a bundle's CAs of all domains; then its own domain's name; then its lists. */
enum hws_code hws_tls__trust_load(struct hws_tls_bundle *b, const struct hws_tls_pem *pem,
                                  struct hws_err *err) HWS_MUST_USE;
enum hws_code hws_tls__trust_own(struct hws_tls_bundle *b, struct hws_err *err) HWS_MUST_USE;
enum hws_code hws_tls__trust_load_crl(struct hws_tls_bundle *b, struct hws_span pem,
                                      struct hws_err *err) HWS_MUST_USE;
void hws_tls__trust_free(struct hws_tls_bundle *b);

/* May the CA that a chain ends in name this principal? */
bool hws_tls__trust_names(const struct hws_tls_bundle *b, const mbedtls_x509_crt *anchor,
                          const char *principal);

/* SHA-256 by mbedTLS; 0, or its error. */
int hws_tls__sha256(const uint8_t *bytes, size_t n, uint8_t out[HWS_TLS_SHA256_BYTES]);

/* A serial number without DER's sign byte. */
struct hws_span hws_tls__serial(const mbedtls_x509_buf *der);

/* Seconds since 1970 of a certificate's time. */
uint64_t hws_tls__time_s(const mbedtls_x509_time *t);

/* Is this return value mbedTLS's way of saying that memory ran out? */
bool hws_tls__is_nomem(int rc);

/* Puts a connection into FAILED for a reason, with a text; returns code. Only the first failure is
 * kept. */
enum hws_code hws_tls__fail(struct hws_tls_conn *conn, enum hws_tls_reason reason,
                            enum hws_code code, const char *fmt, ...) HWS_PRINTF(4, 5);

/* As fail, from a return value of mbedTLS and what verification said. */
enum hws_code hws_tls__fail_lib(struct hws_tls_conn *conn, int rc);

/* alert.c: tells the peer of a handshake why it ends, by the alert that is due for what the library
 * refused with rc; and the fatal alert in plain text that ends our output, 0 if none does. */
void hws_tls__tell_peer(struct hws_tls_conn *conn, int rc);
uint8_t hws_tls__last_alert(struct hws_tls_conn *conn);

/* Frees mbedTLS's half of a connection, wiped. */
void hws_tls__engine_free(struct hws_tls_conn *conn);

#if MBEDTLS_VERSION_MAJOR >= 3
/* Has the secrets of ssl's handshake put into x. */
void hws_tls__export_from(mbedtls_ssl_context *ssl, struct hws_tls__exported *x);
#else
/* mbedTLS's callback of a configuration; data is the bundle. */
int hws_tls__take_keys(void *data, const unsigned char *master, const unsigned char *block,
                       size_t n_mac, size_t n_key, size_t n_iv,
                       const unsigned char client_random[32], const unsigned char server_random[32],
                       mbedtls_tls_prf_types prf);
#endif

/* Moves the connection's state, checked. */
void hws_tls__move(struct hws_tls_conn *conn, enum hws_tls_state to);

#endif
