/*
 * The configuration of one side of TLS: versions, suites, groups, signatures, ALPN, and everything
 * that is switched off. The packaged libraries have tickets, renegotiation and old versions
 * compiled in, so each is refused here at run time.
 */
#include "tls/engine_priv.h"

const mbedtls_x509_crt_profile hws_tls__profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
    .rsa_min_bitlen = 3072,
};

/* Server order. AES-GCM first, since processors do it in hardware; CHACHA20 for those without. */
static const int s_suites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

static const char *s_alpn[] = {"h2", NULL};

#if MBEDTLS_VERSION_MAJOR >= 3

static const uint16_t s_groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

static const uint16_t s_signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_NONE,
};

static void set_versions(mbedtls_ssl_config *conf, bool allow_tls12)
{
    mbedtls_ssl_conf_min_tls_version(conf, allow_tls12 ? MBEDTLS_SSL_VERSION_TLS1_2
                                                       : MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_tls13_key_exchange_modes(conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    mbedtls_ssl_conf_groups(conf, s_groups);
    mbedtls_ssl_conf_sig_algs(conf, s_signatures);
}

static void export_keys(mbedtls_ssl_config *conf, struct hws_tls_bundle *bundle)
{
    (void)conf; /* a connection has its own callback here */
    (void)bundle;
}

#else

static const mbedtls_ecp_group_id s_groups[] = {
    MBEDTLS_ECP_DP_SECP256R1,
    MBEDTLS_ECP_DP_SECP384R1,
    MBEDTLS_ECP_DP_NONE,
};

static const int s_hashes[] = {
    MBEDTLS_MD_SHA256,
    MBEDTLS_MD_SHA384,
    MBEDTLS_MD_SHA512,
    MBEDTLS_MD_NONE,
};

static void set_versions(mbedtls_ssl_config *conf, bool allow_tls12)
{
    (void)allow_tls12; /* the only version this library and the profile have in common */
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_max_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(conf, s_groups);
    mbedtls_ssl_conf_sig_hashes(conf, s_hashes);
}

static void export_keys(mbedtls_ssl_config *conf, struct hws_tls_bundle *bundle)
{
    mbedtls_ssl_conf_export_keys_ext_cb(conf, hws_tls__take_keys, bundle);
}

#endif

enum hws_code hws_tls__config_init(mbedtls_ssl_config *conf, enum hws_tls_role role,
                                   struct hws_tls_bundle *bundle, struct hws_err *err)
{
    int endpoint = role == HWS_TLS_SERVER ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;
    int rc = mbedtls_ssl_config_defaults(conf, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);

    if (rc == 0) {
        rc = mbedtls_ssl_conf_own_cert(conf, &bundle->cert, &bundle->key);
    }
    if (rc == 0) {
        rc = mbedtls_ssl_conf_alpn_protocols(conf, s_alpn);
    }
    if (rc != 0) {
        return hws_err_set(err, hws_tls__is_nomem(rc) ? HWS_E_NOMEM : HWS_E_IO,
                           "TLS configuration: -0x%04x", (unsigned)-rc);
    }
    set_versions(conf, bundle->allow_tls12);
    export_keys(conf, bundle);
    mbedtls_ssl_conf_ciphersuites(conf, s_suites);
    mbedtls_ssl_conf_cert_profile(conf, &hws_tls__profile);
    mbedtls_ssl_conf_ca_chain(conf, &bundle->ca, NULL);
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_rng(conf, mbedtls_ctr_drbg_random, &bundle->rng->drbg);
    mbedtls_ssl_conf_renegotiation(conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    mbedtls_ssl_conf_legacy_renegotiation(conf, MBEDTLS_SSL_LEGACY_NO_RENEGOTIATION);
    mbedtls_ssl_conf_extended_master_secret(conf, MBEDTLS_SSL_EXTENDED_MS_ENABLED);
    if (role == HWS_TLS_CLIENT) {
        mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    }
    /* A server issues tickets and caches sessions only through callbacks, which are not set. */
    return HWS_OK;
}
