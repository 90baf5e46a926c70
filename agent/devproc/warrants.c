/* Keys, memory, lockdown: everything a device process looks at before a dangerous command. */
#include "devproc/warrants.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "common/file.h"
#include "common/log.h"
#include "sock/sock.h"
#include "warrant/trust.h"
#include "warrant/warrant.h"

static uint64_t wall_clock_s(void)
{
    struct timespec ts;

    /* UNTESTED: Linux always has this clock. Zero is before every warrant. */
    return clock_gettime(CLOCK_REALTIME, &ts) == 0 ? (uint64_t)ts.tv_sec : 0;
}

/* ---- the memory ------------------------------------------------------------------------------ */

static void break_down(struct hws_warrants *w, const struct hws_err *why)
{
    struct hws_log_q q;

    hws_str_copy(w->broken, sizeof(w->broken), why->msg);
    hws_sock_close(&w->fd);
    hws_log("warrants_off", "file=%s reason=%s", w->path, hws_log_q(&q, why->msg));
}

/* A long memory, or one whose last line was cut off, is written anew with what is unexpired. */
static enum hws_code write_anew(struct hws_warrants *w, struct hws_err *err)
{
    char line[HWS_SPENT_LINE_BYTES];
    struct hws_buf text;
    enum hws_code code = HWS_OK;

    hws_buf_init(&text, HWS_WARRANTS_FILE_BYTES);
    for (size_t i = 0; i < w->spent.n && code == HWS_OK; i++) {
        size_t n = hws_spent_line(&w->spent.uses[i], line);
        code = hws_buf_put(&text, line, n);
    }
    code = code == HWS_OK ? hws_file_replace(w->path, hws_buf_peek(&text), hws_buf_len(&text), err)
                          : hws_err_set(err, code, "out of memory");
    hws_buf_deinit(&text);
    return code;
}

static enum hws_code load(struct hws_warrants *w, struct hws_err *err)
{
    struct hws_buf text;
    size_t whole = 0;

    hws_buf_init(&text, 0); /* the read has the ceiling */
    enum hws_code code = hws_file_read(w->path, HWS_WARRANTS_FILE_BYTES, &text, err);
    if (code == HWS_E_NOT_FOUND) {
        hws_buf_deinit(&text);
        return write_anew(w, err); /* the first start: an empty one */
    }
    size_t n = hws_buf_len(&text);
    if (code == HWS_OK) {
        code = hws_spent_load(&w->spent, (const char *)hws_buf_peek(&text), n, &whole, err);
    }
    hws_buf_deinit(&text);
    if (code == HWS_OK && (whole != n || n > HWS_WARRANTS_FOLD_BYTES)) {
        code = write_anew(w, err);
    }
    return code;
}

enum hws_code hws_warrants_open(struct hws_warrants *w, const char *trust, const char *dir,
                                struct hws_err *err)
{
    struct hws_err why;

    memset(w, 0, sizeof(*w));
    w->fd = -1;
    w->trust = trust;
    w->lockdown = HWS_WARRANTS_LOCKDOWN;
    w->now_s = wall_clock_s;
    if (trust == NULL) {
        return HWS_OK;
    }
    if (!hws_str_print(w->path, sizeof(w->path), "%s/" HWS_WARRANTS_FILE, dir)) {
        return hws_err_set(err, HWS_E_INVALID, "%.120s: path too long", dir);
    }
    if (hws_file_make_dir(dir, &why) != HWS_OK || load(w, &why) != HWS_OK) {
        break_down(w, &why);
        return HWS_OK;
    }
    w->fd = open(w->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (w->fd < 0) {
        hws_err_set(&why, HWS_E_IO, "%s cannot be written (errno %d)", w->path, errno);
        break_down(w, &why);
    }
    return HWS_OK;
}

void hws_warrants_close(struct hws_warrants *w)
{
    hws_sock_close(&w->fd);
}

/* On the disk before the command runs. What may be half written is not written to again. */
static enum hws_code remember(struct hws_warrants *w, const struct hws_spent_use *use,
                              struct hws_err *err)
{
    char line[HWS_SPENT_LINE_BYTES];
    size_t n = hws_spent_line(use, line);
    struct stat st;

    if (fstat(w->fd, &st) == 0 && st.st_size + (off_t)n > (off_t)HWS_WARRANTS_FILE_BYTES) {
        return hws_err_set(err, HWS_E_BUSY,
                           "%.200s is full (%zu bytes): restart the device process, which "
                           "writes it anew",
                           w->path, HWS_WARRANTS_FILE_BYTES);
    }
    if (write(w->fd, line, n) != (ssize_t)n || fdatasync(w->fd) != 0) {
        hws_err_set(err, HWS_E_IO, "the use could not be stored (errno %d)", errno);
        break_down(w, err);
        return HWS_E_IO;
    }
    hws_spent_add(&w->spent, use);
    return HWS_OK;
}

/* ---- what is looked at ----------------------------------------------------------------------- */

static enum hws_code read_trust(const char *path, struct hws_trust *out, struct hws_err *err)
{
    struct hws_buf text;

    hws_buf_init(&text, HWS_TRUST_MAX_BYTES);
    enum hws_code code = hws_file_is_guarded(path, err);
    code = code == HWS_OK ? hws_file_read(path, HWS_TRUST_MAX_BYTES, &text, err) : code;
    if (code == HWS_OK) {
        code = hws_trust_parse(hws_buf_peek(&text), hws_buf_len(&text), path, out, err);
    }
    hws_buf_deinit(&text);
    return code;
}

bool hws_warrants_full_scope(const char *trust)
{
    struct hws_trust *t = trust == NULL ? NULL : hws_mem_zalloc(1, sizeof(*t));
    bool full = t != NULL && read_trust(trust, t, NULL) == HWS_OK && t->full_scope;

    hws_mem_free(t);
    return full;
}

/* The kernel's lockdown is obeyed here as well: it does not look at fwctl's scopes itself. */
static enum hws_code check_lockdown(const struct hws_warrants *w, const struct hws_trust *trust,
                                    uint8_t scope, struct hws_err *err)
{
    struct hws_buf text;
    struct hws_err why;
    bool locked = false;

    if (scope < 2 || (scope == 2 && trust->debug_write_under_lockdown)) {
        return HWS_OK;
    }
    hws_buf_init(&text, 0);
    enum hws_code code = hws_file_read(w->lockdown, 4096, &text, &why);
    if (code == HWS_OK) {
        const char *s = hws_buf_cstr(&text);
        locked =
            s == NULL || strstr(s, "[integrity]") != NULL || strstr(s, "[confidentiality]") != NULL;
    }
    hws_buf_deinit(&text);
    if (code != HWS_OK && code != HWS_E_NOT_FOUND) {
        return hws_err_set(err, HWS_E_DENIED,
                           "whether the kernel is locked down cannot be read: %.150s", why.msg);
    }
    return locked
               ? hws_err_set(err, HWS_E_DENIED,
                             "the kernel is locked down: commands of scope %u are refused", scope)
               : HWS_OK;
}

static enum hws_code judge(struct hws_warrants *w, const struct hws_serve_danger *d,
                           struct hws_trust *trust, struct hws_spent_use *out, struct hws_err *err)
{
    struct hws_warrant_use use = {
        .device = d->device, .in = d->in, .in_bytes = d->in_bytes, .now_s = out->at_s};
    struct hws_warrant_signers signers;
    struct hws_warrant warrant;
    enum hws_code code = read_trust(w->trust, trust, err);

    code = code == HWS_OK ? check_lockdown(w, trust, d->scope, err) : code;
    code = code == HWS_OK ? hws_warrant_parse(d->warrant.bytes, d->warrant.n, &warrant, err) : code;
    code = code == HWS_OK ? hws_warrant_judge(&warrant, trust, &use, &signers, err) : code;
    code = code == HWS_OK ? hws_spent_check(&w->spent, &signers.hash, err) : code;
    if (code == HWS_OK) {
        out->hash = signers.hash;
        out->until_s = warrant.until_s;
    }
    return code;
}

static enum hws_code use_it(struct hws_warrants *w, const struct hws_serve_danger *d,
                            struct hws_err *err)
{
    struct hws_spent_use use = {.at_s = hws_spent_now(&w->spent, w->now_s())};

    if (w->trust == NULL) {
        return hws_err_set(err, HWS_E_DENIED, "dangerous commands are off: no trust file is given");
    }
    if (w->broken[0] != '\0') {
        return hws_err_set(err, HWS_E_DENIED, "the memory of used warrants is broken: %.150s",
                           w->broken);
    }
    if (d->warrant.n == 0) {
        return hws_err_set(err, HWS_E_DENIED, "a dangerous command without a warrant");
    }
    struct hws_trust *trust = hws_mem_zalloc(1, sizeof(*trust));
    if (trust == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    enum hws_code code = judge(w, d, trust, &use, err);
    hws_mem_free(trust);
    return code == HWS_OK ? remember(w, &use, err) : code;
}

enum hws_code hws_warrants_use(struct hws_warrants *w, const struct hws_serve_danger *d,
                               struct hws_err *err)
{
    struct hws_err why = {0};
    struct hws_log_q q;
    enum hws_code code = use_it(w, d, &why);

    /* Codes of files and formats are the judge's affair; to the caller each is a refusal. */
    if (code != HWS_OK && code != HWS_E_BUSY && code != HWS_E_IO && code != HWS_E_NOMEM) {
        code = HWS_E_DENIED;
    }
    hws_log(code == HWS_OK ? "warrant_used" : "warrant_refused", "adapter=%s reason=%s", d->device,
            hws_log_q(&q, why.msg));
    return code == HWS_OK ? HWS_OK : hws_err_set(err, code, "device process: %s", why.msg);
}
