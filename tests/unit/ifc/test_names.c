/* Names and numbers of the .def lists. */
#include "base/str.h"
#include "ifc/names.h"
#include "test.h"

static void opcodes_have_names_both_ways(void **state)
{
    uint16_t op = 0;

    (void)state;
    assert_string_equal(hws_ifc_op_name(0x805), "ACCESS_REG");
    assert_string_equal(hws_ifc_op_name(0xb0c), "ACCESS_REGISTER_USER");
    assert_string_equal(hws_ifc_op_name(0xffff), "?");
    assert_true(hws_ifc_op_find("NOP", &op));
    assert_int_equal(op, 0x80d);
    assert_false(hws_ifc_op_find("NO", &op));
    assert_int_equal(op, 0x80d);
}

static void every_opcode_is_listed_once(void **state)
{
    static const uint16_t numbers[] = {
#define HWS_OPCODE(number, name, source) (number),
#include "ifc/opcodes.def"
#undef HWS_OPCODE
    };
    const size_t n = sizeof(numbers) / sizeof(numbers[0]);

    (void)state;
    assert_true(n > 100);
    for (size_t i = 1; i < n; i++) {
        assert_true(numbers[i - 1] < numbers[i]);
    }
}

static void status_codes_have_names_and_texts(void **state)
{
    uint8_t status = 0;

    (void)state;
    assert_string_equal(hws_ifc_fw_status_name(0x03), "BAD_PARAM");
    assert_string_equal(hws_ifc_fw_status_text(0x51), "bad output length");
    assert_string_equal(hws_ifc_fw_status_text(0xee), "unknown status");
    assert_true(hws_ifc_fw_status_find("RES_BUSY", &status));
    assert_int_equal(status, 6);
    assert_false(hws_ifc_fw_status_find("res_busy", &status));
    assert_string_equal(hws_ifc_delivery_text(0x10), "bad descriptor type");
    assert_string_equal(hws_ifc_delivery_text(0x11), "unknown delivery status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opcodes_have_names_both_ways),
        cmocka_unit_test(every_opcode_is_listed_once),
        cmocka_unit_test(status_codes_have_names_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
