/* Metadata rules and base64. */
#include <string.h>

#include "grpc/meta.h"
#include "test.h"

/* RFC 4648, section 10, without padding; and two with every kind of digit. */
static const struct {
    const char *plain;
    size_t n;
    const char *coded;
} vectors[] = {
    {"", 0, ""},
    {"f", 1, "Zg"},
    {"fo", 2, "Zm8"},
    {"foo", 3, "Zm9v"},
    {"foob", 4, "Zm9vYg"},
    {"fooba", 5, "Zm9vYmE"},
    {"foobar", 6, "Zm9vYmFy"},
    {"\xfb\xff\xfe", 3, "+//+"},
};

static void base64_matches_the_published_vectors(void **state)
{
    char coded[16];
    uint8_t plain[16];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        n = hws_grpc_base64_encode((const uint8_t *)vectors[i].plain, vectors[i].n, coded);
        assert_int_equal(n, strlen(vectors[i].coded));
        assert_memory_equal(coded, vectors[i].coded, n);
        assert_code(hws_grpc_base64_decode((const uint8_t *)coded, n, plain, &n), HWS_OK);
        assert_int_equal(n, vectors[i].n);
        assert_memory_equal(plain, vectors[i].plain, n);
    }
}

static void padded_base64_is_accepted_and_broken_refused(void **state)
{
    static const char *const good[] = {"Zg==", "Zm8=", "Zm9v"};
    static const char *const bad[] = {
        "Z", "Zg=", "Zh", "Zm9", "Zg===", "Z*==", "Zm9vY", "=", "Z=g="};
    uint8_t plain[16];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_code(hws_grpc_base64_decode((const uint8_t *)good[i], strlen(good[i]), plain, &n),
                    HWS_OK);
        assert_int_equal(n, i + 1);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(hws_grpc_base64_decode((const uint8_t *)bad[i], strlen(bad[i]), plain, &n),
                    HWS_E_PROTO);
    }
}

static void names_and_values_follow_the_rules(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        enum hws_code want;
    } rows[] = {
        {"x-a", "b", HWS_OK},
        {"x_a.9", "", HWS_OK},
        {"x-a-bin", "\x01\x02", HWS_OK},
        {"grpc-retry-pushback-ms", "10", HWS_OK},
        {"X-a", "b", HWS_E_INVALID},
        {"", "b", HWS_E_INVALID},
        {":path", "b", HWS_E_INVALID},
        {"grpc-status", "0", HWS_E_INVALID},
        {"te", "b", HWS_E_INVALID},
        {"content-type", "b", HWS_E_INVALID},
        {"content-length", "1", HWS_E_INVALID},
        {"transfer-encoding", "chunked", HWS_E_INVALID},
        {"upgrade", "b", HWS_E_INVALID},
        {"x-a", "\n", HWS_E_INVALID},
        {"x-a", " b", HWS_E_INVALID},
        {"x-a", "\xc3\xbc", HWS_E_INVALID},
    };
    struct hws_grpc_meta m = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_code(hws_grpc_meta_add_text(&m, rows[i].name, rows[i].value, NULL), rows[i].want);
    }
    assert_int_equal(m.n_entries, 4);
    hws_grpc_meta_deinit(&m);
}

static void joined_binary_values_are_split(void **state)
{
    struct hws_grpc_meta m = {0};
    struct hws_span v;

    (void)state;
    assert_code(hws_grpc_meta_add_wire(&m, (const uint8_t *)"k-bin", 5,
                                       (const uint8_t *)"Zg==, Zm8,", 10, NULL),
                HWS_OK);
    assert_int_equal(m.n_entries, 3);
    assert_true(hws_grpc_meta_get(&m, "k-bin", 0, &v));
    assert_int_equal(v.n, 1);
    assert_memory_equal(v.bytes, "f", 2); /* a NUL follows */
    assert_true(hws_grpc_meta_get(&m, "k-bin", 1, &v));
    assert_memory_equal(v.bytes, "fo", 3);
    assert_true(hws_grpc_meta_get(&m, "k-bin", 2, &v));
    assert_int_equal(v.n, 0);
    assert_false(hws_grpc_meta_get(&m, "k-bin", 3, &v));
    assert_code(
        hws_grpc_meta_add_wire(&m, (const uint8_t *)"k-bin", 5, (const uint8_t *)"!", 1, NULL),
        HWS_E_PROTO);
    hws_grpc_meta_deinit(&m);
}

static void long_binary_values_pass(void **state)
{
    struct hws_grpc_meta m = {0};
    char coded[4000];
    struct hws_span v;

    (void)state;
    memset(coded, 'A', sizeof(coded));
    assert_code(hws_grpc_meta_add_wire(&m, (const uint8_t *)"k-bin", 5, (const uint8_t *)coded,
                                       sizeof(coded), NULL),
                HWS_OK);
    assert_true(hws_grpc_meta_get(&m, "k-bin", 0, &v));
    assert_int_equal(v.n, 3000);
    hws_grpc_meta_deinit(&m);
}

static void limits_hold(void **state)
{
    struct hws_grpc_meta m = {.max_entries = 3, .max_bytes = 200};
    char big[200];

    (void)state;
    memset(big, 'b', sizeof(big));
    assert_code(hws_grpc_meta_add(&m, "big", big, 170, NULL), HWS_E_BUSY); /* 3 + 170 + 32 = 205 */
    assert_code(hws_grpc_meta_add(&m, "a", "1", 1, NULL), HWS_OK);
    assert_code(hws_grpc_meta_add(&m, "a", "2", 1, NULL), HWS_OK);
    assert_code(hws_grpc_meta_add(&m, "a", "3", 1, NULL), HWS_OK);
    assert_code(hws_grpc_meta_add(&m, "a", "4", 1, NULL), HWS_E_BUSY);
    hws_grpc_meta_reset(&m);
    assert_code(hws_grpc_meta_add(&m, "big", big, 165, NULL), HWS_OK); /* 3 + 165 + 32 = 200 */
    hws_grpc_meta_deinit(&m);
}

static enum hws_code add_some(void *arg)
{
    struct hws_grpc_meta m = {0};
    char coded[1000];
    enum hws_code code = HWS_OK;

    (void)arg;
    memset(coded, 'A', sizeof(coded));
    for (unsigned i = 0; i < 20 && code == HWS_OK; i++) {
        code = hws_grpc_meta_add_text(&m, "name", "value", NULL);
    }
    if (code == HWS_OK) {
        code = hws_grpc_meta_add_wire(&m, (const uint8_t *)"k-bin", 5, (const uint8_t *)coded,
                                      sizeof(coded), NULL);
    }
    hws_grpc_meta_deinit(&m);
    return code;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(add_some, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_matches_the_published_vectors),
        cmocka_unit_test(padded_base64_is_accepted_and_broken_refused),
        cmocka_unit_test(names_and_values_follow_the_rules),
        cmocka_unit_test(joined_binary_values_are_split),
        cmocka_unit_test(long_binary_values_pass),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
