/*
 * Journal bytes: loading never crashes, and what loads can be resumed and asked for its next
 * actions. Damage is caught by the checksum, so the target also mends each record's sum first: that
 * reaches the decoders.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/mem.h"
#include "rollout/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_ACTIONS 64

/* CRC-32C, bit by bit: the target must not depend on the layer's own. */
static uint32_t sum_of(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & (0 - (crc & 1)));
        }
    }
    return ~crc;
}

static void mend(uint8_t *p, size_t n)
{
    while (n >= HWS_ROLLOUT_RECORD_HEAD_BYTES) {
        uint32_t n_body = hws_load_be32(p);
        if (n_body > n - HWS_ROLLOUT_RECORD_HEAD_BYTES) {
            return;
        }
        hws_store_be32(p + 4, sum_of(p + 8, (size_t)n_body + 1));
        p += HWS_ROLLOUT_RECORD_HEAD_BYTES + n_body;
        n -= HWS_ROLLOUT_RECORD_HEAD_BYTES + n_body;
    }
}

static void use(struct hws_rollout *r)
{
    struct hws_rollout_action a = {.what = HWS_ROLLOUT_DO_NONE};

    if (hws_rollout_resume(r, HWS_ROLLOUT_RETRY_YES, 1, 2, NULL) != HWS_OK) {
        return;
    }
    for (int i = 0; i < MAX_ACTIONS; i++) {
        if (hws_rollout_next(r, 1, &a, NULL) != HWS_OK || a.what == HWS_ROLLOUT_DO_FINISHED) {
            return;
        }
        (void)hws_rollout_deadline(r);
    }
}

static void load(const uint8_t *data, size_t size)
{
    struct hws_rollout r;
    size_t used = 0;

    if (hws_rollout_load(&r, data, size, &used, NULL) == HWS_OK) {
        use(&r);
        hws_rollout_deinit(&r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    load(data, size);
    uint8_t *copy = hws_mem_dup(data, size);
    if (copy != NULL) {
        mend(copy, size);
        load(copy, size);
    }
    hws_mem_free(copy);
    return 0;
}
