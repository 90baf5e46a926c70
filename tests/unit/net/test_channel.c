/* A channel on sockets: it resolves its name, connects, connects again, and ends. */
#include "asked.h"
#include "net_world.h"

static bool s_channel_closed;

static void channel_closed(struct hws_net_channel *channel)
{
    (void)channel;
    s_channel_closed = true;
}

/* Asks, which always begins. */
static void ask(struct hws_net_channel *channel, struct asked *a, bool wait_for_ready)
{
    assert_code(channel_ask(channel, a, wait_for_ready), HWS_OK);
}

static void channel_open(struct hws_net_channel *channel, const char *target)
{
    const struct hws_net_channel_config config = {.target = target, .bundle = world.olga};
    struct hws_err err;
    assert_ok(hws_net_channel_open(channel, &world.net, &config, &err), &err);
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
    int port = port_of(hws_net_listener_address(&world.tcp));
    struct hws_net_channel channel;
    struct asked a;
    (void)state;
    answer_with((const char *const[]){"127.0.0.2", "127.0.0.1"}, (const int[]){port, port}, 2);
    channel_open(&channel, "several.test:7");
    for (int i = 0; i < 3; i++) {
        uint32_t n_closed = world.n_server_closed;
        ask(&channel, &a, true);
        run_until(&a.closed);
        assert_int_equal(a.code, HWS_GRPC_OK);
        assert_int_equal(a.n_bytes, ASKED_BYTES);
        HWS_LIST_FOREACH (it, tmp, &world.tcp.conns) {
            hws_net_conn_close(hws_container_of(it, struct hws_net_conn, link));
        }
        while (world.n_server_closed == n_closed) {
            (void)uv_run(&world.loop, UV_RUN_ONCE);
        }
    }
    assert_int_equal(channel.n_addresses, 2);
    channel_end(&channel);
}

/* Waits until the channel has looked at its name once more, though nothing failed. */
static void look_again(struct hws_net_channel *channel)
{
    struct asked a;

    channel->stale = true;
    channel->resolved_at_ms = 1;
    ask(channel, &a, true);
    run_until(&a.closed);
    assert_int_equal(a.code, HWS_GRPC_OK);
    while (channel->resolving || channel->resolved_at_ms == 1) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
}

/* Resolvers turn the order of a name's addresses round by round, and may name one twice. */
static void an_address_that_the_name_keeps_keeps_its_connection(void **state)
{
    int port = port_of(hws_net_listener_address(&world.tcp));
    struct hws_net_channel channel;
    struct asked a;
    (void)state;
    answer_with((const char *const[]){"127.0.0.2", "127.0.0.1", "127.0.0.2"},
                (const int[]){port, port, port}, 3);
    channel_open(&channel, "several.test:7");
    ask(&channel, &a, true);
    run_until(&a.closed);
    assert_int_equal(channel.n_addresses, 2);
    uint64_t n_dialed = world.net.stats.dialed;
    struct hws_grpc_conn *conn = channel.calls.addresses[1].conn;
    assert_non_null(conn);
    answer_with((const char *const[]){"127.0.0.1", "127.0.0.2"}, (const int[]){port, port}, 2);
    look_again(&channel);
    assert_ptr_equal(channel.calls.addresses[1].conn, conn);
    answer_with((const char *const[]){"127.0.0.1", "127.0.0.3"}, (const int[]){port, port}, 2);
    look_again(&channel);
    assert_ptr_equal(channel.calls.addresses[0].conn, conn);
    assert_int_equal(world.net.stats.dialed, n_dialed);
    channel_end(&channel);
}

static void the_rest_of_an_unknown_name_has_the_ceiling_that_was_asked_for(void **state)
{
    struct hws_net_channel_config config = {
        .target = "nobody.test:7", .bundle = world.olga, .backoff_min_ms = 1, .backoff_max_ms = 5};
    struct hws_net_channel channel;
    struct asked a;
    struct hws_err err;
    (void)state;
    assert_ok(hws_net_channel_open(&channel, &world.net, &config, &err), &err);
    ask(&channel, &a, true);
    while (channel.unknown_ms < 5) {
        (void)uv_run(&world.loop, UV_RUN_ONCE);
    }
    for (uint64_t at_ms = channel.resolved_at_ms; channel.resolved_at_ms == at_ms;) {
        (void)uv_run(&world.loop, UV_RUN_ONCE); /* and looks again */
    }
    assert_int_equal(channel.unknown_ms, 5);
    channel_end(&channel);
}

static void a_channel_on_a_unix_socket_needs_no_name(void **state)
{
    struct hws_net_channel channel;
    char target[128];
    struct asked a;
    (void)state;
    assert_true(hws_str_print(target, sizeof(target), "unix:%s", world.socket_path));
    channel_open(&channel, target);
    ask(&channel, &a, false);
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

    if (hws_net_channel_open(&channel, &world.net, &config, NULL) != HWS_OK) {
        return;
    }
    ask(&channel, &a, false);
    /* Without a connection all of it may happen in timers, behind which a loop that may wait would.
     */
    limit_begin();
    while (!a.closed) {
        (void)uv_run(&world.loop, UV_RUN_NOWAIT);
    }
    limit_end();
    channel_end(&channel);
}

static void a_channel_survives_every_failed_allocation(void **state)
{
    char target[128];
    (void)state;

    assert_true(hws_str_print(target, sizeof(target), "unix:%s", world.socket_path));
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
    ask(&channel, &patient, true);
    ask(&channel, &hasty, false);
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
    ask(&channel, &a, false);
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
    ask(&channel, &patient, true);
    run_until(&channel.stale); /* refused once */
    channel.resolved_at_ms = 1;
    while (channel.resolved_at_ms == 1) {
        (void)uv_run(world.net.loop, UV_RUN_ONCE);
    }
    channel_end(&channel);
}

static void free_channel(struct hws_net_channel *channel)
{
    hws_mem_free(channel);
    s_channel_closed = true;
}

static void free_its_channel(struct hws_grpc_channel_call *call,
                             const struct hws_grpc_outcome *outcome)
{
    struct asked *a = call->data;

    a->closed = true;
    a->code = outcome->code;
    hws_net_channel_close(hws_container_of(call->channel, struct hws_net_channel, calls),
                          free_channel);
}

/* Its connection is the last that holds it, and ends after the owner asked. */
static void a_channel_is_freed_when_its_last_connection_has_gone(void **state)
{
    const char *targets[] = {"several.test:7", world.socket_path};
    const int port = port_of(hws_net_listener_address(&world.tcp));

    (void)state;
    answer_with((const char *const[]){"127.0.0.1"}, &port, 1);
    for (size_t i = 0; i < 2; i++) {
        struct hws_net_channel *channel = hws_mem_zalloc(1, sizeof(*channel));
        char target[128];
        struct asked a;
        assert_non_null(channel);
        assert_true(
            hws_str_print(target, sizeof(target), "%s%s", i == 0 ? "" : "unix:", targets[i]));
        channel_open(channel, target);
        ask(channel, &a, true);
        a.call.on_close = free_its_channel;
        s_channel_closed = false;
        run_until(&s_channel_closed);
        assert_int_equal(a.code, HWS_GRPC_OK);
    }
}

/* The reason that a call hears names the address, also when TLS has it. */
static void a_server_that_is_not_who_was_expected_is_named_with_its_address(void **state)
{
    const char *address = hws_net_listener_address(&world.tcp);
    const struct hws_net_channel_config config = {
        .target = "several.test:7", .bundle = world.olga, .expect = "spiffe://other.test/agent/x"};
    const int port = port_of(address);
    struct hws_net_channel channel;
    struct asked a;
    struct hws_err err;
    (void)state;
    answer_with((const char *const[]){"127.0.0.1"}, &port, 1);
    assert_ok(hws_net_channel_open(&channel, &world.net, &config, &err), &err);
    ask(&channel, &a, false);
    run_until(&a.closed);
    assert_int_equal(a.code, HWS_GRPC_UNAVAILABLE);
    assert_true(hws_str_starts(channel.calls.why, address));
    channel_end(&channel);
}

static void a_path_longer_than_a_sockets_is_refused_not_cut(void **state)
{
    char target[160];
    struct hws_net_channel channel;
    struct hws_net_channel_config config = {.target = target};
    struct hws_net_dial_config dialed = {.target = target, .ops = &client_ops};
    struct hws_net_conn *conn = NULL;
    struct hws_err err;
    (void)state;
    (void)hws_str_print(target, sizeof(target), "unix:/%0107d", 0);
    assert_code(hws_net_channel_open(&channel, &world.net, &config, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "at most 107 bytes, this has 108"));
    assert_code(hws_net_dial(&world.net, &dialed, &conn, &err), HWS_E_INVALID);
    assert_null(conn);
    target[strlen(target) - 1] = '\0';
    channel_open(&channel, target);
    channel_end(&channel);
}

static struct hws_net_listener s_twin;
static bool s_twin_closed;

static void twin_closed(struct hws_net_listener *listener)
{
    (void)listener;
    s_twin_closed = true;
}

/* Two servers, one of them named twice, and one that is not there. */
static void calls_go_round_robin_over_a_list_of_addresses(void **state)
{
    const struct hws_net_listen_config config = {
        .address = "127.0.0.1:0", .bundle = world.host, .ops = &server_ops, .owner = &world};
    const char *first = hws_net_listener_address(&world.tcp);
    char target[160];
    struct hws_net_channel channel;
    struct asked a;
    struct hws_err err;
    (void)state;

    assert_ok(hws_net_listener_open(&s_twin, &world.net, &config, &err), &err);
    assert_true(hws_str_print(target, sizeof(target), "%s,%s,%s,127.0.0.1:1", first,
                              hws_net_listener_address(&s_twin), first));
    channel_open(&channel, target);
    assert_int_equal(channel.n_addresses, 3);
    uint64_t before = world.tcp.all.n_calls_started;
    limit_begin();
    while (world.tcp.all.n_calls_started < before + 2 || s_twin.all.n_calls_started < 2) {
        ask(&channel, &a, true);
        while (!a.closed) {
            (void)uv_run(&world.loop, UV_RUN_ONCE);
        }
        assert_int_equal(a.code, HWS_GRPC_OK);
    }
    limit_end();
    channel_end(&channel);
    hws_net_listener_close(&s_twin, twin_closed);
    run_until(&s_twin_closed);
}

static void a_list_of_addresses_has_numeric_ones_only(void **state)
{
    static const char *const rows[][2] = {
        {"127.0.0.1:1,", "\"\" is not host:port"},
        {"127.0.0.1:1,several.test:2", "\"several.test:2\" is not a numeric address"},
        {"127.0.0.1:1,[::1]:x", "\"[::1]:x\" is not host:port"},
    };
    char many[256] = "127.0.0.1:1";
    struct hws_net_channel channel;
    struct hws_net_channel_config config = {.bundle = world.olga};
    struct hws_err err;
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        config.target = rows[i][0];
        assert_code(hws_net_channel_open(&channel, &world.net, &config, &err), HWS_E_INVALID);
        assert_non_null(strstr(err.msg, rows[i][1]));
    }
    for (unsigned i = 2; i <= HWS_GRPC_CHANNEL_ADDRESSES; i++) {
        size_t n = strlen(many);
        assert_true(hws_str_print(many + n, sizeof(many) - n, ",127.0.0.1:%u", i));
    }
    channel_open(&channel, many);
    assert_int_equal(channel.n_addresses, HWS_GRPC_CHANNEL_ADDRESSES);
    channel_end(&channel);
    size_t end = strlen(many);
    assert_true(hws_str_print(many + end, sizeof(many) - end, ",[::1]:1"));
    config.target = many;
    assert_code(hws_net_channel_open(&channel, &world.net, &config, &err), HWS_E_INVALID);
    assert_non_null(strstr(err.msg, "more than 16 addresses"));
}

static void a_channel_needs_a_target_and_a_certificate(void **state)
{
    struct hws_net_channel channel;
    struct hws_net_channel_config config = {.target = "nowhere", .bundle = world.olga};
    (void)state;
    assert_code(hws_net_channel_open(&channel, &world.net, &config, NULL), HWS_E_INVALID);
    config = (struct hws_net_channel_config){.target = "127.0.0.1:1"};
    assert_code(hws_net_channel_open(&channel, &world.net, &config, NULL), HWS_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_resolves_its_name_and_connects_again_after_a_loss),
        cmocka_unit_test(a_channel_on_a_unix_socket_needs_no_name),
        cmocka_unit_test(a_channel_survives_every_failed_allocation),
        cmocka_unit_test(a_channel_that_nobody_answers_says_so_or_waits_as_told),
        cmocka_unit_test(a_channel_may_be_closed_by_the_end_of_a_call),
        cmocka_unit_test(an_address_that_the_name_keeps_keeps_its_connection),
        cmocka_unit_test(the_rest_of_an_unknown_name_has_the_ceiling_that_was_asked_for),
        cmocka_unit_test(a_channel_is_freed_when_its_last_connection_has_gone),
        cmocka_unit_test(a_server_that_is_not_who_was_expected_is_named_with_its_address),
        cmocka_unit_test(a_path_longer_than_a_sockets_is_refused_not_cut),
        cmocka_unit_test(a_channel_that_looks_at_its_name_again_lets_the_loop_turn),
        cmocka_unit_test(a_channel_needs_a_target_and_a_certificate),
        cmocka_unit_test(calls_go_round_robin_over_a_list_of_addresses),
        cmocka_unit_test(a_list_of_addresses_has_numeric_ones_only),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
