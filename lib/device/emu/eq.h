/*
 * Event queues of the emulated adapter. An event goes to the first queue whose mask has it, and
 * interrupts if that queue is armed; arming one that holds events the host has not seen interrupts
 * at once. A command tells of its completion by an event when a queue for it existed as the command
 * began; else the host polls.
 *
 * A full ring loses the event and says so in the health buffer. Thread rule: the model's thread.
 */
#ifndef HWS_EMU_EQ_H
#define HWS_EMU_EQ_H

#include <stdbool.h>
#include <stdint.h>

#define HWS_EMU_MAX_EQS      16u
#define HWS_EMU_EQ_MAX_PAGES 128u /* 8192 entries: the driver's queue for asynchronous events */
#define HWS_EMU_MAX_VECTORS  64u  /* MSI-X */

struct hws_emu_eq {
    bool used;
    bool armed;
    uint8_t log_size;
    uint8_t log_page; /* of 4096 bytes */
    uint16_t vector;
    uint32_t uar;
    uint32_t produced; /* count of all entries written */
    uint32_t consumed; /* as the host has said; at most a ring behind produced */
    uint64_t mask[4];  /* bit n of word 0: event n */
    uint64_t pages[HWS_EMU_EQ_MAX_PAGES];
};

#endif
