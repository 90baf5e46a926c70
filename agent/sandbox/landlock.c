/*
 * Landlock: files by path, TCP, device ioctls, signals, as far as the kernel goes. Numbers and
 * layouts are of include/uapi/linux/landlock.h, Linux 6.18, written down here since Debian 12's
 * headers end at ABI 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"

#define SYS_CREATE_RULESET 444
#define SYS_ADD_RULE       445
#define SYS_RESTRICT_SELF  446
#define ASK_VERSION        1u /* flag of create_ruleset */
#define RULE_PATH          1

#define FS_EXECUTE      (UINT64_C(1) << 0)
#define FS_WRITE_FILE   (UINT64_C(1) << 1)
#define FS_READ_FILE    (UINT64_C(1) << 2)
#define FS_READ_DIR     (UINT64_C(1) << 3)
#define FS_REMOVE_DIR   (UINT64_C(1) << 4)
#define FS_REMOVE_FILE  (UINT64_C(1) << 5)
#define FS_MAKE_DIR     (UINT64_C(1) << 7)
#define FS_MAKE_REG     (UINT64_C(1) << 8)
#define FS_MAKE_SOCK    (UINT64_C(1) << 9)
#define FS_ALL_ABI_1    ((UINT64_C(1) << 13) - 1)
#define FS_REFER        (UINT64_C(1) << 13) /* ABI 2 */
#define FS_TRUNCATE     (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV    (UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND_TCP    (UINT64_C(1) << 0)  /* ABI 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT  (UINT64_C(1) << 0) /* ABI 6 */
#define SCOPE_SIGNAL    (UINT64_C(1) << 1)

#define OF_FILES (FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV) /* not of folders */

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct path_rule { /* the kernel reads its 12 bytes and not the padding behind them */
    uint64_t allowed;
    int32_t fd;
};

static uint64_t known_fs(int abi)
{
    uint64_t fs = FS_ALL_ABI_1;

    fs |= abi >= 2 ? FS_REFER : 0;
    fs |= abi >= 3 ? FS_TRUNCATE : 0;
    fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
    return fs;
}

static uint64_t wanted(enum hws_sandbox_access access)
{
    uint64_t read = FS_READ_FILE | FS_READ_DIR;
    uint64_t write = FS_WRITE_FILE | FS_TRUNCATE;

    switch (access) {
    case HWS_SANDBOX_WRITE:
        return read | write | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG |
               FS_MAKE_SOCK;
    case HWS_SANDBOX_DEVICE:
        return read | write | FS_IOCTL_DEV;
    case HWS_SANDBOX_READ:
    default:
        return read;
    }
}

static enum hws_code allow(int ruleset, int abi, const struct hws_sandbox_path *p,
                           struct hws_err *err)
{
    struct path_rule rule = {.allowed = wanted(p->access) & known_fs(abi)};
    struct stat st;
    int fd = open(p->path, O_PATH | O_CLOEXEC);
    int failed = 0;

    if (fd < 0) {
        return HWS_OK; /* it is not there: nothing to allow */
    }
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
        rule.allowed &= OF_FILES;
    }
    rule.fd = fd;
    if (syscall(SYS_ADD_RULE, ruleset, RULE_PATH, &rule, 0) != 0) {
        failed = errno;
    }
    (void)close(fd);
    return failed == 0 ? HWS_OK
                       : hws_err_set(err, HWS_E_IO, "landlock: %.120s (errno %d)", p->path, failed);
}

/* The size of struct ruleset that an ABI knows. */
static size_t ruleset_bytes(int abi)
{
    if (abi >= 6) {
        return sizeof(struct ruleset);
    }
    return abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

/* hawserd and the emulated cards' virtual machines signal or are signalled; only hawserd sends. */
static struct ruleset handled(enum hws_sandbox_role role, int abi)
{
    struct ruleset r = {.fs = known_fs(abi)};

    if (abi >= 4) {
        r.net = role == HWS_SANDBOX_WIRE ? NET_CONNECT_TCP : NET_CONNECT_TCP | NET_BIND_TCP;
    }
    if (abi >= 6) {
        r.scoped = role == HWS_SANDBOX_KEEPER ? SCOPE_ABSTRACT : SCOPE_ABSTRACT | SCOPE_SIGNAL;
    }
    return r;
}

enum hws_code hws_sandbox__landlock(const struct hws_sandbox *s, int *out_abi, int *out_kernel_abi,
                                    struct hws_err *err)
{
    long abi = syscall(SYS_CREATE_RULESET, NULL, 0, ASK_VERSION);
    enum hws_code code = HWS_OK;

    *out_abi = 0;
    *out_kernel_abi = abi > 0 ? (int)abi : 0;
    if (abi < 1) {
        return HWS_OK; /* not in this kernel, or not switched on */
    }
    struct ruleset r = handled(s->role, (int)abi);
    int fd = (int)syscall(SYS_CREATE_RULESET, &r, ruleset_bytes((int)abi), 0);
    if (fd < 0) {
        return hws_err_set(err, HWS_E_IO, "landlock ruleset (errno %d)", errno);
    }
    for (size_t i = 0; i < s->n_paths && code == HWS_OK; i++) {
        code = allow(fd, (int)abi, &s->paths[i], err);
    }
    if (code == HWS_OK && HWS_SANDBOX__SANITIZED) {
        const struct hws_sandbox_path proc = {"/proc", HWS_SANDBOX_READ};
        code = allow(fd, (int)abi, &proc, err);
    }
    if (code == HWS_OK && syscall(SYS_RESTRICT_SELF, fd, 0) != 0) {
        code = hws_err_set(err, HWS_E_IO, "landlock restrict (errno %d)", errno);
    }
    (void)close(fd);
    if (code == HWS_OK) {
        *out_abi = (int)abi;
    }
    return code;
}
