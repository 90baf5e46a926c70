/*
 * The health buffer: what a card says about itself beside the command queue. The driver reads it
 * every two or three seconds; a counter that stands still, or a syndrome, is reported; a syndrome
 * with a reset request is fatal.
 *
 * Thread rule: the model's thread.
 */
#ifndef HWS_EMU_HEALTH_H
#define HWS_EMU_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct hws_emu;

/* Sick since then, until the next reset. The first syndrome stays; fatal only adds. */
struct hws_emu_health {
    uint8_t syndrome; /* 0 = well */
    bool fatal;       /* asks for a reset */
    uint32_t counter;
};

/* Puts a syndrome (health buffer numbers, not command ones) into the buffer. Fatal: the firmware
 * also stands still until it is reset. */
void hws_emu_health_raise(struct hws_emu *e, uint8_t syndrome, bool fatal);

#endif
