/*
 * The agent's configuration file: YAML text in, a checked struct out. Reading the file is separate
 * from judging it, so that tests judge text. Unknown keys, repeated keys, aliases and values of the
 * wrong shape are refused with line and reason; relative paths are relative to the file's folder.
 *
 *     host: host-a
 *     run_dir: run
 *     state_dir: state
 *     policy: policy.yaml
 *     user: hawser
 *     listen: 127.0.0.1:0
 *     tls: {cert: agent.crt, key: agent.key, ca: ca.crt}
 *     limits: {max_conns: 512, reset_burst: 200}
 *     devices: {backend: emu, profiles: [a.yaml, b.yaml]}
 *     rates: {config-live: 600, read: 60000}
 *     audit: {max_age: 90d, max_records: 100000, max_bytes: 67108864}
 *     warrants: {trust: trust, memory: used}
 *
 * `user`, `limits`, `rates`, `audit` and `warrants` may be left out; common/limits.def has each
 * limit's default and range, and without `warrants` dangerous commands are off (decision record
 * 10). Without `listen` the agent serves the local Unix socket only; with it, `tls` is required.
 * Thread rule: none, everything is local to the call.
 */
#ifndef HWS_HAWSERD_CONFIG_H
#define HWS_HAWSERD_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hawserd/rates.h"

#define HWS_CONFIG_MAX_BYTES         ((size_t)64 * 1024) /* a larger file is refused */
#define HWS_CONFIG_PATH_BYTES        256u
#define HWS_CONFIG_HOST_BYTES        65u
#define HWS_CONFIG_LISTEN_BYTES      128u
#define HWS_CONFIG_USER_BYTES        33u
#define HWS_CONFIG_RECORDS_BYTES     16u
#define HWS_CONFIG_MAX_PROFILES      16u
#define HWS_CONFIG_MAX_TRUST         8u   /* other trust domains */
#define HWS_CONFIG_TRUST_BYTES       512u /* domain, "=" and path */
#define HWS_CONFIG_MAX_LIMITS        64u
#define HWS_CONFIG_LIMIT_BYTES       48u   /* name, "=" and value */
#define HWS_CONFIG_AUDIT_MIN_RECORDS 1000u /* a shorter log would not last a busy minute */
#define HWS_CONFIG_AUDIT_MAX_RECORDS 10000000u
#define HWS_CONFIG_AUDIT_MIN_BYTES   (UINT64_C(1) << 20)
#define HWS_CONFIG_AUDIT_MAX_BYTES   (UINT64_C(1) << 40)
#define HWS_CONFIG_RUN_DIR_MAX       80u /* a socket's path must fit in sockaddr_un */

enum hws_config_backend {
    HWS_BACKEND_EMU,  /* hawser-emu, one adapter per profile */
    HWS_BACKEND_FWCTL /* hawser-dev over /dev/fwctl */
};

struct hws_config {
    char host[HWS_CONFIG_HOST_BYTES];      /* [a-zA-Z0-9.-]; shown in lists */
    char run_dir[HWS_CONFIG_PATH_BYTES];   /* sockets, locks, `listen` */
    char state_dir[HWS_CONFIG_PATH_BYTES]; /* database, spool, images */
    char policy[HWS_CONFIG_PATH_BYTES];    /* policy file */
    char user[HWS_CONFIG_USER_BYTES];      /* whom root becomes; empty = stays who started it */
    char listen[HWS_CONFIG_LISTEN_BYTES];  /* "address:port"; empty = no TCP */
    char tls_cert[HWS_CONFIG_PATH_BYTES];  /* PEM files; empty without listen */
    char tls_key[HWS_CONFIG_PATH_BYTES];
    char tls_ca[HWS_CONFIG_PATH_BYTES];
    char tls_crl[HWS_CONFIG_PATH_BYTES];                          /* empty = none */
    char tls_deny[HWS_CONFIG_PATH_BYTES];                         /* empty = none */
    char tls_trust[HWS_CONFIG_MAX_TRUST][HWS_CONFIG_TRUST_BYTES]; /* "domain=file" */
    size_t n_tls_trust;
    char tls_records[HWS_CONFIG_RECORDS_BYTES]; /* "auto", "libcrypto" or "mbedtls" */
    char limits[HWS_CONFIG_MAX_LIMITS][HWS_CONFIG_LIMIT_BYTES]; /* "name=value", within its range */
    size_t n_limits;
    uint32_t rates_per_min[HWS_N_EFFECTS]; /* calls of a principal; 0 = no limit */
    enum hws_config_backend backend;
    char profiles[HWS_CONFIG_MAX_PROFILES][HWS_CONFIG_PATH_BYTES]; /* of hawser-emu */
    size_t n_profiles;
    char trust[HWS_CONFIG_PATH_BYTES];  /* trust file; empty = dangerous commands are off */
    char memory[HWS_CONFIG_PATH_BYTES]; /* the device process's folder of used warrants */
    uint64_t audit_max_age_ms;          /* retention of the audit log; 0 = any age */
    uint64_t audit_max_bytes;           /* 0 in these: the store's default */
    uint32_t audit_max_records;
    uint32_t audit_sign_records;
    uint32_t audit_sign_ms;
};

/*
 * Judges n bytes of text. dir is what relative paths are relative to ("" = as given); name is what
 * messages call the file. HWS_E_INVALID with "<name>:<line>: <reason>", HWS_E_BUSY over
 * HWS_CONFIG_MAX_BYTES, HWS_E_NOMEM. *out is written on success only.
 */
enum hws_code hws_config_parse(const char *text, size_t n, const char *dir, const char *name,
                               struct hws_config *out, struct hws_err *err) HWS_MUST_USE;

/* Reads and judges the file at path. As parse; HWS_E_NOT_FOUND or HWS_E_IO when it cannot be read.
 */
enum hws_code hws_config_load(const char *path, struct hws_config *out, struct hws_err *err)
    HWS_MUST_USE;

#endif
