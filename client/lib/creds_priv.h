/* The inside of credentials. */
#ifndef HWS_CLIENT_CREDS_PRIV_H
#define HWS_CLIENT_CREDS_PRIV_H

#include "hawser.h"
#include "tls/bundle.h"
#include "tls/rng.h"

struct hws_client_creds {
    unsigned n_refs;
    struct hws_tls_rng *rng;       /* owned; outlives the bundle */
    struct hws_tls_bundle *bundle; /* one reference */
};

/* One more reference; returns creds. */
struct hws_client_creds *hws_client__creds_ref(struct hws_client_creds *creds);

/* "spiffe://DOMAIN/agent/" of our own trust domain. HWS_E_INVALID if our certificate has none. */
enum hws_code hws_client__creds_agent_identity(const struct hws_client_creds *creds, char *dst,
                                               size_t cap, struct hws_err *err) HWS_MUST_USE;

#endif
