/* The stored parameters as bytes: nothing but the very image is believed. */
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "emu/nvstore.h"
#include "guest.h"
#include "test.h"

static struct hws_emu_profile profile;
static struct hws_emu_nv nv;
static char text[8192];

static const char parameters[] = "parameters:\n"
                                 "  - {name: a, type: 0x80, bytes: 12, fields: [{name: F, dw: 4, "
                                 "lsb: 0, bits: 8, default: 3, max: 9}]}\n"
                                 "  - {name: cap, type: 0x81, bytes: 4, read_only: true}\n"
                                 "  - {name: b, type: 0x03000112, bytes: 4}\n";

static int setup(void **state)
{
    uint64_t r = hws_test_seed();
    struct hws_err err = {0};

    (void)state;
    guest_profile_text(text, sizeof(text), &r, parameters);
    assert_ok(hws_emu_profile_parse(text, strlen(text), &profile, &err), &err);
    assert_ok(hws_emu_nv_init(&nv, &profile, &err), &err);
    nv.values[0].is_stored = true;
    nv.values[0].writer_id = 9;
    nv.values[0].stored[7] = 5;
    nv.values[2].is_stored = true;
    hws_store_be32(nv.values[2].stored, (uint32_t)hws_test_rand(&r));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_emu_nv_deinit(&nv);
    hws_emu_profile_deinit(&profile);
    return 0;
}

static uint8_t image[HWS_EMU_NV_MAX_BYTES];

static void bytes_are_laid_out_as_documented(void **state)
{
    size_t n = hws_emu_nv_serialize(&nv, image);

    (void)state;
    assert_int_equal(n, 32 + 8 + 12 + 8 + 4 + 4);
    assert_memory_equal(image, "HWSNV\1\0\2", 8);
    assert_memory_equal(image + 8, profile.serial, strlen(profile.serial));
    assert_memory_equal(image + 32, "\0\0\0\x80\0\x0c\x09\0", 8);
    assert_memory_equal(image + 40, "\0\0\0\0\0\0\0\5\0\0\0\0", 12);
}

static void what_was_stored_comes_back(void **state)
{
    struct hws_emu_nv other;
    struct hws_err err = {0};
    size_t n = hws_emu_nv_serialize(&nv, image);

    (void)state;
    assert_ok(hws_emu_nv_init(&other, &profile, &err), &err);
    assert_ok(hws_emu_nv_parse(&other, image, n, &err), &err);
    assert_true(other.values[0].is_stored);
    assert_int_equal(other.values[0].writer_id, 9);
    assert_memory_equal(other.values[2].stored, nv.values[2].stored, 4);
    assert_int_equal(hws_emu_nv_read(&other, 0, HWS_EMU_IMAGE_NEXT)[7], 5);
    assert_int_equal(hws_emu_nv_read(&other, 0, HWS_EMU_IMAGE_RUNNING)[7], 3);
    hws_emu_nv_boot(&other);
    assert_int_equal(hws_emu_nv_read(&other, 0, HWS_EMU_IMAGE_RUNNING)[7], 5);
    hws_emu_nv_deinit(&other);
}

static void a_torn_or_flipped_image_is_refused_and_changes_nothing(void **state)
{
    size_t n = hws_emu_nv_serialize(&nv, image);

    (void)state;
    nv.values[0].is_stored = false;
    for (size_t cut = 0; cut < n; cut++) {
        assert_code(hws_emu_nv_parse(&nv, image, cut, NULL), HWS_E_PROTO);
    }
    for (size_t bit = 0; bit < n * 8; bit++) {
        image[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_code(hws_emu_nv_parse(&nv, image, n, NULL), HWS_E_PROTO);
        image[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_false(nv.values[0].is_stored);
    assert_code(hws_emu_nv_parse(&nv, image, n, NULL), HWS_OK);
    assert_true(nv.values[0].is_stored);
}

static void firmware_versions_are_records_of_their_own(void **state)
{
    static const uint8_t row[] = {0xff, 0xff, 0xff, 0xf1, 0, 44, 0, 0, 0, 28, 0,    44,
                                  0x07, 0xd6, 0x20, 0x25, 3, 9,  0, 0, 0, 0,  0x20, 0x06};
    struct hws_emu_nv other;
    struct hws_err err = {0};

    (void)state;
    nv.pending = (struct hws_emu_version){.major = 28,
                                          .minor = 44,
                                          .subminor = 2006,
                                          .year = 0x2025,
                                          .month = 3,
                                          .day = 9,
                                          .build_id = 0x2006,
                                          .branch = "rel-28_44"};
    nv.has_pending = true;
    nv.updated = true;
    size_t n = hws_emu_nv_serialize(&nv, image);
    assert_int_equal(n, 32 + 8 + 12 + 8 + 4 + 2 * (8 + 44) + 4);
    assert_int_equal(image[7], 4);
    assert_memory_equal(image + n - 4 - 52, row, sizeof(row));
    assert_string_equal((const char *)image + n - 4 - 28, "rel-28_44");

    assert_ok(hws_emu_nv_init(&other, &profile, &err), &err);
    assert_int_equal(other.running.major, profile.version.major);
    assert_ok(hws_emu_nv_parse(&other, image, n, &err), &err);
    assert_true(other.has_pending);
    assert_int_equal(other.running.minor, profile.version.minor);
    hws_emu_nv_boot(&other);
    assert_false(other.has_pending);
    assert_int_equal(other.running.subminor, 2006);
    assert_string_equal(other.running.branch, "rel-28_44");
    hws_emu_nv_deinit(&other);
}

static void another_adapters_image_is_refused(void **state)
{
    struct hws_err err = {0};
    size_t n = hws_emu_nv_serialize(&nv, image);

    (void)state;
    profile.serial[0] = 'X';
    assert_code(hws_emu_nv_parse(&nv, image, n, &err), HWS_E_CONFLICT);
}

static void a_record_of_another_profile_is_refused(void **state)
{
    struct hws_err err = {0};
    size_t n = hws_emu_nv_serialize(&nv, image);

    (void)state;
    profile.tlvs[2].type = 0x03000113;
    assert_code(hws_emu_nv_parse(&nv, image, n, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "0x03000112"));
}

static void the_crc_is_that_of_ethernet(void **state)
{
    /* CRC-32/ISO-HDLC of 28 + 4 header bytes, computed apart from this code (reflected 0xedb88320).
     */
    static const uint8_t serial[] = "CRC";
    uint32_t crc = UINT32_MAX;
    size_t n;

    (void)state;
    nv.values[0].is_stored = false;
    nv.values[2].is_stored = false;
    memset(profile.serial, 0, sizeof(profile.serial));
    memcpy(profile.serial, serial, sizeof(serial));
    n = hws_emu_nv_serialize(&nv, image);
    for (size_t i = 0; i < n - 4; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint32_t in = ((uint32_t)image[i] >> bit ^ crc) & 1;
            crc = crc >> 1 ^ (in != 0 ? UINT32_C(0xedb88320) : 0);
        }
    }
    assert_int_equal(hws_load_be32(image + n - 4), ~crc);
}

static enum hws_code parse_once(void *arg)
{
    struct hws_emu_nv other = {0};
    size_t n = hws_emu_nv_serialize(&nv, image);
    enum hws_code rc = hws_emu_nv_init(&other, &profile, NULL);

    (void)arg;
    if (rc == HWS_OK) {
        rc = hws_emu_nv_parse(&other, image, n, NULL);
    }
    hws_emu_nv_deinit(&other);
    return rc;
}

static void running_out_of_memory_leaks_nothing(void **state)
{
    (void)state;
    assert_int_equal(hws_test_oom_sweep(parse_once, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_are_laid_out_as_documented, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_stored_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_or_flipped_image_is_refused_and_changes_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(firmware_versions_are_records_of_their_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(another_adapters_image_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_of_another_profile_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_crc_is_that_of_ethernet, setup, teardown),
        cmocka_unit_test_setup_teardown(running_out_of_memory_leaks_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
