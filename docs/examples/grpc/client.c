/* Says something to the echo server over mutual TLS: client ADDRESS CERT KEY CA TEXT. Prints the answer. */
#include <hawser_grpc.h>
#include <signal.h>
#include <stdio.h>

#include "echo.pb-c.h"

static int status = 1;
static char *text;

static void answered(struct hws_grpc_unary *call, const struct hws_grpc_outcome *outcome)
{
    const struct hws_buf *got = &call->response; /* empty unless the code is OK */
    Example__Words *words = example__words__unpack(NULL, hws_buf_len(got), hws_buf_peek(got));
    status = outcome->code != HWS_GRPC_OK || words == NULL;
    printf("%s %s\n", status == 0 ? words->text : hws_grpc_code_name(outcome->code), outcome->message);
    if (words != NULL) example__words__free_unpacked(words, NULL);
    hws_net_conn_close(call->data);
}

static void on_ready(struct hws_net_conn *conn)
{
    static struct hws_grpc_unary call;
    Example__Words words = EXAMPLE__WORDS__INIT;
    uint8_t packed[256];
    struct hws_err err;

    words.text = text;
    call = (struct hws_grpc_unary){.path = "/example.Echo/Say", .request = packed, .timeout_ms = 5000, .cb = answered, .data = conn};
    call.n_request = example__words__get_packed_size(&words) <= sizeof(packed) ? example__words__pack(&words, packed) : 0;
    if (hws_grpc_unary_start(hws_net_conn_grpc(conn), &call, hws_net_now_ms(conn->net), &err) != HWS_OK) hws_net_conn_close(conn);
}

static void on_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    if ((void)conn, status != 0) fprintf(stderr, "client: %s\n", err->msg);
}

static const struct hws_net_conn_ops ops = {.on_ready = on_ready, .on_closed = on_closed};

int main(int argc, char **argv)
{
    static struct hws_net net;
    struct hws_net_conn *conn = NULL;
    struct hws_tls_rng *rng = NULL;
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;

    if (argc != 6) return fprintf(stderr, "usage: client ADDRESS CERT KEY CA TEXT\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    text = argv[5];
    struct hws_net_files files = {argv[2], argv[3], argv[4], true};
    struct hws_net_dial_config config = {.target = argv[1], .expect = NULL, .ops = &ops};
    if (hws_net_init(&net, uv_default_loop(), &err) != HWS_OK || hws_tls_rng_open(&rng, &err) != HWS_OK ||
        hws_net_files_bundle(rng, &files, &bundle, &err) != HWS_OK ||
        (config.bundle = bundle, hws_net_dial(&net, &config, &conn, &err)) != HWS_OK)
        return fprintf(stderr, "client: %s\n", err.msg), 1;
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT), status;
}
