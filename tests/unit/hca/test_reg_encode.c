/* Named fields to bytes; expected bytes are written by hand. */
#include <string.h>

#include "hca/reg.h"
#include "test.h"

static void index_fields_land_in_their_bits(void **state)
{
    (void)state;
    const struct hws_reg_assign fields[] = {{"local_port", "2"}, {"GRP", "0x12"}, {"prio_tc", "3"}};
    const uint8_t want[8] = {0x00, 0x02, 0x00, 0x12, 0x00, 0x00, 0x00, 0x03};
    uint8_t b[0x100] = {0};
    struct hws_err err;

    assert_ok(hws_reg_encode(hws_reg_by_name("PPCNT"), false, fields, 3, b, sizeof(b), &err), &err);

    assert_memory_equal(b, want, sizeof(want));
}

static void a_write_keeps_what_it_does_not_name(void **state)
{
    (void)state;
    const struct hws_reg_assign fields[] = {
        {"local_port", "1"}, {"ase", "1"}, {"admin_status", "down"}};
    const uint8_t want[16] = {0x00, 0x01, 0x02, 0x01, 0x80, 0x00, 0x00, 0x02};
    uint8_t b[16] = {0x00, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x02};
    struct hws_err err;

    assert_ok(hws_reg_encode(hws_reg_by_name("PAOS"), true, fields, 3, b, sizeof(b), &err), &err);

    assert_memory_equal(b, want, sizeof(want));
}

static void page_fields_texts_and_signed_values_can_be_written(void **state)
{
    (void)state;
    const struct hws_reg_assign page[] = {{"a_pause_mac_ctrl_frames_received", "0x102"},
                                          {"grp", "IEEE 802.3"}};
    const struct hws_reg_assign temp[] = {{"temperature_threshold_lo", "-8"},
                                          {"sensor_name", "asic"}};
    uint8_t b[0x100] = {0};
    struct hws_err err;

    assert_ok(hws_reg_encode(hws_reg_by_name("PPCNT"), true, page, 2, b, sizeof(b), &err), &err);
    assert_int_equal(b[8 + 0x88 + 6], 1);
    assert_int_equal(b[8 + 0x88 + 7], 2);

    memset(b, 0, sizeof(b));
    assert_ok(hws_reg_encode(hws_reg_by_name("MTMP"), true, temp, 2, b, sizeof(b), &err), &err);
    assert_int_equal(b[0x12], 0xFF);
    assert_int_equal(b[0x13], 0xF8);
    assert_memory_equal(b + 0x18, "asic\0\0\0\0", 8);
}

static void wide_fields_take_hex(void **state)
{
    (void)state;
    const struct hws_reg_assign good[] = {
        {"type", "0x80"}, {"length", "12"}, {"data", "80000000000f"}};
    const struct hws_reg_assign bad[] = {{"data", "8"}};
    uint8_t b[0x10C] = {0};
    struct hws_err err;

    assert_ok(hws_reg_encode(hws_reg_by_name("MNVDA"), true, good, 3, b, sizeof(b), &err), &err);
    assert_int_equal(b[3], 12);
    assert_int_equal(b[7], 0x80);
    assert_int_equal(b[12], 0x80);
    assert_int_equal(b[17], 0x0F);
    assert_code(hws_reg_encode(hws_reg_by_name("MNVDA"), true, bad, 1, b, sizeof(b), &err),
                HWS_E_INVALID);
}

static void what_is_not_allowed_is_refused_with_what_is(void **state)
{
    (void)state;
    static const struct {
        const char *reg;
        bool write;
        struct hws_reg_assign fields[2];
        size_t n;
        const char *says;
    } cases[] = {
        {"PAOS", false, {{"admin_status", "1"}}, 1, "allowed: swid, local_port"},
        {"PAOS", true, {{"no_such", "1"}}, 1, "allowed: swid, local_port, lp_msb, admin_status"},
        {"PAOS", true, {{"local_port", "256"}}, 1, "0..255"},
        {"PAOS", true, {{"local_port", "-1"}}, 1, "0..255"},
        {"PAOS", true, {{"admin_status", "sideways"}}, 1, "0..15"},
        {"PAOS", true, {{"local_port", "1"}, {"LOCAL_PORT", "2"}}, 2, "twice"},
        {"MTMP", true, {{"temperature_threshold_hi", "-32769"}}, 1, "32768"},
        {"MTMP", true, {{"sensor_name", "too long a name"}}, 1, "8 characters"},
        {"MGIR", false, {{"anything", "1"}}, 1, "none"},
        {"PPCNT", true, {{"grp", "0"}, {"link_down_events", "1"}}, 2, "link_down_events"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t b[HWS_REG_MAX_BYTES];
        uint8_t before[HWS_REG_MAX_BYTES];
        struct hws_err err;
        memset(b, 0x5A, sizeof(b));
        memcpy(before, b, sizeof(b));

        assert_code(hws_reg_encode(hws_reg_by_name(cases[i].reg), cases[i].write, cases[i].fields,
                                   cases[i].n, b, sizeof(b), &err),
                    HWS_E_INVALID);

        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_memory_equal(b, before, sizeof(b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_fields_land_in_their_bits),
        cmocka_unit_test(a_write_keeps_what_it_does_not_name),
        cmocka_unit_test(page_fields_texts_and_signed_values_can_be_written),
        cmocka_unit_test(wide_fields_take_hex),
        cmocka_unit_test(what_is_not_allowed_is_refused_with_what_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
