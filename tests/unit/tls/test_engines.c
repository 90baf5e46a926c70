/*
 * The record engines against each other and against OpenSSL's libssl as a stock peer: versions,
 * suites and roles, bulk both ways in pieces of any size, key changes, close_notify.
 */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "pair.h"
#include "test.h"
#include "tls/aead.h"

static struct hws_tls_rng *s_rng;
static struct hws_mint s_ca;
static struct hws_mint s_leaf;              /* for every end: server and client */
static struct hws_tls_bundle *s_bundles[3]; /* by enum hws_tls_records_choice */

static int setup(void **state)
{
    const struct hws_mint *one[] = {&s_leaf};
    const struct hws_mint *cas[] = {&s_ca};
    struct hws_err err;
    (void)state;
    assert_ok(hws_tls_rng_open(&s_rng, &err), &err);
    hws_mint_make(&s_ca, NULL, &(struct hws_mint_spec){.cn = "CA", .ext = HWS_MINT_CA_EXT});
    hws_mint_make(&s_leaf, &s_ca,
                  &(struct hws_mint_spec){.ext = HWS_MINT_LEAF_EXT HWS_MINT_BOTH
                                          "subjectAltName=URI:spiffe://unit.test/agent/host\n"});
    for (int i = 0; i < 3; i++) {
        hws_pair_records = (enum hws_tls_records_choice)i;
        assert_ok(hws_pair_bundle(s_rng, one, 1, cas, 1, &s_bundles[i], &err), &err);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        hws_tls_bundle_unref(s_bundles[i]);
    }
    hws_mint_free(&s_leaf);
    hws_mint_free(&s_ca);
    hws_tls_rng_free(s_rng);
    return 0;
}

static const char *engine_name(int choice)
{
    if (choice == HWS_TLS_RECORDS_MBEDTLS) {
        return "mbedtls";
    }
    return choice == HWS_TLS_RECORDS_LIBCRYPTO ? "libcrypto" : hws_tls_aead_name(HWS_TLS_AEAD_BEST);
}

/* Cuts n bytes into spans of random lengths, none among them; returns how many. */
static size_t cut(const uint8_t *bytes, size_t n, struct hws_span *spans, size_t cap,
                  uint64_t *seed)
{
    size_t n_spans = 0;

    while (n > 0 && n_spans + 1 < cap) {
        size_t part = hws_test_rand(seed) % 4 == 0 ? 0 : (size_t)(hws_test_rand(seed) % n + 1);
        spans[n_spans++] = (struct hws_span){bytes, part};
        bytes += part;
        n -= part;
    }
    spans[n_spans++] = (struct hws_span){bytes, n};
    return n_spans;
}

/* A random length of random bytes, as spans, from one end to the other. */
static void send_some(struct hws_tls_conn *from, struct hws_tls_conn *to, uint64_t *seed)
{
    size_t limit = hws_test_rand(seed) % 3 == 0 ? 60000 : 40;
    size_t n = (size_t)(hws_test_rand(seed) % limit);
    uint8_t *data = assert_got(hws_mem_alloc(n + 1));
    struct hws_buf got;
    struct hws_err err;

    hws_buf_init(&got, 0);
    hws_test_fill(data, n, seed);
    for (size_t at = 0; at < n;) {
        struct hws_span spans[12];
        size_t n_spans = cut(data + at, n - at, spans, 12, seed);
        size_t taken = 0;
        size_t left = 0;
        assert_ok(hws_tls_conn_gather(from, spans, n_spans, &taken, &err), &err);
        at += taken;
        for (size_t i = 0; i < n_spans; i++) {
            left += spans[i].bytes >= data + at ? spans[i].n : 0;
        }
        assert_int_equal(left, n - at); /* what was taken is off their fronts */
    }
    assert_code(hws_pair_move(from, to, &got), HWS_OK);
    assert_int_equal(hws_buf_len(&got), n);
    assert_memory_equal(hws_buf_peek(&got), data, n);
    hws_buf_deinit(&got);
    hws_mem_free(data);
}

static void join_engines(int server, int client, uint64_t *seed)
{
    struct hws_pair p;
    struct hws_err err;

    hws_pair_init(&p, s_bundles[server], s_bundles[client], hws_pair_now_s(), NULL);
    hws_pair_shake(&p);
    assert_string_equal(hws_tls_conn_records(&p.server), engine_name(server));
    assert_string_equal(hws_tls_conn_records(&p.client), engine_name(client));
    for (int turn = 0; turn < 30; turn++) {
        send_some(&p.client, &p.server, seed);
        send_some(&p.server, &p.client, seed);
    }
    hws_tls_conn_close(&p.client);
    assert_code(hws_pair_move(&p.client, &p.server, NULL), HWS_OK);
    assert_int_equal(p.server.state, HWS_TLS_STATE_PEER_DONE);
    hws_tls_conn_close(&p.server);
    assert_code(hws_pair_move(&p.server, &p.client, NULL), HWS_OK);
    assert_ok(hws_tls_conn_eof(&p.server, &err), &err);
    hws_pair_deinit(&p);
}

static void all_engines_read_each_other(void **state)
{
    uint64_t seed = hws_test_seed();
    (void)state;
    for (int pair = 0; pair < 9; pair++) {
        join_engines(pair / 3, pair % 3, &seed);
    }
}

static void nothing_of_mbedtls_is_kept_beside_our_records(void **state)
{
    struct hws_pair p;
    (void)state;
    hws_pair_init(&p, s_bundles[HWS_TLS_RECORDS_AUTO], s_bundles[HWS_TLS_RECORDS_MBEDTLS],
                  hws_pair_now_s(), NULL);
    hws_pair_shake(&p);
    assert_null(p.server.engine);
    assert_non_null(p.client.engine);
    assert_true(strlen(hws_tls_conn_suite(&p.server)) > 0);
    assert_string_equal(hws_tls_conn_suite(&p.server), hws_tls_conn_suite(&p.client));
    assert_string_equal(hws_tls_conn_version(&p.server), hws_tls_conn_version(&p.client));
    hws_pair_deinit(&p);
}

/* ---- libssl at the other end --------------------------------------------------------------------
 */

struct stock {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in;
    BIO *out;
};

static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                     const unsigned char *in, unsigned int n, void *data)
{
    (void)ssl;
    (void)data;
    if (n < 3 || memcmp(in, "\x02h2", 3) != 0) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = in + 1;
    *out_n = 2;
    return SSL_TLSEXT_ERR_OK;
}

static void stock_init(struct stock *k, bool server, int version, const char *suite)
{
    k->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate(k->ctx, s_leaf.crt), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(k->ctx, s_leaf.key), 1);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(k->ctx), s_ca.crt), 1);
    SSL_CTX_set_verify(k->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_int_equal(SSL_CTX_set_purpose(k->ctx, X509_PURPOSE_ANY), 1);
    assert_int_equal(SSL_CTX_set_min_proto_version(k->ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(k->ctx, version), 1);
    if (version == TLS1_3_VERSION) {
        assert_int_equal(SSL_CTX_set_ciphersuites(k->ctx, suite), 1);
    } else {
        assert_int_equal(SSL_CTX_set_cipher_list(k->ctx, suite), 1);
    }
    assert_int_equal(SSL_CTX_set_alpn_protos(k->ctx, (const unsigned char *)"\x02h2", 3), 0);
    SSL_CTX_set_alpn_select_cb(k->ctx, select_h2, NULL);
    k->ssl = SSL_new(k->ctx);
    k->in = BIO_new(BIO_s_mem());
    k->out = BIO_new(BIO_s_mem());
    SSL_set_bio(k->ssl, k->in, k->out);
    if (server) {
        SSL_set_accept_state(k->ssl);
    } else {
        SSL_set_connect_state(k->ssl);
    }
}

static void stock_deinit(struct stock *k)
{
    SSL_free(k->ssl);
    SSL_CTX_free(k->ctx);
}

/* Everything that waits, both ways; what we decrypt is appended to got. */
static enum hws_code exchange(struct stock *k, struct hws_tls_conn *conn, struct hws_buf *got)
{
    struct hws_buf wire;
    uint8_t plain[20000];
    uint8_t *bytes = NULL;
    struct hws_err err;
    size_t n = 0;

    hws_buf_init(&wire, 0);
    hws_tls_conn_pull(conn, &wire);
    if (hws_buf_len(&wire) > 0) {
        assert_int_equal(BIO_write(k->in, hws_buf_peek(&wire), (int)hws_buf_len(&wire)),
                         (int)hws_buf_len(&wire));
    }
    hws_buf_deinit(&wire);
    if (!SSL_is_init_finished(k->ssl)) {
        (void)SSL_do_handshake(k->ssl);
    }
    long n_out = BIO_get_mem_data(k->out, &bytes);
    enum hws_code rc = HWS_OK;
    if (n_out > 0) {
        rc = hws_tls_conn_recv(conn, bytes, (size_t)n_out, &err);
        do {
            rc = rc == HWS_OK ? hws_tls_conn_read(conn, plain, sizeof(plain), &n, &err) : rc;
            if (rc == HWS_OK && n > 0) {
                assert_code(hws_buf_put(got, plain, n), HWS_OK);
            }
        } while (rc == HWS_OK && n > 0);
        (void)BIO_reset(k->out);
    }
    return rc;
}

static void talk(struct stock *k, struct hws_tls_conn *conn, uint64_t *seed)
{
    size_t n = (size_t)(1 + hws_test_rand(seed) % 40000);
    uint8_t *data = assert_got(hws_mem_alloc(n));
    uint8_t *back = assert_got(hws_mem_alloc(n));
    struct hws_buf got;
    struct hws_err err;
    size_t done = 0;

    hws_buf_init(&got, 0);
    hws_test_fill(data, n, seed);
    assert_int_equal(SSL_write(k->ssl, data, (int)n), (int)n);
    assert_code(exchange(k, conn, &got), HWS_OK);
    assert_int_equal(hws_buf_len(&got), n);
    assert_memory_equal(hws_buf_peek(&got), data, n);
    for (size_t at = 0; at < n;) {
        size_t taken = 0;
        assert_ok(hws_tls_conn_write(conn, data + at, n - at, &taken, &err), &err);
        at += taken;
    }
    assert_code(exchange(k, conn, &got), HWS_OK);
    while (done < n) {
        int k_read = SSL_read(k->ssl, back + done, (int)(n - done));
        assert_true(k_read > 0);
        done += (size_t)k_read;
    }
    assert_memory_equal(back, data, n);
    hws_buf_deinit(&got);
    hws_mem_free(data);
    hws_mem_free(back);
}

/* One stock peer through a whole connection; false if this build does not speak the version. */
static bool meet(int choice, bool we_serve, int version, const char *suite, bool gcm)
{
    struct hws_tls_options options = {.now_ms = 1000, .now_s = hws_pair_now_s()};
    struct hws_tls_conn conn;
    struct stock k;
    struct hws_buf got;
    struct hws_err err;
    uint64_t seed = hws_test_seed();

    stock_init(&k, !we_serve, version, suite);
    hws_buf_init(&got, 0);
    assert_ok(hws_tls_conn_init(&conn, we_serve ? HWS_TLS_SERVER : HWS_TLS_CLIENT,
                                s_bundles[choice], &options, &err),
              &err);
    for (int i = 0; i < 6; i++) {
        (void)exchange(&k, &conn, &got);
    }
    bool spoken = conn.state == HWS_TLS_STATE_OPEN && SSL_is_init_finished(k.ssl);
    if (spoken) {
        assert_string_equal(hws_tls_conn_records(&conn), gcm ? engine_name(choice) : "mbedtls");
        talk(&k, &conn, &seed);
        if (version == TLS1_3_VERSION && choice != HWS_TLS_RECORDS_MBEDTLS && gcm) {
            /* mbedTLS's own records do not know KeyUpdate. */
            for (int ask = 0; ask < 6; ask++) {
                assert_int_equal(SSL_key_update(k.ssl, ask % 2 == 0 ? SSL_KEY_UPDATE_NOT_REQUESTED
                                                                    : SSL_KEY_UPDATE_REQUESTED),
                                 1);
                talk(&k, &conn, &seed);
            }
        }
        (void)SSL_shutdown(k.ssl);
        assert_code(exchange(&k, &conn, &got), HWS_OK);
        assert_int_equal(conn.state, HWS_TLS_STATE_PEER_DONE);
        hws_tls_conn_close(&conn);
        (void)exchange(&k, &conn, &got);
        assert_int_equal(SSL_shutdown(k.ssl), 1); /* it has seen our close_notify */
    }
    hws_buf_deinit(&got);
    hws_tls_conn_deinit(&conn);
    stock_deinit(&k);
    return spoken;
}

static void a_stock_peer_is_understood_in_every_version_suite_and_role(void **state)
{
    static const struct {
        int version;
        const char *suite;
        bool gcm;
    } rows[] = {
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", true},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", true},
        {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", false},
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", true},
        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", true},
        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", false},
    };
    unsigned n_spoken = 0;
    (void)state;
    for (int i = 0; i < 36; i++) {
        size_t row = (size_t)i / 6;
        bool spoken = meet(i % 3, i % 2 == 1, rows[row].version, rows[row].suite, rows[row].gcm);
        n_spoken += spoken ? 1 : 0;
        if (!spoken && rows[row].version == TLS1_2_VERSION) {
            fail_msg("%s, number %d", rows[row].suite, i);
        }
    }
    /* TLS 1.3 is all or nothing: it depends on the mbedTLS that was found. */
    assert_true(n_spoken == 18 || n_spoken == 36);
    print_message("%u of 36 combinations spoken\n", n_spoken);
}

/* RFC 6066 4: the peer has no room for more in a record. (A shorter limit would cut the peer's own
 * certificate into fragments, which mbedTLS 2.28 does not join.) */
static void a_peer_that_asks_for_short_records_gets_them(void **state)
{
    struct hws_tls_options options = {.now_ms = 1000, .now_s = hws_pair_now_s()};
    struct hws_tls_conn conn;
    struct stock k;
    struct hws_buf got;
    struct hws_err err;
    uint64_t seed = hws_test_seed();
    (void)state;

    stock_init(&k, false, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_int_equal(SSL_set_tlsext_max_fragment_length(k.ssl, TLSEXT_max_fragment_length_4096), 1);
    hws_buf_init(&got, 0);
    assert_ok(
        hws_tls_conn_init(&conn, HWS_TLS_SERVER, s_bundles[HWS_TLS_RECORDS_AUTO], &options, &err),
        &err);
    for (int i = 0; i < 6; i++) {
        (void)exchange(&k, &conn, &got);
    }

    assert_int_equal(conn.state, HWS_TLS_STATE_OPEN);
    assert_string_equal(hws_tls_conn_records(&conn), "mbedtls");
    talk(&k, &conn, &seed);

    hws_buf_deinit(&got);
    hws_tls_conn_deinit(&conn);
    stock_deinit(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_asks_for_short_records_gets_them),
        cmocka_unit_test(all_engines_read_each_other),
        cmocka_unit_test(nothing_of_mbedtls_is_kept_beside_our_records),
        cmocka_unit_test(a_stock_peer_is_understood_in_every_version_suite_and_role),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
