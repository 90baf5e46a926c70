/*
 * Wholly or not at all: every fault at every call, alone and in bursts. The judge is the fake
 * card's own records, not what the stepper says; then what it says must fit them.
 */
#include <stdio.h>
#include <string.h>

#include "nv_card.h"
#include "nvconfig/apply.h"
#include "test.h"

#define DEVICE "mlx5:MT1@0000:81:00.0"

/* Three records are written, in the order PCI, SOFTWARE, LINK_TYPE_P1. */
static const struct hws_nv_setting settings[] = {{"LINK_TYPE_P1", "ETH"},
                                                 {"NUM_OF_VFS", "16"},
                                                 {"SRIOV_EN", "True"},
                                                 {"CQE_COMPRESSION", "AGGRESSIVE"}};
#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static struct hws_fake_ctl card;
static struct hws_fake_ctl old_card;
static struct hws_fake_ctl new_card;
static struct hws_nv_apply apply;

static enum hws_step run(void)
{
    struct hws_err err;
    assert_ok(hws_nv_apply_init(&apply, DEVICE, settings, N_SETTINGS, NULL, NULL, &err), &err);
    return nv_run_apply(&card, &apply);
}

static bool same_next(const struct hws_fake_ctl *a, const struct hws_fake_ctl *b)
{
    for (size_t i = 0; i < a->n_records; i++) {
        if (memcmp(a->records[i].next, b->records[i].next, 32) != 0) {
            return false;
        }
    }
    return true;
}

static int set_up_worlds(void **state)
{
    (void)state;
    nv_card_init(&old_card);
    nv_card_init(&new_card);
    card = new_card;
    if (run() != HWS_STEP_DONE) {
        return -1;
    }
    new_card = card;
    return 0;
}

static void settings_are_written_and_read_back(void **state)
{
    (void)state;
    card = old_card;

    assert_int_equal(run(), HWS_STEP_DONE);

    assert_int_equal(apply.outcome, HWS_NV_APPLIED);
    assert_int_equal(card.n_writes, 3);
    assert_string_equal(nv_text("NUM_OF_VFS", hws_fake_record(&card, PCI_TYPE)->next), "16");
    assert_string_equal(nv_text("CQE_COMPRESSION", hws_fake_record(&card, SOFT_TYPE)->next),
                        "AGGRESSIVE");
    assert_string_equal(nv_text("LINK_TYPE_P1", hws_fake_record(&card, LINK1_TYPE)->next), "ETH");
    assert_string_equal(nv_text("NUM_OF_VFS", hws_fake_record(&card, PCI_TYPE)->current), "8");
    assert_non_null(strstr(apply.detail, "3 records"));

    /* The revision it names is what a plan now sees. */
    struct hws_digest revision = apply.revision;
    assert_int_equal(run(), HWS_STEP_DONE);
    assert_true(hws_digest_eq(&revision, &apply.plan.revision));
    assert_int_equal(apply.plan.n_writes, 0);
    assert_int_equal(card.n_writes, 3);
    assert_int_equal(apply.outcome, HWS_NV_APPLIED);
}

static void a_card_or_plan_that_moved_is_a_conflict_and_untouched(void **state)
{
    (void)state;
    static struct hws_nv_plan plan;
    struct hws_err err;
    card = old_card;
    assert_ok(hws_nv_plan_init(&plan, DEVICE, settings, N_SETTINGS, &err), &err);
    assert_int_equal(nv_run_plan(&card, &plan), HWS_STEP_DONE);

    hws_fake_record(&card, KEEP1_TYPE)->next[3] ^= 1;
    assert_ok(
        hws_nv_apply_init(&apply, DEVICE, settings, N_SETTINGS, &plan.hash, &plan.revision, &err),
        &err);
    assert_int_equal(nv_run_apply(&card, &apply), HWS_STEP_FAILED);
    assert_code(apply.err.code, HWS_E_CONFLICT);
    assert_int_equal(apply.outcome, HWS_NV_UNTOUCHED);

    hws_fake_record(&card, KEEP1_TYPE)->next[3] ^= 1;
    assert_ok(hws_nv_apply_init(&apply, DEVICE, settings, 1, &plan.hash, &plan.revision, &err),
              &err);
    assert_int_equal(nv_run_apply(&card, &apply), HWS_STEP_FAILED);
    assert_code(apply.err.code, HWS_E_CONFLICT);
    assert_int_equal(card.n_writes, 0);

    assert_ok(
        hws_nv_apply_init(&apply, DEVICE, settings, N_SETTINGS, &plan.hash, &plan.revision, &err),
        &err);
    assert_int_equal(nv_run_apply(&card, &apply), HWS_STEP_DONE);
}

/* Compares what the card holds with what the stepper says it holds. */
static void judge(enum hws_step step, int fault, size_t k, size_t n_fail)
{
    bool old = same_next(&card, &old_card);
    bool new = same_next(&card, &new_card);
    char where[HWS_ERR_MSG_BYTES + 96];

    (void)snprintf(where, sizeof(where), "fault %d at call %zu for %zu: %s, %s", fault, k, n_fail,
                   hws_nv_outcome_name(apply.outcome), apply.detail);
    if (!old && !new &&apply.outcome != HWS_NV_IN_DOUBT) {
        fail_msg("a mix: %s", where);
    }
    if ((step == HWS_STEP_DONE) != (apply.outcome == HWS_NV_APPLIED)) {
        fail_msg("step and outcome disagree: %s", where);
    }
    if (apply.outcome == HWS_NV_APPLIED && !new) {
        fail_msg("not the new values: %s", where);
    }
    if ((apply.outcome == HWS_NV_UNTOUCHED || apply.outcome == HWS_NV_RESTORED) && !old) {
        fail_msg("not the old values: %s", where);
    }
    if (apply.outcome == HWS_NV_UNTOUCHED && card.n_writes > 0 && fault != HWS_FAKE_NOT_SENT &&
        fault != HWS_FAKE_REJECTED) {
        fail_msg("something was sent: %s", where);
    }
    if (step == HWS_STEP_FAILED && (apply.err.code == HWS_OK || apply.detail[0] == '\0')) {
        fail_msg("no word about the failure: %s", where);
    }
}

static size_t calls_of_a_good_run(void)
{
    card = old_card;
    assert_int_equal(run(), HWS_STEP_DONE);
    return card.n_calls;
}

static void one_fault_at_any_call_leaves_all_old_or_all_new(void **state)
{
    (void)state;
    size_t n = calls_of_a_good_run();

    for (size_t k = 0; k < n; k++) {
        for (int fault = HWS_FAKE_NOT_SENT; fault < HWS_FAKE_N_FAULTS; fault++) {
            card = old_card;
            card.fault = (enum hws_fake_fault)fault;
            card.fail_at = k;
            card.n_fail = 1;

            enum hws_step step = run();

            judge(step, fault, k, 1);
            assert_int_not_equal(apply.outcome, HWS_NV_IN_DOUBT);
        }
    }
}

static void bursts_of_faults_end_old_new_or_honestly_in_doubt(void **state)
{
    (void)state;
    size_t n = calls_of_a_good_run();

    for (size_t n_fail = 2; n_fail < 12; n_fail++) {
        for (size_t k = 0; k < n; k++) {
            for (int fault = HWS_FAKE_NOT_SENT; fault < HWS_FAKE_N_FAULTS; fault++) {
                card = old_card;
                card.fault = (enum hws_fake_fault)fault;
                card.fail_at = k;
                card.n_fail = n_fail;

                enum hws_step step = run();

                judge(step, fault, k, n_fail);
            }
        }
    }
}

static void a_card_that_goes_away_for_good_is_in_doubt_once_something_was_written(void **state)
{
    (void)state;
    size_t n = calls_of_a_good_run();
    size_t first_write = card.first_write;

    for (size_t k = 0; k < n; k++) {
        card = old_card;
        card.fault = HWS_FAKE_NOT_SENT;
        card.fail_at = k;
        card.n_fail = 10000;

        enum hws_step step = run();

        judge(step, HWS_FAKE_NOT_SENT, k, 10000);
        assert_int_equal(apply.outcome, k <= first_write ? HWS_NV_UNTOUCHED : HWS_NV_IN_DOUBT);
        if (apply.outcome == HWS_NV_IN_DOUBT) {
            assert_non_null(strstr(apply.detail, "PCI"));
        }
    }
}

static void an_unknown_write_that_landed_counts_without_a_second_write(void **state)
{
    (void)state;
    (void)calls_of_a_good_run();
    size_t first_write = card.first_write;
    card = old_card;
    card.fault = HWS_FAKE_UNKNOWN_DONE;
    card.fail_at = first_write;
    card.n_fail = 1;

    assert_int_equal(run(), HWS_STEP_DONE);

    assert_int_equal(apply.outcome, HWS_NV_APPLIED);
    assert_int_equal(card.n_writes, 3);
    assert_false(apply.late_write);
}

static void an_unknown_write_that_did_not_land_is_undone_and_may_be_late(void **state)
{
    (void)state;
    (void)calls_of_a_good_run();
    size_t first_write = card.first_write;
    card = old_card;
    card.fault = HWS_FAKE_UNKNOWN;
    card.fail_at = first_write + 2; /* the second write */
    card.n_fail = 1;

    assert_int_equal(run(), HWS_STEP_FAILED);

    assert_int_equal(apply.outcome, HWS_NV_RESTORED);
    assert_true(apply.late_write);
    assert_int_equal(apply.err.stage, HWS_STAGE_UNKNOWN);
    assert_non_null(strstr(apply.err.msg, "record SOFTWARE"));
    assert_non_null(strstr(apply.detail, "may still land"));
    assert_true(same_next(&card, &old_card));
}

static void a_refused_write_names_record_status_and_syndrome(void **state)
{
    (void)state;
    (void)calls_of_a_good_run();
    size_t first_write = card.first_write;
    card = old_card;
    card.fault = HWS_FAKE_REFUSED;
    card.fail_at = first_write + 4;
    card.n_fail = 1;

    assert_int_equal(run(), HWS_STEP_FAILED);

    assert_code(apply.err.code, HWS_E_DEVICE);
    assert_int_equal(apply.err.stage, HWS_STAGE_EXECUTED);
    assert_int_equal(apply.err.exec_status, 1);
    assert_int_equal(apply.err.syndrome, 0x1234);
    assert_non_null(strstr(apply.err.msg, "record LINK_TYPE_P1"));
    assert_int_equal(apply.outcome, HWS_NV_RESTORED);
    assert_int_equal(card.n_writes, 5); /* three forward, two back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_written_and_read_back),
        cmocka_unit_test(a_card_or_plan_that_moved_is_a_conflict_and_untouched),
        cmocka_unit_test(one_fault_at_any_call_leaves_all_old_or_all_new),
        cmocka_unit_test(bursts_of_faults_end_old_new_or_honestly_in_doubt),
        cmocka_unit_test(a_card_that_goes_away_for_good_is_in_doubt_once_something_was_written),
        cmocka_unit_test(an_unknown_write_that_landed_counts_without_a_second_write),
        cmocka_unit_test(an_unknown_write_that_did_not_land_is_undone_and_may_be_late),
        cmocka_unit_test(a_refused_write_names_record_status_and_syndrome),
    };
    return cmocka_run_group_tests(tests, set_up_worlds, NULL);
}
