/*
 * Signed checkpoints, key rotation, retention with a signed horizon, and the offline check that
 * names the first bad record for whatever is done to a copy of the database.
 */
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypt/sign.h"
#include "record/log.h"
#include "store/offline.h"
#include "store_fixture.h"
#include "test.h"

static struct hws_signer s_key;
static struct hws_signer s_next;

static int setup(void **state)
{
    if (fixture_setup(state) != 0 || hws_signer_new(&s_key, NULL) != HWS_OK ||
        hws_signer_new(&s_next, NULL) != HWS_OK) {
        return -1;
    }
    struct fixture *f = *state;
    f->options.signer = &s_key;
    f->options.host = "host-a";
    fixture_reopen(f);
    return 0;
}

static int teardown(void **state)
{
    int rc = fixture_teardown(state);

    hws_signer_deinit(&s_key);
    hws_signer_deinit(&s_next);
    return rc;
}

static void fill(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[32];
        (void)hws_str_print(text, sizeof(text), "record %u", i);
        assert_code(fixture_append(f, text), HWS_OK);
    }
}

/* The newest checkpoint, made now. */
static struct hws_checkpoint take_checkpoint(struct fixture *f)
{
    struct hws_store_checkpoint r;
    struct hws_err err;

    hws_store_checkpoint_init(&r);
    assert_ok(hws_store_run(f->store, &r.job, &err), &err);
    struct hws_checkpoint c = r.checkpoint;
    hws_store_job_deinit(&r.job);
    return c;
}

struct verdict {
    enum hws_code code;
    uint64_t bad_seq;
    char fault[16];
    uint64_t signed_seq;
    uint64_t first_seq;
    uint64_t last_seq;
};

static struct verdict check_as(struct fixture *f, const struct hws_checkpoint *pin,
                               uint64_t max_unsigned, const struct hws_signer *by)
{
    struct hws_log_check c;
    struct hws_err err;

    hws_log_check_init(&c);
    c.max_unsigned = max_unsigned;
    c.has_key = by != NULL;
    if (by != NULL) {
        assert_ok(hws_signer_public(by, &c.must_be_by, &err), &err);
    }
    struct verdict v = {.code = hws_store_check_file(f->path, pin, &c, &err)};
    v.bad_seq = c.bad_seq;
    (void)hws_str_copy(v.fault, sizeof(v.fault), c.fault == NULL ? "" : c.fault);
    v.signed_seq = c.signed_seq;
    v.first_seq = c.first_seq;
    v.last_seq = c.last_seq;
    hws_log_check_deinit(&c);
    return v;
}

static struct verdict check(struct fixture *f, const struct hws_checkpoint *pin)
{
    return check_as(f, pin, 0, NULL);
}

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

static enum hws_code rotate(struct fixture *f, const struct hws_signer *next)
{
    struct hws_store_rotate r;

    hws_store_rotate_init(&r);
    r.next = next;
    r.unix_ms = 77;
    return hws_store_run(f->store, &r.job, NULL);
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

/* ---- tampering ---- */

#define N_RECORDS 12

/* Runs formatted SQL; edits need not survive a power cut. */
#define SQL_OF(f, ...)                                                                             \
    do {                                                                                           \
        char text_[256];                                                                           \
        assert_true(hws_str_print(text_, sizeof(text_), "PRAGMA synchronous=OFF;" __VA_ARGS__));   \
        fixture_sql(f, text_);                                                                     \
    } while (0)

/* A copy of a blob column. */
static size_t get_blob(struct fixture *f, const char *table, const char *col, const char *key,
                       unsigned row, uint8_t *out, size_t cap)
{
    sqlite3 *sql = NULL;
    sqlite3_stmt *stmt = NULL;
    char text[128];

    (void)hws_str_print(text, sizeof(text), "SELECT %s FROM %s WHERE %s=%u", col, table, key, row);
    assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(sql, text, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    size_t n = (size_t)sqlite3_column_bytes(stmt, 0);
    assert_true(n <= cap);
    memcpy(out, sqlite3_column_blob(stmt, 0), n);
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(sql);
    return n;
}

/* Edits need not survive a power cut. */
static void open_for_edit(struct fixture *f, sqlite3 **sql)
{
    assert_int_equal(sqlite3_open(f->path, sql), SQLITE_OK);
    assert_int_equal(sqlite3_exec(*sql, "PRAGMA synchronous=OFF", NULL, NULL, NULL), SQLITE_OK);
}

static void put_blob(sqlite3 *sql, const char *table, const char *col, const char *key,
                     unsigned row, const uint8_t *bytes, size_t n)
{
    sqlite3_stmt *stmt = NULL;
    char text[128];

    (void)hws_str_print(text, sizeof(text), "UPDATE %s SET %s=?1 WHERE %s=%u", table, col, key,
                        row);
    assert_int_equal(sqlite3_prepare_v2(sql, text, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_bind_blob(stmt, 1, bytes, (int)n, SQLITE_STATIC), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
}

/* Flips every byte of a column of a row, one at a time; each must be named as row `want`. */
static unsigned flip_all(struct fixture *f, const char *table, const char *col, const char *key,
                         unsigned row, uint64_t want)
{
    uint8_t bytes[1024];
    size_t n = get_blob(f, table, col, key, row, bytes, sizeof(bytes));
    sqlite3 *sql = NULL;
    uint64_t rand = hws_test_seed() + row;

    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        uint8_t was = bytes[i];
        bytes[i] ^= (uint8_t)(1 + hws_test_rand(&rand) % 255);
        open_for_edit(f, &sql);
        put_blob(sql, table, col, key, row, bytes, n);
        assert_int_equal(sqlite3_close(sql), SQLITE_OK);
        struct verdict v = check(f, NULL);
        if (v.code != HWS_E_PROTO || v.bad_seq != want) {
            fail_msg("%s.%s of %u, byte %zu: code %d, named %llu (%s), not %llu", table, col, row,
                     i, v.code, (unsigned long long)v.bad_seq, v.fault, (unsigned long long)want);
        }
        bytes[i] = was;
    }
    open_for_edit(f, &sql);
    put_blob(sql, table, col, key, row, bytes, n);
    assert_int_equal(sqlite3_close(sql), SQLITE_OK);
    assert_int_equal(check(f, NULL).code, HWS_OK);
    return (unsigned)n;
}

static void sealed_log(struct fixture *f)
{
    fixture_close(f);
    f->options.sign_records = 4;
    fixture_open(f);
    fill(f, N_RECORDS);
    fixture_close(f);
    fixture_sql(f, "PRAGMA journal_mode=DELETE");
    assert_int_equal(check(f, NULL).code, HWS_OK);
}

static void every_byte_of_every_column_of_every_record_is_named(void **state)
{
    static const char *const columns[] = {"body", "prev", "hash"};
    struct fixture *f = *state;
    unsigned n = 0;

    sealed_log(f);
    for (unsigned row = 1; row <= N_RECORDS; row++) {
        for (size_t i = 0; i < 3; i++) {
            n += flip_all(f, "audit", columns[i], "seq", row, row);
        }
        /* seq: each byte that makes it another number */
        for (unsigned byte = 0; byte < 4; byte++) {
            SQL_OF(f, "UPDATE audit SET seq=%u WHERE seq=%u", row ^ (0x40u << (8 * byte)), row);
            assert_int_equal(check(f, NULL).code, HWS_E_PROTO);
            assert_int_equal(check(f, NULL).bad_seq, row);
            SQL_OF(f, "UPDATE audit SET seq=%u WHERE seq=%u", row, row ^ (0x40u << (8 * byte)));
            n++;
        }
    }
    printf("%u bytes flipped, each named\n", n);
}

static void every_byte_of_checkpoints_and_keys_is_noticed(void **state)
{
    struct fixture *f = *state;

    sealed_log(f);
    sqlite3 *sql = NULL;
    sqlite3_stmt *stmt = NULL;
    unsigned seqs[N_RECORDS + 1] = {0};
    unsigned n = 0;
    assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(sql, "SELECT seq FROM audit_checkpoint ORDER BY n", -1, &stmt, NULL),
        SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW && n <= N_RECORDS) {
        seqs[n++] = (unsigned)sqlite3_column_int(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(sql);
    assert_true(n >= 3);
    (void)flip_all(f, "audit_checkpoint", "signature", "n", 1, seqs[0]);
    (void)flip_all(f, "audit_checkpoint", "signature", "n", n, seqs[n - 1]);
    (void)flip_all(f, "audit_key", "signature", "n", 1, 1);
}

static void dropped_swapped_and_cut_records_are_named(void **state)
{
    struct fixture *f = *state;

    sealed_log(f);
    for (unsigned row = 1; row <= N_RECORDS; row++) {
        SQL_OF(f, "CREATE TABLE kept AS SELECT * FROM audit WHERE seq=%u", row);
        SQL_OF(f, "DELETE FROM audit WHERE seq=%u", row);
        struct verdict v = check(f, NULL);
        assert_int_equal(v.code, HWS_E_PROTO);
        assert_int_equal(v.bad_seq, row);
        fixture_sql(f, "INSERT INTO audit SELECT * FROM kept; DROP TABLE kept");
    }
    for (unsigned row = 1; row < N_RECORDS; row++) { /* two that change places */
        SQL_OF(f, "UPDATE audit SET seq=1000 WHERE seq=%u", row);
        SQL_OF(f, "UPDATE audit SET seq=%u WHERE seq=%u", row, row + 1);
        SQL_OF(f, "UPDATE audit SET seq=%u WHERE seq=1000", row + 1);
        assert_int_equal(check(f, NULL).bad_seq, row);
        SQL_OF(f, "UPDATE audit SET seq=1000 WHERE seq=%u", row);
        SQL_OF(f, "UPDATE audit SET seq=%u WHERE seq=%u", row, row + 1);
        SQL_OF(f, "UPDATE audit SET seq=%u WHERE seq=1000", row + 1);
    }
    assert_int_equal(check(f, NULL).code, HWS_OK);
    fixture_sql(f, "CREATE TABLE kept AS SELECT * FROM audit");
    for (unsigned last = 0; last < N_RECORDS; last++) { /* the tail, by whoever may not sign */
        SQL_OF(f, "DELETE FROM audit WHERE seq>%u", last);
        struct verdict v = check(f, NULL);
        assert_string_equal(v.fault, "truncated");
        assert_int_equal(v.bad_seq, last + 1);
        fixture_sql(f, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept");
    }
    fixture_sql(f, "DROP TABLE kept");
}

/* Whoever may write the file cuts tail, checkpoints and head alike: only a checkpoint kept
 * elsewhere tells. */
static void a_kept_checkpoint_tells_of_a_clean_cut_and_of_another_log(void **state)
{
    struct fixture *f = *state;

    fill(f, 6);
    struct hws_checkpoint early = take_checkpoint(f);
    fixture_close(f);
    FILE *from = fopen(f->path, "rb");
    static char image[400000];
    size_t n = fread(image, 1, sizeof(image), from);
    assert_int_equal(fclose(from), 0);
    fixture_open(f);
    fill(f, 6);
    struct hws_checkpoint late = take_checkpoint(f);
    fixture_close(f);
    assert_int_equal(check(f, &early).code, HWS_OK);
    assert_int_equal(check(f, &late).code, HWS_OK);

    FILE *to = fopen(f->path, "wb"); /* the older state of the same log: perfect in itself */
    assert_int_equal(fwrite(image, 1, n, to), n);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(check(f, NULL).code, HWS_OK);
    assert_int_equal(check(f, &early).code, HWS_OK);
    struct verdict v = check(f, &late);
    assert_string_equal(v.fault, "truncated");
    assert_int_equal(v.bad_seq, 7);

    struct hws_checkpoint forged = early;
    forged.seq = 3;
    assert_ok(hws_checkpoint_sign(&forged, &s_next, NULL), NULL);
    assert_string_equal(check(f, &forged).fault, "pin");
    (void)unlink(f->path);
    fixture_open(f);
}

static void refuses_to_open(struct fixture *f, const char *why)
{
    struct hws_err err;

    assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, why));
    f->store = NULL;
}

/* The agent takes the log, which is signed to its end then. */
static void is_taken_and_signed(struct fixture *f, uint64_t head)
{
    fixture_open(f);
    assert_int_equal(take_checkpoint(f).seq, head);
    fixture_close(f);
}

/* What whoever may write the file and has no key can always do: drop signatures, and then make any
 * chain. The agent must not sign it. */
static void a_log_that_lost_its_signatures_is_named_and_not_signed_again(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    f->options.sign_records = 10;
    fixture_open(f);
    fill(f, 100);
    fixture_close(f);
    assert_int_equal(check(f, NULL).code, HWS_OK);

    fixture_sql(f, "DELETE FROM audit_checkpoint WHERE seq>90");
    assert_int_equal(check(f, NULL).code, HWS_OK); /* as many as a crash may leave */
    is_taken_and_signed(f, 100);
    fixture_sql(f, "DELETE FROM audit_checkpoint WHERE seq>80");
    assert_int_equal(check(f, NULL).code, HWS_OK); /* by the default of 64 */
    struct verdict v = check_as(f, NULL, 10, NULL);
    assert_int_equal(v.code, HWS_E_PROTO);
    assert_string_equal(v.fault, "unsigned");
    assert_int_equal(v.bad_seq, 81);
    refuses_to_open(f, "records 81 to 100");

    fixture_sql(f, "DELETE FROM audit_checkpoint WHERE seq>30");
    v = check(f, NULL);
    assert_string_equal(v.fault, "unsigned");
    assert_int_equal(v.bad_seq, 31);
    fixture_sql(f, "DELETE FROM audit_checkpoint");
    v = check(f, NULL);
    assert_string_equal(v.fault, "unsigned");
    assert_int_equal(v.bad_seq, 1);
    assert_int_equal(check_as(f, NULL, 99, NULL).code, HWS_E_PROTO);
    assert_int_equal(check_as(f, NULL, 100, NULL).code, HWS_OK);
    refuses_to_open(f, "records 1 to 100");

    f->options.sign_records = 1000;
    fixture_sql(f, "DELETE FROM audit_key"); /* nor a log of nobody */
    assert_string_equal(check(f, NULL).fault, "key");
    refuses_to_open(f, "no key");
    (void)unlink(f->path);
    fixture_open(f);
}

static void a_pruned_log_without_a_checkpoint_is_not_signed(void **state)
{
    struct fixture *f = *state;

    fill(f, 5);
    fixture_close(f);
    fixture_sql(f, "DELETE FROM audit_checkpoint; DELETE FROM audit WHERE seq<3");
    assert_int_equal(check(f, NULL).code, HWS_E_PROTO);
    refuses_to_open(f, "no checkpoint covers");
    (void)unlink(f->path);
    fixture_open(f);
}

static void a_checkpoint_of_another_key_is_not_taken_for_the_logs(void **state)
{
    struct fixture *f = *state;
    struct hws_buf body = {0};
    sqlite3 *sql = NULL;

    fill(f, 5);
    struct hws_checkpoint c = take_checkpoint(f);
    fixture_close(f);
    assert_ok(hws_checkpoint_sign(&c, &s_next, NULL), NULL);
    assert_ok(hws_checkpoint_encode(&c, &body), NULL);
    assert_int_equal(sqlite3_open(f->path, &sql), SQLITE_OK);
    put_blob(sql, "audit_checkpoint", "body", "seq", 5, hws_buf_peek(&body), hws_buf_len(&body));
    put_blob(sql, "audit_checkpoint", "signature", "seq", 5, c.signature.b, sizeof(c.signature.b));
    assert_int_equal(sqlite3_close(sql), SQLITE_OK);
    hws_buf_deinit(&body);
    assert_string_equal(check(f, NULL).fault, "checkpoint");
    refuses_to_open(f, "not signed by the log's key");
    (void)unlink(f->path);
    fixture_open(f);
}

/* ---- keys ---- */

static void a_log_is_the_hosts_if_the_known_key_leads_to_its_signatures(void **state)
{
    struct fixture *f = *state;
    struct hws_signer third = {0};

    assert_ok(hws_signer_new(&third, NULL), NULL);
    fill(f, 5);
    fixture_close(f);
    assert_int_equal(check_as(f, NULL, 0, &s_key).code, HWS_OK);
    struct verdict v = check_as(f, NULL, 0, &s_next);
    assert_int_equal(v.code, HWS_E_PROTO);
    assert_string_equal(v.fault, "key");
    fixture_open(f);
    assert_code(rotate(f, &s_next), HWS_OK);
    f->options.signer = &s_next;
    fill(f, 5);
    fixture_close(f);
    assert_int_equal(check_as(f, NULL, 0, &s_key).code, HWS_OK); /* vouched for the next one */
    assert_int_equal(check_as(f, NULL, 0, &s_next).code, HWS_OK);
    assert_int_equal(check_as(f, NULL, 0, &third).code, HWS_E_PROTO);

    /* A forger's key that vouches for the host's signs with its own all the same. */
    fixture_sql(f, "DELETE FROM audit_checkpoint WHERE seq>6 OR n=(SELECT max(n) FROM"
                   " audit_checkpoint WHERE seq=6)");
    assert_int_equal(check_as(f, NULL, 0, &s_key).code, HWS_OK);
    assert_string_equal(check_as(f, NULL, 0, &s_next).fault, "key");
    hws_signer_deinit(&third);
    (void)unlink(f->path);
    fixture_open(f);
}

static void rotated_key_is_vouched_for_and_old_checkpoints_stay_good(void **state)
{
    struct fixture *f = *state;

    fill(f, 5);
    struct hws_checkpoint before = take_checkpoint(f);
    assert_code(rotate(f, &s_key), HWS_E_EXISTS);
    assert_code(rotate(f, &s_next), HWS_OK);
    fill(f, 5);
    struct hws_checkpoint after = take_checkpoint(f);
    assert_false(hws_public_eq(&before.key, &after.key));
    fixture_close(f);
    assert_int_equal(check(f, &before).code, HWS_OK);
    assert_int_equal(check(f, &after).code, HWS_OK);
    assert_int_equal(check(f, NULL).last_seq, 11); /* the change itself is a record */

    /* The owner died before it put the new key into place: it finds the log signed by it. */
    f->options.next_signer = &s_next;
    fixture_open(f);
    assert_true(hws_store_uses_next(f->store));
    fixture_close(f);
    f->options.next_signer = NULL;
    assert_code(hws_store_open(&f->options, &f->store, NULL), HWS_E_PROTO); /* the old key alone */
    f->store = NULL;
    f->options.signer = &s_next;
    fixture_open(f);
    assert_false(hws_store_uses_next(f->store));
}

static void a_key_that_nobody_vouches_for_is_named(void **state)
{
    struct fixture *f = *state;

    fill(f, 3);
    assert_code(rotate(f, &s_next), HWS_OK);
    fixture_close(f);
    fixture_sql(f, "UPDATE audit_key SET signature=(SELECT signature FROM audit_key WHERE n=1)"
                   " WHERE n=2");
    struct verdict v = check(f, NULL);
    assert_string_equal(v.fault, "key");
    assert_int_equal(v.bad_seq, 4);
    fixture_sql(f, "DELETE FROM audit_key");
    assert_string_equal(check(f, NULL).fault, "checkpoint");
    fixture_sql(f, "DELETE FROM audit_checkpoint");
    assert_string_equal(check(f, NULL).fault, "key");
    f->options.signer = &s_next;
    (void)unlink(f->path);
    fixture_open(f);
}

/* ---- retention ---- */

static uint64_t horizon(struct fixture *f)
{
    struct hws_store_query q;

    hws_store_query_init(&q);
    q.limit = 1;
    assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
    uint64_t seq = q.horizon_seq;
    hws_store_job_deinit(&q.job);
    return seq;
}

/* Pruning goes on between batches: waits until the horizon stands where it should. */
static void wait_for_horizon(struct fixture *f, uint64_t at_least)
{
    while (horizon(f) < at_least) {
        (void)poll(NULL, 0, 1);
    }
}

static void pruned_by_count_the_log_says_from_where_and_is_sound(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    f->options.max_audit_rows = 50;
    fixture_open(f);
    fill(f, 300);
    wait_for_horizon(f, 300 - 50 - 64 + 1);
    struct hws_checkpoint c = take_checkpoint(f);
    assert_true(c.horizon_seq > 1);
    fixture_close(f);
    struct verdict v = check(f, NULL);
    assert_int_equal(v.code, HWS_OK);
    assert_int_equal(v.first_seq, c.horizon_seq);
    assert_int_equal(check(f, &c).code, HWS_OK);

    /* The same deletion without a signature is none of retention's. */
    SQL_OF(f, "DELETE FROM audit WHERE seq=%u", (unsigned)c.horizon_seq);
    v = check(f, NULL);
    assert_int_equal(v.code, HWS_E_PROTO);
    assert_int_equal(v.bad_seq, c.horizon_seq);
    assert_code(hws_store_open(&f->options, &f->store, NULL), HWS_E_PROTO);
    (void)unlink(f->path);
    fixture_open(f);
}

static void pruned_by_bytes_and_by_age(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    f->options.max_audit_bytes = 4096;
    fixture_open(f);
    static char big[4000];
    memset(big, 'x', sizeof(big) - 1);
    for (int i = 0; i < 40; i++) {
        assert_code(fixture_append(f, big), HWS_OK);
    }
    wait_for_horizon(f, 20);
    fixture_close(f);
    assert_int_equal(check(f, NULL).code, HWS_OK);

    f->options.max_audit_bytes = 0;
    f->options.max_audit_ms = 1000; /* all records of the fixture are of 1970 */
    fixture_open(f);
    wait_for_horizon(f, 40);
    fixture_close(f);
    struct verdict v = check(f, NULL);
    assert_int_equal(v.code, HWS_OK);
    assert_int_equal(v.first_seq, 40); /* the newest stays */
    fixture_open(f);
}

static enum hws_code sign_and_rotate(void *arg)
{
    struct fixture *f = arg;
    struct hws_store *s = NULL;
    struct hws_store_rotate r;
    struct hws_store_checkpoint c;
    enum hws_code rc = hws_store_open(&f->options, &s, NULL);

    if (rc != HWS_OK) {
        return rc;
    }
    hws_store_rotate_init(&r);
    r.next = f->options.signer == &s_key ? &s_next : &s_key;
    rc = hws_store_run(s, &r.job, NULL);
    if (rc == HWS_OK) {
        f->options.signer = r.next;
        hws_store_checkpoint_init(&c);
        rc = hws_store_run(s, &c.job, NULL);
        hws_store_job_deinit(&c.job);
    }
    hws_store_close_wait(s);
    return rc;
}

static void running_out_of_memory_loses_no_key(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    assert_true(hws_test_oom_sweep(sign_and_rotate, f) > 0);
    assert_int_equal(check(f, NULL).code, HWS_OK);
    fixture_open(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_log_is_signed_at_the_end_and_every_so_many_records),
        TEST(records_are_signed_in_time_without_further_ones),
        TEST(only_so_many_checkpoints_stay_and_the_log_is_sound),
        TEST(a_query_gives_each_key_and_checkpoint_once_and_never_before_its_record),
        TEST(a_query_says_when_it_leaves_checkpoints_out),
        TEST(a_checkpoint_on_demand_covers_the_newest_record),
        TEST(every_byte_of_every_column_of_every_record_is_named),
        TEST(every_byte_of_checkpoints_and_keys_is_noticed),
        TEST(dropped_swapped_and_cut_records_are_named),
        TEST(a_kept_checkpoint_tells_of_a_clean_cut_and_of_another_log),
        TEST(a_log_that_lost_its_signatures_is_named_and_not_signed_again),
        TEST(a_pruned_log_without_a_checkpoint_is_not_signed),
        TEST(a_checkpoint_of_another_key_is_not_taken_for_the_logs),
        TEST(a_log_is_the_hosts_if_the_known_key_leads_to_its_signatures),
        TEST(rotated_key_is_vouched_for_and_old_checkpoints_stay_good),
        TEST(a_key_that_nobody_vouches_for_is_named),
        TEST(pruned_by_count_the_log_says_from_where_and_is_sound),
        TEST(pruned_by_bytes_and_by_age),
        TEST(running_out_of_memory_loses_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
