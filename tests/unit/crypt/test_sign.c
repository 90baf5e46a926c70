/* ECDSA P-256 against the published example of RFC 6979, A.2.5 (SHA-256, message "sample"). */
#include <string.h>

#include "base/str.h"
#include "crypt/sign.h"
#include "test.h"

#define RFC_PUBLIC "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
#define RFC_SIGNATURE                                                                              \
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"                             \
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"

static void the_published_signature_is_the_keys(void **state)
{
    struct hws_public key;
    struct hws_signature sig;
    size_t n = 0;

    (void)state;
    assert_code(hws_public_from_hex(RFC_PUBLIC, &key), HWS_OK);
    assert_code(hws_hex_decode(RFC_SIGNATURE, sig.b, sizeof sig.b, &n), HWS_OK);
    assert_code(hws_sign_check(&key, "sample", 6, &sig, NULL), HWS_OK);
    assert_code(hws_sign_check(&key, "Sample", 6, &sig, NULL), HWS_E_DENIED);
}

static void a_signature_is_checked_by_its_key_only(void **state)
{
    uint8_t bytes[300];
    uint64_t rand = hws_test_seed();
    struct hws_signer a = {0};
    struct hws_signer b = {0};
    struct hws_public pa;
    struct hws_public pb;
    struct hws_signature sig;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)hws_test_rand(&rand);
    }
    assert_ok(hws_signer_new(&a, NULL), NULL);
    assert_ok(hws_signer_new(&b, NULL), NULL);
    assert_ok(hws_signer_public(&a, &pa, NULL), NULL);
    assert_ok(hws_signer_public(&b, &pb, NULL), NULL);
    assert_false(hws_public_eq(&pa, &pb));
    assert_ok(hws_sign(&a, bytes, sizeof bytes, &sig, NULL), NULL);
    assert_code(hws_sign_check(&pa, bytes, sizeof bytes, &sig, NULL), HWS_OK);
    assert_code(hws_sign_check(&pb, bytes, sizeof bytes, &sig, NULL), HWS_E_DENIED);
    for (size_t i = 0; i < sizeof sig.b; i++) {
        sig.b[i] ^= (uint8_t)(1u << (hws_test_rand(&rand) % 8));
        assert_code(hws_sign_check(&pa, bytes, sizeof bytes, &sig, NULL), HWS_E_DENIED);
        assert_ok(hws_sign(&a, bytes, sizeof bytes, &sig, NULL), NULL);
    }
    hws_signer_deinit(&a);
    hws_signer_deinit(&b);
}

static void keys_survive_pem_and_hex(void **state)
{
    char pem[1024];
    char hex[HWS_PUBLIC_HEX_BYTES];
    struct hws_signer a = {0};
    struct hws_signer again = {0};
    struct hws_public pa;
    struct hws_public pb;

    (void)state;
    assert_ok(hws_signer_new(&a, NULL), NULL);
    assert_true(hws_signer_pem(&a, pem, sizeof pem));
    assert_false(hws_signer_pem(&a, pem, 16));
    assert_true(hws_signer_pem(&a, pem, sizeof pem));
    assert_ok(hws_signer_load(&again, pem, strlen(pem), NULL), NULL);
    assert_ok(hws_signer_public(&a, &pa, NULL), NULL);
    assert_ok(hws_signer_public(&again, &pb, NULL), NULL);
    assert_true(hws_public_eq(&pa, &pb));
    hws_public_hex(&pa, hex);
    assert_code(hws_public_from_hex(hex, &pb), HWS_OK);
    assert_true(hws_public_eq(&pa, &pb));
    hws_signer_deinit(&a);
    hws_signer_deinit(&again);
}

static void what_is_no_key_of_the_curve_is_refused(void **state)
{
    struct hws_signer s = {0};
    struct hws_public key;
    struct hws_err err;

    (void)state;
    assert_code(hws_signer_load(&s, "nothing", 7, &err), HWS_E_INVALID);
    assert_string_equal(err.msg, "no unencrypted private key in PEM");
    assert_code(hws_signer_load(&s, "x", HWS_PEM_MAX_BYTES + 1, &err), HWS_E_INVALID);
    assert_null(s.key);
    assert_code(hws_public_from_hex("02", &key), HWS_E_INVALID);
    assert_code(hws_public_from_hex("no", &key), HWS_E_INVALID);
    /* 04 is not the first byte of a compressed point, and x = 2^256 - 1 is over the prime. */
    assert_code(hws_public_from_hex("04" RFC_PUBLIC, &key), HWS_E_INVALID);
    assert_code(hws_public_from_hex(
                    "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", &key),
                HWS_E_INVALID);
    memset(&key, 0, sizeof key);
    assert_code(hws_sign_check(&key, "", 0, &(struct hws_signature){{0}}, NULL), HWS_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_signature_is_the_keys),
        cmocka_unit_test(a_signature_is_checked_by_its_key_only),
        cmocka_unit_test(keys_survive_pem_and_hex),
        cmocka_unit_test(what_is_no_key_of_the_curve_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
