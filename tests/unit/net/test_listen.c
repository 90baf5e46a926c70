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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_of_another_ca_is_refused_in_the_handshake_and_counted),
        cmocka_unit_test(a_handshake_under_way_is_judged_by_the_bundle_that_replaced_its_own),
        cmocka_unit_test(a_passed_socket_is_served_where_it_listens),
        cmocka_unit_test(one_identity_cannot_take_all_connections),
        cmocka_unit_test(a_listener_closes_while_a_peer_waits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
