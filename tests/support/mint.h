/*
 * A mint of certificates and CRLs in memory, by libcrypto: whatever a test needs to be accepted or
 * refused, also what no CA would sign. certs/hawser-ca makes the good ones that users have (pki.h);
 * this makes hundreds of variants in a second. Every function fails the test if it cannot.
 */
#ifndef HWS_TESTS_MINT_H
#define HWS_TESTS_MINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct x509_st;
struct evp_pkey_st;

/* A certificate with its key; hws_mint_free frees both. */
struct hws_mint {
    struct x509_st *crt;
    struct evp_pkey_st *key;
};

/* Lines of OpenSSL's configuration syntax for the extensions of usual certificates. */
#define HWS_MINT_CA_EXT   "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
#define HWS_MINT_LEAF_EXT "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
#define HWS_MINT_BOTH     "extendedKeyUsage=serverAuth,clientAuth\n"
#define HWS_MINT_CLIENT   "extendedKeyUsage=clientAuth\n"
#define HWS_MINT_SERVER   "extendedKeyUsage=serverAuth\n"

/* Zeroed members mean the usual thing. */
struct hws_mint_spec {
    const char *cn;     /* NULL = "mint" */
    const char *serial; /* hex of the number, "-" first for a negative one; NULL = random */
    const char *ext;    /* extension lines; NULL = a version 1 certificate without any */
    const char *key;    /* "P-256" (NULL), "P-384", "P-521", "secp256k1", "RSA-2048", ... */
    const char *digest; /* "SHA256" (NULL), "SHA384", "SHA1", ... */
    long from_s;        /* notBefore, seconds from now; 0 = an hour ago */
    long until_s;       /* notAfter, seconds from now; 0 = in ten days */
    bool broken;        /* the last byte of the signature is flipped */
};

/* issuer NULL: self-signed. */
void hws_mint_make(struct hws_mint *out, const struct hws_mint *issuer,
                   const struct hws_mint_spec *spec);
void hws_mint_free(struct hws_mint *m);

/* PEM of n certificates in a row, and of a key; freed with hws_mem_free. */
char *hws_mint_certs_pem(const struct hws_mint *const *certs, size_t n);
char *hws_mint_key_pem(const struct hws_mint *m);

struct hws_mint_crl_spec {
    long from_s;                /* thisUpdate, seconds from now; 0 = an hour ago */
    long until_s;               /* nextUpdate; 0 = in a day */
    const char *const *serials; /* hex; NULL at the end; may be NULL */
    const char *digest;         /* as above */
    bool broken;                /* the last byte of the signature is flipped */
    bool no_next;               /* without nextUpdate */
};

/* PEM of a CRL that issuer signs; freed with hws_mem_free. */
char *hws_mint_crl_pem(const struct hws_mint *issuer, const struct hws_mint_crl_spec *spec);

#endif
