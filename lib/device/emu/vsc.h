/*
 * The vendor specific capability of configuration space: a gateway of address and data registers
 * into spaces of the card, under a lock that any holder of configuration space may take. Served is
 * one space, the semaphores by which functions agree on who resets the firmware; no other space is,
 * so that the kernel makes no CR dump.
 *
 *   0x04 control    [15:0] space (rw)  [31:29] status: 0 = not served
 *   0x08 counter    another number at every read
 *   0x0c semaphore  the lock: 0 = free; a number sticks while it is free, 0 frees it
 *   0x10 address    [29:0] address  [31] flag: written 1 = write data there, 0 = read into data;
 *                   it is the other one when that is done
 *   0x14 data
 *
 * Source: core/lib/pci_vsc.c, Linux 7.3.4. Thread rule: the model's thread. Pure.
 */
#ifndef HWS_EMU_VSC_H
#define HWS_EMU_VSC_H

#include <stdint.h>

#define HWS_EMU_VSC_BYTES          0x18u /* of the capability, its header included */
#define HWS_EMU_VSC_SEMAPHORES     0x0au /* the space that is served */
#define HWS_EMU_VSC_MAX_SEMAPHORES 64u

/* Zeroed: nothing is locked. */
struct hws_emu_vsc {
    uint16_t space;
    uint32_t counter;
    uint32_t lock;
    uint32_t address; /* flag included */
    uint32_t data;
    uint32_t semaphores[HWS_EMU_VSC_MAX_SEMAPHORES];
};

/* The word at a 4-aligned offset in the capability, from 4; 0 where nothing is. */
uint32_t hws_emu_vsc_read(struct hws_emu_vsc *vsc, uint32_t offset);

/* Writes to read-only or absent words are ignored. */
void hws_emu_vsc_write(struct hws_emu_vsc *vsc, uint32_t offset, uint32_t value);

#endif
