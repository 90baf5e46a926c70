/*
 * The mailbox pool: every block the queue will ever use, in one piece of shared memory, and chains
 * of them. Which block follows which is kept in our own memory; the next pointers in shared memory
 * are for the card and are never followed by us, since the card could have changed them.
 *
 * Thread rule: the queue's thread. Nothing allocates after open.
 */
#ifndef HWS_CMDQ_MAILBOX_H
#define HWS_CMDQ_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ifc/bar.h"
#include "ifc/mailbox.h"

#define HWS_CMDQ_NO_BLOCK   UINT32_MAX
#define HWS_CMDQ_MAX_BLOCKS 131072u /* 128 MiB of blocks */

struct hws_cmdq_pool {
    struct hws_bar *bar; /* borrowed (outlives the pool) */
    struct hws_dma mem;  /* owned; n_blocks of HWS_MBOX_ALIGN bytes */
    uint32_t *next;      /* owned; the block after this one, in a chain or in the free list */
    uint32_t n_blocks;
    uint32_t free_head;
    uint32_t n_free;
};

/* n_blocks is 1..HWS_CMDQ_MAX_BLOCKS. HWS_E_INVALID, HWS_E_NOMEM, the port's errors. A failed open
 * needs no undo. */
enum hws_code hws_cmdq_pool_open(struct hws_cmdq_pool *pool, struct hws_bar *bar, uint32_t n_blocks,
                                 struct hws_err *err) HWS_MUST_USE;

/* Frees the memory; the card loses it, too. Accepts a zeroed pool. */
void hws_cmdq_pool_deinit(struct hws_cmdq_pool *pool);

/* Takes a chain of n blocks (0 is allowed) and sets *out_head; false if the pool has fewer. */
bool hws_cmdq_pool_take(struct hws_cmdq_pool *pool, uint32_t n, uint32_t *out_head) HWS_MUST_USE;

/* Gives a chain of n blocks back. */
void hws_cmdq_pool_give(struct hws_cmdq_pool *pool, uint32_t head, uint32_t n);

/* The device address of a block; 0 for HWS_CMDQ_NO_BLOCK. */
uint64_t hws_cmdq_block_addr(const struct hws_cmdq_pool *pool, uint32_t block);

/*
 * Writes a chain for the card: n_bytes of payload (zero filled to whole blocks), links, numbers,
 * token and signatures. bytes NULL makes an empty chain for the card to fill.
 */
void hws_cmdq_chain_write(struct hws_cmdq_pool *pool, uint32_t head, uint8_t token,
                          const uint8_t *bytes, size_t n_bytes);

/*
 * Copies n_bytes out of a chain that the card has filled, each block through a private copy that is
 * checked first: signatures, token, number, link. HWS_E_PROTO names the first block that is wrong;
 * out is then partly written and worthless.
 */
enum hws_code hws_cmdq_chain_read(const struct hws_cmdq_pool *pool, uint32_t head, uint8_t token,
                                  uint8_t *out, size_t n_bytes, struct hws_err *err) HWS_MUST_USE;

#endif
