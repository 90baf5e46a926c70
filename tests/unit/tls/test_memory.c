/*
 * tls when memory runs out: a bundle and a whole mutual handshake with data both ways, with each
 * allocation of ours and (sampled: there are tens of thousands) each of mbedTLS's failing, once and
 * for good. Nothing may crash or leak; a failure is said; no end may come to believe another peer;
 * and the next connection works.
 *
 * The code of a failure inside mbedTLS is not always NOMEM: the library calls a signature that it
 * had no memory to check a wrong one. What counts is that it is refused.
 */
#include <string.h>

#include "base/mem.h"
#include "fail_calloc.h"
#include "pair.h"
#include "test.h"

#define SAMPLES 500u

struct texts {
    char *cert;
    char *key;
    char *ca;
    char *crl;
    char *other_ca;
    struct hws_tls_trust trust; /* another domain */
    struct hws_tls_pem pem;     /* of them */
};

struct world {
    struct hws_tls_rng *rng;
    struct texts host_pem;
    struct texts olga_pem;
    struct hws_tls_bundle *host;
    struct hws_tls_bundle *olga;
};

static struct world s_world;

static void make(struct texts *out, const struct hws_mint *ca, const char *ext)
{
    static const char deny[] = "serial 0a\n";
    struct hws_mint leaf;
    struct hws_mint other;
    const struct hws_mint *others[] = {&other};
    const struct hws_mint *one[] = {&leaf};
    const struct hws_mint *cas[] = {ca};

    hws_mint_make(&leaf, ca, &(struct hws_mint_spec){.ext = ext});
    out->cert = hws_mint_certs_pem(one, 1);
    out->key = hws_mint_key_pem(&leaf);
    out->ca = hws_mint_certs_pem(cas, 1);
    out->crl = hws_mint_crl_pem(ca, &(struct hws_mint_crl_spec){0});
    out->trust.domain = "other.test";
    hws_mint_make(&other, NULL, &(struct hws_mint_spec){.cn = "other", .ext = HWS_MINT_CA_EXT});
    out->other_ca = hws_mint_certs_pem(others, 1);
    hws_mint_free(&other);
    out->trust.ca = (struct hws_span){(const uint8_t *)out->other_ca, strlen(out->other_ca)};
    out->pem = (struct hws_tls_pem){
        .cert = {(const uint8_t *)out->cert, strlen(out->cert)},
        .key = {(const uint8_t *)out->key, strlen(out->key)},
        .ca = {(const uint8_t *)out->ca, strlen(out->ca)},
        .trust = &out->trust,
        .n_trust = 1,
        .crl = {(const uint8_t *)out->crl, strlen(out->crl)},
        .deny = {(const uint8_t *)deny, sizeof(deny) - 1},
        .allow_tls12 = true,
    };
    hws_mint_free(&leaf);
}

static int setup(void **state)
{
    struct hws_mint ca;
    struct hws_err err;
    struct world *w = &s_world;
    (void)state;
    assert_ok(hws_tls_rng_open(&w->rng, &err), &err);
    hws_mint_make(&ca, NULL, &(struct hws_mint_spec){.cn = "CA", .ext = HWS_MINT_CA_EXT});
    make(&w->host_pem, &ca,
         HWS_MINT_LEAF_EXT HWS_MINT_BOTH "subjectAltName=URI:spiffe://unit.test/agent/host\n");
    make(&w->olga_pem, &ca,
         HWS_MINT_LEAF_EXT HWS_MINT_CLIENT "subjectAltName=URI:spiffe://unit.test/operator/olga\n");
    hws_mint_free(&ca);
    assert_ok(hws_tls_bundle_new(w->rng, &w->host_pem.pem, hws_pair_now_s(), &w->host, &err), &err);
    assert_ok(hws_tls_bundle_new(w->rng, &w->olga_pem.pem, hws_pair_now_s(), &w->olga, &err), &err);
    return 0;
}

static void free_texts(struct texts *t)
{
    hws_mem_free(t->cert);
    hws_mem_free(t->key);
    hws_mem_free(t->ca);
    hws_mem_free(t->crl);
    hws_mem_free(t->other_ca);
}

static int teardown(void **state)
{
    (void)state;
    hws_tls_bundle_unref(s_world.host);
    hws_tls_bundle_unref(s_world.olga);
    free_texts(&s_world.host_pem);
    free_texts(&s_world.olga_pem);
    hws_tls_rng_free(s_world.rng);
    return 0;
}

static enum hws_code load(void *arg)
{
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;
    (void)arg;
    enum hws_code rc =
        hws_tls_bundle_new(s_world.rng, &s_world.host_pem.pem, hws_pair_now_s(), &bundle, &err);
    hws_tls_bundle_unref(bundle);
    return rc;
}

/* Moves what `from` has to `to` without allocating in the test itself. */
static enum hws_code pass(struct hws_tls_conn *from, struct hws_tls_conn *to, size_t *n_plain)
{
    struct hws_buf wire;
    uint8_t plain[256];
    size_t n = 0;
    struct hws_err err;

    hws_buf_init(&wire, 0);
    hws_tls_conn_pull(from, &wire);
    enum hws_code rc = HWS_OK;
    if (hws_buf_len(&wire) > 0) {
        rc = hws_tls_conn_recv(to, hws_buf_peek(&wire), hws_buf_len(&wire), &err);
        do {
            rc = rc == HWS_OK ? hws_tls_conn_read(to, plain, sizeof(plain), &n, &err) : rc;
            *n_plain += rc == HWS_OK ? n : 0;
        } while (rc == HWS_OK && n > 0);
    }
    hws_buf_deinit(&wire);
    return rc;
}

static enum hws_code say(struct hws_tls_conn *from, struct hws_tls_conn *to)
{
    size_t taken = 0;
    size_t got = 0;
    struct hws_err err;
    enum hws_code rc = hws_tls_conn_write(from, (const uint8_t *)"aye", 3, &taken, &err);

    rc = rc == HWS_OK ? pass(from, to, &got) : rc;
    return rc == HWS_OK && got != 3 ? HWS_E_IO : rc;
}

static enum hws_code talk(void *arg)
{
    struct hws_tls_options options = {.now_ms = 1000, .now_s = hws_pair_now_s()};
    struct hws_pair p;
    struct hws_err err;
    size_t n = 0;
    (void)arg;

    memset(&p, 0, sizeof(p));
    enum hws_code rc = hws_tls_conn_init(&p.server, HWS_TLS_SERVER, s_world.host, &options, &err);
    if (rc == HWS_OK) {
        rc = hws_tls_conn_init(&p.client, HWS_TLS_CLIENT, s_world.olga, &options, &err);
    }
    for (int i = 0; i < 4 && rc == HWS_OK; i++) {
        rc = pass(&p.client, &p.server, &n);
        rc = rc == HWS_OK ? pass(&p.server, &p.client, &n) : rc;
    }
    if (p.server.state == HWS_TLS_STATE_OPEN) {
        assert_string_equal(p.server.peer.principal, "spiffe://unit.test/operator/olga");
    }
    if (p.client.state == HWS_TLS_STATE_OPEN) {
        assert_string_equal(p.client.peer.principal, "spiffe://unit.test/agent/host");
    }
    rc = rc == HWS_OK ? say(&p.client, &p.server) : rc;
    rc = rc == HWS_OK ? say(&p.server, &p.client) : rc;
    hws_pair_deinit(&p);
    return rc;
}

static void our_own_allocations_fail_as_no_memory(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(load, NULL) >= 4);
    /* Of a handshake the output buffer is ours; what the library makes of its failure is NOMEM. */
    assert_true(hws_test_oom_sweep(talk, NULL) >= 4);
}

static void sweep_library(enum hws_code (*scenario)(void *arg))
{
    uint64_t seed = hws_test_seed();
    uint64_t n_failed = 0;

    hws_calloc_fail_after(0, false);
    assert_code(scenario(NULL), HWS_OK);
    uint64_t total = hws_calloc_count();
    assert_true(total > 20);
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint64_t k = i < SAMPLES / 4 ? i + 1 : 1 + hws_test_rand(&seed) % total;
        hws_calloc_fail_after(k, i % 2 == 0);
        enum hws_code rc = scenario(NULL);
        hws_calloc_fail_after(0, false);
        n_failed += rc == HWS_OK ? 0 : 1;
    }
    /* Some allocations are optional (a cache); most are not. */
    assert_true(n_failed > SAMPLES / 2);
    print_message("%u of %llu allocations, %llu of them said\n", SAMPLES, (unsigned long long)total,
                  (unsigned long long)n_failed);
    assert_code(scenario(NULL), HWS_OK);
}

static void the_librarys_allocations_fail_while_a_bundle_loads(void **state)
{
    (void)state;
    sweep_library(load);
}

static void the_librarys_allocations_fail_in_a_handshake(void **state)
{
    (void)state;
    sweep_library(talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_allocations_fail_as_no_memory),
        cmocka_unit_test(the_librarys_allocations_fail_while_a_bundle_loads),
        cmocka_unit_test(the_librarys_allocations_fail_in_a_handshake),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
