/*
 * hawser-interop: serves grpc.testing.TestService, health and reflection over mutual TLS or on a
 * Unix socket, for tests against foreign clients.
 *
 *     hawser-interop --cert FILE --key FILE --ca FILE [--listen ADDRESS] [--seconds N]
 *     hawser-interop --listen /SOCKET [--seconds N]
 *
 * Prints "listening ADDRESS" when it serves; ends by itself after N seconds (default 120), drains
 * at SIGTERM.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "credentials.h"
#include "grpc/health.h"
#include "grpc/reflect.h"
#include "net/listen.h"
#include "service.h"

extern const unsigned char hws_interop_proto_descriptors[];
extern const unsigned long hws_interop_proto_descriptors_bytes;
extern const unsigned char hws_proto_external_descriptors[];
extern const unsigned long hws_proto_external_descriptors_bytes;

#define DRAIN_MS        5000
#define DRAIN_TICK_MS   20
#define DEFAULT_SECONDS 120u

struct options {
    struct interop_files files; /* all NULL: a Unix socket */
    const char *listen;
    uint64_t seconds;
};

struct program {
    struct options options;
    uv_loop_t loop;
    uv_timer_t end;
    uint64_t drain_by_ms;
    uv_signal_t term;
    struct hws_net net;
    struct hws_tls_rng *rng;
    struct hws_tls_bundle *bundle;
    struct hws_grpc_server server;
    struct hws_grpc_health health;
    struct hws_grpc_reflect reflect;
    struct hws_net_listener listener;
};

/* ---- connections ---- */

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                             struct hws_err *err)
{
    struct program *p = hws_net_conn_owner(conn);

    (void)err;
    cfg->server = &p->server;
    hws_grpc_limits_server(&cfg->limits);
    return HWS_OK;
}

static void on_refused(void *owner, const char *peer, const char *reason, const char *text)
{
    (void)owner;
    (void)fprintf(stderr, "refused peer=%s reason=%s text=\"%s\"\n", peer, reason, text);
}

static const struct hws_net_conn_ops conn_ops = {.on_open = on_open, .on_refused = on_refused};

/* ---- the end ---- */

static void on_listener_closed(struct hws_net_listener *listener)
{
    struct program *p = listener->data;

    uv_close((uv_handle_t *)&p->end, NULL);
    uv_close((uv_handle_t *)&p->term, NULL);
}

static void on_end(uv_timer_t *timer)
{
    struct program *p = timer->data;

    hws_net_listener_close(&p->listener, on_listener_closed);
}

static void on_drain_tick(uv_timer_t *timer)
{
    struct program *p = timer->data;

    if (p->listener.n_conns == 0 || hws_net_now_ms(&p->net) >= p->drain_by_ms) {
        (void)uv_timer_stop(timer);
        on_end(timer);
    }
}

static void on_term(uv_signal_t *signal, int number)
{
    struct program *p = signal->data;

    (void)number;
    hws_grpc_health_shutdown(&p->health);
    hws_net_listener_drain(&p->listener, DRAIN_MS);
    p->drain_by_ms = hws_net_now_ms(&p->net) + DRAIN_MS;
    (void)uv_timer_start(&p->end, on_drain_tick, 0, DRAIN_TICK_MS);
}

/* ---- start ---- */

static enum hws_code make_server(struct program *p, struct hws_err *err)
{
    hws_grpc_server_init(&p->server);
    hws_grpc_reflect_init(&p->reflect);
    enum hws_code code = interop_service_register(&p->server, &p->loop, err);
    if (code == HWS_OK) {
        code = hws_grpc_health_init(&p->health, err);
    }
    if (code == HWS_OK) {
        code = hws_grpc_health_register(&p->health, &p->server, err);
    }
    if (code == HWS_OK) {
        code = hws_grpc_health_set(&p->health, "", HWS_GRPC_HEALTH_SERVING, err);
    }
    if (code == HWS_OK) {
        code = hws_grpc_health_set(&p->health, "grpc.testing.TestService", HWS_GRPC_HEALTH_SERVING,
                                   err);
    }
    if (code == HWS_OK) {
        code = hws_grpc_reflect_add(&p->reflect, hws_interop_proto_descriptors,
                                    hws_interop_proto_descriptors_bytes, err);
    }
    if (code == HWS_OK) {
        code = hws_grpc_reflect_add(&p->reflect, hws_proto_external_descriptors,
                                    hws_proto_external_descriptors_bytes, err);
    }
    return code == HWS_OK ? hws_grpc_reflect_register(&p->reflect, &p->server, err) : code;
}

static enum hws_code start(struct program *p, struct hws_err *err)
{
    if (uv_loop_init(&p->loop) != 0 || uv_timer_init(&p->loop, &p->end) != 0 ||
        uv_signal_init(&p->loop, &p->term) != 0) {
        return hws_err_set(err, HWS_E_IO, "no event loop");
    }
    p->end.data = p;
    p->term.data = p;
    enum hws_code code = hws_net_init(&p->net, &p->loop, err);
    if (code == HWS_OK) {
        code = hws_tls_rng_open(&p->rng, err);
    }
    if (code == HWS_OK && p->options.files.cert != NULL) {
        code = interop_bundle_load(p->rng, &p->options.files, &p->bundle, err);
    }
    if (code == HWS_OK) {
        code = make_server(p, err);
    }
    if (code != HWS_OK) {
        return code;
    }
    const struct hws_net_listen_config config = {
        .address = p->options.listen, .bundle = p->bundle, .ops = &conn_ops, .owner = p};
    code = hws_net_listener_open(&p->listener, &p->net, &config, err);
    p->listener.data = p;
    return code;
}

static void stop(struct program *p)
{
    hws_grpc_server_deinit(&p->server);
    hws_grpc_reflect_deinit(&p->reflect);
    hws_grpc_health_deinit(&p->health);
    hws_tls_bundle_unref(p->bundle);
    hws_tls_rng_free(p->rng);
    hws_net_deinit(&p->net);
    (void)uv_loop_close(&p->loop);
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {
        {"cert", required_argument, NULL, 'c'},    {"key", required_argument, NULL, 'k'},
        {"ca", required_argument, NULL, 'a'},      {"listen", required_argument, NULL, 'l'},
        {"seconds", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};

    *o = (struct options){.listen = "127.0.0.1:0", .seconds = DEFAULT_SECONDS};
    for (int opt = getopt_long(argc, argv, "", table, NULL); opt != -1;
         opt = getopt_long(argc, argv, "", table, NULL)) {
        switch (opt) {
        case 'c':
            o->files.cert = optarg;
            break;
        case 'k':
            o->files.key = optarg;
            break;
        case 'a':
            o->files.ca = optarg;
            break;
        case 'l':
            o->listen = optarg;
            break;
        case 's':
            if (hws_str_to_u64(optarg, UINT32_MAX, &o->seconds, NULL) != HWS_OK) {
                return -1;
            }
            break;
        default:
            return -1;
        }
    }
    bool all = o->files.cert != NULL && o->files.key != NULL && o->files.ca != NULL;
    return o->listen[0] == '/' || all ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct program *p = &program;
    struct hws_err err;

    if (parse(argc, argv, &p->options) != 0) {
        (void)fprintf(stderr,
                      "usage: hawser-interop --cert FILE --key FILE --ca FILE [--listen ADDRESS] "
                      "[--seconds N]\n"
                      "       hawser-interop --listen /SOCKET [--seconds N]\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (start(p, &err) != HWS_OK) {
        (void)fprintf(stderr, "hawser-interop: %s\n", err.msg);
        return 1;
    }
    (void)printf("listening %s\n", hws_net_listener_address(&p->listener));
    (void)fflush(stdout);
    (void)uv_timer_start(&p->end, on_end, p->options.seconds * 1000, 0);
    (void)uv_signal_start(&p->term, on_term, SIGTERM);
    (void)uv_run(&p->loop, UV_RUN_DEFAULT);
    stop(p);
    return 0;
}
