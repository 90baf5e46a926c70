/* sd_notify and sd_listen_fds without the library: two environment variables each. */
#include "common/notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* An environment variable as a number, 0 if it is none. */
static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    uint64_t v = 0;

    if (text != NULL) {
        (void)!hws_str_to_u64(text, UINT64_MAX, &v, NULL);
    }
    return v;
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    int fd;

    if ((path[0] != '/' && path[0] != '@') || n >= sizeof(a.sun_path)) {
        return -1;
    }
    memcpy(a.sun_path, path, n);
    if (path[0] == '@') {
        a.sun_path[0] = '\0'; /* an abstract address */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a,
                           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void hws_notify_open(struct hws_notify *n)
{
    const char *path = getenv("NOTIFY_SOCKET");
    uint64_t pid = number_of("WATCHDOG_PID");

    n->fd = path == NULL ? -1 : connect_to(path);
    n->watchdog_ms = 0;
    if (n->fd >= 0 && (pid == 0 || pid == (uint64_t)getpid())) {
        n->watchdog_ms = number_of("WATCHDOG_USEC") / 1000 / 3;
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void hws_notify_say(const struct hws_notify *n, const char *text)
{
    if (n->fd >= 0) {
        (void)!send(n->fd, text, strlen(text), MSG_NOSIGNAL);
    }
}

void hws_notify_close(struct hws_notify *n)
{
    if (n->fd >= 0) {
        (void)close(n->fd);
    }
    n->fd = -1;
}

int hws_notify_listener(void)
{
    int listening = 0;
    socklen_t n = sizeof listening;
    bool ours = number_of("LISTEN_PID") == (uint64_t)getpid() && number_of("LISTEN_FDS") == 1;

    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    if (!ours || getsockopt(FIRST_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) != 0 ||
        listening == 0) {
        return -1;
    }
    (void)fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC);
    (void)fcntl(FIRST_FD, F_SETFL, O_NONBLOCK);
    return FIRST_FD;
}
