/* Life of the store: open, group commit, limits, callbacks, close, what a bad file gets. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "store_fixture.h"
#include "test.h"

#define N 300

struct many {
    struct hws_store_append appends[N];
    int n_done;
    int n_failed;
};

static void count_cb(struct hws_store_job *job)
{
    struct many *m = job->data;

    m->n_done++;
    m->n_failed += job->err.code == HWS_OK ? 0 : 1;
}

static void prepare(struct many *m, size_t i)
{
    hws_store_append_init(&m->appends[i]);
    m->appends[i].record = (struct hws_record){
        .phase = HWS_RECORD_READ, .effect = 1, .principal = "p", .method = "/r"};
    m->appends[i].job.cb = count_cb;
    m->appends[i].job.data = m;
}

static void turn_until(struct fixture *f, const int *n, int target)
{
    while (*n < target) {
        struct pollfd p = {.fd = hws_store_fd(f->store), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 10000), 1);
        hws_store_turn(f->store);
    }
}

static void jobs_that_wait_share_one_commit(void **state)
{
    static struct many m;
    struct fixture *f = *state;
    struct hws_store_stats before;
    struct hws_store_stats after;
    struct hws_err err;

    memset(&m, 0, sizeof(m));
    hws_store_stats(f->store, &before);
    for (size_t i = 0; i < N; i++) {
        prepare(&m, i);
        assert_ok(hws_store_submit(f->store, &m.appends[i].job, &err), &err);
    }
    assert_int_equal(m.n_done, 0); /* never inside submit */
    turn_until(f, &m.n_done, N);
    hws_store_stats(f->store, &after);

    assert_int_equal(m.n_failed, 0);
    uint64_t n_commits = after.n_commits - before.n_commits;
    assert_in_range(n_commits, 1, N / 3);
    assert_int_equal(after.n_jobs - before.n_jobs, N);
    assert_int_equal(after.n_on_loan, 0);
    assert_int_equal(fixture_verify(f), N);
}

static void refused_job_in_a_batch_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin begins[10];
    char ids[10][16];
    struct hws_err err;

    for (int i = 0; i < 10; i++) {
        hws_store_begin_init(&begins[i]);
        (void)hws_str_print(ids[i], sizeof(ids[i]), "req-%05d",
                            i / 2); /* every second one is a repeat */
        begins[i].fence = (struct hws_fence){.role = "r", .low = 1};
        begins[i].record =
            (struct hws_record){.principal = "p", .method = "/m", .request_id = ids[i]};
        assert_ok(hws_store_submit(f->store, &begins[i].job, &err), &err);
    }
    hws_store_close_wait(f->store);
    f->store = NULL;

    for (int i = 0; i < 10; i++) {
        assert_true(begins[i].job.done);
        assert_code(begins[i].job.err.code, i % 2 == 0 ? HWS_OK : HWS_E_CONFLICT);
        assert_int_equal(begins[i].operation_id, i / 2 + 1);
    }
    fixture_open(f);
    assert_int_equal(fixture_verify(f), 10);
}

static void queue_is_bounded_and_says_so(void **state)
{
    static struct many m;
    struct fixture *f = *state;
    struct hws_err err;

    memset(&m, 0, sizeof(m));
    fixture_close(f);
    f->options.max_jobs = 3;
    fixture_open(f);
    for (size_t i = 0; i < 4; i++) {
        prepare(&m, i);
        enum hws_code rc = hws_store_submit(f->store, &m.appends[i].job, &err);
        assert_code(rc, i < 3 ? HWS_OK : HWS_E_BUSY);
    }
    assert_non_null(strstr(err.msg, "max_jobs"));
    turn_until(f, &m.n_done, 3);
    assert_ok(hws_store_submit(f->store, &m.appends[3].job, &err), &err);
    turn_until(f, &m.n_done, 4);
}

static void resubmit_cb(struct hws_store_job *job)
{
    struct many *m = job->data;

    m->n_done++;
    if (m->n_done < 5) {
        struct fixture *f = (struct fixture *)(void *)m->appends[1].job.data;
        assert_code(hws_store_submit(f->store, job, NULL), HWS_OK);
    }
}

static void callback_may_submit_again(void **state)
{
    static struct many m;
    struct fixture *f = *state;

    memset(&m, 0, sizeof(m));
    prepare(&m, 0);
    m.appends[0].job.cb = resubmit_cb;
    m.appends[1].job.data = f;
    assert_code(hws_store_submit(f->store, &m.appends[0].job, NULL), HWS_OK);
    turn_until(f, &m.n_done, 5);
    assert_int_equal(hws_store_audit_head(f->store), 5);
}

static void closed_cb(void *data)
{
    *(int *)data += 1;
}

static void close_drains_then_refuses_then_says_closed_once(void **state)
{
    static struct many m;
    struct fixture *f = *state;
    int n_closed = 0;
    struct hws_err err;

    memset(&m, 0, sizeof(m));
    for (size_t i = 0; i < 20; i++) {
        prepare(&m, i);
        assert_code(hws_store_submit(f->store, &m.appends[i].job, NULL), HWS_OK);
    }
    hws_store_close(f->store, closed_cb, &n_closed);
    hws_store_close(f->store, closed_cb, &n_closed);
    prepare(&m, 20);
    assert_code(hws_store_submit(f->store, &m.appends[20].job, &err), HWS_E_GONE);
    assert_int_equal(n_closed, 0);
    turn_until(f, &n_closed, 1);

    assert_int_equal(m.n_done, 20);
    assert_int_equal(m.n_failed, 0);
    assert_int_equal(n_closed, 1);
    f->store = NULL;
    fixture_open(f);
    assert_int_equal(hws_store_audit_head(f->store), 20);
}

static void head_cb(void *data, uint64_t seq)
{
    *(uint64_t *)data = seq;
}

static void followers_hear_of_new_records(void **state)
{
    struct fixture *f = *state;
    uint64_t heard = 0;

    fixture_close(f);
    f->options.audit_cb = head_cb;
    f->options.data = &heard;
    fixture_open(f);
    assert_code(fixture_append(f, "one"), HWS_OK);
    assert_int_equal(heard, 1);
    assert_code(fixture_append(f, "two"), HWS_OK);
    assert_int_equal(heard, 2);
    fixture_reopen(f);
    assert_int_equal(heard, 2); /* old records are no news */
    assert_int_equal(hws_store_audit_head(f->store), 2);
    f->options.audit_cb = NULL;
}

static void new_database_is_told_apart(void **state)
{
    struct fixture *f = *state;

    assert_true(hws_store_created(f->store));
    fixture_reopen(f);
    assert_false(hws_store_created(f->store));
}

static void second_owner_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hws_store *other = NULL;
    struct hws_err err;
    int fds[2];
    int go[2];
    uint8_t code = 0;

    /* Locks are per process, so the second owner must be another one. It is forked while no store's
     * thread runs, which might hold a lock of SQLite's that the child would wait for. */
    fixture_close(f);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(go[1]);
        if (read(go[0], &code, 1) != 1) {
            _exit(1);
        }
        code = (uint8_t)hws_store_open(&f->options, &other, &err);
        _exit(write(fds[1], &code, 1) == 1 ? 0 : 1);
    }
    (void)close(fds[1]);
    (void)close(go[0]);
    fixture_open(f);
    assert_int_equal(write(go[1], &code, 1), 1);
    (void)close(go[1]);
    assert_int_equal(read(fds[0], &code, 1), 1);
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(code, HWS_E_STATE);
}

static void put_file(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void what_is_no_store_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hws_err err;
    char text[5000];

    fixture_close(f);
    memset(text, 'x', sizeof(text));
    put_file(f->path, text, sizeof(text));
    assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);

    (void)unlink(f->path);
    fixture_sql(f, "CREATE TABLE other(x); PRAGMA user_version=1");
    assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "not a Hawser database"));

    (void)unlink(f->path);
    fixture_open(f);
    fixture_close(f);
    fixture_sql(f, "PRAGMA user_version=99");
    assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);
    assert_non_null(
        strstr(err.msg, "has schema 99 of another version of the agent; this one knows 2"));

    char nowhere[200];
    (void)hws_str_print(nowhere, sizeof(nowhere), "%s/no/such/folder.db", f->folder);
    struct hws_store_options o = {.path = nowhere};
    assert_code(hws_store_open(&o, &f->store, &err), HWS_E_IO);
    assert_null(f->store);
}

static void every_flipped_bit_is_noticed_or_harmless(void **state)
{
    struct fixture *f = *state;
    uint64_t rand = hws_test_seed();
    static uint8_t image[400000];
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 5, "req-00001", "content one"), HWS_OK);
    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, "the answer"), HWS_OK);
    assert_code(fixture_begin(f, &b, 5, "req-00002", "content two"), HWS_OK);
    fixture_close(f); /* folds the log into the database */
    FILE *file = fopen(f->path, "rb");
    assert_non_null(file);
    size_t n = fread(image, 1, sizeof(image), file);
    assert_int_equal(fclose(file), 0);
    f->options.full_check = true;

    for (int round = 0; round < 300; round++) {
        size_t at = (size_t)(hws_test_rand(&rand) % n);
        uint8_t bit = (uint8_t)(1u << hws_test_rand(&rand) % 8);
        image[at] ^= bit;
        put_file(f->path, image, n);
        image[at] ^= bit;
        enum hws_code rc = hws_store_open(&f->options, &f->store, NULL);
        if (rc != HWS_OK) {
            f->store = NULL;
            continue;
        }
        /* It opened with a full check: then everything that was stored must be as it was. */
        bool made_anew = hws_store_created(f->store);
        assert_false(made_anew);
        assert_int_equal(hws_store_audit_head(f->store), 3);
        assert_code(fixture_begin(f, &b, 4, "req-00003", "x"), HWS_E_DENIED);
        assert_code(fixture_begin(f, &b, 5, "req-00001", "content one"), HWS_OK);
        assert_true(b.replay);
        assert_memory_equal(b.answer, "the answer", 10);
        hws_store_job_deinit(&b.job);
        assert_code(fixture_begin(f, &b, 5, "req-00002", "content two"), HWS_E_CONFLICT);
        fixture_close(f);
    }
    (void)unlink(f->path);
    fixture_open(f);
}

static enum hws_code work_once(void *arg)
{
    struct fixture *f = arg;
    struct hws_store *s = NULL;
    enum hws_code rc = hws_store_open(&f->options, &s, NULL);

    if (rc != HWS_OK) {
        return rc;
    }
    struct hws_store_query q;
    hws_store_query_init(&q);
    rc = hws_store_note(
        s, &(struct hws_record){.phase = HWS_RECORD_DENIED, .principal = "p\n", .method = "/m"},
        NULL);
    if (rc == HWS_OK) {
        rc = hws_store_run(s, &q.job, NULL);
    }
    hws_store_job_deinit(&q.job);
    hws_store_close_wait(s);
    return rc;
}

static void running_out_of_memory_is_reported(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    assert_true(hws_test_oom_sweep(work_once, f) > 5);
    fixture_open(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(jobs_that_wait_share_one_commit),
        CASE(refused_job_in_a_batch_leaves_the_others_alone),
        CASE(queue_is_bounded_and_says_so),
        CASE(callback_may_submit_again),
        CASE(close_drains_then_refuses_then_says_closed_once),
        CASE(followers_hear_of_new_records),
        CASE(new_database_is_told_apart),
        CASE(second_owner_is_refused),
        CASE(what_is_no_store_is_refused),
        CASE(every_flipped_bit_is_noticed_or_harmless),
        CASE(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
