/* Root without capabilities is a user like others; no exec brings them back. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox_priv.h"

#define LAST_CAPABILITY 63 /* the kernel refuses numbers that it does not know */

static enum hws_code set(uint64_t mask, struct hws_err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    for (size_t i = 0; i < 2; i++) {
        uint32_t part = (uint32_t)(mask >> (32 * i));
        data[i] = (struct __user_cap_data_struct){.effective = part, .permitted = part};
    }
    return syscall(SYS_capset, &head, data) == 0
               ? HWS_OK
               : hws_err_set(err, HWS_E_IO, "capset (errno %d)", errno);
}

static enum hws_code get(uint64_t *out, struct hws_err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    uint32_t low;
    uint32_t high;

    memset(data, 0, sizeof data);
    if (syscall(SYS_capget, &head, data) != 0) {
        return hws_err_set(err, HWS_E_IO, "capget (errno %d)", errno);
    }
    low = data[0].permitted | data[0].effective | data[0].inheritable;
    high = data[1].permitted | data[1].effective | data[1].inheritable;
    *out = low | (uint64_t)high << 32;
    return HWS_OK;
}

enum hws_code hws_sandbox__drop_capabilities(uint64_t keep, uint64_t *out_left, struct hws_err *err)
{
    enum hws_code code;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return hws_err_set(err, HWS_E_IO, "no_new_privs (errno %d)", errno);
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long i = 0; i <= LAST_CAPABILITY; i++) {
        (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0); /* refused without CAP_SETPCAP: none to drop */
    }
    code = get(out_left, err);
    /* A service manager that left none may forbid capset. */
    if (code == HWS_OK && (*out_left & ~keep) != 0) {
        code = set(*out_left & keep, err);
        code = code == HWS_OK ? get(out_left, err) : code;
    }
    return code;
}
