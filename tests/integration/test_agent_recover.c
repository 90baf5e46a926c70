/*
 * A change is cut off by SIGKILL of hawserd between intent and outcome: the next one waits for the
 * card, reads it, and ends the intent; until then changes wait and reads go on. And: a slow reader
 * holds little, SIGHUP reloads, a change outlives its caller.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/audit.pb-c.h"
#include "hawser/v1/config.pb-c.h"
#include "hawser/v1/device.pb-c.h"
#include "hawser/v1/dump.pb-c.h"
#include "test.h"

#define PCI_A "0000:03:00.0"

/* Every write of a setting takes a second. */
static const char faults_a[] = "  - {opcode: ACCESS_REG, register: MNVDA, access: write, action: "
                               "delay, delay_ms: 1000, repeat: 0}";

static struct hws_rig rig;

static int start(void **state)
{
    struct hws_rig_options options = {.faults = {faults_a, NULL}};
    (void)state;

    hws_rig_start(&rig, &options);
    return 0;
}

static int stop(void **state)
{
    (void)state;

    hws_rig_stop(&rig);
    return 0;
}

static Hawser__V1__Fence fence = HAWSER__V1__FENCE__INIT;

static void wait_card(void)
{
    Hawser__V1__GetConfigRequest q = HAWSER__V1__GET_CONFIG_REQUEST__INIT;

    q.device = PCI_A;
    assert_true(hws_rig_until_ok(&rig, "/hawser.v1.ConfigService/Get", &q.base, 5000) < 5000);
}

struct change {
    Hawser__V1__PlanConfigResponse *plan;
    Hawser__V1__Setting setting;
    Hawser__V1__Setting *settings[1];
    Hawser__V1__Mutation mutation;
    Hawser__V1__ApplyConfigRequest apply;
};

/* Plans name=value and fills the request that applies it. */
static void make_change(struct change *c, const char *name, const char *value, const char *id)
{
    Hawser__V1__PlanConfigRequest q = HAWSER__V1__PLAN_CONFIG_REQUEST__INIT;
    struct hws_rig_reply r;

    hawser__v1__setting__init(&c->setting);
    hawser__v1__mutation__init(&c->mutation);
    hawser__v1__apply_config_request__init(&c->apply);
    c->setting.name = (char *)name;
    c->setting.value = (char *)value;
    c->settings[0] = &c->setting;
    q.device = PCI_A;
    q.settings = c->settings;
    q.n_settings = 1;
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Plan", &q.base, 5000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    c->plan = hawser__v1__plan_config_response__unpack(NULL, hws_buf_len(&r.bytes),
                                                       hws_buf_peek(&r.bytes));
    hws_rig_reply_free(&r);
    fence.role = "operator";
    fence.election_low = HWS_RIG_FENCE;
    c->mutation.fence = &fence;
    c->mutation.request_id = (char *)id;
    c->apply.device = PCI_A;
    c->apply.settings = c->settings;
    c->apply.n_settings = 1;
    c->apply.plan_hash = c->plan->plan_hash;
    c->apply.expected_revision = c->plan->revision;
    c->apply.mutation = &c->mutation;
}

static void free_change(struct change *c)
{
    hawser__v1__plan_config_response__free_unpacked(c->plan, NULL);
}

static void cut_off_change_is_read_back_and_its_repeat_answered(void **state)
{
    struct hws_rig_async call;
    struct hws_rig_reply r;
    struct change c;
    (void)state;
    wait_card();
    make_change(&c, "NUM_OF_VFS", "20", "cut-000001");
    hws_rig_begin(&rig, "/hawser.v1.ConfigService/Apply", HWS_GRPC_UNARY, &c.apply.base, 10000,
                  &call);
    hws_rig_idle(&rig, 300); /* the write is on the card */
    assert_false(call.done);

    assert_int_equal(kill(hws_rig_pid(&rig, "hawserd"), SIGKILL), 0);

    assert_true(hws_rig_wait(&rig, &call, 2000));
    assert_int_equal(call.reply.code, HWS_GRPC_UNAVAILABLE);
    assert_non_null(strstr(call.reply.message, "request_id"));
    hws_rig_reply_free(&call.reply);
    uint64_t until_ms = hws_rig_now_ms() + 8000;
    do { /* UNAVAILABLE, then ABORTED while it is being resolved, then the answer */
        hws_rig_idle(&rig, 50);
        hws_rig_call(&rig, "/hawser.v1.ConfigService/Apply", &c.apply.base, 2000, &r);
        if (r.code != HWS_GRPC_OK) {
            hws_rig_reply_free(&r);
        }
    } while (r.code != HWS_GRPC_OK && hws_rig_now_ms() < until_ms);
    assert_int_equal(r.code, HWS_GRPC_OK);
    Hawser__V1__ApplyConfigResponse *a = hawser__v1__apply_config_response__unpack(
        NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_true(a->repeated_request);
    assert_int_equal(a->n_values, 1);
    assert_string_equal(a->values[0]->next_boot, "20");
    hawser__v1__apply_config_response__free_unpacked(a, NULL);
    hws_rig_reply_free(&r);
    free_change(&c);
}

static void change_goes_on_when_its_caller_has_no_more_time(void **state)
{
    struct hws_rig_reply r;
    struct change c;
    (void)state;
    wait_card();
    make_change(&c, "NUM_OF_VFS", "22", "slow-00001");

    hws_rig_call(&rig, "/hawser.v1.ConfigService/Apply", &c.apply.base, 400, &r);

    assert_int_equal(r.code, HWS_GRPC_DEADLINE_EXCEEDED);
    assert_non_null(strstr(r.message, "UNKNOWN"));
    hws_rig_reply_free(&r);
    uint64_t until_ms = hws_rig_now_ms() + 8000;
    do {
        hws_rig_idle(&rig, 50);
        hws_rig_call(&rig, "/hawser.v1.ConfigService/Apply", &c.apply.base, 2000, &r);
        hws_rig_reply_free(&r);
    } while (r.code == HWS_GRPC_ABORTED && strstr(r.message, "unfinished") != NULL &&
             hws_rig_now_ms() < until_ms);
    if (r.code != HWS_GRPC_OK) {
        fail_msg("the repeat got %s: %s", hws_grpc_code_name(r.code), r.message);
    }
    free_change(&c);
}

static void sighup_reads_the_policy_again(void **state)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply r;
    char path[128];
    char text[4096];
    (void)state;
    hws_str_print(path, sizeof(path), "%s/policy.yaml", rig.dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    pid_t keeper = hws_rig_pid(&rig, "hawserd");

    hws_rig_write(&rig, "policy.yaml",
                  "version: 1\nrules:\n  - {name: nobody, principals: [spiffe://unit.test/x], "
                  "methods: [observe], max_effect: read}\n");
    assert_int_equal(kill(keeper, SIGHUP), 0);
    hws_rig_idle(&rig, 100);
    hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_PERMISSION_DENIED);
    hws_rig_reply_free(&r);

    hws_rig_write(&rig, "policy.yaml", text);
    assert_int_equal(kill(keeper, SIGHUP), 0);
    hws_rig_idle(&rig, 100);
    hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &q.base, 2000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    hws_rig_reply_free(&r);
}

static void drain_ends_followers_and_exits_in_time(void **state)
{
    Hawser__V1__TailRequest q = HAWSER__V1__TAIL_REQUEST__INIT;
    struct hws_rig_async tail;
    (void)state;
    wait_card();
    q.follow = true;
    q.last = 1;
    hws_rig_begin(&rig, "/hawser.v1.AuditService/Tail", HWS_GRPC_SERVER_STREAM, &q.base, 0, &tail);
    hws_rig_idle(&rig, 100);
    assert_false(tail.done);
    uint64_t since_ms = hws_rig_now_ms();

    assert_int_equal(kill(rig.supervisor, SIGTERM), 0);

    assert_true(hws_rig_wait(&rig, &tail, 3000));
    assert_int_equal(tail.reply.code, HWS_GRPC_UNAVAILABLE);
    hws_rig_reply_free(&tail.reply);
    assert_int_equal(hws_rig_terminate(&rig), 0);
    print_message("    stopped after %llu ms\n", (unsigned long long)(hws_rig_now_ms() - since_ms));
    assert_true(hws_rig_now_ms() - since_ms < 5000);
    hws_rig_restart(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_off_change_is_read_back_and_its_repeat_answered),
        cmocka_unit_test(change_goes_on_when_its_caller_has_no_more_time),
        cmocka_unit_test(sighup_reads_the_policy_again),
        cmocka_unit_test(drain_ends_followers_and_exits_in_time),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
