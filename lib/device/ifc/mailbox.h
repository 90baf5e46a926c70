/*
 * The mailbox block: a link of the chain that carries what does not fit the entry's 16 inline
 * bytes.
 *
 *   0x000  data, 512 bytes
 *   0x200  reserved, 48 bytes
 *   0x230  address of the next block, 0 = last
 *   0x238  block number, 0.. from the head
 *   0x23c  reserved         0x23d  token
 *   0x23e  control signature: makes the xor of 0x200..0x23e 0xff
 *   0x23f  signature:         makes the xor of all 576 bytes 0xff
 *
 * An input chain may be longer than its length needs and its tail may hold stale bytes: readers
 * stop by length, not by a zero next pointer. Source: struct mlx5_cmd_prot_block
 * (include/linux/mlx5/driver.h) and core/cmd.c, Linux 7.2.13.
 */
#ifndef HWS_IFC_MAILBOX_H
#define HWS_IFC_MAILBOX_H

#include <assert.h>
#include <stddef.h>

#include "base/bits.h"
#include "ifc/entry.h"

#define HWS_MBOX_DATA_BYTES 512u
#define HWS_MBOX_BYTES      576u
#define HWS_MBOX_ALIGN      1024u /* core/cmd.c dma_pool_create; next_pointer_31_10 in mlx5_ifc.h */
#define HWS_MBOX_CTL_OFFSET 0x200u

/* The longest chain: 2 MiB less the inline bytes. */
#define HWS_MBOX_MAX_BLOCKS 4096u

struct hws_mbox {
    uint8_t data[512];
    uint8_t reserved_200[48];
    hws_be64 next;      /* device address, HWS_MBOX_ALIGN aligned, 0 = last */
    hws_be32 block_idx; /* 0 at the head */
    uint8_t reserved_23c;
    uint8_t token;
    uint8_t ctl_sig;
    uint8_t sig;
};

static_assert(sizeof(struct hws_mbox) == HWS_MBOX_BYTES, "block size");
static_assert(offsetof(struct hws_mbox, next) == 0x230, "next");
static_assert(offsetof(struct hws_mbox, block_idx) == 0x238, "block_idx");
static_assert(offsetof(struct hws_mbox, token) == 0x23d, "token");
static_assert(offsetof(struct hws_mbox, ctl_sig) == 0x23e, "ctl_sig");
static_assert(offsetof(struct hws_mbox, sig) == 0x23f, "sig");

/* Blocks that a box of n_bytes needs beyond its 16 inline bytes. */
static inline uint32_t hws_mbox_n_blocks(size_t n_bytes)
{
    return n_bytes <= HWS_ENTRY_INLINE_BYTES
               ? 0
               : (uint32_t)((n_bytes - HWS_ENTRY_INLINE_BYTES + HWS_MBOX_DATA_BYTES - 1) /
                            HWS_MBOX_DATA_BYTES);
}

#endif
