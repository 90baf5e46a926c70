/*
 * The random source of TLS: CTR_DRBG seeded from the system's entropy. One per process that speaks
 * TLS, owned by the program and outlived by nothing that uses it: bundles and connections borrow
 * it. Open it after the last fork, since a copied state would repeat itself.
 *
 * Thread rule: one thread, that of the connections.
 */
#ifndef HWS_TLS_RNG_H
#define HWS_TLS_RNG_H

#include "base/err.h"

struct hws_tls_rng;

/* Seeds a new source; with mbedTLS 3 it also starts PSA crypto, which is process-wide there.
 * HWS_E_NOMEM, HWS_E_IO when the system gives no entropy. */
enum hws_code hws_tls_rng_open(struct hws_tls_rng **out_rng, struct hws_err *err) HWS_MUST_USE;

/* Wipes and frees; NULL is allowed. Call after the last bundle and connection are gone. */
void hws_tls_rng_free(struct hws_tls_rng *rng);

#endif
