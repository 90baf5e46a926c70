/* SHA-256 against the published examples of FIPS 180-4 (NIST, "Examples with Intermediate Values").
 */
#include <string.h>

#include "crypt/digest.h"
#include "test.h"

static const struct {
    const char *text;
    const char *hex;
} s_published[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void published_examples_hash_as_printed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_published) / sizeof(s_published[0]); i++) {
        struct hws_digest d;
        char hex[HWS_DIGEST_HEX_BYTES];

        assert_ok(hws_sha256_of(s_published[i].text, strlen(s_published[i].text), &d), NULL);
        hws_digest_hex(&d, hex);

        assert_string_equal(hex, s_published[i].hex);
    }
}

static void pieces_of_any_size_hash_as_the_whole(void **state)
{
    uint8_t bytes[1000];
    uint64_t rand = hws_test_seed();
    struct hws_digest whole;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)hws_test_rand(&rand);
    }
    assert_ok(hws_sha256_of(bytes, sizeof(bytes), &whole), NULL);

    for (int round = 0; round < 100; round++) {
        struct hws_sha256 h;
        struct hws_digest d;
        assert_ok(hws_sha256_init(&h), NULL);
        for (size_t at = 0; at < sizeof(bytes);) {
            size_t n = (size_t)(hws_test_rand(&rand) % (sizeof(bytes) - at + 1));
            hws_sha256_update(&h, bytes + at, n);
            at += n;
        }
        assert_ok(hws_sha256_final(&h, &d), NULL);
        assert_true(hws_digest_eq(&d, &whole));
    }
}

static void hex_is_read_strictly(void **state)
{
    static const char good[] = "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct hws_digest d;
    struct hws_digest abc;

    (void)state;
    assert_ok(hws_sha256_of("abc", 3, &abc), NULL);

    assert_code(hws_digest_from_hex(good, &d), HWS_OK);
    assert_true(hws_digest_eq(&d, &abc));
    assert_code(hws_digest_from_hex(good + 2, &d), HWS_E_INVALID);
    assert_code(hws_digest_from_hex("", &d), HWS_E_INVALID);
    assert_code(hws_digest_from_hex("zz", &d), HWS_E_INVALID);
}

static void zero_digest_is_told_apart(void **state)
{
    struct hws_digest d = {{0}};

    (void)state;
    assert_true(hws_digest_is_zero(&d));
    d.b[31] = 1;
    assert_false(hws_digest_is_zero(&d));
}

static void abandoned_hash_leaks_nothing(void **state)
{
    struct hws_sha256 h;

    (void)state;
    assert_ok(hws_sha256_init(&h), NULL);
    hws_sha256_update(&h, "x", 1);
    hws_sha256_deinit(&h);
    hws_sha256_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_examples_hash_as_printed),
        cmocka_unit_test(pieces_of_any_size_hash_as_the_whole),
        cmocka_unit_test(hex_is_read_strictly),
        cmocka_unit_test(zero_digest_is_told_apart),
        cmocka_unit_test(abandoned_hash_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
