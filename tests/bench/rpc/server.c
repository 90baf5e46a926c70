/*
 * The measured server: the engine as the agent runs it, with the agent's limits, a deadline on
 * every call and every counter on, serving hawser.bench.Bench over mutual TLS in one thread.
 *
 *     bench_rpc_server CERT KEY CA [ADDRESS [MAX_CONNS]]
 *
 * Prints "config NAME VALUE" lines, then "listening ADDRESS"; serves until SIGTERM. MAX_CONNS
 * raises the caps on connections (in all and per identity), nothing else.
 */
#include "grpc/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bench.pb-c.h"
#include "grpc/protobuf.h"
#include "grpc/service.h"
#include "limits.h"
#include "net/listen.h"
#include "pem.h"
#include "tls/aead.h"

#define DEADLINE_MS     60000u /* of a call that names none; the agent gives its methods one each */
#define MAX_CHUNK_BYTES (1u << 20)

extern const unsigned char hws_bench_proto_descriptors[];
extern const unsigned long hws_bench_proto_descriptors_bytes;

struct pour { /* a stream being poured */
    uint64_t left_bytes;
    size_t chunk_bytes;
};

struct program {
    uv_loop_t loop;
    uv_signal_t term;
    struct hws_net net;
    struct hws_tls_bundle *bundle;
    struct hws_grpc_server server;
    struct hws_grpc_service service;
    struct hws_net_listener listener;
    uint8_t *fill; /* what is poured */
};

/* ---- the service ---- */

static void echo(struct hws_grpc_call *call, const ProtobufCMessage *message)
{
    hws_grpc_service_reply(call, message);
}

/* Sends until the call has enough unsent; on_writable goes on. */
static void pour_on(struct hws_grpc_call *call)
{
    const struct program *p = hws_net_conn_owner(hws_net_conn_of(hws_grpc_call_conn(call)));
    struct pour *pour = hws_grpc_call_data(call);
    struct hws_err err;

    while (pour->left_bytes > 0) {
        Hawser__Bench__Blob blob = HAWSER__BENCH__BLOB__INIT;
        size_t n = pour->left_bytes < pour->chunk_bytes ? pour->left_bytes : pour->chunk_bytes;
        blob.data = (ProtobufCBinaryData){.len = n, .data = p->fill};
        enum hws_code code = hws_grpc_pb_send(call, &blob.base, &err);
        if (code == HWS_E_BUSY) {
            return;
        }
        if (code != HWS_OK) {
            hws_grpc_call_finish_text(call, HWS_GRPC_INTERNAL, err.msg);
            return;
        }
        pour->left_bytes -= n;
    }
    hws_grpc_call_finish_text(call, HWS_GRPC_OK, "");
}

static void pour(struct hws_grpc_call *call, const ProtobufCMessage *message)
{
    const Hawser__Bench__PourRequest *request = (const Hawser__Bench__PourRequest *)message;
    struct pour *pour = hws_mem_zalloc(1, sizeof(*pour));

    if (pour == NULL || request->chunk_bytes == 0 || request->chunk_bytes > MAX_CHUNK_BYTES) {
        hws_mem_free(pour);
        hws_grpc_call_finish_text(call, HWS_GRPC_INVALID_ARGUMENT, "chunk_bytes: 1 to 1048576");
        return;
    }
    *pour = (struct pour){request->total_bytes, request->chunk_bytes};
    hws_grpc_call_set_data(call, pour);
    pour_on(call);
}

static void end_pour(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    (void)outcome;
    hws_mem_free(hws_grpc_call_data(call)); /* NULL if there was no request */
}

static const struct hws_grpc_call_ops pour_ops = {.on_writable = pour_on, .on_close = end_pour};

static const struct hws_grpc_service_method methods[] = {{"Echo", echo, NULL, false},
                                                         {"Pour", pour, &pour_ops, false}};

/* ---- connections ---- */

static void fill_limits(struct hws_grpc_limits *limits, uint64_t not_after_s)
{
    hws_grpc_limits_server(limits);
    hws_limits_fill(limits, not_after_s, hws_net_now_s());
    limits->default_deadline_ms = DEADLINE_MS;
}

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct program *p = hws_net_conn_owner(conn);

    (void)err;
    cfg->server = &p->server;
    fill_limits(&cfg->limits, hws_net_conn_peer(conn)->not_after_s);
    return HWS_OK;
}

static void on_refused(void *owner, const char *peer, const char *reason, const char *text)
{
    (void)owner;
    (void)peer;
    (void)reason;
    (void)text; /* counted; a storm would fill a log */
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_refused = on_refused};

/* ---- start and end ---- */

/* The listener's limits: the defaults, and with max_conns what so many connections of one client
 * from one address need. */
static void fill_listener_limits(struct hws_net_limits *out, uint32_t max_conns)
{
    hws_net_limits_default(out);
    if (max_conns > 0) {
        out->max_conns = max_conns;
        out->max_conns_per_identity = max_conns;
        out->max_conns_per_address = max_conns;
        out->max_handshakes_per_address = out->max_handshakes;
        out->handshake_burst = max_conns > out->handshake_burst ? max_conns : out->handshake_burst;
        out->handshake_burst_per_address = out->handshake_burst;
        out->handshakes_per_s_per_address = out->handshakes_per_s;
        out->total_calls = max_conns > UINT32_MAX / 32 ? UINT32_MAX : max_conns * 32;
        out->calls_per_identity = out->total_calls;
        out->calls_per_address = out->total_calls;
    }
}

static void print_config(const struct hws_net_limits *listener)
{
    struct hws_grpc_limits limits;

    (void)printf("config aes_gcm %s\n", hws_tls_aead_name(HWS_TLS_AEAD_BEST));
    fill_limits(&limits, UINT64_MAX);
#define HWS_GRPC_LIMIT(field, server, client)                                                      \
    (void)printf("config %s %u\n", #field, (unsigned)limits.field);
#include "grpc/limits.def"
#undef HWS_GRPC_LIMIT
#define HWS_NET_LIMIT(field, value)                                                                \
    (void)printf("config %s %u\n", #field, (unsigned)listener->field);
#include "net/limits.def"
#undef HWS_NET_LIMIT
}

static void on_listener_closed(struct hws_net_listener *listener)
{
    struct program *p = listener->data;

    uv_close((uv_handle_t *)&p->term, NULL);
}

static void on_term(uv_signal_t *signal, int number)
{
    struct program *p = signal->data;

    (void)number;
    hws_net_listener_close(&p->listener, on_listener_closed);
}

static enum hws_code start(struct program *p, const char *address,
                           const struct hws_net_limits *limits, struct hws_err *err)
{
    hws_grpc_server_init(&p->server);
    enum hws_code code = hws_net_init(&p->net, &p->loop, err);
    if (code == HWS_OK) {
        const struct hws_grpc_service_def def = {.descriptor = &hawser__bench__bench__descriptor,
                                                 .set = hws_bench_proto_descriptors,
                                                 .n_set = hws_bench_proto_descriptors_bytes,
                                                 .methods = methods,
                                                 .n_methods = sizeof(methods) / sizeof(methods[0])};
        code = hws_grpc_service_add(&p->service, &p->server, &def, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    const struct hws_net_listen_config config = {
        .address = address, .bundle = p->bundle, .limits = limits, .ops = &conn_ops, .owner = p};
    code = hws_net_listener_open(&p->listener, &p->net, &config, err);
    p->listener.data = p;
    return code;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct program *p = &program;
    struct hws_tls_rng *rng = NULL;
    struct hws_err err;
    uint64_t max_conns = 0;
    struct hws_net_limits limits;

    if (argc < 4 || argc > 6 ||
        (argc == 6 && hws_str_to_u64(argv[5], 1000000, &max_conns, &err) != HWS_OK)) {
        (void)fprintf(stderr, "usage: bench_rpc_server CERT KEY CA [ADDRESS [MAX_CONNS]]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    bench_raise_descriptors();
    p->fill = hws_mem_zalloc(1, MAX_CHUNK_BYTES);
    if (p->fill == NULL || uv_loop_init(&p->loop) != 0 || uv_signal_init(&p->loop, &p->term) != 0 ||
        hws_tls_rng_open(&rng, &err) != HWS_OK) {
        (void)fprintf(stderr, "bench_rpc_server: no loop or no entropy\n");
        return 1;
    }
    p->term.data = p;
    p->bundle = bench_bundle(rng, argv[1], argv[2], argv[3]);
    fill_listener_limits(&limits, (uint32_t)max_conns);
    if (start(p, argc > 4 ? argv[4] : "127.0.0.1:0", &limits, &err) != HWS_OK) {
        (void)fprintf(stderr, "bench_rpc_server: %s\n", err.msg);
        return 1;
    }
    (void)uv_signal_start(&p->term, on_term, SIGTERM);
    print_config(&limits);
    (void)printf("listening %s\n", hws_net_listener_address(&p->listener));
    (void)fflush(stdout);
    (void)uv_run(&p->loop, UV_RUN_DEFAULT);
    hws_grpc_server_deinit(&p->server);
    hws_grpc_service_deinit(&p->service);
    hws_tls_bundle_unref(p->bundle);
    hws_tls_rng_free(rng);
    hws_net_deinit(&p->net);
    hws_mem_free(p->fill);
    return uv_loop_close(&p->loop) == 0 ? 0 : 1;
}
