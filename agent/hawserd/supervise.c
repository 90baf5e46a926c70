/*
 * The supervisor.
 *
 * Happy path: block signals, become subreaper, start hawserd, wait for signals; on SIGCHLD reap
 * all; when hawserd ended unasked, start it again after the back-off; on SIGTERM pass it on, reap
 * what hawserd had adopted and end with hawserd's status. Failures: hawserd ends with a usage or
 * configuration status (no restart can help): end with it.
 */
#include "hawserd/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/log.h"
#include "hawserd/options.h"

struct supervisor {
    char exe[512];       /* our own program; not /proc/self/exe, which would show in ps */
    char **argv;         /* the child's; owned array of borrowed strings */
    sigset_t signals;    /* blocked, taken by sigtimedwait */
    pid_t child;         /* 0 = none */
    uint64_t started_ms; /* when the child was started */
    unsigned n_failed;   /* quick failures in a row */
    bool stopping;       /* SIGTERM or SIGINT came */
};

uint64_t hws_backoff_ms(unsigned n_failed)
{
    if (n_failed <= 1) {
        return 0;
    }
    unsigned shift = n_failed - 2;
    uint64_t ms = shift > 6 ? HWS_BACKOFF_MAX_MS : UINT64_C(50) << shift;
    return ms > HWS_BACKOFF_MAX_MS ? HWS_BACKOFF_MAX_MS : ms;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void start_child(struct supervisor *s)
{
    pid_t pid = fork();

    if (pid < 0) {
        struct hws_log_q q;
        hws_log("fork_failed", "reason=%s", hws_log_q(&q, strerror(errno)));
        s->n_failed++;
        return;
    }
    if (pid == 0) {
        /* The signals stay blocked: hawserd unblocks them when its handlers stand, so that a
         * SIGTERM during its start is not lost. */
        (void)execv(s->exe, s->argv);
        _exit(HWS_EXIT_FAILED);
    }
    s->child = pid;
    s->started_ms = now_ms();
}

static bool ended_for_good(const struct supervisor *s, int status)
{
    if (!WIFEXITED(status)) {
        return s->stopping;
    }
    int code = WEXITSTATUS(status);
    return s->stopping || code == HWS_EXIT_OK || code == HWS_EXIT_USAGE || code == HWS_EXIT_CONFIG;
}

/* Reaps everything; returns true and the exit status when the supervisor's work is over. */
static bool reap(struct supervisor *s, int *out_exit)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != s->child) {
            continue; /* an orphan of a dead hawserd; the next one has noticed by its lock */
        }
        s->child = 0;
        if (ended_for_good(s, status)) {
            *out_exit = WIFEXITED(status) ? WEXITSTATUS(status) : HWS_EXIT_FAILED;
            return true;
        }
        bool quick = now_ms() - s->started_ms < HWS_BACKOFF_RESET_MS;
        s->n_failed = quick ? s->n_failed + 1 : 1;
        hws_log("hawserd_died", "pid=%d signal=%d status=%d restart_ms=%llu", (int)pid,
                WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                (unsigned long long)hws_backoff_ms(s->n_failed));
    }
    return false;
}

/* What hawserd asked to end and could not reap, since it was not its parent, is ours by now. */
static void reap_orphans(const struct supervisor *s)
{
    uint64_t end_ms = now_ms() + HWS_SUPERVISE_ORPHANS_MS;
    uint64_t left_ms = HWS_SUPERVISE_ORPHANS_MS;
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && left_ms > 0) {
        struct timespec t = {.tv_sec = (time_t)(left_ms / 1000),
                             .tv_nsec = (long)(left_ms % 1000) * 1000000};
        if (pid == 0) {
            (void)sigtimedwait(&s->signals, NULL, &t);
        }
        uint64_t now = now_ms();
        left_ms = now < end_ms ? end_ms - now : 0;
    }
}

/* One signal, or the back-off's end. */
static void wait_signal(struct supervisor *s)
{
    uint64_t ms = s->child != 0 ? 60000 : hws_backoff_ms(s->n_failed);
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    int sig = sigtimedwait(&s->signals, NULL, &t);

    if (sig == SIGTERM || sig == SIGINT) {
        s->stopping = true;
        sig = SIGTERM;
    }
    if ((sig == SIGTERM || sig == SIGHUP) && s->child != 0) {
        (void)kill(s->child, sig);
    }
}

static int run(struct supervisor *s)
{
    int status = HWS_EXIT_OK;

    for (;;) {
        if (reap(s, &status)) {
            if (s->stopping) {
                reap_orphans(s);
            }
            return status;
        }
        if (s->child == 0 && s->stopping) {
            return HWS_EXIT_OK;
        }
        if (s->child == 0 &&
            (s->n_failed == 0 || now_ms() - s->started_ms >= hws_backoff_ms(s->n_failed))) {
            start_child(s);
        }
        wait_signal(s);
    }
}

int hws_supervise(int argc, char **argv)
{
    struct supervisor s;

    memset(&s, 0, sizeof(s));
    ssize_t n_exe = readlink("/proc/self/exe", s.exe, sizeof(s.exe) - 1);
    if (n_exe <= 0) {
        hws_log("no_own_path", "errno=%d", errno);
        return HWS_EXIT_FAILED;
    }
    s.argv = hws_mem_zalloc((size_t)argc + 1, sizeof(*s.argv));
    if (s.argv == NULL) {
        return HWS_EXIT_FAILED;
    }
    for (int i = 0, n = 0; i < argc; i++) {
        if (!hws_str_eq(argv[i], "--supervise")) {
            s.argv[n++] = argv[i];
        }
    }
    sigemptyset(&s.signals);
    sigaddset(&s.signals, SIGTERM);
    sigaddset(&s.signals, SIGINT);
    sigaddset(&s.signals, SIGHUP);
    sigaddset(&s.signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &s.signals, NULL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        hws_log("subreaper_refused", "errno=%d", errno);
    }
    int status = run(&s);
    hws_mem_free(s.argv);
    return status;
}
