/*
 * The loop of a device process; see process.h.
 *
 * Life: lock -> [connect -> HELLO -> serve]* -> told to stop -> what runs is finished and answered
 * -> channels closed -> end. Failure modes:
 *   - hawserd is away: commands run on, the connection is tried every 20 ms
 *   - hawserd breaks the protocol: one log line, the connection is dropped and made again
 *   - a channel does not close in time: the end comes all the same
 */
#include "devproc/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "sock/sock.h"

#define READS_PER_ROUND 64u

static uint64_t now_ms(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0) {
        return 0; /* UNTESTED: Linux always has this clock */
    }
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- what serve needs ---- */

static enum hws_code io_send(void *data, const uint8_t *bytes, size_t n)
{
    struct hws_devproc *p = data;

    return hws_sock_send(p->sock_fd, bytes, n, -1, NULL);
}

static enum hws_code io_read(void *data, int fd, uint8_t *bytes, size_t n, struct hws_err *err)
{
    enum hws_code code = hws_sock_is_memfd(fd, err);

    (void)data;
    return code == HWS_OK ? hws_sock_pread(fd, bytes, n, err) : code;
}

static enum hws_code io_write(void *data, int fd, const uint8_t *bytes, size_t n,
                              struct hws_err *err)
{
    enum hws_code code = hws_sock_is_memfd(fd, err);

    (void)data;
    return code == HWS_OK ? hws_sock_pwrite(fd, bytes, n, err) : code;
}

static void io_close(void *data, int fd)
{
    (void)data;
    hws_sock_close(&fd);
}

static enum hws_code io_authorize(void *data, const struct hws_serve_danger *d, struct hws_err *err)
{
    return hws_warrants_use(&((struct hws_devproc *)data)->warrants, d, err);
}

static void io_note(void *data, const char *device, const char *text)
{
    struct hws_log_q pci;
    struct hws_log_q quoted;

    (void)data;
    hws_log("kills", "adapter=%s note=%s", hws_log_q(&pci, device), hws_log_q(&quoted, text));
}

/* ---- open ---- */

static enum hws_code take_signals(int *out_fd, struct hws_err *err)
{
    sigset_t set;

    if (sigemptyset(&set) != 0 || sigaddset(&set, SIGTERM) != 0 || sigaddset(&set, SIGINT) != 0 ||
        sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return hws_err_set(err, HWS_E_IO, "signals (errno %d)", errno);
    }
    *out_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *out_fd >= 0 ? HWS_OK : hws_err_set(err, HWS_E_IO, "signalfd (errno %d)", errno);
}

enum hws_code hws_devproc_open(struct hws_devproc *p, const struct hws_devproc_config *config,
                               struct hws_err *err)
{
    struct hws_serve_io io = {.send = io_send,
                              .fd_read = io_read,
                              .fd_write = io_write,
                              .fd_close = io_close,
                              .authorize = io_authorize,
                              .note = io_note,
                              .data = p};
    uint64_t generation = 0;
    enum hws_code code;

    memset(p, 0, sizeof *p);
    p->config = *config;
    p->sock_fd = -1;
    p->close_by_ms = UINT64_MAX;
    hws_notify_open(&p->notify);
    if (getrandom(&generation, sizeof generation, 0) != (ssize_t)sizeof generation) {
        return hws_err_set(err, HWS_E_IO, "getrandom (errno %d)", errno);
    }
    code = hws_sock_lock(config->lock_path, &p->lock_fd, err);
    if (code != HWS_OK) {
        return code;
    }
    code = hws_warrants_open(&p->warrants, config->trust_path, config->memory_dir, err);
    code = code == HWS_OK ? take_signals(&p->signal_fd, err) : code;
    if (code != HWS_OK) {
        hws_warrants_close(&p->warrants);
        hws_sock_close(&p->lock_fd);
        return code;
    }
    hws_serve_init(&p->serve, &io, config->name, config->build_id, generation | 1,
                   (uint32_t)getpid());
    return HWS_OK;
}

void hws_devproc_deinit(struct hws_devproc *p)
{
    hws_sock_close(&p->sock_fd);
    hws_sock_close(&p->signal_fd);
    hws_notify_close(&p->notify);
    hws_warrants_close(&p->warrants);
    hws_serve_deinit(&p->serve);
    hws_sock_close(&p->lock_fd);
}

/* ---- the connection ---- */

static void disconnect(struct hws_devproc *p, uint64_t now)
{
    hws_sock_close(&p->sock_fd);
    hws_serve_disconnected(&p->serve);
    p->connect_ms = now + HWS_DEVPROC_RECONNECT_MS;
}

static void connect_if_due(struct hws_devproc *p, uint64_t now)
{
    struct hws_err err;

    if (p->sock_fd >= 0 || now < p->connect_ms || p->stopping) {
        return;
    }
    if (hws_sock_connect(p->config.socket_path, &p->sock_fd, &err) != HWS_OK) {
        p->sock_fd = -1;
        p->connect_ms = now + HWS_DEVPROC_RECONNECT_MS;
        return;
    }
    hws_serve_connected(&p->serve);
}

/* Reads what waits; a turn is due afterwards in any case. */
static void receive(struct hws_devproc *p, uint64_t now)
{
    for (unsigned i = 0; i < READS_PER_ROUND && p->sock_fd >= 0; i++) {
        struct hws_log_q quoted;
        struct hws_err err;
        size_t n = 0;
        int fd = -1;
        enum hws_code code = hws_sock_recv(p->sock_fd, p->packet, sizeof p->packet, &n, &fd, &err);

        if (code == HWS_E_BUSY) {
            return;
        }
        if (code == HWS_OK) {
            code = hws_serve_feed(&p->serve, p->packet, n, fd, now, &err);
        }
        if (code != HWS_OK) {
            if (code != HWS_E_GONE) {
                hws_log("link_dropped", "reason=%s", hws_log_q(&quoted, err.msg));
            }
            disconnect(p, now);
        }
    }
}

/* ---- the loop ---- */

static void read_signals(struct hws_devproc *p)
{
    struct signalfd_siginfo info;

    while (read(p->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (!p->stopping) {
            hws_log("stopping", "signal=%u running=%zu", info.ssi_signo,
                    hws_serve_running(&p->serve));
        }
        p->stopping = true;
    }
}

/* Once nothing runs and every answer is out, the channels are closed. */
static void stop_if_idle(struct hws_devproc *p, uint64_t now)
{
    bool waits = p->sock_fd >= 0 && hws_serve_wants_write(&p->serve);

    if (p->stopping && p->close_by_ms == UINT64_MAX && hws_serve_running(&p->serve) == 0 &&
        !waits) {
        p->close_by_ms = now + HWS_DEVPROC_CLOSE_WAIT_MS;
        p->config.close(p->config.data);
    }
}

static int wait_ms(uint64_t next, uint64_t now)
{
    if (next == UINT64_MAX) {
        return -1;
    }
    if (next <= now) {
        return 0;
    }
    return next - now < INT32_MAX ? (int)(next - now) : INT32_MAX;
}

static void wait_for_work(struct hws_devproc *p, uint64_t next)
{
    struct pollfd pfds[2 + HWS_DEVPROC_MAX_FDS];
    int fds[HWS_DEVPROC_MAX_FDS];
    size_t n = p->config.fds(p->config.data, fds, HWS_DEVPROC_MAX_FDS);
    uint64_t now;

    if (p->sock_fd < 0 && !p->stopping && p->connect_ms < next) {
        next = p->connect_ms;
    }
    next = p->close_by_ms < next ? p->close_by_ms : next;
    next = p->alive_ms < next ? p->alive_ms : next;
    pfds[0] = (struct pollfd){.fd = p->signal_fd, .events = POLLIN};
    pfds[1] = (struct pollfd){.fd = p->sock_fd, .events = p->stopping ? 0 : POLLIN};
    if (hws_serve_wants_write(&p->serve)) {
        pfds[1].events = (short)(pfds[1].events | POLLOUT);
    }
    for (size_t i = 0; i < n; i++) {
        pfds[2 + i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    now = now_ms();
    if (poll(pfds, 2 + n, wait_ms(next, now)) < 0) {
        return; /* EINTR, or no kernel memory: the next round tries again */
    }
    now = now_ms();
    if (pfds[0].revents != 0) {
        read_signals(p);
    }
    if (p->stopping && (pfds[1].revents & (POLLERR | POLLHUP)) != 0) {
        disconnect(p, now);
    } else if (pfds[1].revents != 0 && !p->stopping) {
        /* Channels learn the time in turn only: before what comes now is submitted to them. */
        (void)p->config.turn(p->config.data, now);
        receive(p, now);
    }
}

/* Each round that comes this far proves that the loop lives. */
static void tell_alive(struct hws_devproc *p, uint64_t now)
{
    if (p->alive_ms <= now) {
        hws_notify_say(&p->notify, "WATCHDOG=1");
        p->alive_ms = now + p->notify.watchdog_ms;
    }
}

bool hws_devproc_run(struct hws_devproc *p)
{
    p->alive_ms = p->notify.watchdog_ms > 0 ? 0 : UINT64_MAX;
    hws_notify_say(&p->notify, "READY=1");
    for (;;) {
        uint64_t now = now_ms();
        uint64_t next;
        uint64_t own;

        tell_alive(p, now);
        connect_if_due(p, now);
        own = p->config.turn(p->config.data, now);
        next = hws_serve_turn(&p->serve, now);
        next = own < next ? own : next;
        p->stopping = p->stopping || p->serve.drain;
        stop_if_idle(p, now);
        if (p->close_by_ms != UINT64_MAX && p->config.closed(p->config.data)) {
            return true;
        }
        if (p->close_by_ms <= now) {
            hws_log("close_timeout", "after_ms=%u", HWS_DEVPROC_CLOSE_WAIT_MS);
            /* The kernel keeps what is left of us until the ioctl returns; another device process
             * need not wait for that. */
            hws_sock_close(&p->sock_fd);
            hws_sock_close(&p->lock_fd);
            return false;
        }
        wait_for_work(p, next);
    }
}
