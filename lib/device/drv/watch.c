/*
 * One inotify descriptor with two watches: the folder, and its parent for the folder's own coming
 * and going.
 */
#include "drv/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/str.h"

#define FILE_EVENTS   (IN_CREATE | IN_DELETE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO)
#define PARENT_EVENTS (IN_CREATE | IN_MOVED_TO)
#define READ_BYTES    4096u

static void watch_dir(struct hws_watch *w)
{
    w->dir_wd = inotify_add_watch(w->fd, w->dir, FILE_EVENTS | IN_ONLYDIR);
}

enum hws_code hws_watch_open(struct hws_watch *w, const char *dir, struct hws_err *err)
{
    char parent[sizeof w->dir];

    memset(w, 0, sizeof *w);
    w->fd = -1;
    w->dir_wd = -1;
    const char *slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir || slash[1] == '\0' ||
        !hws_str_copy(w->dir, sizeof w->dir, dir)) {
        return hws_err_set(err, HWS_E_INVALID, "watching \"%.80s\": not a folder in a folder", dir);
    }
    w->name = w->dir + (slash - dir) + 1;
    (void)hws_str_copy_n(parent, sizeof parent, dir, (size_t)(slash - dir));
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0 || inotify_add_watch(w->fd, parent, PARENT_EVENTS | IN_ONLYDIR) < 0) {
        int e = errno;

        hws_watch_close(w);
        return hws_err_set(err, HWS_E_IO, "watching %.100s (errno %d)", dir, e);
    }
    watch_dir(w);
    return HWS_OK;
}

/* One event; true if it makes a look due. */
static bool take(struct hws_watch *w, const struct inotify_event *e)
{
    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        return true;
    }
    if (e->wd == w->dir_wd) {
        if ((e->mask & IN_IGNORED) != 0) {
            w->dir_wd = -1;
        }
        return true;
    }
    if (e->len > 0 && hws_str_eq(e->name, w->name)) {
        watch_dir(w); /* it came; what is in it already is found by the look */
        return true;
    }
    return false;
}

bool hws_watch_changed(struct hws_watch *w)
{
    union {
        struct inotify_event align;
        char bytes[READ_BYTES];
    } buf;
    bool changed = false;

    for (;;) {
        ssize_t n = read(w->fd, buf.bytes, sizeof buf.bytes);

        if (n <= 0) {
            return changed;
        }
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e =
                (const struct inotify_event *)(const void *)(buf.bytes + at);

            changed = take(w, e) || changed;
            at += (ssize_t)(sizeof *e + e->len);
        }
    }
}

void hws_watch_close(struct hws_watch *w)
{
    if (w->fd >= 0) {
        (void)close(w->fd);
    }
    w->fd = -1;
}
