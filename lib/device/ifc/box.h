/*
 * Inbox and outbox: the headers that every command shares, and the fixed layouts of the commands
 * that bring an adapter up. Offsets are from the start of the box; all fields are big endian.
 *
 *   in   0x00 opcode u16   0x02 uid u16   0x04 reserved u16   0x06 op_mod u16   0x08.. command
 * specific out  0x00 status u8    0x01 reserved  0x04 syndrome u32                     0x08..
 * command specific
 *
 * Source: include/linux/mlx5/mlx5_ifc.h (*_in_bits, *_out_bits) and the sizes that core/main.c,
 * core/fw.c, core/pagealloc.c send, Linux 7.2.13.
 */
#ifndef HWS_IFC_BOX_H
#define HWS_IFC_BOX_H

#include <stdint.h>

#include "base/bits.h"

#define HWS_BOX_OPCODE   0x00u
#define HWS_BOX_UID      0x02u
#define HWS_BOX_OP_MOD   0x06u
#define HWS_BOX_STATUS   0x00u
#define HWS_BOX_SYNDROME 0x04u

#define HWS_BOX_HDR_BYTES 16u /* both ways; what most commands with no payload use */
#define HWS_BOX_MIN_OUT   8u  /* status and syndrome; ENABLE_HCA asks for 12 */

/* ACCESS_REG 0x805 and ACCESS_REGISTER_USER 0xb0c. */
#define HWS_ACCESS_REG_ID       0x0au /* u16 */
#define HWS_ACCESS_REG_ARGUMENT 0x0cu /* u32 */
#define HWS_ACCESS_REG_DATA     0x10u /* both ways */
#define HWS_ACCESS_REG_WRITE    0u    /* op_mod */
#define HWS_ACCESS_REG_READ     1u

/* QUERY_HCA_CAP 0x100, SET_HCA_CAP 0x109: op_mod QUERY (type << 1) | current, SET type << 1. */
#define HWS_HCA_CAP_AREA       0x10u /* where the capability area starts, both ways */
#define HWS_HCA_CAP_AREA_BYTES 4096u
#define HWS_HCA_CAP_BYTES      (HWS_HCA_CAP_AREA + HWS_HCA_CAP_AREA_BYTES)
#define HWS_HCA_CAP_GENERAL    0x00u
#define HWS_HCA_CAP_MAX        0u
#define HWS_HCA_CAP_CUR        1u
#define HWS_HCA_CAP_OTHER_DW   0x08u /* dw0x8[31]: other function */

/* QUERY_ADAPTER 0x101. */
#define HWS_QUERY_ADAPTER_OUT_BYTES 272u
#define HWS_QUERY_ADAPTER_PSID      0x100u /* 16 characters */
#define HWS_PSID_BYTES              16u

/* ENABLE_HCA 0x104, DISABLE_HCA 0x105: function_id u16@0x0a; the driver asks for 12 bytes out. */
#define HWS_ENABLE_HCA_OUT_BYTES 12u
#define HWS_BOX_FUNCTION_ID      0x0au

/* INIT_HCA 0x102, 32 in / 16 out; TEARDOWN_HCA 0x103: profile u16@0x0a (0 graceful, 1 force,
 * 2 prepare fast teardown), out state u32@0x0c (1 failed). */
#define HWS_INIT_HCA_IN_BYTES     32u
#define HWS_TEARDOWN_PROFILE      0x0au
#define HWS_TEARDOWN_GRACEFUL     0u
#define HWS_TEARDOWN_PREPARE_FAST 2u

/* QUERY_ISSI 0x10a: current u16@0x0a, supported bitmap dword 0 @0x6c; SET_ISSI 0x10b: current
 * u16@0x0a. */
#define HWS_QUERY_ISSI_OUT_BYTES 112u
#define HWS_ISSI_CURRENT         0x0au
#define HWS_ISSI_SUPPORTED_DW0   0x6cu

/* QUERY_PAGES 0x107: op_mod below; out function_id u16@0x0a, num_pages s32@0x0c. */
#define HWS_PAGES_BOOT    1u
#define HWS_PAGES_INIT    2u
#define HWS_PAGES_REGULAR 3u
#define HWS_QUERY_PAGES_N 0x0cu

/* MANAGE_PAGES 0x108: op_mod below; in entries u32@0x0c, addresses u64[] @0x10; out (take) entries
 * u32@0x08, addresses u64[] @0x10. Pages are 4 KiB. */
#define HWS_MANAGE_CANT_GIVE  0u
#define HWS_MANAGE_GIVE       1u
#define HWS_MANAGE_TAKE       2u
#define HWS_MANAGE_IN_N       0x0cu
#define HWS_MANAGE_OUT_N      0x08u
#define HWS_MANAGE_ADDRS      0x10u
#define HWS_MANAGE_PAGE_BYTES 4096u

/* CREATE_UCTX 0xa04, 64 in / 16 out: capabilities u32@0x10, out uid u16@0x0a; DESTROY_UCTX 0xa06:
 * uid u16@0x0a. */
#define HWS_CREATE_UCTX_IN_BYTES 64u
#define HWS_CREATE_UCTX_CAP      0x10u
#define HWS_UCTX_UID             0x0au
#define HWS_UCTX_CAP_RAW_TX      0x1u
#define HWS_UCTX_CAP_INTERNAL    0x2u
#define HWS_UCTX_CAP_TOOLS       0x4u

/* ALLOC_UAR 0x802: out uar u24@0x09; DEALLOC_UAR 0x803: in uar u24@0x09. */
#define HWS_UAR_IDX 0x09u

static inline uint16_t hws_box_opcode(const uint8_t *in)
{
    return hws_load_be16(in + HWS_BOX_OPCODE);
}

static inline uint16_t hws_box_op_mod(const uint8_t *in)
{
    return hws_load_be16(in + HWS_BOX_OP_MOD);
}

static inline uint8_t hws_box_status(const uint8_t *out)
{
    return out[HWS_BOX_STATUS];
}

static inline uint32_t hws_box_syndrome(const uint8_t *out)
{
    return hws_load_be32(out + HWS_BOX_SYNDROME);
}

/* Writes opcode and op_mod into an inbox that the caller has zeroed. */
static inline void hws_box_begin(uint8_t *in, uint16_t opcode, uint16_t op_mod)
{
    hws_store_be16(in + HWS_BOX_OPCODE, opcode);
    hws_store_be16(in + HWS_BOX_OP_MOD, op_mod);
}

#endif
