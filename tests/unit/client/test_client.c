/* client: calls to a fake agent over a real socket; connecting, losing, deadlines, cancelling,
 * closing. */
#include <signal.h>
#include <string.h>

#include "base/str.h"
#include "fake_agent.h"
#include "hawser.h"
#include "test.h"

#define LIMIT_MS 20000u

static uv_loop_t loop;
static uv_timer_t limit;
static struct fake_agent agent;
static bool client_is_closed;

static void too_late(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened in %u ms", LIMIT_MS);
}

static int up(void **state)
{
    (void)state;
    client_is_closed = false;
    if (uv_loop_init(&loop) != 0 || uv_timer_init(&loop, &limit) != 0) {
        return -1;
    }
    (void)uv_timer_start(&limit, too_late, LIMIT_MS, 0);
    uv_unref((uv_handle_t *)&limit);
    fake_agent_init(&agent, &loop);
    return 0;
}

static int down(void **state)
{
    (void)state;
    fake_agent_deinit(&agent);
    uv_close((uv_handle_t *)&limit, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static struct hws_client *open_client(void)
{
    const struct hws_client_options options = {.target = agent.target};
    struct hws_client *c = NULL;
    struct hws_client_status status;

    assert_int_equal(hws_client_open(&loop, &options, &c, &status), HWS_CLIENT_OK);
    return c;
}

static void closed(void *data)
{
    (void)data;
    client_is_closed = true;
}

static void close_client(struct hws_client *c)
{
    hws_client_close(c, closed, NULL);
    hws_client_close(c, closed, NULL); /* idempotent */
    while (!client_is_closed) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
}

static const Hawser__V1__ListDevicesRequest list_all = HAWSER__V1__LIST_DEVICES_REQUEST__INIT;

static enum hws_client_code list(struct hws_client *c, struct hws_client_status *status)
{
    Hawser__V1__ListDevicesResponse *r = NULL;
    enum hws_client_code code = hws_client_device_list(c, &list_all, &r, status);

    if (code == HWS_CLIENT_OK) {
        assert_int_equal(r->n_devices, 1);
        assert_string_equal(r->devices[0]->id, FAKE_ID);
        protobuf_c_message_free_unpacked(&r->base, NULL);
    }
    return code;
}

static void unary_call_is_answered_and_the_connection_is_kept(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_status status;
    (void)state;

    assert_int_equal(list(c, &status), HWS_CLIENT_OK);
    assert_int_equal(list(c, &status), HWS_CLIENT_OK);

    assert_int_equal(agent.n_conns, 1);
    assert_int_equal(agent.n_calls, 2);
    close_client(c);
}

static void lost_connection_is_made_anew(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_status status;
    (void)state;
    assert_int_equal(list(c, &status), HWS_CLIENT_OK);

    fake_agent_stop(&agent);
    fake_agent_start(&agent);

    assert_int_equal(list(c, &status), HWS_CLIENT_OK);
    assert_int_equal(agent.n_conns, 2);
    close_client(c);
}

static void nobody_there_is_unavailable_with_the_reason(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_status status;
    (void)state;
    fake_agent_stop(&agent);

    assert_int_equal(list(c, &status), HWS_CLIENT_UNAVAILABLE);

    assert_true(status.unprocessed);
    assert_false(status.from_agent);
    assert_non_null(strstr(status.message, agent.path));
    fake_agent_start(&agent);
    assert_int_equal(list(c, &status), HWS_CLIENT_OK); /* after the pause */
    close_client(c);
}

static void lost_while_the_agent_works_is_not_sent_again(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_call call = {.method = &hws_client_method_device_list,
                                   .request = &list_all.base};
    (void)state;
    agent.hold = true;
    assert_int_equal(hws_client_start(c, &call), HWS_CLIENT_OK);
    while (agent.held == NULL) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }

    fake_agent_stop(&agent);
    while (call.inside != NULL) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }

    assert_int_equal(call.status.code, HWS_CLIENT_UNAVAILABLE);
    assert_false(call.status.unprocessed);
    assert_non_null(strstr(call.status.message, agent.target)); /* whose connection it was */
    assert_int_equal(agent.n_calls, 1);
    close_client(c);
}

static void deadline_ends_a_call_whose_outcome_is_unknown(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_call call = {
        .method = &hws_client_method_device_list, .request = &list_all.base, .timeout_ms = 50};
    struct hws_client_status status;
    (void)state;
    assert_int_equal(list(c, &status), HWS_CLIENT_OK); /* connected: the time is the call's alone */
    agent.hold = true;

    assert_int_equal(hws_client_run(c, &call), HWS_CLIENT_DEADLINE_EXCEEDED);

    assert_null(call.response);
    assert_non_null(strstr(call.status.message, "UNKNOWN"));
    close_client(c);
}

static unsigned n_messages;
static unsigned n_done;

static void count_message(struct hws_client_call *call, const ProtobufCMessage *message)
{
    (void)call;
    assert_ptr_equal(message->descriptor, &hawser__v1__watch_devices_response__descriptor);
    n_messages++;
}

static void count_done(struct hws_client_call *call)
{
    (void)call;
    n_done++;
}

static void stream_gives_each_message_then_ends(void **state)
{
    static const Hawser__V1__WatchDevicesRequest all = HAWSER__V1__WATCH_DEVICES_REQUEST__INIT;
    struct hws_client *c = open_client();
    struct hws_client_call call = {
        .method = &hws_client_method_device_watch, .request = &all.base, .message = count_message};
    (void)state;
    n_messages = 0;

    assert_int_equal(hws_client_run(c, &call), HWS_CLIENT_OK);

    assert_int_equal(n_messages, 3);
    assert_null(call.response);
    close_client(c);
}

static void cancelled_calls_end_once_running_or_waiting(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_call running = {
        .method = &hws_client_method_device_list, .request = &list_all.base, .done = count_done};
    struct hws_client_call waiting = running;
    (void)state;
    n_done = 0;
    agent.hold = true;
    assert_int_equal(hws_client_start(c, &running), HWS_CLIENT_OK);
    while (agent.held == NULL) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(hws_client_start(c, &waiting), HWS_CLIENT_OK);

    hws_client_cancel(&waiting);
    hws_client_cancel(&running);
    hws_client_cancel(&running);
    assert_int_equal(n_done, 0); /* never inside */
    while (n_done < 2) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }

    assert_int_equal(running.status.code, HWS_CLIENT_CANCELLED);
    assert_int_equal(waiting.status.code, HWS_CLIENT_CANCELLED);
    hws_client_cancel(&running); /* over: no effect */
    close_client(c);
}

static void close_ends_every_call_cancelled(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_call running = {
        .method = &hws_client_method_device_list, .request = &list_all.base, .done = count_done};
    struct hws_client_call fresh = running;
    (void)state;
    n_done = 0;
    agent.hold = true;
    assert_int_equal(hws_client_start(c, &running), HWS_CLIENT_OK);
    while (agent.held == NULL) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(hws_client_start(c, &fresh), HWS_CLIENT_OK);

    close_client(c);

    assert_int_equal(n_done, 2);
    assert_int_equal(running.status.code, HWS_CLIENT_CANCELLED);
    assert_int_equal(fresh.status.code, HWS_CLIENT_CANCELLED);
}

static void client_closed_while_dialing_or_never_used(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_call call = {
        .method = &hws_client_method_device_list, .request = &list_all.base, .done = count_done};
    (void)state;
    n_done = 0;
    assert_int_equal(hws_client_start(c, &call), HWS_CLIENT_OK);
    close_client(c);
    assert_int_equal(n_done, 1);

    client_is_closed = false;
    close_client(open_client());
}

static void malformed_answer_is_internal(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_status status;
    (void)state;
    agent.malformed = true;

    assert_int_equal(list(c, &status), HWS_CLIENT_INTERNAL);

    assert_non_null(strstr(status.message, "malformed"));
    close_client(c);
}

static void request_of_another_type_is_refused(void **state)
{
    struct hws_client *c = open_client();
    struct hws_client_call call = {.method = &hws_client_method_device_get,
                                   .request = &list_all.base};
    (void)state;

    assert_int_equal(hws_client_start(c, &call), HWS_CLIENT_INVALID_ARGUMENT);
    call.request = NULL;
    assert_int_equal(hws_client_start(c, &call), HWS_CLIENT_INVALID_ARGUMENT);
    close_client(c);
}

static void bad_targets_are_refused(void **state)
{
    static const char *const bad[] = {"",       "host",  "host:",         ":1",     "host:70000",
                                      "host:0", "unix:", "unix:relative", "host:1x"};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct hws_client_options options = {.target = bad[i]};
        struct hws_client *c = NULL;
        struct hws_client_status status;
        assert_int_equal(hws_client_open(&loop, &options, &c, &status),
                         HWS_CLIENT_INVALID_ARGUMENT);
    }
    const struct hws_client_options tcp = {.target = "127.0.0.1:1"};
    struct hws_client *c = NULL;
    struct hws_client_status status;
    assert_int_equal(hws_client_open(&loop, &tcp, &c, &status), HWS_CLIENT_INVALID_ARGUMENT);
    assert_non_null(strstr(status.message, "credentials"));
}

static void too_many_waiting_calls_are_refused(void **state)
{
    static struct hws_client_call calls[HWS_CLIENT_MAX_WAITING + 1];
    struct hws_client *c = open_client();
    (void)state;
    n_done = 0;
    memset(calls, 0, sizeof(calls));

    for (size_t i = 0; i <= HWS_CLIENT_MAX_WAITING; i++) {
        calls[i].method = &hws_client_method_device_list;
        calls[i].request = &list_all.base;
        calls[i].done = count_done;
        assert_int_equal(hws_client_start(c, &calls[i]), i < HWS_CLIENT_MAX_WAITING
                                                             ? HWS_CLIENT_OK
                                                             : HWS_CLIENT_RESOURCE_EXHAUSTED);
    }
    while (n_done < HWS_CLIENT_MAX_WAITING) { /* more than run at once: they take turns */
        (void)uv_run(&loop, UV_RUN_ONCE);
    }

    for (size_t i = 0; i < HWS_CLIENT_MAX_WAITING; i++) {
        assert_int_equal(calls[i].status.code, HWS_CLIENT_OK);
        hws_client_call_deinit(&calls[i]);
    }
    assert_int_equal(agent.n_conns, 1);
    close_client(c);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(unary_call_is_answered_and_the_connection_is_kept),
        CASE(lost_connection_is_made_anew),
        CASE(nobody_there_is_unavailable_with_the_reason),
        CASE(lost_while_the_agent_works_is_not_sent_again),
        CASE(deadline_ends_a_call_whose_outcome_is_unknown),
        CASE(stream_gives_each_message_then_ends),
        CASE(cancelled_calls_end_once_running_or_waiting),
        CASE(close_ends_every_call_cancelled),
        CASE(client_closed_while_dialing_or_never_used),
        CASE(malformed_answer_is_internal),
        CASE(request_of_another_type_is_refused),
        CASE(bad_targets_are_refused),
        CASE(too_many_waiting_calls_are_refused),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
