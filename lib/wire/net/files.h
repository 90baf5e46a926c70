/* A bundle from the three PEM files that a program is given. Reads files; any thread. */
#ifndef HWS_NET_FILES_H
#define HWS_NET_FILES_H

#include "base/err.h"
#include "tls/bundle.h"

/* The files' names, and how the bundle is to be: as struct hws_tls_pem. */
struct hws_net_files {
    const char *cert;
    const char *key;
    const char *ca;
    bool allow_tls12;
};

/*
 * Reads the three files and makes a bundle, judged by the system's clock. rng: borrowed, outlives
 * the bundle; it may go when this returns, and so may the names. Errors name the file.
 * HWS_E_NOT_FOUND: one that cannot be opened, whatever the reason; HWS_E_INVALID: one over
 * HWS_TLS_PEM_MAX_BYTES, or as hws_tls_bundle_new; HWS_E_IO, HWS_E_NOMEM. What was read of the key
 * is wiped.
 */
enum hws_code hws_net_files_bundle(struct hws_tls_rng *rng, const struct hws_net_files *files,
                                   struct hws_tls_bundle **out_bundle, struct hws_err *err)
    HWS_MUST_USE;

#endif
