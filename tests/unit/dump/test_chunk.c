/* Tally, chunks and their checksums. */
#include <string.h>

#include "dump/chunk.h"
#include "test.h"

static void the_manifest_tells_size_pieces_and_digest(void **state)
{
    (void)state;
    /* SHA-256 of "abc": FIPS 180-2, appendix B.1. */
    static const char want[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct hws_dump_tally tally;
    struct hws_dump_manifest m;
    char hex[HWS_DIGEST_HEX_BYTES];

    assert_ok(hws_dump_tally_init(&tally), NULL);
    hws_dump_tally_add(&tally, "a", 1);
    hws_dump_tally_add(&tally, "bc", 2);
    assert_ok(hws_dump_tally_finish(&tally, &m), NULL);

    hws_digest_hex(&m.sha256, hex);
    assert_string_equal(hex, want);
    assert_int_equal(m.total_bytes, 3);
    assert_int_equal(m.chunk_bytes, 65536);
    assert_int_equal(m.n_chunks, 1);
}

static void a_tally_may_be_dropped_at_any_time(void **state)
{
    (void)state;
    struct hws_dump_tally tally;
    struct hws_dump_tally zero;

    memset(&zero, 0, sizeof(zero));
    hws_dump_tally_deinit(&zero);
    assert_ok(hws_dump_tally_init(&tally), NULL);
    hws_dump_tally_add(&tally, "x", 1);
    hws_dump_tally_deinit(&tally);
}

static void chunks_start_at_multiples_and_the_last_is_short(void **state)
{
    (void)state;
    const struct hws_dump_manifest m = {.total_bytes = 65536 * 2 + 5, .chunk_bytes = 65536};
    static const struct {
        uint64_t offset;
        enum hws_code code;
        size_t n;
    } cases[] = {
        {0, HWS_OK, 65536},         {65536, HWS_OK, 65536},         {131072, HWS_OK, 5},
        {131077, HWS_OK, 0},        {1, HWS_E_INVALID, 9},          {131073, HWS_E_INVALID, 9},
        {196608, HWS_E_INVALID, 9}, {UINT64_MAX, HWS_E_INVALID, 9},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = 9;
        struct hws_err err;
        assert_code(hws_dump_chunk_at(&m, cases[i].offset, &n, &err), cases[i].code);
        assert_int_equal(n, cases[i].n);
    }
}

static void the_checksum_is_crc32c(void **state)
{
    (void)state;
    /* RFC 3720, B.4: 32 bytes of zeros, and of ones. */
    uint8_t bytes[32] = {0};
    assert_int_equal(hws_dump_chunk_crc(bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    assert_int_equal(hws_dump_chunk_crc(bytes, 32), 0x62A8AB43);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manifest_tells_size_pieces_and_digest),
        cmocka_unit_test(a_tally_may_be_dropped_at_any_time),
        cmocka_unit_test(chunks_start_at_multiples_and_the_last_is_short),
        cmocka_unit_test(the_checksum_is_crc32c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
