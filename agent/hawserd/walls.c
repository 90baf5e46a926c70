/* Entering the sandbox; reading /proc and /sys for what is in force. */
#include "hawserd/walls.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "hawserd/agent.h"

/* Linux, Documentation/filesystems/efivarfs.rst: 4 bytes of attributes, then the value; the GUID is
 * EFI_GLOBAL_VARIABLE. */
#define SECURE_BOOT          "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define EFI_ATTRIBUTES_BYTES 4u
#define PROC_MAX_BYTES       ((size_t)16 * 1024)

enum hws_code hws_walls_enter(struct hws_agent *agent, struct hws_err *err)
{
    static struct hws_sandbox box = {.role = HWS_SANDBOX_KEEPER};
    char text[HWS_SANDBOX_TEXT_BYTES];
    struct hws_log_q q;

    hws_sandbox_allow(&box, agent->config.run_dir, HWS_SANDBOX_WRITE);
    hws_sandbox_allow(&box, agent->config.state_dir, HWS_SANDBOX_WRITE);
    hws_sandbox_allow_folder_of(&box, agent->config.policy, HWS_SANDBOX_READ);
    hws_sandbox_allow_folder_of(&box, agent->config.trust, HWS_SANDBOX_READ);
    hws_sandbox_allow_folder_of(&box, agent->options->config, HWS_SANDBOX_READ);
    hws_sandbox_allow(&box, "/proc", HWS_SANDBOX_READ);
    hws_sandbox_allow(&box, "/sys/kernel/security", HWS_SANDBOX_READ);
    hws_sandbox_allow(&box, "/sys/firmware/efi/efivars", HWS_SANDBOX_READ);
    hws_sandbox_allow(&box, "/dev/urandom", HWS_SANDBOX_READ);
    enum hws_code code = hws_sandbox_enter(&box, &agent->sandbox, err);
    if (code == HWS_OK) {
        hws_sandbox_note(&agent->sandbox, agent->lock_fd);
        hws_sandbox_text(&agent->sandbox, text, sizeof(text));
        hws_log("sandbox", "state=%s", hws_log_q(&q, text));
    }
    return code;
}

/* The file's text, NUL-terminated; "" if it cannot be read. Freed by deinit of buf. */
static const char *read_text(const char *path, struct hws_buf *buf)
{
    hws_buf_init(buf, 0);
    if (hws_file_read(path, PROC_MAX_BYTES, buf, NULL) != HWS_OK) {
        return "";
    }
    const char *text = hws_buf_cstr(buf);
    return text == NULL ? "" : text;
}

/* The number after "\nKEY:\t" in /proc/PID/status; false if it is not there. */
static bool field(const char *status, const char *key, int base, uint64_t *out)
{
    char wanted[32];

    hws_str_print(wanted, sizeof(wanted), "\n%s:\t", key);
    const char *at = strstr(status, wanted);
    if (at == NULL) {
        return false;
    }
    *out = strtoull(at + strlen(wanted), NULL, base);
    return true;
}

void hws_walls_look(const struct hws_agent *agent, uint32_t pid, const char *lock,
                    struct hws_walls *out)
{
    char path[64];
    struct hws_buf buf;
    uint64_t seccomp = 0;
    uint64_t privs = 0;
    uint64_t caps = 0;

    memset(out, 0, sizeof(*out));
    if (lock[0] == '\0') {
        hws_sandbox_text(&agent->sandbox, out->text, sizeof(out->text));
    } else {
        const char *note = read_text(lock, &buf);
        hws_str_copy_n(out->text, sizeof(out->text), note, strcspn(note, "\n"));
        hws_buf_deinit(&buf);
    }
    hws_str_print(path, sizeof(path), "/proc/%u/status", pid);
    const char *status = read_text(path, &buf);
    out->known = field(status, "Seccomp", 10, &seccomp) &&
                 field(status, "NoNewPrivs", 10, &privs) && field(status, "CapPrm", 16, &caps);
    /* SECCOMP_MODE_FILTER; and not only the filter that the spawner hands down, which keeps nobody
     * from anything: a process says so itself once its own stands. */
    out->seccomp = seccomp == 2 && strstr(out->text, "seccomp=yes") != NULL;
    out->no_new_privs = privs == 1;
    out->capabilities = caps;
    hws_buf_deinit(&buf);
}

/* "none [integrity] confidentiality": the one in brackets is in force. */
void hws_walls_lockdown(const char *path, char *dst, size_t cap)
{
    struct hws_buf buf;

    hws_buf_init(&buf, 0);
    enum hws_code code = hws_file_read(path, PROC_MAX_BYTES, &buf, NULL);
    const char *text = code == HWS_OK ? hws_buf_cstr(&buf) : NULL;
    const char *from = text == NULL ? NULL : strchr(text, '[');

    hws_str_copy(dst, cap, code == HWS_E_NOT_FOUND ? "unknown" : "unreadable");
    if (from != NULL) {
        hws_str_copy_n(dst, cap, from + 1, strcspn(from + 1, "]"));
    }
    hws_buf_deinit(&buf);
}

const char *hws_walls_boot_state(const uint8_t *variable, size_t n)
{
    if (n != EFI_ATTRIBUTES_BYTES + 1) {
        return "unknown";
    }
    return variable[EFI_ATTRIBUTES_BYTES] == 1 ? "on" : "off";
}

const char *hws_walls_secure_boot(void)
{
    struct hws_buf buf;
    const char *state = "unknown";

    hws_buf_init(&buf, 0);
    if (hws_file_read(SECURE_BOOT, PROC_MAX_BYTES, &buf, NULL) == HWS_OK) {
        state = hws_walls_boot_state(hws_buf_peek(&buf), hws_buf_len(&buf));
    }
    hws_buf_deinit(&buf);
    return state;
}

enum hws_code hws_walls_scope(uint8_t scope, const char *lockdown, const char *secure_boot,
                              bool may_debug_write, struct hws_err *err)
{
    if (scope >= 3 && hws_str_eq(secure_boot, "on")) {
        return hws_err_set(
            err, HWS_E_DENIED,
            "secure boot is on: commands of scope %u are refused; allowed are scopes "
            "0 to 2",
            scope);
    }
    /* Only a kernel that says so, or that knows of no lockdown, is open. */
    bool locked = !hws_str_eq(lockdown, "none") && !hws_str_eq(lockdown, "unknown");

    if (scope < 2 || !locked || (scope == 2 && may_debug_write)) {
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_DENIED,
                       "the kernel is locked down (%s): commands of scope %u are refused; allowed "
                       "are scopes 0 and 1%s",
                       lockdown, scope,
                       may_debug_write ? " and 2"
                                       : ", and 2 where the trust file says "
                                         "\"lockdown debug-write\"");
}

uint64_t hws_walls_taint(void)
{
    struct hws_buf buf;
    const char *text = read_text("/proc/sys/kernel/tainted", &buf);
    uint64_t v = 0;
    char digits[24];

    hws_str_copy_n(digits, sizeof(digits), text, strcspn(text, "\n"));
    (void)!hws_str_to_u64(digits, UINT64_MAX, &v, NULL);
    hws_buf_deinit(&buf);
    return v;
}
