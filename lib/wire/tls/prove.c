/*
 * The proof of a new bundle: both ends of a connection made of it, joined in memory, through a
 * whole handshake. What loads may still not work: a key that signs what the certificate does not
 * verify, a chain that our own rules refuse, a usage that is missing.
 */
#include <string.h>

#include "tls/engine_priv.h"

#define MAX_FLIGHTS 8

static enum hws_code pass(struct hws_tls_conn *from, struct hws_tls_conn *to, struct hws_err *err)
{
    struct hws_buf wire;
    uint8_t none[1];
    size_t n = 0;
    enum hws_code rc = HWS_OK;

    hws_buf_init(&wire, 0);
    hws_tls_conn_pull(from, &wire);
    if (hws_buf_len(&wire) > 0) {
        rc = hws_tls_conn_recv(to, hws_buf_peek(&wire), hws_buf_len(&wire), err);
        rc = rc == HWS_OK ? hws_tls_conn_read(to, none, sizeof(none), &n, err) : rc;
    }
    hws_buf_deinit(&wire);
    return rc;
}

static enum hws_code join(struct hws_tls_conn *server, struct hws_tls_conn *client,
                          struct hws_err *err)
{
    enum hws_code rc = HWS_OK;

    for (int i = 0; i < MAX_FLIGHTS && rc == HWS_OK; i++) {
        rc = i % 2 == 0 ? pass(client, server, err) : pass(server, client, err);
    }
    if (rc == HWS_OK &&
        (server->state != HWS_TLS_STATE_OPEN || client->state != HWS_TLS_STATE_OPEN)) {
        rc = hws_err_set(err, HWS_E_INVALID, "the handshake does not end");
    }
    return rc;
}

enum hws_code hws_tls_bundle_prove(struct hws_tls_bundle *bundle, uint64_t now_s,
                                   struct hws_err *err)
{
    struct hws_tls_options options = {.now_s = now_s};
    struct hws_tls_conn server;
    struct hws_tls_conn client;

    if (bundle->eku != (HWS_TLS_EKU_SERVER | HWS_TLS_EKU_CLIENT)) {
        return HWS_OK; /* it plays one side only: nothing to join */
    }
    memset(&client, 0, sizeof(client));
    enum hws_code rc = hws_tls_conn_init(&server, HWS_TLS_SERVER, bundle, &options, err);
    if (rc != HWS_OK) {
        return rc;
    }
    rc = hws_tls_conn_init(&client, HWS_TLS_CLIENT, bundle, &options, err);
    rc = rc == HWS_OK ? join(&server, &client, err) : rc;
    hws_tls_conn_deinit(&client);
    hws_tls_conn_deinit(&server);
    return rc == HWS_OK ? HWS_OK : hws_err_wrap(err, "a handshake with itself");
}
