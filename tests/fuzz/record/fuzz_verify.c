/*
 * Any bytes as a log: a list of {u16 length, canonical bytes, 1 byte: seal it (even) or leave its
 * hashes damaged}. The walk must accept exactly the prefix that is a true chain.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "record/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hws_verify v;
    struct hws_digest prev = {{0}};
    uint64_t next = 0;
    bool sound = true;

    hws_verify_init(&v, 0, NULL);
    while (size >= 3) {
        struct hws_record r;
        size_t n = hws_load_be16(data);
        if (n > size - 3 || hws_record_decode(data + 2, n, &r, NULL) != HWS_OK) {
            break;
        }
        bool seal = data[2 + n] % 2 == 0;
        r.prev_hash = prev;
        enum hws_code rc = hws_record_hash(&prev, data + 2, n, &r.hash);
        hws_assert(rc == HWS_OK);
        if (!seal) {
            r.hash.b[data[2 + n] % HWS_DIGEST_BYTES] ^= 1;
        }
        sound = sound && seal && r.seq != 0 && (next == 0 || r.seq == next);
        rc = hws_verify_feed(&v, &r, NULL);
        hws_assert((rc == HWS_OK) == sound);
        prev = r.hash;
        next = r.seq + 1;
        data += n + 3;
        size -= n + 3;
    }
    hws_assert((hws_verify_end(&v, NULL) == HWS_OK) == sound);
    return 0;
}
