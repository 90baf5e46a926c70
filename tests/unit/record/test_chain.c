/* The canonical form of audit records: bytes written by hand, strict decoding, cleaning. */
#include <string.h>

#include "record/chain.h"
#include "test.h"

/* seq 1, unix_ms 0x0102030405, a read of scope 1 that stands for 7 more calls. Texts: "a", "", "",
 * "/m"; the empty ones behind are left out. */
static const uint8_t s_golden[] = {
    'H',  'W',  'R',  '2',                          /* magic */
    0,    0,    0,    0,    0,    0,    0,    1,    /* seq */
    0,    0,    0,    1,    2,    3,    4,    5,    /* unix_ms */
    0,    0,    0,    0,    0,    0,    0,    0,    /* intent_seq */
    3,    1,    2,    4,                            /* phase, effect, scope, texts */
    0,    0,    0,    7,                            /* n_others */
    0,    0,    0,    0,    0,    8,    0,    0,    /* taint_before */
    0,    0,    0,    0,    0,    8,    0,    1,    /* taint_after */
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, /* table_hash */
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
    0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, /* table_hash */
    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, /* policy_hash */
    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, /* policy_hash */
    0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22,                         /* policy_hash */
    0,    0,    0,    1,    'a',  0,                                        /* principal */
    0,    0,    0,    0,    0,                                              /* cert_serial */
    0,    0,    0,    0,    0,                                              /* peer */
    0,    0,    0,    2,    '/',  'm',  0,                                  /* method */
};
#define PRINCIPAL_AT 120 /* the 'a' */
#define TEXTS_AT     31  /* how many there are */

static struct hws_record golden_record(void)
{
    struct hws_record r = {.seq = 1,
                           .unix_ms = 0x0102030405,
                           .phase = HWS_RECORD_READ,
                           .effect = 1,
                           .scope = 2,
                           .n_others = 7,
                           .taint_before = 0x80000,
                           .taint_after = 0x80001,
                           .principal = "a",
                           .method = "/m"};

    memset(r.table_hash.b, 0x11, sizeof(r.table_hash.b));
    memset(r.policy_hash.b, 0x22, sizeof(r.policy_hash.b));
    return r;
}

static void record_encodes_to_the_bytes_by_hand(void **state)
{
    struct hws_record r = golden_record();
    struct hws_buf buf = {0};

    (void)state;
    assert_ok(hws_record_encode(&r, &buf), NULL);

    assert_int_equal(hws_buf_len(&buf), sizeof(s_golden));
    assert_memory_equal(hws_buf_peek(&buf), s_golden, sizeof(s_golden));
    hws_buf_deinit(&buf);
}

static void bytes_by_hand_decode_to_the_record(void **state)
{
    struct hws_record r;
    struct hws_err err;

    (void)state;
    assert_ok(hws_record_decode(s_golden, sizeof(s_golden), &r, &err), &err);

    assert_int_equal(r.seq, 1);
    assert_int_equal(r.unix_ms, 0x0102030405);
    assert_int_equal(r.phase, HWS_RECORD_READ);
    assert_int_equal(r.effect, 1);
    assert_string_equal(r.principal, "a");
    assert_string_equal(r.method, "/m");
    assert_string_equal(r.request_id, "");
    assert_int_equal(r.scope, 2);
    assert_int_equal(r.n_others, 7);
    assert_int_equal(r.taint_before, 0x80000);
    assert_int_equal(r.taint_after, 0x80001);
    assert_int_equal(r.table_hash.b[31], 0x11);
    assert_int_equal(r.policy_hash.b[0], 0x22);
}

static void an_empty_last_text_and_one_too_many_are_refused(void **state)
{
    uint8_t bytes[sizeof(s_golden) + 5] = {0};
    struct hws_record r;

    (void)state;
    memcpy(bytes, s_golden, sizeof(s_golden));
    bytes[TEXTS_AT] = 5; /* and the fifth is empty: the same record has a shorter form */
    assert_code(hws_record_decode(bytes, sizeof(bytes), &r, NULL), HWS_E_PROTO);
    bytes[TEXTS_AT] = 200;
    assert_code(hws_record_decode(bytes, sizeof(bytes), &r, NULL), HWS_E_PROTO);
}

static void every_cut_and_extension_is_refused(void **state)
{
    uint8_t bytes[sizeof(s_golden) + 1] = {0};
    struct hws_record r;

    (void)state;
    memcpy(bytes, s_golden, sizeof(s_golden));
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        enum hws_code want = n == sizeof(s_golden) ? HWS_OK : HWS_E_PROTO;
        assert_code(hws_record_decode(bytes, n, &r, NULL), want);
    }
}

static void nul_inside_a_text_is_refused(void **state)
{
    uint8_t bytes[sizeof(s_golden)];
    struct hws_record r;

    (void)state;
    memcpy(bytes, s_golden, sizeof(bytes));
    bytes[PRINCIPAL_AT] = 0;
    assert_code(hws_record_decode(bytes, sizeof(bytes), &r, NULL), HWS_E_PROTO);
}

static void hash_covers_the_record_before(void **state)
{
    /* SHA-256 of 32 zero bytes and the golden bytes, computed with sha256sum. */
    static const char expected[] =
        "1252485bc9a8651169e92711728b6714b2bafb7b4d1180ed5e07b4737cad0e86";
    struct hws_digest prev = {{0}};
    struct hws_digest hash;
    struct hws_digest other;
    char hex[HWS_DIGEST_HEX_BYTES];

    (void)state;
    assert_ok(hws_record_hash(&prev, s_golden, sizeof(s_golden), &hash), NULL);
    hws_digest_hex(&hash, hex);
    assert_string_equal(hex, expected);

    prev.b[0] = 1;
    assert_ok(hws_record_hash(&prev, s_golden, sizeof(s_golden), &other), NULL);
    assert_false(hws_digest_eq(&hash, &other));
}

static void text_over_the_limit_is_refused_and_cleaning_cuts_it(void **state)
{
    static char text[HWS_RECORD_TEXT_MAX_BYTES + 2];
    struct hws_record r = golden_record();
    struct hws_buf store = {0};
    struct hws_buf out = {0};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    r.detail = text;
    assert_code(hws_record_encode(&r, &out), HWS_E_INVALID);
    hws_buf_reset(&out);

    assert_ok(hws_record_clean(&r, &store), NULL);

    assert_int_equal(strlen(r.detail), HWS_RECORD_TEXT_MAX_BYTES);
    assert_string_equal(r.detail + HWS_RECORD_TEXT_MAX_BYTES - 4, "x...");
    assert_ok(hws_record_encode(&r, &out), NULL);
    hws_buf_deinit(&out);
    hws_buf_deinit(&store);
}

static void foreign_bytes_are_cleaned(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"plain", "plain"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"a\nb\tc\x7f", "a?b?c?"},
        {"\xc3", "?"},
        {"\xc0\x80", "??"},           /* overlong */
        {"\xed\xa0\x80", "???"},      /* surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
        {"\xc2\x85x", "??x"},         /* a control character of two bytes */
        {"\xf0\x9f\x9a\xa2", "\xf0\x9f\x9a\xa2"},
        {"\xff\xfe", "??"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_record r = golden_record();
        struct hws_buf store = {0};
        r.peer = cases[i].in;
        r.device = cases[i].in;
        assert_ok(hws_record_clean(&r, &store), NULL);
        assert_string_equal(r.peer, cases[i].out);
        assert_string_equal(r.device, cases[i].out);
        hws_buf_deinit(&store);
    }
}

static void cleaning_twice_is_cleaning_once(void **state)
{
    static char text[3 * HWS_RECORD_TEXT_MAX_BYTES];
    uint64_t rand = hws_test_seed();

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct hws_record r = golden_record();
        struct hws_buf first = {0};
        struct hws_buf second = {0};
        size_t n = (size_t)(hws_test_rand(&rand) % (sizeof(text) - 1));
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)(hws_test_rand(&rand) % 255 + 1);
        }
        text[n] = '\0';
        r.detail = text;
        assert_ok(hws_record_clean(&r, &first), NULL);
        const char *once = r.detail;
        assert_true(strlen(once) <= HWS_RECORD_TEXT_MAX_BYTES);

        assert_ok(hws_record_clean(&r, &second), NULL);

        assert_ptr_equal(r.detail, once);
        hws_buf_deinit(&first);
        hws_buf_deinit(&second);
    }
}

static void phase_outside_the_list_is_refused(void **state)
{
    struct hws_record r = golden_record();
    struct hws_buf out = {0};

    (void)state;
    r.phase = HWS_RECORD_NO_PHASE;
    assert_code(hws_record_encode(&r, &out), HWS_E_INVALID);
    r.phase = HWS_RECORD_N_PHASES;
    assert_code(hws_record_encode(&r, &out), HWS_E_INVALID);
    r.phase = HWS_RECORD_READ;
    r.effect = 7;
    assert_code(hws_record_encode(&r, &out), HWS_E_INVALID);
    hws_buf_deinit(&out);
}

static enum hws_code encode_and_clean(void *arg)
{
    struct hws_record r = golden_record();
    struct hws_buf store = {0};
    struct hws_buf out = {0};

    (void)arg;
    r.detail = "line\nline";
    enum hws_code rc = hws_record_clean(&r, &store);
    if (rc == HWS_OK) {
        rc = hws_record_encode(&r, &out);
    }
    hws_buf_deinit(&out);
    hws_buf_deinit(&store);
    return rc;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(encode_and_clean, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_encodes_to_the_bytes_by_hand),
        cmocka_unit_test(bytes_by_hand_decode_to_the_record),
        cmocka_unit_test(every_cut_and_extension_is_refused),
        cmocka_unit_test(nul_inside_a_text_is_refused),
        cmocka_unit_test(an_empty_last_text_and_one_too_many_are_refused),
        cmocka_unit_test(hash_covers_the_record_before),
        cmocka_unit_test(text_over_the_limit_is_refused_and_cleaning_cuts_it),
        cmocka_unit_test(foreign_bytes_are_cleaned),
        cmocka_unit_test(cleaning_twice_is_cleaning_once),
        cmocka_unit_test(phase_outside_the_list_is_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
