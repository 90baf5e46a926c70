/*
 * tls/aead: AES-GCM against the test cases of the GCM submission (McGrew and Viega, cases 1, 2, 4,
 * 13, 14, 16), and every bit of a sealed text flipped.
 */
#include <string.h>

#include "test.h"
#include "tls/aead.h"

static size_t hex(const char *text, uint8_t *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    for (; text[0] != '\0'; text += 2) {
        out[n++] =
            (uint8_t)((strchr(digits, text[0]) - digits) << 4 | (strchr(digits, text[1]) - digits));
    }
    return n;
}

#define K4 "feffe9928665731c6d6a8f9467308308"
#define N4 "cafebabefacedbaddecaf888"
#define A4 "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define P4                                                                                         \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define Z12 "000000000000000000000000"
#define Z16 "00000000000000000000000000000000"

static const struct {
    const char *key;
    const char *nonce;
    const char *aad;
    const char *text;
    const char *sealed;
} s_cases[] = {
    {Z16, Z12, "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
    {Z16, Z12, "", Z16, "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
    {K4, N4, A4, P4,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {Z16 Z16, Z12, "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {Z16 Z16, Z12, "", Z16, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {K4 K4, N4, A4, P4,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

struct sealed {
    uint8_t key[32], nonce[12], aad[32], text[64], want[96], got[96];
    size_t n_key, n_aad, n_text, n_want;
};

static void read_case(size_t i, struct sealed *s)
{
    s->n_key = hex(s_cases[i].key, s->key);
    assert_int_equal(hex(s_cases[i].nonce, s->nonce), 12);
    s->n_aad = hex(s_cases[i].aad, s->aad);
    s->n_text = hex(s_cases[i].text, s->text);
    s->n_want = hex(s_cases[i].sealed, s->want);
}

static void known_answers_come_out_wherever_the_text_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_cases) / sizeof(s_cases[0]); i++) {
        struct hws_tls_aead a = {0};
        struct sealed s;
        struct hws_err err;
        read_case(i, &s);
        assert_ok(hws_tls_aead_set_key(&a, s.key, s.n_key, true, &err), &err);
        for (size_t cut = 0; cut <= s.n_text; cut++) {
            size_t half = cut / 2;
            const struct hws_span texts[] = {{s.text, half},
                                             {s.text + half, 0},
                                             {s.text + half, cut - half},
                                             {s.text + cut, s.n_text - cut}};
            assert_true(hws_tls_aead_seal(&a, s.nonce, (struct hws_span){s.aad, s.n_aad}, texts,
                                          sizeof(texts) / sizeof(texts[0]), s.got));
            assert_memory_equal(s.got, s.want, s.n_want);
        }
        hws_tls_aead_deinit(&a);
    }
}

static void what_was_sealed_opens_and_every_flipped_bit_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(s_cases) / sizeof(s_cases[0]); i++) {
        struct hws_tls_aead a = {0};
        struct sealed s;
        struct hws_err err;
        read_case(i, &s);
        struct hws_span aad = {s.aad, s.n_aad};
        struct hws_span sealed = {s.want, s.n_want};
        assert_ok(hws_tls_aead_set_key(&a, s.key, s.n_key, false, &err), &err);
        assert_true(hws_tls_aead_open(&a, s.nonce, aad, sealed, s.got));
        assert_memory_equal(s.got, s.text, s.n_text);
        for (size_t bit = 0; bit < 8 * (s.n_want + s.n_aad + 12); bit++) {
            uint8_t *byte = bit / 8 < s.n_want             ? &s.want[bit / 8]
                            : bit / 8 < s.n_want + s.n_aad ? &s.aad[bit / 8 - s.n_want]
                                                           : &s.nonce[bit / 8 - s.n_want - s.n_aad];
            *byte ^= (uint8_t)(1u << bit % 8);
            assert_false(hws_tls_aead_open(&a, s.nonce, aad, sealed, s.got));
            *byte ^= (uint8_t)(1u << bit % 8);
        }
        assert_true(hws_tls_aead_open(&a, s.nonce, aad, sealed, s.got));
        hws_tls_aead_deinit(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_come_out_wherever_the_text_is_cut),
        cmocka_unit_test(what_was_sealed_opens_and_every_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
