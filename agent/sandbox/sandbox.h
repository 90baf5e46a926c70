/*
 * The walls of a process: after hws_sandbox_enter it keeps no capability (but what root has opted
 * in to, struct hws_sandbox.keep), gains none by exec, makes only the system calls of its role
 * (calls.def) and reaches only the files it has named. What it had open before stays open.
 *
 * seccomp is required: every kernel that Debian 12 and 13 ship has it. Landlock is used as far as
 * the kernel has it; the report says how far, and hws_sandbox_level puts a number on it.
 * Thread rule: before any other thread is started, since Landlock binds the calling thread.
 */
#ifndef HWS_SANDBOX_SANDBOX_H
#define HWS_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HWS_SANDBOX_MAX_PATHS  64u
#define HWS_SANDBOX_TEXT_BYTES 96u

enum hws_sandbox_role {
    HWS_SANDBOX_WIRE,   /* network; no programs, no devices */
    HWS_SANDBOX_KEEPER, /* files and Unix sockets; signals its children */
    HWS_SANDBOX_DEV,    /* fwctl nodes: the two ioctls of fwctl */
    HWS_SANDBOX_EMU,    /* files and Unix sockets */
    HWS_SANDBOX_N_ROLES
};

enum hws_sandbox_access {
    HWS_SANDBOX_READ,  /* files and folders below it */
    HWS_SANDBOX_WRITE, /* and create, replace, remove; Unix sockets too */
    HWS_SANDBOX_DEVICE /* read, write and ioctl */
};

struct hws_sandbox_path {
    const char *path; /* a path that does not exist is left out; borrowed for the call */
    enum hws_sandbox_access access;
};

/* Bit of a capability (linux/capability.h): what the kernel wants of who asks for fwctl's scope 3.
 */
#define HWS_SANDBOX_RAWIO (UINT64_C(1) << 17)

struct hws_sandbox {
    enum hws_sandbox_role role;
    uint64_t keep; /* capabilities that stay if the process has them; no exec passes them on */
    struct hws_sandbox_path paths[HWS_SANDBOX_MAX_PATHS];
    size_t n_paths;
};

/* How far it went. */
struct hws_sandbox_report {
    bool seccomp;          /* the filter is in force */
    int landlock_abi;      /* in force; 0 = none */
    int kernel_abi;        /* what this kernel offers; 0 = none */
    uint64_t capabilities; /* still permitted, as a mask: none but what was to be kept */
    uint64_t kept;         /* those of them that were to be kept */
};

/* Adds a path; what does not fit is HWS_E_BUSY at enter. An empty or NULL path is ignored. */
void hws_sandbox_allow(struct hws_sandbox *s, const char *path, enum hws_sandbox_access access);

/* The same for the folder that a file is in, so that the file may be replaced. */
void hws_sandbox_allow_folder_of(struct hws_sandbox *s, const char *file,
                                 enum hws_sandbox_access access);

/*
 * Enters. HWS_E_IO: a step that must work does not; the process should end. HWS_E_BUSY: too many
 * paths. On success *out says what is in force.
 */
enum hws_code hws_sandbox_enter(const struct hws_sandbox *s, struct hws_sandbox_report *out,
                                struct hws_err *err) HWS_MUST_USE;

/*
 * Every socket to listen on is open: from now on none is made, bound or listened on, and only those
 * who come to hawserd's door may connect. A second filter over the first, for all threads.
 * hawser-dev listens nowhere and is settled when it enters. HWS_E_IO: the process should end.
 */
enum hws_code hws_sandbox_settle(enum hws_sandbox_role role, struct hws_err *err) HWS_MUST_USE;

/*
 * From now on io_uring_setup answers ENOSYS, here and in what is started from here: for a program
 * that opens its loop before it enters. libuv 1.50 takes a ring for its epoll calls if there are
 * any, and ends the program when the filter then forbids io_uring_enter. HWS_E_IO.
 */
enum hws_code hws_sandbox_no_rings(struct hws_err *err) HWS_MUST_USE;

/*
 * 0 nothing, 1 no capabilities but those kept and no new ones, 2 and seccomp, 3 and Landlock for
 * files, 4 and for TCP (ABI 4), 5 and for device ioctls (ABI 5), 6 and for signals and abstract
 * sockets (ABI 6).
 */
unsigned hws_sandbox_level(const struct hws_sandbox_report *r);

/* Writes that text into a lock file that the process holds, for whoever asks how it is confined.
 * Best effort. */
void hws_sandbox_note(const struct hws_sandbox_report *r, int fd);

/* "level=6 seccomp=yes landlock=6 of=7 capabilities=0x0". */
void hws_sandbox_text(const struct hws_sandbox_report *r, char *dst, size_t cap);

#endif
