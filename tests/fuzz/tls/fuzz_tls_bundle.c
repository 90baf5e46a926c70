/* Fuzzes the PEM inputs of a bundle: six texts separated by NUL bytes. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tls/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes up to the next NUL; takes them and the NUL away. */
static struct hws_span next_text(struct hws_span *rest)
{
    const uint8_t *nul = rest->n == 0 ? NULL : memchr(rest->bytes, 0, rest->n);
    struct hws_span text = {rest->bytes, nul == NULL ? rest->n : (size_t)(nul - rest->bytes)};
    size_t taken = text.n + (nul == NULL ? 0 : 1);

    rest->bytes += taken;
    rest->n -= taken;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_span rest = {data, size};
    struct hws_tls_rng *rng = NULL;
    struct hws_tls_bundle *bundle = NULL;
    struct hws_tls_trust trust = {.domain = "other.test"};
    struct hws_tls_pem pem = {0};
    struct hws_err err;

    pem.cert = next_text(&rest);
    pem.key = next_text(&rest);
    pem.ca = next_text(&rest);
    pem.crl = next_text(&rest);
    pem.deny = next_text(&rest);
    trust.ca = next_text(&rest);
    pem.trust = &trust;
    pem.n_trust = trust.ca.n > 0 ? 1 : 0;
    if (hws_tls_rng_open(&rng, &err) == HWS_OK) {
        if (hws_tls_bundle_new(rng, &pem, 1800000000, &bundle, &err) == HWS_OK) {
            hws_tls_bundle_unref(bundle);
        }
        hws_tls_rng_free(rng);
    }
    return 0;
}
