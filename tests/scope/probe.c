/*
 * Code inside a running, sandboxed process: a library that is preloaded into each program. The
 * first time the program waits for work behind its walls, it tries what it must not be able to do,
 * and writes one line a try into a file that it opened before: "denied NAME ERRNO", "absent NAME"
 * (there is no such file on this machine) or "ALLOWED NAME".
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/attr.h"

static int out_fd = -1;
static bool done;
static char keeper[96];    /* hawserd's socket, by the command line; hawserd itself has none */
static char found[4][256]; /* PCI files of this machine, looked for before the walls */

/* The linker gives these the names of the C library's functions. */
int probe_epoll_pwait(int fd, struct epoll_event *events, int max, int ms, const sigset_t *set);
int probe_epoll_wait(int fd, struct epoll_event *events, int max, int ms);
int probe_poll(struct pollfd *fds, nfds_t n, int ms);

/* fwctl's device ioctls are for hawser-dev only, and never another number. */
#define STRANGE_IOCTL 0x9a02u

HWS_PRINTF(1, 2) static void say(const char *format, ...)
{
    char line[320];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)!write(out_fd, line, (size_t)n);
}

static void judge(const char *name, long result)
{
    if (result >= 0) {
        say("ALLOWED %s\n", name);
    } else if (errno == EPERM || errno == EACCES ||
               (errno == ENOSYS && strcmp(name, "clone3") == 0)) {
        say("denied %s %d\n", name, errno);
    } else if (errno == ENOENT || errno == ENXIO || errno == ENODEV) {
        say("absent %s %d\n", name, errno);
    } else {
        say("ALLOWED %s %d\n", name, errno); /* it got far enough to fail otherwise */
    }
}

static void try_open(const char *path, int flags)
{
    char name[288];
    int fd;

    if (path[0] == '\0') {
        return;
    }
    (void)snprintf(name, sizeof name, "open:%s:%s", path,
                   (flags & O_ACCMODE) == O_RDONLY ? "r" : "w");
    fd = open(path, flags | O_CLOEXEC);
    judge(name, fd);
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Binds a new Unix socket beside hawserd's. */
static int bind_beside(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int result;
    int number;

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s.other", keeper);
    result = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&a, sizeof a);
    number = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = number;
    return result;
}

static void try_files(const char *program)
{
    static const char *const readable[] = {
        "/dev/mem",    "/dev/port",       "/dev/kmem",   "/dev/kmsg",   "/dev/cpu/0/msr",
        "/proc/kcore", "/proc/kmsg",      "/proc/1/mem", "/etc/shadow", "/etc/passwd",
        "/root/.ssh",  "/proc/1/environ", "/dev/sda",    "/dev/vda",    "/dev/tty1",
    };
    static const char *const writable[] = {
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
        "/sys/power/state",
        "/etc/ld.so.preload",
        "/proc/self/mem",
    };
    char parent[64];

    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
        bool keeper_reads_proc =
            strcmp(program, "hawserd") == 0 && strcmp(readable[i], "/proc/1/environ") == 0;

        if (!keeper_reads_proc) {
            try_open(readable[i], O_RDONLY);
        }
    }
    for (size_t i = 0; i < sizeof writable / sizeof writable[0]; i++) {
        try_open(writable[i],
                 strstr(writable[i], "preload") != NULL ? O_WRONLY | O_CREAT : O_WRONLY);
    }
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        try_open(found[i], O_RDWR);
    }
    (void)snprintf(parent, sizeof parent, "/proc/%d/mem", (int)getppid());
    try_open(parent, O_RDWR);
    try_open("/tmp/hawser-probe-elsewhere", O_WRONLY | O_CREAT);
}

/* Whoever could write in hawserd's folder could take the place of its socket. An emulator has its
 * control socket there. */
static void try_keepers_folder(const char *program)
{
    char beside[300];

    if (keeper[0] == '\0' || strcmp(program, "hawser-emu") == 0) {
        return;
    }
    (void)snprintf(beside, sizeof beside, "%s.probe", keeper);
    try_open(beside, O_WRONLY | O_CREAT);
    judge("mkdir:beside hawserd.sock", mkdir(beside, 0700));
    judge("rename:hawserd.sock", rename(keeper, beside));
    judge("unlink:hawserd.sock", unlink(keeper));
    judge("bind:beside hawserd.sock", bind_beside());
}

/* System calls by number, with arguments that the kernel would take or answer otherwise than EPERM.
 */
static void try_calls(void)
{
    static char room[4096];
    struct iovec iov = {room, sizeof room};
    char *none[] = {NULL};

#define TRY(name, ...) judge(#name, syscall(SYS_##name, __VA_ARGS__))
    TRY(ptrace, PTRACE_ATTACH, (long)getppid(), 0L, 0L);
    TRY(process_vm_readv, (long)getppid(), &iov, 1L, &iov, 1L, 0L);
    TRY(process_vm_writev, (long)getppid(), &iov, 1L, &iov, 1L, 0L);
    TRY(init_module, room, 16L, "");
    TRY(finit_module, -1L, "", 0L);
    TRY(delete_module, "mlx5_core", 0L);
    TRY(kexec_load, 0L, 0L, NULL, 0L);
    TRY(bpf, 0L, room, 16L);
    TRY(perf_event_open, room, 0L, -1L, -1L, 0L);
    TRY(userfaultfd, 0L);
    TRY(io_uring_setup, 4L, room);
    TRY(add_key, "user", "x", "y", 1L, -3L);
    TRY(keyctl, 0L, -3L, 0L);
    TRY(mount, "none", "/mnt", "tmpfs", 0L, NULL);
    TRY(umount2, "/proc", 0L);
    TRY(pivot_root, "/", "/");
    TRY(chroot, "/");
    TRY(unshare, CLONE_NEWUSER);
    TRY(setns, -1L, 0L);
    TRY(clone3, room, 8L);
    TRY(clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    TRY(execve, "/bin/true", none, none);
    TRY(execveat, -100L, "/bin/true", none, none, 0L);
    TRY(reboot, 0L, 0L, 0L, NULL);
    TRY(settimeofday, room, NULL);
    TRY(clock_settime, 0L, room);
    TRY(sethostname, "x", 1L);
    TRY(setuid, 0L);
    TRY(setgid, 0L);
    TRY(capset, room, room);
    TRY(personality, 0xffffffffL);
    TRY(syslog, 2L, room, 16L);
    TRY(acct, NULL);
    TRY(swapon, "/nothing", 0L);
    TRY(quotactl, 0L, NULL, 0L, NULL);
    TRY(pidfd_open, (long)getppid(), 0L);
    TRY(open_by_handle_at, -1L, room, 0L);
    TRY(name_to_handle_at, -100L, "/", room, room, 0L);
    TRY(memfd_secret, 0L);
    TRY(mknodat, -100L, "/tmp/hawser-probe-node", 020600L, 0x101L);
    TRY(linkat, -100L, "/etc/passwd", -100L, "/tmp/hawser-probe-link", 0L);
    TRY(symlinkat, "/etc/passwd", -100L, "/tmp/hawser-probe-link");
    TRY(ioctl, 0L, (long)STRANGE_IOCTL, room);
    TRY(ioctl, 0L, 0x5412L /* TIOCSTI */, room);
    TRY(mmap, 0L, 4096L, (long)(PROT_READ | PROT_EXEC), (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L,
        0L);
    TRY(mprotect, (long)((uintptr_t)room & ~4095ul), 4096L, (long)(PROT_READ | PROT_EXEC));
    TRY(prctl, 23L /* PR_CAPBSET_READ */, 21L, 0L, 0L, 0L);
#ifdef SYS_iopl
    TRY(iopl, 3L);
    TRY(ioperm, 0L, 8L, 1L);
    TRY(modify_ldt, 0L, room, 16L);
#endif
#undef TRY
    judge("seccomp:filter", syscall(SYS_seccomp, 1L, 1L, NULL));
}

/* Ways out to others: sockets of every family, signals, and new processes. */
static void try_others(const char *program)
{
    static char room[4096];
    struct iovec iov = {room, sizeof room};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    int pair[2];

    judge("socket:packet", socket(AF_PACKET, SOCK_RAW, 0));
    judge("socket:raw", socket(AF_INET, SOCK_RAW, 1));
    judge("socket:raw6", socket(AF_INET6, SOCK_RAW, 58));
    judge("socket:udp", socket(AF_INET, SOCK_DGRAM, 0));
    judge("socket:netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    judge("socket:vsock", socket(40, SOCK_STREAM, 0));
    judge("socket:tcp", socket(AF_INET, SOCK_STREAM, 0));
    judge("socket:tcp6", socket(AF_INET6, SOCK_STREAM, 0));
    judge("socket:mptcp", socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
    judge("socket:mptcp6", socket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP));
    judge("socket:unix stream", socket(AF_UNIX, SOCK_STREAM, 0));
    judge("socket:unix datagram", socket(AF_UNIX, SOCK_DGRAM, 0));
    judge("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    judge("bind", bind(-1, (const struct sockaddr *)(void *)room, sizeof(struct sockaddr_un)));
    judge("listen", listen(-1, 1));
    judge("sendto:fastopen", sendto(-1, room, 1, MSG_FASTOPEN, NULL, 0));
    judge("sendmsg:fastopen", sendmsg(-1, &message, MSG_FASTOPEN));
    judge("tgkill:parent", syscall(SYS_tgkill, (long)getppid(), (long)getppid(), 0L));
    judge("fcntl:setown", fcntl(out_fd, F_SETOWN, getppid()));
    judge("fcntl:setsig", fcntl(out_fd, F_SETSIG, SIGKILL));
    judge("fcntl:notify", fcntl(out_fd, F_NOTIFY, 0));
    if (strcmp(program, "hawserd") == 0) {
        judge("socket:unix packets", socket(AF_UNIX, SOCK_SEQPACKET, 0));
        judge("connect", connect(-1, (const struct sockaddr *)(void *)room, sizeof room));
    } else {
        judge("kill", kill(getppid(), 0));
        judge("fork", fork());
    }
}

/* A filter may be inherited (hws_sandbox_no_rings), so a call that is forbidden last of all, when
 * the program has settled, says whether its own walls stand; before that this one is EFAULT. */
static bool walls_stand(void)
{
    return syscall(SYS_seccomp, 1L, 1L, NULL) == -1 && errno == EPERM;
}

static void once(void)
{
    if (done || out_fd < 0 || !walls_stand()) {
        return;
    }
    done = true;
    say("program %s\n", program_invocation_short_name);
    try_files(program_invocation_short_name);
    try_keepers_folder(program_invocation_short_name);
    try_calls();
    try_others(program_invocation_short_name);
    say("done\n");
}

/* The C library hands a constructor what main gets. */
HWS_CONSTRUCTOR static void before(int argc, char **argv)
{
    const char *dir = getenv("HAWSER_PROBE_DIR");
    char path[256];
    glob_t pci;

    if (dir == NULL) {
        return;
    }
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--hawserd-socket") == 0 || strcmp(argv[i], "--socket") == 0) {
            (void)snprintf(keeper, sizeof keeper, "%s", argv[i + 1]);
        }
    }
    (void)snprintf(path, sizeof path, "%s/probe.%s.%d", dir, program_invocation_short_name,
                   (int)getpid());
    out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (glob("/sys/bus/pci/devices/*/config", 0, NULL, &pci) == 0) {
        (void)snprintf(found[0], sizeof found[0], "%s", pci.gl_pathv[0]);
        globfree(&pci);
    }
    if (glob("/sys/bus/pci/devices/*/resource[0-5]", 0, NULL, &pci) == 0) {
        (void)snprintf(found[1], sizeof found[1], "%s", pci.gl_pathv[0]);
        globfree(&pci);
    }
    (void)snprintf(found[2], sizeof found[2], "/proc/bus/pci/00/00.0");
}

int probe_epoll_pwait(int fd, struct epoll_event *events, int max, int ms, const sigset_t *set)
{
    once();
    return (int)syscall(SYS_epoll_pwait, fd, events, max, ms, set, (size_t)8);
}

int probe_epoll_wait(int fd, struct epoll_event *events, int max, int ms)
{
    return probe_epoll_pwait(fd, events, max, ms, NULL);
}

int probe_poll(struct pollfd *fds, nfds_t n, int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    once();
    return (int)syscall(SYS_ppoll, fds, n, ms < 0 ? NULL : &t, NULL, (size_t)0);
}
