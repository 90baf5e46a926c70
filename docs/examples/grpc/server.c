/* An echo server over mutual TLS: server CERT KEY CA [ADDRESS]. Prints where it listens and who comes. */
#include <hawser_grpc.h>
#include <signal.h>
#include <stdio.h>

#include "echo.pb-c.h"

extern const unsigned char echo_set[]; /* echo.proto, as protoc describes it */
extern const unsigned long echo_set_bytes;

static void say(struct hws_grpc_call *call, const ProtobufCMessage *words)
{
    hws_grpc_service_reply(call, words);
}

static const struct hws_grpc_service_method methods[] = {{.name = "Say", .on_message = say}};

static enum hws_code on_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg, struct hws_err *err)
{
    (void)err; /* for a refusal's text */
    printf("%s has come\n", hws_net_conn_peer(conn)->principal);
    fflush(stdout);
    cfg->server = hws_net_conn_owner(conn);
    return HWS_OK;
}

static const struct hws_net_conn_ops ops = {.on_open = on_open};

static int fail(const struct hws_err *err)
{
    fprintf(stderr, "server: %s\n", err->msg);
    return 1;
}

int main(int argc, char **argv)
{
    static struct hws_net net;
    static struct hws_net_listener listener;
    struct hws_grpc_server server;
    struct hws_grpc_service service;
    struct hws_tls_rng *rng = NULL;
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;

    if (argc < 4) return fprintf(stderr, "usage: server CERT KEY CA [ADDRESS]\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    hws_grpc_server_init(&server);
    struct hws_grpc_service_def def = {&example__echo__descriptor, echo_set, echo_set_bytes, methods, 1, NULL};
    struct hws_net_files files = {argv[1], argv[2], argv[3], true};
    if (hws_net_init(&net, uv_default_loop(), &err) != HWS_OK || hws_tls_rng_open(&rng, &err) != HWS_OK ||
        hws_net_files_bundle(rng, &files, &bundle, &err) != HWS_OK || hws_grpc_service_add(&service, &server, &def, &err) != HWS_OK)
        return fail(&err);
    struct hws_net_listen_config config = {.address = argc > 4 ? argv[4] : "127.0.0.1:0", .bundle = bundle, .ops = &ops, .owner = &server};
    if (hws_net_listener_open(&listener, &net, &config, &err) != HWS_OK) return fail(&err);
    printf("listening %s\n", hws_net_listener_address(&listener));
    return fflush(stdout), uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
