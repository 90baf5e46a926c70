/* Files in shared memory: what was written, and what was synced. */
#include "mem_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "test.h"

#define FILE_BYTES ((size_t)8 << 20)
#define SECTOR     512u

struct side {
    uint64_t n;
    uint8_t bytes[FILE_BYTES];
};

struct content {
    bool exists;
    struct side now;
    struct side synced;
};

struct mem_file {
    sqlite3_file base;
    struct content *content;
};

#define N_FILES 3

static struct content *s_files; /* the database, its log, its rollback journal; shared */
static uint64_t s_die_at;
static uint64_t s_torn;
static uint64_t s_n_ops;

static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the next block */
static enum mem_vfs_fault s_fault;
static uint64_t s_fault_in; /* operations until it begins, that one included; 0 = it has */
static uint64_t s_part;

/* Counts an operation; true when the process is to die at it. */
static bool is_last(void)
{
    s_n_ops++;
    return s_die_at != 0 && --s_die_at == 0;
}

/* What is wrong with the disk at this operation. */
static enum mem_vfs_fault fault_now(uint64_t *part)
{
    (void)pthread_mutex_lock(&s_lock);
    s_fault_in -= s_fault_in > 0 ? 1 : 0;
    enum mem_vfs_fault fault = s_fault_in > 0 ? MEM_VFS_SOUND : s_fault;
    *part = s_part;
    (void)pthread_mutex_unlock(&s_lock);
    return fault;
}

static bool is_read_only(void)
{
    (void)pthread_mutex_lock(&s_lock);
    bool read_only = s_fault == MEM_VFS_EROFS && s_fault_in == 0;
    (void)pthread_mutex_unlock(&s_lock);
    return read_only;
}

void mem_vfs_fail_from(uint64_t nth, enum mem_vfs_fault fault, uint64_t part)
{
    (void)pthread_mutex_lock(&s_lock);
    s_fault = fault;
    s_fault_in = nth;
    s_part = part;
    (void)pthread_mutex_unlock(&s_lock);
}

static int mem_close(sqlite3_file *f)
{
    (void)f;
    return SQLITE_OK;
}

static int mem_read(sqlite3_file *f, void *dst, int n, sqlite3_int64 at)
{
    const struct side *s = &((struct mem_file *)f)->content->now;
    uint64_t left = (uint64_t)at < s->n ? s->n - (uint64_t)at : 0;
    size_t have = left < (uint64_t)n ? (size_t)left : (size_t)n;

    memcpy(dst, s->bytes + at, have);
    memset((uint8_t *)dst + have, 0, (size_t)n - have);
    return have == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int mem_write(sqlite3_file *f, const void *src, int n, sqlite3_int64 at)
{
    struct side *s = &((struct mem_file *)f)->content->now;
    size_t len = (size_t)n;
    bool last = is_last();
    uint64_t part;
    enum mem_vfs_fault fault = fault_now(&part);

    if ((uint64_t)at + len > FILE_BYTES || fault == MEM_VFS_ENOSPC) {
        return SQLITE_FULL;
    }
    if (fault == MEM_VFS_EROFS) {
        return SQLITE_IOERR_WRITE;
    }
    if (fault == MEM_VFS_SHORT) {
        len = (size_t)(part % len);
    }
    if (last) {
        len = (size_t)(s_torn % (len / SECTOR + 1)) * SECTOR;
    }
    memcpy(s->bytes + at, src, len);
    s->n = (uint64_t)at + len > s->n ? (uint64_t)at + len : s->n;
    if (last) {
        _exit(MEM_VFS_DEAD);
    }
    return fault == MEM_VFS_SHORT ? SQLITE_FULL : SQLITE_OK;
}

static int mem_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    uint64_t part;

    if (is_last()) {
        _exit(MEM_VFS_DEAD);
    }
    if (fault_now(&part) == MEM_VFS_EROFS) {
        return SQLITE_IOERR_TRUNCATE;
    }
    ((struct mem_file *)f)->content->now.n = (uint64_t)n;
    return SQLITE_OK;
}

static int mem_sync(sqlite3_file *f, int flags)
{
    struct content *c = ((struct mem_file *)f)->content;
    uint64_t part;

    (void)flags;
    if (is_last()) {
        _exit(MEM_VFS_DEAD);
    }
    if (fault_now(&part) == MEM_VFS_EIO_SYNC) {
        return SQLITE_IOERR_FSYNC;
    }
    memcpy(c->synced.bytes, c->now.bytes, c->now.n);
    c->synced.n = c->now.n;
    return SQLITE_OK;
}

static int mem_size(sqlite3_file *f, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)((struct mem_file *)f)->content->now.n;
    return SQLITE_OK;
}

static int mem_lock(sqlite3_file *f, int how)
{
    (void)f;
    (void)how;
    return SQLITE_OK;
}

static int mem_reserved(sqlite3_file *f, int *out)
{
    (void)f;
    *out = 0;
    return SQLITE_OK;
}

static int mem_control(sqlite3_file *f, int op, void *arg)
{
    (void)f;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int mem_sector(sqlite3_file *f)
{
    (void)f;
    return SECTOR;
}

static int mem_traits(sqlite3_file *f)
{
    (void)f;
    return 0;
}

static const sqlite3_io_methods s_methods = {.iVersion = 1,
                                             .xClose = mem_close,
                                             .xRead = mem_read,
                                             .xWrite = mem_write,
                                             .xTruncate = mem_truncate,
                                             .xSync = mem_sync,
                                             .xFileSize = mem_size,
                                             .xLock = mem_lock,
                                             .xUnlock = mem_lock,
                                             .xCheckReservedLock = mem_reserved,
                                             .xFileControl = mem_control,
                                             .xSectorSize = mem_sector,
                                             .xDeviceCharacteristics = mem_traits};

static struct content *content_of(const char *name)
{
    size_t n = name == NULL ? 0 : strlen(name);

    if (n > 4 && strcmp(name + n - 4, "-wal") == 0) {
        return &s_files[1];
    }
    return &s_files[n > 8 && strcmp(name + n - 8, "-journal") == 0 ? 2 : 0];
}

static int mem_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct mem_file *m = (struct mem_file *)f;

    (void)vfs;
    m->base.pMethods = NULL;
    m->content = content_of(name);
    if (is_read_only() && !m->content->exists) {
        return SQLITE_CANTOPEN;
    }
    m->base.pMethods = &s_methods;
    m->content->exists = true;
    if (out_flags != NULL) {
        *out_flags = flags;
    }
    return SQLITE_OK;
}

static int mem_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct content *c = content_of(name);
    uint64_t part;

    (void)vfs;
    (void)sync;
    if (is_last()) {
        _exit(MEM_VFS_DEAD);
    }
    if (fault_now(&part) == MEM_VFS_EROFS) {
        return SQLITE_IOERR_DELETE;
    }
    c->exists = false;
    c->now.n = 0;
    c->synced.n = 0;
    return SQLITE_OK;
}

static int mem_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)vfs;
    (void)flags;
    *out = content_of(name)->exists;
    return SQLITE_OK;
}

static int mem_path(sqlite3_vfs *vfs, const char *name, int cap, char *out)
{
    (void)vfs;
    return hws_str_copy(out, (size_t)cap, name) ? SQLITE_OK : SQLITE_CANTOPEN;
}

void mem_vfs_reset(void)
{
    static sqlite3_vfs vfs;

    if (s_files == NULL) {
        s_files = mmap(NULL, N_FILES * sizeof(*s_files), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(s_files != MAP_FAILED);
        vfs = *sqlite3_vfs_find(NULL);
        vfs.zName = MEM_VFS;
        vfs.pNext = NULL;
        vfs.iVersion = 1;
        vfs.szOsFile = (int)sizeof(struct mem_file);
        vfs.xOpen = mem_open;
        vfs.xDelete = mem_delete;
        vfs.xAccess = mem_access;
        vfs.xFullPathname = mem_path;
        assert_int_equal(sqlite3_vfs_register(&vfs, 0), SQLITE_OK);
    }
    for (int i = 0; i < N_FILES; i++) {
        s_files[i].exists = false;
        s_files[i].now.n = 0;
        s_files[i].synced.n = 0;
    }
    s_die_at = 0;
    s_n_ops = 0;
    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
}

void mem_vfs_die_at(uint64_t nth, uint64_t torn)
{
    s_die_at = nth;
    s_torn = torn;
}

uint64_t mem_vfs_n_ops(void)
{
    return s_n_ops;
}

static void cut(struct content *c, bool (*keep)(void *data), void *data)
{
    uint64_t n = c->now.n > c->synced.n ? c->now.n : c->synced.n;

    /* A file's length is on the disk or not, as its sectors are. */
    uint64_t len = keep(data) ? c->now.n : c->synced.n;
    memset(c->now.bytes + c->now.n, 0, n - c->now.n);
    memset(c->synced.bytes + c->synced.n, 0, n - c->synced.n);
    for (uint64_t at = 0; at < n; at += SECTOR) {
        if (!keep(data)) {
            memcpy(c->now.bytes + at, c->synced.bytes + at, SECTOR);
        }
    }
    c->now.n = len;
    memcpy(c->synced.bytes, c->now.bytes, n);
    c->synced.n = len;
}

void mem_vfs_power_cut(bool (*keep)(void *data), void *data)
{
    for (int i = 0; i < N_FILES; i++) {
        cut(&s_files[i], keep, data);
    }
}
