/* The offline check names the first bad record for whatever is done to a copy of the database, and
 * the store does not sign what was tampered with. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "seal_fixture.h"

/* ---- tampering ---- */

#define N_RECORDS 12

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_byte_of_every_column_of_every_record_is_named),
        TEST(every_byte_of_checkpoints_and_keys_is_noticed),
        TEST(dropped_swapped_and_cut_records_are_named),
        TEST(a_kept_checkpoint_tells_of_a_clean_cut_and_of_another_log),
        TEST(a_log_that_lost_its_signatures_is_named_and_not_signed_again),
        TEST(a_pruned_log_without_a_checkpoint_is_not_signed),
        TEST(a_checkpoint_of_another_key_is_not_taken_for_the_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
