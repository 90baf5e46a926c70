/* What both programs load: a certificate, its key and the CAs, from three PEM files. */
#ifndef HWS_INTEROP_CREDENTIALS_H
#define HWS_INTEROP_CREDENTIALS_H

#include "base/err.h"
#include "tls/bundle.h"

struct interop_files {
    const char *cert;
    const char *key;
    const char *ca;
};

/* One reference. HWS_E_NOT_FOUND for a file that cannot be read, else as hws_tls_bundle_new. */
enum hws_code interop_bundle_load(struct hws_tls_rng *rng, const struct interop_files *files,
                                  struct hws_tls_bundle **out_bundle, struct hws_err *err)
    HWS_MUST_USE;

#endif
