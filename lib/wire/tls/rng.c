/* CTR_DRBG over the system's entropy. */
#include "tls/rng.h"

#if defined(__has_include)
#if __has_include(<psa/crypto.h>)
#include <psa/crypto.h>
#endif
#endif

#include "base/mem.h"
#include "tls/engine_priv.h"

static enum hws_code start_psa(struct hws_err *err)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    psa_status_t status = psa_crypto_init();
    if (status != PSA_SUCCESS) {
        return hws_err_set(err, HWS_E_IO, "PSA crypto does not start: %d", (int)status);
    }
#else
    (void)err;
#endif
    return HWS_OK;
}

enum hws_code hws_tls_rng_open(struct hws_tls_rng **out_rng, struct hws_err *err)
{
    static const unsigned char LABEL[] = "hawser tls";
    struct hws_tls_rng *rng = hws_mem_zalloc(1, sizeof(*rng));

    if (rng == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "TLS random source: out of memory");
    }
    mbedtls_entropy_init(&rng->entropy);
    mbedtls_ctr_drbg_init(&rng->drbg);
    enum hws_code rc = start_psa(err);
    if (rc == HWS_OK && mbedtls_ctr_drbg_seed(&rng->drbg, mbedtls_entropy_func, &rng->entropy,
                                              LABEL, sizeof(LABEL) - 1) != 0) {
        rc = hws_err_set(err, HWS_E_IO, "TLS random source: no entropy");
    }
    if (rc != HWS_OK) {
        hws_tls_rng_free(rng);
        return rc;
    }
    *out_rng = rng;
    return HWS_OK;
}

void hws_tls_rng_free(struct hws_tls_rng *rng)
{
    if (rng == NULL) {
        return;
    }
    mbedtls_ctr_drbg_free(&rng->drbg);
    mbedtls_entropy_free(&rng->entropy);
    hws_mem_free_secret(rng, sizeof(*rng));
}
