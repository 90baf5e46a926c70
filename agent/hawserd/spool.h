/*
 * Dumps on their way out: a dump is a file first and a stream second, so that the adapter is free
 * again however slowly somebody reads. Files live in STATE/spool, bounded in number and bytes; the
 * oldest that nobody reads goes first. They survive a restart of hawserd, so that a pull can
 * resume.
 *
 * Layout of a file: one block of HWS_SPOOL_HEAD_BYTES with the manifest as "key value" lines, then
 * the dump's bytes. A file without a whole head is of a cut-off dump and is removed at start.
 * Thread rule: the loop thread. Writes are small and go to the page cache; nothing here is fsynced,
 * since the digest proves the bytes.
 */
#ifndef HWS_HAWSERD_SPOOL_H
#define HWS_HAWSERD_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "dump/chunk.h"

#define HWS_SPOOL_MAX_BYTES  (UINT64_C(256) << 20) /* of all files together */
#define HWS_SPOOL_MAX_FILES  32u
#define HWS_SPOOL_HEAD_BYTES 1024u
#define HWS_SPOOL_ID_BYTES   17u /* 16 hex digits and a NUL */

struct hws_spool {
    char dir[300];         /* STATE/spool */
    struct hws_list files; /* struct hws_spool_file, oldest first */
    size_t n_files;
    uint64_t total_bytes;
};

struct hws_spool_file {
    struct hws_list link;
    struct hws_spool *spool;
    char id[HWS_SPOOL_ID_BYTES];
    char device[128];
    char source[32];
    char format[64];
    char firmware[32];
    uint64_t taken_unix_ms;
    struct hws_dump_manifest manifest; /* valid when complete */
    bool complete;
    unsigned n_users; /* pulls that write or read it */
    int fd;           /* -1 = not open */
    uint64_t bytes;   /* written so far */
    struct hws_dump_tally tally;
};

/* What a new dump is of; texts are copied. */
struct hws_spool_what {
    const char *device;
    const char *source;
    const char *format;
    const char *firmware;
    uint64_t unix_ms;
};

/* Makes or scans state_dir/spool. HWS_E_IO. */
enum hws_code hws_spool_open(struct hws_spool *s, const char *state_dir, struct hws_err *err)
    HWS_MUST_USE;
void hws_spool_deinit(struct hws_spool *s);

/* A new file with one user. HWS_E_BUSY when everything is in use, HWS_E_IO, HWS_E_NOMEM. */
enum hws_code hws_spool_create(struct hws_spool *s, const struct hws_spool_what *what,
                               struct hws_spool_file **out, struct hws_err *err) HWS_MUST_USE;

/* Appends. HWS_E_BUSY over the quota, HWS_E_IO. */
enum hws_code hws_spool_write(struct hws_spool_file *f, const void *bytes, size_t n,
                              struct hws_err *err) HWS_MUST_USE;

/* The dump is whole: digest and head. */
enum hws_code hws_spool_commit(struct hws_spool_file *f, struct hws_err *err) HWS_MUST_USE;

/* A complete file with one more user; NULL if there is none with this id. */
struct hws_spool_file *hws_spool_use(struct hws_spool *s, const char *id);

/* One user less; a file that is not complete then is removed. */
void hws_spool_leave(struct hws_spool_file *f);

/* Exactly n bytes of the dump from offset. HWS_E_IO. */
enum hws_code hws_spool_read(struct hws_spool_file *f, uint64_t offset, void *bytes, size_t n,
                             struct hws_err *err) HWS_MUST_USE;

#endif
