/*
 * The file that an export of an audit log appends to. What is in it says how far the export came:
 * its last whole line, so that an export that was cut off anywhere goes on with the record that
 * follows, none twice and none left out. A line cut within, by a crash or a full disk, is taken off
 * at open. One export at a time holds the file.
 *
 * When the file is renamed or replaced (logrotate), hws_export_file_moved says so; the owner then
 * closes it and opens the path anew. Blocks.
 */
#ifndef HWS_CLI_EXPORT_FILE_H
#define HWS_CLI_EXPORT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "record/line.h"

/* How far a file came. */
struct hws_export_end {
    uint64_t seq; /* its last record, or the end of its last gap; 0: it holds none */
    bool has_hash;
    struct hws_digest hash; /* of that record */
    bool has_checkpoint;
    struct hws_checkpoint checkpoint; /* the last one behind it */
};

struct hws_export_file {
    int fd;           /* owned, but for stdout; -1 = closed */
    const char *path; /* borrowed; NULL = stdout */
    bool regular;     /* else a pipe or a terminal: nothing is read, moved or synced */
    ino_t inode;
    uint64_t n_bytes; /* in it, as far as we know */
};

/*
 * Opens the file at path to append to it (NULL: stdout), makes it if there is none, and finds its
 * end. HWS_E_IO, HWS_E_NOMEM; HWS_E_STATE: another export holds it; HWS_E_PROTO: its last line is
 * none of an export, and nothing was changed.
 */
enum hws_code hws_export_file_open(struct hws_export_file *f, const char *path,
                                   struct hws_export_end *out, struct hws_err *err) HWS_MUST_USE;

/* The end of the file of this inode that stands beside path under a longer name ("log.jsonl.1").
 * HWS_E_NOT_FOUND; else as open. */
enum hws_code hws_export_file_rotated(const char *path, ino_t inode, struct hws_export_end *out,
                                      struct hws_err *err) HWS_MUST_USE;

/* True if the path names another file by now, or none, or this one was cut. */
bool hws_export_file_moved(const struct hws_export_file *f);

/* Appends n bytes. HWS_E_IO: some of them may be in the file. */
enum hws_code hws_export_file_put(struct hws_export_file *f, const void *bytes, size_t n,
                                  struct hws_err *err) HWS_MUST_USE;

/* Makes what was appended durable. HWS_E_IO. */
enum hws_code hws_export_file_sync(struct hws_export_file *f, struct hws_err *err) HWS_MUST_USE;

/* Accepts a closed one. */
void hws_export_file_close(struct hws_export_file *f);

#endif
