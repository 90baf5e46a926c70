/* A listener: sockets that it is given, whom it refuses, its end. How it accepts: test_accept.c;
 * its queue of handshakes: test_gate.c. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_world.h"

static void passed_closed(struct hws_net_listener *listener)
{
    *(bool *)listener->data = true;
}

static void a_passed_socket_is_served_where_it_listens(void **state)
{
    struct world *w = &world;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct hws_net_listen_config config = {.address = "ignored",
                                           .has_fd = true,
                                           .fd = other,
                                           .bundle = w->host,
                                           .ops = &server_ops,
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

static void a_client_of_another_ca_is_refused_in_the_handshake_and_counted(void **state)
{
    struct hws_tls_bundle *stranger = load("bad/wrong-ca", "bad/other-ca/ca.crt");
    uint64_t before = world.net.stats.closed;
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), stranger, NULL);

    run_until(&e.closed);

    assert_false(e.opened);
    assert_int_equal(e.err.code, HWS_E_DENIED);
    while (world.net.stats.closed < before + 2) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_true(strlen(world.refused) > 0);
    hws_buf_deinit(&e.answer);
    hws_tls_bundle_unref(stranger);
}

/* Turns the loop until the listener has a handshake under way, and denies the client then. */
static void deny_within_the_handshake(struct hws_tls_bundle *denying)
{
    while (world.tcp.n_handshakes == 0) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    hws_net_listener_set_bundle(&world.tcp, denying);
}

static void a_handshake_under_way_is_judged_by_the_bundle_that_replaced_its_own(void **state)
{
    struct hws_tls_bundle *denying = load_denying(
        "agent-host", "ca.crt", "principal spiffe://" HWS_PKI_DOMAIN "/operator/olga\n");
    uint64_t closed = world.net.stats.closed;
    uint64_t cut_off = world.net.stats.cut_off;
    uint64_t identified = world.net.stats.identified;
    struct end e;
    (void)state;

    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    deny_within_the_handshake(denying);
    assert_int_equal(world.net.stats.identified, identified);
    run_until(&e.closed);
    while (world.net.stats.closed < closed + 2) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }

    assert_int_equal(world.net.stats.cut_off - cut_off, 1);
    assert_string_equal(world.refused, "refused");
    assert_int_equal(world.tcp.n_handshakes, 0);
    hws_buf_deinit(&e.answer);
    hws_net_listener_set_bundle(&world.tcp, world.host);
    hws_tls_bundle_unref(denying);
}

static void one_identity_cannot_take_all_connections(void **state)
{
    struct end e[4];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        dial(&e[i], hws_net_listener_address(&world.tcp), world.olga, NULL);
        run_until(&e[i].opened);
        call_echo(&e[i], "x", 1);
    }

    dial(&e[3], hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e[3].closed);

    assert_string_equal(world.refused, "limit");
    call_echo(&e[0], "y", 1);
    assert_int_equal(e[0].code, HWS_GRPC_OK);
    for (size_t i = 0; i < 4; i++) {
        hang_up(&e[i]);
    }
}

static void a_listener_closes_while_a_peer_waits(void **state)
{
    static struct hws_net_listener l;
    struct hws_net_limits limits;
    struct hws_net_listen_config config = {.address = "127.0.0.1:0",
                                           .bundle = world.host,
                                           .ops = &server_ops,
                                           .owner = &world,
                                           .limits = &limits};
    struct end e[2];
    bool gone = false;
    struct hws_err err;
    (void)state;
    hws_net_limits_default(&limits);
    limits.max_handshakes = 1;
    assert_ok(hws_net_listener_open(&l, &world.net, &config, &err), &err);
    l.data = &gone;
    for (size_t i = 0; i < 2; i++) {
        dial(&e[i], hws_net_listener_address(&l), world.olga, NULL);
    }
    while (l.gate.n_waiting == 0 && !e[1].opened) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }

    hws_net_listener_close(&l, passed_closed);
    run_until(&gone);
    for (size_t i = 0; i < 2; i++) {
        run_until(&e[i].closed);
        hang_up(&e[i]);
    }
}

/* What is wrong with an address, and what is allowed, is in the error. */
static void an_address_of_another_form_says_what_is_allowed(void **state)
{
    static const char *const rows[][2] = {
        {"7777", "\"7777\" is not host:port"},
        {"::1:80", "[address]:port"},
        {"dns:///a:80", "\"dns:///a:80\" is not host:port"},
        {"127.0.0.1:65536", "0 to 65535"},
        {"localhost:80", "is not a numeric address: 127.0.0.1:0"},
    };
    static struct hws_net_listener l;
    struct hws_net_listen_config config = {.bundle = world.host, .ops = &server_ops};
    struct hws_err err;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        config.address = rows[i][0];
        assert_code(hws_net_listener_open(&l, &world.net, &config, &err), HWS_E_INVALID);
        assert_non_null(strstr(err.msg, rows[i][1]));
        (void)uv_run(&world.loop, UV_RUN_NOWAIT);
    }
}

static void a_unix_socket_is_named_as_a_client_names_it(void **state)
{
    static struct hws_net_listener l;
    char name[128];
    struct hws_net_listen_config config = {.address = name, .ops = &server_ops, .owner = &world};
    bool gone = false;
    struct end e;
    struct hws_err err;
    (void)state;

    assert_true(hws_str_print(name, sizeof(name), "unix:%s-2", world.socket_path));
    assert_ok(hws_net_listener_open(&l, &world.net, &config, &err), &err);
    assert_string_equal(hws_net_listener_address(&l), name + strlen("unix:"));
    dial(&e, name, NULL, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);
    assert_int_equal(e.code, HWS_GRPC_OK);
    hang_up(&e);
    l.data = &gone;
    hws_net_listener_close(&l, passed_closed);
    run_until(&gone);
}

/* ---- the orderly end ---- */

static void call_over(struct hws_grpc_call *call, const struct hws_grpc_outcome *outcome)
{
    struct end *e = hws_grpc_call_data(call);

    e->answered = true;
    e->code = outcome->code;
}

/* A listener with one connection, whose one call waits for its message. */
static struct hws_grpc_call *open_with_a_call(struct hws_net_listener *l, struct end *e, bool *gone)
{
    static const struct hws_grpc_call_ops ops = {.on_close = call_over};
    const struct hws_net_listen_config config = {
        .address = "127.0.0.1:0", .bundle = world.host, .ops = &server_ops, .owner = &world};
    const struct hws_grpc_start start = {
        .path = "/t.Echo/Once", .kind = HWS_GRPC_UNARY, .ops = &ops, .data = e};
    struct hws_grpc_call *call = NULL;
    struct hws_err err;

    *gone = false;
    assert_ok(hws_net_listener_open(l, &world.net, &config, &err), &err);
    l->data = gone;
    dial(e, hws_net_listener_address(l), world.olga, NULL);
    run_until(&e->opened);
    assert_ok(hws_grpc_client_start(hws_net_conn_grpc(e->conn), &start, hws_net_now_ms(&world.net),
                                    &call, &err),
              &err);
    limit_begin();
    while (l->all.n_calls == 0) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    limit_end();
    return call;
}

static void a_finished_listener_serves_its_calls_and_nobody_new(void **state)
{
    static struct hws_net_listener l;
    struct hws_grpc_call *call;
    struct end e;
    struct end late;
    bool gone;
    (void)state;
    call = open_with_a_call(&l, &e, &gone);

    hws_net_listener_finish(&l, 0, passed_closed);
    dial(&late, hws_net_listener_address(&l), world.olga, NULL);
    run_until(&late.closed);
    assert_false(late.opened);
    assert_int_equal(late.err.code, HWS_E_GONE);
    assert_false(gone || e.closed || e.answered);
    assert_code(hws_grpc_call_send(call, "x", 1, NULL), HWS_OK);
    run_until(&e.answered);
    assert_int_equal(e.code, HWS_GRPC_OK);
    run_until(&gone);
    run_until(&e.closed);
    hang_up(&late);
    hang_up(&e);
}

static void a_finished_listener_waits_for_calls_as_long_as_it_was_told(void **state)
{
    static struct hws_net_listener l;
    struct end e;
    bool gone;
    (void)state;
    (void)open_with_a_call(&l, &e, &gone);

    hws_net_listener_finish(&l, 10, passed_closed);
    run_until(&e.answered);
    assert_int_equal(e.code, HWS_GRPC_UNAVAILABLE);
    run_until(&gone);
    run_until(&e.closed);
    hang_up(&e);
}

static enum hws_code open_without_a_table(struct hws_net_conn *conn,
                                          struct hws_grpc_conn_config *cfg, struct hws_err *err)
{
    (void)conn;
    (void)cfg;
    (void)err;
    return HWS_OK;
}

static void note_why(void *owner, const char *peer, const char *reason, const char *text)
{
    struct hws_err *why = owner;

    (void)peer;
    (void)reason;
    (void)hws_err_set(why, HWS_E_INVALID, "%s", text);
}

static void a_listener_without_a_table_serves_nobody_and_says_so(void **state)
{
    static const struct hws_net_conn_ops ops = {.on_open = open_without_a_table,
                                                .on_refused = note_why};
    static struct hws_net_listener l;
    struct hws_err why = {0};
    const struct hws_net_listen_config config = {
        .address = "127.0.0.1:0", .bundle = world.host, .ops = &ops, .owner = &why};
    struct end e;
    bool gone = false;
    struct hws_err err;
    (void)state;

    assert_ok(hws_net_listener_open(&l, &world.net, &config, &err), &err);
    l.data = &gone;
    dial(&e, hws_net_listener_address(&l), world.olga, NULL);
    run_until(&e.closed);
    hws_net_listener_close(&l, passed_closed);
    run_until(&gone);
    assert_non_null(strstr(why.msg, "set no cfg->server"));
    hang_up(&e);
}

static void not_this_one(struct hws_net_listener *listener)
{
    (void)listener;
    fail_msg("the end that close overtook came");
}

static void close_overtakes_finish(void **state)
{
    static struct hws_net_listener l;
    struct end e;
    bool gone;
    (void)state;
    (void)open_with_a_call(&l, &e, &gone);

    hws_net_listener_finish(&l, 0, not_this_one);
    hws_net_listener_close(&l, passed_closed);
    run_until(&gone);
    run_until(&e.answered);
    assert_int_equal(e.code, HWS_GRPC_UNAVAILABLE);
    run_until(&e.closed);
    hang_up(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_of_another_ca_is_refused_in_the_handshake_and_counted),
        cmocka_unit_test(a_handshake_under_way_is_judged_by_the_bundle_that_replaced_its_own),
        cmocka_unit_test(a_passed_socket_is_served_where_it_listens),
        cmocka_unit_test(one_identity_cannot_take_all_connections),
        cmocka_unit_test(a_listener_closes_while_a_peer_waits),
        cmocka_unit_test(an_address_of_another_form_says_what_is_allowed),
        cmocka_unit_test(a_unix_socket_is_named_as_a_client_names_it),
        cmocka_unit_test(a_finished_listener_serves_its_calls_and_nobody_new),
        cmocka_unit_test(a_finished_listener_waits_for_calls_as_long_as_it_was_told),
        cmocka_unit_test(close_overtakes_finish),
        cmocka_unit_test(a_listener_without_a_table_serves_nobody_and_says_so),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
