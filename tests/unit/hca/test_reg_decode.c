/*
 * Register bytes to rows. The bytes are written by hand from the documents' offsets: MGIR and PAOS
 * by adb and mlx5-ifc, never by the encoder under test.
 */
#include <stdio.h>
#include <string.h>

#include "hca/reg.h"
#include "test.h"

struct text {
    char all[65536]; /* "name=value(meaning)\n" per row */
    size_t used;
};

static void put_row(void *arg, const struct hws_reg_row *row)
{
    struct text *t = arg;
    int n = snprintf(t->all + t->used, sizeof(t->all) - t->used, "%s=%s(%s)\n", row->name,
                     row->value, row->meaning);
    assert_true(n > 0 && t->used + (size_t)n < sizeof(t->all));
    t->used += (size_t)n;
}

/* The characters without their NUL. */
static void put_text(uint8_t *dst, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        dst[i] = (uint8_t)text[i];
    }
}

static struct text decoded;

static const char *decode(const char *reg, const uint8_t *bytes, size_t n)
{
    struct hws_err err;
    memset(&decoded, 0, sizeof(decoded));
    assert_ok(hws_reg_decode(hws_reg_by_name(reg), bytes, n, put_row, &decoded, &err), &err);
    return decoded.all;
}

#define assert_row(text, row) assert_non_null(strstr((text), (row)))

static void mgir_bytes_become_identity_rows(void **state)
{
    (void)state;
    uint8_t b[0xA0] = {0};
    b[0x01] = 0x02; /* hardware revision 2 */
    b[0x02] = 0x10; /* device id 0x1021 */
    b[0x03] = 0x21;
    b[0x05] = 0x02; /* two ports */
    b[0x0A] = 0x02; /* hw_dev_id 0x218 */
    b[0x0B] = 0x18;
    b[0x21] = 28; /* short version 28.43.7 */
    b[0x22] = 43;
    b[0x23] = 7;
    put_text(b + 0x30, "MT_0000000834");
    b[0x47] = 28; /* extended version 28.43.2006 */
    b[0x4B] = 43;
    b[0x4E] = 0x07;
    b[0x4F] = 0xD6;

    const char *text = decode("MGIR", b, sizeof(b));

    assert_row(text, "hw_info.device_hw_revision=0x2()\n");
    assert_row(text, "hw_info.device_id=0x1021()\n");
    assert_row(text, "hw_info.num_ports=2()\n");
    assert_row(text, "hw_info.hw_dev_id=0x218(ConnectX-7)\n");
    assert_row(text, "fw_info.sub_minor=7()\n");
    assert_row(text, "fw_info.psid=MT_0000000834()\n");
    assert_row(text, "fw_info.extended_sub_minor=2006()\n");
    assert_null(strstr(text, "undecoded"));
}

static void port_state_bits_become_words(void **state)
{
    (void)state;
    const uint8_t b[16] = {0x00, 0x02, 0x01, 0x04, 0x80, 0x03, 0x00, 0x11};

    const char *text = decode("PAOS", b, sizeof(b));

    assert_row(text, "local_port=2()\n");
    assert_row(text, "admin_status=1(up)\n");
    assert_row(text, "oper_status=4(down by failure)\n");
    assert_row(text, "ase=1()\n");
    assert_row(text, "logical_state_status=3(armed)\n");
    assert_row(text, "physical_state_status=1(sleep)\n");
    assert_row(text, "e=1()\n");
}

static void bitmaps_name_their_bits_and_the_unknown_ones_by_number(void **state)
{
    (void)state;
    uint8_t b[0x40] = {0};
    b[0x21] = 0x01; /* bit 16: 400G x4 */
    b[0x22] = 0x10; /* bit 12: 200G x4 */
    b[0x20] = 0x40; /* bit 30: nobody knows */

    const char *text = decode("PTYS", b, sizeof(b));

    assert_row(text, "ext_eth_proto_oper=0x40011000(200G x4, 400G x4, bit 30)\n");
}

static void temperatures_are_signed(void **state)
{
    (void)state;
    uint8_t b[0x20] = {0};
    b[6] = 0xFF; /* -8 eighths */
    b[7] = 0xF8;
    b[0xA] = 0x01; /* 344 eighths */
    b[0xB] = 0x58;

    const char *text = decode("MTMP", b, sizeof(b));

    assert_row(text, "\ntemperature=-8()\n");
    assert_row(text, "max_temperature=344()\n");
}

static void counters_are_of_the_group_the_reply_names(void **state)
{
    (void)state;
    uint8_t b[0x100] = {0};
    b[1] = 1;
    b[8 + 7] = 9;    /* first counter, low byte */
    b[8 + 0xC3] = 5; /* group 0x12: link_down_events */

    const char *text = decode("PPCNT", b, sizeof(b));
    assert_row(text, "a_frames_transmitted_ok=9()\n");
    assert_row(text, "undecoded@0xc8=0x00000005()\n");

    b[3] = 0x12;
    text = decode("PPCNT", b, sizeof(b));
    assert_row(text, "grp=18(physical layer)\n");
    assert_row(text, "time_since_last_clear=9()\n");
    assert_row(text, "link_down_events=5()\n");
    assert_null(strstr(text, "a_frames"));

    b[3] = 0x22; /* no layout: raw */
    text = decode("PPCNT", b, sizeof(b));
    assert_row(text, "counter_set=0000000000000009");
}

static void strings_are_shown_escaped_to_their_last_byte(void **state)
{
    (void)state;
    uint8_t b[0x80] = {0};
    put_text(b, "MT22\"\n");
    b[8] = 'x'; /* behind the first NUL */

    const char *text = decode("MSGI", b, sizeof(b));

    assert_row(text, "serial_number=MT22\\x22\\x0a\\x00\\x00x()\n");
}

static void short_bytes_are_refused_naming_the_first_field_cut_off(void **state)
{
    (void)state;
    const uint8_t b[0xA0] = {0};
    struct hws_err err;
    memset(&decoded, 0, sizeof(decoded));

    assert_code(hws_reg_decode(hws_reg_by_name("MGIR"), b, 0x30, put_row, &decoded, &err),
                HWS_E_PROTO);

    assert_non_null(strstr(err.msg, "MGIR"));
    assert_non_null(strstr(err.msg, "fw_info.psid"));
    assert_int_equal(decoded.used, 0);
}

static void rows_of(const struct hws_reg *reg, const uint8_t *b, struct text *out)
{
    out->used = 0;
    assert_ok(hws_reg_decode(reg, b, reg->size_bytes, put_row, out, NULL), NULL);
    out->all[out->used] = '\0';
}

static void check_every_bit(const struct hws_reg *reg)
{
    static struct text before;
    uint8_t b[HWS_REG_MAX_BYTES] = {0};
    size_t n_bits = (size_t)reg->size_bytes * 8;

    rows_of(reg, b, &before);
    for (size_t bit = 0; bit < n_bits; bit++) {
        uint8_t mask = (uint8_t)(1u << bit % 8);
        b[bit / 8] ^= mask;
        rows_of(reg, b, &decoded);
        if (strcmp(before.all, decoded.all) == 0) {
            fail_msg("%s: bit %zu of byte 0x%zx is invisible", reg->name, bit % 8, bit / 8);
        }
        b[bit / 8] ^= mask;
    }
}

/* The promise behind everything shown: no bit of a reply is invisible. */
static void every_flipped_bit_of_every_register_changes_the_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < hws_reg_count(); i++) {
        check_every_bit(hws_reg_at(i));
    }
}

static void texts_with_unprintable_bytes_or_rubbish_behind_them_are_refused(void **state)
{
    (void)state;
    const struct hws_reg *msgi = hws_reg_by_name("MSGI");
    struct hws_err err;
    uint8_t b[0x80] = {0};
    char dst[32];

    put_text(b, "MT2216X01234  ");
    assert_ok(hws_reg_get_text(msgi, b, "serial_number", dst, sizeof(dst), &err), &err);
    assert_string_equal(dst, "MT2216X01234");

    b[3] = 0x07;
    assert_code(hws_reg_get_text(msgi, b, "serial_number", dst, sizeof(dst), &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "serial_number"));

    b[3] = '1';
    b[20] = 'x';
    assert_code(hws_reg_get_text(msgi, b, "serial_number", dst, sizeof(dst), &err), HWS_E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mgir_bytes_become_identity_rows),
        cmocka_unit_test(port_state_bits_become_words),
        cmocka_unit_test(bitmaps_name_their_bits_and_the_unknown_ones_by_number),
        cmocka_unit_test(temperatures_are_signed),
        cmocka_unit_test(counters_are_of_the_group_the_reply_names),
        cmocka_unit_test(strings_are_shown_escaped_to_their_last_byte),
        cmocka_unit_test(short_bytes_are_refused_naming_the_first_field_cut_off),
        cmocka_unit_test(every_flipped_bit_of_every_register_changes_the_rows),
        cmocka_unit_test(texts_with_unprintable_bytes_or_rubbish_behind_them_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
