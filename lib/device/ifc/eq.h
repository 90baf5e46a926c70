/*
 * Event queues: rings in host memory that the card writes and the driver reads.
 *
 * Entry, 64 bytes:
 *   0x01 type   0x03 sub type   0x20 data, 28 bytes   0x3f [0] owner: parity of the card's lap,
 *   0 on the first; written last
 *
 * CREATE_EQ 0x301, in 0x110 + 8 * pages, out eq_number B0x0b; context at 0x10:
 *   +0x08 [11:6] page_offset   +0x0c [28:24] log_eq_size [23:0] uar_page   +0x14 [11:0] MSI-X
 * vector +0x18 [28:24] log_page_size - 12;   event mask 4 x u64 @0x58, word 0 first;   pages u64[]
 * @0x110 DESTROY_EQ 0x302, in 16, eq_number B0x0b.
 *
 * Doorbells, in the EQ's UAR page (BAR0 + uar_page * 4096): [31:24] eq_number [23:0] consumer
 * index.
 *
 * Source: struct mlx5_eqe (include/linux/mlx5/device.h), eqc and create_eq (mlx5_ifc.h),
 * core/eq.c, core/lib/eq.h, Linux 7.2.13.
 */
#ifndef HWS_IFC_EQ_H
#define HWS_IFC_EQ_H

#define HWS_EQE_BYTES      64u
#define HWS_EQE_TYPE       0x01u
#define HWS_EQE_SUB_TYPE   0x03u
#define HWS_EQE_DATA       0x20u
#define HWS_EQE_DATA_BYTES 28u
#define HWS_EQE_OWNER      0x3fu

#define HWS_EVENT_CMD     0x0au /* data: u32, bit i = entry i of the command queue */
#define HWS_EVENT_GENERAL 0x22u /* sub types below */

/* Of HWS_EVENT_GENERAL: the steps of a firmware reset that the drivers agree upon. data: [3:0] of
 * byte 3. */
#define HWS_EVENT_SYNC_RESET   0x08u
#define HWS_SYNC_RESET_AT      3u
#define HWS_SYNC_RESET_REQUEST 0u
#define HWS_SYNC_RESET_NOW     1u
#define HWS_SYNC_RESET_ABORT   2u

#define HWS_CREATE_EQ_CTX      0x10u
#define HWS_CREATE_EQ_MASK     0x58u
#define HWS_CREATE_EQ_PAGES    0x110u
#define HWS_EQ_CTX_PAGE_OFFSET 0x08u
#define HWS_EQ_CTX_SIZE_UAR    0x0cu
#define HWS_EQ_CTX_VECTOR      0x14u
#define HWS_EQ_CTX_PAGE_SIZE   0x18u
#define HWS_EQ_PAGE_BYTES      4096u
#define HWS_EQ_NUMBER          0x0bu /* CREATE_EQ out, DESTROY_EQ in */

#define HWS_UAR_PAGE_BYTES  4096u
#define HWS_UAR_EQ_DB_ARM   0x40u /* consumer index, and the next event interrupts */
#define HWS_UAR_EQ_DB_INDEX 0x48u /* consumer index only */
#define HWS_EQ_DB_CI_MASK   0xffffffu
#define HWS_EQ_DB_NUM_LSB   24u

#endif
