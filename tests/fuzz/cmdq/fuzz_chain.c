/*
 * Mailbox chains as a card may leave them: block bytes from the input, read back as a reply. What
 * passes the checks must be what was in the blocks.
 */
#include <string.h>

#include "base/assert.h"
#include "cmdq/mailbox.h"
#include "fake_bar.h"
#include "ifc/sig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_BLOCKS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fake_bar fake;
    struct hws_cmdq_pool pool;
    uint8_t out[N_BLOCKS * 512];
    uint32_t head = 0;

    if (size < 3) {
        return 0;
    }
    uint8_t token = data[0];
    uint8_t flags = data[1];
    size_t n_bytes = data[2] * (size_t)N_BLOCKS * 512 / 255;
    data += 3;
    size -= 3;
    fake_bar_init(&fake, 5, 6);
    if (hws_cmdq_pool_open(&pool, &fake.bar, 2 * N_BLOCKS, NULL) != HWS_OK) {
        return 0;
    }
    hws_assert(hws_cmdq_pool_take(&pool, N_BLOCKS, &head));
    hws_cmdq_chain_write(&pool, head, token, NULL, 0);
    for (uint32_t i = 0; i < N_BLOCKS && size > 0; i++) {
        struct hws_mbox *m =
            (struct hws_mbox *)(void *)((uint8_t *)pool.mem.host + (size_t)i * HWS_MBOX_ALIGN);
        size_t n = size < sizeof(*m) ? size : sizeof(*m);
        memcpy(m, data, n);
        data += n;
        size -= n;
        if ((flags >> i & 1) != 0) {
            m->token = token;
            m->block_idx = hws_be32_of(i);
            m->next = hws_be64_of(i + 1 < N_BLOCKS ? hws_cmdq_block_addr(&pool, i + 1) : 0);
            hws_sig_mbox_set(m);
        }
    }
    if (hws_cmdq_chain_read(&pool, head, token, out, n_bytes, NULL) == HWS_OK) {
        for (size_t at = 0; at < n_bytes; at += 512) {
            size_t n = n_bytes - at < 512 ? n_bytes - at : 512;
            hws_assert(memcmp(out + at, (uint8_t *)pool.mem.host + at / 512 * HWS_MBOX_ALIGN, n) ==
                       0);
        }
    }
    hws_cmdq_pool_give(&pool, head, N_BLOCKS);
    hws_cmdq_pool_deinit(&pool);
    hws_assert(fake.n_live == 0);
    return 0;
}
