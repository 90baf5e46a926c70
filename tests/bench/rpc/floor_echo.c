/*
 * Messages back and forth on many connections, one under way on each: two epoll loops, a read and a
 * write for each message. What a server pays the kernel for a call, by the number of connections.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "floor.h"
#include "pem.h"

#define MAX_EVENTS  1024 /* libuv's */
#define MAX_MESSAGE 65536u

static uint8_t s_bytes[MAX_MESSAGE];

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        floor_die("epoll");
    }
}

static int wait_for(int epoll, struct epoll_event *events)
{
    int n = epoll_wait(epoll, events, MAX_EVENTS, -1);

    if (n < 0 && errno != EINTR) {
        floor_die("epoll");
    }
    return n < 0 ? 0 : n;
}

/* The client goes while messages are under way. */
static bool is_end(ssize_t n)
{
    return n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE));
}

/* Takes what one connection has; returns its bytes, 0 at the end of it. */
static size_t take(int fd)
{
    ssize_t n = read(fd, s_bytes, sizeof(s_bytes));

    if (n < 0 && !is_end(n)) {
        floor_die("read");
    }
    return is_end(n) ? 0 : (size_t)n;
}

static void put(int fd, size_t n)
{
    ssize_t k = write(fd, s_bytes, n);

    if (k != (ssize_t)n && !is_end(k)) {
        floor_die("write");
    }
}

static void serve(int listener, const struct floor_want *want)
{
    struct epoll_event events[MAX_EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint32_t n_open = want->conns;

    for (uint32_t i = 0; i < want->conns; i++) {
        watch(epoll, floor_accept(listener));
    }
    while (n_open > 0) {
        int n_events = wait_for(epoll, events);
        for (int i = 0; i < n_events; i++) {
            size_t n = take(events[i].data.fd);
            if (n > 0) {
                put(events[i].data.fd, n);
            } else {
                (void)close(events[i].data.fd);
                n_open--;
            }
        }
    }
}

struct count {
    uint64_t n;
    double cpu_s;
};

/* Goes round for so long; what came back, and the server's CPU. */
static struct count go_round(int epoll, const struct floor_want *want, clockid_t clock, uint32_t ms)
{
    struct epoll_event events[MAX_EVENTS];
    double until_s = floor_now_s(CLOCK_MONOTONIC) + (double)ms / 1000;
    struct count c = {.cpu_s = floor_now_s(clock)};
    uint64_t bytes = 0;

    while (floor_now_s(CLOCK_MONOTONIC) < until_s) {
        int n_events = wait_for(epoll, events);
        for (int i = 0; i < n_events; i++) {
            size_t n = take(events[i].data.fd);
            if (n == 0) {
                floor_die("the server left");
            }
            put(events[i].data.fd, n);
            bytes += n;
        }
    }
    c.n = bytes / want->bytes;
    c.cpu_s = floor_now_s(clock) - c.cpu_s;
    return c;
}

void floor_echo(const struct floor_want *want)
{
    struct sockaddr_in address;
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    bench_raise_descriptors();
    int *fds = hws_mem_zalloc(want->conns, sizeof(*fds));
    pid_t child = floor_serve(serve, want, &address);
    clockid_t clock = floor_clock_of(child);

    if (fds == NULL) {
        floor_die("memory");
    }
    for (uint32_t i = 0; i < want->conns; i++) {
        fds[i] = floor_connect(&address);
        watch(epoll, fds[i]);
    }
    for (uint32_t i = 0; i < want->conns; i++) {
        put(fds[i], want->bytes);
    }
    (void)go_round(epoll, want, clock, want->warm_ms);
    struct count c = go_round(epoll, want, clock, want->ms);
    if (c.n == 0) {
        floor_die("nothing came back");
    }
    for (uint32_t i = 0; i < want->conns; i++) {
        (void)close(fds[i]);
    }
    floor_end(child);
    hws_mem_free(fds);
    (void)printf("n %llu\ncpu_us %.4f\n", (unsigned long long)c.n, c.cpu_s / (double)c.n * 1e6);
}
