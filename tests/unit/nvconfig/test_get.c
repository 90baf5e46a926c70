/* Parameters in their images, and what the adapter supports of them. */
#include <string.h>

#include "nv_card.h"
#include "nvconfig/get.h"
#include "test.h"

static struct hws_fake_ctl card;
static struct hws_nv_get get;

static void value_of(const char *name, struct hws_nv_value *out)
{
    const char *names[] = {name};
    struct hws_err err;
    assert_ok(hws_nv_get_init(&get, names, 1, &err), &err);
    assert_int_equal(nv_run_get(&card, &get), HWS_STEP_DONE);
    assert_int_equal(get.n_values, 1);
    hws_nv_get_value(&get, 0, out);
}

static void the_images_are_kept_apart(void **state)
{
    (void)state;
    struct hws_nv_value v;
    nv_card_init(&card);
    hws_fake_record(&card, PCI_TYPE)->next[7] = 16;
    hws_fake_record(&card, PCI_TYPE)->current[7] = 4;

    value_of("NUM_OF_VFS", &v);

    assert_true(v.supported);
    assert_false(v.read_only);
    assert_string_equal(v.default_value, "8");
    assert_string_equal(v.stored, "16");
    assert_string_equal(v.next_boot, "16");
    assert_string_equal(v.running, "4");
    assert_true(v.pending);
    assert_int_equal(v.max, 127);
}

static void an_image_the_firmware_does_not_give_is_empty(void **state)
{
    (void)state;
    struct hws_nv_value v;
    nv_card_init(&card);
    card.reads_factory = false;
    card.reads_current = false;

    value_of("NUM_OF_VFS", &v);

    assert_string_equal(v.default_value, "");
    assert_string_equal(v.running, "");
    assert_string_equal(v.next_boot, "8");
    assert_false(v.pending);
}

static void what_the_adapter_lacks_says_why(void **state)
{
    (void)state;
    struct hws_nv_value v;

    nv_card_init(&card);
    hws_fake_record(&card, PCI_TYPE)->readable = false;
    value_of("NUM_OF_VFS", &v);
    assert_false(v.supported);
    assert_non_null(strstr(v.reason, "no record PCI"));

    nv_card_init(&card);
    hws_fake_record(&card, PCI_CAP_TYPE)->next[4] = 0;
    value_of("SRIOV_EN", &v);
    assert_false(v.supported);
    assert_non_null(strstr(v.reason, "PCI_CAP"));

    nv_card_init(&card);
    hws_fake_record(&card, PCI_TYPE)->writable = false;
    value_of("SRIOV_EN", &v);
    assert_true(v.supported && v.read_only);
}

static void without_a_valid_maximum_the_tables_own_counts(void **state)
{
    (void)state;
    struct hws_nv_value v;
    nv_card_init(&card);
    hws_fake_record(&card, PCI_CAP_TYPE)->next[0] = 0;

    value_of("NUM_OF_VFS", &v);

    assert_int_equal(v.max, 65535);
}

static void all_parameters_come_in_table_order_with_one_revision(void **state)
{
    (void)state;
    struct hws_digest first;
    struct hws_err err;
    nv_card_init(&card);

    assert_ok(hws_nv_get_init(&get, NULL, 0, &err), &err);
    assert_int_equal(nv_run_get(&card, &get), HWS_STEP_DONE);
    first = get.revision;
    assert_int_equal(get.n_values, hws_nv_param_count());
    for (size_t i = 0; i < get.n_values; i++) {
        struct hws_nv_value v;
        hws_nv_get_value(&get, i, &v);
        assert_ptr_equal(v.param, hws_nv_param_at(i));
        assert_true(v.supported);
        assert_true(v.next_boot[0] != '\0');
        assert_false(v.pending);
    }

    /* The revision is of the stored bytes alone, whatever was asked for. */
    struct hws_nv_value v;
    hws_fake_record(&card, LINK1_TYPE)->current[3] ^= 1;
    value_of("SRIOV_EN", &v);
    assert_true(hws_digest_eq(&first, &get.revision));
    hws_fake_record(&card, LINK1_TYPE)->next[0] ^= 0x80; /* a bit no parameter has */
    value_of("SRIOV_EN", &v);
    assert_false(hws_digest_eq(&first, &get.revision));
}

static void bad_names_are_refused_before_any_call(void **state)
{
    (void)state;
    const char *unknown[] = {"NUM_OF_VFS", "NO_SUCH"};
    const char *twice[] = {"NUM_OF_VFS", "num_of_vfs"};
    struct hws_err err;

    assert_code(hws_nv_get_init(&get, unknown, 2, &err), HWS_E_NOT_FOUND);
    assert_code(hws_nv_get_init(&get, twice, 2, &err), HWS_E_INVALID);
    assert_code(hws_nv_get_init(&get, unknown, 999, &err), HWS_E_INVALID);
}

static void every_failure_at_every_call_ends_it_or_marks_that_record(void **state)
{
    (void)state;
    const char *names[] = {"NUM_OF_VFS"};
    nv_card_init(&card);
    assert_ok(hws_nv_get_init(&get, names, 1, NULL), NULL);
    assert_int_equal(nv_run_get(&card, &get), HWS_STEP_DONE);
    size_t n = card.n_calls;

    for (size_t k = 0; k < n; k++) {
        for (int fault = HWS_FAKE_NOT_SENT; fault <= HWS_FAKE_SHORT; fault++) {
            nv_card_init(&card);
            card.fault = (enum hws_fake_fault)fault;
            card.fail_at = k;
            card.n_fail = 1;
            assert_ok(hws_nv_get_init(&get, names, 1, NULL), NULL);
            assert_int_equal(nv_run_get(&card, &get), HWS_STEP_FAILED);
            assert_true(get.err.code != HWS_OK && get.err.stage != HWS_STAGE_NONE);
            assert_int_equal(card.n_calls, k + 1);
        }
    }
}

/* Every bit of a record's data that belongs to a parameter changes what is shown of it. */
static void every_flipped_data_bit_of_a_parameter_changes_its_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_nv_param_count(); i++) {
        const struct hws_nv_param *p = hws_nv_param_at(i);
        for (unsigned b = 0; b < p->field.n_bits; b++) {
            uint8_t data[32] = {0};
            char before[HWS_NV_VALUE_BYTES];
            char after[HWS_NV_VALUE_BYTES];
            hws_nv_reader_text(p, data, before);
            hws_nv_field_put(&p->field, data, 1u << b);
            hws_nv_reader_text(p, data, after);
            assert_string_not_equal(before, after);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_images_are_kept_apart),
        cmocka_unit_test(an_image_the_firmware_does_not_give_is_empty),
        cmocka_unit_test(what_the_adapter_lacks_says_why),
        cmocka_unit_test(without_a_valid_maximum_the_tables_own_counts),
        cmocka_unit_test(all_parameters_come_in_table_order_with_one_revision),
        cmocka_unit_test(bad_names_are_refused_before_any_call),
        cmocka_unit_test(every_failure_at_every_call_ends_it_or_marks_that_record),
        cmocka_unit_test(every_flipped_data_bit_of_a_parameter_changes_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
