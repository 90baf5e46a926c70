/* MNVDA headers by hand, and the record table. */
#include <string.h>

#include "nvconfig/tlv.h"
#include "test.h"

static void type_words_follow_the_class(void **state)
{
    (void)state;
    assert_int_equal(hws_nv_tlv_at(HWS_NV_TLV_PCI)->type, 0x00000080);
    assert_int_equal(hws_nv_tlv_at(HWS_NV_TLV_LINK_TYPE_P1)->type, 0x01010012);
    assert_int_equal(hws_nv_tlv_at(HWS_NV_TLV_LINK_TYPE_P2)->type, 0x01020012);
    assert_int_equal(hws_nv_tlv_at(HWS_NV_TLV_PF_PCI)->type, 0x03000080);
    assert_int_equal(hws_nv_tlv_at(HWS_NV_TLV_HOST_PCI)->type, 0x07000080);
    assert_true(hws_nv_tlv_at(HWS_NV_TLV_PCI_CAP)->cap);
    assert_ptr_equal(hws_nv_tlv_by_type(0x10A), hws_nv_tlv_at(HWS_NV_TLV_SOFTWARE));
    assert_null(hws_nv_tlv_by_type(0x10C));
}

static void no_two_records_share_a_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_nv_tlv_count(); i++) {
        assert_ptr_equal(hws_nv_tlv_by_type(hws_nv_tlv_at(i)->type), hws_nv_tlv_at(i));
    }
}

static void headers_are_the_bytes_of_the_documents(void **state)
{
    (void)state;
    const uint8_t read_factory[12] = {0x00, 0x80, 0x00, 0x0C, 0, 0, 0, 0x80};
    const uint8_t write[16] = {0x00, 0x1F, 0x00, 0x04, 0x01, 0x02, 0x00, 0x12,
                               0,    0,    0,    0,    0xDE, 0xAD, 0xBE, 0xEF};
    const uint8_t data[4] = {0xDE, 0xAD, 0xBE, 0xEF};
    uint8_t reg[16];

    hws_nv_mnvda_encode(reg, 0x80, HWS_NV_FACTORY, NULL, 12);
    assert_memory_equal(reg, read_factory, 12);
    hws_nv_mnvda_encode(reg, 0x01020012, HWS_NV_NEXT, data, 4);
    assert_memory_equal(reg, write, 16);
}

static void a_reply_about_something_else_is_refused_naming_the_field(void **state)
{
    (void)state;
    uint8_t reg[32] = {0x00, 0x40, 0x00, 0x0C, 0, 0, 0, 0x80};
    const uint8_t *data = NULL;
    struct hws_err err;

    assert_ok(hws_nv_mnvda_decode(reg, 32, 0x80, HWS_NV_CURRENT, 12, &data, &err), &err);
    assert_ptr_equal(data, reg + 12);
    assert_code(hws_nv_mnvda_decode(reg, 32, 0x81, HWS_NV_CURRENT, 12, &data, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "field type"));
    assert_code(hws_nv_mnvda_decode(reg, 32, 0x80, HWS_NV_NEXT, 12, &data, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "field access_mode"));
    assert_code(hws_nv_mnvda_decode(reg, 32, 0x80, HWS_NV_CURRENT, 8, &data, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "field length"));
    assert_code(hws_nv_mnvda_decode(reg, 23, 0x80, HWS_NV_CURRENT, 12, &data, &err), HWS_E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(type_words_follow_the_class),
        cmocka_unit_test(no_two_records_share_a_type),
        cmocka_unit_test(headers_are_the_bytes_of_the_documents),
        cmocka_unit_test(a_reply_about_something_else_is_refused_naming_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
