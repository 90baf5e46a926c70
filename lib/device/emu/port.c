/*
 * The in-process port. A piece handed out lies in a window of 4 GiB of its own among the device
 * addresses, some way in: an address off by a page or cut to either half hits nothing, and a window
 * that was given back is never used again. The number of the window tells the piece.
 */
#include "emu/port.h"

#include <string.h>

#include "base/barrier.h"
#include "base/list.h"
#include "base/mem.h"

#define WINDOW_LSB      32u
#define OFFSET_IN       UINT64_C(0x410000) /* of a piece in its window; page aligned */
#define WINDOW_OF(addr) ((addr) >> WINDOW_LSB)

static struct hws_emu_port *port_of(struct hws_bar *bar)
{
    return hws_container_of(bar, struct hws_emu_port, bar);
}

static uint32_t port_read32(struct hws_bar *bar, uint32_t offset)
{
    return hws_emu_read32(&port_of(bar)->emu, offset);
}

static void port_write32(struct hws_bar *bar, uint32_t offset, uint32_t value)
{
    hws_emu_write32(&port_of(bar)->emu, offset, value);
}

static void port_write_barrier(struct hws_bar *bar)
{
    (void)bar;
    hws_barrier_release();
}

static uint64_t port_turn(struct hws_bar *bar, uint64_t now_ms)
{
    return hws_emu_turn(&port_of(bar)->emu, now_ms);
}

static enum hws_code port_dma_alloc(struct hws_bar *bar, size_t bytes, size_t align,
                                    struct hws_dma *out, struct hws_err *err)
{
    struct hws_emu_port *p = port_of(bar);
    uint32_t i = 0;

    while (i < HWS_EMU_PORT_MAX_PIECES && p->pieces[i].host != NULL) {
        i++;
    }
    if (i == HWS_EMU_PORT_MAX_PIECES || bytes > HWS_EMU_PORT_MAX_BYTES - p->n_bytes) {
        return hws_err_set(err, HWS_E_BUSY, "shared memory: at most %u pieces and %zu bytes",
                           HWS_EMU_PORT_MAX_PIECES, HWS_EMU_PORT_MAX_BYTES);
    }
    /* Zeroed by the kernel where it is large: pages that nobody touches cost nothing. */
    uint8_t *block = hws_mem_zalloc(1, bytes + align);
    if (block == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "shared memory: out of memory");
    }
    size_t skip = (align - (uintptr_t)block % align) % align;
    p->windows[i] += HWS_EMU_PORT_MAX_PIECES; /* the remainder stays: i */
    p->blocks[i] = block;
    p->pieces[i] = (struct hws_dma){
        .host = block + skip, .dev_addr = p->windows[i] << WINDOW_LSB | OFFSET_IN, .bytes = bytes};
    p->n_bytes += bytes;
    *out = p->pieces[i];
    return HWS_OK;
}

static void port_dma_free(struct hws_bar *bar, struct hws_dma *dma)
{
    struct hws_emu_port *p = port_of(bar);

    for (uint32_t i = 0; i < HWS_EMU_PORT_MAX_PIECES; i++) {
        if (dma->host != NULL && p->pieces[i].host == dma->host) {
            p->n_bytes -= p->pieces[i].bytes;
            hws_mem_free(p->blocks[i]);
            p->blocks[i] = NULL;
            p->pieces[i] = (struct hws_dma){0};
        }
    }
    *dma = (struct hws_dma){0};
}

/* Where the card's address is in host memory; NULL unless all n bytes are in one piece. */
static uint8_t *locate(struct hws_emu_port *p, uint64_t addr, size_t n)
{
    const struct hws_dma *d = &p->pieces[WINDOW_OF(addr) % HWS_EMU_PORT_MAX_PIECES];

    if (d->host == NULL || addr < d->dev_addr || addr - d->dev_addr > d->bytes ||
        n > d->bytes - (addr - d->dev_addr)) {
        return NULL;
    }
    return (uint8_t *)d->host + (addr - d->dev_addr);
}

static bool port_dma_read(void *data, uint64_t addr, void *dst, size_t n)
{
    const uint8_t *src = locate(data, addr, n);

    if (src == NULL) {
        return false;
    }
    memcpy(dst, src, n);
    return true;
}

static bool port_dma_write(void *data, uint64_t addr, const void *src, size_t n)
{
    uint8_t *dst = locate(data, addr, n);

    if (dst == NULL) {
        return false;
    }
    memcpy(dst, src, n);
    return true;
}

static const struct hws_bar_ops port_ops = {
    .read32 = port_read32,
    .write32 = port_write32,
    .dma_alloc = port_dma_alloc,
    .dma_free = port_dma_free,
    .write_barrier = port_write_barrier,
    .turn = port_turn,
};

enum hws_code hws_emu_port_init(struct hws_emu_port *p, const struct hws_emu_profile *profile,
                                const struct hws_emu_config *config, const uint8_t *nv, size_t n_nv,
                                uint64_t now_ms, struct hws_err *err)
{
    struct hws_emu_config mine = {0};

    *p = (struct hws_emu_port){.bar = {.ops = &port_ops}};
    for (uint32_t i = 0; i < HWS_EMU_PORT_MAX_PIECES; i++) {
        p->windows[i] = i;
    }
    if (config != NULL) {
        mine = *config;
    }
    mine.dma = (struct hws_emu_dma){.read = port_dma_read, .write = port_dma_write, .data = p};
    return hws_emu_init(&p->emu, profile, &mine, nv, n_nv, now_ms, err);
}

void hws_emu_port_deinit(struct hws_emu_port *p)
{
    hws_emu_deinit(&p->emu);
    for (uint32_t i = 0; i < HWS_EMU_PORT_MAX_PIECES; i++) {
        hws_mem_free(p->blocks[i]);
        p->blocks[i] = NULL;
        p->pieces[i] = (struct hws_dma){0};
    }
    p->n_bytes = 0;
}
