/* Handshakes in their turn: strangers who say nothing, many who come at once, scarce descriptors.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_world.h"

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
    while (world.tcp.n_handshakes > 0) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
}

static void await_waiting(uint32_t n)
{
    while (world.tcp.gate.n_waiting < n) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
}

static void silent_strangers_make_room_oldest_first(void **state)
{
    struct end e;
    int fds[8];
    uint64_t before = world.net.stats.over_handshakes;
    (void)state;
    world.tcp.gate.patience_ms = HWS_NET_PATIENCE_MIN_MS;

    for (size_t i = 0; i < 8; i++) {
        fds[i] = silent_stranger();
    }
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_true(world.net.stats.over_handshakes - before >= 5); /* 9 pending, 4 may be */
    for (size_t i = 0; i < 5; i++) {
        assert_true(ended_by_peer(fds[i]));
    }
    assert_int_equal(world.tcp.all.held_bytes / HWS_TLS_ENGINE_BYTES, world.tcp.gate.n_begun);
    hang_up(&e);
    close_all(fds, 8);
    assert_int_equal(world.tcp.all.held_bytes, 0);
}

static void who_comes_back_with_many_waits_and_is_not_turned_away(void **state)
{
    enum { N = 12 };
    struct hws_net_limits *l = &world.tcp.limits;
    const struct hws_net_limits before = *l;
    const struct hws_net_stats *stats = &world.net.stats;
    uint64_t waited = stats->waited;
    uint64_t identified = stats->identified;
    uint64_t accepted = stats->accepted;
    struct end e[N];
    (void)state;
    l->max_handshakes = 2;
    l->max_conns_per_identity = N;
    world.tcp.gate.patience_ms = 3600 * 1000; /* on any machine */

    for (size_t i = 0; i < N; i++) {
        dial(&e[i], hws_net_listener_address(&world.tcp), world.olga, NULL);
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
    struct hws_net_limits *l = &world.tcp.limits;
    const struct hws_net_limits before = *l;
    uint64_t ended = world.net.stats.over_handshakes;
    struct end e;
    int fds[8];
    (void)state;
    l->max_handshakes = 4;
    world.tcp.gate.patience_ms = 3600 * 1000;
    for (size_t i = 0; i < 8; i++) {
        fds[i] = silent_stranger_from("127.0.0.2");
    }
    await_waiting(4);

    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_int_equal(world.net.stats.over_handshakes - ended, 1);
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
    world.tcp.gate.patience_ms = 3600 * 1000;
    for (size_t i = 0; i < 6; i++) {
        fds[i] = silent_stranger();
    }
    await_waiting(2);

    (void)close(fds[5]);
    (void)close(fds[4]);
    (void)close(fds[0]);
    while (world.tcp.gate.n_waiting > 0 || world.tcp.gate.n_begun > 3) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }

    assert_int_equal(world.tcp.gate.n_begun, 3);
    close_all(fds + 1, 3);
}

static void nobody_is_accepted_while_too_many_wait(void **state)
{
    enum { N = HWS_NET_WAITING + 40 };
    struct hws_net_limits *l = &world.tcp.limits;
    const struct hws_net_limits before = *l;
    uint64_t accepted = world.net.stats.accepted;
    struct end e;
    int fds[N];
    (void)state;
    l->max_handshakes = 2;
    l->max_conns = 2 * N;
    l->max_conns_per_address = 2 * N;
    world.tcp.gate.patience_ms = 3600 * 1000;
    for (size_t i = 0; i < N; i++) {
        fds[i] = silent_stranger();
    }
    while (!world.tcp.accept.held) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_int_equal(world.net.stats.accepted - accepted, HWS_NET_WAITING + 2);

    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    for (size_t i = 0; i < N; i++) {
        (void)close(fds[i]);
    }
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_int_equal(world.net.stats.accepted - accepted, N + 1);
    hang_up(&e);
    *l = before;
}

static void strangers_go_when_descriptors_are_scarce_but_not_for_their_own_kind(void **state)
{
    struct hws_net_limits *l = &world.tcp.limits;
    const struct hws_net_limits before = *l;
    const struct hws_net_stats *stats = &world.net.stats;
    uint64_t refused = stats->over_conns;
    struct end e[2];
    int fds[5];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fds[i] = silent_stranger_from("127.0.0.2");
    }
    while (world.tcp.n_handshakes < 3) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    l->max_conns = world.tcp.n_open;

    fds[3] = silent_stranger_from("127.0.0.2");
    while (stats->over_conns == refused) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_false(ended_by_peer(fds[0]));
    for (size_t i = 0; i < 2; i++) {
        dial(&e[i], hws_net_listener_address(&world.tcp), world.olga, NULL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silent_strangers_make_room_oldest_first),
        cmocka_unit_test(who_comes_back_with_many_waits_and_is_not_turned_away),
        cmocka_unit_test(an_address_with_none_takes_a_place_of_the_one_that_has_most),
        cmocka_unit_test(who_left_while_waiting_is_not_begun),
        cmocka_unit_test(nobody_is_accepted_while_too_many_wait),
        cmocka_unit_test(strangers_go_when_descriptors_are_scarce_but_not_for_their_own_kind),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
