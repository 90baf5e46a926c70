/*
 * The init segment: the registers at the start of BAR0 that exist before any command does. Every
 * word is big endian; hws_bar reads and writes give the value. Source: struct mlx5_init_seg
 * (include/linux/mlx5/device.h), core/cmd.c, core/health.c and initial_seg in mlx5_ifc.h,
 * Linux 7.2.13.
 */
#ifndef HWS_IFC_INIT_SEG_H
#define HWS_IFC_INIT_SEG_H

#define HWS_ISEG_BYTES 0x2010u /* what the driver maps */

#define HWS_ISEG_FW_REV 0x0000u /* [31:16] minor [15:0] major */

#define HWS_ISEG_CMDIF_REV                                                                         \
    0x0004u                       /* [31:16] command interface revision [15:0] firmware subminor   \
                                   */
#define HWS_ISEG_CMDIF_REV_5   5u /* the only revision there is (core/cmd.c CMD_IF_REV) */
#define HWS_ISEG_CMDIF_REV_LSB 16u

#define HWS_ISEG_CMDQ_ADDR_H 0x0010u /* queue address, upper half */
#define HWS_ISEG_CMDQ_ADDR_L                                                                       \
    0x0014u /* read: sizes below; write: queue address [31:12], nic_interface */
#define HWS_ISEG_ADDR_L_MASK    0xfffff000u
#define HWS_ISEG_NIC_IFC_LSB    8u /* nic_interface, 3 bits as the driver reads it */
#define HWS_ISEG_NIC_IFC_MASK   0x7u
#define HWS_ISEG_LOG_SIZE_LSB   4u
#define HWS_ISEG_LOG_STRIDE_LSB 0u
#define HWS_ISEG_LOG_MASK       0xfu

#define HWS_ISEG_NIC_FULL     0u /* full driver */
#define HWS_ISEG_NIC_DISABLED 1u /* the card forgets the queue and stops touching host memory */
#define HWS_ISEG_NIC_SW_RESET 7u /* write: the firmware restarts, also a dead one */

#define HWS_ISEG_DOORBELL 0x0018u /* write: bit i = entry i belongs to the card */

#define HWS_ISEG_INITIALIZING      0x01fcu
#define HWS_ISEG_INITIALIZING_BIT  0x80000000u /* 1 = not ready for commands */
#define HWS_ISEG_SW_RESET_BIT      0x40000000u /* nic_interface takes HWS_ISEG_NIC_SW_RESET */
#define HWS_ISEG_EMBEDDED_CPU_BIT  0x00800000u
#define HWS_ISEG_NIC_SUPPORTED_LSB 24u /* bit per nic_interface value */

/* Health buffer, 64 bytes. */
#define HWS_ISEG_HEALTH        0x0200u
#define HWS_ISEG_HEALTH_BYTES  64u
#define HWS_ISEG_HEALTH_TIME   0x022cu
#define HWS_ISEG_HEALTH_FW_VER 0x0230u /* 0xffffffff = the card is off the bus */
#define HWS_ISEG_HEALTH_HW_ID  0x0234u
#define HWS_ISEG_HEALTH_FLAGS                                                                      \
    0x0238u /* [31] reset request [30] cold reset [27] severity valid [26:24] severity */
#define HWS_ISEG_HEALTH_RESET_BIT 0x80000000u /* with a syndrome: fatal */
#define HWS_ISEG_HEALTH_SYND_LSB  16u
#define HWS_ISEG_HEALTH_SYND      0x023cu /* [31:24] irisc [23:16] syndrome [15:0] extended syndrome */

#define HWS_ISEG_CMD_TIMEOUT    0x0ff8u /* [31:29] multiplier (0 ms 1 s 2 min 3 h) [19:0] value */
#define HWS_ISEG_INIT_TIMEOUT   0x0ffcu /* same; 0 = timeouts are not reported */
#define HWS_ISEG_TIMER_H        0x1000u
#define HWS_ISEG_TIMER_L        0x1004u
#define HWS_ISEG_HEALTH_COUNTER 0x1010u

#define HWS_ISEG_GONE 0xffffffffu /* what a read returns when nothing answers */

/* Driver defaults in ms (core/lib/tout.c, Linux 7.2.13). */
#define HWS_ISEG_READY_TIMEOUT_MS   120000u
#define HWS_ISEG_READY_POLL_MS      2u
#define HWS_ISEG_COMMAND_TIMEOUT_MS 60000u

#endif
