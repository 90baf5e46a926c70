/* Chunks of a finished dump, and the tally kept while it is written. */
#include "dump/chunk.h"

#include <inttypes.h>
#include <string.h>

#include "crypt/crc32c.h"

enum hws_code hws_dump_tally_init(struct hws_dump_tally *tally)
{
    tally->total_bytes = 0;
    return hws_sha256_init(&tally->sha);
}

void hws_dump_tally_add(struct hws_dump_tally *tally, const void *bytes, size_t n)
{
    hws_sha256_update(&tally->sha, bytes, n);
    tally->total_bytes += n;
}

enum hws_code hws_dump_tally_finish(struct hws_dump_tally *tally, struct hws_dump_manifest *out)
{
    struct hws_dump_manifest m = {.total_bytes = tally->total_bytes,
                                  .chunk_bytes = HWS_DUMP_CHUNK_BYTES};
    m.n_chunks = (uint32_t)((m.total_bytes + HWS_DUMP_CHUNK_BYTES - 1) / HWS_DUMP_CHUNK_BYTES);
    enum hws_code rc = hws_sha256_final(&tally->sha, &m.sha256);
    if (rc == HWS_OK) {
        *out = m;
    }
    return rc;
}

void hws_dump_tally_deinit(struct hws_dump_tally *tally)
{
    hws_sha256_deinit(&tally->sha);
}

enum hws_code hws_dump_chunk_at(const struct hws_dump_manifest *m, uint64_t offset, size_t *out_n,
                                struct hws_err *err)
{
    if (offset > m->total_bytes || (offset % m->chunk_bytes != 0 && offset != m->total_bytes)) {
        return hws_err_set(err, HWS_E_INVALID,
                           "offset %" PRIu64 " is not a multiple of %" PRIu32 " within %" PRIu64,
                           offset, m->chunk_bytes, m->total_bytes);
    }
    uint64_t left = m->total_bytes - offset;
    *out_n = left < m->chunk_bytes ? (size_t)left : m->chunk_bytes;
    return HWS_OK;
}

uint32_t hws_dump_chunk_crc(const void *bytes, size_t n)
{
    return hws_crc32c(0, bytes, n);
}
