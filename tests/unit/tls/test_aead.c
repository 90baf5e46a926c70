/*
 * tls/aead: AES-GCM against the test cases of the GCM submission (McGrew and Viega, cases 1, 2, 4,
 * 13, 14, 16), every bit of a sealed text flipped, and the fastest one here against libcrypto's.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
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

#define N_CASES (sizeof(s_cases) / sizeof(s_cases[0]))
static const enum hws_tls_aead_by s_all[] = {HWS_TLS_AEAD_BEST, HWS_TLS_AEAD_LIBCRYPTO};

static void known_answers_come_out_wherever_the_text_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * N_CASES; i++) {
        struct hws_tls_aead a = {0};
        struct sealed s;
        struct hws_err err;
        read_case(i / 2, &s);
        assert_ok(hws_tls_aead_set_key(&a, s_all[i % 2], s.key, s.n_key, true, &err), &err);
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
    for (size_t i = 0; i < 2 * N_CASES; i++) {
        struct hws_tls_aead a = {0};
        struct sealed s;
        struct hws_err err;
        read_case(i / 2, &s);
        struct hws_span aad = {s.aad, s.n_aad};
        struct hws_span sealed = {s.want, s.n_want};
        assert_ok(hws_tls_aead_set_key(&a, s_all[i % 2], s.key, s.n_key, false, &err), &err);
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

#define MOST_BYTES ((size_t)16385) /* a full record of TLS 1.3 with its type */

/* A random length: often short, often about a full record, and all between. */
static size_t draw_length(uint64_t *seed)
{
    size_t most = hws_test_rand(seed) % 2 == 0 ? 300 : MOST_BYTES;
    size_t n = (size_t)(hws_test_rand(seed) % (most + 1));

    return hws_test_rand(seed) % 4 == 0 ? most - n % 32 : n;
}

static size_t draw_cuts(const uint8_t *text, size_t n, struct hws_span *spans, size_t cap,
                        uint64_t *seed)
{
    size_t n_spans = 0;

    for (; n_spans + 1 < cap && hws_test_rand(seed) % 3 > 0; n_spans++) {
        size_t most = hws_test_rand(seed) % 2 == 0 && n > 40 ? 40 : n;
        size_t part = (size_t)(hws_test_rand(seed) % (most + 1));
        spans[n_spans] = (struct hws_span){text, part};
        text += part;
        n -= part;
    }
    spans[n_spans] = (struct hws_span){text, n};
    return n_spans + 1;
}

/* Memory that ends where no page is: vector code that touches a byte more than it was given faults.
 */
enum edge { KEY, NONCE, AAD, TEXT, GOT, SEALED, SEALED_2, N_EDGES };
#define EDGE_BYTES ((size_t)32768)

static uint8_t *s_ends[N_EDGES];

static void map_edges(void)
{
    for (int i = 0; i < N_EDGES; i++) {
        uint8_t *at = mmap(NULL, 2 * EDGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(at != MAP_FAILED);
        assert_int_equal(mprotect(at, EDGE_BYTES, PROT_READ | PROT_WRITE), 0);
        s_ends[i] = at + EDGE_BYTES;
    }
}

static void unmap_edges(void)
{
    for (int i = 0; i < N_EDGES; i++) {
        assert_int_equal(munmap(s_ends[i] - EDGE_BYTES, 2 * EDGE_BYTES), 0);
    }
}

/* n random bytes at the end. */
static uint8_t *draw(enum edge where, size_t n, uint64_t *seed)
{
    hws_test_fill(s_ends[where] - n, n, seed);
    return s_ends[where] - n;
}

struct drawn {
    const uint8_t *key, *nonce;
    size_t n_key;
    struct hws_span aad, text;
};

static void seal_at_the_edge(const struct drawn *d, enum hws_tls_aead_by by, uint8_t *sealed,
                             uint64_t *seed)
{
    struct hws_tls_aead a = {0};
    struct hws_span spans[9];
    struct hws_err err;
    size_t n_spans = draw_cuts(d->text.bytes, d->text.n, spans, 9, seed);
    uint8_t *in_place = s_ends[GOT] - d->text.n - HWS_TLS_TAG_BYTES;
    struct hws_span whole = {in_place, d->text.n};

    assert_ok(hws_tls_aead_set_key(&a, by, d->key, d->n_key, true, &err), &err);
    assert_true(hws_tls_aead_seal(&a, d->nonce, d->aad, spans, n_spans, sealed));
    memcpy(in_place, d->text.bytes, d->text.n);
    assert_true(hws_tls_aead_seal(&a, d->nonce, d->aad, &whole, 1, in_place));
    hws_tls_aead_deinit(&a);
    assert_memory_equal(in_place, sealed, d->text.n + HWS_TLS_TAG_BYTES);
}

static void open_at_the_edge(const struct drawn *d, enum hws_tls_aead_by by, uint8_t *sealed,
                             uint64_t *seed)
{
    struct hws_tls_aead a = {0};
    struct hws_span whole = {sealed, d->text.n + HWS_TLS_TAG_BYTES};
    size_t bit = (size_t)(hws_test_rand(seed) % (8 * whole.n));
    uint8_t *got = s_ends[GOT] - d->text.n;
    struct hws_err err;

    assert_ok(hws_tls_aead_set_key(&a, by, d->key, d->n_key, false, &err), &err);
    assert_true(hws_tls_aead_open(&a, d->nonce, d->aad, whole, got));
    assert_memory_equal(got, d->text.bytes, d->text.n);
    sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_false(hws_tls_aead_open(&a, d->nonce, d->aad, whole, got));
    sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    for (size_t k = 0; k < d->text.n; k++) {
        assert_int_equal(got[k], 0); /* nothing of what is not proven */
    }
    hws_tls_aead_deinit(&a);
}

static void both_seal_the_same_bytes_and_open_each_others(void **state)
{
    uint64_t seed = hws_test_seed();
    (void)state;

    hws_test_sweeps_itself(); /* a key without memory is the next test's */
    (void)printf("the fastest here: %s\n", hws_tls_aead_name(HWS_TLS_AEAD_BEST));
    map_edges();
    for (int turn = 0; turn < 1000; turn++) {
        size_t n = draw_length(&seed), n_key = turn % 2 == 0 ? 16 : 32;
        size_t n_aad = (size_t)(hws_test_rand(&seed) % 17);
        struct drawn d = {.key = draw(KEY, n_key, &seed),
                          .nonce = draw(NONCE, HWS_TLS_NONCE_BYTES, &seed),
                          .n_key = n_key,
                          .aad = {draw(AAD, n_aad, &seed), n_aad},
                          .text = {draw(TEXT, n, &seed), n}};
        uint8_t *sealed[2];
        for (int i = 0; i < 2; i++) {
            sealed[i] = s_ends[SEALED + i] - n - HWS_TLS_TAG_BYTES;
            seal_at_the_edge(&d, s_all[i], sealed[i], &seed);
        }
        assert_memory_equal(sealed[0], sealed[1], n + HWS_TLS_TAG_BYTES);
        for (int i = 0; i < 2; i++) {
            open_at_the_edge(&d, s_all[i], sealed[0], &seed);
        }
    }
    unmap_edges();
}

static void a_key_replaces_the_one_before_or_leaves_it(void **state)
{
    static const uint8_t nonce[HWS_TLS_NONCE_BYTES];
    uint8_t keys[2][32] = {{1}, {2}}, sealed[3][HWS_TLS_TAG_BYTES];
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct hws_tls_aead a = {0};
        struct hws_err err;
        const struct hws_span none = {NULL, 0};
        assert_ok(hws_tls_aead_set_key(&a, s_all[i], keys[0], 16, true, &err), &err);
        assert_true(hws_tls_aead_seal(&a, nonce, none, NULL, 0, sealed[0]));
        if (!hws_str_eq(hws_tls_aead_name(s_all[i]), "libcrypto")) { /* whose memory is its own */
            hws_mem_fail_after(1, false);
            assert_code(hws_tls_aead_set_key(&a, s_all[i], keys[1], 16, true, &err), HWS_E_NOMEM);
            hws_mem_fail_after(0, false);
        }
        assert_true(hws_tls_aead_seal(&a, nonce, none, NULL, 0, sealed[1]));
        assert_ok(hws_tls_aead_set_key(&a, s_all[i], keys[1], 32, true, &err), &err);
        assert_true(hws_tls_aead_seal(&a, nonce, none, NULL, 0, sealed[2]));
        hws_tls_aead_deinit(&a);
        assert_memory_equal(sealed[0], sealed[1], HWS_TLS_TAG_BYTES);
        assert_memory_not_equal(sealed[1], sealed[2], HWS_TLS_TAG_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_come_out_wherever_the_text_is_cut),
        cmocka_unit_test(both_seal_the_same_bytes_and_open_each_others),
        cmocka_unit_test(a_key_replaces_the_one_before_or_leaves_it),
        cmocka_unit_test(what_was_sealed_opens_and_every_flipped_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
