/*
 * An SQLite VFS for tests: passes everything to the default one, fails a write or sync when told
 * to, and keeps a log of what was written and synced, from which the disk of any moment can be made
 * again.
 */
#ifndef HWS_TESTS_SHIM_VFS_H
#define HWS_TESTS_SHIM_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHIM_VFS "hawser-shim"

enum shim_op_kind { SHIM_WRITE, SHIM_TRUNCATE, SHIM_SYNC };

struct shim_op {
    enum shim_op_kind kind;
    bool wal;        /* the log; else the database */
    uint64_t offset; /* of a write; new size of a truncate */
    size_t n;
    uint8_t *bytes; /* owned by the log */
};

/* Registers the VFS once per process and starts with an empty log and no faults. */
void shim_reset(void);

/* The write or sync number `countdown` from now (1 = the next) returns this SQLite code; 0 = none.
 */
void shim_fail_write(uint64_t countdown, int rc);
void shim_fail_sync(uint64_t countdown, int rc);

/* Starts keeping operations. */
void shim_record(void);

size_t shim_n_ops(void);
const struct shim_op *shim_op(size_t idx);

/*
 * Writes database and log (path, path-wal) as a power cut after the first n_ops operations may
 * leave them: what was synced is there; of each later write, every 512-byte sector is there or not
 * by keep(data).
 */
void shim_power_cut(const char *path, size_t n_ops, bool (*keep)(void *data), void *data);

#endif
