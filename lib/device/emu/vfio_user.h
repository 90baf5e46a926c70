/*
 * The vfio-user protocol, server side, for one adapter: bytes of a request in, bytes of its reply
 * out. The socket, the file descriptors that travel with some requests, memory and eventfds are the
 * program's; it gets them as operations.
 *
 * Message: 16-byte header {id u16, command u16, size u32 with the header, flags u32, error u32},
 * then a body; all numbers little endian (the protocol says host order; the other side is on this
 * host). Commands served: VERSION, DMA_MAP, DMA_UNMAP, DEVICE_GET_INFO, DEVICE_GET_REGION_INFO,
 * DEVICE_GET_IRQ_INFO, DEVICE_SET_IRQS, REGION_READ, REGION_WRITE, DEVICE_RESET; others are
 * answered EOPNOTSUPP. Source: docs/interop/vfio-user.rst of QEMU 11.1, protocol 0.0.
 *
 * Thread rule: one thread. Pure.
 */
#ifndef HWS_EMU_VFIO_USER_H
#define HWS_EMU_VFIO_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HWS_EMU_VFU_HEAD_BYTES 16u
#define HWS_EMU_VFU_DATA_BYTES 65536u /* of one region access; announced */
#define HWS_EMU_VFU_MAX_BYTES  (HWS_EMU_VFU_DATA_BYTES + 256u)
#define HWS_EMU_VFU_MAX_FDS    8u /* with one request; announced */

#define HWS_EMU_VFU_REGION_BAR0   0u
#define HWS_EMU_VFU_REGION_CONFIG 7u

struct hws_emu_vfu_head {
    uint16_t id;
    uint16_t command;
    uint32_t bytes; /* HWS_EMU_VFU_HEAD_BYTES .. HWS_EMU_VFU_MAX_BYTES */
    bool no_reply;
};

struct hws_emu_vfu_map {
    uint64_t addr; /* where the card sees it */
    uint64_t bytes;
    uint64_t offset; /* in the file */
    bool can_write;
};

/* Each returns 0, or an errno value that becomes the reply. */
struct hws_emu_vfu_ops {
    /* The request's one file descriptor has the memory; without one the range is known and not
     * reachable (ROM). */
    int (*dma_map)(void *data, const struct hws_emu_vfu_map *map, uint32_t n_fds);
    /* Every mapping inside the range goes; all: every mapping. */
    int (*dma_unmap)(void *data, uint64_t addr, uint64_t bytes, bool all);
    /* The request's descriptors become the MSI-X vectors' from start on; n_fds is count, or 0: they
     * have none any more. count 0: none has. */
    int (*set_vectors)(void *data, uint32_t start, uint32_t count, uint32_t n_fds);
    void (*read)(void *data, uint32_t region, uint64_t offset, uint8_t *dst, uint32_t n);
    void (*write)(void *data, uint32_t region, uint64_t offset, const uint8_t *src, uint32_t n);
    void (*reset)(void *data);
};

struct hws_emu_vfu {
    const struct hws_emu_vfu_ops *ops; /* borrowed */
    void *data;                        /* borrowed; for ops */
    bool greeted;                      /* versions were exchanged; nothing else is served before */
};

/* The fields of a request's header. False: no request, or a size out of range; the connection
 * cannot go on. */
bool hws_emu_vfu_head_decode(const uint8_t bytes[HWS_EMU_VFU_HEAD_BYTES],
                             struct hws_emu_vfu_head *out);

/*
 * Serves one request. body has head->bytes less the header; reply has room for
 * HWS_EMU_VFU_MAX_BYTES. Returns the reply's length, 0 if the other side wants none.
 */
size_t hws_emu_vfu_serve(struct hws_emu_vfu *v, const struct hws_emu_vfu_head *head,
                         const uint8_t *body, uint32_t n_fds, uint8_t *reply);

#endif
