/*
 * The port to a card: 32-bit registers of BAR0, and memory that both sides see. The command queue
 * drives it; an emulated card, and later a real PCI function, serve it. Nothing here blocks and
 * nothing here waits.
 *
 * Thread rule: one thread. The owner of the port embeds struct hws_bar and outlives the queue on
 * it. A read of a card that is off the bus returns HWS_ISEG_GONE.
 */
#ifndef HWS_IFC_BAR_H
#define HWS_IFC_BAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* One piece of shared memory, contiguous for both sides. */
struct hws_dma {
    void *host;        /* where we see it; owned by the port */
    uint64_t dev_addr; /* where the card sees it; never 0 */
    size_t bytes;
};

struct hws_bar;

struct hws_bar_ops {
    /* The value (not the byte order) of the big-endian register at a 4-aligned offset. */
    uint32_t (*read32)(struct hws_bar *bar, uint32_t offset);
    void (*write32)(struct hws_bar *bar, uint32_t offset, uint32_t value);
    /* Zeroed memory; align is a power of two, at most 4096. HWS_E_NOMEM, HWS_E_BUSY over the port's
     * limit. */
    enum hws_code (*dma_alloc)(struct hws_bar *bar, size_t bytes, size_t align, struct hws_dma *out,
                               struct hws_err *err);
    /* Takes the memory from the card, too: what it accesses there later fails and harms nobody.
     * Zeroes *dma; a zeroed one is allowed. */
    void (*dma_free)(struct hws_bar *bar, struct hws_dma *dma);
    /* Makes earlier stores to shared memory visible to the card before a later write32. */
    void (*write_barrier)(struct hws_bar *bar);
    /* Lets a card that lives in virtual time act up to now_ms; returns the next moment it wants to
     * act (UINT64_MAX: none). NULL for a card that acts by itself and has to be polled. */
    uint64_t (*turn)(struct hws_bar *bar, uint64_t now_ms);
};

struct hws_bar {
    const struct hws_bar_ops *ops;
};

static inline uint32_t hws_bar_read32(struct hws_bar *bar, uint32_t offset)
{
    return bar->ops->read32(bar, offset);
}

static inline void hws_bar_write32(struct hws_bar *bar, uint32_t offset, uint32_t value)
{
    bar->ops->write32(bar, offset, value);
}

#endif
