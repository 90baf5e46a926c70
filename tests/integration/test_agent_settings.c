/* A whole agent over its Unix socket: settings planned, applied, reset and refused, and what the
 * audit log says of them. */
#include <signal.h>
#include <string.h>

#include "agent_rig.h"
#include "base/str.h"
#include "hawser/v1/audit.pb-c.h"
#include "hawser/v1/command.pb-c.h"
#include "rig_settings.h"
#include "rig_sweep.h"
#include "test.h"

#define PCI_A "0000:03:00.0"
#define PCI_B "0000:81:00.0"

static struct hws_rig rig;

static int start(void **state)
{
    struct hws_rig_options options = {0};

    *state = &rig;
    hws_rig_start(&rig, &options);
    return 0;
}

/* ---- settings -------------------------------------------------------------------------------- */

#define APPLY(plan, value, id, reply)                                                              \
    hws_rig_apply(&rig, PCI_A, "NUM_OF_VFS", value, plan, id, reply)

static void setting_is_planned_applied_repeated_and_reset(void **state)
{
    struct hws_rig_reply r;
    (void)state;
    hws_rig_wait_ready(&rig);
    Hawser__V1__PlanConfigResponse *p = hws_rig_plan(&rig, PCI_A, "NUM_OF_VFS", "16");
    assert_int_equal(p->n_changes, 1);
    assert_true(p->n_writes >= 1);

    APPLY(p, "16", "apply-0001", &r);

    hws_rig_expect_ok(&r);
    Hawser__V1__ApplyConfigResponse *a = hawser__v1__apply_config_response__unpack(
        NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_int_equal(a->n_values, 1);
    assert_string_equal(a->values[0]->next_boot, "16");
    assert_true(a->values[0]->pending);
    assert_false(a->repeated_request);
    hws_rig_reply_free(&r);

    APPLY(p, "16", "apply-0001", &r); /* the same again: the first answer */
    hws_rig_expect_ok(&r);
    Hawser__V1__ApplyConfigResponse *again = hawser__v1__apply_config_response__unpack(
        NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_true(again->repeated_request);
    assert_string_equal(again->operation_id, a->operation_id);
    hws_rig_reply_free(&r);
    APPLY(p, "17", "apply-0001", &r); /* the same id for something else */
    assert_int_equal(r.code, HWS_GRPC_ALREADY_EXISTS);
    hws_rig_reply_free(&r);
    APPLY(p, "16", "apply-0002", &r); /* the card is no longer as the plan saw it */
    assert_int_equal(r.code, HWS_GRPC_ABORTED);
    hws_rig_reply_free(&r);

    Hawser__V1__ResetConfigRequest q = HAWSER__V1__RESET_CONFIG_REQUEST__INIT;
    struct hws_rig_mutation m;
    char *names[] = {"NUM_OF_VFS"};
    q.device = PCI_A;
    q.names = names;
    q.n_names = 1;
    q.mutation = hws_rig_mutate(&m);
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Reset", &q.base, 5000, &r);
    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
    hawser__v1__apply_config_response__free_unpacked(a, NULL);
    hawser__v1__apply_config_response__free_unpacked(again, NULL);
    hawser__v1__plan_config_response__free_unpacked(p, NULL);
}

static void bad_settings_are_refused_with_the_field(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        enum hws_grpc_code code;
        const char *text;
    } rows[] = {
        {"NUM_OF_VFSS", "1", HWS_GRPC_NOT_FOUND, "NUM_OF_VFS"},
        {"NUM_OF_VFS", "seven", HWS_GRPC_INVALID_ARGUMENT, "NUM_OF_VFS"},
        {"NUM_OF_VFS", "99999999", HWS_GRPC_INVALID_ARGUMENT, "NUM_OF_VFS"},
    };
    (void)state;
    hws_rig_wait_ready(&rig);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_rig_reply r;
        hws_rig_ask_plan(&rig, PCI_A, rows[i].name, rows[i].value, &r);
        assert_int_equal(r.code, rows[i].code);
        assert_non_null(strstr(r.message, rows[i].text));
        hws_rig_reply_free(&r);
    }
}

/* What is read when the adapters come has been read. */
static uint64_t wait_quiet(void)
{
    uint64_t before = UINT64_MAX;
    uint64_t now = hws_rig_counter(&rig, "commands");

    for (int i = 0; i < 100 && now != before; i++) {
        before = now;
        hws_rig_idle(&rig, 100);
        now = hws_rig_counter(&rig, "commands");
    }
    assert_int_equal(now, before);
    return now;
}

static void plan_is_refused(const char *value, const char *text)
{
    struct hws_rig_reply r;

    hws_rig_ask_plan(&rig, PCI_A, "NUM_OF_VFS", value, &r);
    assert_int_equal(r.code, HWS_GRPC_INVALID_ARGUMENT);
    if (strstr(r.message, text) == NULL) {
        fail_msg("%s", r.message);
    }
    hws_rig_reply_free(&r);
}

static void value_over_the_adapters_maximum_is_refused_without_a_command(void **state)
{
    Hawser__V1__PlanConfigResponse made_up = HAWSER__V1__PLAN_CONFIG_RESPONSE__INIT;
    struct hws_rig_reply r;
    (void)state;
    made_up.plan_hash = "0000000000000000000000000000000000000000000000000000000000000000";
    hws_rig_wait_ready(&rig);
    uint64_t before = wait_quiet();

    plan_is_refused("9999", "0..127");
    APPLY(&made_up, "128", "limit-0001", &r);
    assert_int_equal(r.code, HWS_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(r.message, "0..127"));
    hws_rig_reply_free(&r);

    assert_int_equal(hws_rig_counter(&rig, "commands"), before);
}

static void limits_are_read_again_when_the_card_comes_back(void **state)
{
    (void)state;
    uint64_t until_ms = hws_rig_now_ms() + 10000;
    hws_rig_wait_ready(&rig);
    uint64_t before = wait_quiet();

    pid_t emu = hws_rig_pid(&rig, "hawser-emu");
    assert_int_equal(kill(emu, SIGKILL), 0);
    while (hws_rig_pid(&rig, "hawser-emu") == emu && hws_rig_now_ms() < until_ms) {
        hws_rig_idle(&rig, 5);
    }
    hws_rig_wait_ready(&rig);
    uint64_t after = wait_quiet();

    assert_true(after > before);
    plan_is_refused("9999", "0..127");
    assert_int_equal(hws_rig_counter(&rig, "commands"), after);
    assert_int_equal(hws_rig_counter(&rig, "audit_records_lost"), 0);
}

static void change_without_mutation_or_with_an_old_fence_is_refused(void **state)
{
    struct hws_rig_reply r;
    (void)state;
    hws_rig_wait_ready(&rig);
    Hawser__V1__ResetConfigRequest q = HAWSER__V1__RESET_CONFIG_REQUEST__INIT;
    q.device = PCI_B;

    hws_rig_call(&rig, "/hawser.v1.ConfigService/Reset", &q.base, 5000, &r);
    assert_int_equal(r.code, HWS_GRPC_INVALID_ARGUMENT);
    assert_non_null(strstr(r.message, "mutation"));
    hws_rig_reply_free(&r);

    struct hws_rig_mutation m;
    q.mutation = hws_rig_mutate(&m);
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Reset", &q.base, 5000, &r);
    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
    q.mutation = hws_rig_mutate(&m);
    m.fence.election_low = HWS_RIG_FENCE - 1;
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Reset", &q.base, 5000, &r);
    assert_int_equal(r.code, HWS_GRPC_PERMISSION_DENIED);
    hws_rig_reply_free(&r);
}

/* ---- audit ----------------------------------------------------------------------------------- */

static bool on_record(void *data, const uint8_t *bytes, size_t n)
{
    Hawser__V1__TailResponse *t = hawser__v1__tail_response__unpack(NULL, n, bytes);
    unsigned *phases = data;

    *phases |= 1u << t->record->phase;
    assert_int_equal(t->record->hash.len, 32);
    hawser__v1__tail_response__free_unpacked(t, NULL);
    return true;
}

static void audit_tells_who_did_what(void **state)
{
    Hawser__V1__TailRequest q = HAWSER__V1__TAIL_REQUEST__INIT;
    struct hws_rig_reply r;
    unsigned phases = 0;
    (void)state;
    q.last = 1000;

    hws_rig_stream(&rig, "/hawser.v1.AuditService/Tail", &q.base, 5000, on_record, &phases, &r);

    hws_rig_expect_ok(&r);
    assert_int_equal(phases, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4);
    hws_rig_reply_free(&r);
}

static bool until_described(void *data, const uint8_t *bytes, size_t n)
{
    Hawser__V1__TailResponse *t = hawser__v1__tail_response__unpack(NULL, n, bytes);
    bool found = hws_str_eq(t->record->method, "/hawser.v1.CommandService/Describe");
    (void)data;

    hawser__v1__tail_response__free_unpacked(t, NULL);
    return !found;
}

static void describe(void)
{
    Hawser__V1__DescribeRequest q = HAWSER__V1__DESCRIBE_REQUEST__INIT;
    struct hws_rig_reply r;

    q.name = "MGIR";
    hws_rig_call(&rig, "/hawser.v1.CommandService/Describe", &q.base, 2000, &r);
    hws_rig_expect_ok(&r);
    hws_rig_reply_free(&r);
}

static void tail_follows(void **state)
{
    Hawser__V1__TailRequest q = HAWSER__V1__TAIL_REQUEST__INIT;
    struct hws_rig_reply r;
    (void)state;
    q.last = 1;
    q.follow = true;
    describe(); /* its record may come before or while we follow */

    hws_rig_stream(&rig, "/hawser.v1.AuditService/Tail", &q.base, 1000, until_described, NULL, &r);

    assert_true(r.code == HWS_GRPC_CANCELLED || r.code == HWS_GRPC_DEADLINE_EXCEEDED);
    hws_rig_reply_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_is_planned_applied_repeated_and_reset),
        cmocka_unit_test(bad_settings_are_refused_with_the_field),
        cmocka_unit_test(value_over_the_adapters_maximum_is_refused_without_a_command),
        cmocka_unit_test(limits_are_read_again_when_the_card_comes_back),
        cmocka_unit_test(change_without_mutation_or_with_an_old_fence_is_refused),
        cmocka_unit_test(audit_tells_who_did_what),
        cmocka_unit_test(tail_follows),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
