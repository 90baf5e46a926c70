/* The parameter table, lookup, suggestions and values as text. */
#include <string.h>

#include "nvconfig/param.h"
#include "nvconfig/reader.h"
#include "nvconfig/tlv.h"
#include "test.h"

static const struct hws_nv_param *param(const char *name)
{
    const struct hws_nv_param *p = NULL;
    assert_ok(hws_nv_param_find(name, &p, NULL), NULL);
    return p;
}

static void check_field(const struct hws_nv_param *p, const struct hws_nv_field *f)
{
    if (f->n_bits == 0) {
        return;
    }
    const struct hws_nv_tlv *tlv = hws_nv_tlv_at(f->tlv_idx);
    if (f->offset_bytes % 4 != 0 || f->offset_bytes + 4u > tlv->n_bytes ||
        f->lsb_idx + f->n_bits > 32u) {
        fail_msg("%s: a field lies outside record %s", p->name, tlv->name);
    }
}

static bool is_valid_bit_of(const struct hws_nv_param *p, const struct hws_nv_param *q)
{
    return p->valid.n_bits != 0 && p->valid.offset_bytes == q->field.offset_bytes &&
           p->valid.lsb_idx == q->field.lsb_idx && q->field.n_bits == 1;
}

static void check_overlap(const struct hws_nv_param *p, const struct hws_nv_param *q)
{
    bool same =
        p->field.tlv_idx == q->field.tlv_idx && p->field.offset_bytes == q->field.offset_bytes;
    unsigned p_end = (unsigned)p->field.lsb_idx + p->field.n_bits;
    unsigned q_end = (unsigned)q->field.lsb_idx + q->field.n_bits;
    if (same && p->field.lsb_idx < q_end && q->field.lsb_idx < p_end) {
        fail_msg("%s and %s overlap", p->name, q->name);
    }
    same = p->valid.n_bits != 0 && p->valid.tlv_idx == q->field.tlv_idx &&
           p->valid.offset_bytes == q->field.offset_bytes;
    if (same && p->valid.lsb_idx >= q->field.lsb_idx && p->valid.lsb_idx < q_end &&
        !is_valid_bit_of(p, q)) {
        fail_msg("the valid bit of %s lies in %s", p->name, q->name);
    }
}

static void the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_nv_param_count(); i++) {
        const struct hws_nv_param *p = hws_nv_param_at(i);
        assert_true(hws_nv_param_idx(p) == i);
        assert_ptr_equal(param(p->name), p);
        check_field(p, &p->field);
        check_field(p, &p->valid);
        check_field(p, &p->max_cap);
        check_field(p, &p->max_valid);
        check_field(p, &p->support_cap);
        assert_true(p->field.n_bits > 0 && p->min <= p->max);
        assert_true(p->field.n_bits == 32 || p->max >> p->field.n_bits == 0);
        assert_false(hws_nv_tlv_at(p->field.tlv_idx)->cap);
        assert_true((p->type == HWS_NV_ENUM) == (p->n_values > 0));
        assert_true(p->type != HWS_NV_BOOL || p->field.n_bits == 1);
        assert_true(p->description[0] != '\0' && p->source[0] != '\0' &&
                    p->reset != HWS_NV_RESET_NONE);
        for (size_t k = 0; k < p->n_values; k++) {
            assert_true(p->values[k].value >= p->min && p->values[k].value <= p->max);
        }
        for (size_t k = 0; k < i; k++) {
            check_overlap(p, hws_nv_param_at(k));
            check_overlap(hws_nv_param_at(k), p);
        }
    }
}

static void names_match_in_any_case(void **state)
{
    (void)state;
    assert_string_equal(param("num_of_vfs")->name, "NUM_OF_VFS");
    assert_string_equal(param("Link_Type_p2")->name, "LINK_TYPE_P2");
}

static void unknown_names_get_suggestions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *says;
    } cases[] = {
        {"NUM_VFS", "did you mean"},
        {"NUM_OF_VF", "NUM_OF_VFS"},
        {"LINK_TYPE", "LINK_TYPE_P1 or LINK_TYPE_P2"},
        {"SRIOV", "SRIOV_EN"},
        {"XYZZY_PLUGH", "the list of parameters"},
        {"", "the list of parameters"},
        {"a\nb", "a\\x0ab"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct hws_nv_param *p = NULL;
        struct hws_err err;
        assert_code(hws_nv_param_find(cases[i].name, &p, &err), HWS_E_NOT_FOUND);
        assert_null(p);
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].name, err.msg);
        }
    }
}

static void values_are_taken_in_every_documented_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        uint32_t value;
    } cases[] = {
        {"NUM_OF_VFS", "16", 16},       {"NUM_OF_VFS", "0x10", 16},    {"NUM_OF_VFS", "0", 0},
        {"NUM_OF_VFS", "65535", 65535}, {"SRIOV_EN", "True", 1},       {"SRIOV_EN", "false", 0},
        {"SRIOV_EN", "1", 1},           {"SRIOV_EN", "0", 0},          {"LINK_TYPE_P1", "ETH", 2},
        {"LINK_TYPE_P1", "eth", 2},     {"LINK_TYPE_P1", "ETH(2)", 2}, {"LINK_TYPE_P1", "1", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t v = 99;
        struct hws_err err;
        assert_ok(hws_nv_param_parse(param(cases[i].name), cases[i].text, &v, &err), &err);
        assert_int_equal(v, cases[i].value);
    }
}

static void values_that_are_not_allowed_are_refused_with_what_is(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        const char *says;
    } cases[] = {
        {"NUM_OF_VFS", "65536", "NUM_OF_VFS: 65536 is not allowed; allowed: 0..65535 functions"},
        {"NUM_OF_VFS", "-1", "0..65535"},
        {"NUM_OF_VFS", "", "0..65535"},
        {"NUM_OF_VFS", "16 ", "0..65535"},
        {"NUM_OF_VFS", "many", "many is not allowed"},
        {"SRIOV_EN", "2", "True or False"},
        {"SRIOV_EN", "yes", "True or False"},
        {"LINK_TYPE_P1", "3", "IB(1) or ETH(2)"},
        {"LINK_TYPE_P1", "0", "IB(1) or ETH(2)"},
        {"LINK_TYPE_P1", "ETH(1)", "IB(1) or ETH(2)"},
        {"PCI_ATOMIC_MODE", "5", "0..4"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t v = 99;
        struct hws_err err;
        assert_code(hws_nv_param_parse(param(cases[i].name), cases[i].text, &v, &err),
                    HWS_E_INVALID);
        assert_int_equal(v, 99);
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s=%s: %s", cases[i].name, cases[i].text, err.msg);
        }
    }
}

static void every_allowed_value_survives_text_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_nv_param_count(); i++) {
        const struct hws_nv_param *p = hws_nv_param_at(i);
        for (uint32_t v = p->min; v <= p->max && v < p->min + 300; v++) {
            char text[HWS_NV_VALUE_BYTES];
            uint32_t back = UINT32_MAX;
            struct hws_err err;
            hws_nv_param_format(p, v, text, sizeof(text));
            assert_ok(hws_nv_param_parse(p, text, &back, &err), &err);
            assert_int_equal(back, v);
        }
    }
}

static void a_field_whose_valid_bit_is_clear_shows_as_unset(void **state)
{
    (void)state;
    uint8_t data[12] = {0};
    char text[HWS_NV_VALUE_BYTES];

    hws_nv_reader_text(param("NUM_OF_VFS"), data, text);
    assert_string_equal(text, "unset");
    data[7] = 8;
    hws_nv_reader_text(param("NUM_OF_VFS"), data, text);
    assert_string_equal(text, "unset(8)");
    data[0] = 0x80;
    hws_nv_reader_text(param("NUM_OF_VFS"), data, text);
    assert_string_equal(text, "8");
}

static void reset_levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(hws_nv_reset_name(HWS_NV_RESET_FIRMWARE), "firmware reset");
    assert_string_equal(hws_nv_reset_name((enum hws_nv_reset)17), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(names_match_in_any_case),
        cmocka_unit_test(unknown_names_get_suggestions),
        cmocka_unit_test(values_are_taken_in_every_documented_spelling),
        cmocka_unit_test(values_that_are_not_allowed_are_refused_with_what_is),
        cmocka_unit_test(every_allowed_value_survives_text_and_back),
        cmocka_unit_test(a_field_whose_valid_bit_is_clear_shows_as_unset),
        cmocka_unit_test(reset_levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
