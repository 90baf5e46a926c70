/*
 * An SQLite VFS whose files, a database, its write-ahead log and its rollback journal, live in
 * memory that processes share: a child that dies at a failpoint leaves them as a killed process or
 * a cut power would. Nothing is on a disk, so a death costs no time.
 */
#ifndef HWS_TESTS_MEM_VFS_H
#define HWS_TESTS_MEM_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define MEM_VFS "hawser-mem"

/* Makes the files, empty, in memory shared with children, and registers the VFS. */
void mem_vfs_reset(void);

/* The process dies (_exit(MEM_VFS_DEAD)) at its nth write, truncate or sync from now on, a write
 * perhaps after some of its sectors; 0 = never. */
#define MEM_VFS_DEAD 77
void mem_vfs_die_at(uint64_t nth, uint64_t torn);

/* As a power cut does: of what was written and not synced, each sector of 512 bytes stays or is as
 * it was by keep. */
void mem_vfs_power_cut(bool (*keep)(void *data), void *data);

/* What a failing disk answers. Codes are those that SQLite's own VFS makes of the errno. */
enum mem_vfs_fault {
    MEM_VFS_SOUND,
    MEM_VFS_ENOSPC,   /* no write succeeds */
    MEM_VFS_SHORT,    /* a part of the write takes place, then the disk is full */
    MEM_VFS_EIO_SYNC, /* writes succeed, no sync does */
    MEM_VFS_EROFS,    /* nothing is written, truncated, made or deleted */
    MEM_VFS_N_FAULTS
};

/* From the nth operation from now on (1 = the next) the disk fails like this, until it is made
 * SOUND or the files are reset; `part` says how much of a short write takes place. May be called
 * while a store runs. */
void mem_vfs_fail_from(uint64_t nth, enum mem_vfs_fault fault, uint64_t part);

/* Writes, truncates and syncs of the process so far. */
uint64_t mem_vfs_n_ops(void);

#endif
