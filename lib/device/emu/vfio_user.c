/*
 * vfio-user requests: one row per command, with the shortest body it may have.
 *
 * Way of a request: header -> row -> body checked -> operation -> reply body. A request that is not
 * well formed, or that an operation refuses, is answered with an error reply that has no body.
 */
#include "emu/vfio_user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emu/eq.h"
#include "emu/pci.h"

#define FLAG_TYPE_MASK 0x0fu
#define FLAG_REPLY     0x01u
#define FLAG_NO_REPLY  0x10u
#define FLAG_ERROR     0x20u

#define N_REGIONS 9u /* as VFIO counts a PCI device's */
#define N_IRQS    5u
#define IRQ_MSIX  2u

#define DEVICE_RESETS 0x1u
#define DEVICE_PCI    0x2u
#define REGION_READS  0x1u
#define REGION_WRITES 0x2u
#define IRQ_EVENTFD   0x1u
#define IRQ_NO_RESIZE 0x8u
#define SET_NONE      0x01u /* data type of SET_IRQS */
#define SET_EVENTFD   0x04u
#define SET_TRIGGER   0x20u
#define DMA_WRITABLE  0x2u
#define UNMAP_ALL     0x2u

#define ACCESS_HEAD_BYTES 16u /* of REGION_READ and REGION_WRITE */

/* One request on its way. */
struct request {
    const uint8_t *body;
    uint32_t n;
    uint32_t n_fds;
    uint8_t *out; /* the reply's body */
    uint32_t n_out;
};

static uint32_t load16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t load32(const uint8_t *p)
{
    return load16(p) | load16(p + 2) << 16;
}

static uint64_t load64(const uint8_t *p)
{
    return load32(p) | (uint64_t)load32(p + 4) << 32;
}

static void store16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void store32(uint8_t *p, uint32_t v)
{
    store16(p, v);
    store16(p + 2, v >> 16);
}

static void store64(uint8_t *p, uint64_t v)
{
    store32(p, (uint32_t)v);
    store32(p + 4, (uint32_t)(v >> 32));
}

bool hws_emu_vfu_head_decode(const uint8_t bytes[HWS_EMU_VFU_HEAD_BYTES],
                             struct hws_emu_vfu_head *out)
{
    uint32_t flags = load32(bytes + 8);
    uint32_t n = load32(bytes + 4);

    if ((flags & FLAG_TYPE_MASK) != 0 || n < HWS_EMU_VFU_HEAD_BYTES || n > HWS_EMU_VFU_MAX_BYTES) {
        return false;
    }
    *out = (struct hws_emu_vfu_head){.id = (uint16_t)load16(bytes),
                                     .command = (uint16_t)load16(bytes + 2),
                                     .bytes = n,
                                     .no_reply = (flags & FLAG_NO_REPLY) != 0};
    return true;
}

/* ---- requests ---- */

/* Major u16, minor u16, JSON. Ours is 0.0; what the client can do we never need. */
static int version(struct hws_emu_vfu *v, struct request *r)
{
    if (load16(r->body) != 0) {
        return EPROTONOSUPPORT;
    }
    store32(r->out, 0);
    int n = snprintf((char *)r->out + 4, 256 - 4 - HWS_EMU_VFU_HEAD_BYTES,
                     "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
                     "\"pgsizes\":4096,\"max_dma_maps\":65535}}",
                     HWS_EMU_VFU_MAX_FDS, HWS_EMU_VFU_DATA_BYTES);
    if (n < 0) {
        return EINVAL;
    }
    r->n_out = 4 + (uint32_t)n + 1;
    v->greeted = true;
    return 0;
}

/* argsz u32, flags u32, offset u64, address u64, size u64. */
static int dma_map(struct hws_emu_vfu *v, struct request *r)
{
    const struct hws_emu_vfu_map map = {.can_write = (load32(r->body + 4) & DMA_WRITABLE) != 0,
                                        .offset = load64(r->body + 8),
                                        .addr = load64(r->body + 16),
                                        .bytes = load64(r->body + 24)};

    if (map.bytes == 0 || map.bytes - 1 > UINT64_MAX - map.addr || r->n_fds > 1) {
        return EINVAL;
    }
    return v->ops->dma_map(v->data, &map, r->n_fds);
}

/* argsz u32, flags u32, address u64, size u64; echoed. */
static int dma_unmap(struct hws_emu_vfu *v, struct request *r)
{
    bool all = (load32(r->body + 4) & UNMAP_ALL) != 0;
    uint64_t addr = load64(r->body + 8);
    uint64_t bytes = load64(r->body + 16);

    if (!all && (bytes == 0 || bytes - 1 > UINT64_MAX - addr)) {
        return EINVAL;
    }
    r->n_out = 24;
    memcpy(r->out, r->body, r->n_out);
    return v->ops->dma_unmap(v->data, addr, bytes, all);
}

/* argsz u32, flags u32, regions u32, irqs u32. */
static int get_info(struct hws_emu_vfu *v, struct request *r)
{
    (void)v;
    store32(r->out, 16);
    store32(r->out + 4, DEVICE_RESETS | DEVICE_PCI);
    store32(r->out + 8, N_REGIONS);
    store32(r->out + 12, N_IRQS);
    r->n_out = 16;
    return 0;
}

static uint64_t region_bytes(uint32_t region)
{
    if (region == HWS_EMU_VFU_REGION_BAR0) {
        return HWS_EMU_PCI_BAR0_BYTES;
    }
    return region == HWS_EMU_VFU_REGION_CONFIG ? HWS_EMU_PCI_CONFIG_BYTES : 0;
}

/* argsz u32, flags u32, index u32, cap_offset u32, size u64, offset u64. */
static int get_region_info(struct hws_emu_vfu *v, struct request *r)
{
    uint32_t region = load32(r->body + 8);

    (void)v;
    if (region >= N_REGIONS) {
        return EINVAL;
    }
    store32(r->out, 32);
    store32(r->out + 4, region_bytes(region) > 0 ? REGION_READS | REGION_WRITES : 0);
    store32(r->out + 8, region);
    store32(r->out + 12, 0);
    store64(r->out + 16, region_bytes(region));
    store64(r->out + 24, 0);
    r->n_out = 32;
    return 0;
}

/* argsz u32, flags u32, index u32, count u32. */
static int get_irq_info(struct hws_emu_vfu *v, struct request *r)
{
    uint32_t irq = load32(r->body + 8);

    (void)v;
    if (irq >= N_IRQS) {
        return EINVAL;
    }
    store32(r->out, 16);
    store32(r->out + 4, irq == IRQ_MSIX ? IRQ_EVENTFD | IRQ_NO_RESIZE : 0);
    store32(r->out + 8, irq);
    store32(r->out + 12, irq == IRQ_MSIX ? HWS_EMU_MAX_VECTORS : 0);
    r->n_out = 16;
    return 0;
}

/* argsz u32, flags u32, index u32, start u32, count u32. Only MSI-X vectors by eventfd. */
static int set_irqs(struct hws_emu_vfu *v, struct request *r)
{
    uint32_t flags = load32(r->body + 4);
    uint32_t irq = load32(r->body + 8);
    uint32_t start = load32(r->body + 12);
    uint32_t count = load32(r->body + 16);

    if (irq >= N_IRQS || (flags & SET_TRIGGER) == 0 || (flags & (SET_EVENTFD | SET_NONE)) == 0) {
        return EINVAL;
    }
    if (irq != IRQ_MSIX) {
        return count == 0 || r->n_fds == 0 ? 0 : EINVAL;
    }
    if (start > HWS_EMU_MAX_VECTORS || count > HWS_EMU_MAX_VECTORS - start) {
        return EINVAL;
    }
    if ((flags & SET_NONE) != 0 && count > 0) {
        return EOPNOTSUPP; /* firing vectors by hand */
    }
    if (r->n_fds != 0 && r->n_fds != count) {
        return EINVAL;
    }
    return v->ops->set_vectors(v->data, start, count, r->n_fds);
}

/* offset u64, region u32, count u32. Checks the range. */
static int access_of(const struct request *r, uint32_t *region, uint64_t *offset, uint32_t *n)
{
    *offset = load64(r->body);
    *region = load32(r->body + 8);
    *n = load32(r->body + 12);
    uint64_t size = region_bytes(*region);

    /* An absent region has no bytes, so that an access to it must not pass by being empty. */
    return *n > 0 && *n <= HWS_EMU_VFU_DATA_BYTES && *offset <= size && *n <= size - *offset
               ? 0
               : EINVAL;
}

static int region_read(struct hws_emu_vfu *v, struct request *r)
{
    uint32_t region;
    uint64_t offset;
    uint32_t n;
    int rc = access_of(r, &region, &offset, &n);

    if (rc == 0) {
        memcpy(r->out, r->body, ACCESS_HEAD_BYTES);
        v->ops->read(v->data, region, offset, r->out + ACCESS_HEAD_BYTES, n);
        r->n_out = ACCESS_HEAD_BYTES + n;
    }
    return rc;
}

static int region_write(struct hws_emu_vfu *v, struct request *r)
{
    uint32_t region;
    uint64_t offset;
    uint32_t n;
    int rc = access_of(r, &region, &offset, &n);

    if (rc == 0 && r->n - ACCESS_HEAD_BYTES < n) {
        rc = EINVAL;
    }
    if (rc == 0) {
        v->ops->write(v->data, region, offset, r->body + ACCESS_HEAD_BYTES, n);
        memcpy(r->out, r->body, ACCESS_HEAD_BYTES);
        r->n_out = ACCESS_HEAD_BYTES;
    }
    return rc;
}

static int device_reset(struct hws_emu_vfu *v, struct request *r)
{
    (void)r;
    v->ops->reset(v->data);
    return 0;
}

static const struct row {
    uint16_t command;
    uint16_t min_bytes;
    int (*serve)(struct hws_emu_vfu *v, struct request *r);
} rows[] = {
    {1, 4, version},          {2, 32, dma_map},      {3, 24, dma_unmap}, {4, 0, get_info},
    {5, 32, get_region_info}, {7, 16, get_irq_info}, {8, 20, set_irqs},  {9, 16, region_read},
    {10, 16, region_write},   {13, 0, device_reset},
};

static int serve(struct hws_emu_vfu *v, uint16_t command, struct request *r)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].command != command) {
            continue;
        }
        if (r->n < rows[i].min_bytes || (!v->greeted && rows[i].serve != version)) {
            return EINVAL;
        }
        return rows[i].serve(v, r);
    }
    return EOPNOTSUPP;
}

size_t hws_emu_vfu_serve(struct hws_emu_vfu *v, const struct hws_emu_vfu_head *head,
                         const uint8_t *body, uint32_t n_fds, uint8_t *reply)
{
    struct request r = {.body = body,
                        .n = head->bytes - HWS_EMU_VFU_HEAD_BYTES,
                        .n_fds = n_fds,
                        .out = reply + HWS_EMU_VFU_HEAD_BYTES};
    int rc = serve(v, head->command, &r);

    if (head->no_reply) {
        return 0;
    }
    if (rc != 0) {
        r.n_out = 0;
    }
    store16(reply, head->id);
    store16(reply + 2, head->command);
    store32(reply + 4, HWS_EMU_VFU_HEAD_BYTES + r.n_out);
    store32(reply + 8, rc == 0 ? FLAG_REPLY : FLAG_REPLY | FLAG_ERROR);
    store32(reply + 12, (uint32_t)rc);
    return HWS_EMU_VFU_HEAD_BYTES + (size_t)r.n_out;
}
