/*
 * A server session from raw bytes. The input: one byte of how to cut it, one of how many
 * milliseconds pass between cuts, then the client's bytes, with or without the preface (a first
 * byte with the top bit set leaves it to the input).
 */
#include <stddef.h>
#include <stdint.h>

#include "grpc/health.h"
#include "grpc/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    if (hws_grpc_call_send(call, bytes, n, NULL) == HWS_E_BUSY) {
        hws_grpc_call_want_writable(call);
    }
}

static void on_half_close(struct hws_grpc_call *call)
{
    hws_grpc_call_finish_text(call, HWS_GRPC_OK, "done: 100%");
}

static void on_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    /* Every other handler works on until the connection is gone. */
    if (hws_grpc_call_method(call) % 2 == 0) {
        hws_grpc_call_finish_text(call, why->code, why->message);
    }
}

static const struct hws_grpc_call_ops ops = {
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_cancel = on_cancel,
};

static const struct hws_grpc_method methods[] = {
    {"/t.S/U", HWS_GRPC_UNARY, false},
    {"/t.S/S", HWS_GRPC_SERVER_STREAM, false},
    {"/t.S/C", HWS_GRPC_CLIENT_STREAM, false},
    {"/t.S/B", HWS_GRPC_BIDI, true},
};

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

static void feed(struct hws_grpc_conn *conn, const uint8_t *data, size_t size, size_t step,
                 uint64_t tick_ms)
{
    uint64_t now_ms = 1;

    for (size_t at = 0; at < size && !hws_grpc_conn_want_close(conn); at += step) {
        size_t n = size - at < step ? size - at : step;
        (void)!hws_grpc_conn_recv(conn, data + at, n, now_ms, NULL);
        drain_output(conn, now_ms);
        now_ms += tick_ms;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct hws_grpc_server server;
    struct hws_grpc_health health = {0};
    struct hws_grpc_conn conn;
    struct hws_grpc_conn_config cfg = {.server = &server};

    if (size < 2) {
        return 0;
    }
    hws_grpc_server_init(&server);
    hws_grpc_limits_server(&cfg.limits);
    cfg.limits.default_deadline_ms = 100;
    if (hws_grpc_health_init(&health, NULL) == HWS_OK &&
        hws_grpc_health_register(&health, &server, NULL) == HWS_OK &&
        hws_grpc_server_add(&server, methods, 4, &ops, NULL, NULL) == HWS_OK &&
        hws_grpc_conn_init(&conn, &cfg, 1, NULL) == HWS_OK) {
        if ((data[0] & 0x80) == 0) {
            feed(&conn, preface, sizeof(preface) - 1, sizeof(preface), 0);
        }
        feed(&conn, data + 2, size - 2, (size_t)(data[0] & 0x7f) * 8 + 1, data[1]);
        hws_grpc_conn_deinit(&conn);
    }
    hws_grpc_health_deinit(&health);
    hws_grpc_server_deinit(&server);
    return 0;
}
