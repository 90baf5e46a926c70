/*
 * The mailbox pool and its chains.
 *
 * Way of a block: free list -> chain (chain_write fills it) -> the card -> chain_read -> free list.
 * Failure modes: pool dry (take says false); a lying card (chain_read checks a private copy of each
 * block, so that nothing changes between check and use).
 */
#include "cmdq/mailbox.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "ifc/sig.h"

static struct hws_mbox *block_at(const struct hws_cmdq_pool *pool, uint32_t block)
{
    hws_assert(block < pool->n_blocks);
    return (struct hws_mbox *)(void *)((uint8_t *)pool->mem.host + (size_t)block * HWS_MBOX_ALIGN);
}

enum hws_code hws_cmdq_pool_open(struct hws_cmdq_pool *pool, struct hws_bar *bar, uint32_t n_blocks,
                                 struct hws_err *err)
{
    *pool = (struct hws_cmdq_pool){.bar = bar};
    if (n_blocks == 0 || n_blocks > HWS_CMDQ_MAX_BLOCKS) {
        return hws_err_set(err, HWS_E_INVALID, "mailbox pool: %u blocks, allowed are 1..%u",
                           n_blocks, HWS_CMDQ_MAX_BLOCKS);
    }
    pool->next = hws_mem_alloc((size_t)n_blocks * sizeof(*pool->next));
    if (pool->next == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "mailbox pool: out of memory");
    }
    enum hws_code rc = bar->ops->dma_alloc(bar, (size_t)n_blocks * HWS_MBOX_ALIGN, HWS_MBOX_ALIGN,
                                           &pool->mem, err);
    if (rc != HWS_OK) {
        hws_mem_free(pool->next);
        *pool = (struct hws_cmdq_pool){0};
        (void)hws_err_wrap(err, "mailbox pool");
        return rc;
    }
    /* Low blocks first, last given first taken: an idle queue touches few pages. */
    for (uint32_t i = 0; i < n_blocks; i++) {
        pool->next[i] = i + 1 < n_blocks ? i + 1 : HWS_CMDQ_NO_BLOCK;
    }
    pool->n_blocks = n_blocks;
    pool->n_free = n_blocks;
    return HWS_OK;
}

void hws_cmdq_pool_deinit(struct hws_cmdq_pool *pool)
{
    if (pool->next == NULL) {
        return;
    }
    pool->bar->ops->dma_free(pool->bar, &pool->mem);
    hws_mem_free(pool->next);
    *pool = (struct hws_cmdq_pool){0};
}

bool hws_cmdq_pool_take(struct hws_cmdq_pool *pool, uint32_t n, uint32_t *out_head)
{
    if (n > pool->n_free) {
        return false;
    }
    *out_head = n == 0 ? HWS_CMDQ_NO_BLOCK : pool->free_head;
    if (n == 0) {
        return true;
    }
    uint32_t tail = pool->free_head;
    for (uint32_t i = 1; i < n; i++) {
        tail = pool->next[tail];
    }
    pool->free_head = pool->next[tail];
    pool->next[tail] = HWS_CMDQ_NO_BLOCK;
    pool->n_free -= n;
    return true;
}

void hws_cmdq_pool_give(struct hws_cmdq_pool *pool, uint32_t head, uint32_t n)
{
    if (n == 0) {
        return;
    }
    uint32_t tail = head;
    for (uint32_t i = 1; i < n; i++) {
        tail = pool->next[tail];
    }
    pool->next[tail] = pool->free_head;
    pool->free_head = head;
    pool->n_free += n;
    hws_assert(pool->n_free <= pool->n_blocks);
}

uint64_t hws_cmdq_block_addr(const struct hws_cmdq_pool *pool, uint32_t block)
{
    return block == HWS_CMDQ_NO_BLOCK ? 0 : pool->mem.dev_addr + (uint64_t)block * HWS_MBOX_ALIGN;
}

void hws_cmdq_chain_write(struct hws_cmdq_pool *pool, uint32_t head, uint8_t token,
                          const uint8_t *bytes, size_t n_bytes)
{
    uint32_t idx = 0;

    for (uint32_t b = head; b != HWS_CMDQ_NO_BLOCK; b = pool->next[b], idx++) {
        struct hws_mbox *m = block_at(pool, b);
        size_t n = n_bytes < sizeof(m->data) ? n_bytes : sizeof(m->data);
        if (bytes == NULL) {
            n = 0;
        } else {
            memcpy(m->data, bytes, n);
            bytes += n;
            n_bytes -= n;
        }
        memset(m->data + n, 0, sizeof(*m) - n);
        m->next = hws_be64_of(hws_cmdq_block_addr(pool, pool->next[b]));
        m->block_idx = hws_be32_of(idx);
        m->token = token;
        if (n == 0) {
            hws_sig_mbox_set_empty(m);
        } else {
            hws_sig_mbox_set(m);
        }
    }
}

static enum hws_code check_block(const struct hws_cmdq_pool *pool, const struct hws_mbox *m,
                                 uint32_t block, uint32_t idx, uint8_t token, struct hws_err *err)
{
    if (!hws_sig_mbox_ok(m)) {
        return hws_err_set(err, HWS_E_PROTO, "reply block %u: signature error", idx);
    }
    if (m->token != token) {
        return hws_err_set(err, HWS_E_PROTO, "reply block %u: token %u, expected %u", idx, m->token,
                           token);
    }
    if (hws_be32_get(m->block_idx) != idx) {
        return hws_err_set(err, HWS_E_PROTO, "reply block %u: numbered %u", idx,
                           hws_be32_get(m->block_idx));
    }
    if (hws_be64_get(m->next) != hws_cmdq_block_addr(pool, pool->next[block])) {
        return hws_err_set(err, HWS_E_PROTO, "reply block %u: link changed", idx);
    }
    return HWS_OK;
}

enum hws_code hws_cmdq_chain_read(const struct hws_cmdq_pool *pool, uint32_t head, uint8_t token,
                                  uint8_t *out, size_t n_bytes, struct hws_err *err)
{
    uint32_t idx = 0;

    for (uint32_t b = head; b != HWS_CMDQ_NO_BLOCK && n_bytes > 0; b = pool->next[b], idx++) {
        struct hws_mbox copy;
        memcpy(&copy, block_at(pool, b), sizeof(copy));
        enum hws_code rc = check_block(pool, &copy, b, idx, token, err);
        if (rc != HWS_OK) {
            return rc;
        }
        size_t n = n_bytes < sizeof(copy.data) ? n_bytes : sizeof(copy.data);
        memcpy(out, copy.data, n);
        out += n;
        n_bytes -= n;
    }
    hws_assert(n_bytes == 0);
    return HWS_OK;
}
