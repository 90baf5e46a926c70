/*
 * The spawner: blocks in poll until hawserd asks, a program ends, or hawserd is gone.
 *
 * Both ends of its socket are ours, so a packet is a struct. In the forked process only system
 * calls and the stack are used.
 */
#include "hawserd/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sock/sock.h"

enum request { REQUEST_START = 1, REQUEST_KILL };

struct ask {
    uint8_t what; /* enum request */
    uint8_t program;
    int32_t signal;
};

/* The forked process. */
struct helper {
    const char *const *const *argv;
    int fd;        /* to hawserd */
    int signal_fd; /* SIGCHLD */
    pid_t pids[HWS_SPAWNER_PROGRAMS];
};

static void tell(const struct helper *h, const struct hws_spawner_event *e)
{
    (void)!write(h->fd, e, sizeof *e); /* hawserd gone is seen by poll */
}

/* In the new process: a session of its own, no input, no signals blocked or ignored. */
static void become(const char *const *argv, int report_fd)
{
    sigset_t none;
    char **words; /* execv's type, though it writes to none of them */
    int null = open("/dev/null", O_RDONLY);

    (void)setsid();
    if (null > 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)close(null);
    }
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    memcpy(&words, &argv, sizeof words);
    (void)execv(argv[0], words);
    int32_t number = errno;
    (void)!write(report_fd, &number, sizeof number);
    _exit(127);
}

static void start(struct helper *h, unsigned program)
{
    int report[2];
    int32_t number = 0;

    struct hws_spawner_event e = {.news = HWS_SPAWNER_FAILED, .program = (uint8_t)program};

    if (pipe2(report, O_CLOEXEC) != 0) {
        e.value = errno;
        tell(h, &e);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(h->argv[program], report[1]);
    }
    number = pid < 0 ? errno : 0;
    (void)close(report[1]);
    /* The pipe closes with exec, or brings why there was none. */
    if (pid > 0 && read(report[0], &number, sizeof number) == (ssize_t)sizeof number) {
        (void)waitpid(pid, NULL, 0);
    }
    (void)close(report[0]);
    e.value = number;
    if (number == 0) {
        e.news = HWS_SPAWNER_STARTED;
        e.pid = pid;
        h->pids[program] = pid;
    }
    tell(h, &e);
}

static void reap(struct helper *h)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    (void)!read(h->signal_fd, &info, sizeof info);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct hws_spawner_event e = {.news = HWS_SPAWNER_ENDED,
                                      .pid = pid,
                                      .value = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                                      .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0};

        while (e.program < HWS_SPAWNER_PROGRAMS && h->pids[e.program] != pid) {
            e.program++;
        }
        if (e.program < HWS_SPAWNER_PROGRAMS) {
            h->pids[e.program] = 0;
        }
        tell(h, &e);
    }
}

/* False: hawserd is gone. */
static bool serve(struct helper *h)
{
    struct ask ask;
    ssize_t n = read(h->fd, &ask, sizeof ask);

    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    if (n != (ssize_t)sizeof ask || ask.program >= HWS_SPAWNER_PROGRAMS) {
        return true; /* not of our making */
    }
    if (ask.what == REQUEST_START) {
        start(h, ask.program);
    } else if (ask.what == REQUEST_KILL && h->pids[ask.program] > 0) {
        (void)kill(h->pids[ask.program], ask.signal);
    }
    return true;
}

static void help(struct helper *h)
{
    sigset_t child;
    bool there = true;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    h->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    (void)prctl(PR_SET_NAME, "hawserd-spawner");
    while (there && h->signal_fd >= 0) {
        struct pollfd p[2] = {{.fd = h->fd, .events = POLLIN},
                              {.fd = h->signal_fd, .events = POLLIN}};

        (void)poll(p, 2, -1);
        if (p[1].revents != 0) {
            reap(h);
        }
        if (p[0].revents != 0) {
            there = serve(h);
        }
    }
    _exit(0);
}

/* Everything of hawserd but our socket and the log: its locks must be free when it is gone. */
static int keep_only(int fd)
{
    if (fd != 3) {
        if (dup2(fd, 3) < 0) {
            return -1;
        }
        (void)fcntl(3, F_SETFD, FD_CLOEXEC);
    }
    return syscall(SYS_close_range, 4u, ~0u, 0u) == 0 ? 3 : -1;
}

enum hws_code hws_spawner_open(struct hws_spawner *s,
                               const char *const *const argv[HWS_SPAWNER_PROGRAMS],
                               struct hws_err *err)
{
    sigset_t all;
    sigset_t before;
    int fds[2];
    enum hws_code code = hws_sock_pair(fds, err);

    s->fd = -1;
    if (code != HWS_OK) {
        return code;
    }
    /* A signal in between must not run hawserd's handlers in the other process. */
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        struct helper h = {.argv = argv, .fd = keep_only(fds[1])};

        if (h.fd >= 0) {
            help(&h);
        }
        _exit(1);
    }
    int number = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    hws_sock_close(&fds[1]);
    if (pid < 0) {
        hws_sock_close(&fds[0]);
        return hws_err_set(err, HWS_E_IO, "fork (errno %d)", number);
    }
    s->fd = fds[0];
    s->pid = pid;
    return HWS_OK;
}

enum hws_code hws_spawner_start(struct hws_spawner *s, unsigned program, struct hws_err *err)
{
    struct ask ask = {REQUEST_START, (uint8_t)program, 0};

    return hws_sock_send(s->fd, &ask, sizeof ask, -1, err);
}

void hws_spawner_kill(struct hws_spawner *s, unsigned program, int signal)
{
    struct ask ask = {REQUEST_KILL, (uint8_t)program, signal};

    (void)!hws_sock_send(s->fd, &ask, sizeof ask, -1, NULL);
}

enum hws_code hws_spawner_next(struct hws_spawner *s, struct hws_spawner_event *out)
{
    size_t n = 0;
    int passed = -1;
    enum hws_code code = hws_sock_recv(s->fd, out, sizeof *out, &n, &passed, NULL);

    hws_sock_close(&passed);
    if (code != HWS_OK) {
        return code == HWS_E_BUSY ? HWS_E_BUSY : HWS_E_GONE;
    }
    return n == sizeof *out && out->program <= HWS_SPAWNER_PROGRAMS ? HWS_OK : HWS_E_GONE;
}

void hws_spawner_close(struct hws_spawner *s)
{
    if (s->fd < 0) {
        return;
    }
    hws_sock_close(&s->fd);
    (void)waitpid(s->pid, NULL, 0);
}
