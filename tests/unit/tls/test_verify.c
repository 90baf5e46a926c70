/* tls/verify: what is read of a leaf once its chain holds. Certificates are minted in the test. */
#include <string.h>

#include "pair.h"
#include "test.h"

#define LEAF HWS_MINT_LEAF_EXT HWS_MINT_BOTH "subjectAltName=URI:spiffe://unit.test/operator/olga\n"

static struct hws_tls_rng *s_rng;
static struct hws_mint s_ca;

static int setup(void **state)
{
    struct hws_err err;
    (void)state;
    assert_ok(hws_tls_rng_open(&s_rng, &err), &err);
    hws_mint_make(&s_ca, NULL, &(struct hws_mint_spec){.cn = "CA", .ext = HWS_MINT_CA_EXT});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_mint_free(&s_ca);
    hws_tls_rng_free(s_rng);
    return 0;
}

/* Row by row what `openssl x509 -serial` prints, in lower case. */
static void a_serial_is_the_number_without_its_sign_byte(void **state)
{
    static const struct {
        const char *serial; /* as given to the certificate */
        const char *text;   /* NULL = refused */
    } rows[] = {
        {"7f", "7f"},
        {"80", "80"},
        {"ff0102030405060708090a0b", "ff0102030405060708090a0b"},
        {"00", "00"},
        {"7fffffffffffffffffffffffffffffffffffffff", "7fffffffffffffffffffffffffffffffffffffff"},
        {"ffffffffffffffffffffffffffffffffffffffff", "ffffffffffffffffffffffffffffffffffffffff"},
        {"01ffffffffffffffffffffffffffffffffffffffff", NULL}, /* 21 bytes */
        {"-01", NULL},
        {"-ff0102", NULL},
    };
    const struct hws_mint *cas[] = {&s_ca};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_mint leaf;
        const struct hws_mint *chain[] = {&leaf};
        struct hws_tls_bundle *bundle = NULL;
        struct hws_err err;
        hws_mint_make(&leaf, &s_ca, &(struct hws_mint_spec){.serial = rows[i].serial, .ext = LEAF});
        enum hws_code rc = hws_pair_bundle(s_rng, chain, 1, cas, 1, &bundle, &err);
        if (rows[i].text == NULL) {
            assert_code(rc, HWS_E_INVALID);
            assert_non_null(strstr(err.msg, "serial"));
        } else {
            assert_ok(rc, &err);
            assert_string_equal(hws_tls_bundle_self(bundle)->serial, rows[i].text);
        }
        hws_tls_bundle_unref(bundle);
        hws_mint_free(&leaf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_serial_is_the_number_without_its_sign_byte),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
