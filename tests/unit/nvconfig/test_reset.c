/* Back to the factory's values, and nothing but what was named. */
#include <string.h>

#include "nv_card.h"
#include "nvconfig/reset.h"
#include "test.h"

static struct hws_fake_ctl card;
static struct hws_nv_apply apply;
static struct hws_nv_plan plan;

static enum hws_step reset(const char *const *names, size_t n)
{
    struct hws_err err;
    assert_ok(hws_nv_reset_init(&apply, "d", names, n, NULL, NULL, &err), &err);
    return nv_run_apply(&card, &apply);
}

/* The user has changed VFs, both link types and one link flag. */
static void set_up(void)
{
    nv_card_init(&card);
    hws_fake_record(&card, PCI_TYPE)->next[7] = 16;
    hws_fake_record(&card, PCI_TYPE)->next[4] = 0; /* SRIOV_EN False */
    hws_fake_record(&card, LINK1_TYPE)->next[3] = 0x08;
    hws_fake_record(&card, LINK2_TYPE)->next[3] = 0x08;
    hws_fake_record(&card, KEEP1_TYPE)->next[3] = 0x03;
}

static void a_parameter_goes_back_and_its_neighbours_stay(void **state)
{
    (void)state;
    const char *names[] = {"NUM_OF_VFS"};
    const uint8_t *next = NULL;
    set_up();

    assert_int_equal(reset(names, 1), HWS_STEP_DONE);

    next = hws_fake_record(&card, PCI_TYPE)->next;
    assert_string_equal(nv_text("NUM_OF_VFS", next), "8");
    assert_string_equal(nv_text("SRIOV_EN", next), "False");
    assert_int_equal(hws_fake_record(&card, LINK1_TYPE)->next[3], 0x08);
    assert_int_equal(card.n_writes, 1);
    assert_false(apply.plan.writes[0].invalidate);
    assert_int_equal(apply.plan.n_changes, 1);
}

static void a_record_that_ends_at_its_factory_bytes_is_invalidated(void **state)
{
    (void)state;
    const char *names[] = {"LINK_TYPE_P1"};
    set_up();

    assert_int_equal(reset(names, 1), HWS_STEP_DONE);

    assert_true(apply.plan.writes[0].invalidate);
    assert_int_equal(card.seen_reg[card.first_write], 0x9025);
    assert_int_equal(hws_fake_record(&card, LINK1_TYPE)->next[3], 0x04);
    assert_int_equal(hws_fake_record(&card, LINK2_TYPE)->next[3], 0x08);
}

static void a_shared_valid_bit_stays_until_all_that_share_it_go_back(void **state)
{
    (void)state;
    const char *one[] = {"NUM_OF_VFS"};
    const char *both[] = {"NUM_OF_VFS", "SRIOV_EN"};
    set_up();
    memset(hws_fake_record(&card, PCI_TYPE)->factory, 0, 12);

    assert_int_equal(reset(one, 1), HWS_STEP_DONE);
    assert_string_equal(nv_text("NUM_OF_VFS", hws_fake_record(&card, PCI_TYPE)->next), "0");
    assert_string_equal(nv_text("SRIOV_EN", hws_fake_record(&card, PCI_TYPE)->next), "False");

    assert_int_equal(reset(both, 2), HWS_STEP_DONE);
    assert_string_equal(nv_text("NUM_OF_VFS", hws_fake_record(&card, PCI_TYPE)->next), "unset");
}

static void everything_goes_back_but_what_the_adapter_lacks(void **state)
{
    (void)state;
    set_up();
    hws_fake_record(&card, LINK2_TYPE)->readable = false;
    hws_fake_record(&card, KEEP1_TYPE)->next[0] = 0x80; /* a bit no parameter has: stays */

    assert_int_equal(reset(NULL, 0), HWS_STEP_DONE);

    assert_memory_equal(hws_fake_record(&card, PCI_TYPE)->next,
                        hws_fake_record(&card, PCI_TYPE)->factory, 12);
    assert_int_equal(hws_fake_record(&card, LINK1_TYPE)->next[3], 0x04);
    assert_int_equal(hws_fake_record(&card, LINK2_TYPE)->next[3], 0x08);
    assert_int_equal(hws_fake_record(&card, KEEP1_TYPE)->next[0], 0x80);
    assert_int_equal(hws_fake_record(&card, KEEP1_TYPE)->next[3], 0);
    assert_int_equal(reset(NULL, 0), HWS_STEP_DONE);
    assert_int_equal(apply.plan.n_writes, 0);
}

static void without_factory_values_nothing_is_touched(void **state)
{
    (void)state;
    const char *names[] = {"NUM_OF_VFS"};
    set_up();
    card.reads_factory = false;

    assert_int_equal(reset(names, 1), HWS_STEP_FAILED);
    assert_code(apply.err.code, HWS_E_UNSUPPORTED);
    assert_int_equal(reset(NULL, 0), HWS_STEP_FAILED);
    assert_code(apply.err.code, HWS_E_UNSUPPORTED);
    assert_int_equal(card.n_writes, 0);
    assert_int_equal(apply.outcome, HWS_NV_UNTOUCHED);
}

static void a_planned_reset_is_what_is_done_or_a_conflict(void **state)
{
    (void)state;
    const char *names[] = {"LINK_TYPE_P1", "NUM_OF_VFS"};
    struct hws_err err;
    set_up();
    assert_ok(hws_nv_reset_plan_init(&plan, "d", names, 2, &err), &err);
    assert_int_equal(nv_run_plan(&card, &plan), HWS_STEP_DONE);
    assert_int_equal(plan.n_writes, 2);
    assert_string_equal(plan.changes[0].wanted, "IB");
    assert_string_equal(plan.changes[1].wanted, "8");

    assert_ok(hws_nv_reset_init(&apply, "d", names, 1, &plan.hash, &plan.revision, &err), &err);
    assert_int_equal(nv_run_apply(&card, &apply), HWS_STEP_FAILED);
    assert_code(apply.err.code, HWS_E_CONFLICT);
    assert_ok(hws_nv_reset_init(&apply, "d", names, 2, &plan.hash, &plan.revision, &err), &err);
    assert_int_equal(nv_run_apply(&card, &apply), HWS_STEP_DONE);
}

static void one_fault_at_any_call_leaves_all_old_or_all_new(void **state)
{
    (void)state;
    const char *names[] = {"LINK_TYPE_P1", "LINK_TYPE_P2", "NUM_OF_VFS"};
    static struct hws_fake_ctl old_card;
    static struct hws_fake_ctl new_card;
    set_up();
    old_card = card;
    assert_int_equal(reset(names, 3), HWS_STEP_DONE);
    new_card = card;

    for (size_t k = 0; k < new_card.n_calls; k++) {
        for (int fault = HWS_FAKE_NOT_SENT; fault < HWS_FAKE_N_FAULTS; fault++) {
            card = old_card;
            card.fault = (enum hws_fake_fault)fault;
            card.fail_at = k;
            card.n_fail = 1;

            enum hws_step step = reset(names, 3);

            const struct hws_fake_ctl *want = step == HWS_STEP_DONE ? &new_card : &old_card;
            for (size_t i = 0; i < card.n_records; i++) {
                assert_memory_equal(card.records[i].next, want->records[i].next, 32);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parameter_goes_back_and_its_neighbours_stay),
        cmocka_unit_test(a_record_that_ends_at_its_factory_bytes_is_invalidated),
        cmocka_unit_test(a_shared_valid_bit_stays_until_all_that_share_it_go_back),
        cmocka_unit_test(everything_goes_back_but_what_the_adapter_lacks),
        cmocka_unit_test(without_factory_values_nothing_is_touched),
        cmocka_unit_test(a_planned_reset_is_what_is_done_or_a_conflict),
        cmocka_unit_test(one_fault_at_any_call_leaves_all_old_or_all_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
