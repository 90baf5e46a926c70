/*
 * A change is cut off by SIGKILL of hawserd between intent and outcome: the next one waits for the
 * card, reads it, puts a mixture back, and ends the intent; until then changes wait and reads go
 * on. The same when the card goes away under a change, and when a write lands after it was given
 * up. And: SIGHUP reloads, a change outlives its caller.
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
#include "rig_sweep.h"
#include "test.h"

#define PCI_A "0000:03:00.0"
#define PCI_B "0000:81:00.0"

/* Every write of a setting takes a second. */
static const char faults_a[] = "  - {opcode: ACCESS_REG, register: MNVDA, access: write, action: "
                               "delay, delay_ms: 1000, repeat: 0}";

/* The second write of a setting takes longer than a change waits for it. */
static const char faults_b[] = "  - {opcode: ACCESS_REG, register: MNVDA, access: write, action: "
                               "delay, delay_ms: 8000, countdown: 2, repeat: 1}";

static struct hws_rig rig;

static int start(void **state)
{
    struct hws_rig_options options = {.faults = {faults_a, faults_b}};

    *state = &rig;
    hws_rig_start(&rig, &options);
    return 0;
}

static Hawser__V1__Fence fence = HAWSER__V1__FENCE__INIT;

static void wait_card_at(const char *pci)
{
    Hawser__V1__GetConfigRequest q = HAWSER__V1__GET_CONFIG_REQUEST__INIT;

    q.device = (char *)pci;
    assert_true(hws_rig_until_ok(&rig, "/hawser.v1.ConfigService/Get", &q.base, 15000) < 15000);
}

static void wait_card(void)
{
    wait_card_at(PCI_A);
}

struct change {
    Hawser__V1__PlanConfigResponse *plan;
    Hawser__V1__Setting setting[2];
    Hawser__V1__Setting *settings[2];
    Hawser__V1__Mutation mutation;
    Hawser__V1__ApplyConfigRequest apply;
};

struct pair {
    const char *name;
    const char *value;
};

/* Plans the settings and fills the request that applies them. */
static void make_changes(struct change *c, const char *pci, const struct pair *pairs, size_t n,
                         const char *id)
{
    Hawser__V1__PlanConfigRequest q = HAWSER__V1__PLAN_CONFIG_REQUEST__INIT;
    struct hws_rig_reply r;

    hawser__v1__mutation__init(&c->mutation);
    hawser__v1__apply_config_request__init(&c->apply);
    for (size_t i = 0; i < n; i++) {
        hawser__v1__setting__init(&c->setting[i]);
        c->setting[i].name = (char *)pairs[i].name;
        c->setting[i].value = (char *)pairs[i].value;
        c->settings[i] = &c->setting[i];
    }
    q.device = (char *)pci;
    q.settings = c->settings;
    q.n_settings = n;
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Plan", &q.base, 5000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    c->plan = hawser__v1__plan_config_response__unpack(NULL, hws_buf_len(&r.bytes),
                                                       hws_buf_peek(&r.bytes));
    hws_rig_reply_free(&r);
    fence.role = "operator";
    fence.election_low = HWS_RIG_FENCE;
    c->mutation.fence = &fence;
    c->mutation.request_id = (char *)id;
    c->apply.device = (char *)pci;
    c->apply.settings = c->settings;
    c->apply.n_settings = n;
    c->apply.plan_hash = c->plan->plan_hash;
    c->apply.expected_revision = c->plan->revision;
    c->apply.mutation = &c->mutation;
}

static void make_change(struct change *c, const char *name, const char *value, const char *id)
{
    const struct pair pair = {name, value};

    make_changes(c, PCI_A, &pair, 1, id);
}

static void free_change(struct change *c)
{
    hawser__v1__plan_config_response__free_unpacked(c->plan, NULL);
}

/* Begins the change; returns when its intent is on record: its first write comes at once. */
static void begin_change(const struct change *c, struct hws_rig_async *call)
{
    uint64_t before = hws_rig_counter(&rig, "mutations");
    uint64_t until_ms = hws_rig_now_ms() + 10000;

    hws_rig_begin(&rig, "/hawser.v1.ConfigService/Apply", HWS_GRPC_UNARY, &c->apply.base, 20000,
                  call);
    while (hws_rig_counter(&rig, "mutations") == before) {
        assert_true(hws_rig_now_ms() < until_ms);
        hws_rig_idle(&rig, 5);
    }
}

static void cut_off_change_is_read_back_and_its_repeat_answered(void **state)
{
    struct hws_rig_async call;
    struct hws_rig_reply r;
    struct change c;
    (void)state;
    wait_card();
    make_change(&c, "NUM_OF_VFS", "20", "cut-000001");
    begin_change(&c, &call);
    hws_rig_idle(&rig, 300); /* the write is on the card, for a second */
    assert_false(call.done);

    assert_int_equal(kill(hws_rig_pid(&rig, "hawserd"), SIGKILL), 0);

    assert_true(hws_rig_wait(&rig, &call, 10000));
    assert_int_equal(call.reply.code, HWS_GRPC_UNAVAILABLE);
    assert_non_null(strstr(call.reply.message, "request_id"));
    hws_rig_reply_free(&call.reply);
    uint64_t until_ms = hws_rig_now_ms() + 20000;
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

/* ---- two records ----------------------------------------------------------------------------- */

/* How many of the pairs the card holds for its next boot. */
static size_t n_held(const char *pci, const struct pair *pairs, size_t n)
{
    Hawser__V1__GetConfigRequest q = HAWSER__V1__GET_CONFIG_REQUEST__INIT;
    char *names[2];
    size_t held = 0;
    struct hws_rig_reply r;

    for (size_t i = 0; i < n; i++) {
        names[i] = (char *)pairs[i].name;
    }
    q.device = (char *)pci;
    q.names = names;
    q.n_names = n;
    hws_rig_call(&rig, "/hawser.v1.ConfigService/Get", &q.base, 5000, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    Hawser__V1__GetConfigResponse *g = hawser__v1__get_config_response__unpack(
        NULL, hws_buf_len(&r.bytes), hws_buf_peek(&r.bytes));
    assert_int_equal(g->n_values, n);
    for (size_t i = 0; i < n; i++) {
        held += strcmp(g->values[i]->next_boot, pairs[i].value) == 0 ? 1 : 0;
    }
    hawser__v1__get_config_response__free_unpacked(g, NULL);
    hws_rig_reply_free(&r);
    return held;
}

static bool is_final(const struct hws_rig_reply *r)
{
    /* NOT_FOUND: the device process has not come back to tell of its adapters. */
    return r->code != HWS_GRPC_UNAVAILABLE && r->code != HWS_GRPC_NOT_FOUND &&
           strstr(r->message, "being resolved") == NULL && strstr(r->message, "unfinished") == NULL;
}

/* Repeats the request until its answer is final. */
static void repeat(struct change *c, struct hws_rig_reply *r)
{
    uint64_t until_ms = hws_rig_now_ms() + 20000;

    for (;;) {
        hws_rig_call(&rig, "/hawser.v1.ConfigService/Apply", &c->apply.base, 5000, r);
        if (is_final(r)) {
            return;
        }
        if (hws_rig_now_ms() >= until_ms) {
            fail_msg("no answer: %s: %s", hws_grpc_code_name(r->code), r->message);
        }
        hws_rig_reply_free(r);
        hws_rig_idle(&rig, 50);
    }
}

enum victim { KEEPER = 1, CARD = 2 };

/* Applies new over two records, kills after so long, and returns how many of them the card holds
 * when the request has its final answer, which must agree. */
static size_t cut_off(const struct pair *pairs, const char *id, unsigned victims, uint64_t after_ms)
{
    struct hws_rig_async call;
    struct hws_rig_reply r;
    struct change c;

    wait_card();
    make_changes(&c, PCI_A, pairs, 2, id);
    assert_int_equal(c.plan->n_writes, 2);
    pid_t keeper = hws_rig_pid(&rig, "hawserd");
    pid_t card = hws_rig_pid(&rig, "hawser-emu");
    begin_change(&c, &call);
    hws_rig_idle(&rig, after_ms);
    assert_false(call.done);

    if ((victims & KEEPER) != 0) {
        assert_int_equal(kill(keeper, SIGKILL), 0);
    }
    if ((victims & CARD) != 0) {
        assert_int_equal(kill(card, SIGKILL), 0);
    }

    assert_true(hws_rig_wait(&rig, &call, 15000));
    assert_int_not_equal(call.reply.code, HWS_GRPC_OK);
    hws_rig_reply_free(&call.reply);
    repeat(&c, &r);
    size_t held = n_held(PCI_A, pairs, 2);
    print_message("    %s, %zu of 2 new: %s\n", hws_grpc_code_name(r.code), held, r.message);
    assert_int_equal(r.code, held == 2 ? HWS_GRPC_OK : HWS_GRPC_ABORTED);
    assert_true(held == 2 || strstr(r.message, "old values") != NULL);
    hws_rig_reply_free(&r);
    free_change(&c);
    return held;
}

static void change_cut_off_between_its_writes_is_put_back(void **state)
{
    static const struct pair pairs[] = {{"NUM_OF_VFS", "30"}, {"LINK_TYPE_P1", "IB"}};
    (void)state;

    assert_int_equal(cut_off(pairs, "two-000001", KEEPER, 400), 0);
}

static void change_cut_off_during_its_last_write_is_done(void **state)
{
    static const struct pair pairs[] = {{"NUM_OF_VFS", "31"}, {"LINK_TYPE_P1", "IB"}};
    (void)state;

    assert_int_equal(cut_off(pairs, "two-000002", KEEPER, 1500), 2);
}

static void change_cut_off_with_its_card_is_put_back(void **state)
{
    static const struct pair pairs[] = {{"NUM_OF_VFS", "32"}, {"LINK_TYPE_P1", "ETH"}};
    (void)state;

    assert_int_equal(cut_off(pairs, "two-000003", KEEPER | CARD, 1500), 0);
}

static void change_that_lost_its_card_is_put_back(void **state)
{
    static const struct pair pairs[] = {{"NUM_OF_VFS", "33"}, {"LINK_TYPE_P1", "ETH"}};
    (void)state;

    assert_int_equal(cut_off(pairs, "two-000004", CARD, 1500), 0);
}

static void write_that_lands_late_is_put_back_and_no_other_is_taken_before(void **state)
{
    static const struct pair pairs[] = {{"NUM_OF_VFS", "9"}, {"LRO_LOG_TIMEOUT0", "6"}};
    static const struct pair other[] = {{"NUM_OF_VFS", "10"}};
    struct change late;
    struct change next;
    struct hws_rig_reply r;
    (void)state;
    wait_card_at(PCI_B);
    make_changes(&late, PCI_B, pairs, 2, "late-00001");
    make_changes(&next, PCI_B, other, 1, "late-00002");

    hws_rig_call(&rig, "/hawser.v1.ConfigService/Apply", &late.apply.base, 5200, &r);
    print_message("    %s: %s\n", hws_grpc_code_name(r.code), r.message);
    assert_int_not_equal(r.code, HWS_GRPC_OK);
    hws_rig_reply_free(&r);
    hws_rig_idle(&rig, 700); /* the write is given up, the first one put back */

    hws_rig_call(&rig, "/hawser.v1.ConfigService/Apply", &next.apply.base, 5000, &r);
    print_message("    %s: %s\n", hws_grpc_code_name(r.code), r.message);
    assert_int_equal(r.code, HWS_GRPC_FAILED_PRECONDITION);
    assert_non_null(strstr(r.message, "is stuck in the card since"));
    hws_rig_reply_free(&r);

    repeat(&late, &r);
    print_message("    %s: %s\n", hws_grpc_code_name(r.code), r.message);
    assert_int_equal(r.code, HWS_GRPC_ABORTED);
    assert_int_equal(n_held(PCI_B, pairs, 2), 0);
    hws_rig_reply_free(&r);
    repeat(&next, &r);
    assert_int_equal(r.code, HWS_GRPC_OK);
    hws_rig_reply_free(&r);
    free_change(&late);
    free_change(&next);
}

static void change_goes_on_when_its_caller_has_no_more_time(void **state)
{
    struct hws_rig_reply r;
    struct change c;
    (void)state;
    wait_card();
    make_change(&c, "NUM_OF_VFS", "22", "slow-00001");

    hws_rig_call(&rig, "/hawser.v1.ConfigService/Apply", &c.apply.base, 400, &r);

    hws_rig_assert_overdue(&r);
    hws_rig_reply_free(&r);
    uint64_t until_ms = hws_rig_now_ms() + 20000;
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

/* Calls Info until it ends so. */
static void until_info_is(enum hws_grpc_code code)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    uint64_t until_ms = hws_rig_now_ms() + 10000;
    struct hws_rig_reply r;

    do {
        hws_rig_idle(&rig, 5);
        hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &q.base, 2000, &r);
        hws_rig_reply_free(&r);
    } while (r.code != code && hws_rig_now_ms() < until_ms);
    assert_int_equal(r.code, code);
}

static void sighup_reads_the_policy_again(void **state)
{
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
    until_info_is(HWS_GRPC_PERMISSION_DENIED);

    hws_rig_write(&rig, "policy.yaml", text);
    assert_int_equal(kill(keeper, SIGHUP), 0);
    until_info_is(HWS_GRPC_OK);
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
    uint64_t first_by_ms = hws_rig_now_ms() + 10000;
    while (tail.reply.n_messages == 0 && hws_rig_now_ms() < first_by_ms) {
        hws_rig_idle(&rig, 5);
    }
    assert_false(tail.done);
    uint64_t since_ms = hws_rig_now_ms();

    assert_int_equal(kill(rig.supervisor, SIGTERM), 0);

    assert_true(hws_rig_wait(&rig, &tail, 10000));
    assert_int_equal(tail.reply.code, HWS_GRPC_UNAVAILABLE);
    hws_rig_reply_free(&tail.reply);
    assert_int_equal(hws_rig_terminate(&rig), 0);
    print_message("    stopped after %llu ms\n", (unsigned long long)(hws_rig_now_ms() - since_ms));
    assert_true(hws_rig_now_ms() - since_ms < 20000);
    hws_rig_restart(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_off_change_is_read_back_and_its_repeat_answered),
        cmocka_unit_test(change_cut_off_between_its_writes_is_put_back),
        cmocka_unit_test(change_cut_off_during_its_last_write_is_done),
        cmocka_unit_test(change_cut_off_with_its_card_is_put_back),
        cmocka_unit_test(change_that_lost_its_card_is_put_back),
        cmocka_unit_test(write_that_lands_late_is_put_back_and_no_other_is_taken_before),
        cmocka_unit_test(change_goes_on_when_its_caller_has_no_more_time),
        cmocka_unit_test(sighup_reads_the_policy_again),
        cmocka_unit_test(drain_ends_followers_and_exits_in_time),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
