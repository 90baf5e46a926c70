/* One child a failed allocation; the parent counts how they end. */
#include "sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "failing.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
static int check_leaks(void)
{
    return __lsan_do_recoverable_leak_check();
}
#else
static int check_leaks(void)
{
    return 0;
}
#endif

#define LIMIT_S        60u  /* of a run with a failure, which is part of the test */
#define WHOLE_LIMIT_S  600u /* of the test itself, which may sweep on its own */
#define EXIT_ASSERTED  3
#define EXIT_LEAK      4
#define MAX_SAID_BYTES 8000u

struct shared { /* with the child */
    uint64_t n_allocs;
    bool sweeps_itself;
};

struct sweep {
    struct shared *shared;
    void *state; /* of the group */
    uint64_t n_allocs, n_runs, n_passed, n_asserted, n_own, n_faults;
};

static struct shared *s_shared;
static const struct CMUnitTest *s_running;
static bool s_came_to_its_end; /* the running test, without an assertion */

void hws_test_sweeps_itself(void)
{
    if (s_shared != NULL) {
        s_shared->sweeps_itself = true;
    }
}

static void run_running(void **state)
{
    s_running->test_func(state);
    s_came_to_its_end = true;
}

/* What an assertion left behind has pointers into the frame of a function that is gone: it cannot
 * be taken down. */
static int teardown_running(void **state)
{
    return s_came_to_its_end && s_running->teardown_func != NULL ? s_running->teardown_func(state)
                                                                 : 0;
}

/* Runs one test with allocation k failing; 0: none. True when it passed. */
static bool run_case(const struct sweep *s, const struct CMUnitTest *test, uint64_t k, bool sticky)
{
    struct CMUnitTest one = *test;

    if (one.initial_state == NULL) {
        one.initial_state = s->state;
    }
    one.test_func = run_running;
    one.teardown_func = teardown_running;
    s_running = test;
    s_came_to_its_end = false;
    if (hws_failing_shared() != NULL) {
        hws_failing_shared()->drawn = k != 0;
    }
    hws_mem_count_reset();
    hws_mem_fail_after(k, sticky);
    int n_failed = _cmocka_run_group_tests("one", &one, 1, NULL, NULL);
    s->shared->n_allocs = hws_mem_n_allocs();
    hws_mem_fail_after(0, false);
    return n_failed == 0;
}

static _Noreturn void child(const struct sweep *s, const struct CMUnitTest *test, uint64_t k,
                            bool sticky, FILE *said)
{
    (void)dup2(fileno(said), STDOUT_FILENO);
    (void)dup2(fileno(said), STDERR_FILENO);
    (void)alarm(k == 0 ? WHOLE_LIMIT_S : LIMIT_S);
    bool passed = run_case(s, test, k, sticky);
    int code = !passed ? EXIT_ASSERTED : check_leaks() != 0 ? EXIT_LEAK : 0;

    (void)fflush(NULL);
    _exit(code);
}

/* What the child said, its end if that is long. */
static void read_said(FILE *said, char *out, size_t cap)
{
    long end = fseek(said, 0, SEEK_END) == 0 ? ftell(said) : 0;

    (void)fseek(said, end > (long)cap - 1 ? end - (long)cap + 1 : 0, SEEK_SET);
    out[fread(out, 1, cap - 1, said)] = '\0';
}

static void report(struct sweep *s, const struct CMUnitTest *test, uint64_t k, bool sticky,
                   const char *what, const char *said)
{
    s->n_faults++;
    (void)fprintf(stderr, "%s\nFAULT %s: HAWSER_OOM_SWEEP=%s:%" PRIu64 "%s\n", said, what,
                  test->name, k, sticky ? "+" : "");
}

/* One run in a child; k = 0: without a failure, which must pass. */
static void run_child(struct sweep *s, const struct CMUnitTest *test, uint64_t k, bool sticky)
{
    static char text[MAX_SAID_BYTES];
    FILE *said = tmpfile();
    int status = 0;

    if (said == NULL) {
        report(s, test, k, sticky, "no temporary file", strerror(errno));
        return;
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child(s, test, k, sticky, said);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    read_said(said, text, sizeof(text));
    (void)fclose(said);
    s->n_runs += k != 0;
    /* cmocka catches a signal and calls it a failed test. */
    bool asserted = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_ASSERTED &&
                    strstr(text, "with exception") == NULL;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        s->n_passed += k != 0;
    } else if (pid > 0 && asserted && k != 0) {
        s->n_asserted++;
    } else if (pid < 0) {
        report(s, test, k, sticky, "fork", strerror(errno));
    } else if (WIFSIGNALED(status)) {
        report(s, test, k, sticky, strsignal(WTERMSIG(status)), text);
    } else {
        report(s, test, k, sticky, WEXITSTATUS(status) == EXIT_LEAK ? "leak" : "crash", text);
    }
}

static double now_s(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* How many runs: text is "all", "N", or "Ns" of which one run took once_s. */
static uint64_t samples_of(const char *text, double once_s)
{
    char *end = NULL;
    uint64_t n = strtoull(text, &end, 10);

    if (strcmp(text, "all") == 0) {
        return UINT64_MAX;
    }
    return *end == 's' ? 1 + (uint64_t)((double)n / once_s) : n;
}

static void sweep_test(struct sweep *s, const struct CMUnitTest *test, const char *how)
{
    static uint64_t rand;

    rand = rand == 0 ? hws_test_seed() : rand;
    *s->shared = (struct shared){0};
    double began_s = now_s();
    run_child(s, test, 0, false);
    uint64_t samples = samples_of(how, now_s() - began_s);
    uint64_t n = s->shared->n_allocs;
    if (s->shared->sweeps_itself) {
        s->n_own++;
        return;
    }
    s->n_allocs += n;
    if (samples >= 2 * n) {
        for (uint64_t k = 1; k <= n; k++) {
            run_child(s, test, k, false);
            run_child(s, test, k, true);
        }
        return;
    }
    for (uint64_t i = 0; i < samples; i++) { /* one of each of as many stretches */
        uint64_t first = n * i / samples;
        uint64_t past = n * (i + 1) / samples;
        uint64_t draw = hws_test_rand(&rand);
        run_child(s, test, first + 1 + draw / 2 % (past > first ? past - first : 1), draw % 2 == 0);
    }
}

/* NAME:K or NAME:K+, in this process. */
static int run_named(const struct sweep *s, const struct CMUnitTest *tests, size_t n,
                     const char *how)
{
    const char *colon = strchr(how, ':');

    for (size_t i = 0; colon != NULL && i < n; i++) {
        if (strlen(tests[i].name) == (size_t)(colon - how) &&
            strncmp(tests[i].name, how, (size_t)(colon - how)) == 0) {
            char *end = NULL;
            uint64_t k = strtoull(colon + 1, &end, 10);
            return run_case(s, &tests[i], k, *end == '+') ? 0 : EXIT_ASSERTED;
        }
    }
    (void)fprintf(stderr, "HAWSER_OOM_SWEEP=%s names no test of this program\n", how);
    return 1;
}

int hws_test_run_group(const char *name, const struct CMUnitTest *tests, size_t n,
                       int (*setup)(void **state), int (*teardown)(void **state))
{
    const char *how = getenv("HAWSER_OOM_SWEEP");

    if (how == NULL) {
        return _cmocka_run_group_tests(name, tests, n, setup, teardown);
    }
    struct sweep s = {.shared = mmap(NULL, sizeof(*s.shared), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    if (s.shared == MAP_FAILED) {
        return 1;
    }
    s_shared = s.shared;
    int code = setup != NULL ? setup(&s.state) : 0;
    if (code == 0 && strchr(how, ':') != NULL) {
        code = run_named(&s, tests, n, how);
    } else if (code == 0) {
        for (size_t i = 0; i < n; i++) {
            sweep_test(&s, &tests[i], how);
        }
        (void)printf("oom %s %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                     " %" PRIu64 "\n",
                     program_invocation_short_name, n, s.n_allocs, s.n_runs, s.n_passed,
                     s.n_asserted, s.n_own, s.n_faults);
        code = s.n_faults > 0;
    }
    if (teardown != NULL) {
        code = teardown(&s.state) != 0 ? 1 : code;
    }
    return code;
}
