/* A log's keys and its beginning: rotation, keys that nobody vouches for, retention with a signed
 * horizon. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "seal_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_log_is_the_hosts_if_the_known_key_leads_to_its_signatures),
        TEST(rotated_key_is_vouched_for_and_old_checkpoints_stay_good),
        TEST(a_key_that_nobody_vouches_for_is_named),
        TEST(pruned_by_count_the_log_says_from_where_and_is_sound),
        TEST(pruned_by_bytes_and_by_age),
        TEST(running_out_of_memory_loses_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
