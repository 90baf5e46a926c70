/* base/bits: byte order and bit numbering, against values written by hand. */
#include "base/bits.h"
#include "test.h"

static void big_endian_is_most_significant_first(void **state)
{
    const uint8_t bytes[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    (void)state;
    assert_int_equal(hws_load_be16(bytes), 0x0123);
    assert_int_equal(hws_load_be24(bytes), 0x012345);
    assert_int_equal(hws_load_be32(bytes), 0x01234567);
    assert_true(hws_load_be64(bytes) == UINT64_C(0x0123456789abcdef));
    assert_memory_equal(hws_be64_of(UINT64_C(0x0123456789abcdef)).b, bytes, 8);
    assert_int_equal(hws_be24_get(hws_be24_of(0x00abcdef)), 0x00abcdef);
}

static void bit_31_is_the_top_of_the_first_byte(void **state)
{
    uint8_t word[4] = {0x80, 0x00, 0x00, 0x03};
    (void)state;
    assert_int_equal(hws_bits_get(word, 31, 1), 1);
    assert_int_equal(hws_bits_get(word, 0, 2), 3);
    assert_int_equal(hws_bits_get(word, 0, 32), 0x80000003);

    hws_bits_put(word, 8, 4, 0xff);

    assert_int_equal(word[2], 0x0f);
    assert_int_equal(word[3], 0x03);
    assert_int_equal(word[0], 0x80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(big_endian_is_most_significant_first),
        cmocka_unit_test(bit_31_is_the_top_of_the_first_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
