/* The audit log: chain, ranges, retention with a visible horizon, damage. */
#include <stdio.h>
#include <string.h>

#include "store_fixture.h"
#include "test.h"

static void fill(struct fixture *f, int n)
{
    struct hws_err err;

    for (int i = 1; i <= n; i++) {
        char text[32];
        (void)hws_str_print(text, sizeof(text), "record %d", i);
        struct hws_record r = {.unix_ms = (uint64_t)i,
                               .phase = i % 5 == 0 ? HWS_RECORD_DENIED : HWS_RECORD_READ,
                               .effect = 1,
                               .principal = "spiffe://d/v",
                               .method = "/r",
                               .detail = text};
        assert_ok(hws_store_note(f->store, &r, &err), &err); /* texts are copied: text goes away */
    }
    assert_code(fixture_append(f, "last"), HWS_OK); /* and so the notes are through */
}

static void notes_become_one_sound_chain(void **state)
{
    struct fixture *f = *state;

    fill(f, 500);
    assert_int_equal(fixture_verify(f), 501);
    fixture_reopen(f);
    fill(f, 20);
    assert_int_equal(fixture_verify(f), 522);
}

static void ranges_and_newest_are_given_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct hws_store_query q;

    fill(f, 50);
    hws_store_query_init(&q);
    q.after_seq = 10;
    q.limit = 3;
    assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
    assert_int_equal(q.n_records, 3);
    assert_int_equal(q.records[0].seq, 11);
    assert_string_equal(q.records[2].detail, "record 13");
    assert_int_equal(q.horizon_seq, 1);
    assert_int_equal(q.head_seq, 51);
    hws_store_job_deinit(&q.job);

    hws_store_query_init(&q);
    q.last_n = 2;
    assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
    assert_int_equal(q.n_records, 2);
    assert_int_equal(q.records[0].seq, 50);
    assert_string_equal(q.records[1].detail, "last");
    hws_store_job_deinit(&q.job);

    hws_store_query_init(&q);
    q.after_seq = UINT64_MAX;
    assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
    assert_int_equal(q.n_records, 0);
    hws_store_job_deinit(&q.job);
}

static void retention_moves_the_horizon_and_keeps_the_chain(void **state)
{
    struct fixture *f = *state;
    struct hws_store_query q;

    fixture_close(f);
    f->options.max_audit_rows = 100;
    fixture_open(f);
    fill(f, 500);
    fixture_reopen(f);

    hws_store_query_init(&q);
    assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
    while (q.horizon_seq < 501 - 100 - 64) { /* pruning goes on between batches */
        hws_store_job_deinit(&q.job);
        hws_store_query_init(&q);
        assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
    }
    assert_in_range(q.horizon_seq, 501 - 100 - 64, 501 - 100 + 1);
    assert_int_equal(q.records[0].seq, q.horizon_seq);
    assert_int_equal(q.head_seq, 501);
    assert_false(hws_digest_is_zero(&q.records[0].prev_hash)); /* it says that others came before */
    hws_store_job_deinit(&q.job);
    (void)fixture_verify(f);
}

static void damaged_record_is_named_and_can_be_stepped_over(void **state)
{
    struct fixture *f = *state;
    struct hws_store_query q;
    struct hws_err err;

    fill(f, 20);
    fixture_close(f);
    fixture_sql(f, "UPDATE audit SET body=replace(body, 'record 7', 'record 9') WHERE seq=7");
    fixture_open(f);

    hws_store_query_init(&q);
    assert_code(hws_store_run(f->store, &q.job, &err), HWS_E_PROTO);
    assert_int_equal(q.n_records, 6);
    assert_int_equal(q.bad_seq, 7);
    assert_non_null(strstr(err.msg, "audit record 7"));
    assert_string_equal(q.records[5].detail, "record 6");
    hws_store_job_deinit(&q.job);

    hws_store_query_init(&q);
    q.after_seq = 7;
    assert_code(hws_store_run(f->store, &q.job, &err), HWS_OK);
    assert_int_equal(q.n_records, 14);
    hws_store_job_deinit(&q.job);

    fixture_close(f);
    f->options.full_check = true;
    assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);
    f->store = NULL;
}

static void missing_record_is_named(void **state)
{
    struct fixture *f = *state;
    struct hws_store_query q;

    fill(f, 20);
    fixture_close(f);
    fixture_sql(f, "DELETE FROM audit WHERE seq=9");
    fixture_open(f);
    hws_store_query_init(&q);
    assert_code(hws_store_run(f->store, &q.job, NULL), HWS_E_PROTO);
    assert_int_equal(q.n_records, 8);
    assert_int_equal(q.bad_seq, 9);
    hws_store_job_deinit(&q.job);
}

static void lost_end_of_the_log_is_seen_at_open(void **state)
{
    static const char *const losses[] = {"DELETE FROM audit WHERE seq>18", "DELETE FROM audit",
                                         "UPDATE audit SET hash=x'00' WHERE seq=21",
                                         "DELETE FROM meta"};
    struct fixture *f = *state;
    struct hws_err err;

    fill(f, 20);
    fixture_close(f);
    for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        fixture_sql(f, "CREATE TABLE keep_a AS SELECT * FROM audit; CREATE TABLE keep_m AS SELECT "
                       "* FROM meta");
        fixture_sql(f, losses[i]);
        assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);
        assert_null(f->store);
        fixture_sql(f,
                    "DELETE FROM audit; INSERT INTO audit SELECT * FROM keep_a; DELETE FROM meta;"
                    "INSERT INTO meta SELECT * FROM keep_m; DROP TABLE keep_a; DROP TABLE keep_m");
    }
    fixture_open(f);
    assert_int_equal(fixture_verify(f), 21);
}

static void hostile_texts_are_recorded_clean(void **state)
{
    struct fixture *f = *state;
    struct hws_store_query q;

    assert_code(fixture_append(f, "line\nbreak \xff\xfe"), HWS_OK);
    hws_store_query_init(&q);
    assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
    assert_string_equal(q.records[0].detail, "line?break ??");
    hws_store_job_deinit(&q.job);
    assert_int_equal(fixture_verify(f), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(notes_become_one_sound_chain),
        CASE(ranges_and_newest_are_given_oldest_first),
        CASE(retention_moves_the_horizon_and_keeps_the_chain),
        CASE(damaged_record_is_named_and_can_be_stepped_over),
        CASE(missing_record_is_named),
        CASE(lost_end_of_the_log_is_seen_at_open),
        CASE(hostile_texts_are_recorded_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
