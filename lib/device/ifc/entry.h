/*
 * The command queue entry: 64 bytes in host memory that driver and card hand to each other.
 *
 *   0x00  type = 7          0x01  reserved
 *   0x04  input length, bytes, with the 16 inline bytes
 *   0x08  input mailbox address, 0 if the input fits inline
 *   0x10  input bytes 0..15 (opcode, uid, op_mod, ...)
 *   0x20  output bytes 0..15 (status, syndrome, ...)
 *   0x30  output mailbox address, 0 if the output fits inline
 *   0x38  output length, bytes
 *   0x3c  token             0x3d  signature        0x3e  reserved
 *   0x3f  [7:1] delivery status  [0] owner: 1 card, 0 driver
 *
 * Source: struct mlx5_cmd_layout (include/linux/mlx5/device.h) and cmd_queue_entry
 * (include/linux/mlx5/mlx5_ifc.h), Linux 7.2.13.
 */
#ifndef HWS_IFC_ENTRY_H
#define HWS_IFC_ENTRY_H

#include <assert.h>
#include <stddef.h>

#include "base/bits.h"

#define HWS_ENTRY_BYTES        64u
#define HWS_ENTRY_INLINE_BYTES 16u
#define HWS_ENTRY_TYPE_PCI     7u    /* core/cmd.c MLX5_PCI_CMD_XPORT */
#define HWS_ENTRY_OWNER_HW     0x01u /* device.h CMD_OWNER_HW */

/* Entries per queue and bytes per queue page (core/cmd.c: log_sz <= 5, log_sz + log_stride <= 12).
 */
#define HWS_ENTRY_MAX_LOG_SIZE   5u
#define HWS_ENTRY_MAX_LOG_PAGE   12u
#define HWS_ENTRY_QUEUE_BYTES    4096u
#define HWS_ENTRY_MAX_SLOTS      32u
#define HWS_ENTRY_MIN_LOG_STRIDE 6u /* an entry is 64 bytes */

/* Mailbox addresses in an entry are 512-byte aligned (mlx5_ifc.h: input_mailbox_pointer_31_9). */
#define HWS_ENTRY_PTR_ALIGN 512u

struct hws_entry {
    uint8_t type;           /* HWS_ENTRY_TYPE_PCI */
    uint8_t reserved_01[3]; /* zero */
    hws_be32 in_bytes;      /* whole inbox */
    hws_be64 in_ptr;        /* first input block, or 0 */
    uint8_t in_inline[16];  /* inbox bytes 0..15 */
    uint8_t out_inline[16]; /* outbox bytes 0..15 */
    hws_be64 out_ptr;       /* first output block, or 0 */
    hws_be32 out_bytes;     /* whole outbox */
    uint8_t token;          /* 1..255, same in every block of the command */
    uint8_t sig;            /* makes the xor of all 64 bytes 0xff */
    uint8_t reserved_3e;    /* zero */
    uint8_t status_own;     /* written last by the card */
};

static_assert(sizeof(struct hws_entry) == HWS_ENTRY_BYTES, "entry size");
static_assert(offsetof(struct hws_entry, in_bytes) == 0x04, "in_bytes");
static_assert(offsetof(struct hws_entry, in_ptr) == 0x08, "in_ptr");
static_assert(offsetof(struct hws_entry, in_inline) == 0x10, "in_inline");
static_assert(offsetof(struct hws_entry, out_inline) == 0x20, "out_inline");
static_assert(offsetof(struct hws_entry, out_ptr) == 0x30, "out_ptr");
static_assert(offsetof(struct hws_entry, out_bytes) == 0x38, "out_bytes");
static_assert(offsetof(struct hws_entry, token) == 0x3c, "token");
static_assert(offsetof(struct hws_entry, sig) == 0x3d, "sig");
static_assert(offsetof(struct hws_entry, status_own) == 0x3f, "status_own");

#endif
