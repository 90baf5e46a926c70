/* CRC-32C against the examples of RFC 3720, B.4, and against the definition, bit by bit. */
#include <string.h>

#include "crypt/crc32c.h"
#include "test.h"

static uint32_t by_definition(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
        }
    }
    return ~crc;
}

static void published_examples_match(void **state)
{
    uint8_t bytes[32];

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(hws_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(hws_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(hws_crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
    assert_int_equal(hws_crc32c(0, "123456789", 9), 0xe3069283);
}

static void any_split_and_alignment_matches_the_definition(void **state)
{
    uint8_t bytes[600];
    uint64_t rand = hws_test_seed();

    (void)state;
    for (int round = 0; round < 500; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)hws_test_rand(&rand);
        }
        size_t from = (size_t)(hws_test_rand(&rand) % 9);
        size_t n = (size_t)(hws_test_rand(&rand) % (sizeof(bytes) - from));
        size_t cut = n == 0 ? 0 : (size_t)(hws_test_rand(&rand) % n);

        uint32_t crc = hws_crc32c(0, bytes + from, cut);
        crc = hws_crc32c(crc, bytes + from + cut, n - cut);

        assert_int_equal(crc, by_definition(bytes + from, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples_match),
        cmocka_unit_test(any_split_and_alignment_matches_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
