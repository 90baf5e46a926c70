/* A client by libssl: it checks nothing, so that all the checking is ours. */
#include "stranger.h"

#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

#include "test.h"

static void exchange(struct hws_pair_stranger *s)
{
    BIO *in = SSL_get_rbio(s->ssl);
    BIO *out = SSL_get_wbio(s->ssl);
    struct hws_buf wire;
    uint8_t plain[256];
    uint8_t *bytes = NULL;
    size_t n = 0;
    struct hws_err err;

    if (!SSL_is_init_finished(s->ssl)) {
        (void)SSL_do_handshake(s->ssl);
    }
    long n_out = BIO_get_mem_data(out, &bytes);
    if (n_out > 0 && hws_tls_conn_recv(&s->conn, bytes, (size_t)n_out, &err) == HWS_OK) {
        (void)!hws_tls_conn_read(&s->conn, plain, sizeof(plain), &n, &err);
    }
    (void)BIO_reset(out);
    hws_buf_init(&wire, 0);
    hws_tls_conn_pull(&s->conn, &wire);
    if (hws_buf_len(&wire) > 0) {
        assert_true(BIO_write(in, hws_buf_peek(&wire), (int)hws_buf_len(&wire)) > 0);
    }
    hws_buf_deinit(&wire);
}

void hws_pair_stranger_meet(struct hws_pair_stranger *s, struct hws_tls_bundle *server, bool tls13,
                            const struct hws_mint *const *chain, size_t n)
{
    struct hws_tls_options options = {.now_ms = 1000, .now_s = (uint64_t)time(NULL)};
    struct hws_err err;

    s->ctx = SSL_CTX_new(TLS_client_method());
    int version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_security_level(s->ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(s->ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(s->ctx, version), 1);
    assert_int_equal(SSL_CTX_use_certificate(s->ctx, chain[0]->crt), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, chain[0]->key), 1);
    for (size_t i = 1; i < n; i++) {
        assert_int_equal(SSL_CTX_add1_chain_cert(s->ctx, chain[i]->crt), 1);
    }
    assert_int_equal(SSL_CTX_set_alpn_protos(s->ctx, (const unsigned char *)"\x02h2", 3), 0);
    s->ssl = SSL_new(s->ctx);
    SSL_set_bio(s->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(s->ssl);
    assert_ok(hws_tls_conn_init(&s->conn, HWS_TLS_SERVER, server, &options, &err), &err);
    for (int i = 0; i < 6; i++) {
        exchange(s);
    }
}

void hws_pair_stranger_part(struct hws_pair_stranger *s)
{
    hws_tls_conn_deinit(&s->conn);
    SSL_free(s->ssl);
    SSL_CTX_free(s->ctx);
}
