/* A connection: bytes both ways over mutual TLS and a Unix socket, who is at the other end, its
 * end. */
#include <sys/socket.h>
#include <unistd.h>

#include "net_world.h"

static void a_call_over_mutual_tls_carries_both_identities(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga,
         "spiffe://" HWS_PKI_DOMAIN "/agent/");
    run_until(&e.opened);

    call_echo(&e, "hello", 5);

    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_int_equal(hws_buf_len(&e.answer), 5);
    assert_memory_equal(hws_buf_peek(&e.answer), "hello", 5);
    assert_string_equal(world.principal, "spiffe://" HWS_PKI_DOMAIN "/operator/olga");
    assert_string_equal(hws_net_conn_peer(e.conn)->principal,
                        "spiffe://" HWS_PKI_DOMAIN "/agent/host");
    hang_up(&e);
}

static void nobody_is_told_within_the_call_that_asks(void **state)
{
    struct end e;
    (void)state;
    dial(&e, "unix:/nonexistent/hawser.sock", NULL, NULL);
    assert_false(e.closed);
    run_until(&e.closed);
    hws_buf_deinit(&e.answer);

    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    assert_false(e.opened || e.closed);
    run_until(&e.opened);
    start_echo(&e, "x", 1);
    assert_false(e.answered);
    run_until(&e.answered);

    start_echo(&e, "y", 1);
    hws_net_conn_close(e.conn);
    assert_false(e.answered || e.closed);
    run_until(&e.closed);
    assert_true(e.answered);
    assert_int_equal(e.code, HWS_GRPC_UNAVAILABLE);
    hws_buf_deinit(&e.answer);

    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    hws_net_conn_close(e.conn); /* before it is anything */
    assert_false(e.closed);
    run_until(&e.closed);
    hws_buf_deinit(&e.answer);
}

static size_t s_most_in_flight;

/* At the end of a turn the account has what the connections hold, TLS's bytes among it. */
static void compare_account(uv_prepare_t *prepare)
{
    uint64_t holds = 0;

    (void)prepare;
    HWS_LIST_FOREACH (it, tmp, &world.tcp.conns) {
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
    assert_int_equal(world.tcp.all.held_bytes, holds);
}

static void the_account_has_what_tls_holds(void **state)
{
    enum { N = 3000 * 1000 };
    uint8_t *data = hws_mem_zalloc(1, N);
    uv_prepare_t prepare;
    struct end e;
    (void)state;
    /* The last prepare handle of a turn is the one that was started first. */
    assert_int_equal(uv_prepare_init(&world.loop, &prepare), 0);
    assert_int_equal(uv_prepare_start(&prepare, compare_account), 0);
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, data, N);
    assert_int_equal(e.code, HWS_GRPC_OK);
    assert_true(s_most_in_flight > 16384);
    hang_up(&e);
    uv_close((uv_handle_t *)&prepare, NULL);
    (void)uv_run(&world.loop, UV_RUN_NOWAIT);
    assert_int_equal(world.tcp.all.held_bytes, 0);
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
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", world.socket_path));
    for (int i = 0; i < 2; i++) {
        dial(&e, i == 0 ? target : hws_net_listener_address(&world.tcp), i == 0 ? NULL : world.olga,
             NULL);
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
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", world.socket_path));
    for (int i = 0; i < 2; i++) {
        dial(&e, i == 0 ? target : hws_net_listener_address(&world.tcp), i == 0 ? NULL : world.olga,
             NULL);
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
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "settings", 8); /* what the beginning owes is out */

    memset(&b, 0, sizeof(b));
    uint64_t before = world.net.stats.writes;
    for (b.n_left = 0; b.n_left < 16; b.n_left++) {
        struct hws_grpc_unary *u = &b.calls[b.n_left];
        *u = (struct hws_grpc_unary){
            .path = "/t.Echo/Once", .request = "x", .n_request = 1, .cb = one_of_batch, .data = &b};
        assert_ok(
            hws_grpc_unary_start(hws_net_conn_grpc(e.conn), u, hws_net_now_ms(&world.net), &err),
            &err);
    }
    run_until(&b.over);

    assert_int_equal(world.net.stats.writes - before, 2);
    hang_up(&e);
}

static void an_idle_connection_holds_no_output_buffer(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);

    call_echo(&e, "hello", 5);

    assert_null(e.conn->sending.bytes);
    assert_true(world.net.n_spare > 0);
    hang_up(&e);
}

static void the_unix_socket_tells_who_by_the_kernels_word(void **state)
{
    char target[128];
    char me[32];
    struct end e;
    (void)state;
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", world.socket_path));
    assert_true(hws_str_print(me, sizeof(me), "unix:uid:%u", (unsigned)geteuid()));
    dial(&e, target, NULL, NULL);
    run_until(&e.opened);

    call_echo(&e, "x", 1);

    assert_string_equal(world.principal, me);
    hang_up(&e);
}

static void a_broken_record_is_answered_by_an_alert_though_output_waits(void **state)
{
    static const uint8_t broken[] = {23, 3,  3,  0,  32, 1,  2,  3,  4,  5,  6,  7,  8,
                                     9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                     22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
    uint32_t before = world.n_server_closed;
    uv_os_fd_t fd = -1;
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    HWS_LIST_FOREACH (it, tmp, &world.tcp.conns) {
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
    while (world.n_server_closed == before) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    hws_buf_deinit(&e.answer);
}

/* One call from dial to the end, whatever fails on the way. */
static void try_call(const char *target, struct hws_tls_bundle *bundle)
{
    struct end e;
    struct hws_net_dial_config config = {
        .target = target, .bundle = bundle, .ops = &client_ops, .owner = &e};

    memset(&e, 0, sizeof(e));
    if (hws_net_dial(&world.net, &config, &e.conn, NULL) != HWS_OK) {
        return;
    }
    limit_begin();
    while (!e.opened && !e.closed) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    e.unary = (struct hws_grpc_unary){.path = "/t.Echo/Once",
                                      .request = "hello",
                                      .n_request = 5,
                                      .timeout_ms = 10000,
                                      .cb = answered,
                                      .data = &e};
    if (!e.closed && hws_grpc_unary_start(hws_net_conn_grpc(e.conn), &e.unary,
                                          hws_net_now_ms(&world.net), NULL) == HWS_OK) {
        while (!e.answered) {
            (void)uv_run(&world.loop, UV_RUN_ONCE);
        }
    }
    limit_end();
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

    assert_true(hws_str_print(target, sizeof(target), "unix:%s", world.socket_path));
    sweep(target, NULL);
}

static void every_failed_allocation_costs_one_call_only_with_tls(void **state)
{
    (void)state;
    sweep(hws_net_listener_address(&world.tcp), world.olga);
}

static void a_silent_peer_is_let_go_with_all_that_it_has_not_taken(void **state)
{
    enum { N = 60 * 1000, CALLS = 4, SMALL = 4096 }; /* as much as may be sent unasked */
    static uint8_t data[N];
    static struct end calls[CALLS];
    int small = SMALL;
    uv_os_fd_t fds[2] = {-1, -1};
    struct end e;
    (void)state;
    world.keepalive_ms = 300;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1); /* TLS 1.3: only now is the server's side open, too */
    world.keepalive_ms = 0;
    struct hws_net_conn *served = hws_container_of(world.tcp.conns.prev, struct hws_net_conn, link);
    assert_int_equal(uv_fileno(&e.conn->io.handle, &fds[0]), 0);
    assert_int_equal(uv_fileno(&served->io.handle, &fds[1]), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    uint32_t before = world.n_server_closed;
    uint64_t silent = world.net.stats.grpc.conn_keepalive_timeouts;

    for (size_t i = 0; i < CALLS; i++) {
        calls[i] = (struct end){.conn = e.conn};
        start_echo(&calls[i], data, N);
    }
    (void)uv_read_stop(&e.conn->io.stream); /* and it believes that it reads */
    bool waited = false;
    limit_begin();
    while (world.n_server_closed == before) {
        waited = waited || served->write_since_ms != 0;
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    limit_end();

    assert_true(waited);
    assert_int_equal(world.net.stats.grpc.conn_keepalive_timeouts, silent + 1);
    assert_int_equal(world.tcp.all.held_bytes, 0);
    hang_up(&e);
    for (size_t i = 0; i < CALLS; i++) {
        assert_true(calls[i].answered);
        hws_buf_deinit(&calls[i].answer);
    }
}

static void a_drained_connection_ends_by_itself(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);
    call_echo(&e, "x", 1);

    hws_net_listener_drain(&world.tcp, 1000);
    run_until(&e.closed);

    hws_buf_deinit(&e.answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_over_mutual_tls_carries_both_identities),
        cmocka_unit_test(nobody_is_told_within_the_call_that_asks),
        cmocka_unit_test(the_account_has_what_tls_holds),
        cmocka_unit_test(megabytes_pass_on_tls_and_on_the_unix_socket),
        cmocka_unit_test(both_sides_full_do_not_wait_for_each_other),
        cmocka_unit_test(calls_of_one_turn_leave_in_one_write_and_their_answers_too),
        cmocka_unit_test(an_idle_connection_holds_no_output_buffer),
        cmocka_unit_test(the_unix_socket_tells_who_by_the_kernels_word),
        cmocka_unit_test(a_broken_record_is_answered_by_an_alert_though_output_waits),
        cmocka_unit_test(a_drained_connection_ends_by_itself),
        cmocka_unit_test(a_silent_peer_is_let_go_with_all_that_it_has_not_taken),
        cmocka_unit_test(every_failed_allocation_costs_one_call_only),
        cmocka_unit_test(every_failed_allocation_costs_one_call_only_with_tls),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
