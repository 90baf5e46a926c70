/* Accepting peers: without descriptors, and more of them in a short time than may come. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net_world.h"

static void without_any_descriptor_callers_are_served_and_strangers_wait(void **state)
{
    const struct hws_net_stats *stats = &world.net.stats;
    struct rlimit before;
    struct rlimit none;
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    int waiting = silent_stranger();
    uint64_t accepted = stats->accepted;
    uint64_t failed = stats->accept_failed;
    uint64_t began_ms = uv_now(&world.loop);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0; /* not even the reserve's number is free */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);

    limit_begin();
    while (stats->accept_failed < failed + 3) { /* twice the pause is over */
        call_echo(&e, "x", 1);
        assert_int_equal(e.code, HWS_GRPC_OK);
    }
    uint64_t took_ms = uv_now(&world.loop) - began_ms;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(took_ms >= 2 * (uint64_t)HWS_NET_ACCEPT_PAUSE_MS - 2);
    assert_int_equal(stats->accepted, accepted);
    while (stats->accepted == accepted) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    limit_end();
    assert_true(world.tcp.accept.reserve_fd >= 0);

    (void)close(waiting);
    hang_up(&e);
}

static void with_the_reserve_only_a_stranger_is_turned_away(void **state)
{
    const struct hws_net_stats *stats = &world.net.stats;
    struct rlimit before;
    struct rlimit few;
    char byte;
    (void)state;
    int waiting = silent_stranger();
    uint64_t accepted = stats->accepted;
    uint64_t failed = stats->accept_failed;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)world.tcp.accept.reserve_fd + 1;
    int filler = 0;
    int fillers[64];
    size_t n = 0;
    while ((filler = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && /* holes below it */
           filler < world.tcp.accept.reserve_fd) {
        assert_true(n < sizeof(fillers) / sizeof(fillers[0]));
        fillers[n++] = filler;
    }
    (void)close(filler);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);

    limit_begin();
    while (stats->accept_failed == failed) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    limit_end();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(read(waiting, &byte, 1), 0);
    assert_int_equal(stats->accepted, accepted);
    assert_true(world.tcp.accept.reserve_fd >= 0);

    (void)close(waiting);
    while (n > 0) {
        (void)close(fillers[--n]);
    }
}

static void handshakes_in_a_short_time_are_bounded(void **state)
{
    const struct hws_net_stats *stats = &world.net.stats;
    uint64_t before = stats->over_handshake_rate;
    enum { N = 40 };
    int fds[N];
    (void)state;

    hws_grpc_rate_init(&world.tcp.attempts, N / 2, 1, hws_net_now_ms(&world.net));
    for (size_t i = 0; i < N; i++) {
        fds[i] = silent_stranger();
    }
    limit_begin();
    while (stats->over_handshake_rate == before) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    limit_end();

    for (size_t i = 0; i < N; i++) {
        (void)close(fds[i]);
    }
    while (world.tcp.n_conns > 0) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_descriptor_callers_are_served_and_strangers_wait),
        cmocka_unit_test(with_the_reserve_only_a_stranger_is_turned_away),
        cmocka_unit_test(handshakes_in_a_short_time_are_bounded), /* last: it spends the rate */
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
