/*
 * The system calls that this layer makes, as a struct of functions, so that a test can put a
 * scripted kernel in their place. Every function returns a value of 0 or more, or -errno.
 *
 * Thread rule: any thread, also several at once.
 */
#ifndef HWS_DRV_SYS_H
#define HWS_DRV_SYS_H

#include <stdbool.h>
#include <stddef.h>

/* A folder that these calls reach, for the walls of the process. */
struct hws_sys_root {
    const char *path;
    bool nodes; /* opened for writing and ioctl; otherwise read */
};

struct hws_sys {
    const struct hws_sys_root *roots; /* ends with a NULL path; NULL = none */
    /* open(2) with O_RDWR and O_CLOEXEC. */
    int (*open)(void *data, const char *path);
    int (*close)(void *data, int fd);
    int (*ioctl)(void *data, int fd, unsigned long request, void *arg);
    /* readlink(2), NUL-terminated; -ENAMETOOLONG if it does not fit. Returns the length. */
    int (*readlink)(void *data, const char *path, char *out, size_t cap);
    /* The names in a folder but "." and "..", each with a NUL, one after the other in out[cap].
     * Returns how many bytes; -ENAMETOOLONG if they do not fit. */
    int (*list)(void *data, const char *path, char *out, size_t cap);
    void *data; /* borrowed */
};

/* The real kernel. */
const struct hws_sys *hws_sys_real(void);

#endif
