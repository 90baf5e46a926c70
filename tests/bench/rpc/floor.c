/*
 * What the machine itself asks for: the same bytes over loopback TCP without gRPC, HTTP/2 or our
 * loop. The figures stand beside those of the servers, so that a reader sees what is possible here.
 *
 *     bench_rpc_floor pour TOTAL_BYTES plain|sealed    a stream, in writes as long as the engine's
 *     bench_rpc_floor echo CONNS BYTES WARM_MS MS      one message under way on each connection
 *
 * A child is the server, this process the client. sealed: every 16 KiB are an AES-128-GCM record by
 * libcrypto, as TLS makes them, sealed by one end and opened by the other. Prints "name value"
 * lines; the CPU is the server's, recv_ is the client's.
 */
#include "floor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

_Noreturn void floor_die(const char *what)
{
    (void)fprintf(stderr, "bench_rpc_floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

double floor_now_s(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) != 0) {
        floor_die("clock");
    }
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

clockid_t floor_clock_of(pid_t pid)
{
    clockid_t clock = 0;

    if (clock_getcpuclockid(pid, &clock) != 0) {
        floor_die("the server's CPU clock");
    }
    return clock;
}

static void at_once(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int floor_connect(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0) {
        floor_die("connect");
    }
    at_once(fd);
    return fd;
}

int floor_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        floor_die("accept");
    }
    at_once(fd);
    return fd;
}

pid_t floor_serve(void (*serve)(int listener, const struct floor_want *want),
                  const struct floor_want *want, struct sockaddr_in *out_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, n) != 0 ||
        listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &n) != 0) {
        floor_die("listen");
    }
    pid_t child = fork();
    if (child < 0) {
        floor_die("fork");
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener, want);
        exit(0);
    }
    (void)close(listener);
    *out_address = address;
    return child;
}

void floor_end(pid_t child)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child || status != 0) {
        floor_die("the server failed");
    }
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t n = 0;

    if (hws_str_to_u64(text, max, &n, NULL) != HWS_OK || n == 0) {
        (void)fprintf(stderr, "bench_rpc_floor: %s: a number from 1 to %llu\n", text,
                      (unsigned long long)max);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    struct floor_want want = {0};

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && hws_str_eq(argv[1], "pour")) {
        want.total_bytes = number(argv[2], UINT64_MAX / 2);
        want.sealed = hws_str_eq(argv[3], "sealed");
        floor_pour(&want);
    } else if (argc == 6 && hws_str_eq(argv[1], "echo")) {
        want.conns = (uint32_t)number(argv[2], 20000);
        want.bytes = (uint32_t)number(argv[3], 65536);
        want.warm_ms = (uint32_t)number(argv[4], 600000);
        want.ms = (uint32_t)number(argv[5], 600000);
        floor_echo(&want);
    } else {
        (void)fprintf(stderr, "usage: bench_rpc_floor pour TOTAL_BYTES plain|sealed\n"
                              "       bench_rpc_floor echo CONNS BYTES WARM_MS MS\n");
        return 2;
    }
    return 0;
}
