/*
 * A dump as a file is sent in chunks: 64 KiB each but the last, a CRC-32C each, one SHA-256 over
 * the whole, taken while the file is written. Pure; one thread at a time.
 */
#ifndef HWS_DUMP_CHUNK_H
#define HWS_DUMP_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "crypt/digest.h"

#define HWS_DUMP_CHUNK_BYTES 65536u

/* What is known of a finished dump; sent before its chunks. */
struct hws_dump_manifest {
    uint64_t total_bytes;
    uint32_t chunk_bytes;
    uint32_t n_chunks;
    struct hws_digest sha256;
};

/* Runs beside the writing of the file. Zeroed is a valid state for deinit. */
struct hws_dump_tally {
    uint64_t total_bytes;
    struct hws_sha256 sha;
};

enum hws_code hws_dump_tally_init(struct hws_dump_tally *tally) HWS_MUST_USE; /* HWS_E_NOMEM */
void hws_dump_tally_add(struct hws_dump_tally *tally, const void *bytes, size_t n);
enum hws_code hws_dump_tally_finish(struct hws_dump_tally *tally, struct hws_dump_manifest *out)
    HWS_MUST_USE;
void hws_dump_tally_deinit(struct hws_dump_tally *tally);

/* The bytes of the chunk at offset; HWS_E_INVALID unless offset is a multiple of the chunk size and
 * within the dump (offset == total is allowed: 0 bytes, nothing is left). */
enum hws_code hws_dump_chunk_at(const struct hws_dump_manifest *m, uint64_t offset, size_t *out_n,
                                struct hws_err *err) HWS_MUST_USE;

/* The checksum that goes beside a chunk. */
uint32_t hws_dump_chunk_crc(const void *bytes, size_t n);

#endif
