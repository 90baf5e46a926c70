/*
 * What a failing disk, a full disk, a killed process and a power cut leave behind. The promise
 * under test: what was acknowledged is there afterwards, the chain is whole, and nothing is
 * acknowledged that may be lost.
 */
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "shim_vfs.h"
#include "store_fixture.h"
#include "test.h"

static int shim_setup(void **state)
{
    shim_reset();
    int rc = fixture_setup(state);
    struct fixture *f = *state;
    fixture_close(f);
    f->options.vfs = SHIM_VFS;
    f->options.full_check = true;
    fixture_open(f);
    return rc;
}

static int shim_teardown(void **state)
{
    shim_fail_write(0, 0);
    shim_fail_sync(0, 0);
    int rc = fixture_teardown(state);
    shim_reset();
    return rc;
}

static void sync_error_leaves_the_commit_in_doubt_and_the_store_failed(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    struct hws_err err;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    shim_fail_sync(1, SQLITE_IOERR_FSYNC);

    assert_code(fixture_begin(f, &b, 1, "req-00002", "x"), HWS_E_CONFLICT);

    assert_non_null(strstr(b.job.err.msg, "in doubt"));
    assert_true(hws_store_failed(f->store, &err));
    assert_code(fixture_append(f, "after"), HWS_E_GONE);
    fixture_reopen(f); /* with a full check */
    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"),
                HWS_E_CONFLICT); /* unfinished, but there */
    assert_int_equal(b.operation_id, 1);
}

/* Begins, ends and appends until the fault hits; returns how many of each were acknowledged. */
struct acked {
    uint64_t n_begun;
    uint64_t n_ended;
    uint64_t seq; /* the newest acknowledged audit record */
};

static struct acked work(struct fixture *f, int n)
{
    struct acked a = {0};

    for (int i = 0; i < n; i++) {
        struct hws_store_begin b;
        char id[32];
        (void)hws_str_print(id, sizeof(id), "req-%05d", i);
        if (fixture_begin(f, &b, 1, id, "content") != HWS_OK) {
            break;
        }
        a.n_begun++;
        a.seq = b.intent_seq;
        if (fixture_end(f, b.operation_id, HWS_INTENT_NEW, "answer") != HWS_OK) {
            break;
        }
        a.n_ended++;
        a.seq++;
        if (fixture_append(f, "read") != HWS_OK) {
            break;
        }
        a.seq++;
    }
    return a;
}

/* Every acknowledged mutation is there, finished ones with their answer. */
static void check_acked(struct fixture *f, const struct acked *a)
{
    assert_true(hws_store_audit_head(f->store) >= a->seq);
    assert_true(fixture_verify(f) >= a->seq);
    for (uint64_t i = 0; i < a->n_begun; i++) {
        struct hws_store_begin b;
        char id[32];
        (void)hws_str_print(id, sizeof(id), "req-%05d", (int)i);
        enum hws_code rc = fixture_begin(f, &b, 1, id, "content");
        if (i < a->n_ended) {
            assert_code(rc, HWS_OK);
            assert_true(b.replay);
            assert_memory_equal(b.answer, "answer", 6);
        } else {
            /* In doubt means either: it may have ended. */
            assert_true(rc == HWS_E_CONFLICT || (rc == HWS_OK && b.replay));
            assert_int_equal(b.operation_id, i + 1);
        }
        hws_store_job_deinit(&b.job);
    }
}

static void any_single_write_or_sync_error_loses_nothing_acknowledged(void **state)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_FULL};
    struct fixture *f = *state;
    char path[160];

    for (uint64_t k = 1; k <= 40; k++) {
        for (int kind = 0; kind < 3; kind++) {
            fixture_close(f);
            (void)unlink(f->path);
            fixture_open(f);
            if (kind == 2) {
                shim_fail_sync(k, SQLITE_IOERR_FSYNC);
            } else {
                shim_fail_write(k, codes[kind]);
            }
            struct acked a = work(f, 4);
            shim_fail_write(0, 0);
            shim_fail_sync(0, 0);
            fixture_reopen(f);
            check_acked(f, &a);
        }
    }
    (void)hws_str_print(path, sizeof(path), "%s-journal", f->path);
    assert_int_not_equal(access(path, F_OK), 0);
}

static bool keep_none(void *data)
{
    (void)data;
    return false;
}

static bool keep_all(void *data)
{
    (void)data;
    return true;
}

static bool keep_some(void *data)
{
    return hws_test_rand(data) % 2 == 0;
}

/* What was acknowledged by the time of this many operations. */
struct moment {
    size_t n_ops;
    struct acked acked;
};

#define N_MUTATIONS 6

/* The thread folds the log into the database when it has been idle for a while. */
static void wait_for_checkpoint(struct fixture *f)
{
    struct hws_store_stats stats = {0};

    for (int i = 0; i < 500 && stats.n_checkpoints == 0; i++) {
        (void)usleep(10000);
        hws_store_stats(f->store, &stats);
    }
    assert_int_equal(stats.n_checkpoints, 1);
}

static size_t history(struct fixture *f, struct moment *moments)
{
    size_t n = 0;

    for (int i = 0; i < N_MUTATIONS; i++) {
        struct hws_store_begin b;
        char id[32];
        struct acked a = n == 0 ? (struct acked){0} : moments[n - 1].acked;
        (void)hws_str_print(id, sizeof(id), "req-%05d", i);
        assert_code(fixture_begin(f, &b, 1, id, "content"), HWS_OK);
        a.n_begun++;
        a.seq++;
        moments[n++] = (struct moment){shim_n_ops(), a};
        assert_code(fixture_end(f, b.operation_id, HWS_INTENT_NEW, "answer"), HWS_OK);
        a.n_ended++;
        a.seq++;
        moments[n++] = (struct moment){shim_n_ops(), a};
        if (i == N_MUTATIONS / 2) {
            wait_for_checkpoint(f);
        }
    }
    return n;
}

static void no_power_cut_loses_what_was_acknowledged(void **state)
{
    static bool (*const keeps[])(void *) = {keep_none, keep_all, keep_some, keep_some};
    struct fixture *f = *state;
    struct moment moments[2 * N_MUTATIONS];
    uint64_t rand = hws_test_seed();
    struct acked none = {0};

    fixture_close(f);
    (void)unlink(f->path);
    shim_record();
    fixture_open(f);
    size_t n_open = shim_n_ops();
    size_t n_moments = history(f, moments);
    size_t n_ops = shim_n_ops();
    fixture_close(f);
    assert_true(n_ops > n_open + 40);

    f->options.vfs = NULL;
    for (size_t cut = n_open; cut <= n_ops; cut++) {
        const struct acked *a = &none;
        for (size_t i = 0; i < n_moments && moments[i].n_ops <= cut; i++) {
            a = &moments[i].acked;
        }
        for (size_t k = 0; k < sizeof(keeps) / sizeof(keeps[0]); k++) {
            shim_power_cut(f->path, cut, keeps[k], &rand);
            fixture_open(f);
            check_acked(f, a);
            fixture_close(f);
            (void)unlink(f->path);
        }
    }
    fixture_open(f);
}

/* ---- a killed process ---- */

/* The child: mutations without end; each acknowledged number goes up the pipe. */
static void child_works(struct fixture *f, int pipe_fd)
{
    if (hws_store_open(&f->options, &f->store, NULL) != HWS_OK) {
        _exit(2);
    }
    for (uint32_t i = 0;; i++) {
        struct hws_store_begin b;
        char id[32];
        (void)hws_str_print(id, sizeof(id), "req-%05d", (int)i);
        if (fixture_begin(f, &b, 1, id, "content") != HWS_OK ||
            write(pipe_fd, &i, sizeof(i)) != (ssize_t)sizeof(i)) {
            _exit(3);
        }
    }
}

static void killed_process_loses_nothing_acknowledged(void **state)
{
    struct fixture *f = *state;
    uint64_t rand = hws_test_seed();

    for (int round = 0; round < 12; round++) {
        int fds[2];
        uint32_t last = 0;
        uint64_t n_acked = 0;
        fixture_close(f);
        (void)unlink(f->path);
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            child_works(f, fds[1]);
        }
        (void)close(fds[1]);
        uint64_t target = 1 + hws_test_rand(&rand) % 30;
        while (n_acked < target && read(fds[0], &last, sizeof(last)) == (ssize_t)sizeof(last)) {
            n_acked++;
        }
        assert_int_equal(n_acked, target);
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (read(fds[0], &last, sizeof(last)) == (ssize_t)sizeof(last)) {
            n_acked++;
        }
        (void)close(fds[0]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);

        f->options.full_check = true;
        fixture_open(f);
        struct acked a = {.n_begun = n_acked, .n_ended = 0, .seq = n_acked};
        check_acked(f, &a);
    }
}

/* ---- a full disk ---- */

static void nearly_full_disk_refuses_mutations_and_lets_the_rest_go_on(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    fixture_close(f);
    f->options.min_free_bytes = UINT64_MAX;
    fixture_open(f);

    assert_code(fixture_begin(f, &b, 1, "req-00002", "x"), HWS_E_BUSY);
    assert_non_null(strstr(b.job.err.msg, "free disk"));
    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, "a"), HWS_OK);
    assert_code(fixture_append(f, "refused"), HWS_OK);
    assert_int_equal(fixture_verify(f), 3);
}

static void database_at_its_ceiling_refuses_and_stays_readable(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    enum hws_code rc = HWS_OK;
    int n = 0;

    fixture_close(f);
    f->options.max_pages = 40;
    fixture_open(f);
    for (; rc == HWS_OK && n < 1000; n++) {
        char id[32];
        (void)hws_str_print(id, sizeof(id), "req-%05d", n);
        rc = fixture_begin(f, &b, 1, id, "content");
    }
    assert_code(rc, HWS_E_BUSY);
    assert_non_null(strstr(b.job.err.msg, "disk full"));
    assert_false(hws_store_failed(f->store, NULL));
    struct acked a = {.n_begun = (uint64_t)n - 1, .seq = (uint64_t)n - 1};
    assert_int_equal(fixture_verify(f), n - 1);
    fixture_close(f);
    f->options.max_pages = 0;
    fixture_open(f);
    check_acked(f, &a);
}

#define SHIMMED(name) cmocka_unit_test_setup_teardown(name, shim_setup, shim_teardown)
#define CASE(name)    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHIMMED(sync_error_leaves_the_commit_in_doubt_and_the_store_failed),
        SHIMMED(any_single_write_or_sync_error_loses_nothing_acknowledged),
        SHIMMED(no_power_cut_loses_what_was_acknowledged),
        CASE(killed_process_loses_nothing_acknowledged),
        CASE(nearly_full_disk_refuses_mutations_and_lets_the_rest_go_on),
        CASE(database_at_its_ceiling_refuses_and_stays_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
