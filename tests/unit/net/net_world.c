/* The listeners, the clients and the resolver of net_world.h. */
#include "net_world.h"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

static struct hws_pki s_pki;
struct world world;

/* ---- the server ---- */

/* Sends what the call's buffer holds, when there is room. */
static void echo_send(struct hws_grpc_call *call)
{
    struct hws_buf *kept = hws_grpc_call_data(call);
    struct hws_err err;
    enum hws_code code = hws_grpc_call_send(call, hws_buf_peek(kept), hws_buf_len(kept), &err);

    if (code != HWS_E_BUSY) { /* else on_writable comes */
        assert_true(code == HWS_OK || code == HWS_E_NOMEM);
        hws_grpc_call_finish(call, code == HWS_OK ? HWS_GRPC_OK : HWS_GRPC_RESOURCE_EXHAUSTED, NULL,
                             NULL, 0, NULL);
    }
}

static void echo_message(struct hws_grpc_call *call, const uint8_t *bytes, size_t n)
{
    if (hws_buf_put(hws_grpc_call_data(call), bytes, n) != HWS_OK) {
        hws_grpc_call_finish(call, HWS_GRPC_RESOURCE_EXHAUSTED, NULL, NULL, 0, NULL);
        return;
    }
    echo_send(call);
}

static void echo_close(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    (void)outcome;
    hws_buf_deinit(hws_grpc_call_data(call));
    hws_mem_free(hws_grpc_call_data(call));
}

static enum hws_grpc_code echo_call(struct hws_grpc_call *call, void *data)
{
    struct hws_buf *kept = hws_mem_zalloc(1, sizeof(*kept));

    (void)data;
    if (kept == NULL) {
        return HWS_GRPC_RESOURCE_EXHAUSTED;
    }
    hws_grpc_call_set_data(call, kept);
    return HWS_GRPC_OK;
}

static void echo_cancel(struct hws_grpc_call *call, const struct hws_grpc_outcome *why)
{
    (void)why;
    hws_grpc_call_finish_text(call, HWS_GRPC_CANCELLED, "");
}

static const struct hws_grpc_call_ops s_echo = {
    .on_call = echo_call,
    .on_message = echo_message,
    .on_writable = echo_send,
    .on_cancel = echo_cancel,
    .on_close = echo_close,
};

static enum hws_code server_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                                 struct hws_err *err)
{
    struct world *w = hws_net_conn_owner(conn);
    (void)err;
    cfg->server = &w->server;
    if (w->keepalive_ms != 0) {
        cfg->limits.keepalive_ms = w->keepalive_ms;
        cfg->limits.keepalive_timeout_ms = w->keepalive_ms;
    }
    (void)hws_str_copy(w->principal, sizeof(w->principal), hws_net_conn_peer(conn)->principal);
    return HWS_OK;
}

static void server_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct world *w = hws_net_conn_owner(conn);
    (void)err;
    w->n_server_closed++;
}

static void server_refused(void *owner, const char *peer, const char *reason, const char *text)
{
    struct world *w = owner;
    assert_true(strlen(peer) > 0 && strlen(text) > 0);
    (void)hws_str_copy(w->refused, sizeof(w->refused), reason);
}

const struct hws_net_conn_ops server_ops = {
    .on_open = server_open, .on_closed = server_closed, .on_refused = server_refused};

/* ---- the client ---- */

void answered(struct hws_grpc_unary *unary, const struct hws_grpc_outcome *outcome)
{
    struct end *e = unary->data;
    e->answered = true;
    e->code = outcome->code;
    if (outcome->code == HWS_GRPC_OK && hws_buf_put(&e->answer, hws_buf_peek(&unary->response),
                                                    hws_buf_len(&unary->response)) != HWS_OK) {
        e->code = HWS_GRPC_RESOURCE_EXHAUSTED;
    }
}

static enum hws_code client_open(struct hws_net_conn *conn, struct hws_grpc_conn_config *cfg,
                                 struct hws_err *err)
{
    struct end *e = hws_net_conn_owner(conn);
    (void)cfg;
    (void)err;
    e->opened = true;
    return HWS_OK;
}

static void client_closed(struct hws_net_conn *conn, const struct hws_err *err)
{
    struct end *e = hws_net_conn_owner(conn);
    e->closed = true;
    e->conn = NULL;
    e->err = *err;
}

const struct hws_net_conn_ops client_ops = {.on_open = client_open, .on_closed = client_closed};

static void too_late(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened in %u ms", LIMIT_MS);
}

void limit_begin(void)
{
    assert_int_equal(uv_timer_start(&world.limit, too_late, LIMIT_MS, 0), 0);
}

void limit_end(void)
{
    (void)uv_timer_stop(&world.limit);
}

void run_until(const bool *flag)
{
    limit_begin();
    while (!*flag) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    limit_end();
}

void dial(struct end *e, const char *target, struct hws_tls_bundle *bundle, const char *expect)
{
    struct hws_net_dial_config config = {
        .target = target, .bundle = bundle, .expect = expect, .ops = &client_ops, .owner = e};
    struct hws_err err;

    memset(e, 0, sizeof(*e));
    hws_buf_init(&e->answer, 0);
    assert_ok(hws_net_dial(&world.net, &config, &e->conn, &err), &err);
}

void start_echo(struct end *e, const void *bytes, size_t n)
{
    struct hws_err err;

    e->answered = false;
    hws_buf_reset(&e->answer);
    e->unary = (struct hws_grpc_unary){.path = "/t.Echo/Once",
                                       .request = bytes,
                                       .n_request = n,
                                       .timeout_ms = LIMIT_MS,
                                       .cb = answered,
                                       .data = e};
    assert_ok(hws_grpc_unary_start(hws_net_conn_grpc(e->conn), &e->unary,
                                   hws_net_now_ms(&world.net), &err),
              &err);
}

void call_echo(struct end *e, const void *bytes, size_t n)
{
    start_echo(e, bytes, n);
    run_until(&e->answered);
}

void hang_up(struct end *e)
{
    if (e->conn != NULL) {
        hws_net_conn_close(e->conn);
        run_until(&e->closed);
    }
    hws_buf_deinit(&e->answer);
}

/* ---- strangers ---- */

int silent_stranger_from(const char *source)
{
    struct sockaddr_in addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(uv_ip4_addr(source, 0, &addr), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", port_of(hws_net_listener_address(&world.tcp)), &addr),
                     0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

int silent_stranger(void)
{
    return silent_stranger_from("127.0.0.1");
}

/* ---- the resolver ---- */

/* Stands in front of the C library's for libuv. Other names go to nobody: tests resolve nothing
 * else. */
static struct {
    struct addrinfo info[3];
    struct sockaddr_in addr[3];
    int n;
} s_resolver;

void answer_with(const char *const *addresses, const int *ports, int n)
{
    memset(&s_resolver, 0, sizeof(s_resolver));
    for (int i = 0; i < n; i++) {
        assert_int_equal(uv_ip4_addr(addresses[i], ports[i], &s_resolver.addr[i]), 0);
        s_resolver.info[i] = (struct addrinfo){.ai_family = AF_INET,
                                               .ai_socktype = SOCK_STREAM,
                                               .ai_addrlen = sizeof(s_resolver.addr[i]),
                                               .ai_addr = (struct sockaddr *)&s_resolver.addr[i]};
        if (i > 0) {
            s_resolver.info[i - 1].ai_next = &s_resolver.info[i];
        }
    }
    s_resolver.n = n;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): netdb.h names are its own */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)service;
    (void)hints;
    if (s_resolver.n == 0 || !hws_str_eq(name, "several.test")) {
        return EAI_NONAME;
    }
    *out = s_resolver.info;
    return 0;
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): as above */
void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

int port_of(const char *address)
{
    uint64_t port = 0;
    assert_code(hws_str_to_u64(strrchr(address, ':') + 1, 65535, &port, NULL), HWS_OK);
    return (int)port;
}

/* ---- the world ---- */

struct hws_tls_bundle *load_denying(const char *name, const char *ca_name, const char *deny)
{
    char file[64];
    struct hws_tls_pem pem = {.deny = {(const uint8_t *)deny, strlen(deny)}};
    struct hws_tls_bundle *bundle = NULL;
    struct hws_err err;

    assert_true(hws_str_print(file, sizeof(file), "%s.crt", name));
    char *cert = hws_pki_read(&s_pki, file, &pem.cert.n);
    assert_true(hws_str_print(file, sizeof(file), "%s.key", name));
    char *key = hws_pki_read(&s_pki, file, &pem.key.n);
    char *ca = hws_pki_read(&s_pki, ca_name, &pem.ca.n);
    pem.cert.bytes = (const uint8_t *)cert;
    pem.key.bytes = (const uint8_t *)key;
    pem.ca.bytes = (const uint8_t *)ca;
    assert_ok(hws_tls_bundle_new(world.rng, &pem, (uint64_t)time(NULL), &bundle, &err), &err);
    hws_mem_free(cert);
    hws_mem_free(key);
    hws_mem_free(ca);
    return bundle;
}

struct hws_tls_bundle *load(const char *name, const char *ca_name)
{
    return load_denying(name, ca_name, "");
}

int setup(void **state)
{
    static const struct hws_grpc_method methods[] = {
        {.path = "/t.Echo/Once", .kind = HWS_GRPC_UNARY}};
    struct world *w = &world;
    struct hws_err err;
    (void)state;

    (void)signal(SIGPIPE, SIG_IGN);
    hws_pki_make(&s_pki);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(uv_timer_init(&w->loop, &w->limit), 0);
    assert_ok(hws_net_init(&w->net, &w->loop, &err), &err);
    assert_ok(hws_tls_rng_open(&w->rng, &err), &err);
    w->host = load("agent-host", "ca.crt");
    w->olga = load("operator-olga", "ca.crt");
    hws_grpc_server_init(&w->server);
    assert_ok(hws_grpc_server_add(&w->server, methods, 1, &s_echo, NULL, &err), &err);
    struct hws_net_limits limits;
    struct hws_net_listen_config config = {.address = "127.0.0.1:0",
                                           .bundle = w->host,
                                           .ops = &server_ops,
                                           .owner = w,
                                           .limits = &limits};
    hws_net_limits_default(&limits);
    limits.max_conns_per_identity = 3;
    limits.max_handshakes_per_address = 4;
    limits.handshake_burst_per_address = 2000;
    limits.handshake_burst = 2000;
    limits.total_held_bytes = 256u << 20;
    limits.held_bytes_per_identity = 256u << 20;
    limits.held_bytes_per_address = 256u << 20;
    assert_ok(hws_net_listener_open(&w->tcp, &w->net, &config, &err), &err);
    assert_true(hws_str_print(w->socket_path, sizeof(w->socket_path), "%s/sock", s_pki.dir));
    config.address = w->socket_path;
    config.bundle = NULL;
    assert_ok(hws_net_listener_open(&w->local, &w->net, &config, &err), &err);
    return 0;
}

static void listener_closed(struct hws_net_listener *listener)
{
    (void)listener;
    world.n_listeners_closed++;
}

int teardown(void **state)
{
    struct world *w = &world;
    (void)state;
    hws_net_listener_close(&w->tcp, listener_closed);
    hws_net_listener_close(&w->local, listener_closed);
    uv_close((uv_handle_t *)&w->limit, NULL);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->n_listeners_closed, 2);
    hws_grpc_server_deinit(&w->server);
    hws_tls_bundle_unref(w->host);
    hws_tls_bundle_unref(w->olga);
    hws_tls_rng_free(w->rng);
    hws_net_deinit(&w->net);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    hws_pki_remove(&s_pki);
    return 0;
}
