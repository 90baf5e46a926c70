/*
 * Streams: one Pour on each connection, first a short one that fills every buffer, then the one
 * that is measured. Messages are parsed as an application would; the bytes must add up.
 */
#include <stdio.h>

#include "base/mem.h"
#include "bench.pb-c.h"
#include "grpc/client.h"
#include "grpc/protobuf.h"
#include "load.h"

#define WARM_BYTES (UINT64_C(16) << 20)

static struct {
    struct load *load;
    struct load_pour want;
    bool measured; /* the second pour runs */
    uint32_t n_open;
    uint64_t got_bytes;
    uint64_t began_ns;
    uint64_t cpu_ns;
} s_run;

static void start_all(uint64_t bytes_each);

static void on_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    Hawser__Bench__Blob *blob = hawser__bench__blob__unpack(hws_grpc_pb_allocator(), n, bytes);

    (void)call;
    if (blob == NULL) {
        load_die("pour", "a message does not parse");
    }
    s_run.got_bytes += blob->data.len;
    hawser__bench__blob__free_unpacked(blob, hws_grpc_pb_allocator());
}

static void report(void)
{
    uint64_t took_ns = load_now_ns() - s_run.began_ns;
    uint64_t cpu_ns = load_server_cpu_ns(s_run.load) - s_run.cpu_ns;
    double gb = (double)s_run.got_bytes / 1e9;

    (void)printf("mb_s %.1f\ncpu_s_per_gb %.4f\n", gb * 1000 / ((double)took_ns / LOAD_NS_PER_S),
                 (double)cpu_ns / LOAD_NS_PER_S / gb);
}

static void on_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    uint64_t each = s_run.measured ? s_run.want.total_bytes / s_run.want.conns : WARM_BYTES;

    (void)call;
    if (outcome->code != HWS_GRPC_OK) {
        load_die("pour", outcome->message);
    }
    if (--s_run.n_open > 0) {
        return;
    }
    if (s_run.got_bytes != each * s_run.want.conns) {
        load_die("pour", "bytes are missing");
    }
    if (s_run.measured) {
        report();
        load_close(s_run.load);
        return;
    }
    s_run.measured = true;
    start_all(s_run.want.total_bytes / s_run.want.conns);
}

static const struct hws_grpc_call_ops call_ops = {.on_message = on_message, .on_close = on_close};

static void start_one(struct load_conn *c, const uint8_t *packed, size_t n)
{
    const struct hws_grpc_start start = {.path = "/hawser.bench.Bench/Pour",
                                         .kind = HWS_GRPC_SERVER_STREAM,
                                         .ops = &call_ops,
                                         .timeout_ms = 600000};
    struct hws_grpc_call *call = NULL;
    struct hws_err err;
    enum hws_code code = hws_grpc_client_start(hws_net_conn_grpc(c->net), &start,
                                               hws_net_now_ms(&c->load->net), &call, &err);

    if (code == HWS_OK) {
        code = hws_grpc_call_send(call, packed, n, &err);
    }
    if (code != HWS_OK) {
        load_die("pour", err.msg);
    }
    s_run.n_open++;
}

static void start_all(uint64_t bytes_each)
{
    Hawser__Bench__PourRequest request = HAWSER__BENCH__POUR_REQUEST__INIT;
    uint8_t packed[32];

    request.total_bytes = bytes_each;
    request.chunk_bytes = s_run.want.chunk_bytes;
    size_t n = hawser__bench__pour_request__pack(&request, packed);
    s_run.got_bytes = 0;
    s_run.began_ns = load_now_ns();
    s_run.cpu_ns = load_server_cpu_ns(s_run.load);
    for (uint32_t i = 0; i < s_run.want.conns; i++) {
        start_one(&s_run.load->conns[i], packed, n);
    }
}

static void ready(struct load_conn *c)
{
    if (c->load->n_ready == c->load->n_conns) {
        start_all(WARM_BYTES);
    }
}

void load_pour(struct load *load, const struct load_pour *want)
{
    s_run.load = load;
    s_run.want = *want;
    load->ready = ready;
    load_run(load, want->conns);
}
