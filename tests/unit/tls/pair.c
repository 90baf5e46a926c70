/* Two ends of TLS joined in memory. */
#include "pair.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "test.h"

enum hws_tls_records_choice hws_pair_records = HWS_TLS_RECORDS_AUTO;

void hws_pair_init(struct hws_pair *p, struct hws_tls_bundle *server, struct hws_tls_bundle *client,
                   uint64_t at_s, const char *expect)
{
    struct hws_tls_options options = {.now_ms = 1000, .now_s = at_s};
    struct hws_err err;

    memset(p, 0, sizeof(*p));
    assert_ok(hws_tls_conn_init(&p->server, HWS_TLS_SERVER, server, &options, &err), &err);
    options.expect = expect;
    assert_ok(hws_tls_conn_init(&p->client, HWS_TLS_CLIENT, client, &options, &err), &err);
}

void hws_pair_deinit(struct hws_pair *p)
{
    hws_tls_conn_deinit(&p->server);
    hws_tls_conn_deinit(&p->client);
}

enum hws_code hws_pair_move(struct hws_tls_conn *from, struct hws_tls_conn *to, struct hws_buf *got)
{
    struct hws_buf wire;
    uint8_t plain[4096];
    size_t n = 0;
    struct hws_err err;

    hws_buf_init(&wire, 0);
    hws_tls_conn_pull(from, &wire);
    enum hws_code rc = HWS_OK;
    if (hws_buf_len(&wire) > 0) {
        rc = hws_tls_conn_recv(to, hws_buf_peek(&wire), hws_buf_len(&wire), &err);
        while (rc == HWS_OK) {
            rc = hws_tls_conn_read(to, plain, sizeof(plain), &n, &err);
            if (n == 0 || rc != HWS_OK) {
                break;
            }
            if (got != NULL) {
                assert_code(hws_buf_put(got, plain, n), HWS_OK);
            }
        }
    }
    hws_buf_deinit(&wire);
    return rc;
}

void hws_pair_shake(struct hws_pair *p)
{
    for (int i = 0; i < 10; i++) {
        (void)hws_pair_move(&p->client, &p->server, NULL);
        (void)hws_pair_move(&p->server, &p->client, NULL);
    }
}

uint64_t hws_pair_now_s(void)
{
    return (uint64_t)time(NULL);
}

enum hws_code hws_pair_bundle(struct hws_tls_rng *rng, const struct hws_mint *const *chain,
                              size_t n_chain, const struct hws_mint *const *cas, size_t n_cas,
                              struct hws_tls_bundle **out, struct hws_err *err)
{
    char *cert = hws_mint_certs_pem(chain, n_chain);
    char *key = hws_mint_key_pem(chain[0]);
    char *ca = hws_mint_certs_pem(cas, n_cas);
    struct hws_tls_pem pem = {
        .cert = {(const uint8_t *)cert, strlen(cert)},
        .key = {(const uint8_t *)key, strlen(key)},
        .ca = {(const uint8_t *)ca, strlen(ca)},
        .allow_tls12 = true,
        .records = hws_pair_records,
    };
    enum hws_code rc = hws_tls_bundle_new(rng, &pem, hws_pair_now_s(), out, err);

    hws_mem_free(cert);
    hws_mem_free(key);
    hws_mem_free(ca);
    return rc;
}
