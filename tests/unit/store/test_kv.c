/* Key/value pairs and logs: what is put is there after a reopen, swaps are exact, damage is named.
 */
#include <stdio.h>
#include <string.h>

#include "store_fixture.h"
#include "test.h"

static enum hws_code run(struct fixture *f, struct hws_store_kv *r, enum hws_store_kv_verb verb,
                         const char *key, const char *value)
{
    hws_store_kv_init(r, verb, "rollout", key);
    if (value != NULL) {
        r->value = (struct hws_span){(const uint8_t *)value, strlen(value)};
    }
    return hws_store_run(f->store, &r->job, NULL);
}

static void expect(struct fixture *f, const char *key, const char *value)
{
    struct hws_store_kv r;

    assert_code(run(f, &r, HWS_STORE_KV_GET, key, NULL), value == NULL ? HWS_E_NOT_FOUND : HWS_OK);
    if (value != NULL) {
        assert_int_equal(r.n_pairs, 1);
        assert_string_equal(r.pairs[0].key, key);
        assert_int_equal(r.pairs[0].value.n, strlen(value));
        assert_memory_equal(r.pairs[0].value.bytes, value, strlen(value));
    }
    hws_store_job_deinit(&r.job);
}

static void put(struct fixture *f, const char *key, const char *value)
{
    struct hws_store_kv r;

    assert_code(run(f, &r, HWS_STORE_KV_PUT, key, value), HWS_OK);
    hws_store_job_deinit(&r.job);
}

static void values_survive_a_reopen(void **state)
{
    struct fixture *f = *state;
    struct hws_store_kv r;

    put(f, "a", "one");
    put(f, "b", "");
    put(f, "a", "two");
    fixture_reopen(f);
    expect(f, "a", "two");
    expect(f, "b", "");
    expect(f, "c", NULL);

    assert_code(run(f, &r, HWS_STORE_KV_DELETE, "a", NULL), HWS_OK);
    hws_store_job_deinit(&r.job);
    expect(f, "a", NULL);
}

static void namespaces_are_apart(void **state)
{
    struct fixture *f = *state;
    struct hws_store_kv r;

    put(f, "a", "one");
    hws_store_kv_init(&r, HWS_STORE_KV_GET, "other", "a");
    assert_code(hws_store_run(f->store, &r.job, NULL), HWS_E_NOT_FOUND);
    hws_store_job_deinit(&r.job);
}

static void list_pages_in_key_order(void **state)
{
    struct fixture *f = *state;
    struct hws_store_kv r;
    char key[16];
    char after[16] = "";
    int n = 0;

    for (int i = 49; i >= 0; i--) {
        (void)hws_str_print(key, sizeof(key), "k%02d", i);
        put(f, key, key);
    }
    for (;;) {
        hws_store_kv_init(&r, HWS_STORE_KV_LIST, "rollout", after);
        r.limit = 20;
        assert_code(hws_store_run(f->store, &r.job, NULL), HWS_OK);
        size_t got = r.n_pairs;
        for (size_t i = 0; i < got; i++, n++) {
            (void)hws_str_print(key, sizeof(key), "k%02d", n);
            assert_string_equal(r.pairs[i].key, key);
            assert_memory_equal(r.pairs[i].value.bytes, key, 3);
            (void)hws_str_copy(after, sizeof(after), key);
        }
        hws_store_job_deinit(&r.job);
        if (got == 0) {
            break;
        }
    }
    assert_int_equal(n, 50);
}

static enum hws_code swap(struct fixture *f, const char *from, const char *to)
{
    struct hws_store_kv r;

    hws_store_kv_init(&r, HWS_STORE_KV_SWAP, "rollout", "state");
    r.value = (struct hws_span){(const uint8_t *)to, strlen(to)};
    if (from != NULL) {
        r.expect = (struct hws_span){(const uint8_t *)from, strlen(from)};
    }
    enum hws_code rc = hws_store_run(f->store, &r.job, NULL);
    hws_store_job_deinit(&r.job);
    return rc;
}

static void swap_happens_only_from_the_expected_value(void **state)
{
    struct fixture *f = *state;

    assert_code(swap(f, "pending", "confirmed"), HWS_E_CONFLICT);
    assert_code(swap(f, NULL, "pending"), HWS_OK);
    assert_code(swap(f, NULL, "pending"), HWS_E_CONFLICT);
    assert_code(swap(f, "pendinG", "confirmed"), HWS_E_CONFLICT);
    assert_code(swap(f, "pending", "confirmed"), HWS_OK);
    assert_code(swap(f, "pending", "rolled back"), HWS_E_CONFLICT);
    expect(f, "state", "confirmed");
}

static void log_rows_are_numbered_without_gaps(void **state)
{
    struct fixture *f = *state;
    struct hws_store_kv r;

    for (uint64_t i = 1; i <= 30; i++) {
        assert_code(run(f, &r, HWS_STORE_KV_APPEND, "journal", "row"), HWS_OK);
        assert_int_equal(r.out_seq, i);
        hws_store_job_deinit(&r.job);
    }
    fixture_reopen(f);
    hws_store_kv_init(&r, HWS_STORE_KV_LOG, "rollout", "journal");
    r.after_seq = 10;
    r.limit = 5;
    assert_code(hws_store_run(f->store, &r.job, NULL), HWS_OK);
    assert_int_equal(r.n_pairs, 5);
    assert_int_equal(r.pairs[0].seq, 11);
    assert_null(r.pairs[0].key);
    assert_memory_equal(r.pairs[4].value.bytes, "row", 3);
    hws_store_job_deinit(&r.job);
}

static void damage_is_named(void **state)
{
    struct fixture *f = *state;
    struct hws_store_kv r;

    put(f, "a", "one");
    for (int i = 0; i < 3; i++) {
        assert_code(run(f, &r, HWS_STORE_KV_APPEND, "journal", "row"), HWS_OK);
        hws_store_job_deinit(&r.job);
    }
    fixture_close(f);
    fixture_sql(f, "UPDATE kv SET value='two'; DELETE FROM log WHERE seq=2");
    fixture_open(f);

    assert_code(run(f, &r, HWS_STORE_KV_GET, "a", NULL), HWS_E_PROTO);
    assert_non_null(strstr(r.job.err.msg, "rollout/a"));
    hws_store_job_deinit(&r.job);
    assert_code(run(f, &r, HWS_STORE_KV_LOG, "journal", NULL), HWS_E_PROTO);
    assert_non_null(strstr(r.job.err.msg, "row 2 is missing"));
    hws_store_job_deinit(&r.job);
}

static void bad_lengths_are_refused(void **state)
{
    static uint8_t big[HWS_STORE_VALUE_MAX_BYTES + 1];
    struct fixture *f = *state;
    struct hws_store_kv r;
    char key[300];

    memset(key, 'k', sizeof(key));
    key[257] = '\0';
    assert_code(run(f, &r, HWS_STORE_KV_PUT, key, "x"), HWS_E_INVALID);
    assert_code(run(f, &r, HWS_STORE_KV_PUT, "", "x"), HWS_E_INVALID);
    hws_store_kv_init(&r, HWS_STORE_KV_PUT, "rollout", "k");
    r.value = (struct hws_span){big, sizeof(big)};
    assert_code(hws_store_run(f->store, &r.job, NULL), HWS_E_INVALID);
    r.value.n--;
    assert_code(hws_store_run(f->store, &r.job, NULL), HWS_OK);
    hws_store_job_deinit(&r.job);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(values_survive_a_reopen),
        CASE(namespaces_are_apart),
        CASE(list_pages_in_key_order),
        CASE(swap_happens_only_from_the_expected_value),
        CASE(log_rows_are_numbered_without_gaps),
        CASE(damage_is_named),
        CASE(bad_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
