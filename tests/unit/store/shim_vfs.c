/* The VFS shim. One lock guards all state, since the store's thread writes and the test's thread
 * reads. */
#include "shim_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "test.h"

#define MAX_OPS      20000u
#define SECTOR_BYTES 512u

struct shim_file {
    sqlite3_file base;
    bool wal;
    sqlite3_file *real; /* behind this struct */
};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    bool recording;
    struct shim_op ops[MAX_OPS];
    size_t n_ops;
    uint64_t fail_write;
    uint64_t fail_sync;
    int write_rc;
    int sync_rc;
} s_shim = {.lock = PTHREAD_MUTEX_INITIALIZER};

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct shim_file *)(void *)f)->real;
}

static void keep_op(enum shim_op_kind kind, bool wal, uint64_t offset, const void *bytes, size_t n)
{
    if (!s_shim.recording || s_shim.n_ops == MAX_OPS) {
        return;
    }
    struct shim_op *op = &s_shim.ops[s_shim.n_ops++];
    *op = (struct shim_op){.kind = kind, .wal = wal, .offset = offset, .n = n};
    op->bytes = n == 0 ? NULL : hws_mem_dup(bytes, n);
}

/* Counts down; the code to return when it hits, 0 otherwise. */
static int hit(uint64_t *countdown, int rc)
{
    if (*countdown == 0 || --*countdown > 0) {
        return SQLITE_OK;
    }
    return rc;
}

static int f_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int f_read(sqlite3_file *f, void *dst, int n, sqlite3_int64 at)
{
    return real_of(f)->pMethods->xRead(real_of(f), dst, n, at);
}

static int f_write(sqlite3_file *f, const void *src, int n, sqlite3_int64 at)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    int rc = hit(&s_shim.fail_write, s_shim.write_rc);
    if (rc == SQLITE_OK) {
        keep_op(SHIM_WRITE, ((struct shim_file *)(void *)f)->wal, (uint64_t)at, src, (size_t)n);
    }
    (void)pthread_mutex_unlock(&s_shim.lock);
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xWrite(real_of(f), src, n, at);
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    keep_op(SHIM_TRUNCATE, ((struct shim_file *)(void *)f)->wal, (uint64_t)size, NULL, 0);
    (void)pthread_mutex_unlock(&s_shim.lock);
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int f_sync(sqlite3_file *f, int flags)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    int rc = hit(&s_shim.fail_sync, s_shim.sync_rc);
    if (rc == SQLITE_OK) {
        keep_op(SHIM_SYNC, ((struct shim_file *)(void *)f)->wal, 0, NULL, 0);
    }
    (void)pthread_mutex_unlock(&s_shim.lock);
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int f_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int f_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int f_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int f_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int f_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int f_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    /* Version 1: no shared memory, which exclusive locking does not need. */
    static const sqlite3_io_methods methods = {.iVersion = 1,
                                               .xClose = f_close,
                                               .xRead = f_read,
                                               .xWrite = f_write,
                                               .xTruncate = f_truncate,
                                               .xSync = f_sync,
                                               .xFileSize = f_size,
                                               .xLock = f_lock,
                                               .xUnlock = f_unlock,
                                               .xCheckReservedLock = f_reserved,
                                               .xFileControl = f_control,
                                               .xSectorSize = f_sector,
                                               .xDeviceCharacteristics = f_traits};
    struct shim_file *f = (struct shim_file *)(void *)file;

    (void)vfs;
    f->base.pMethods = NULL;
    f->wal = (flags & SQLITE_OPEN_WAL) != 0;
    f->real = (sqlite3_file *)(void *)(f + 1);
    int rc = s_shim.real->xOpen(s_shim.real, name, f->real, flags, out_flags);
    if (f->real->pMethods != NULL) {
        f->base.pMethods = &methods;
    }
    return rc;
}

void shim_fail_write(uint64_t countdown, int rc)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    s_shim.fail_write = countdown;
    s_shim.write_rc = rc;
    (void)pthread_mutex_unlock(&s_shim.lock);
}

void shim_fail_sync(uint64_t countdown, int rc)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    s_shim.fail_sync = countdown;
    s_shim.sync_rc = rc;
    (void)pthread_mutex_unlock(&s_shim.lock);
}

void shim_reset(void)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    for (size_t i = 0; i < s_shim.n_ops; i++) {
        hws_mem_free(s_shim.ops[i].bytes);
    }
    s_shim.n_ops = 0;
    s_shim.recording = false;
    s_shim.fail_write = 0;
    s_shim.fail_sync = 0;
    bool registered = s_shim.real != NULL;
    if (!registered) {
        s_shim.real = sqlite3_vfs_find(NULL);
        s_shim.vfs = *s_shim.real;
        s_shim.vfs.zName = SHIM_VFS;
        s_shim.vfs.pNext = NULL;
        s_shim.vfs.szOsFile = (int)sizeof(struct shim_file) + s_shim.real->szOsFile;
        s_shim.vfs.xOpen = v_open;
    }
    (void)pthread_mutex_unlock(&s_shim.lock);
    if (!registered) {
        assert_int_equal(sqlite3_vfs_register(&s_shim.vfs, 0), SQLITE_OK);
    }
}

void shim_record(void)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    s_shim.recording = true;
    (void)pthread_mutex_unlock(&s_shim.lock);
}

size_t shim_n_ops(void)
{
    (void)pthread_mutex_lock(&s_shim.lock);
    size_t n = s_shim.n_ops;
    (void)pthread_mutex_unlock(&s_shim.lock);
    return n;
}

const struct shim_op *shim_op(size_t idx)
{
    return &s_shim.ops[idx];
}

static void put(FILE *f, const struct shim_op *op, bool synced, bool (*keep)(void *), void *data)
{
    for (size_t at = 0; at < op->n; at += SECTOR_BYTES) {
        size_t n = op->n - at < SECTOR_BYTES ? op->n - at : SECTOR_BYTES;
        if (synced || keep(data)) {
            assert_int_equal(fseek(f, (long)(op->offset + at), SEEK_SET), 0);
            assert_int_equal(fwrite(op->bytes + at, 1, n, f), n);
        }
    }
}

static void make_file(const char *path, bool wal, size_t n_ops, bool (*keep)(void *), void *data)
{
    FILE *f = fopen(path, "wb+");
    size_t n_synced = 0; /* operations up to the last sync of this file */

    assert_non_null(f);
    for (size_t i = 0; i < n_ops; i++) {
        if (s_shim.ops[i].wal == wal && s_shim.ops[i].kind == SHIM_SYNC) {
            n_synced = i;
        }
    }
    for (size_t i = 0; i < n_ops; i++) {
        const struct shim_op *op = &s_shim.ops[i];
        if (op->wal == wal && op->kind == SHIM_WRITE) {
            put(f, op, i < n_synced, keep, data);
        }
    }
    assert_int_equal(fclose(f), 0);
}

void shim_power_cut(const char *path, size_t n_ops, bool (*keep)(void *data), void *data)
{
    char wal[160];

    (void)hws_str_print(wal, sizeof(wal), "%s-wal", path);
    (void)pthread_mutex_lock(&s_shim.lock);
    make_file(path, false, n_ops, keep, data);
    make_file(wal, true, n_ops, keep, data);
    (void)pthread_mutex_unlock(&s_shim.lock);
}
