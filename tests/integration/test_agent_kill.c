/*
 * One process dies, the others go on: each of the three is killed, calls in flight end, service is
 * back soon, and what was answered stays answered.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/command.pb-c.h"
#include "hawser/v1/config.pb-c.h"
#include "hawser/v1/device.pb-c.h"
#include "rig_settings.h"
#include "rig_sweep.h"
#include "test.h"

#define PCI_A     "0000:03:00.0"
#define RETURN_MS 10000u /* at the latest, on a machine with other work; tests/e2e measures it */

/* Slow and silent registers, so that commands can be caught in flight: each plan is one register's.
 */
static const char faults_a[] =
    "  - {opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 1500, repeat: 0}\n"
    "  - {opcode: ACCESS_REG, register: MCAM, action: drop, repeat: 0}";

static struct hws_rig rig;

static int start(void **state)
{
    struct hws_rig_options options = {.tls = true, .faults = {faults_a, NULL}};

    *state = &rig;
    hws_rig_start(&rig, &options);
    return 0;
}

static Hawser__V1__GetConfigRequest config_get(void)
{
    Hawser__V1__GetConfigRequest q = HAWSER__V1__GET_CONFIG_REQUEST__INIT;
    static char *names[] = {"NUM_OF_VFS"};

    q.device = PCI_A;
    q.names = names;
    q.n_names = 1;
    return q;
}

/* Until a read of the card works again. */
static void wait_card(void)
{
    Hawser__V1__GetConfigRequest q = config_get();
    uint64_t took_ms = hws_rig_until_ok(&rig, "/hawser.v1.ConfigService/Get", &q.base, RETURN_MS);

    print_message("    the card answers after %llu ms\n", (unsigned long long)took_ms);
    assert_true(took_ms < RETURN_MS);
}

/* A read of a slow register, started and on the card. */
static void begin_slow_read(struct hws_rig_async *call, uint64_t timeout_ms, const char *name)
{
    Hawser__V1__ExecuteRequest q = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;

    a.register_ = (char *)name;
    q.device = PCI_A;
    q.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    q.register_ = &a;
    uint64_t before = hws_rig_counter(&rig, "commands");
    uint64_t until_ms = hws_rig_now_ms() + RETURN_MS;
    hws_rig_begin(&rig, "/hawser.v1.CommandService/Execute", HWS_GRPC_UNARY, &q.base, timeout_ms,
                  call);
    assert_non_null(call->call);
    while (hws_rig_counter(&rig, "commands") == before && hws_rig_now_ms() < until_ms) {
        hws_rig_idle(&rig, 5);
    }
    hws_rig_idle(&rig, 50); /* from the device process to the card */
    assert_false(call->done);
}

static void killed_wire_comes_back_and_the_others_stay(void **state)
{
    struct hws_rig_async slow;
    (void)state;
    wait_card();
    pid_t wire = hws_rig_pid(&rig, "hawser-wire");
    pid_t keeper = hws_rig_pid(&rig, "hawserd");
    pid_t emu = hws_rig_pid(&rig, "hawser-emu");
    begin_slow_read(&slow, 10000, "MTMP");

    assert_int_equal(kill(wire, SIGKILL), 0);

    assert_true(hws_rig_wait(&rig, &slow, 10000));
    assert_int_equal(slow.reply.code, HWS_GRPC_UNAVAILABLE);
    hws_rig_reply_free(&slow.reply);
    wait_card();
    assert_int_not_equal(hws_rig_pid(&rig, "hawser-wire"), wire);
    assert_int_equal(hws_rig_pid(&rig, "hawserd"), keeper);
    assert_int_equal(hws_rig_pid(&rig, "hawser-emu"), emu);
}

static void killed_keeper_ends_calls_and_adopts_the_others(void **state)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_async slow;
    struct hws_rig_reply r;
    (void)state;
    wait_card();
    pid_t wire = hws_rig_pid(&rig, "hawser-wire");
    pid_t emu = hws_rig_pid(&rig, "hawser-emu");
    pid_t keeper = hws_rig_pid(&rig, "hawserd");
    begin_slow_read(&slow, 10000, "MTMP");

    assert_int_equal(kill(keeper, SIGKILL), 0);

    assert_true(hws_rig_wait(&rig, &slow, 10000));
    assert_int_equal(slow.reply.code, HWS_GRPC_UNAVAILABLE);
    hws_rig_reply_free(&slow.reply);
    hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &q.base, 1000, &r);
    assert_true(r.code == HWS_GRPC_UNAVAILABLE || r.code == HWS_GRPC_OK);
    hws_rig_reply_free(&r);
    uint64_t took_ms = hws_rig_until_ok(&rig, "/hawser.v1.AgentService/Info", &q.base, RETURN_MS);
    print_message("    the keeper answers after %llu ms\n", (unsigned long long)took_ms);
    assert_true(took_ms < RETURN_MS);
    assert_int_not_equal(hws_rig_pid(&rig, "hawserd"), keeper);
    assert_int_equal(hws_rig_pid(&rig, "hawser-wire"), wire);
    assert_int_equal(hws_rig_pid(&rig, "hawser-emu"), emu);
    wait_card();
}

static void killed_device_process_ends_commands_unknown_and_comes_back(void **state)
{
    struct hws_rig_async slow;
    (void)state;
    wait_card();
    pid_t emu = hws_rig_pid(&rig, "hawser-emu");
    pid_t keeper = hws_rig_pid(&rig, "hawserd");
    begin_slow_read(&slow, 10000, "MTMP");

    assert_int_equal(kill(emu, SIGKILL), 0);

    assert_true(hws_rig_wait(&rig, &slow, 10000));
    assert_int_equal(slow.reply.code, HWS_GRPC_UNKNOWN);
    assert_non_null(strstr(slow.reply.message, "UNKNOWN"));
    hws_rig_reply_free(&slow.reply);
    wait_card();
    assert_int_not_equal(hws_rig_pid(&rig, "hawser-emu"), emu);
    assert_int_equal(hws_rig_pid(&rig, "hawserd"), keeper);
}

static void repeated_request_gets_the_same_answer_after_a_kill(void **state)
{
    struct hws_rig_reply first;
    struct hws_rig_reply again;
    (void)state;
    wait_card();
    Hawser__V1__PlanConfigResponse *plan = hws_rig_plan(&rig, PCI_A, "NUM_OF_VFS", "24");
    hws_rig_apply(&rig, PCI_A, "NUM_OF_VFS", "24", plan, "kill-0001", &first);
    hws_rig_expect_ok(&first);

    assert_int_equal(kill(hws_rig_pid(&rig, "hawserd"), SIGKILL), 0);

    wait_card();
    hws_rig_apply(&rig, PCI_A, "NUM_OF_VFS", "24", plan, "kill-0001", &again);
    hws_rig_expect_ok(&again);
    /* The same bytes, and `repeated_request = true` (field 5) behind them. */
    size_t n = hws_buf_len(&first.bytes);
    assert_int_equal(hws_buf_len(&again.bytes), n + 2);
    assert_memory_equal(hws_buf_peek(&again.bytes), hws_buf_peek(&first.bytes), n);
    hws_rig_reply_free(&first);
    hws_rig_reply_free(&again);
    /* The card is not as the plan saw it any more. */
    hws_rig_apply(&rig, PCI_A, "NUM_OF_VFS", "24", plan, "kill-0002", &again);
    assert_int_equal(again.code, HWS_GRPC_ABORTED);
    hws_rig_reply_free(&again);
    hawser__v1__plan_config_response__free_unpacked(plan, NULL);
}

static void hung_command_ends_on_time_and_the_adapter_is_stuck(void **state)
{
    Hawser__V1__GetDeviceRequest q = HAWSER__V1__GET_DEVICE_REQUEST__INIT;
    struct hws_rig_async hung;
    struct hws_rig_reply r;
    (void)state;
    wait_card();
    uint64_t since_ms = hws_rig_now_ms();
    begin_slow_read(&hung, 600, "MCAM");

    assert_true(hws_rig_wait(&rig, &hung, 10000));

    uint64_t took_ms = hws_rig_now_ms() - since_ms;
    hws_rig_assert_overdue(&hung.reply);
    assert_true(took_ms >= 500 && took_ms < 8000);
    hws_rig_reply_free(&hung.reply);
    q.device = PCI_A;
    hws_rig_call(&rig, "/hawser.v1.DeviceService/Get", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    Hawser__V1__GetDeviceResponse *d = hawser__v1__get_device_response__unpack(
        NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_int_equal(d->device->state, HAWSER__V1__DEVICE_STATE__DEVICE_STATE_STUCK);
    hawser__v1__get_device_response__free_unpacked(d, NULL);
    hws_rig_reply_free(&r);
    Hawser__V1__GetConfigRequest g = config_get();
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Get", &g.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_UNAVAILABLE);
    assert_non_null(strstr(r.message, "stuck"));
    hws_rig_reply_free(&r);
    assert_int_equal(kill(hws_rig_pid(&rig, "hawser-emu"), SIGKILL), 0); /* a power cycle */
    wait_card();
}

static void tls_identifies_the_caller_and_policy_limits_it(void **state)
{
    Hawser__V1__DescribeRequest describe = HAWSER__V1__DESCRIBE_REQUEST__INIT;
    Hawser__V1__ExecuteRequest q = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;
    struct hws_rig_reply r;
    (void)state;
    wait_card();
    hws_rig_disconnect(&rig);

    assert_true(hws_rig_connect_tls(&rig, "viewer-vic"));
    hws_rig_call(&rig, "/hawser.v1.CommandService/Describe", &describe.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    hws_rig_reply_free(&r);
    a.register_ = "MGIR";
    q.device = PCI_A;
    q.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    q.register_ = &a;
    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_PERMISSION_DENIED);
    hws_rig_reply_free(&r);
    q.device = "0000:77:00.0"; /* who may not ask does not learn which adapters there are */
    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_PERMISSION_DENIED);
    assert_null(strstr(r.message, PCI_A));
    hws_rig_reply_free(&r);
    hws_rig_disconnect(&rig);

    assert_true(hws_rig_connect_tls(&rig, "operator-olga"));
    q.device = PCI_A;
    hws_rig_call(&rig, "/hawser.v1.CommandService/Execute", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    hws_rig_reply_free(&r);
    hws_rig_disconnect(&rig);
}

static void restart_keeps_port_database_and_answers(void **state)
{
    struct hws_rig_reply r;
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    (void)state;

    assert_int_equal(hws_rig_terminate(&rig), 0);
    hws_rig_restart(&rig);

    hws_rig_disconnect(&rig);
    assert_true(hws_rig_connect_tls(&rig, "operator-olga"));
    hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    Hawser__V1__InfoResponse *info =
        hawser__v1__info_response__unpack(NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_string_equal(info->state, "serving");
    assert_true(info->audit_seq > 0);
    hawser__v1__info_response__free_unpacked(info, NULL);
    hws_rig_reply_free(&r);
    hws_rig_disconnect(&rig);
}

static void lost_database_on_an_enrolled_host_means_reads_only(void **state)
{
    Hawser__V1__ResetConfigRequest q = HAWSER__V1__RESET_CONFIG_REQUEST__INIT;
    Hawser__V1__Fence fence = HAWSER__V1__FENCE__INIT;
    Hawser__V1__Mutation m = HAWSER__V1__MUTATION__INIT;
    struct hws_rig_reply r;
    char path[128];
    (void)state;
    assert_int_equal(hws_rig_terminate(&rig), 0);
    hws_str_print(path, sizeof(path), "%s/state/hawser.db", rig.dir);
    assert_int_equal(unlink(path), 0);

    hws_rig_restart(&rig);

    wait_card(); /* reads go on */
    fence.role = "operator";
    fence.election_low = HWS_RIG_FENCE;
    m.fence = &fence;
    m.request_id = "safe-0001";
    q.device = PCI_A;
    q.mutation = &m;
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Reset", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_FAILED_PRECONDITION);
    assert_non_null(strstr(r.message, "enrolled"));
    hws_rig_reply_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_wire_comes_back_and_the_others_stay),
        cmocka_unit_test(killed_keeper_ends_calls_and_adopts_the_others),
        cmocka_unit_test(killed_device_process_ends_commands_unknown_and_comes_back),
        cmocka_unit_test(repeated_request_gets_the_same_answer_after_a_kill),
        cmocka_unit_test(hung_command_ends_on_time_and_the_adapter_is_stuck),
        cmocka_unit_test(tls_identifies_the_caller_and_policy_limits_it),
        cmocka_unit_test(restart_keeps_port_database_and_answers),
        cmocka_unit_test(lost_database_on_an_enrolled_host_means_reads_only),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
