/* Connecting: a name with several addresses, servers that refuse, say nothing or are others. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_world.h"

static void a_server_other_than_the_expected_one_is_refused(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga,
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

    dial(&e, "127.0.0.1:1", world.olga, NULL);
    run_until(&e.closed);
    assert_int_equal(e.err.code, HWS_E_GONE);
    hws_buf_deinit(&e.answer);
}

static int option_of(const struct end *e, int level, int option)
{
    uv_os_fd_t fd = -1;
    int value = 0;
    socklen_t n = sizeof(value);

    assert_int_equal(uv_fileno(&e->conn->io.handle, &fd), 0);
    assert_int_equal(getsockopt(fd, level, option, &value, &n), 0);
    return value;
}

static void the_kernel_of_a_client_misses_a_silent_server(void **state)
{
    struct end e;
    (void)state;
    dial(&e, hws_net_listener_address(&world.tcp), world.olga, NULL);
    run_until(&e.opened);

    assert_int_equal(option_of(&e, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(&e, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    assert_int_equal(
        option_of(&e, IPPROTO_TCP, TCP_KEEPINTVL) * option_of(&e, IPPROTO_TCP, TCP_KEEPCNT), 10);
    assert_int_equal(option_of(&e, IPPROTO_TCP, TCP_USER_TIMEOUT), 40000);
    hang_up(&e);
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
                                         .bundle = world.olga,
                                         .timeout_ms = timeout_ms,
                                         .ops = &client_ops,
                                         .owner = e};
    struct hws_err err;

    memset(e, 0, sizeof(*e));
    hws_buf_init(&e->answer, 0);
    assert_ok(hws_net_dial(&world.net, &config, &e->conn, &err), &err);
}

static void the_next_address_is_tried_when_one_refuses(void **state)
{
    int port = port_of(hws_net_listener_address(&world.tcp));
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
    int port = port_of(hws_net_listener_address(&world.tcp));
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
        uint64_t end_ms = uv_now(&world.loop) + 190 + i * 40;
        while (uv_now(&world.loop) < end_ms) {
            (void)uv_run(&world.loop, UV_RUN_NOWAIT);
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
    uint64_t start_ms = uv_now(&world.loop);
    struct end e;
    (void)state;
    assert_true(hws_str_print(target, sizeof(target), "127.0.0.1:%d", port));

    dial_within(&e, target, 300);
    run_until(&e.closed);

    assert_int_equal(e.err.code, HWS_E_TIMEOUT);
    assert_true(uv_now(&world.loop) - start_ms < HWS_TLS_HANDSHAKE_TIMEOUT_MS / 2);
    hang_up(&e);
    (void)close(mute);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_other_than_the_expected_one_is_refused),
        cmocka_unit_test(nobody_listening_is_gone),
        cmocka_unit_test(the_kernel_of_a_client_misses_a_silent_server),
        cmocka_unit_test(the_next_address_is_tried_when_one_refuses),
        cmocka_unit_test(the_next_address_is_tried_when_one_does_not_answer),
        cmocka_unit_test(the_last_address_says_why_none_answered),
        cmocka_unit_test(a_mute_server_holds_a_dial_no_longer_than_was_asked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
