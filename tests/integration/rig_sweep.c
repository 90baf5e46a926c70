/*
 * A case is three processes: the one that counts forks a judge, which forks the test. What the test
 * leaves behind becomes the judge's (it is a subreaper), who looks after the agent with a client of
 * its own, stops it, and kills what is still there.
 */
#include "rig_sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_rig.h"
#include "base/str.h"
#include "failing.h"
#include "hawser/v1/agent.pb-c.h"

#define TEST_LIMIT_S 180u
#define ANSWER_MS    60000u
#define DIAL_MS      10000u
#define ENDED_HOW    3 /* the test's exit status when an assertion ended it */
#define MAX_SAID     8000u
#define USUAL_ALLOCS 900u /* of hawser-wire in a test; some 400 of them before it serves */

struct program {
    const struct CMUnitTest *tests;
    size_t n;
    int (*setup)(void **state);
    uint64_t n_allocs, n_runs, n_passed, n_asserted, n_faults;
};

static struct hws_rig s_judge;

/* ---- one case -------------------------------------------------------------------------------- */

static _Noreturn void run_in_child(const struct program *p, const struct CMUnitTest *test)
{
    struct CMUnitTest one = *test;

    (void)alarm(TEST_LIMIT_S);
    int n_failed = _cmocka_run_group_tests("one", &one, 1, p->setup, NULL);
    (void)fflush(NULL);
    _exit(n_failed == 0 ? 0 : ENDED_HOW);
}

/* An answer of hawserd that came through hawser-wire, whatever it is. */
static bool is_answered(enum hws_grpc_code code)
{
    return code == HWS_GRPC_OK || code == HWS_GRPC_PERMISSION_DENIED ||
           code == HWS_GRPC_FAILED_PRECONDITION;
}

static void the_agent_answers_and_ends_well(void **state)
{
    Hawser__V1__InfoRequest q = HAWSER__V1__INFO_REQUEST__INIT;
    uint64_t since_ms = hws_rig_now_ms();
    struct hws_rig_reply r;
    (void)state;

    hws_rig_adopt(&s_judge, hws_rig_place);
    s_judge.dial_ms = DIAL_MS;
    do {
        hws_rig_call(&s_judge, "/hawser.v1.AgentService/Info", &q.base, DIAL_MS, &r);
        hws_rig_reply_free(&r);
        hws_rig_idle(&s_judge, 10);
    } while (!is_answered(r.code) && hws_rig_now_ms() - since_ms < ANSWER_MS);
    if (!is_answered(r.code)) {
        fail_msg("the agent does not answer: %s: %s", hws_grpc_code_name(r.code), r.message);
    }
    hws_rig_stop(&s_judge);
}

/* Ends what a failed case left: processes that became this one's. */
static void kill_rest(void)
{
    char path[64];
    long pid;

    hws_str_print(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    while (f != NULL && fscanf(f, "%ld", &pid) == 1) { /* NOLINT(cert-err34-c): the kernel's */
        (void)kill((pid_t)pid, SIGKILL);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
}

static int wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* Exits 0 or ENDED_HOW as the test did, 1: a fault. */
static _Noreturn void judge(const struct program *p, const struct CMUnitTest *test, FILE *said)
{
    const struct CMUnitTest one[] = {cmocka_unit_test(the_agent_answers_and_ends_well)};

    (void)dup2(fileno(said), STDOUT_FILENO);
    (void)dup2(fileno(said), STDERR_FILENO);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)unsetenv("HAWSER_OOM_SWEEP");
    pid_t pid = fork();
    if (pid == 0) {
        run_in_child(p, test);
    }
    int status = pid < 0 ? 0 : wait_for(pid);
    hws_failing_after(hws_failing_shared(), 0, false);
    bool ended = pid > 0 && WIFEXITED(status) &&
                 (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == ENDED_HOW);
    if (!ended) {
        (void)printf("the test crashed or took more than %u s\n", TEST_LIMIT_S);
    }
    /* A test that ends between two lives of its agent leaves none. */
    int n_failed =
        hws_rig_place->supervisor == 0 ? 0 : _cmocka_run_group_tests("judged", one, 1, NULL, NULL);
    kill_rest();
    (void)fflush(NULL);
    _exit(!ended || n_failed != 0 ? 1 : WEXITSTATUS(status));
}

static void read_said(FILE *said, char *out, size_t cap)
{
    long end = fseek(said, 0, SEEK_END) == 0 ? ftell(said) : 0;

    (void)fseek(said, end > (long)cap - 1 ? end - (long)cap + 1 : 0, SEEK_SET);
    out[fread(out, 1, cap - 1, said)] = '\0';
}

/* k = 0: without a failure. Returns the allocations of the case. */
static uint64_t run_case(struct program *p, const struct CMUnitTest *test, uint64_t k, bool sticky)
{
    static char text[MAX_SAID];
    struct hws_failing *f = hws_failing_shared();
    FILE *said = tmpfile();

    if (said == NULL) {
        perror("temporary file");
        p->n_faults++;
        return 0;
    }
    memset(hws_rig_place, 0, sizeof(*hws_rig_place));
    hws_failing_reset(f);
    f->drawn = 1; /* its end is judged here, but not its status */
    hws_failing_after(f, k, sticky);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        judge(p, test, said);
    }
    int status = wait_for(pid);
    uint64_t n_allocs = f->n_allocs;
    read_said(said, text, sizeof(text));
    (void)fclose(said);
    bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool asserted = k != 0 && WIFEXITED(status) && WEXITSTATUS(status) == ENDED_HOW &&
                    strstr(text, "a call hangs") == NULL;
    p->n_runs += k != 0;
    p->n_passed += k != 0 && passed;
    p->n_asserted += asserted;
    if (!passed && !asserted) {
        p->n_faults++;
        (void)fprintf(stderr, "%s\nFAULT: HAWSER_OOM_SWEEP=%s:%" PRIu64 "%s\n", text, test->name, k,
                      sticky ? "+" : "");
    }
    return n_allocs;
}

/* ---- which cases ----------------------------------------------------------------------------- */

/* Without a run that counts, which would cost as much: an allocation that a test does not come to
 * fails nothing, and the test has to pass. */
static void run_drawn(struct program *p, uint64_t samples)
{
    uint64_t rand = hws_test_seed();

    for (uint64_t i = 0; i < samples; i++) {
        const struct CMUnitTest *test = &p->tests[hws_test_rand(&rand) % p->n];
        uint64_t draw = hws_test_rand(&rand);
        p->n_allocs += run_case(p, test, 1 + draw / 2 % USUAL_ALLOCS, draw % 2 == 0);
    }
}

static void run_all(struct program *p)
{
    static uint64_t firsts[HWS_FAILING_MAX_SITES];

    for (size_t i = 0; i < p->n; i++) {
        p->n_allocs += run_case(p, &p->tests[i], 0, false);
        for (size_t s = 0; s < HWS_FAILING_MAX_SITES; s++) {
            firsts[s] = hws_failing_shared()->sites[s].first;
        }
        for (size_t s = 0; s < HWS_FAILING_MAX_SITES; s++) {
            if (firsts[s] != 0) {
                (void)run_case(p, &p->tests[i], firsts[s], false);
                (void)run_case(p, &p->tests[i], firsts[s], true);
            }
        }
    }
}

static void run_named(struct program *p, const char *how)
{
    const char *colon = strchr(how, ':');

    for (size_t i = 0; i < p->n; i++) {
        if (strlen(p->tests[i].name) == (size_t)(colon - how) &&
            strncmp(p->tests[i].name, how, (size_t)(colon - how)) == 0) {
            char *end = NULL;
            uint64_t k = strtoull(colon + 1, &end, 10);
            (void)run_case(p, &p->tests[i], k, *end == '+');
        }
    }
}

int hws_rig_sweep_group(const char *name, const struct CMUnitTest *tests, size_t n,
                        int (*setup)(void **state), int (*teardown)(void **state))
{
    const char *how = getenv("HAWSER_OOM_SWEEP");
    struct program p = {.tests = tests, .n = n, .setup = setup};
    char own[] = "/tmp/hawser-failing-XXXXXX";
    bool is_own = getenv(HWS_FAILING_ENV) == NULL;

    if (how == NULL) {
        return _cmocka_run_group_tests(name, tests, n, setup, teardown);
    }
    hws_rig_place = mmap(NULL, sizeof(*hws_rig_place), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = is_own ? mkstemp(own) : -1;
    if (fd >= 0) {
        (void)close(fd);
        (void)setenv(HWS_FAILING_ENV, own, 1);
    }
    if (hws_rig_place == MAP_FAILED || getenv(HWS_FAILING_ENV) == NULL ||
        !hws_failing_map(getenv(HWS_FAILING_ENV))) {
        perror("sweep");
        return 1;
    }
    if (strchr(how, ':') != NULL) {
        run_named(&p, how);
    } else if (hws_str_eq(how, "all")) {
        run_all(&p);
    } else {
        run_drawn(&p, strtoull(how, NULL, 10));
    }
    if (is_own) {
        (void)unlink(own);
    }
    (void)printf("oom %s %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 "\n",
                 program_invocation_short_name, n, p.n_allocs, p.n_runs, p.n_passed, p.n_asserted,
                 p.n_faults);
    return p.n_faults > 0;
}
