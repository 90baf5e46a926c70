/* The real system calls behind struct hws_sys. */
#include "drv/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int real_open(void *data, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    (void)data;
    return fd >= 0 ? fd : -errno;
}

static int real_close(void *data, int fd)
{
    (void)data;
    return close(fd) == 0 ? 0 : -errno;
}

static int real_ioctl(void *data, int fd, unsigned long request, void *arg)
{
    int result = ioctl(fd, request, arg);

    (void)data;
    return result >= 0 ? result : -errno;
}

static int real_readlink(void *data, const char *path, char *out, size_t cap)
{
    ssize_t n = readlink(path, out, cap);

    (void)data;
    if (n < 0) {
        return -errno;
    }
    if ((size_t)n >= cap) {
        return -ENAMETOOLONG;
    }
    out[n] = 0;
    return (int)n;
}

static int real_list(void *data, const char *path, char *out, size_t cap)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    size_t at = 0;

    (void)data;
    if (dir == NULL) {
        return -errno;
    }
    while ((entry = readdir(dir)) != NULL) {
        size_t n = strlen(entry->d_name) + 1;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (n > cap - at) {
            (void)closedir(dir);
            return -ENAMETOOLONG;
        }
        memcpy(out + at, entry->d_name, n);
        at += n;
    }
    (void)closedir(dir);
    return (int)at;
}

const struct hws_sys *hws_sys_real(void)
{
    static const struct hws_sys_root roots[] = {
        {"/dev/fwctl", true}, {"/sys/class", false}, {"/sys/devices", false}, {NULL, false}};
    static const struct hws_sys real = {
        .roots = roots,
        .open = real_open,
        .close = real_close,
        .ioctl = real_ioctl,
        .readlink = real_readlink,
        .list = real_list,
    };

    return &real;
}
