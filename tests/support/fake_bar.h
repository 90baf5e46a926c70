/*
 * A port without a card: registers are plain memory, doorbells are counted, shared memory is host
 * memory under device addresses. The test plays the card by hand.
 */
#ifndef HWS_TESTS_FAKE_BAR_H
#define HWS_TESTS_FAKE_BAR_H

#include <stdbool.h>
#include <stdint.h>

#include "ifc/bar.h"
#include "ifc/entry.h"
#include "ifc/mailbox.h"

#define FAKE_BAR_PIECES 40u

struct fake_bar {
    struct hws_bar bar;
    uint32_t regs[0x2010 / 4];
    struct hws_dma pieces[FAKE_BAR_PIECES];
    uint64_t next_addr;
    uint32_t doorbells; /* bits rung */
    unsigned n_rings;
    unsigned n_live; /* pieces handed out */
};

/* Command interface revision 5, log size and stride as given, ready. */
void fake_bar_init(struct fake_bar *f, unsigned log_size, unsigned log_stride);

/* Host memory behind a device address; NULL if nothing is there. */
void *fake_bar_at(struct fake_bar *f, uint64_t addr);

/* The entry of a slot in the queue whose address was written. */
struct hws_entry *fake_bar_entry(struct fake_bar *f, unsigned slot);

/* Plays the card: signs whatever is in the slot and gives it back with that delivery status. */
void fake_bar_complete(struct fake_bar *f, unsigned slot, uint8_t delivery);

/* Puts bytes into the slot's outbox (inline part and chain, signed) before it is completed. */
void fake_bar_fill(struct fake_bar *f, unsigned slot, const uint8_t *out, size_t n);

#endif
