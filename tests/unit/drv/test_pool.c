/* Worker threads: lazy, bounded, and a stuck job stops nobody else. */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "drv/pool.h"
#include "test.h"

#define WAIT_MS 5000

struct task {
    struct hws_job job;
    atomic_bool go; /* run returns once this is set */
    atomic_bool started;
};

static void run(struct hws_job *job)
{
    struct task *t = hws_container_of(job, struct task, job);

    atomic_store(&t->started, true);
    while (!atomic_load(&t->go)) {
        (void)poll(NULL, 0, 1);
    }
}

static void task_init(struct task *t, bool go)
{
    memset(t, 0, sizeof *t);
    t->job.run = run;
    atomic_init(&t->go, go);
    atomic_init(&t->started, false);
}

static struct hws_job *wait_job(struct hws_pool *p)
{
    struct hws_job *job = hws_pool_next(p);

    while (job == NULL) {
        struct pollfd pfd = {.fd = hws_pool_fd(p), .events = POLLIN};

        assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
        job = hws_pool_next(p);
    }
    return job;
}

static void wait_started(struct task *t)
{
    for (int i = 0; i < WAIT_MS && !atomic_load(&t->started); i++) {
        (void)poll(NULL, 0, 1);
    }
    assert_true(atomic_load(&t->started));
}

static void threads_start_only_when_needed(void **state)
{
    struct hws_pool p;
    struct task t;

    (void)state;
    assert_code(hws_pool_open(&p, 4, NULL), HWS_OK);
    assert_int_equal(p.n_workers, 0);
    task_init(&t, true);
    for (int i = 0; i < 20; i++) {
        assert_code(hws_pool_submit(&p, &t.job, NULL), HWS_OK);
        assert_ptr_equal(wait_job(&p), &t.job);
    }
    assert_true(p.n_workers <= 2); /* the first may still be on its way back to idle */
    assert_null(hws_pool_next(&p));
    hws_pool_deinit(&p);
}

static void stuck_job_does_not_stop_others(void **state)
{
    struct hws_pool p;
    struct task stuck;
    struct task t;

    (void)state;
    assert_code(hws_pool_open(&p, 2, NULL), HWS_OK);
    task_init(&stuck, false);
    task_init(&t, true);
    assert_code(hws_pool_submit(&p, &stuck.job, NULL), HWS_OK);
    wait_started(&stuck);
    assert_code(hws_pool_submit(&p, &t.job, NULL), HWS_OK);
    assert_ptr_equal(wait_job(&p), &t.job);
    assert_int_equal(hws_pool_n_busy(&p), 1);
    atomic_store(&stuck.go, true);
    assert_ptr_equal(wait_job(&p), &stuck.job);
    hws_pool_deinit(&p);
}

static void only_a_job_that_waits_can_be_taken_back(void **state)
{
    struct hws_pool p;
    struct task stuck;
    struct task t;

    (void)state;
    assert_code(hws_pool_open(&p, 1, NULL), HWS_OK);
    task_init(&stuck, false);
    task_init(&t, true);
    assert_code(hws_pool_submit(&p, &stuck.job, NULL), HWS_OK);
    wait_started(&stuck);
    assert_code(hws_pool_submit(&p, &t.job, NULL), HWS_OK);
    assert_false(hws_pool_take_back(&p, &stuck.job));
    assert_true(hws_pool_take_back(&p, &t.job));
    assert_false(hws_pool_take_back(&p, &t.job));
    atomic_store(&stuck.go, true);
    assert_ptr_equal(wait_job(&p), &stuck.job);
    assert_false(atomic_load(&t.started));
    hws_pool_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_start_only_when_needed),
        cmocka_unit_test(stuck_job_does_not_stop_others),
        cmocka_unit_test(only_a_job_that_waits_can_be_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
