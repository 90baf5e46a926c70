/* Fuzzes our own reading of a certificate: the Extensions SEQUENCE, then the names in it. */
#include <stddef.h>
#include <stdint.h>

#include "tls/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char principal[HWS_TLS_PRINCIPAL_MAX_BYTES + 1];
    struct hws_span all = {data, size};
    struct hws_tls_leaf leaf;
    struct hws_err err;

    if (hws_tls_leaf_parse(all, &leaf, &err) == HWS_OK) {
        if (hws_tls_leaf_check_usage(&leaf, HWS_TLS_EKU_CLIENT, &err) == HWS_OK && leaf.ca) {
            __builtin_trap(); /* a CA is never a leaf */
        }
        all = leaf.san;
    }
    if (hws_tls_san_principal(all, principal, sizeof(principal), &err) == HWS_OK &&
        hws_tls_san_expect(all, principal, principal, &err) != HWS_OK) {
        __builtin_trap(); /* an accepted principal must satisfy itself */
    }
    return 0;
}
