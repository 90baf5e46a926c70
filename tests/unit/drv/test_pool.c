/* Worker threads: lazy, bounded, and a stuck job stops nobody else. */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

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

/* A job that notes whether a descriptor of the process, and one that an earlier job has opened, are
 * there; then opens one. */
struct look {
    struct hws_job job;
    int process_fd;
    int earlier_fd;
    bool sees_process;
    bool sees_earlier;
    int opened;
};

static void run_look(struct hws_job *job)
{
    struct look *l = hws_container_of(job, struct look, job);

    l->sees_process = fcntl(l->process_fd, F_GETFD) >= 0;
    l->sees_earlier = l->earlier_fd >= 0 && fcntl(l->earlier_fd, F_GETFD) >= 0;
    l->opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void workers_have_descriptors_of_their_own(void **state)
{
    /* High numbers, which nothing opened meanwhile can have. */
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int process_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, 500);
    struct hws_pool p;
    struct task stuck;
    struct look one = {.job.run = run_look, .process_fd = process_fd, .earlier_fd = -1};
    struct look two = {.job.run = run_look, .process_fd = process_fd};

    (void)state;
    assert_true(process_fd >= 500);
    assert_code(hws_pool_open(&p, 2, NULL), HWS_OK);
    assert_code(hws_pool_submit(&p, &one.job, NULL), HWS_OK);
    assert_ptr_equal(wait_job(&p), &one.job);
    assert_false(one.sees_process);
    assert_true(one.opened >= 0);

    task_init(&stuck, false);
    assert_code(hws_pool_submit(&p, &stuck.job, NULL), HWS_OK);
    wait_started(&stuck);
    two.earlier_fd = one.opened;
    assert_code(hws_pool_submit(&p, &two.job, NULL), HWS_OK); /* on the other worker */
    assert_ptr_equal(wait_job(&p), &two.job);
    assert_false(two.sees_process);
    assert_true(two.sees_earlier);
    assert_true(fcntl(process_fd, F_GETFD) >= 0);

    atomic_store(&stuck.go, true);
    assert_ptr_equal(wait_job(&p), &stuck.job);
    hws_pool_deinit(&p);
    assert_int_equal(close(process_fd), 0);
    assert_int_equal(close(null_fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_start_only_when_needed),
        cmocka_unit_test(stuck_job_does_not_stop_others),
        cmocka_unit_test(only_a_job_that_waits_can_be_taken_back),
        cmocka_unit_test(workers_have_descriptors_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
