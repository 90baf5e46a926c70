/*
 * tls/conn and tls/bundle: two ends joined in memory, with certificates made for this run. Every
 * bad certificate of certs/hawser-ca is refused for its own reason.
 */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "pki.h"
#include "test.h"
#include "tls/conn.h"

static struct hws_pki s_pki;
static struct hws_tls_rng *s_rng;

static int setup(void **state)
{
    struct hws_err err;
    (void)state;
    hws_pki_make(&s_pki);
    assert_ok(hws_tls_rng_open(&s_rng, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_tls_rng_free(s_rng);
    hws_pki_remove(&s_pki);
    return 0;
}

static uint64_t now_s(void)
{
    return (uint64_t)time(NULL);
}

/* A bundle from NAME.crt, NAME.key and CA; at_s judges it. */
static enum hws_code load(const char *name, const char *key_name, const char *ca_name,
                          uint64_t at_s, struct hws_tls_bundle **out, struct hws_err *err)
{
    char file[64];
    struct hws_tls_pem pem = {0};

    assert_true(hws_str_print(file, sizeof(file), "%s.crt", name));
    char *cert = hws_pki_read(&s_pki, file, &pem.cert.n);
    assert_true(hws_str_print(file, sizeof(file), "%s.key", key_name));
    char *key = hws_pki_read(&s_pki, file, &pem.key.n);
    char *ca = hws_pki_read(&s_pki, ca_name, &pem.ca.n);
    pem.cert.bytes = (const uint8_t *)cert;
    pem.key.bytes = (const uint8_t *)key;
    pem.ca.bytes = (const uint8_t *)ca;
    enum hws_code rc = hws_tls_bundle_new(s_rng, &pem, at_s, out, err);
    hws_mem_free(cert);
    hws_mem_free(key);
    hws_mem_free(ca);
    return rc;
}

static struct hws_tls_bundle *good(const char *name)
{
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;
    assert_ok(load(name, name, "ca.crt", now_s(), &bundle, &err), &err);
    return bundle;
}

struct pair {
    struct hws_tls_conn server;
    struct hws_tls_conn client;
};

static void pair_init(struct pair *p, struct hws_tls_bundle *server, struct hws_tls_bundle *client,
                      uint64_t at_s, const char *expect)
{
    struct hws_tls_options options = {.now_ms = 1000, .now_s = at_s};
    struct hws_err err;

    memset(p, 0, sizeof(*p));
    assert_ok(hws_tls_conn_init(&p->server, HWS_TLS_SERVER, server, &options, &err), &err);
    options.expect = expect;
    assert_ok(hws_tls_conn_init(&p->client, HWS_TLS_CLIENT, client, &options, &err), &err);
}

static void pair_deinit(struct pair *p)
{
    hws_tls_conn_deinit(&p->server);
    hws_tls_conn_deinit(&p->client);
}

/* Moves what `from` has to `to`; plaintext that comes out is appended to got. */
static enum hws_code move(struct hws_tls_conn *from, struct hws_tls_conn *to, struct hws_buf *got)
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

/* Runs the handshake until both have nothing more to say. */
static void shake(struct pair *p)
{
    for (int i = 0; i < 10; i++) {
        (void)move(&p->client, &p->server, NULL);
        (void)move(&p->server, &p->client, NULL);
    }
}

static void both_ends_know_each_other_after_the_handshake(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct pair p;
    (void)state;
    pair_init(&p, host, olga, now_s(), "spiffe://" HWS_PKI_DOMAIN "/agent/");
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);

    shake(&p);

    assert_int_equal(p.server.state, HWS_TLS_STATE_OPEN);
    assert_int_equal(p.client.state, HWS_TLS_STATE_OPEN);
    assert_string_equal(p.server.peer.principal, "spiffe://" HWS_PKI_DOMAIN "/operator/olga");
    assert_string_equal(p.client.peer.principal, "spiffe://" HWS_PKI_DOMAIN "/agent/host");
    assert_true(strlen(p.server.peer.serial) >= 16);
    assert_true(hws_str_starts(hws_tls_conn_version(&p.server), "TLSv1."));
    assert_non_null(strstr(hws_tls_conn_suite(&p.server), "GCM"));
    pair_deinit(&p);
}

static void large_data_passes_both_ways_unchanged(void **state)
{
    enum { N = 1000 * 1000 };
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct pair p;
    struct hws_buf got;
    uint64_t seed = hws_test_seed();
    (void)state;
    pair_init(&p, host, olga, now_s(), NULL);
    shake(&p);
    uint8_t *data = hws_mem_alloc(N);
    for (size_t i = 0; i < N; i++) {
        data[i] = (uint8_t)hws_test_rand(&seed);
    }

    for (int turn = 0; turn < 2; turn++) {
        struct hws_tls_conn *from = turn == 0 ? &p.client : &p.server;
        struct hws_tls_conn *to = turn == 0 ? &p.server : &p.client;
        hws_buf_init(&got, 0);
        for (size_t sent = 0; sent < N;) {
            size_t taken = 0;
            struct hws_err err;
            assert_ok(hws_tls_conn_write(from, data + sent, N - sent, &taken, &err), &err);
            assert_true(hws_tls_conn_unsent(from) <= HWS_TLS_UNSENT_MAX_BYTES + 32768);
            sent += taken;
            assert_code(move(from, to, &got), HWS_OK);
        }
        assert_int_equal(hws_buf_len(&got), N);
        assert_memory_equal(hws_buf_peek(&got), data, N);
        hws_buf_deinit(&got);
    }
    hws_mem_free(data);
    pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

static void an_end_without_close_notify_is_truncation(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct pair p;
    struct hws_err err;
    (void)state;
    pair_init(&p, host, olga, now_s(), NULL);
    shake(&p);
    assert_code(hws_tls_conn_eof(&p.server, &err), HWS_E_GONE);
    assert_int_equal(p.server.reason, HWS_TLS_REASON_TRUNCATED);
    pair_deinit(&p);

    pair_init(&p, host, olga, now_s(), NULL);
    shake(&p);
    hws_tls_conn_close(&p.client);
    assert_code(move(&p.client, &p.server, NULL), HWS_OK);
    assert_int_equal(p.server.state, HWS_TLS_STATE_PEER_DONE);
    assert_ok(hws_tls_conn_eof(&p.server, &err), &err);
    pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

/* A certificate that our own bundle check refuses: the client end is built by the other side's view
 * of time or CA. */
static void bad_certificates_never_become_a_bundle(void **state)
{
    static const char *const names[] = {
        "bad/expired",      "bad/future",   "bad/wrong-ca", "bad/wrong-eku", "bad/no-eku",
        "bad/wrong-ku",     "bad/ca-leaf",  "bad/no-san",   "bad/cn-only",   "bad/two-uri",
        "bad/upper-domain", "bad/http-uri", "bad/two-dns"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct hws_tls_bundle *bundle = NULL;
        struct hws_err err;
        enum hws_code rc = load(names[i], names[i], "ca.crt", now_s(), &bundle, &err);
        if (rc != HWS_E_INVALID) {
            fail_msg("%s: %s", names[i], hws_code_name(rc));
        }
        assert_true(strlen(err.msg) > 10);
    }
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;
    (void)state;
    assert_code(load("agent-host", "operator-olga", "ca.crt", now_s(), &bundle, &err),
                HWS_E_INVALID);
    assert_code(load("agent-host", "agent-host", "bad/other-ca/ca.crt", now_s(), &bundle, &err),
                HWS_E_INVALID);
    assert_code(
        load("agent-host", "agent-host", "ca.crt", now_s() + 30 * UINT64_C(86400), &bundle, &err),
        HWS_E_INVALID);
}

static void each_bad_peer_is_refused_for_its_own_reason(void **state)
{
    uint64_t now = now_s();
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_tls_bundle *stranger = NULL;
    struct hws_tls_bundle *dns = good("bad/dns-only");
    struct hws_err err;
    struct pair p;
    (void)state;

    /* A client of another CA with the same name: it believes our server, we do not believe it. */
    assert_ok(load("bad/wrong-ca", "bad/wrong-ca", "bad/other-ca/ca.crt", now, &stranger, &err),
              &err);
    pair_init(&p, host, stranger, now, NULL);
    shake(&p);
    assert_int_equal(p.client.state, HWS_TLS_STATE_FAILED);
    assert_int_equal(p.client.reason, HWS_TLS_REASON_UNKNOWN_CA);
    pair_deinit(&p);

    /* Time has passed on the server: the client's certificate is over. */
    pair_init(&p, host, olga, now, NULL);
    hws_tls_conn_deinit(&p.server);
    struct hws_tls_options late = {.now_ms = 1000, .now_s = now + 60 * UINT64_C(86400)};
    assert_ok(hws_tls_conn_init(&p.server, HWS_TLS_SERVER, host, &late, &err), &err);
    shake(&p);
    assert_int_equal(p.server.reason, HWS_TLS_REASON_EXPIRED);
    pair_deinit(&p);

    /* The client expects another server. */
    pair_init(&p, host, olga, now, "spiffe://" HWS_PKI_DOMAIN "/agent/other");
    shake(&p);
    assert_int_equal(p.client.reason, HWS_TLS_REASON_UNEXPECTED_PEER);
    pair_deinit(&p);

    /* A client certificate cannot serve. */
    struct hws_tls_options options = {.now_ms = 1000, .now_s = now};
    assert_code(hws_tls_conn_init(&p.server, HWS_TLS_SERVER, olga, &options, &err), HWS_E_INVALID);

    /* A DNS name alone is an identity. */
    pair_init(&p, host, dns, now, NULL);
    shake(&p);
    assert_int_equal(p.server.state, HWS_TLS_STATE_OPEN);
    assert_string_equal(p.server.peer.principal, "dns:host." HWS_PKI_DOMAIN);
    pair_deinit(&p);

    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
    hws_tls_bundle_unref(stranger);
    hws_tls_bundle_unref(dns);
}

static void bytes_that_are_not_tls_fail_and_free(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    uint64_t seed = hws_test_seed();
    struct hws_err err;
    (void)state;
    for (int round = 0; round < 200; round++) {
        uint8_t noise[256];
        struct pair p;
        pair_init(&p, host, olga, now_s(), NULL);
        for (size_t i = 0; i < sizeof(noise); i++) {
            noise[i] = (uint8_t)hws_test_rand(&seed);
        }
        if (round % 2 == 0) { /* a record header that looks right */
            static const uint8_t header[] = {0x16, 3, 1, 0, 0x80, 1, 0, 0, 0x7c, 3, 3};
            memcpy(noise, header, sizeof(header));
        }
        enum hws_code rc = hws_tls_conn_recv(&p.server, noise, sizeof(noise), &err);
        if (rc == HWS_OK) {
            rc = hws_tls_conn_eof(&p.server, &err);
        }
        assert_int_not_equal(rc, HWS_OK);
        assert_int_equal(p.server.state, HWS_TLS_STATE_FAILED);
        pair_deinit(&p);
    }
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

static void a_handshake_that_stalls_times_out(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct pair p;
    struct hws_err err;
    (void)state;
    pair_init(&p, host, olga, now_s(), NULL);

    assert_int_equal(hws_tls_conn_deadline_ms(&p.server), 1000 + HWS_TLS_HANDSHAKE_TIMEOUT_MS);
    assert_ok(hws_tls_conn_expire(&p.server, 1000 + HWS_TLS_HANDSHAKE_TIMEOUT_MS - 1, &err), &err);
    assert_code(hws_tls_conn_expire(&p.server, 1000 + HWS_TLS_HANDSHAKE_TIMEOUT_MS, &err),
                HWS_E_TIMEOUT);

    assert_int_equal(p.server.reason, HWS_TLS_REASON_TIMEOUT);
    pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

static void a_flipped_byte_in_a_record_ends_the_connection(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct pair p;
    struct hws_buf wire;
    struct hws_err err;
    uint8_t plain[64];
    size_t n = 0;
    (void)state;
    pair_init(&p, host, olga, now_s(), NULL);
    shake(&p);
    assert_ok(hws_tls_conn_write(&p.client, (const uint8_t *)"hello", 5, &n, &err), &err);
    hws_buf_init(&wire, 0);
    hws_tls_conn_pull(&p.client, &wire);
    wire.bytes[wire.tail - 1] ^= 1;

    enum hws_code rc = hws_tls_conn_recv(&p.server, hws_buf_peek(&wire), hws_buf_len(&wire), &err);
    if (rc == HWS_OK) {
        rc = hws_tls_conn_read(&p.server, plain, sizeof(plain), &n, &err);
    }

    assert_code(rc, HWS_E_PROTO);
    hws_buf_deinit(&wire);
    pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_know_each_other_after_the_handshake),
        cmocka_unit_test(large_data_passes_both_ways_unchanged),
        cmocka_unit_test(an_end_without_close_notify_is_truncation),
        cmocka_unit_test(bad_certificates_never_become_a_bundle),
        cmocka_unit_test(a_key_of_another_certificate_is_refused),
        cmocka_unit_test(each_bad_peer_is_refused_for_its_own_reason),
        cmocka_unit_test(bytes_that_are_not_tls_fail_and_free),
        cmocka_unit_test(a_handshake_that_stalls_times_out),
        cmocka_unit_test(a_flipped_byte_in_a_record_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
