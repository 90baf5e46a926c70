/*
 * The receiving end of a dump: chunks go into FILE.part in order, each with its CRC-32C checked;
 * when the end has come and the SHA-256 of the whole is right, the file is synced and renamed to
 * FILE. A reader of FILE never sees half a dump.
 *
 *     open -> manifest -> chunk* -> end          after a lost connection: manifest again, then the
 * chunks that are left
 *
 * Blocks on the disk; for tools. One thread.
 */
#ifndef HWS_CLI_DUMPFILE_H
#define HWS_CLI_DUMPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypt/digest.h"

#define HWS_DUMPFILE_PATH_BYTES 4096 /* with NUL and ".part" */
#define HWS_DUMPFILE_ID_BYTES   129  /* with NUL */

struct hws_dumpfile {
    int fd; /* -1: closed */
    char path[HWS_DUMPFILE_PATH_BYTES];
    char part[HWS_DUMPFILE_PATH_BYTES];
    char dump_id[HWS_DUMPFILE_ID_BYTES]; /* empty before the first manifest */
    char sha256[HWS_DIGEST_HEX_BYTES];   /* as the manifest promised */
    uint64_t total;
    uint64_t offset; /* bytes held; where to resume */
    struct hws_sha256 hash;
    bool done; /* renamed */
};

/* Creates or empties FILE.part and locks it. HWS_E_INVALID for a path that is too long or that
 * names anything but a plain file, HWS_E_STATE if another pull has it, HWS_E_IO, HWS_E_DENIED,
 * HWS_E_NOT_FOUND (its folder), HWS_E_NOMEM. */
enum hws_code hws_dumpfile_open(struct hws_dumpfile *f, const char *path, struct hws_err *err)
    HWS_MUST_USE;

/* The first manifest sets what to expect; a later one must say the same, or it is HWS_E_CONFLICT.
 * HWS_E_PROTO for a malformed one. */
enum hws_code hws_dumpfile_manifest(struct hws_dumpfile *f, const char *dump_id, uint64_t total,
                                    const char *sha256, struct hws_err *err) HWS_MUST_USE;

/* HWS_E_PROTO: before a manifest, not the next offset, past the end, or a wrong CRC; HWS_E_IO. */
enum hws_code hws_dumpfile_chunk(struct hws_dumpfile *f, uint64_t offset, const uint8_t *bytes,
                                 size_t n, uint32_t crc32c, struct hws_err *err) HWS_MUST_USE;

/* HWS_E_PROTO: bytes missing, or the digest is not the promised one; HWS_E_IO. */
enum hws_code hws_dumpfile_end(struct hws_dumpfile *f, uint64_t total, const char *sha256,
                               struct hws_err *err) HWS_MUST_USE;

/* Forgets what is held, to begin with another dump. HWS_E_IO, HWS_E_NOMEM. */
enum hws_code hws_dumpfile_restart(struct hws_dumpfile *f, struct hws_err *err) HWS_MUST_USE;

/* Closes; removes FILE.part unless the dump is done. Accepts a zeroed struct with fd -1. */
void hws_dumpfile_close(struct hws_dumpfile *f);

#endif
