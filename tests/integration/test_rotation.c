/*
 * A policy's rotation against a real agent: on trial, finalized, rolled back by itself, across a
 * restart, and a push that would lock everybody out.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "hawser/v1/agent.pb-c.h"
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

static int start(void **state)
{
    struct hws_rig_options options = {0};
    char first[512];
    char message[512];
    (void)state;

    hws_rig_start(&rig, &options);
    policy(first, sizeof(first), "first", "observe, admin, audit");
    hws_rig_write(&rig, "policy.yaml", first);
    assert_int_equal(reload(NULL, 0, message, sizeof(message)), HWS_GRPC_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;

    hws_rig_stop(&rig);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushed_policy_that_locks_everybody_out_goes_away_by_itself),
        cmocka_unit_test(trial_is_finalized_under_the_new_policy),
        cmocka_unit_test(file_that_changes_has_the_last_word),
        cmocka_unit_test(trial_survives_a_restart_and_ends_after_it),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
