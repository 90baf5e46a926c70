/*
 * tls/conn and tls/bundle: two ends joined in memory, with certificates made for this run. Every
 * bad certificate of certs/hawser-ca is refused for its own reason.
 */
#include <string.h>

#include "base/mem.h"
#include "pair.h"
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

/* A bundle from NAME.crt, NAME.key and CA; at_s judges it. */
static enum hws_code load(const char *name, const char *key_name, const char *ca_name,
                          uint64_t at_s, struct hws_tls_bundle **out, struct hws_err *err)
{
    char file[64];
    struct hws_tls_pem pem = {.allow_tls12 = true};

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
    assert_ok(load(name, name, "ca.crt", hws_pair_now_s(), &bundle, &err), &err);
    return bundle;
}

static void both_ends_know_each_other_after_the_handshake(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_pair p;
    (void)state;
    hws_pair_init(&p, host, olga, hws_pair_now_s(), "spiffe://" HWS_PKI_DOMAIN "/agent/");
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);

    hws_pair_shake(&p);

    assert_int_equal(p.server.state, HWS_TLS_STATE_OPEN);
    assert_int_equal(p.client.state, HWS_TLS_STATE_OPEN);
    assert_string_equal(p.server.peer.principal, "spiffe://" HWS_PKI_DOMAIN "/operator/olga");
    assert_string_equal(p.client.peer.principal, "spiffe://" HWS_PKI_DOMAIN "/agent/host");
    assert_true(strlen(p.server.peer.serial) >= 16);
    assert_true(hws_str_starts(hws_tls_conn_version(&p.server), "TLSv1."));
    assert_non_null(strstr(hws_tls_conn_suite(&p.server), "GCM"));
    hws_pair_deinit(&p);
}

static void large_data_passes_both_ways_unchanged(void **state)
{
    enum { N = 1000 * 1000 };
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_pair p;
    struct hws_buf got;
    uint64_t seed = hws_test_seed();
    (void)state;
    hws_pair_init(&p, host, olga, hws_pair_now_s(), NULL);
    hws_pair_shake(&p);
    uint8_t *data = assert_got(hws_mem_alloc(N));
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
            assert_code(hws_pair_move(from, to, &got), HWS_OK);
        }
        assert_int_equal(hws_buf_len(&got), N);
        assert_memory_equal(hws_buf_peek(&got), data, N);
        hws_buf_deinit(&got);
    }
    hws_mem_free(data);
    hws_pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

static void an_end_without_close_notify_is_truncation(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_pair p;
    struct hws_err err;
    (void)state;
    hws_pair_init(&p, host, olga, hws_pair_now_s(), NULL);
    hws_pair_shake(&p);
    assert_code(hws_tls_conn_eof(&p.server, &err), HWS_E_GONE);
    assert_int_equal(p.server.reason, HWS_TLS_REASON_TRUNCATED);
    hws_pair_deinit(&p);

    hws_pair_init(&p, host, olga, hws_pair_now_s(), NULL);
    hws_pair_shake(&p);
    hws_tls_conn_close(&p.client);
    assert_code(hws_pair_move(&p.client, &p.server, NULL), HWS_OK);
    assert_int_equal(p.server.state, HWS_TLS_STATE_PEER_DONE);
    assert_ok(hws_tls_conn_eof(&p.server, &err), &err);
    hws_pair_deinit(&p);
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
        enum hws_code rc = load(names[i], names[i], "ca.crt", hws_pair_now_s(), &bundle, &err);
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
    assert_code(load("agent-host", "operator-olga", "ca.crt", hws_pair_now_s(), &bundle, &err),
                HWS_E_INVALID);
    assert_code(
        load("agent-host", "agent-host", "bad/other-ca/ca.crt", hws_pair_now_s(), &bundle, &err),
        HWS_E_INVALID);
    assert_code(load("agent-host", "agent-host", "ca.crt", hws_pair_now_s() + 30 * UINT64_C(86400),
                     &bundle, &err),
                HWS_E_INVALID);
}

static void each_bad_peer_is_refused_for_its_own_reason(void **state)
{
    uint64_t now = hws_pair_now_s();
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_tls_bundle *stranger = NULL;
    struct hws_tls_bundle *dns = good("bad/dns-only");
    struct hws_err err;
    struct hws_pair p;
    (void)state;

    /* A client of another CA with the same name: it believes our server, we do not believe it. */
    assert_ok(load("bad/wrong-ca", "bad/wrong-ca", "bad/other-ca/ca.crt", now, &stranger, &err),
              &err);
    hws_pair_init(&p, host, stranger, now, NULL);
    hws_pair_shake(&p);
    assert_int_equal(p.client.state, HWS_TLS_STATE_FAILED);
    assert_int_equal(p.client.reason, HWS_TLS_REASON_UNKNOWN_CA);
    hws_pair_deinit(&p);

    /* Time has passed on the server: the client's certificate is over. */
    hws_pair_init(&p, host, olga, now, NULL);
    hws_tls_conn_deinit(&p.server);
    struct hws_tls_options late = {.now_ms = 1000, .now_s = now + 60 * UINT64_C(86400)};
    assert_ok(hws_tls_conn_init(&p.server, HWS_TLS_SERVER, host, &late, &err), &err);
    hws_pair_shake(&p);
    assert_int_equal(p.server.reason, HWS_TLS_REASON_EXPIRED);
    hws_pair_deinit(&p);

    /* The client expects another server. */
    hws_pair_init(&p, host, olga, now, "spiffe://" HWS_PKI_DOMAIN "/agent/other");
    hws_pair_shake(&p);
    assert_int_equal(p.client.reason, HWS_TLS_REASON_UNEXPECTED_PEER);
    hws_pair_deinit(&p);

    /* A client certificate cannot serve. */
    struct hws_tls_options options = {.now_ms = 1000, .now_s = now};
    assert_code(hws_tls_conn_init(&p.server, HWS_TLS_SERVER, olga, &options, &err), HWS_E_INVALID);

    /* A DNS name alone is an identity. */
    hws_pair_init(&p, host, dns, now, NULL);
    hws_pair_shake(&p);
    assert_int_equal(p.server.state, HWS_TLS_STATE_OPEN);
    assert_string_equal(p.server.peer.principal, "dns:host." HWS_PKI_DOMAIN);
    hws_pair_deinit(&p);

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
        struct hws_pair p;
        hws_pair_init(&p, host, olga, hws_pair_now_s(), NULL);
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
        if (p.server.reason == HWS_TLS_REASON_PROTOCOL) { /* and the peer is told */
            static const uint8_t fatal[] = {0x15, 3, 3, 0, 2, 2};
            size_t n = hws_buf_len(&p.server.out);
            assert_true(n > sizeof(fatal));
            assert_memory_equal(hws_buf_peek(&p.server.out) + n - sizeof(fatal) - 1, fatal,
                                sizeof(fatal));
        }
        hws_pair_deinit(&p);
    }
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

static void a_handshake_that_stalls_times_out(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_pair p;
    struct hws_err err;
    (void)state;
    hws_pair_init(&p, host, olga, hws_pair_now_s(), NULL);

    assert_int_equal(hws_tls_conn_deadline_ms(&p.server), 1000 + HWS_TLS_HANDSHAKE_TIMEOUT_MS);
    assert_ok(hws_tls_conn_expire(&p.server, 1000 + HWS_TLS_HANDSHAKE_TIMEOUT_MS - 1, &err), &err);
    assert_code(hws_tls_conn_expire(&p.server, 1000 + HWS_TLS_HANDSHAKE_TIMEOUT_MS, &err),
                HWS_E_TIMEOUT);

    assert_int_equal(p.server.reason, HWS_TLS_REASON_TIMEOUT);
    hws_pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

static void a_handshake_may_be_hurried_and_not_be_given_more(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_pair p;
    struct hws_err err;
    (void)state;
    hws_pair_init(&p, host, olga, hws_pair_now_s(), NULL);

    hws_tls_conn_hurry(&p.server, 1500);
    hws_tls_conn_hurry(&p.server, 1700);

    assert_int_equal(hws_tls_conn_deadline_ms(&p.server), 1500);
    assert_ok(hws_tls_conn_expire(&p.server, 1499, &err), &err);
    assert_code(hws_tls_conn_expire(&p.server, 1500, &err), HWS_E_TIMEOUT);
    hws_pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

static void a_flipped_byte_in_a_record_ends_the_connection(void **state)
{
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_bundle *olga = good("operator-olga");
    struct hws_pair p;
    struct hws_buf wire;
    struct hws_err err;
    uint8_t plain[64];
    size_t n = 0;
    (void)state;
    hws_pair_init(&p, host, olga, hws_pair_now_s(), NULL);
    hws_pair_shake(&p);
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
    hws_pair_deinit(&p);
    hws_tls_bundle_unref(host);
    hws_tls_bundle_unref(olga);
}

/*
 * A ClientHello of TLS 1.2 by hand: ECDHE suites that we have, and the one group X25519 (29), which
 * we do not have.
 */
static void a_client_without_a_group_of_ours_fails_for_the_cipher(void **state)
{
    static const uint8_t head[] = {0x16, 3, 1, 0, 77, 1, 0, 0, 73, 3, 3};
    static const uint8_t tail[] = {
        0,                                          /* no session id */
        0, 4,  0xc0, 0x2b, 0xc0, 0x2f, 1, 0,        /* suites; no compression */
        0, 24,                                      /* extensions */
        0, 10, 0,    4,    0,    2,    0, 29,       /* supported_groups: x25519 */
        0, 11, 0,    2,    1,    0,                 /* ec_point_formats: uncompressed */
        0, 13, 0,    6,    0,    4,    4, 3,  4, 1, /* signature_algorithms */
    };
    struct hws_tls_bundle *host = good("agent-host");
    struct hws_tls_options options = {.now_ms = 1000, .now_s = hws_pair_now_s()};
    struct hws_tls_conn server;
    uint8_t hello[sizeof(head) + 32 + sizeof(tail)];
    struct hws_err err;
    (void)state;
    memset(hello, 0x5a, sizeof(hello));
    memcpy(hello, head, sizeof(head));
    memcpy(hello + sizeof(head) + 32, tail, sizeof(tail));
    hello[4] = (uint8_t)(sizeof(hello) - 5);
    hello[8] = (uint8_t)(sizeof(hello) - 9);
    assert_ok(hws_tls_conn_init(&server, HWS_TLS_SERVER, host, &options, &err), &err);

    assert_code(hws_tls_conn_recv(&server, hello, sizeof(hello), &err), HWS_E_PROTO);

    assert_string_equal(hws_tls_reason_name(server.reason), "cipher");
    hws_tls_conn_deinit(&server);
    hws_tls_bundle_unref(host);
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
        cmocka_unit_test(a_handshake_may_be_hurried_and_not_be_given_more),
        cmocka_unit_test(a_flipped_byte_in_a_record_ends_the_connection),
        cmocka_unit_test(a_client_without_a_group_of_ours_fails_for_the_cipher),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
