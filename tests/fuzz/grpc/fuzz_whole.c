/*
 * The whole server from the bytes after TLS: session, health, reflection v1 and v1alpha, and a
 * service of all four kinds that compresses, pauses and holds on. Limits are small, so that inputs
 * of a few hundred bytes reach them.
 *
 * The input: one byte of how to cut it, one of how many milliseconds pass between cuts, then the
 * client's bytes (a first byte with the top bit set: with its own preface). When the connection has
 * gone, its account must be empty.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "grpc/health.h"
#include "grpc/reflect.h"
#include "grpc/session.h"

extern const unsigned char hws_proto_external_descriptors[];
extern const unsigned long hws_proto_external_descriptors_bytes;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hws_grpc_server s_server;
static struct hws_grpc_health s_health;
static struct hws_grpc_reflect s_reflect;

static enum hws_grpc_code on_call(struct hws_grpc_call *call, void *data)
{
    size_t method = hws_grpc_call_method(call);

    (void)data;
    if (method == 1 || method == 3) {
        (void)!hws_grpc_call_compress(call, method == 1 ? HWS_GRPC_GZIP : HWS_GRPC_ZSTD, NULL);
    }
    if (method == 2) {
        hws_grpc_call_set_credit(call, 1);
    }
    return method == 4 ? HWS_GRPC_PERMISSION_DENIED : HWS_GRPC_OK;
}

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    for (unsigned i = 0; i < 3; i++) {
        if (hws_grpc_call_send(call, bytes, n, NULL) == HWS_E_BUSY) {
            return; /* on_writable comes */
        }
    }
    hws_grpc_call_grant(call, n % 2 == 0 ? 1 : 0);
}

static void on_writable(struct hws_grpc_call *call)
{
    (void)!hws_grpc_call_send(call, "more", 4, NULL);
}

static void on_half_close(struct hws_grpc_call *call)
{
    hws_grpc_call_finish(call, HWS_GRPC_OK, "100%\n", "details", 7, hws_grpc_call_peer_meta(call));
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    /* Every other handler works on until the connection is gone. */
    if (hws_grpc_call_method(call) % 2 == 0) {
        hws_grpc_call_finish_text(call, why->code, why->message);
    }
}

static const struct hws_grpc_call_ops s_ops = {
    .on_call = on_call,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_half_close = on_half_close,
    .on_cancel = on_cancel,
};

static const struct hws_grpc_method s_methods[] = {
    {"/t.S/U", HWS_GRPC_UNARY, false},         {"/t.S/S", HWS_GRPC_SERVER_STREAM, false},
    {"/t.S/C", HWS_GRPC_CLIENT_STREAM, false}, {"/t.S/B", HWS_GRPC_BIDI, true},
    {"/t.S/N", HWS_GRPC_UNARY, false},
};

static void build_server(void)
{
    static bool built;
    bool ok = true;

    if (built) {
        return;
    }
    built = true;
    hws_grpc_server_init(&s_server);
    hws_grpc_reflect_init(&s_reflect);
    ok = ok && hws_grpc_health_init(&s_health, NULL) == HWS_OK;
    ok = ok && hws_grpc_health_register(&s_health, &s_server, NULL) == HWS_OK;
    ok = ok && hws_grpc_reflect_add(&s_reflect, hws_proto_external_descriptors,
                                    hws_proto_external_descriptors_bytes, NULL) == HWS_OK;
    ok = ok && hws_grpc_reflect_register(&s_reflect, &s_server, NULL) == HWS_OK;
    ok = ok && hws_grpc_server_add(&s_server, s_methods, 5, &s_ops, NULL, NULL) == HWS_OK;
    hws_assert(ok);
}

static void fill_limits(struct hws_grpc_limits *l)
{
    hws_grpc_limits_server(l);
    l->max_calls = 6;
    l->max_header_fields = 16;
    l->max_header_bytes = 1024;
    l->bomb_header_fields = 64;
    l->bomb_header_bytes = 8192;
    l->max_recv_message_bytes = 4096;
    l->max_recv_conn_bytes = 6000;
    l->max_unsent_call_bytes = 2048;
    l->max_unsent_conn_bytes = 4096;
    l->call_free_bytes = 64;
    l->max_outbound_items = 24;
    l->max_outbound_acks = 8;
    l->control_burst = 32;
    l->control_per_s = 16;
    l->reset_burst = 6;
    l->provoked_max = 4;
    l->progress_ms = 200;
    l->header_block_ms = 150;
    l->preface_ms = 300;
    l->keepalive_ms = 400;
    l->keepalive_timeout_ms = 100;
    l->default_deadline_ms = 500;
    l->max_idle_ms = 3000;
    l->max_age_ms = 5000;
    l->max_age_grace_ms = 100;
}

static void drain_output(struct hws_grpc_conn *conn, uint64_t now_ms)
{
    const uint8_t *bytes = NULL;
    size_t n = 0;

    (void)hws_grpc_conn_turn(conn, now_ms);
    for (hws_grpc_conn_pull(conn, now_ms, &bytes, &n); n > 0;
         hws_grpc_conn_pull(conn, now_ms, &bytes, &n)) {
        hws_grpc_conn_sent(conn, n, now_ms);
    }
}

static void feed(struct hws_grpc_conn *conn, const uint8_t *data, size_t size)
{
    static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t step = (size_t)(data[0] & 0x7f) * 8 + 1;
    uint64_t now_ms = 1;

    if ((data[0] & 0x80) == 0) {
        (void)!hws_grpc_conn_recv(conn, preface, sizeof(preface) - 1, now_ms, NULL);
    }
    for (size_t at = 2; at < size && !hws_grpc_conn_want_close(conn); at += step) {
        size_t n = size - at < step ? size - at : step;
        (void)!hws_grpc_conn_recv(conn, data + at, n, now_ms, NULL);
        drain_output(conn, now_ms);
        now_ms += data[1];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_grpc_account account = {.max_calls = 5, .max_held_bytes = 3000};
    struct hws_grpc_conn_config cfg = {.server = &s_server, .accounts = {&account}};
    struct hws_grpc_conn conn;

    if (size < 2) {
        return 0;
    }
    build_server();
    fill_limits(&cfg.limits);
    if (hws_grpc_conn_init(&conn, &cfg, 1, NULL) != HWS_OK) {
        return 0;
    }
    feed(&conn, data, size);
    hws_grpc_conn_deinit(&conn);
    hws_assert(account.n_calls == 0 && account.held_bytes == 0);
    return 0;
}
