/*
 * The kernel's fwctl interface as data, in the host's byte order.
 * Source of everything here: include/uapi/fwctl/fwctl.h and include/uapi/fwctl/mlx5.h,
 * Linux 7.2.13.
 *
 *   info  0 size  4 flags  8 out_device_type  12 device_data_len  16 out_device_data (pointer)
 *   rpc   0 size  4 scope  8 in_len           12 out_len          16 in  24 out (pointers)
 */
#ifndef HWS_DRV_FWCTL_ABI_H
#define HWS_DRV_FWCTL_ABI_H

#include <stddef.h>
#include <stdint.h>

#define HWS_FWCTL_INFO 0x9A00ul /* _IO(0x9A, 0): no direction, no size encoded */
#define HWS_FWCTL_RPC  0x9A01ul /* _IO(0x9A, 1) */

/* enum fwctl_device_type */
#define HWS_FWCTL_TYPE_MLX5 1u
#define HWS_FWCTL_TYPE_CXL  2u
#define HWS_FWCTL_TYPE_BNXT 3u
#define HWS_FWCTL_TYPE_PDS  4u

struct hws_fwctl_info {
    uint32_t size;
    uint32_t flags; /* must be 0 */
    uint32_t out_device_type;
    uint32_t device_data_len; /* in: buffer length; out: the kernel's real length */
    uint64_t out_device_data; /* user pointer */
};

struct hws_fwctl_info_mlx5 {
    uint32_t uid;
    uint32_t uctx_caps;
};

struct hws_fwctl_rpc {
    uint32_t size;
    uint32_t scope;
    uint32_t in_len;
    uint32_t out_len; /* in: buffer length; out: what the driver produced */
    uint64_t in;      /* user pointer */
    uint64_t out;     /* user pointer */
};

_Static_assert(sizeof(struct hws_fwctl_info) == 24, "the kernel's size");
_Static_assert(offsetof(struct hws_fwctl_info, out_device_data) == 16, "the kernel's offset");
_Static_assert(sizeof(struct hws_fwctl_info_mlx5) == 8, "the kernel's size");
_Static_assert(sizeof(struct hws_fwctl_rpc) == 32, "the kernel's size");
_Static_assert(offsetof(struct hws_fwctl_rpc, in) == 16, "the kernel's offset");

#endif
