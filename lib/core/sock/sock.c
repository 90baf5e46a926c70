/*
 * Seqpacket sockets, memory files and lock files; see sock.h. Every call is retried on EINTR and
 * otherwise reported once.
 *
 * A stale socket file: bind fails with EADDRINUSE; if connecting says ECONNREFUSED its owner is
 * dead, so the file is unlinked and bind tried once more. (The keeper holds a lock of its own
 * before it listens, so two of them never race here.)
 */
#include "sock/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

#define BACKLOG    16
#define MAX_FDS    4 /* room to receive, so that surplus descriptors are seen and closed */
#define SOCK_FLAGS (SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC)

static enum hws_code sys_error(struct hws_err *err, const char *what)
{
    int e = errno;
    char text[128];

    /* glibc's own strerror_r, which returns the text. */
    return hws_err_set(err, HWS_E_IO, "%s: %s", what, strerror_r(e, text, sizeof text));
}

static enum hws_code address_of(const char *path, struct sockaddr_un *out, struct hws_err *err)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] == 0 || !hws_str_copy(out->sun_path, sizeof out->sun_path, path)) {
        return hws_err_set(err, HWS_E_INVALID, "socket path \"%.64s\": 1..%zu bytes are allowed",
                           path, sizeof out->sun_path - 1);
    }
    return HWS_OK;
}

/* True if the socket file's owner is dead. */
static bool is_stale(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_FLAGS, 0);
    bool stale = false;

    if (fd >= 0) {
        stale = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                errno == ECONNREFUSED;
        (void)close(fd);
    }
    return stale;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
    int result = bind(fd, (const struct sockaddr *)address, sizeof *address);

    if (result != 0 && errno == EADDRINUSE && is_stale(address)) {
        (void)unlink(address->sun_path);
        result = bind(fd, (const struct sockaddr *)address, sizeof *address);
    }
    return result;
}

enum hws_code hws_sock_listen(const char *path, int *out_fd, struct hws_err *err)
{
    struct sockaddr_un address;
    enum hws_code code = address_of(path, &address, err);
    int fd;

    if (code != HWS_OK) {
        return code;
    }
    fd = socket(AF_UNIX, SOCK_FLAGS, 0);
    if (fd < 0) {
        return sys_error(err, "socket");
    }
    /* Mode before bind: there is no moment at which others could connect. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || bind_private(fd, &address) != 0 ||
        listen(fd, BACKLOG) != 0) {
        bool taken = errno == EADDRINUSE;

        code = sys_error(err, path);
        (void)close(fd);
        return taken ? hws_err_set(err, HWS_E_EXISTS, "%.128s: somebody listens there", path)
                     : code;
    }
    *out_fd = fd;
    return HWS_OK;
}

enum hws_code hws_sock_accept(int listen_fd, int *out_fd, struct hws_err *err)
{
    int fd;

    do {
        fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED)) {
        return hws_err_set(err, HWS_E_BUSY, "nobody waits to connect");
    }
    if (fd < 0) {
        return sys_error(err, "accept");
    }
    *out_fd = fd;
    return HWS_OK;
}

enum hws_code hws_sock_connect(const char *path, int *out_fd, struct hws_err *err)
{
    struct sockaddr_un address;
    enum hws_code code = address_of(path, &address, err);
    int fd;

    if (code != HWS_OK) {
        return code;
    }
    fd = socket(AF_UNIX, SOCK_FLAGS, 0);
    if (fd < 0) {
        return sys_error(err, "socket");
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int e = errno;

        (void)close(fd);
        errno = e;
        if (e == ECONNREFUSED || e == ENOENT) {
            return hws_err_set(err, HWS_E_GONE, "%.128s: nobody listens there", path);
        }
        if (e == EAGAIN) {
            return hws_err_set(err, HWS_E_BUSY, "%.128s: backlog full", path);
        }
        return sys_error(err, path);
    }
    *out_fd = fd;
    return HWS_OK;
}

enum hws_code hws_sock_pair(int out_fds[2], struct hws_err *err)
{
    return socketpair(AF_UNIX, SOCK_FLAGS, 0, out_fds) == 0 ? HWS_OK : sys_error(err, "socketpair");
}

enum hws_code hws_sock_send(int fd, const void *bytes, size_t n, int pass_fd, struct hws_err *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    memcpy(&iov.iov_base, &bytes, sizeof bytes); /* the struct knows no const; sendmsg only reads */
    if (pass_fd >= 0) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof control.bytes;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
    }
    do {
        sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)) {
        return hws_err_set(err, HWS_E_BUSY, "the peer's queue is full");
    }
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)) {
        return hws_err_set(err, HWS_E_GONE, "the peer has closed the connection");
    }
    return sent < 0 ? sys_error(err, "sendmsg") : HWS_OK;
}

/* Collects passed descriptors; at most MAX_FDS arrive, the kernel closes what does not fit. */
static size_t collect_fds(struct msghdr *msg, int fds[MAX_FDS])
{
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

            for (size_t i = 0; i < here && n < MAX_FDS; i++) {
                memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            }
        }
    }
    return n;
}

enum hws_code hws_sock_recv(int fd, void *bytes, size_t cap, size_t *out_n, int *out_fd,
                            struct hws_err *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = bytes, .iov_len = cap};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    int fds[MAX_FDS];
    size_t n_fds;
    ssize_t n;

    do {
        n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        return hws_err_set(err, HWS_E_BUSY, "no packet waits");
    }
    if (n < 0 && errno != ECONNRESET) {
        return sys_error(err, "recvmsg");
    }
    n_fds = n >= 0 ? collect_fds(&msg, fds) : 0;
    if (n <= 0) {
        while (n_fds > 0) {
            (void)close(fds[--n_fds]);
        }
        return hws_err_set(err, HWS_E_GONE, "the peer has closed the connection");
    }
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || n_fds > 1) {
        while (n_fds > 0) {
            (void)close(fds[--n_fds]);
        }
        return hws_err_set(err, HWS_E_PROTO, "a packet over %zu bytes or with several descriptors",
                           cap);
    }
    *out_n = (size_t)n;
    *out_fd = n_fds == 1 ? fds[0] : -1;
    return HWS_OK;
}

enum hws_code hws_sock_peer(int fd, uint32_t *out_uid, uint32_t *out_pid, struct hws_err *err)
{
    struct ucred peer;
    socklen_t n = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0) {
        return sys_error(err, "SO_PEERCRED");
    }
    *out_uid = peer.uid;
    *out_pid = (uint32_t)peer.pid;
    return HWS_OK;
}

enum hws_code hws_sock_memfd(const char *name, size_t bytes, int *out_fd, struct hws_err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        return sys_error(err, "memfd_create");
    }
    /* Fixed in size: the other end can neither truncate it under us nor make it grow. */
    if (ftruncate(fd, (off_t)bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        enum hws_code code = sys_error(err, "memory file");

        (void)close(fd);
        return code;
    }
    *out_fd = fd;
    return HWS_OK;
}

enum hws_code hws_sock_is_memfd(int fd, struct hws_err *err)
{
    /* Only memory files know seals (fcntl(2)); the two asked for are what hws_sock_memfd sets. */
    int seals = fcntl(fd, F_GET_SEALS);
    const int want = F_SEAL_SHRINK | F_SEAL_GROW;

    return seals >= 0 && (seals & want) == want
               ? HWS_OK
               : hws_err_set(err, HWS_E_PROTO, "the descriptor is no sealed memory file");
}

enum hws_code hws_sock_pread(int fd, void *bytes, size_t n, struct hws_err *err)
{
    size_t at = 0;

    while (at < n) {
        ssize_t got = pread(fd, (uint8_t *)bytes + at, n - at, (off_t)at);

        if (got < 0 && errno != EINTR) {
            return sys_error(err, "pread");
        }
        if (got == 0) {
            return hws_err_set(err, HWS_E_PROTO, "memory file of %zu bytes, not %zu", at, n);
        }
        at += got > 0 ? (size_t)got : 0;
    }
    return HWS_OK;
}

enum hws_code hws_sock_pwrite(int fd, const void *bytes, size_t n, struct hws_err *err)
{
    size_t at = 0;

    while (at < n) {
        ssize_t put = pwrite(fd, (const uint8_t *)bytes + at, n - at, (off_t)at);

        if (put <= 0 && (put == 0 || errno != EINTR)) {
            return sys_error(err, "pwrite");
        }
        at += put > 0 ? (size_t)put : 0;
    }
    return HWS_OK;
}

enum hws_code hws_sock_lock(const char *path, int *out_fd, struct hws_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);

    if (fd < 0) {
        return sys_error(err, path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool held = errno == EWOULDBLOCK;
        enum hws_code code = sys_error(err, path);

        (void)close(fd);
        return held ? hws_err_set(err, HWS_E_STATE, "%.128s: another process holds this lock", path)
                    : code;
    }
    (void)!ftruncate(fd, 0); /* what the last holder wrote about itself */
    *out_fd = fd;
    return HWS_OK;
}

enum hws_code hws_sock_lock_free(const char *path, struct hws_err *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    enum hws_code code = HWS_OK;

    if (fd < 0) {
        return errno == ENOENT ? HWS_OK : sys_error(err, path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        code = errno == EWOULDBLOCK
                   ? hws_err_set(err, HWS_E_STATE, "%.128s: held by a process", path)
                   : sys_error(err, path);
    }
    (void)close(fd);
    return code;
}

void hws_sock_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}
