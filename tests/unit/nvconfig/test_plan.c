/* What a set of settings would do: differences, writes, hashes, refusals. */
#include <string.h>

#include "nv_card.h"
#include "nvconfig/plan.h"
#include "nvconfig/reset.h"
#include "test.h"

static struct hws_fake_ctl card;
static struct hws_nv_plan plan;

static enum hws_step make(const struct hws_nv_setting *settings, size_t n)
{
    struct hws_err err;
    assert_ok(hws_nv_plan_init(&plan, "mlx5:MT1@0000:81:00.0", settings, n, &err), &err);
    return nv_run_plan(&card, &plan);
}

static void settings_of_one_record_merge_into_one_write(void **state)
{
    (void)state;
    const struct hws_nv_setting s[] = {
        {"NUM_OF_VFS", "16"}, {"NUM_PF_MSIX", "63"}, {"SRIOV_EN", "True"}};
    const uint8_t want[12] = {0x84, 0, 0, 0, 0x80, 0x00, 0x00, 0x10, 0x00, 0x03, 0xF0, 0x00};
    nv_card_init(&card);

    assert_int_equal(make(s, 3), HWS_STEP_DONE);

    assert_int_equal(plan.n_writes, 1);
    assert_memory_equal(plan.writes[0].new_bytes, want, 12);
    assert_int_equal(plan.writes[0].old_bytes[7], 8);
    assert_false(plan.writes[0].invalidate);
    assert_int_equal(plan.reset, HWS_NV_RESET_FIRMWARE);
    assert_int_equal(card.n_writes, 0);
    assert_int_equal(plan.n_changes, 4); /* and NUM_PF_MSIX_VALID, which follows */
    assert_string_equal(plan.changes[0].running, "8");
    assert_string_equal(plan.changes[0].next_boot, "8");
    assert_string_equal(plan.changes[0].wanted, "16");
    assert_true(plan.changes[0].changes);
    assert_string_equal(plan.changes[1].next_boot, "unset");
    assert_false(plan.changes[2].changes);
    assert_true(plan.changes[3].implied);
    assert_string_equal(plan.changes[3].param->name, "NUM_PF_MSIX_VALID");
}

static void a_neighbour_that_begins_to_count_is_listed_as_implied(void **state)
{
    (void)state;
    const struct hws_nv_setting s[] = {{"NUM_OF_VFS", "4"}};
    nv_card_init(&card);
    memset(hws_fake_record(&card, PCI_TYPE)->next, 0, 12);

    assert_int_equal(make(s, 1), HWS_STEP_DONE);

    assert_int_equal(plan.n_changes, 2);
    assert_string_equal(plan.changes[1].param->name, "SRIOV_EN");
    assert_true(plan.changes[1].implied);
    assert_string_equal(plan.changes[1].next_boot, "unset");
    assert_string_equal(plan.changes[1].wanted, "False");
}

static void nothing_to_do_is_no_write_and_no_reset(void **state)
{
    (void)state;
    const struct hws_nv_setting s[] = {{"NUM_OF_VFS", "8"}, {"LINK_TYPE_P1", "IB"}};
    nv_card_init(&card);

    assert_int_equal(make(s, 2), HWS_STEP_DONE);

    assert_int_equal(plan.n_writes, 0);
    assert_int_equal(plan.n_changes, 2);
    assert_false(plan.changes[0].changes || plan.changes[1].changes);
    assert_int_equal(plan.reset, HWS_NV_RESET_NONE);
}

static void other_bits_of_the_record_keep_what_the_next_boot_has(void **state)
{
    (void)state;
    const struct hws_nv_setting s[] = {{"LINK_TYPE_P2", "ETH"}};
    const uint8_t want[4] = {0xA5, 0xA5, 0xA5, 0xA9};
    nv_card_init(&card);
    memset(hws_fake_record(&card, LINK2_TYPE)->next, 0xA5, 4);

    assert_int_equal(make(s, 1), HWS_STEP_DONE);

    assert_int_equal(plan.n_writes, 1);
    assert_memory_equal(plan.writes[0].new_bytes, want, 4);
}

static void the_hash_is_over_device_revision_and_bytes(void **state)
{
    (void)state;
    const struct hws_nv_setting s[] = {{"NUM_OF_VFS", "16"}};
    const struct hws_nv_setting other[] = {{"NUM_OF_VFS", "17"}};
    struct hws_digest hash;
    struct hws_digest revision;
    struct hws_err err;
    nv_card_init(&card);
    assert_int_equal(make(s, 1), HWS_STEP_DONE);
    hash = plan.hash;
    revision = plan.revision;

    assert_int_equal(make(s, 1), HWS_STEP_DONE);
    assert_true(hws_digest_eq(&hash, &plan.hash));
    assert_int_equal(make(other, 1), HWS_STEP_DONE);
    assert_false(hws_digest_eq(&hash, &plan.hash));
    assert_true(hws_digest_eq(&revision, &plan.revision));
    assert_ok(hws_nv_plan_init(&plan, "mlx5:MT2@0000:81:00.0", s, 1, &err), &err);
    assert_int_equal(nv_run_plan(&card, &plan), HWS_STEP_DONE);
    assert_false(hws_digest_eq(&hash, &plan.hash));
    hws_fake_record(&card, KEEP1_TYPE)->next[3] = 1; /* a record the plan does not write */
    assert_int_equal(make(s, 1), HWS_STEP_DONE);
    assert_false(hws_digest_eq(&revision, &plan.revision));
    assert_false(hws_digest_eq(&hash, &plan.hash));
}

static void bad_settings_are_refused_before_any_call(void **state)
{
    (void)state;
    static const struct {
        struct hws_nv_setting s[2];
        size_t n;
        enum hws_code code;
    } cases[] = {
        {{{"NUM_OF_VFS", "70000"}}, 1, HWS_E_INVALID},
        {{{"NUM_OF_VFS", "1"}, {"NO_SUCH", "1"}}, 2, HWS_E_NOT_FOUND},
        {{{"NUM_OF_VFS", "1"}, {"num_of_vfs", "1"}}, 2, HWS_E_INVALID},
        {{{"NUM_OF_VFS", "1"}}, 0, HWS_E_INVALID},
        {{{"NUM_OF_VFS", "1"}}, HWS_NV_MAX_SETTINGS + 1, HWS_E_INVALID},
    };
    char long_id[HWS_NV_DEVICE_ID_BYTES + 1];
    struct hws_err err;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_code(hws_nv_plan_init(&plan, "d", cases[i].s, cases[i].n, &err), cases[i].code);
    }
    memset(long_id, 'x', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    assert_code(hws_nv_plan_init(&plan, long_id, cases[0].s, 1, &err), HWS_E_INVALID);
}

static void what_this_adapter_does_not_allow_is_refused_before_any_write(void **state)
{
    (void)state;
    const struct hws_nv_setting over[] = {{"NUM_OF_VFS", "128"}};
    const struct hws_nv_setting fight[] = {{"NUM_PF_MSIX", "5"}, {"NUM_PF_MSIX_VALID", "False"}};
    const struct hws_nv_setting fight_back[] = {{"NUM_PF_MSIX_VALID", "False"},
                                                {"NUM_PF_MSIX", "5"}};
    const struct hws_nv_setting link[] = {{"LINK_TYPE_P2", "ETH"}};

    nv_card_init(&card);
    assert_int_equal(make(over, 1), HWS_STEP_FAILED);
    assert_code(plan.err.code, HWS_E_INVALID);
    assert_non_null(strstr(plan.err.msg, "0..127"));
    assert_int_equal(make(fight, 2), HWS_STEP_FAILED);
    assert_code(plan.err.code, HWS_E_INVALID);
    assert_int_equal(make(fight_back, 2), HWS_STEP_FAILED);
    assert_code(plan.err.code, HWS_E_INVALID);

    hws_fake_record(&card, LINK2_TYPE)->readable = false; /* a card with one port */
    assert_int_equal(make(link, 1), HWS_STEP_FAILED);
    assert_code(plan.err.code, HWS_E_UNSUPPORTED);
    hws_fake_record(&card, LINK2_TYPE)->readable = true;
    hws_fake_record(&card, LINK2_TYPE)->writable = false;
    assert_int_equal(make(link, 1), HWS_STEP_FAILED);
    assert_code(plan.err.code, HWS_E_UNSUPPORTED);
    assert_int_equal(card.n_writes, 0);
}

static void a_plan_reads_even_if_the_card_hides_current_and_factory(void **state)
{
    (void)state;
    const struct hws_nv_setting s[] = {{"NUM_OF_VFS", "16"}};
    nv_card_init(&card);
    card.reads_current = false;
    card.reads_factory = false;

    assert_int_equal(make(s, 1), HWS_STEP_DONE);

    assert_string_equal(plan.changes[0].running, "");
    assert_string_equal(plan.changes[0].next_boot, "8");
    assert_int_equal(plan.n_writes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_of_one_record_merge_into_one_write),
        cmocka_unit_test(a_neighbour_that_begins_to_count_is_listed_as_implied),
        cmocka_unit_test(nothing_to_do_is_no_write_and_no_reset),
        cmocka_unit_test(other_bits_of_the_record_keep_what_the_next_boot_has),
        cmocka_unit_test(the_hash_is_over_device_revision_and_bytes),
        cmocka_unit_test(bad_settings_are_refused_before_any_call),
        cmocka_unit_test(what_this_adapter_does_not_allow_is_refused_before_any_write),
        cmocka_unit_test(a_plan_reads_even_if_the_card_hides_current_and_factory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
