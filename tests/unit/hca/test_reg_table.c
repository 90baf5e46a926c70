/* The layouts themselves: every field inside its register, none over another, selectors that exist.
 */
#include <string.h>

#include "hca/reg.h"
#include "test.h"

static size_t field_end(const struct hws_reg_field *f)
{
    bool in_dword = f->n_bits <= 32 && f->kind != HWS_FIELD_STRING;
    return f->offset_bytes + (in_dword ? 4u : f->n_bits / 8u);
}

/* Marks a byte's bits as taken; false if one was already. */
static bool take_bits(uint8_t *taken, uint8_t bits)
{
    bool free_before = (*taken & bits) == 0;
    *taken = (uint8_t)(*taken | bits);
    return free_before;
}

/* Marks the bits of a field; fails if one is taken. */
static void take(const struct hws_reg *reg, const struct hws_reg_field *f, uint8_t *taken)
{
    bool in_dword = f->n_bits <= 32 && f->kind != HWS_FIELD_STRING;
    bool good = true;

    for (size_t i = f->offset_bytes; !in_dword && i < field_end(f); i++) {
        good = take_bits(&taken[i], 0xFF) && good;
    }
    for (unsigned b = f->lsb_idx; in_dword && b < (unsigned)f->lsb_idx + f->n_bits; b++) {
        good = take_bits(&taken[f->offset_bytes + 3 - b / 8], (uint8_t)(1u << b % 8)) && good;
    }
    if (!good) {
        fail_msg("%s.%s overlaps", reg->name, f->name);
    }
}

static void check_field(const struct hws_reg *reg, const struct hws_reg_field *f)
{
    if (field_end(f) > reg->size_bytes || f->offset_bytes % 4 != 0 || f->n_bits == 0 ||
        f->name[0] == '\0' || f->source[0] == '\0') {
        fail_msg("%s.%s is out of bounds or nameless", reg->name, f->name);
    }
    bool wide = f->n_bits > 32 || f->kind == HWS_FIELD_STRING;
    if (wide && (f->n_bits % 32 != 0 || f->lsb_idx != 0)) {
        fail_msg("%s.%s is wide but not whole dwords", reg->name, f->name);
    }
    if (!wide && f->lsb_idx + f->n_bits > 32) {
        fail_msg("%s.%s crosses its dword", reg->name, f->name);
    }
    assert_true(f->kind != HWS_FIELD_FLAG || f->n_bits == 1);
    assert_true(f->kind != HWS_FIELD_BITMAP || f->enumeration != HWS_REG_ENUM_NONE);
}

static void every_field_lies_inside_its_register_and_over_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_reg_count(); i++) {
        const struct hws_reg *reg = hws_reg_at(i);
        uint8_t header[HWS_REG_MAX_BYTES] = {0};
        for (size_t k = 0; k < reg->n_fields; k++) {
            check_field(reg, &reg->fields[k]);
            take(reg, &reg->fields[k], header);
        }
        for (size_t p = 0; p < reg->n_pages; p++) {
            uint8_t taken[HWS_REG_MAX_BYTES];
            memcpy(taken, header, sizeof(taken));
            for (size_t k = 0; k < reg->pages[p].n_fields; k++) {
                check_field(reg, &reg->pages[p].fields[k]);
                take(reg, &reg->pages[p].fields[k], taken);
            }
        }
    }
}

static void registers_are_sorted_and_found_by_id_and_by_name_in_any_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_reg_count(); i++) {
        const struct hws_reg *reg = hws_reg_at(i);
        assert_true(i == 0 || hws_reg_at(i - 1)->id < reg->id);
        assert_ptr_equal(hws_reg_by_id(reg->id), reg);
        assert_ptr_equal(hws_reg_by_name(reg->name), reg);
        assert_true(reg->size_bytes <= HWS_REG_MAX_BYTES && reg->size_bytes % 4 == 0);
    }

    assert_ptr_equal(hws_reg_by_name("mgir"), hws_reg_by_id(0x9020));
    assert_null(hws_reg_by_name("MGIRX"));
    assert_null(hws_reg_by_id(0x1234));
}

static void every_page_is_chosen_by_an_index_field_and_the_last_takes_the_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_reg_count(); i++) {
        const struct hws_reg *reg = hws_reg_at(i);
        for (size_t p = 0; p < reg->n_pages; p++) {
            bool found = false;
            for (size_t k = 0; k < reg->n_fields; k++) {
                found = found || (strcmp(reg->fields[k].name, reg->pages[p].selector) == 0 &&
                                  reg->fields[k].kind == HWS_FIELD_INDEX);
            }
            assert_true(found);
            assert_int_equal(reg->pages[p].value == UINT32_MAX, p + 1 == reg->n_pages);
        }
    }
}

static void meanings_and_kinds_have_names(void **state)
{
    (void)state;
    const struct hws_reg *mgir = hws_reg_by_name("MGIR");

    assert_string_equal(hws_reg_meaning(mgir, "hw_info.hw_dev_id", 0x218), "ConnectX-7");
    assert_string_equal(hws_reg_meaning(mgir, "hw_info.hw_dev_id", 0x219), "");
    assert_string_equal(hws_reg_meaning(mgir, "hw_info.pvs", 1), "");
    assert_string_equal(hws_reg_kind_name(HWS_REG_NV), "NV");
    assert_string_equal(hws_reg_kind_name((enum hws_reg_kind)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_lies_inside_its_register_and_over_no_other),
        cmocka_unit_test(registers_are_sorted_and_found_by_id_and_by_name_in_any_case),
        cmocka_unit_test(every_page_is_chosen_by_an_index_field_and_the_last_takes_the_rest),
        cmocka_unit_test(meanings_and_kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
