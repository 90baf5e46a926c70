/* net/address, through the listener: which addresses are accepted, and that plain TCP is not. */
#include <string.h>

#include "base/str.h"
#include "net/listen.h"
#include "test.h"

static enum hws_code try_open(const char *address, struct hws_err *err)
{
    uv_loop_t loop;
    struct hws_net net;
    struct hws_net_listener listener;
    struct hws_net_listen_config config = {.address = address};

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_ok(hws_net_init(&net, &loop, err), err);
    enum hws_code rc = hws_net_listener_open(&listener, &net, &config, err);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    hws_net_deinit(&net);
    assert_int_equal(uv_loop_close(&loop), 0);
    return rc;
}

static void tcp_without_a_certificate_is_refused(void **state)
{
    struct hws_err err;
    (void)state;

    assert_code(try_open("127.0.0.1:0", &err), HWS_E_INVALID);

    assert_non_null(strstr(err.msg, "no plain TCP"));
}

static void a_socket_path_that_is_too_long_is_refused(void **state)
{
    char path[200];
    struct hws_err err;
    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';

    assert_code(try_open(path, &err), HWS_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_without_a_certificate_is_refused),
        cmocka_unit_test(a_socket_path_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
