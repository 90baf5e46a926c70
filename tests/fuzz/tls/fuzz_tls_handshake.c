/*
 * Fuzzes a server's handshake from its first byte. The certificates are made once a process; the
 * input arrives in pieces of the size that its first byte says.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "pki.h"
#include "tls/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hws_tls_bundle *s_bundle;
static struct hws_tls_rng *s_rng;

static void put_down(void)
{
    hws_tls_bundle_unref(s_bundle);
    hws_tls_rng_free(s_rng);
}

static void set_up(void)
{
    struct hws_pki pki;
    struct hws_tls_pem pem = {0};
    struct hws_err err;

    hws_pki_make(&pki);
    char *cert = hws_pki_read(&pki, "agent-host.crt", &pem.cert.n);
    char *key = hws_pki_read(&pki, "agent-host.key", &pem.key.n);
    char *ca = hws_pki_read(&pki, "ca.crt", &pem.ca.n);
    pem.cert.bytes = (const uint8_t *)cert;
    pem.key.bytes = (const uint8_t *)key;
    pem.ca.bytes = (const uint8_t *)ca;
    if (hws_tls_rng_open(&s_rng, &err) != HWS_OK ||
        hws_tls_bundle_new(s_rng, &pem, (uint64_t)time(NULL), &s_bundle, &err) != HWS_OK) {
        abort();
    }
    hws_mem_free(cert);
    hws_mem_free(key);
    hws_mem_free(ca);
    hws_pki_remove(&pki);
    (void)atexit(put_down);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_tls_options options = {.now_ms = 1, .now_s = 1800000000};
    struct hws_tls_conn conn;
    uint8_t plain[1024];
    size_t n = 0;
    struct hws_err err;

    if (s_bundle == NULL) {
        set_up();
    }
    if (size == 0 || hws_tls_conn_init(&conn, HWS_TLS_SERVER, s_bundle, &options, &err) != HWS_OK) {
        return 0;
    }
    size_t piece = (size_t)data[0] + 1;
    enum hws_code rc = HWS_OK;
    for (size_t at = 1; at < size && rc == HWS_OK; at += piece) {
        rc = hws_tls_conn_recv(&conn, data + at, size - at < piece ? size - at : piece, &err);
        if (rc == HWS_OK) {
            rc = hws_tls_conn_read(&conn, plain, sizeof(plain), &n, &err);
        }
    }
    if (conn.state == HWS_TLS_STATE_OPEN) {
        abort(); /* nobody without a certificate gets here */
    }
    hws_tls_conn_deinit(&conn);
    return 0;
}
