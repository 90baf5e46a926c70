/* Rollout journals on disk: a log of pieces; the pieces joined are the journal's bytes. */
#include "fleet/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "client/file.h"
#include "rollout/rollout.h"

#define NAMESPACE "rollout"
#define LOG_KEY   "journal"

enum hws_code hws_fleet_journal_path(const char *dir, const char *name, char *dst, size_t cap,
                                     struct hws_err *err)
{
    if (!hws_str_print(dst, cap, "%s/%s.db", dir, name)) {
        return hws_err_set(err, HWS_E_INVALID, "the state folder's name is too long");
    }
    return HWS_OK;
}

enum hws_code hws_fleet_make_dir(const char *dir, struct hws_err *err)
{
    char path[HWS_FLEET_PATH_BYTES];

    if (!hws_str_copy(path, sizeof(path), dir) || path[0] == '\0') {
        return hws_err_set(err, HWS_E_INVALID, "the state folder's name is empty or too long");
    }
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        bool last = *p == '\0';
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return hws_err_set(err, errno == EACCES ? HWS_E_DENIED : HWS_E_IO,
                               "cannot make the folder %.160s: %s", path, strerror(errno));
        }
        if (last) {
            return HWS_OK;
        }
        *p = '/';
    }
}

/* Takes NAME.lock, or says that another process has it. */
static enum hws_code take_lock(struct hws_fleet_journal *j, const char *dir, const char *name,
                               struct hws_err *err)
{
    char path[HWS_FLEET_PATH_BYTES];

    if (!hws_str_print(path, sizeof(path), "%s/%s.lock", dir, name)) {
        return hws_err_set(err, HWS_E_INVALID, "the state folder's name is too long");
    }
    j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->lock_fd < 0) {
        return hws_err_set(err, errno == EACCES ? HWS_E_DENIED : HWS_E_IO, "cannot open %.160s: %s",
                           path, strerror(errno));
    }
    if (flock(j->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(j->lock_fd);
        j->lock_fd = -1;
        return hws_err_set(err, HWS_E_STATE, "rollout %s is in the hands of another process", name);
    }
    return HWS_OK;
}

/* What must be there, is; what must not be, is not. */
static enum hws_code check_there(const char *dir, const char *name, const char *path, bool create,
                                 struct hws_err *err)
{
    bool there = access(path, F_OK) == 0;

    if (create && there) {
        return hws_err_set(err, HWS_E_EXISTS,
                           "there is a rollout %s already: see hawser rollout status %s, or "
                           "choose another name",
                           name, name);
    }
    if (!create && !there) {
        return hws_err_set(err, HWS_E_NOT_FOUND,
                           "there is no rollout %s in %.120s; see hawser rollout list", name, dir);
    }
    return HWS_OK;
}

enum hws_code hws_fleet_journal_open(struct hws_fleet_journal *j, const char *dir, const char *name,
                                     bool create, struct hws_err *err)
{
    char path[HWS_FLEET_PATH_BYTES];

    memset(j, 0, sizeof(*j));
    j->lock_fd = -1;
    enum hws_code rc = create ? hws_fleet_make_dir(dir, err) : HWS_OK;
    if (rc == HWS_OK) {
        rc = hws_fleet_journal_path(dir, name, path, sizeof(path), err);
    }
    if (rc == HWS_OK) {
        rc = check_there(dir, name, path, create, err);
    }
    if (rc == HWS_OK) {
        rc = take_lock(j, dir, name, err);
    }
    if (rc != HWS_OK) {
        return rc;
    }
    const struct hws_store_options options = {.path = path};
    rc = hws_store_open(&options, &j->store, err);
    if (rc == HWS_OK) {
        return HWS_OK;
    }
    (void)close(j->lock_fd);
    j->lock_fd = -1;
    return hws_err_wrap(err, "rollout %s", name);
}

enum hws_code hws_fleet_journal_remove(const char *dir, const char *name, struct hws_err *err)
{
    static const char *const ends[] = {"-wal", "-shm", ""}; /* the file itself last */
    struct hws_fleet_journal lock = {.lock_fd = -1};
    char path[HWS_FLEET_PATH_BYTES];
    enum hws_code rc = take_lock(&lock, dir, name, err);

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]) && rc == HWS_OK; i++) {
        if (!hws_str_print(path, sizeof(path), "%s/%s.db%s", dir, name, ends[i])) {
            rc = hws_err_set(err, HWS_E_INVALID, "the state folder's name is too long");
        } else if (unlink(path) != 0 && errno != ENOENT) {
            rc = hws_err_set(err, HWS_E_IO, "cannot remove %.160s: %s", path, strerror(errno));
        }
    }
    if (lock.lock_fd >= 0) {
        (void)close(lock.lock_fd);
    }
    return rc;
}

enum hws_code hws_fleet_journal_read(struct hws_fleet_journal *j, struct hws_buf *out,
                                     struct hws_err *err)
{
    uint64_t after = 0;

    for (;;) {
        struct hws_store_kv job;
        hws_store_kv_init(&job, HWS_STORE_KV_LOG, NAMESPACE, LOG_KEY);
        job.after_seq = after;
        enum hws_code rc = hws_store_run(j->store, &job.job, err);
        for (size_t i = 0; rc == HWS_OK && i < job.n_pairs; i++) {
            rc = hws_buf_put(out, job.pairs[i].value.bytes, job.pairs[i].value.n);
            after = job.pairs[i].seq;
            if (rc != HWS_OK) {
                (void)hws_err_set(err, rc, "the journal does not fit in memory");
            }
        }
        bool more = rc == HWS_OK && job.n_pairs > 0;
        hws_store_job_deinit(&job.job);
        if (!more) {
            return rc == HWS_E_NOT_FOUND ? HWS_OK : rc;
        }
    }
}

/* ---- peeking ---- */

#define PEEK_TRIES 5

static const char *const peek_suffixes[] = {".db", ".db-wal"};
#define N_PEEK_FILES (sizeof(peek_suffixes) / sizeof(peek_suffixes[0]))

static enum hws_code copy_file(const char *from, const char *to, struct hws_err *err)
{
    struct hws_buf bytes;

    hws_buf_init(&bytes, 4 * HWS_ROLLOUT_MAX_JOURNAL_BYTES);
    enum hws_code rc = hws_file_read(from, &bytes, err);
    FILE *f = rc == HWS_OK ? fopen(to, "wbx") : NULL;
    if (rc == HWS_OK) {
        size_t n = hws_buf_len(&bytes);
        bool ok = f != NULL && fwrite(hws_buf_peek(&bytes), 1, n, f) == n;
        ok = f != NULL && fclose(f) == 0 && ok;
        rc = ok ? HWS_OK
                : hws_err_set(err, HWS_E_IO, "cannot copy the journal: %s", strerror(errno));
    }
    hws_buf_deinit(&bytes);
    return rc;
}

/* Copies the database first, then its log: a checkpoint in between shows as damage, not as a wrong
 * answer, since rows carry digests and records sums. */
static enum hws_code copy_files(const char *dir, const char *name, const char *to,
                                struct hws_err *err)
{
    for (size_t i = 0; i < N_PEEK_FILES; i++) {
        char from[HWS_FLEET_PATH_BYTES];
        char copy[HWS_FLEET_PATH_BYTES];
        if (!hws_str_print(from, sizeof(from), "%s/%s%s", dir, name, peek_suffixes[i]) ||
            !hws_str_print(copy, sizeof(copy), "%s/copy%s", to, peek_suffixes[i])) {
            return hws_err_set(err, HWS_E_INVALID, "the state folder's name is too long");
        }
        enum hws_code rc = copy_file(from, copy, err);
        if (rc != HWS_OK && !(rc == HWS_E_NOT_FOUND && i > 0)) {
            return rc;
        }
    }
    return HWS_OK;
}

static void remove_copies(const char *to)
{
    static const char *const suffixes[] = {".db", ".db-wal", ".lock", ".db.ballast"};

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[HWS_FLEET_PATH_BYTES];
        if (hws_str_print(path, sizeof(path), "%s/copy%s", to, suffixes[i])) {
            (void)unlink(path);
        }
    }
    (void)rmdir(to);
}

static enum hws_code peek_once(const char *dir, const char *name, struct hws_buf *out,
                               struct hws_err *err)
{
    struct hws_fleet_journal j;
    char to[HWS_FLEET_PATH_BYTES];

    if (!hws_str_print(to, sizeof(to), "%s/.peek-XXXXXX", dir) || mkdtemp(to) == NULL) {
        return hws_err_set(err, HWS_E_IO, "cannot copy the journal: %s", strerror(errno));
    }
    enum hws_code rc = copy_files(dir, name, to, err);
    if (rc == HWS_OK) {
        rc = hws_fleet_journal_open(&j, to, "copy", false, err);
    }
    if (rc == HWS_OK) {
        hws_buf_reset(out);
        rc = hws_fleet_journal_read(&j, out, err);
        hws_fleet_journal_close(&j, NULL, NULL);
    }
    remove_copies(to);
    return rc;
}

enum hws_code hws_fleet_journal_peek(const char *dir, const char *name, struct hws_buf *out,
                                     struct hws_err *err)
{
    enum hws_code rc = HWS_E_PROTO;

    for (int i = 0; i < PEEK_TRIES && rc == HWS_E_PROTO; i++) {
        rc = peek_once(dir, name, out, err);
    }
    return rc == HWS_E_PROTO
               ? hws_err_set(err, HWS_E_BUSY, "rollout %s is changing; look again", name)
               : rc;
}

/* ---- appending ---- */

static void on_store(uv_poll_t *poll, int status, int events)
{
    struct hws_fleet_journal *j = poll->data;

    (void)status;
    (void)events;
    hws_store_turn(j->store);
}

enum hws_code hws_fleet_journal_attach(struct hws_fleet_journal *j, uv_loop_t *loop,
                                       struct hws_err *err)
{
    if (uv_poll_init(loop, &j->poll, hws_store_fd(j->store)) != 0) {
        return hws_err_set(err, HWS_E_IO, "cannot watch the journal");
    }
    j->poll.data = j;
    j->poll_open = true;
    if (uv_poll_start(&j->poll, UV_READABLE, on_store) != 0) {
        return hws_err_set(err, HWS_E_IO, "cannot watch the journal");
    }
    return HWS_OK;
}

static void finish(struct hws_fleet_journal *j, const struct hws_err *err)
{
    void (*done)(void *data, const struct hws_err *err) = j->done;

    j->done = NULL;
    hws_buf_reset(&j->bytes);
    done(j->data, err);
}

static enum hws_code put_piece(struct hws_fleet_journal *j, struct hws_err *err);

static void on_piece(struct hws_store_job *job)
{
    struct hws_fleet_journal *j = job->data;
    struct hws_err err = job->err;

    hws_store_job_deinit(job);
    hws_buf_take(&j->bytes, j->piece);
    if (err.code == HWS_OK && hws_buf_len(&j->bytes) > 0 && put_piece(j, &err) == HWS_OK) {
        return;
    }
    finish(j, err.code == HWS_OK ? NULL : &err);
}

static enum hws_code put_piece(struct hws_fleet_journal *j, struct hws_err *err)
{
    size_t n = hws_buf_len(&j->bytes);

    j->piece = n < HWS_STORE_VALUE_MAX_BYTES ? n : HWS_STORE_VALUE_MAX_BYTES;
    hws_store_kv_init(&j->job, HWS_STORE_KV_APPEND, NAMESPACE, LOG_KEY);
    j->job.value = (struct hws_span){hws_buf_peek(&j->bytes), j->piece};
    j->job.job.cb = on_piece;
    j->job.job.data = j;
    return hws_store_submit(j->store, &j->job.job, err);
}

enum hws_code hws_fleet_journal_append(struct hws_fleet_journal *j, const uint8_t *bytes, size_t n,
                                       void (*done)(void *data, const struct hws_err *err),
                                       void *data, struct hws_err *err)
{
    if (j->done != NULL) {
        return hws_err_set(err, HWS_E_BUSY, "the journal is being written");
    }
    if (hws_buf_put(&j->bytes, bytes, n) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "no memory for the journal");
    }
    enum hws_code rc = put_piece(j, err);
    if (rc != HWS_OK) {
        hws_buf_reset(&j->bytes);
        return rc;
    }
    j->done = done;
    j->data = data;
    return HWS_OK;
}

static void poll_closed(uv_handle_t *handle)
{
    struct hws_fleet_journal *j = handle->data;

    j->poll_open = false;
    if (j->closed != NULL) {
        j->closed(j->closed_data);
    }
}

void hws_fleet_journal_close(struct hws_fleet_journal *j, void (*closed)(void *data), void *data)
{
    j->closed = closed;
    j->closed_data = data;
    if (j->poll_open) {
        (void)uv_poll_stop(&j->poll);
    }
    hws_store_close_wait(j->store);
    if (j->store != NULL) {
        (void)close(j->lock_fd);
    }
    j->store = NULL;
    hws_buf_deinit(&j->bytes);
    if (j->poll_open) {
        uv_close((uv_handle_t *)&j->poll, poll_closed);
    }
}
