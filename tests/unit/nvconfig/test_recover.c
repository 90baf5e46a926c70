/* A process that dies between any two calls of an apply: what its successor makes of the card. */
#include <string.h>

#include "nv_card.h"
#include "nvconfig/recover.h"
#include "test.h"

static const struct hws_nv_setting settings[] = {
    {"LINK_TYPE_P1", "ETH"}, {"NUM_OF_VFS", "16"}, {"CQE_COMPRESSION", "AGGRESSIVE"}};

static struct hws_fake_ctl card;
static struct hws_fake_ctl old_card;
static struct hws_fake_ctl new_card;
static struct hws_nv_plan plan;
static struct hws_nv_apply apply;
static struct hws_nv_recover recover;
static uint8_t intent[HWS_NV_INTENT_MAX_BYTES];
static size_t n_intent;

static int set_up_worlds(void **state)
{
    (void)state;
    nv_card_init(&old_card);
    card = old_card;
    if (hws_nv_plan_init(&plan, "d", settings, 3, NULL) != HWS_OK ||
        nv_run_plan(&card, &plan) != HWS_STEP_DONE) {
        return -1;
    }
    n_intent = hws_nv_intent_encode(&plan, intent);
    card = old_card;
    if (hws_nv_apply_init(&apply, "d", settings, 3, NULL, NULL, NULL) != HWS_OK ||
        nv_run_apply(&card, &apply) != HWS_STEP_DONE) {
        return -1;
    }
    new_card = card;
    return 0;
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

static enum hws_step run(void)
{
    struct hws_ctl_call call = {0};
    struct hws_err err;
    enum hws_step step;

    assert_ok(hws_nv_recover_init(&recover, intent, n_intent, &err), &err);
    while ((step = hws_nv_recover_next(&recover, 0, &call)) == HWS_STEP_CALL) {
        hws_fake_answer(&card, &call);
        hws_nv_recover_feed(&recover, &call);
    }
    return step;
}

/* Runs an apply for n calls and drops it, as a killed process would. */
static void die_after(size_t n)
{
    struct hws_ctl_call call = {0};

    card = old_card;
    assert_ok(hws_nv_apply_init(&apply, "d", settings, 3, NULL, NULL, NULL), NULL);
    for (size_t i = 0; i < n && hws_nv_apply_next(&apply, 0, &call) == HWS_STEP_CALL; i++) {
        hws_fake_answer(&card, &call);
        hws_nv_apply_feed(&apply, &call);
    }
}

static void death_at_any_call_ends_old_or_new_and_says_which(void **state)
{
    (void)state;
    size_t n_untouched = 0;
    size_t n_restored = 0;
    size_t n_applied = 0;

    for (size_t n = 0; n <= new_card.n_calls; n++) {
        die_after(n);

        assert_int_equal(run(), HWS_STEP_DONE);

        bool old = same_next(&card, &old_card);
        assert_true(old || same_next(&card, &new_card));
        assert_int_equal(recover.outcome == HWS_NV_APPLIED, !old);
        assert_int_not_equal(recover.outcome, HWS_NV_IN_DOUBT);
        n_untouched += recover.outcome == HWS_NV_UNTOUCHED;
        n_restored += recover.outcome == HWS_NV_RESTORED;
        n_applied += recover.outcome == HWS_NV_APPLIED;
    }
    assert_true(n_untouched > 0 && n_applied > 0);
    assert_int_equal(n_restored,
                     4); /* one and two of three records written, before and after the read-back */
}

static void faults_during_recovery_end_old_or_honestly_in_doubt(void **state)
{
    (void)state;
    die_after(new_card.n_calls - 2); /* two of three written */
    const struct hws_fake_ctl mixed = card;
    assert_int_equal(run(), HWS_STEP_DONE);
    size_t n_calls = card.n_calls - mixed.n_calls;

    for (size_t n_fail = 1; n_fail < 9; n_fail += 2) {
        for (size_t k = 0; k < n_calls; k++) {
            for (int fault = HWS_FAKE_NOT_SENT; fault < HWS_FAKE_N_FAULTS; fault++) {
                card = mixed;
                card.fault = (enum hws_fake_fault)fault;
                card.fail_at = mixed.n_calls + k;
                card.n_fail = n_fail;

                enum hws_step step = run();

                assert_int_equal(step == HWS_STEP_FAILED, recover.outcome == HWS_NV_IN_DOUBT);
                assert_true(step == HWS_STEP_FAILED || same_next(&card, &old_card));
                assert_true(step != HWS_STEP_FAILED ||
                            (recover.err.code != HWS_OK && recover.detail[0] != '\0'));
                assert_true(n_fail > 1 || step == HWS_STEP_DONE);
            }
        }
    }
}

static void what_somebody_else_wrote_is_left_alone(void **state)
{
    (void)state;
    die_after(new_card.n_calls - 2);
    hws_fake_record(&card, LINK1_TYPE)->next[3] = 0x0C;
    size_t before = card.n_writes;

    assert_int_equal(run(), HWS_STEP_FAILED);

    assert_int_equal(recover.outcome, HWS_NV_IN_DOUBT);
    assert_code(recover.err.code, HWS_E_CONFLICT);
    assert_non_null(strstr(recover.detail, "LINK_TYPE_P1"));
    assert_int_equal(card.n_writes, before);
}

static void an_intent_is_its_documented_bytes(void **state)
{
    (void)state;
    /* version, count; LINK_TYPE_P1: type, MNVDA, 4 bytes, old, new: the last of the three. */
    const uint8_t link[] = {0x01, 0x01, 0x00, 0x12, 0, 4, 0, 0, 0, 0x04, 0, 0, 0, 0x08};

    assert_int_equal(intent[0], 1);
    assert_int_equal(intent[1], 3);
    assert_int_equal(n_intent, 2 + (6 + 24) + (6 + 16) + (6 + 8));
    assert_memory_equal(intent + n_intent - sizeof(link), link, sizeof(link));
}

static void damaged_journal_bytes_are_refused(void **state)
{
    (void)state;
    uint8_t copy[HWS_NV_INTENT_MAX_BYTES] = {0};
    struct hws_err err;

    for (size_t n = 0; n < n_intent; n++) {
        assert_code(hws_nv_recover_init(&recover, intent, n, &err), HWS_E_PROTO);
    }
    static const size_t places[] = {0, 1, 2, 3, 4, 5, 6, 7};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        memcpy(copy, intent, n_intent);
        copy[places[i]] ^= 0x42;
        assert_code(hws_nv_recover_init(&recover, copy, n_intent, &err), HWS_E_PROTO);
    }
    memcpy(copy, intent, n_intent);
    copy[n_intent] = 0;
    assert_code(hws_nv_recover_init(&recover, copy, n_intent + 1, &err), HWS_E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(death_at_any_call_ends_old_or_new_and_says_which),
        cmocka_unit_test(faults_during_recovery_end_old_or_honestly_in_doubt),
        cmocka_unit_test(what_somebody_else_wrote_is_left_alone),
        cmocka_unit_test(an_intent_is_its_documented_bytes),
        cmocka_unit_test(damaged_journal_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up_worlds, NULL);
}
