/* Signed checkpoints: when they are made, how many stay, and how a query gives them. */
#include <poll.h>
#include <sqlite3.h>

#include "seal_fixture.h"

static void the_log_is_signed_at_the_end_and_every_so_many_records(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    f->options.sign_records = 8;
    fixture_open(f);
    fill(f, 21);
    fixture_close(f);

    struct verdict v = check(f, NULL);
    assert_int_equal(v.code, HWS_OK);
    assert_int_equal(v.signed_seq, 21);
    assert_int_equal(v.last_seq, 21);
    sqlite3 *sql = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(sql, "SELECT seq FROM audit_checkpoint ORDER BY n", -1, &stmt, NULL),
        SQLITE_OK);
    int64_t last = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        assert_in_range(sqlite3_column_int64(stmt, 0) - last, 1, 8);
        last = sqlite3_column_int64(stmt, 0);
    }
    assert_int_equal(last, 21);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(sql);
    fixture_open(f);
}

static void records_are_signed_in_time_without_further_ones(void **state)
{
    struct fixture *f = *state;
    struct hws_store_stats before;
    struct hws_store_stats now;

    fixture_close(f);
    f->options.sign_ms = 1;
    fixture_open(f);
    fill(f, 1);
    hws_store_stats(f->store, &before);
    do { /* the commit that signs comes by itself */
        (void)poll(NULL, 0, 1);
        hws_store_stats(f->store, &now);
    } while (now.n_commits == before.n_commits && before.n_commits < 2);
    struct hws_checkpoint c = take_checkpoint(f);
    assert_int_equal(c.seq, 1);
    assert_string_equal(c.host, "host-a");
}

static int64_t count_checkpoints(struct fixture *f)
{
    sqlite3 *sql = NULL;
    sqlite3_stmt *stmt = NULL;

    assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(sql, "SELECT count(*) FROM audit_checkpoint", -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(sql);
    return n;
}

static void only_so_many_checkpoints_stay_and_the_log_is_sound(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    f->options.sign_records = 1; /* a checkpoint a record, as on a quiet host */
    f->options.max_checkpoints = 5;
    fixture_open(f);
    fill(f, 20);
    struct hws_checkpoint early = take_checkpoint(f);
    assert_code(rotate(f, &s_next), HWS_OK);
    f->options.signer = &s_next;
    fill(f, 20); /* no checkpoint of the first key is left */
    fixture_close(f);
    assert_int_equal(count_checkpoints(f), 5);
    struct verdict v = check(f, &early);
    assert_int_equal(v.code, HWS_OK);
    assert_int_equal(v.signed_seq, 41);

    f->options.max_checkpoints = 3; /* one that has more than that already */
    fixture_open(f);
    assert_int_equal(take_checkpoint(f).seq, 41);
    fill(f, 1);
    fixture_close(f);
    assert_int_equal(count_checkpoints(f), 3);
    assert_int_equal(check(f, &early).code, HWS_OK);
    fixture_open(f);
}

static void a_checkpoint_on_demand_covers_the_newest_record(void **state)
{
    struct fixture *f = *state;
    struct hws_store_checkpoint r;

    hws_store_checkpoint_init(&r);
    assert_code(hws_store_run(f->store, &r.job, NULL), HWS_E_NOT_FOUND); /* nothing to sign */
    hws_store_job_deinit(&r.job);
    fill(f, 3);
    struct hws_checkpoint c = take_checkpoint(f);
    assert_int_equal(c.seq, 3);
    assert_int_equal(c.horizon_seq, 1);
    assert_ok(hws_checkpoint_check(&c, NULL), NULL);
    struct hws_checkpoint again = take_checkpoint(f);
    assert_memory_equal(&c, &again, sizeof(c)); /* nothing new: the same one */
}

/* What a query that wants signatures gives: "K" a key, the seq of each checkpoint. */
static void ask_signed(struct fixture *f, struct hws_store_query *q, uint64_t after_seq,
                       uint32_t limit)
{
    struct hws_store_signed known = q->sigs;

    hws_store_query_init(q);
    q->after_seq = after_seq;
    q->limit = limit;
    q->sigs.wanted = true;
    q->sigs.from_seq = known.from_seq;
    q->sigs.after_key = known.after_key;
    q->sigs.after_checkpoint = known.after_checkpoint;
    assert_code(hws_store_run(f->store, &q->job, NULL), HWS_OK);
}

/* Frees what it gave; the place that it came to stays. */
static void done_with(struct hws_store_query *q)
{
    struct hws_store_signed place = {.from_seq = q->sigs.from_seq,
                                     .after_key = q->sigs.after_key,
                                     .after_checkpoint = q->sigs.after_checkpoint};

    hws_store_job_deinit(&q->job);
    q->sigs = place;
}

static void a_query_gives_each_key_and_checkpoint_once_and_never_before_its_record(void **state)
{
    struct hws_store_query q = {.n_records = 0};
    struct fixture *f = *state;

    fixture_close(f);
    f->options.sign_records = 4;
    fixture_open(f);
    fill(f, 10); /* signed at 4 and 8 */
    uint64_t n_signed = hws_store_audit_signed(f->store);
    assert_int_equal(n_signed, 2);

    ask_signed(f, &q, 0, 6);
    assert_int_equal(q.n_records, 6);
    assert_int_equal(q.sigs.n_keys, 1);
    assert_int_equal(q.sigs.n_checkpoints, 1);
    assert_int_equal(q.sigs.checkpoints[0].seq, 4);
    done_with(&q);
    ask_signed(f, &q, 6, 100);
    assert_int_equal(q.n_records, 4);
    assert_int_equal(q.sigs.n_keys, 0);
    assert_int_equal(q.sigs.n_checkpoints, 1);
    assert_int_equal(q.sigs.checkpoints[0].seq, 8);
    assert_ok(hws_checkpoint_check(&q.sigs.checkpoints[0], NULL), NULL);
    done_with(&q);

    assert_int_equal(take_checkpoint(f).seq, 10); /* no new record, a new signature */
    assert_int_equal(hws_store_audit_signed(f->store), n_signed + 1);
    ask_signed(f, &q, 10, 100);
    assert_int_equal(q.n_records, 0);
    assert_int_equal(q.sigs.n_checkpoints, 1);
    assert_int_equal(q.sigs.checkpoints[0].seq, 10);
    done_with(&q);

    assert_code(rotate(f, &s_next), HWS_OK);
    f->options.signer = &s_next;
    ask_signed(f, &q, 10, 100);
    assert_int_equal(q.n_records, 1); /* the note */
    assert_int_equal(q.sigs.n_keys, 1);
    assert_int_equal(q.sigs.n_checkpoints, 2); /* the old key's last, the new key's first */
    assert_false(q.sigs.more);
    done_with(&q);
}

static void a_query_says_when_it_leaves_checkpoints_out(void **state)
{
    struct hws_store_query q = {.n_records = 0};
    struct fixture *f = *state;

    fixture_close(f);
    f->options.sign_records = 1;
    fixture_open(f);
    fill(f, HWS_STORE_QUERY_SIGNED + 3);
    ask_signed(f, &q, 0, 1000);
    assert_int_equal(q.n_records, HWS_STORE_QUERY_SIGNED + 3);
    assert_int_equal(q.sigs.n_checkpoints, HWS_STORE_QUERY_SIGNED);
    assert_true(q.sigs.more);
    done_with(&q);
    ask_signed(f, &q, HWS_STORE_QUERY_SIGNED + 3, 1000);
    assert_int_equal(q.n_records, 0);
    assert_int_equal(q.sigs.n_checkpoints, 3);
    assert_int_equal(q.sigs.checkpoints[2].seq, HWS_STORE_QUERY_SIGNED + 3);
    assert_false(q.sigs.more);
    done_with(&q);

    q.sigs = (struct hws_store_signed){.from_seq = 60};
    ask_signed(f, &q, 60, 4);
    assert_int_equal(q.n_records, 4);
    assert_int_equal(q.sigs.n_checkpoints, 5); /* the record that it goes on from, too */
    done_with(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_log_is_signed_at_the_end_and_every_so_many_records),
        TEST(records_are_signed_in_time_without_further_ones),
        TEST(only_so_many_checkpoints_stay_and_the_log_is_sound),
        TEST(a_query_gives_each_key_and_checkpoint_once_and_never_before_its_record),
        TEST(a_query_says_when_it_leaves_checkpoints_out),
        TEST(a_checkpoint_on_demand_covers_the_newest_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
