/* hawserd's own sandbox, and what it sees of the walls of the other processes. */
#ifndef HWS_HAWSERD_WALLS_H
#define HWS_HAWSERD_WALLS_H

#include <stdint.h>

#include "base/err.h"
#include "sandbox/sandbox.h"

struct hws_agent;

/* What the kernel says of a process (/proc/PID/status), and what it wrote into its lock file. */
struct hws_walls {
    char text[HWS_SANDBOX_TEXT_BYTES]; /* "level=6 seccomp=yes ..."; "" if unknown */
    uint64_t capabilities;             /* permitted */
    bool seccomp;                      /* its own filter is in force */
    bool no_new_privs;
    bool known; /* the kernel was asked */
};

/* Enters; agent->sandbox says how far. After the spawner is forked, before any thread is started.
 */
enum hws_code hws_walls_enter(struct hws_agent *agent, struct hws_err *err) HWS_MUST_USE;

/* Looks at a process; lock is its lock file, "" for ourselves (agent may be NULL otherwise). Reads
 * two small files. */
void hws_walls_look(const struct hws_agent *agent, uint32_t pid, const char *lock,
                    struct hws_walls *out);

/* The kernel's lockdown state: "none", "integrity", "confidentiality"; "unknown" where it has none
 * (no such file); "unreadable" if the file is there but does not say, which counts as locked. */
#define HWS_WALLS_LOCKDOWN "/sys/kernel/security/lockdown"
void hws_walls_lockdown(const char *path, char *dst, size_t cap);

/* What the firmware said of secure boot: "on", "off"; "unknown" without EFI. The second reads n
 * bytes of its variable. */
const char *hws_walls_secure_boot(void);
const char *hws_walls_boot_state(const uint8_t *variable, size_t n);

/*
 * HWS_E_DENIED if the kernel is locked down (integrity or confidentiality) and the scope is one
 * that the kernel's own tools would be refused then: the device's driver does not ask, so we do.
 * Scopes 0 and 1 pass always, and scope 2 where the host's trust file says so. With secure boot on,
 * scope 3 is refused as well.
 */
enum hws_code hws_walls_scope(uint8_t scope, const char *lockdown, const char *secure_boot,
                              bool may_debug_write, struct hws_err *err) HWS_MUST_USE;

/* Taint mask of the kernel; 0 if it cannot be read. */
uint64_t hws_walls_taint(void);

#define HWS_WALLS_TAINT_FWCTL (UINT64_C(1) << 19) /* 'J'; include/linux/panic.h, Linux 7.2.13 */

#endif
