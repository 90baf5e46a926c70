/*
 * net without memory, judged to its end: each scenario begins with nothing, is over real sockets,
 * and runs once for each of its allocations with that one failing, and once with all from there on.
 * A call ends with a status that says so, everything closes, nothing is left, and the last run
 * works.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "asked.h"
#include "base/mem.h"
#include "base/str.h"
#include "grpc/client.h"
#include "grpc/server.h"
#include "net/channel.h"
#include "net/dial.h"
#include "net/files.h"
#include "net/listen.h"
#include "pki.h"
#include "test.h"

#define LIMIT_MS      20000u
#define TICK_MS       2u
#define REQUEST_BYTES 150000u /* more than a window, a record and a packet */

enum ending {
    CLIENT_CLOSES,
    SERVER_DRAINS,
    NOBODY_IS_TRUSTED, /* the client's CA is another one */
};

struct scenario {
    bool tls;
    size_t n_request;
    enum ending ending;
};

struct world { /* of one run */
    uv_loop_t loop;
    uv_timer_t limit;
    uint64_t until_ms;
    struct hws_net net;
    struct hws_grpc_server server;
    struct hws_net_listener listener;
    bool listens;
    bool listener_closed;
    struct hws_net_conn *client;
    bool opened, closed, answered, channel_closed;
    uint32_t n_refused;
    enum hws_grpc_code code;
};

static struct hws_pki s_pki;
static struct hws_tls_rng *s_rng;
static struct hws_tls_bundle *s_host, *s_olga, *s_stranger;
static uint8_t s_request[REQUEST_BYTES];

/* ---- both ends ------------------------------------------------------------------------------- */

static void echo(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    enum hws_code code = hws_grpc_call_send(call, bytes, n, NULL);

    hws_grpc_call_finish_text(call, code == HWS_OK ? HWS_GRPC_OK : HWS_GRPC_RESOURCE_EXHAUSTED, "");
}

static void echo_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    hws_grpc_call_finish_text(call, why->code, "");
}

static const struct hws_grpc_call_ops s_echo = {.on_message = echo, .on_cancel = echo_cancel};

static enum hws_code server_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                                 struct hws_err *err)
{
    struct world *w = hws_net_conn_owner(conn);
    (void)err;
    cfg->server = &w->server;
    return HWS_OK;
}

static void server_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    (void)conn;
    (void)err;
}

static void server_refused(void *owner, const char *peer, const char *reason, const char *text)
{
    struct world *w = owner;
    (void)peer;
    (void)reason;
    (void)text;
    w->n_refused++;
}

static const struct hws_net_conn_ops s_server_ops = {
    .on_open = server_open, .on_closed = server_closed, .on_refused = server_refused};

static enum hws_code client_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                                 struct hws_err *err)
{
    struct world *w = hws_net_conn_owner(conn);
    (void)cfg;
    (void)err;
    w->opened = true;
    return HWS_OK;
}

static void client_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct world *w = hws_net_conn_owner(conn);
    (void)err;
    w->closed = true;
    w->client = NULL;
}

static const struct hws_net_conn_ops s_client_ops = {.on_open = client_open,
                                                     .on_closed = client_closed};

static void answered(struct hws_grpc_unary *unary, const struct hws_grpc_outcome *outcome)
{
    struct world *w = unary->data;

    w->answered = true;
    w->code = outcome->code;
    if (outcome->code == HWS_GRPC_OK) {
        assert_int_equal(hws_buf_len(&unary->response), unary->n_request);
    }
}

/* ---- one run ----------------------------------------------------------------------------------
 */

static void tick(uv_timer_t *timer)
{
    const struct world *w = timer->data;

    if (uv_now(&w->loop) >= w->until_ms) {
        fail_msg("nothing happened in %u ms", LIMIT_MS);
    }
}

/* Turns the loop until one of them. What happens in a timer is not followed by an event: the loop
 * is waked now and then. */
static void run_until(struct world *w, const bool *flag, const bool *other)
{
    w->limit.data = w;
    w->until_ms = uv_now(&w->loop) + LIMIT_MS;
    assert_int_equal(uv_timer_start(&w->limit, tick, TICK_MS, TICK_MS), 0);
    while (!*flag && !*other) {
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&w->limit);
}

static void listener_closed(struct hws_net_listener *listener)
{
    struct world *w = listener->data;

    w->listener_closed = true;
}

static enum hws_code open_world(struct world *w, bool tls)
{
    static const struct hws_grpc_method methods[] = {
        {.path = "/t.Echo/Once", .kind = HWS_GRPC_UNARY}};
    char path[96];
    struct hws_net_listen_config config = {.address = tls ? "127.0.0.1:0" : path,
                                           .bundle = tls ? s_host : NULL,
                                           .ops = &s_server_ops,
                                           .owner = w};
    struct hws_err err;

    memset(w, 0, sizeof(*w));
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(uv_timer_init(&w->loop, &w->limit), 0);
    assert_true(hws_str_print(path, sizeof(path), "%s/sock", s_pki.dir));
    hws_grpc_server_init(&w->server);
    enum hws_code code = hws_net_init(&w->net, &w->loop, &err);
    code = code == HWS_OK ? hws_grpc_server_add(&w->server, methods, 1, &s_echo, NULL, &err) : code;
    code = code == HWS_OK ? hws_net_listener_open(&w->listener, &w->net, &config, &err) : code;
    w->listens = code == HWS_OK;
    w->listener.data = w;
    return code;
}

static void close_world(struct world *w)
{
    if (w->listens) {
        hws_net_listener_close(&w->listener, listener_closed);
        run_until(w, &w->listener_closed, &w->listener_closed);
    }
    uv_close((uv_handle_t *)&w->limit, NULL);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT); /* a listener that did not open closes its handle */
    hws_grpc_server_deinit(&w->server);
    hws_net_deinit(&w->net);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

static const char *target_of(struct world *w, bool tls, char path[112])
{
    assert_true(hws_str_print(path, 112, "unix:%s/sock", s_pki.dir));
    return tls ? hws_net_listener_address(&w->listener) : path;
}

static enum hws_code call(struct world *w, size_t n_request)
{
    static struct hws_grpc_unary unary;

    unary = (struct hws_grpc_unary){.path = "/t.Echo/Once",
                                    .request = s_request,
                                    .n_request = n_request,
                                    .timeout_ms = LIMIT_MS / 2,
                                    .cb = answered,
                                    .data = w};
    enum hws_code code =
        hws_grpc_unary_start(hws_net_conn_grpc(w->client), &unary, hws_net_now_ms(&w->net), NULL);
    if (code != HWS_OK) {
        return code;
    }
    run_until(w, &w->answered, &w->answered);
    if (w->code != HWS_GRPC_OK && w->code != HWS_GRPC_RESOURCE_EXHAUSTED &&
        w->code != HWS_GRPC_UNAVAILABLE) {
        fail_msg("the call ended %s", hws_grpc_code_name(w->code));
    }
    return w->code == HWS_GRPC_OK ? HWS_OK : HWS_E_NOMEM;
}

static enum hws_code dial_and_call(struct world *w, const struct scenario *s)
{
    char path[112];
    struct hws_net_dial_config config = {.target = target_of(w, s->tls, path),
                                         .bundle =
                                             s->ending == NOBODY_IS_TRUSTED ? s_stranger : s_olga,
                                         .expect = s->tls ? "spiffe://unit.test/agent/host" : NULL,
                                         .ops = &s_client_ops,
                                         .owner = w};
    enum hws_code code = hws_net_dial(&w->net, &config, &w->client, NULL);

    if (code != HWS_OK) {
        return code;
    }
    run_until(w, &w->opened, &w->closed);
    if (s->ending == NOBODY_IS_TRUSTED) {
        run_until(w, &w->closed, &w->closed); /* TLS 1.3's client opens before it is refused */
        return HWS_OK;
    }
    code = w->closed ? HWS_E_NOMEM : call(w, s->n_request);
    if (s->ending == SERVER_DRAINS) {
        hws_net_listener_drain(&w->listener, 1000);
    } else if (w->client != NULL) {
        hws_net_conn_close(w->client);
    }
    if (w->client != NULL) {
        run_until(w, &w->closed, &w->closed);
    }
    return code;
}

static enum hws_code run(void *arg)
{
    const struct scenario *s = arg;
    struct world w;
    enum hws_code code = open_world(&w, s->tls);

    if (code == HWS_OK) {
        code = dial_and_call(&w, s);
    }
    close_world(&w);
    return code;
}

/* ---- a channel ------------------------------------------------------------------------------- */

static void channel_closed(struct hws_net_channel *channel)
{
    struct world *w = channel->data;
    w->channel_closed = true;
}

static enum hws_code ask(struct world *w, struct hws_net_channel *channel)
{
    struct asked a;
    enum hws_code code = channel_ask(channel, &a, false);

    if (code != HWS_OK) {
        return code;
    }
    run_until(w, &a.closed, &a.closed);
    if (a.code != HWS_GRPC_OK && a.code != HWS_GRPC_RESOURCE_EXHAUSTED &&
        a.code != HWS_GRPC_UNAVAILABLE) {
        fail_msg("the call ended %s", hws_grpc_code_name(a.code));
    }
    return a.code == HWS_GRPC_OK && a.n_bytes == ASKED_BYTES ? HWS_OK : HWS_E_NOMEM;
}

/* A call, the loss of the connection, and a call again. */
static enum hws_code run_channel(void *arg)
{
    char path[112];
    struct world w;
    struct hws_net_channel channel;
    enum hws_code code = open_world(&w, false);

    (void)arg;
    if (code != HWS_OK) {
        close_world(&w);
        return code;
    }
    const struct hws_net_channel_config config = {.target = target_of(&w, false, path)};
    code = hws_net_channel_open(&channel, &w.net, &config, NULL);
    if (code == HWS_OK) {
        channel.data = &w;
        code = ask(&w, &channel);
        HWS_LIST_FOREACH (it, tmp, &w.listener.conns) {
            hws_net_conn_close(hws_container_of(it, struct hws_net_conn, link));
        }
        while (w.listener.n_conns > 0) {
            (void)uv_run(&w.loop, UV_RUN_ONCE);
        }
        code = code == HWS_OK ? ask(&w, &channel) : code;
        hws_net_channel_close(&channel, channel_closed);
        run_until(&w, &w.channel_closed, &w.channel_closed);
    }
    close_world(&w);
    return code;
}

/* ---- claims ---------------------------------------------------------------------------------- */

static void a_call_over_the_unix_socket_survives(void **state)
{
    struct scenario s = {.n_request = 5};
    (void)state;
    assert_true(hws_test_oom_sweep(run, &s) > 20);
}

static void a_call_over_tls_survives(void **state)
{
    struct scenario s = {.tls = true, .n_request = 5};
    (void)state;
    if (getenv("HAWSER_OOM_SWEEP") == NULL) { /* 200 handshakes: for `./test oom` alone */
        assert_code(run(&s), HWS_OK);
        return;
    }
    assert_true(hws_test_oom_sweep(run, &s) > 20);
}

static void a_large_call_survives(void **state)
{
    struct scenario s = {.n_request = REQUEST_BYTES};
    (void)state;
    assert_true(hws_test_oom_sweep(run, &s) > 20);
}

static void a_drain_survives(void **state)
{
    struct scenario s = {.n_request = 5, .ending = SERVER_DRAINS};
    (void)state;
    assert_true(hws_test_oom_sweep(run, &s) > 20);
}

static void a_refused_handshake_survives(void **state)
{
    struct scenario s = {.tls = true, .ending = NOBODY_IS_TRUSTED};
    (void)state;
    assert_true(hws_test_oom_sweep(run, &s) > 5);
}

static void a_channel_that_loses_its_connection_survives(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(run_channel, NULL) > 40);
}

/* ---- the bundle of the files ---- */

static enum hws_code load_files(const char *who, const char *ca, struct hws_tls_rng *rng,
                                struct hws_tls_bundle **out)
{
    char cert[128];
    char key[128];
    char roots[128];
    struct hws_net_files files = {.cert = cert, .key = key, .ca = roots, .allow_tls12 = true};
    struct hws_err err;

    assert_true(hws_str_print(cert, sizeof(cert), "%s/%s.crt", s_pki.dir, who));
    assert_true(hws_str_print(key, sizeof(key), "%s/%s.key", s_pki.dir, who));
    assert_true(hws_str_print(roots, sizeof(roots), "%s/%s", s_pki.dir, ca));
    return hws_net_files_bundle(rng, &files, out, &err);
}

static enum hws_code load_once(void *arg)
{
    struct hws_tls_rng *rng = NULL;
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;
    (void)arg;
    enum hws_code code = hws_tls_rng_open(&rng, &err);

    code = code == HWS_OK ? load_files("agent-host", "ca.crt", rng, &bundle) : code;
    hws_tls_bundle_unref(bundle);
    hws_tls_rng_free(rng);
    return code;
}

static void files_are_read_or_the_want_of_memory_is_said(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(load_once, NULL) > 6);
}

/* Loads these files of the folder, which are no bundle: the error names the file, and says why. */
static void assert_said(const char *cert, const char *key, const char *ca, enum hws_code code,
                        const char *file, const char *what)
{
    const char *const names[3] = {cert, key, ca};
    char paths[3][160];
    char wrong[160];
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;

    for (size_t i = 0; i < 3; i++) {
        assert_true(hws_str_print(paths[i], sizeof(paths[i]), "%s/%s", s_pki.dir, names[i]));
    }
    assert_true(hws_str_print(wrong, sizeof(wrong), "%s/%s", s_pki.dir, file));
    const struct hws_net_files files = {.cert = paths[0], .key = paths[1], .ca = paths[2]};
    assert_code(hws_net_files_bundle(s_rng, &files, &bundle, &err), code);
    assert_non_null(strstr(err.msg, wrong));
    assert_non_null(strstr(err.msg, what));
}

static void a_file_that_is_wrong_is_named_with_the_reason(void **state)
{
    static const char cert[] = "agent-host.crt";
    static const char key[] = "agent-host.key";
    static const char ca[] = "ca.crt";
    (void)state;

    assert_said("none", key, ca, HWS_E_NOT_FOUND, "none", "cert: ");
    assert_said(cert, "none", ca, HWS_E_NOT_FOUND, "none", "no such file");
    assert_said(cert, key, "ca.crt/none", HWS_E_NOT_FOUND, "ca.crt/none", "not a directory");
    assert_said("", key, ca, HWS_E_IO, "", "cert: ");
    assert_said(key, key, ca, HWS_E_INVALID, key, ": cert: ");
    assert_said(cert, "operator-olga.key", ca, HWS_E_INVALID, "operator-olga.key", ": key: ");
    assert_said(cert, key, key, HWS_E_INVALID, key, ": ca: ");
}

static int setup(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    hws_pki_make(&s_pki);
    assert_code(hws_tls_rng_open(&s_rng, NULL), HWS_OK);
    assert_code(load_files("agent-host", "ca.crt", s_rng, &s_host), HWS_OK);
    assert_code(load_files("operator-olga", "ca.crt", s_rng, &s_olga), HWS_OK);
    assert_code(load_files("bad/wrong-ca", "bad/other-ca/ca.crt", s_rng, &s_stranger), HWS_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_tls_bundle_unref(s_host);
    hws_tls_bundle_unref(s_olga);
    hws_tls_bundle_unref(s_stranger);
    hws_tls_rng_free(s_rng);
    hws_pki_remove(&s_pki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_or_the_want_of_memory_is_said),
        cmocka_unit_test(a_file_that_is_wrong_is_named_with_the_reason),
        cmocka_unit_test(a_call_over_the_unix_socket_survives),
        cmocka_unit_test(a_call_over_tls_survives),
        cmocka_unit_test(a_large_call_survives),
        cmocka_unit_test(a_drain_survives),
        cmocka_unit_test(a_refused_handshake_survives),
        cmocka_unit_test(a_channel_that_loses_its_connection_survives),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
