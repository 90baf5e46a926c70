/*
 * net: real sockets on one loop. A listener over mutual TLS and one on a Unix socket serve an echo
 * method; clients dial, call, and end in each way.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/client.h"
#include "grpc/server.h"
#include "net/channel.h"
#include "net/dial.h"
#include "net/listen.h"
#include "pki.h"
#include "test.h"

#define LIMIT_MS 20000u

struct end { /* one dialed connection, as its user sees it */
    struct hws_net_conn *conn;
    struct hws_grpc_unary unary;
    struct hws_buf answer;
    struct hws_err err;
    enum hws_grpc_code code;
    bool opened;
    bool closed;
    bool answered;
};

struct world {
    uv_loop_t loop;
    struct hws_net net;
    struct hws_grpc_server server;
    struct hws_net_listener tcp;
    struct hws_net_listener local;
    struct hws_tls_rng *rng;
    struct hws_tls_bundle *host;
    struct hws_tls_bundle *olga;
    uv_timer_t limit;
    char socket_path[96];
    char principal[HWS_TLS_PRINCIPAL_MAX_BYTES + 1]; /* of the last peer that opened */
    char refused[64];                                /* the reason of the last refusal */
    uint32_t n_server_closed;
    uint32_t n_listeners_closed;
};

static struct hws_pki s_pki;
static struct world s_world;

/* ---- the server ---------------------------------------------------------------------------------
 */

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

static const struct hws_net_conn_ops s_server_ops = {
    .on_open = server_open, .on_closed = server_closed, .on_refused = server_refused};

/* ---- the client ---------------------------------------------------------------------------------
 */

static void answered(struct hws_grpc_unary *unary, const struct hws_grpc_outcome *outcome)
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

static const struct hws_net_conn_ops s_client_ops = {.on_open = client_open,
                                                     .on_closed = client_closed};

static void too_late(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened in %u ms", LIMIT_MS);
}

/* Turns the loop until *flag. */
static void run_until(const bool *flag)
{
    assert_int_equal(uv_timer_start(&s_world.limit, too_late, LIMIT_MS, 0), 0);
    while (!*flag) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    (void)uv_timer_stop(&s_world.limit);
}

static void dial(struct end *e, const char *target, struct hws_tls_bundle *bundle,
                 const char *expect)
{
    struct hws_net_dial_config config = {
        .target = target, .bundle = bundle, .expect = expect, .ops = &s_client_ops, .owner = e};
    struct hws_err err;

    memset(e, 0, sizeof(*e));
    hws_buf_init(&e->answer, 0);
    assert_ok(hws_net_dial(&s_world.net, &config, &e->conn, &err), &err);
}

static void start_echo(struct end *e, const void *bytes, size_t n)
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
                                   hws_net_now_ms(&s_world.net), &err),
              &err);
}

static void call_echo(struct end *e, const void *bytes, size_t n)
{
    start_echo(e, bytes, n);
    run_until(&e->answered);
}

static void hang_up(struct end *e)
{
    if (e->conn != NULL) {
        hws_net_conn_close(e->conn);
        run_until(&e->closed);
    }
    hws_buf_deinit(&e->answer);
}

/* ---- the world ----------------------------------------------------------------------------------
 */

static struct hws_tls_bundle *load_denying(const char *name, const char *ca_name, const char *deny)
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
    assert_ok(hws_tls_bundle_new(s_world.rng, &pem, (uint64_t)time(NULL), &bundle, &err), &err);
    hws_mem_free(cert);
    hws_mem_free(key);
    hws_mem_free(ca);
    return bundle;
}

static struct hws_tls_bundle *load(const char *name, const char *ca_name)
{
    return load_denying(name, ca_name, "");
}

static int setup(void **state)
{
    static const struct hws_grpc_method methods[] = {
        {.path = "/t.Echo/Once", .kind = HWS_GRPC_UNARY}};
    struct world *w = &s_world;
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
                                           .ops = &s_server_ops,
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

static void passed_closed(struct hws_net_listener *listener)
{
    *(bool *)listener->data = true;
}

static void a_passed_socket_is_served_where_it_listens(void **state)
{
    struct world *w = &s_world;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct hws_net_listen_config config = {.address = "ignored",
                                           .has_fd = true,
                                           .fd = other,
                                           .bundle = w->host,
                                           .ops = &s_server_ops,
                                           .owner = w};
    static struct hws_net_listener l;
    char where[64];
    bool gone = false;
    struct hws_err err;

    (void)state;
    assert_int_equal(bind(listening, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &n), 0);
    assert_true(hws_net_listener_open(&l, &w->net, &config, &err) != HWS_OK); /* listens not */
    assert_non_null(strstr(err.msg, "the passed socket"));
    (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(close(other), 0);
    config.fd = listening;
    assert_ok(hws_net_listener_open(&l, &w->net, &config, &err), &err);
    assert_true(hws_str_print(where, sizeof where, "127.0.0.1:%u", ntohs(at.sin_port)));
    assert_string_equal(hws_net_listener_address(&l), where);
    l.data = &gone;
    hws_net_listener_close(&l, passed_closed);
    while (!gone) {
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
}

static void listener_closed(struct hws_net_listener *listener)
{
    (void)listener;
    s_world.n_listeners_closed++;
}

static int teardown(void **state)
{
    struct world *w = &s_world;
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

/* ---- claims -------------------------------------------------------------------------------------
 */

static void a_call_over_mutual_tls_carries_both_identities(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga,
         "spiffe://" HWS_PKI_DOMAIN "/agent/");
    run_until(&e.opened);

    call_echo(&e, "hello", 5);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_int_equal(hws_buf_len(&e.answer), 5);
    assert_memory_equal(hws_buf_peek(&e.answer), "hello", 5);
    assert_string_equal(s_world.principal, "spiffe://" HWS_PKI_DOMAIN "/operator/olga");
    assert_string_equal(hws_net_conn_peer(e.conn)->principal,
                        "spiffe://" HWS_PKI_DOMAIN "/agent/host");
    hang_up(&e);
}

static size_t s_most_in_flight;

/* At the end of a turn the account has what the connections hold, TLS's bytes among it. */
static void compare_account(uv_prepare_t *prepare)
{
    uint64_t holds = 0;

    (void)prepare;
    HWS_LIST_FOREACH (it, tmp, &s_world.tcp.conns) {
        struct hws_net_conn *conn = hws_container_of(it, struct hws_net_conn, link);
        size_t in_flight = hws_buf_len(&conn->sending) + hws_tls_conn_holds(&conn->tls);
        uv_os_fd_t fd = -1;
        int small = 8192; /* so that the socket does not take all */
        if (conn->opened && uv_fileno(&conn->io.handle, &fd) == 0) {
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        }
        holds += conn->pending ? HWS_TLS_ENGINE_BYTES : 0;
        if (conn->opened) {
            holds += conn->grpc.recv_bytes + conn->grpc.unsent_bytes + conn->grpc.out.n_bytes;
            holds += in_flight;
            s_most_in_flight = in_flight > s_most_in_flight ? in_flight : s_most_in_flight;
        }
    }
    assert_int_equal(s_world.tcp.all.held_bytes, holds);
}

static void the_account_has_what_tls_holds(void **state)
{
    enum { N = 3000 * 1000 };
    uint8_t *data = hws_mem_zalloc(1, N);
    uv_prepare_t prepare;
    struct end e;
    (void)state;
    /* The last prepare handle of a turn is the one that was started first. */
    assert_int_equal(uv_prepare_init(&s_world.loop, &prepare), 0);
    assert_int_equal(uv_prepare_start(&prepare, compare_account), 0);
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, data, N);
    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_true(s_most_in_flight > 16384);
    hang_up(&e);
    uv_close((uv_handle_t *)&prepare, NULL);
    (void)uv_run(&s_world.loop, UV_RUN_NOWAIT);
    assert_int_equal(s_world.tcp.all.held_bytes, 0);
    hws_mem_free(data);
}

static void megabytes_pass_on_tls_and_on_the_unix_socket(void **state)
{
    enum { N = 3000 * 1000 };
    uint8_t *data = hws_mem_alloc(N);
    uint64_t seed = hws_test_seed();
    char target[128];
    struct end e;
    (void)state;
    for (size_t i = 0; i < N; i++) {
        data[i] = (uint8_t)hws_test_rand(&seed);
    }
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", s_world.socket_path));
    for (int i = 0; i < 2; i++) {
        dial(&e, i == 0 ? target : hws_net_listener_address(&s_world.tcp),
             i == 0 ? NULL : s_world.olga, NULL);
        run_until(&e.opened);
        call_echo(&e, data, N);
        assert_int_equal(e.code, HWS_GRPC_OK);
        assert_int_equal(hws_buf_len(&e.answer), N);
        assert_memory_equal(hws_buf_peek(&e.answer), data, N);
        hang_up(&e);
    }
    hws_mem_free(data);
}

static void both_sides_full_do_not_wait_for_each_other(void **state)
{
    enum { N = 300 * 1000, CALLS = 100 };
    static uint8_t data[N];
    static struct end calls[CALLS];
    char target[128];
    struct end e;
    (void)state;
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", s_world.socket_path));
    for (int i = 0; i < 2; i++) {
        dial(&e, i == 0 ? target : hws_net_listener_address(&s_world.tcp),
             i == 0 ? NULL : s_world.olga, NULL);
        run_until(&e.opened);
        call_echo(&e, "x", 1); /* the server's limit on calls is known from here on */
        for (size_t k = 0; k < CALLS; k++) {
            calls[k] = (struct end){.conn = e.conn};
            start_echo(&calls[k], data, N);
        }
        for (size_t k = 0; k < CALLS; k++) {
            run_until(&calls[k].answered);
            assert_int_equal(calls[k].code, HWS_GRPC_OK);
            assert_int_equal(hws_buf_len(&calls[k].answer), N);
            hws_buf_deinit(&calls[k].answer);
        }
        hang_up(&e);
    }
}

struct batch { /* calls that begin together */
    struct hws_grpc_unary calls[16];
    uint32_t n_left;
    bool over;
};

static void one_of_batch(struct hws_grpc_unary *unary, const struct hws_grpc_outcome *outcome)
{
    struct batch *b = unary->data;

    assert_int_equal(outcome->code, HWS_GRPC_OK);
    b->over = --b->n_left == 0;
}

static void calls_of_one_turn_leave_in_one_write_and_their_answers_too(void **state)
{
    struct batch b;
    struct hws_err err;
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "settings", 8); /* what the beginning owes is out */

    memset(&b, 0, sizeof(b));
    uint64_t before = s_world.net.stats.writes;
    for (b.n_left = 0; b.n_left < 16; b.n_left++) {
        struct hws_grpc_unary *u = &b.calls[b.n_left];
        *u = (struct hws_grpc_unary){
            .path = "/t.Echo/Once", .request = "x", .n_request = 1, .cb = one_of_batch, .data = &b};
        assert_ok(
            hws_grpc_unary_start(hws_net_conn_grpc(e.conn), u, hws_net_now_ms(&s_world.net), &err),
            &err);
    }
    run_until(&b.over);

    assert_int_equal(s_world.net.stats.writes - before, 2);
    hang_up(&e);
}

static void an_idle_connection_holds_no_output_buffer(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e.opened);

    call_echo(&e, "hello", 5);

    assert_null(e.conn->sending.bytes);
    assert_true(s_world.net.n_spare > 0);
    hang_up(&e);
}

static void the_unix_socket_tells_who_by_the_kernels_word(void **state)
{
    char target[128];
    char me[32];
    struct end e;
    (void)state;
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", s_world.socket_path));
    assert_true(hws_str_print(me, sizeof(me), "unix:uid:%u", (unsigned)geteuid()));
    dial(&e, target, NULL, NULL);
    run_until(&e.opened);

    call_echo(&e, "x", 1);

    assert_string_equal(s_world.principal, me);
    hang_up(&e);
}

static void a_client_of_another_ca_is_refused_in_the_handshake_and_counted(void **state)
{
    struct hws_tls_bundle *stranger = load("bad/wrong-ca", "bad/other-ca/ca.crt");
    uint64_t before = s_world.net.stats.closed;
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&s_world.tcp), stranger, NULL);

    run_until(&e.closed);

    assert_false(e.opened);
    assert_int_equal(e.err.code, HWS_E_DENIED);
    while (s_world.net.stats.closed < before + 2) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    assert_true(strlen(s_world.refused) > 0);
    hws_buf_deinit(&e.answer);
    hws_tls_bundle_unref(stranger);
}

/* Turns the loop until the listener has a handshake under way, and denies the client then. */
static void deny_within_the_handshake(struct hws_tls_bundle *denying)
{
    while (s_world.tcp.n_handshakes == 0) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    hws_net_listener_set_bundle(&s_world.tcp, denying);
}

static void a_handshake_under_way_is_judged_by_the_bundle_that_replaced_its_own(void **state)
{
    struct hws_tls_bundle *denying = load_denying(
        "agent-host", "ca.crt", "principal spiffe://" HWS_PKI_DOMAIN "/operator/olga\n");
    uint64_t closed = s_world.net.stats.closed;
    uint64_t cut_off = s_world.net.stats.cut_off;
    uint64_t identified = s_world.net.stats.identified;
    struct end e;
    (void)state;

    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    deny_within_the_handshake(denying);
    assert_int_equal(s_world.net.stats.identified, identified);
    run_until(&e.closed);
    while (s_world.net.stats.closed < closed + 2) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }

    assert_int_equal(s_world.net.stats.cut_off - cut_off, 1);
    assert_string_equal(s_world.refused, "refused");
    assert_int_equal(s_world.tcp.n_handshakes, 0);
    hws_buf_deinit(&e.answer);
    hws_net_listener_set_bundle(&s_world.tcp, s_world.host);
    hws_tls_bundle_unref(denying);
}

static void a_broken_record_is_answered_by_an_alert_though_output_waits(void **state)
{
    static const uint8_t broken[] = {23, 3,  3,  0,  32, 1,  2,  3,  4,  5,  6,  7,  8,
                                     9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                     22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
    uint32_t before = s_world.n_server_closed;
    uv_os_fd_t fd = -1;
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    HWS_LIST_FOREACH (it, tmp, &s_world.tcp.conns) {
        struct hws_net_conn *server = hws_container_of(it, struct hws_net_conn, link);
        hws_grpc_conn_drain(&server->grpc, 0, hws_net_now_ms(server->net));
        (void)uv_prepare_stop(&server->wake); /* it reads before it writes */
    }
    assert_int_equal(uv_fileno(&e.conn->io.handle, &fd), 0);
    assert_int_equal(send(fd, broken, sizeof(broken), MSG_NOSIGNAL), sizeof(broken));
    run_until(&e.closed);

    if (strstr(e.err.msg, "alert") == NULL) {
        fail_msg("no alert: %s", e.err.msg);
    }
    while (s_world.n_server_closed == before) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    hws_buf_deinit(&e.answer);
}

static void a_server_other_than_the_expected_one_is_refused(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga,
         "spiffe://" HWS_PKI_DOMAIN "/agent/other");

    run_until(&e.closed);

    assert_false(e.opened);
    assert_int_equal(e.err.code, HWS_E_DENIED);
    hws_buf_deinit(&e.answer);
}

static void nobody_listening_is_gone(void **state)
{
    struct end e;
    (void)state;
    dial(&e, "unix:/nonexistent/hawser.sock", NULL, NULL);
    run_until(&e.closed);
    assert_int_equal(e.err.code, HWS_E_GONE);
    hws_buf_deinit(&e.answer);

    dial(&e, "127.0.0.1:1", s_world.olga, NULL);
    run_until(&e.closed);
    assert_int_equal(e.err.code, HWS_E_GONE);
    hws_buf_deinit(&e.answer);
}

/* ---- names with several addresses ---------------------------------------------------------------
 */

/*
 * Stands in front of the C library's resolver for libuv: "several.test" has the addresses that the
 * test put here, in this order. Other names go to nobody: tests resolve nothing else.
 */
static struct {
    struct addrinfo info[3];
    struct sockaddr_in addr[3];
    int n;
} s_resolver;

static void answer_with(const char *const *addresses, const int *ports, int n)
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

static int port_of(const char *address)
{
    uint64_t port = 0;
    assert_code(hws_str_to_u64(strrchr(address, ':') + 1, 65535, &port, NULL), HWS_OK);
    return (int)port;
}

/* A socket that listens on loopback and answers nobody; *out_port is its own. */
static int mute_listener(int backlog, int *out_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &n), 0);
    *out_port = ntohs(addr.sin_port);
    return fd;
}

/* Fills a listener's queue, so that the kernel drops further SYNs: a host that is off the air. */
static void fill_queue(int port, int *fds, int n)
{
    struct sockaddr_in addr;

    assert_int_equal(uv_ip4_addr("127.0.0.1", port, &addr), 0);
    for (int i = 0; i < n; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&addr, sizeof(addr));
    }
}

static void dial_within(struct end *e, const char *target, uint32_t timeout_ms)
{
    struct hws_net_dial_config config = {.target = target,
                                         .bundle = s_world.olga,
                                         .timeout_ms = timeout_ms,
                                         .ops = &s_client_ops,
                                         .owner = e};
    struct hws_err err;

    memset(e, 0, sizeof(*e));
    hws_buf_init(&e->answer, 0);
    assert_ok(hws_net_dial(&s_world.net, &config, &e->conn, &err), &err);
}

static void the_next_address_is_tried_when_one_refuses(void **state)
{
    int port = port_of(hws_net_listener_address(&s_world.tcp));
    struct end e;
    (void)state;
    answer_with((const char *const[]){"127.0.0.2", "127.0.0.3", "127.0.0.1"},
                (const int[]){port, port, port}, 3);

    dial_within(&e, "several.test:7", 0);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    assert_int_equal(e.code, HWS_GRPC_OK);
    hang_up(&e);
}

static void the_next_address_is_tried_when_one_does_not_answer(void **state)
{
    int port = port_of(hws_net_listener_address(&s_world.tcp));
    int dead_port = 0;
    int fds[4];
    int dead = mute_listener(0, &dead_port);
    struct end e;
    (void)state;
    fill_queue(dead_port, fds, 4);
    answer_with((const char *const[]){"127.0.0.1", "127.0.0.1"}, (const int[]){dead_port, port}, 2);

    dial_within(&e, "several.test:7", 2000);
    run_until(&e.opened);
    hang_up(&e);

    /* Only dead ones: the last word is the deadline's. */
    answer_with((const char *const[]){"127.0.0.1", "127.0.0.1"},
                (const int[]){dead_port, dead_port}, 2);
    dial_within(&e, "several.test:7", 200);
    run_until(&e.closed);
    assert_int_equal(e.err.code, HWS_E_TIMEOUT);
    hang_up(&e);

    /* Closed by its user between two addresses, and while the second is tried. */
    for (uint64_t i = 0; i < 2; i++) {
        dial_within(&e, "several.test:7", 400);
        uint64_t end_ms = uv_now(&s_world.loop) + 190 + i * 40;
        while (uv_now(&s_world.loop) < end_ms) {
            (void)uv_run(&s_world.loop, UV_RUN_NOWAIT);
        }
        hang_up(&e);
    }
    for (int i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
    (void)close(dead);
}

static void the_last_address_says_why_none_answered(void **state)
{
    struct end e;
    (void)state;
    answer_with((const char *const[]){"127.0.0.1", "127.0.0.2"}, (const int[]){1, 1}, 2);

    dial_within(&e, "several.test:7", 0);
    run_until(&e.closed);

    assert_int_equal(e.err.code, HWS_E_GONE);
    assert_non_null(strstr(e.err.msg, "several.test:7"));
    hang_up(&e);
}

static void a_mute_server_holds_a_dial_no_longer_than_was_asked(void **state)
{
    char target[32];
    int port = 0;
    int mute = mute_listener(8, &port);
    uint64_t start_ms = uv_now(&s_world.loop);
    struct end e;
    (void)state;
    assert_true(hws_str_print(target, sizeof(target), "127.0.0.1:%d", port));

    dial_within(&e, target, 300);
    run_until(&e.closed);

    assert_int_equal(e.err.code, HWS_E_TIMEOUT);
    assert_true(uv_now(&s_world.loop) - start_ms < HWS_TLS_HANDSHAKE_TIMEOUT_MS / 2);
    hang_up(&e);
    (void)close(mute);
}

static void one_identity_cannot_take_all_connections(void **state)
{
    struct end e[4];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        dial(&e[i], hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
        run_until(&e[i].opened);
        call_echo(&e[i], "x", 1);
    }

    dial(&e[3], hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e[3].closed);

    assert_string_equal(s_world.refused, "limit");
    call_echo(&e[0], "y", 1);
    assert_int_equal(e[0].code, HWS_GRPC_OK);
    for (size_t i = 0; i < 4; i++) {
        hang_up(&e[i]);
    }
}

/* Somebody who connects from that address and says nothing. */
static int silent_stranger_from(const char *source)
{
    struct sockaddr_in addr;
    uint64_t port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(uv_ip4_addr(source, 0, &addr), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_code(hws_str_to_u64(strrchr(hws_net_listener_address(&s_world.tcp), ':') + 1, 65535,
                               &port, NULL),
                HWS_OK);
    assert_int_equal(uv_ip4_addr("127.0.0.1", (int)port, &addr), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static int silent_stranger(void)
{
    return silent_stranger_from("127.0.0.1");
}

static bool ended_by_peer(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)close(fds[i]);
    }
    while (s_world.tcp.n_handshakes > 0) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
}

static void await_waiting(uint32_t n)
{
    while (s_world.tcp.gate.n_waiting < n) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
}

static void silent_strangers_make_room_oldest_first(void **state)
{
    struct end e;
    int fds[8];
    uint64_t before = s_world.net.stats.over_handshakes;
    (void)state;
    s_world.tcp.gate.patience_ms = HWS_NET_PATIENCE_MIN_MS;

    for (size_t i = 0; i < 8; i++) {
        fds[i] = silent_stranger();
    }
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_true(s_world.net.stats.over_handshakes - before >= 5); /* 9 pending, 4 may be */
    for (size_t i = 0; i < 5; i++) {
        assert_true(ended_by_peer(fds[i]));
    }
    assert_int_equal(s_world.tcp.all.held_bytes / HWS_TLS_ENGINE_BYTES, s_world.tcp.gate.n_begun);
    hang_up(&e);
    close_all(fds, 8);
    assert_int_equal(s_world.tcp.all.held_bytes, 0);
}

static void who_comes_back_with_many_waits_and_is_not_turned_away(void **state)
{
    enum { N = 12 };
    struct hws_net_limits *l = &s_world.tcp.limits;
    const struct hws_net_limits before = *l;
    const struct hws_net_stats *stats = &s_world.net.stats;
    uint64_t waited = stats->waited;
    uint64_t identified = stats->identified;
    uint64_t accepted = stats->accepted;
    struct end e[N];
    (void)state;
    l->max_handshakes = 2;
    l->max_conns_per_identity = N;
    s_world.tcp.gate.patience_ms = 3600 * 1000; /* on any machine */

    for (size_t i = 0; i < N; i++) {
        dial(&e[i], hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    }
    for (size_t i = 0; i < N; i++) {
        run_until(&e[i].opened);
        call_echo(&e[i], "x", 1);
        assert_int_equal(e[i].code, HWS_GRPC_OK);
    }

    assert_int_equal(stats->identified - identified, 2 * N); /* both ends count */
    assert_int_equal(stats->accepted - accepted, N);
    assert_true(stats->waited > waited);
    for (size_t i = 0; i < N; i++) {
        hang_up(&e[i]);
    }
    *l = before;
}

static void an_address_with_none_takes_a_place_of_the_one_that_has_most(void **state)
{
    struct hws_net_limits *l = &s_world.tcp.limits;
    const struct hws_net_limits before = *l;
    uint64_t ended = s_world.net.stats.over_handshakes;
    struct end e;
    int fds[8];
    (void)state;
    l->max_handshakes = 4;
    s_world.tcp.gate.patience_ms = 3600 * 1000;
    for (size_t i = 0; i < 8; i++) {
        fds[i] = silent_stranger_from("127.0.0.2");
    }
    await_waiting(4);

    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_int_equal(s_world.net.stats.over_handshakes - ended, 1);
    assert_true(ended_by_peer(fds[0]));
    assert_false(ended_by_peer(fds[1]));
    hang_up(&e);
    close_all(fds, 8);
    *l = before;
}

static void who_left_while_waiting_is_not_begun(void **state)
{
    int fds[6];
    (void)state;
    s_world.tcp.gate.patience_ms = 3600 * 1000;
    for (size_t i = 0; i < 6; i++) {
        fds[i] = silent_stranger();
    }
    await_waiting(2);

    (void)close(fds[5]);
    (void)close(fds[4]);
    (void)close(fds[0]);
    while (s_world.tcp.gate.n_waiting > 0 || s_world.tcp.gate.n_begun > 3) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }

    assert_int_equal(s_world.tcp.gate.n_begun, 3);
    close_all(fds + 1, 3);
}

static void nobody_is_accepted_while_too_many_wait(void **state)
{
    enum { N = HWS_NET_WAITING + 40 };
    struct hws_net_limits *l = &s_world.tcp.limits;
    const struct hws_net_limits before = *l;
    uint64_t accepted = s_world.net.stats.accepted;
    struct end e;
    int fds[N];
    (void)state;
    l->max_handshakes = 2;
    l->max_conns = 2 * N;
    l->max_conns_per_address = 2 * N;
    s_world.tcp.gate.patience_ms = 3600 * 1000;
    for (size_t i = 0; i < N; i++) {
        fds[i] = silent_stranger();
    }
    while (!s_world.tcp.held) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    assert_int_equal(s_world.net.stats.accepted - accepted, HWS_NET_WAITING + 2);

    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    for (size_t i = 0; i < N; i++) {
        (void)close(fds[i]);
    }
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_int_equal(s_world.net.stats.accepted - accepted, N + 1);
    hang_up(&e);
    *l = before;
}

static void strangers_go_when_descriptors_are_scarce_but_not_for_their_own_kind(void **state)
{
    struct hws_net_limits *l = &s_world.tcp.limits;
    const struct hws_net_limits before = *l;
    const struct hws_net_stats *stats = &s_world.net.stats;
    uint64_t refused = stats->over_conns;
    struct end e[2];
    int fds[5];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fds[i] = silent_stranger_from("127.0.0.2");
    }
    while (s_world.tcp.n_handshakes < 3) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    l->max_conns = s_world.tcp.n_open;

    fds[3] = silent_stranger_from("127.0.0.2");
    while (stats->over_conns == refused) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    assert_false(ended_by_peer(fds[0]));
    for (size_t i = 0; i < 2; i++) {
        dial(&e[i], hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
        run_until(&e[i].opened);
        call_echo(&e[i], "x", 1);
        assert_int_equal(e[i].code, HWS_GRPC_OK);
        assert_true(ended_by_peer(fds[i]));
    }

    assert_false(ended_by_peer(fds[2]));
    hang_up(&e[0]);
    hang_up(&e[1]);
    *l = before;
    close_all(fds, 4);
}

static void a_listener_closes_while_a_peer_waits(void **state)
{
    static struct hws_net_listener l;
    struct hws_net_limits limits;
    struct hws_net_listen_config config = {.address = "127.0.0.1:0",
                                           .bundle = s_world.host,
                                           .ops = &s_server_ops,
                                           .owner = &s_world,
                                           .limits = &limits};
    struct end e[2];
    bool gone = false;
    struct hws_err err;
    (void)state;
    hws_net_limits_default(&limits);
    limits.max_handshakes = 1;
    assert_ok(hws_net_listener_open(&l, &s_world.net, &config, &err), &err);
    l.data = &gone;
    for (size_t i = 0; i < 2; i++) {
        dial(&e[i], hws_net_listener_address(&l), s_world.olga, NULL);
    }
    while (l.gate.n_waiting == 0 && !e[1].opened) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }

    hws_net_listener_close(&l, passed_closed);
    run_until(&gone);
    for (size_t i = 0; i < 2; i++) {
        run_until(&e[i].closed);
        hang_up(&e[i]);
    }
}

static void handshakes_in_a_short_time_are_bounded(void **state)
{
    struct hws_net_stats *stats = &s_world.net.stats;
    uint64_t before = stats->over_handshake_rate;
    enum { N = 40 };
    int fds[N];
    (void)state;

    hws_grpc_rate_init(&s_world.tcp.attempts, N / 2, 1, hws_net_now_ms(&s_world.net));
    for (size_t i = 0; i < N; i++) {
        fds[i] = silent_stranger();
    }
    for (unsigned i = 0; i < 1000 && stats->over_handshake_rate == before; i++) {
        (void)uv_run(&s_world.loop, UV_RUN_NOWAIT);
    }

    assert_true(stats->over_handshake_rate > before);
    for (size_t i = 0; i < N; i++) {
        (void)close(fds[i]);
    }
    while (s_world.tcp.n_conns > 0) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
}

/* One call from dial to the end, whatever fails on the way. */
static void try_call(const char *target, struct hws_tls_bundle *bundle)
{
    struct end e;
    struct hws_net_dial_config config = {
        .target = target, .bundle = bundle, .ops = &s_client_ops, .owner = &e};

    memset(&e, 0, sizeof(e));
    if (hws_net_dial(&s_world.net, &config, &e.conn, NULL) != HWS_OK) {
        return;
    }
    assert_int_equal(uv_timer_start(&s_world.limit, too_late, LIMIT_MS, 0), 0);
    while (!e.opened && !e.closed) {
        (void)uv_run(&s_world.loop, UV_RUN_ONCE);
    }
    e.unary = (struct hws_grpc_unary){.path = "/t.Echo/Once",
                                      .request = "hello",
                                      .n_request = 5,
                                      .timeout_ms = 10000,
                                      .cb = answered,
                                      .data = &e};
    if (!e.closed && hws_grpc_unary_start(hws_net_conn_grpc(e.conn), &e.unary,
                                          hws_net_now_ms(&s_world.net), NULL) == HWS_OK) {
        while (!e.answered) {
            (void)uv_run(&s_world.loop, UV_RUN_ONCE);
        }
    }
    (void)uv_timer_stop(&s_world.limit);
    hang_up(&e);
}

static void sweep(const char *target, struct hws_tls_bundle *bundle)
{
    struct end e;

    hws_mem_count_reset();
    try_call(target, bundle);
    uint64_t n = hws_mem_n_allocs();
    assert_true(n > 10);
    for (uint64_t k = 1; k <= n; k++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            hws_mem_fail_after(k, sticky != 0);
            try_call(target, bundle);
            hws_mem_fail_after(0, false);
        }
        dial(&e, target, bundle, NULL);
        run_until(&e.opened);
        call_echo(&e, "x", 1);
        assert_int_equal(e.code, HWS_GRPC_OK);
        hang_up(&e);
    }
}

static void every_failed_allocation_costs_one_call_only(void **state)
{
    char target[160];
    (void)state;

    assert_true(hws_str_print(target, sizeof(target), "unix:%s", s_world.socket_path));
    sweep(target, NULL);
}

static void every_failed_allocation_costs_one_call_only_with_tls(void **state)
{
    (void)state;
    sweep(hws_net_listener_address(&s_world.tcp), s_world.olga);
}

static void a_drained_connection_ends_by_itself(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&s_world.tcp), s_world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    hws_net_listener_drain(&s_world.tcp, 1000);
    run_until(&e.closed);

    hws_buf_deinit(&e.answer);
}

/* ---- channels ---- */

struct asked { /* a channel's call, as its caller sees it */
    struct hws_grpc_channel_call call;
    enum hws_grpc_code code;
    size_t n_bytes;
    bool closed;
};

static bool s_channel_closed;

static void channel_message(struct hws_grpc_channel_call *call, const uint8_t *bytes, size_t n)
{
    struct asked *a = call->data;
    (void)bytes;
    a->n_bytes += n;
}

static void channel_close(struct hws_grpc_channel_call *call,
                          const struct hws_grpc_outcome *outcome)
{
    struct asked *a = call->data;
    a->closed = true;
    a->code = outcome->code;
}

static void channel_closed(struct hws_net_channel *channel)
{
    (void)channel;
    s_channel_closed = true;
}

static void channel_ask(struct hws_net_channel *channel, struct asked *a, bool wait_for_ready)
{
    struct hws_err err;
    memset(a, 0, sizeof(*a));
    a->call = (struct hws_grpc_channel_call){.path = "/t.Echo/Once",
                                             .request = "hello",
                                             .n_request = 5,
                                             .timeout_ms = 15000,
                                             .wait_for_ready = wait_for_ready,
                                             .on_message = channel_message,
                                             .on_close = channel_close,
                                             .data = a};
    assert_ok(hws_net_channel_start(channel, &a->call, &err), &err);
}

static void channel_open(struct hws_net_channel *channel, const char *target)
{
    const struct hws_net_channel_config config = {.target = target, .bundle = s_world.olga};
    struct hws_err err;
    assert_ok(hws_net_channel_open(channel, &s_world.net, &config, &err), &err);
}

static void channel_end(struct hws_net_channel *channel)
{
    s_channel_closed = false;
    hws_net_channel_close(channel, channel_closed);
    assert_false(s_channel_closed);
    run_until(&s_channel_closed);
}

static void a_channel_resolves_its_name_and_connects_again_after_a_loss(void **state)
{
    int port = port_of(hws_net_listener_address(&s_world.tcp));
    struct hws_net_channel channel;
    struct asked a;
    (void)state;
    answer_with((const char *const[]){"127.0.0.2", "127.0.0.1"}, (const int[]){port, port}, 2);
    channel_open(&channel, "several.test:7");
    for (int i = 0; i < 3; i++) {
        uint32_t n_closed = s_world.n_server_closed;
        channel_ask(&channel, &a, true);
        run_until(&a.closed);
        assert_int_equal(a.code, HWS_GRPC_OK);
        assert_int_equal(a.n_bytes, 5);
        HWS_LIST_FOREACH (it, tmp, &s_world.tcp.conns) {
            hws_net_conn_close(hws_container_of(it, struct hws_net_conn, link));
        }
        while (s_world.n_server_closed == n_closed) {
            (void)uv_run(&s_world.loop, UV_RUN_ONCE);
        }
    }
    assert_int_equal(channel.n_addresses, 2);
    channel_end(&channel);
}

static void a_channel_on_a_unix_socket_needs_no_name(void **state)
{
    struct hws_net_channel channel;
    char target[128];
    struct asked a;
    (void)state;
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", s_world.socket_path));
    channel_open(&channel, target);
    channel_ask(&channel, &a, false);
    run_until(&a.closed);
    assert_int_equal(a.code, HWS_GRPC_OK);
    channel_end(&channel);
}

/* One call over a channel of its own, whatever fails on the way. */
static void try_channel(const char *target)
{
    const struct hws_net_channel_config config = {.target = target};
    struct hws_net_channel channel;
    struct asked a;

    if (hws_net_channel_open(&channel, &s_world.net, &config, NULL) != HWS_OK) {
        return;
    }
    channel_ask(&channel, &a, false);
    /* Without a connection all of it may happen in timers, behind which a loop that may wait would.
     */
    assert_int_equal(uv_timer_start(&s_world.limit, too_late, LIMIT_MS, 0), 0);
    while (!a.closed) {
        (void)uv_run(&s_world.loop, UV_RUN_NOWAIT);
    }
    (void)uv_timer_stop(&s_world.limit);
    channel_end(&channel);
}

static void a_channel_survives_every_failed_allocation(void **state)
{
    char target[128];
    (void)state;

    assert_true(hws_str_print(target, sizeof(target), "unix:%s", s_world.socket_path));
    hws_mem_count_reset();
    try_channel(target);
    uint64_t n = hws_mem_n_allocs();
    assert_true(n > 10);
    for (uint64_t k = 1; k <= n; k++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            hws_mem_fail_after(k, sticky != 0);
            try_channel(target);
            hws_mem_fail_after(0, false);
        }
    }
    a_channel_on_a_unix_socket_needs_no_name(state);
}

static void a_channel_that_nobody_answers_says_so_or_waits_as_told(void **state)
{
    struct hws_net_channel channel;
    struct asked hasty;
    struct asked patient;
    (void)state;
    channel_open(&channel, "127.0.0.1:1");
    channel_ask(&channel, &patient, true);
    channel_ask(&channel, &hasty, false);
    run_until(&hasty.closed);
    assert_int_equal(hasty.code, HWS_GRPC_UNAVAILABLE);
    assert_false(patient.closed);
    channel_end(&channel);
    assert_true(patient.closed);
    assert_int_equal(patient.code, HWS_GRPC_CANCELLED);
}

static void close_its_channel(struct hws_grpc_channel_call *call,
                              const struct hws_grpc_outcome *outcome)
{
    struct asked *a = call->data;

    a->closed = true;
    a->code = outcome->code;
    s_channel_closed = false;
    hws_net_channel_close(hws_container_of(call->channel, struct hws_net_channel, calls),
                          channel_closed);
}

static void a_channel_may_be_closed_by_the_end_of_a_call(void **state)
{
    struct hws_net_channel channel;
    struct asked a;

    (void)state;
    channel_open(&channel, "127.0.0.1:1");
    channel_ask(&channel, &a, false);
    a.call.on_close = close_its_channel;
    run_until(&a.closed);
    assert_int_equal(a.code, HWS_GRPC_UNAVAILABLE);
    run_until(&s_channel_closed);
}

/* The look at the name is due while another is under way: the loop must go on turning, or its end
 * is never heard of. */
static void a_channel_that_looks_at_its_name_again_lets_the_loop_turn(void **state)
{
    struct hws_net_channel channel;
    struct asked patient;

    (void)state;
    channel_open(&channel, "127.0.0.1:1");
    channel_ask(&channel, &patient, true);
    run_until(&channel.stale); /* refused once */
    channel.resolved_at_ms = 1;
    while (channel.resolved_at_ms == 1) {
        (void)uv_run(s_world.net.loop, UV_RUN_ONCE);
    }
    channel_end(&channel);
}

static void a_channel_needs_a_target_and_a_certificate(void **state)
{
    struct hws_net_channel channel;
    struct hws_net_channel_config config = {.target = "nowhere", .bundle = s_world.olga};
    (void)state;
    assert_code(hws_net_channel_open(&channel, &s_world.net, &config, NULL), HWS_E_INVALID);
    config = (struct hws_net_channel_config){.target = "127.0.0.1:1"};
    assert_code(hws_net_channel_open(&channel, &s_world.net, &config, NULL), HWS_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_over_mutual_tls_carries_both_identities),
        cmocka_unit_test(the_account_has_what_tls_holds),
        cmocka_unit_test(megabytes_pass_on_tls_and_on_the_unix_socket),
        cmocka_unit_test(both_sides_full_do_not_wait_for_each_other),
        cmocka_unit_test(calls_of_one_turn_leave_in_one_write_and_their_answers_too),
        cmocka_unit_test(an_idle_connection_holds_no_output_buffer),
        cmocka_unit_test(the_unix_socket_tells_who_by_the_kernels_word),
        cmocka_unit_test(a_client_of_another_ca_is_refused_in_the_handshake_and_counted),
        cmocka_unit_test(a_handshake_under_way_is_judged_by_the_bundle_that_replaced_its_own),
        cmocka_unit_test(a_broken_record_is_answered_by_an_alert_though_output_waits),
        cmocka_unit_test(a_server_other_than_the_expected_one_is_refused),
        cmocka_unit_test(a_passed_socket_is_served_where_it_listens),
        cmocka_unit_test(nobody_listening_is_gone),
        cmocka_unit_test(the_next_address_is_tried_when_one_refuses),
        cmocka_unit_test(the_next_address_is_tried_when_one_does_not_answer),
        cmocka_unit_test(the_last_address_says_why_none_answered),
        cmocka_unit_test(a_mute_server_holds_a_dial_no_longer_than_was_asked),
        cmocka_unit_test(one_identity_cannot_take_all_connections),
        cmocka_unit_test(a_drained_connection_ends_by_itself),
        cmocka_unit_test(every_failed_allocation_costs_one_call_only),
        cmocka_unit_test(every_failed_allocation_costs_one_call_only_with_tls),
        cmocka_unit_test(silent_strangers_make_room_oldest_first),
        cmocka_unit_test(who_comes_back_with_many_waits_and_is_not_turned_away),
        cmocka_unit_test(an_address_with_none_takes_a_place_of_the_one_that_has_most),
        cmocka_unit_test(who_left_while_waiting_is_not_begun),
        cmocka_unit_test(nobody_is_accepted_while_too_many_wait),
        cmocka_unit_test(strangers_go_when_descriptors_are_scarce_but_not_for_their_own_kind),
        cmocka_unit_test(a_listener_closes_while_a_peer_waits),
        cmocka_unit_test(handshakes_in_a_short_time_are_bounded),
        cmocka_unit_test(a_channel_resolves_its_name_and_connects_again_after_a_loss),
        cmocka_unit_test(a_channel_on_a_unix_socket_needs_no_name),
        cmocka_unit_test(a_channel_survives_every_failed_allocation),
        cmocka_unit_test(a_channel_that_nobody_answers_says_so_or_waits_as_told),
        cmocka_unit_test(a_channel_may_be_closed_by_the_end_of_a_call),
        cmocka_unit_test(a_channel_that_looks_at_its_name_again_lets_the_loop_turn),
        cmocka_unit_test(a_channel_needs_a_target_and_a_certificate),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
