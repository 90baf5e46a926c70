/* The order matters: capabilities, files, and last the filter, which forbids the other two. */
#include "sandbox/sandbox.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "sandbox/sandbox_priv.h"

void hws_sandbox_allow(struct hws_sandbox *s, const char *path, enum hws_sandbox_access access)
{
    if (path == NULL || path[0] == '\0') {
        return;
    }
    if (s->n_paths < HWS_SANDBOX_MAX_PATHS) {
        s->paths[s->n_paths] = (struct hws_sandbox_path){path, access};
    }
    s->n_paths++;
}

void hws_sandbox_allow_folder_of(struct hws_sandbox *s, const char *file,
                                 enum hws_sandbox_access access)
{
    static char folders[HWS_SANDBOX_MAX_PATHS][512];
    const char *slash = file == NULL ? NULL : strrchr(file, '/');

    if (file == NULL || file[0] == '\0' || s->n_paths >= HWS_SANDBOX_MAX_PATHS) {
        return;
    }
    if (slash == NULL || slash == file) {
        hws_sandbox_allow(s, slash == NULL ? "." : "/", access);
        return;
    }
    char *folder = folders[s->n_paths];
    if (hws_str_copy_n(folder, sizeof(folders[0]), file, (size_t)(slash - file))) {
        hws_sandbox_allow(s, folder, access);
    }
}

enum hws_code hws_sandbox_enter(const struct hws_sandbox *s, struct hws_sandbox_report *out,
                                struct hws_err *err)
{
    struct hws_sandbox_report r = {0};
    enum hws_code code;

    if (s->n_paths > HWS_SANDBOX_MAX_PATHS) {
        return hws_err_set(err, HWS_E_BUSY, "sandbox: %zu paths; at most %u", s->n_paths,
                           HWS_SANDBOX_MAX_PATHS);
    }
    code = hws_sandbox__drop_capabilities(s->keep, &r.capabilities, err);
    if (code == HWS_OK) {
        code = hws_sandbox__landlock(s, &r.landlock_abi, &r.kernel_abi, err);
    }
    if (code == HWS_OK) {
        code = hws_sandbox__seccomp(s->role, true, err);
    }
    if (code != HWS_OK) {
        return hws_err_wrap(err, "sandbox");
    }
    r.seccomp = true;
    r.kept = r.capabilities & s->keep;
    *out = r;
    return HWS_OK;
}

enum hws_code hws_sandbox_settle(enum hws_sandbox_role role, struct hws_err *err)
{
    enum hws_code code = hws_sandbox__seccomp(role, false, err);

    return code == HWS_OK ? HWS_OK : hws_err_wrap(err, "sandbox, settled");
}

unsigned hws_sandbox_level(const struct hws_sandbox_report *r)
{
    if (r->capabilities != r->kept) {
        return 0;
    }
    if (!r->seccomp) {
        return 1;
    }
    if (r->landlock_abi < 1) {
        return 2;
    }
    if (r->landlock_abi < 4) {
        return 3;
    }
    return r->landlock_abi < 6 ? (unsigned)r->landlock_abi : 6;
}

void hws_sandbox_text(const struct hws_sandbox_report *r, char *dst, size_t cap)
{
    hws_str_print(dst, cap, "level=%u seccomp=%s landlock=%d of=%d capabilities=0x%" PRIx64,
                  hws_sandbox_level(r), r->seccomp ? "yes" : "no", r->landlock_abi, r->kernel_abi,
                  r->capabilities);
}

void hws_sandbox_note(const struct hws_sandbox_report *r, int fd)
{
    char line[HWS_SANDBOX_TEXT_BYTES + 1];

    hws_sandbox_text(r, line, sizeof(line) - 1);
    size_t n = strlen(line);
    line[n] = '\n';
    if (ftruncate(fd, 0) == 0) {
        (void)!pwrite(fd, line, n + 1, 0);
    }
}
