/*
 * A policy's rotation against a real agent: on trial, finalized, rolled back by itself, across a
 * restart, a push that would lock everybody out, and what waits while it happens.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
#include "hawser/v1/audit.pb-c.h"
#include "hawser/v1/command.pb-c.h"
#include "rig_sweep.h"
#include "test.h"

#define CALL_MS 30000u
#define WAIT_MS 60000u /* for a trial's end, on a loaded machine */

static struct hws_rig rig;

/* A policy in which the rig's user may do what the rule says, and which differs by its remark. */
static void policy(char *dst, size_t cap, const char *remark, const char *methods)
{
    assert_true(hws_str_print(dst, cap,
                              "# %s\nversion: 1\nlocal:\n  \"%u\": spiffe://d.test/rig\nrules:\n"
                              "  - name: rig\n    principals: [spiffe://d.test/rig]\n"
                              "    methods: [%s]\n    max_effect: config-live\n",
                              remark, (unsigned)getuid(), methods));
}

static enum hws_grpc_code reload(const char *pushed, uint32_t trial_ms, char *message, size_t cap)
{
    Hawser__V1__ReloadRequest r = HAWSER__V1__RELOAD_REQUEST__INIT;
    struct hws_rig_reply reply;
    struct hws_rig_mutation m;

    r.mutation = hws_rig_mutate(&m);
    r.trial_ms = trial_ms;
    if (pushed != NULL) {
        r.policy = (ProtobufCBinaryData){strlen(pushed), (uint8_t *)hws_rig_text(pushed)};
    }
    hws_rig_call(&rig, "/hawser.v1.AgentService/Reload", &r.base, CALL_MS, &reply);
    hws_str_copy(message, cap, reply.message);
    hws_rig_reply_free(&reply);
    return reply.code;
}

static enum hws_grpc_code finalize(const char *hash, bool roll_back, char *message, size_t cap)
{
    Hawser__V1__FinalizeRequest r = HAWSER__V1__FINALIZE_REQUEST__INIT;
    struct hws_rig_reply reply;
    struct hws_rig_mutation m;

    r.mutation = hws_rig_mutate(&m);
    r.policy_hash = hws_rig_text(hash);
    r.roll_back = roll_back;
    hws_rig_call(&rig, "/hawser.v1.AgentService/Finalize", &r.base, CALL_MS, &reply);
    hws_str_copy(message, cap, reply.message);
    hws_rig_reply_free(&reply);
    return reply.code;
}

struct in_force {
    char hash[65];
    char source[8];
    uint64_t left_ms;
    bool known;
};

/* What Info says; not known where the policy does not let us ask. */
static struct in_force look(void)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    struct hws_rig_reply reply;
    struct in_force out = {0};

    hws_rig_call(&rig, "/hawser.v1.AgentService/Info", &q.base, CALL_MS, &reply);
    if (reply.code == HWS_GRPC_OK) {
        Hawser__V1__InfoResponse *r = hawser__v1__info_response__unpack(
            NULL, hws_buf_len(&reply.bytes), hws_buf_peek(&reply.bytes));
        assert_non_null(r);
        hws_str_copy(out.hash, sizeof(out.hash), r->policy_hash);
        hws_str_copy(out.source, sizeof(out.source), r->policy_source);
        out.left_ms = r->policy_trial_left_ms;
        out.known = true;
        hawser__v1__info_response__free_unpacked(r, NULL);
    }
    hws_rig_reply_free(&reply);
    return out;
}

/* Until the policy with this hash is in force and no trial is on. */
static void wait_for(const char *hash)
{
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;

    while (hws_rig_now_ms() < until_ms) {
        struct in_force now = look();
        if (now.known && now.left_ms == 0 && strcmp(now.hash, hash) == 0) {
            return;
        }
        hws_rig_idle(&rig, 50);
    }
    fail_msg("policy %s does not come back", hash);
}

#define REFUSED(call, code, part)                                                                  \
    do {                                                                                           \
        assert_int_equal((call), (code));                                                          \
        assert_non_null(strstr(message, (part)));                                                  \
    } while (0)

static void pushed_policy_that_locks_everybody_out_goes_away_by_itself(void **state)
{
    char message[512];
    char locks_out[512];
    struct in_force before = look();
    (void)state;

    policy(locks_out, sizeof(locks_out), "nothing", "device.list");
    REFUSED(reload(locks_out, 0, message, sizeof(message)), HWS_GRPC_INVALID_ARGUMENT,
            "trial_ms is required for a pushed policy");
    REFUSED(reload(locks_out, 999, message, sizeof(message)), HWS_GRPC_INVALID_ARGUMENT,
            "trial_ms is 1000 to 3600000");
    REFUSED(reload("version: 1\nruls: []\n", 2000, message, sizeof(message)),
            HWS_GRPC_INVALID_ARGUMENT, "the pushed policy:2:1: unknown key \"ruls\"");
    assert_int_equal(reload(locks_out, 2000, message, sizeof(message)), HWS_GRPC_OK);
    /* Nobody may finalize under it: it must go. */
    enum hws_grpc_code code = finalize(before.hash, false, message, sizeof(message));
    assert_true(code == HWS_GRPC_PERMISSION_DENIED || code == HWS_GRPC_FAILED_PRECONDITION);
    wait_for(before.hash);
    assert_string_equal(look().source, "file");
}

static void trial_is_finalized_under_the_new_policy(void **state)
{
    char message[512];
    char pushed[512];
    struct in_force before = look();
    (void)state;

    REFUSED(finalize(before.hash, false, message, sizeof(message)), HWS_GRPC_FAILED_PRECONDITION,
            "no policy is on trial");
    policy(pushed, sizeof(pushed), "pushed", "observe, admin, audit");
    assert_int_equal(reload(pushed, 600000, message, sizeof(message)), HWS_GRPC_OK);
    struct in_force now = look();
    assert_true(now.left_ms > 0 && now.left_ms <= 600000);
    assert_string_not_equal(now.hash, before.hash);
    REFUSED(reload(pushed, 5000, message, sizeof(message)), HWS_GRPC_FAILED_PRECONDITION,
            "a policy is on trial for another");
    REFUSED(finalize(before.hash, false, message, sizeof(message)), HWS_GRPC_ABORTED, now.hash);
    assert_int_equal(finalize(now.hash, false, message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(look().left_ms, 0);
    assert_string_equal(look().source, "kept");

    /* It outlives the process, and a reload of a file that nobody touched. */
    assert_int_equal(hws_rig_terminate(&rig), 0);
    hws_rig_restart(&rig);
    assert_string_equal(look().hash, now.hash);
    assert_int_equal(reload(NULL, 0, message, sizeof(message)), HWS_GRPC_OK);
    assert_string_equal(look().hash, now.hash);
}

static void file_that_changes_has_the_last_word(void **state)
{
    char message[512];
    char edited[512];
    (void)state;

    policy(edited, sizeof(edited), "edited", "observe, admin, audit");
    hws_rig_write(&rig, "policy.yaml", edited);
    assert_int_equal(reload(NULL, 0, message, sizeof(message)), HWS_GRPC_OK);
    assert_string_equal(look().source, "file");
}

static void trial_survives_a_restart_and_ends_after_it(void **state)
{
    char message[512];
    char edited[512];
    struct in_force before = look();
    (void)state;

    policy(edited, sizeof(edited), "on trial", "observe, admin, audit");
    hws_rig_write(&rig, "policy.yaml", edited);
    assert_int_equal(reload(NULL, 600000, message, sizeof(message)), HWS_GRPC_OK);
    struct in_force now = look();
    assert_int_equal(hws_rig_terminate(&rig), 0);
    hws_rig_restart(&rig);
    assert_string_equal(look().hash, now.hash);
    assert_true(look().left_ms > 0 && look().left_ms <= now.left_ms);
    assert_int_equal(finalize("", true, message, sizeof(message)), HWS_GRPC_OK);
    assert_string_equal(look().hash, before.hash);

    /* The trial's end passes while the agent is down: the start goes back. */
    assert_int_equal(reload(NULL, 1000, message, sizeof(message)), HWS_GRPC_OK);
    uint64_t end_ms = hws_rig_now_ms() + 1000;
    assert_int_equal(hws_rig_terminate(&rig), 0);
    while (hws_rig_now_ms() < end_ms) {
        (void)usleep(10000);
    }
    hws_rig_restart(&rig);
    assert_string_equal(look().hash, before.hash);
    assert_int_equal(look().left_ms, 0);
    /* And it stays so, though the file has the refused one. */
    assert_int_equal(reload(NULL, 0, message, sizeof(message)), HWS_GRPC_OK);
    assert_string_equal(look().hash, before.hash);
}

/* ---- what waits ------------------------------------------------------------------------------ */

#define PCI "0000:03:00.0"

static void send_item(struct hws_rig_async *stream, uint64_t tag, const char *device, bool write)
{
    Hawser__V1__ExecuteStreamRequest q = HAWSER__V1__EXECUTE_STREAM_REQUEST__INIT;
    Hawser__V1__ExecuteRequest x = HAWSER__V1__EXECUTE_REQUEST__INIT;
    Hawser__V1__RegisterAccess a = HAWSER__V1__REGISTER_ACCESS__INIT;
    Hawser__V1__FieldValue f = HAWSER__V1__FIELD_VALUE__INIT;
    Hawser__V1__FieldValue *fields[] = {&f};
    struct hws_rig_mutation m;
    uint8_t packed[512];

    a.register_ = hws_rig_text(write ? "PAOS" : "MGIR");
    a.write = write;
    f.name = hws_rig_text("local_port");
    f.value = hws_rig_text("1");
    a.fields = fields;
    a.n_fields = write ? 1 : 0;
    x.device = hws_rig_text(device);
    x.what_case = HAWSER__V1__EXECUTE_REQUEST__WHAT_REGISTER;
    x.register_ = &a;
    x.mutation = write ? hws_rig_mutate(&m) : NULL;
    q.tag = tag;
    q.request = &x;
    size_t n = hawser__v1__execute_stream_request__pack(&q, packed);
    assert_int_equal(hws_grpc_call_send(stream->call, packed, n, NULL), HWS_OK);
}

/* Waits for the stream's n-th answer, which is this item's. */
static void answered(struct hws_rig_async *stream, size_t n, uint64_t tag, int code,
                     const char *part)
{
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;

    while (stream->reply.n_messages < n && !stream->done && hws_rig_now_ms() < until_ms) {
        (void)hws_rig_wait(&rig, stream, 20);
    }
    assert_int_equal(stream->reply.n_messages, n);
    Hawser__V1__ExecuteStreamResponse *r = hawser__v1__execute_stream_response__unpack(
        NULL, hws_buf_len(&stream->reply.bytes), hws_buf_peek(&stream->reply.bytes));
    assert_non_null(r);
    if (r->tag != tag || r->code != code || strstr(r->message, part) == NULL) {
        fail_msg("item %llu: %d: %s", (unsigned long long)r->tag, (int)r->code, r->message);
    }
    hawser__v1__execute_stream_response__free_unpacked(r, NULL);
}

struct search {
    const char *rule;
    bool found;
};

static bool by_rule(void *data, const uint8_t *bytes, size_t n)
{
    struct search *search = data;
    Hawser__V1__TailResponse *r = hawser__v1__tail_response__unpack(NULL, n, bytes);

    assert_non_null(r);
    if (strcmp(r->record->rule, search->rule) == 0 &&
        strcmp(r->record->code, "PERMISSION_DENIED") == 0) {
        search->found = true;
    }
    hawser__v1__tail_response__free_unpacked(r, NULL);
    return true;
}

static void is_on_record(const char *rule)
{
    Hawser__V1__TailRequest q = HAWSER__V1__TAIL_REQUEST__INIT;
    struct search search = {.rule = rule};
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;
    struct hws_rig_reply reply;

    q.last = 100;
    while (!search.found && hws_rig_now_ms() < until_ms) {
        hws_rig_stream(&rig, "/hawser.v1.AuditService/Tail", &q.base, CALL_MS, by_rule, &search,
                       &reply);
        hws_rig_reply_free(&reply);
    }
    assert_true(search.found);
}

/* The card stands still under a read, and a write waits behind it while the policy changes. */
static void what_waits_is_judged_by_the_policy_of_its_turn(void **state)
{
    char message[512];
    char freeze[768];
    struct hws_rig_async stream;
    uint64_t until_ms = hws_rig_now_ms() + WAIT_MS;
    (void)state;

    policy(freeze, sizeof(freeze), "open", "observe, admin, audit, debug");
    hws_rig_write(&rig, "policy.yaml", freeze);
    assert_int_equal(reload(NULL, 0, message, sizeof(message)), HWS_GRPC_OK);
    pid_t emu = hws_rig_pid(&rig, "hawser-emu");
    hws_rig_begin(&rig, "/hawser.v1.CommandService/ExecuteStream", HWS_GRPC_BIDI, NULL, 0, &stream);
    send_item(&stream, 1, PCI, false); /* the adapter is identified by then */
    answered(&stream, 1, 1, HWS_GRPC_OK, "");
    uint64_t before = hws_rig_counter(&rig, "commands");
    assert_int_equal(kill(emu, SIGSTOP), 0);
    send_item(&stream, 2, PCI, false);
    while (hws_rig_counter(&rig, "commands") == before && hws_rig_now_ms() < until_ms) {
        hws_rig_idle(&rig, 20);
    }
    send_item(&stream, 3, PCI, true);
    send_item(&stream, 4, "none", false); /* refused at once: by then 3 is there and waits */
    answered(&stream, 2, 4, HWS_GRPC_NOT_FOUND, "none");
    hws_str_print(freeze + strlen(freeze), sizeof(freeze) - strlen(freeze),
                  "  - {name: freeze, decision: deny, principals: [\"*\"], methods: [\"*\"], "
                  "min_effect: config-live, targets: [\"PAOS:write\"]}\n");
    hws_rig_write(&rig, "policy.yaml", freeze);
    assert_int_equal(reload(NULL, 0, message, sizeof(message)), HWS_GRPC_OK);
    assert_int_equal(stream.reply.n_messages, 2);
    uint64_t mutations = hws_rig_counter(&rig, "mutations");
    assert_int_equal(kill(emu, SIGCONT), 0);
    answered(&stream, 4, 3, HWS_GRPC_PERMISSION_DENIED, "rule \"freeze\"");
    assert_int_equal(hws_rig_counter(&rig, "mutations"), mutations);
    is_on_record("freeze");
    hws_grpc_call_half_close(stream.call);
    assert_true(hws_rig_wait(&rig, &stream, WAIT_MS));
    assert_int_equal(stream.reply.code, HWS_GRPC_OK);
    hws_rig_reply_free(&stream.reply);
}

static int start(void **state)
{
    struct hws_rig_options options = {0};
    char first[512];
    char message[512];

    *state = &rig;
    hws_rig_start(&rig, &options);
    policy(first, sizeof(first), "first", "observe, admin, audit");
    hws_rig_write(&rig, "policy.yaml", first);
    assert_int_equal(reload(NULL, 0, message, sizeof(message)), HWS_GRPC_OK);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushed_policy_that_locks_everybody_out_goes_away_by_itself),
        cmocka_unit_test(trial_is_finalized_under_the_new_policy),
        cmocka_unit_test(file_that_changes_has_the_last_word),
        cmocka_unit_test(trial_survives_a_restart_and_ends_after_it),
        cmocka_unit_test(what_waits_is_judged_by_the_policy_of_its_turn),
    };
    return hws_rig_run_group(tests, start, hws_rig_teardown);
}
