/* A client session with one open call of each kind, fed a server's bytes. The first byte says how
 * to cut them. */
#include <stddef.h>
#include <stdint.h>

#include "grpc/client.h"
#include "grpc/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_CALLS 4u

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    unsigned *n_messages = hws_grpc_call_data(call);

    (void)bytes;
    *n_messages += n > 0 ? 2 : 1;
}

static const struct hws_grpc_call_ops ops = {.on_message = on_message};

/* counts[i] is on loan to call i as its data. NOLINTNEXTLINE(readability-non-const-parameter) */
static void start_calls(struct hws_grpc_conn *conn, unsigned counts[N_CALLS])
{
    for (unsigned i = 0; i < N_CALLS; i++) {
        const struct hws_grpc_start start = {
            .path = "/t.S/M",
            .kind = (enum hws_grpc_kind)i,
            .timeout_ms = 1000,
            .ops = &ops,
            .data = &counts[i],
        };
        struct hws_grpc_call *call = NULL;
        if (hws_grpc_client_start(conn, &start, 1, &call, NULL) == HWS_OK &&
            hws_grpc_call_send(call, "hi", 2, NULL) == HWS_OK && i == 3) {
            hws_grpc_call_set_credit(call, 1);
        }
    }
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_grpc_conn conn;
    struct hws_grpc_conn_config cfg = {0};
    unsigned counts[N_CALLS] = {0};

    hws_grpc_limits_client(&cfg.limits);
    if (size < 1 || hws_grpc_conn_init(&conn, &cfg, 1, NULL) != HWS_OK) {
        return 0;
    }
    start_calls(&conn, counts);
    drain_output(&conn, 1);
    size_t step = (size_t)data[0] * 4 + 1;
    uint64_t now_ms = 1;
    for (size_t at = 1; at < size && !hws_grpc_conn_want_close(&conn); at += step, now_ms++) {
        size_t n = size - at < step ? size - at : step;
        (void)!hws_grpc_conn_recv(&conn, data + at, n, now_ms, NULL);
        drain_output(&conn, now_ms);
    }
    hws_grpc_conn_deinit(&conn);
    return 0;
}
