/*
 * tls/keys: key schedules against published traces. TLS 1.3 from RFC 8448 section 3 (simple 1-RTT
 * handshake); P_SHA256 from the vectors posted to the IETF's TLS list for RFC 5246's PRF.
 */
#include <string.h>

#include "base/str.h"
#include "test.h"
#include "tls/keys.h"

/* The bytes of a hex text; returns how many. */
static size_t hex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;
    for (; text[0] != '\0' && text[1] != '\0'; text += 2) {
        static const char digits[] = "0123456789abcdef";
        assert_true(n < cap);
        out[n++] =
            (uint8_t)((strchr(digits, text[0]) - digits) << 4 | (strchr(digits, text[1]) - digits));
    }
    return n;
}

static void traffic_keys_of_rfc_8448_come_out(void **state)
{
    static const struct {
        const char *secret;
        const char *key;
        const char *iv;
    } rows[] = {
        /* server handshake traffic secret, client's, server application, client application */
        {"b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
         "3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30"},
        {"b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
         "dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f"},
        {"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
         "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"},
        {"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
         "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_tls_traffic got;
        uint8_t secret[32];
        uint8_t key[16];
        uint8_t iv[12];
        struct hws_err err;
        assert_int_equal(hex(rows[i].secret, secret, sizeof(secret)), 32);
        assert_int_equal(hex(rows[i].key, key, sizeof(key)), 16);
        assert_int_equal(hex(rows[i].iv, iv, sizeof(iv)), 12);
        assert_ok(hws_tls_traffic13(HWS_TLS_HASH_SHA256, secret, 16, &got, &err), &err);
        assert_int_equal(got.n_key, 16);
        assert_memory_equal(got.key, key, sizeof(key));
        assert_memory_equal(got.iv, iv, sizeof(iv));
    }
}

/* "finished" of the server in the same trace: a label, no context, a whole hash. */
static void a_label_expands_as_in_rfc_8448(void **state)
{
    uint8_t secret[32];
    uint8_t want[32];
    uint8_t got[32];
    struct hws_err err;
    (void)state;
    assert_int_equal(hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", secret,
                         sizeof(secret)),
                     32);
    assert_int_equal(
        hex("008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8", want, sizeof(want)),
        32);

    assert_ok(hws_tls_expand_label(HWS_TLS_HASH_SHA256, secret, "finished", got, 32, &err), &err);

    assert_memory_equal(got, want, 32);
}

static void the_prf_of_tls_1_2_gives_its_published_vector(void **state)
{
    uint8_t secret[16];
    uint8_t seed[16];
    uint8_t want[100];
    uint8_t got[100];
    struct hws_err err;
    (void)state;
    assert_int_equal(hex("9bbe436ba940f017b17652849a71db35", secret, sizeof(secret)), 16);
    assert_int_equal(hex("a0ba9f936cda311827a6f796ffd5198c", seed, sizeof(seed)), 16);
    assert_int_equal(
        hex("e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e9"
            "0d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97"
            "fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
            want, sizeof(want)),
        100);

    assert_ok(hws_tls_prf12(HWS_TLS_HASH_SHA256, (struct hws_span){secret, sizeof(secret)},
                            "test label", (struct hws_span){seed, sizeof(seed)}, got, sizeof(got),
                            &err),
              &err);

    assert_memory_equal(got, want, sizeof(want));
}

static void a_secret_changes_with_each_update_and_never_back(void **state)
{
    uint8_t secret[48] = {1};
    uint8_t before[4][48];
    struct hws_err err;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        memcpy(before[i], secret, sizeof(secret));
        assert_ok(hws_tls_secret_update(HWS_TLS_HASH_SHA384, secret, &err), &err);
        for (size_t k = 0; k <= i; k++) {
            assert_memory_not_equal(secret, before[k], sizeof(secret));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traffic_keys_of_rfc_8448_come_out),
        cmocka_unit_test(a_label_expands_as_in_rfc_8448),
        cmocka_unit_test(the_prf_of_tls_1_2_gives_its_published_vector),
        cmocka_unit_test(a_secret_changes_with_each_update_and_never_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
