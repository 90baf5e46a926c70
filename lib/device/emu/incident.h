/*
 * What can befall a card as a whole, whoever causes it: a fault plan, the control socket, a driver.
 * Time is that of the last turn; the owner lets the card act afterwards.
 *
 * Thread rule: the model's thread.
 */
#ifndef HWS_EMU_INCIDENT_H
#define HWS_EMU_INCIDENT_H

#include <stdint.h>

#include "base/err.h"
#include "emu/emu.h"

/* Commands are taken and not executed, the health counter stands still; for ms, or (0) until
 * resume or a reset. Its end leaves the health buffer as it is. A fatal error is not shortened. */
void hws_emu_hang(struct hws_emu *e, uint64_t ms);

/* The firmware goes on where it stood, and the health buffer is clean. */
void hws_emu_resume(struct hws_emu *e);

/* What planted faults kept back (a completion, its event) arrives after all. */
void hws_emu_late(struct hws_emu *e);

/* The firmware restarts: what ran is lost, what is stored begins to count. */
void hws_emu_firmware_reset(struct hws_emu *e);

/* Off the bus: registers read as ones, memory and interrupts are out of reach; back after ms, or
 * (0) when replugged. */
void hws_emu_unplug(struct hws_emu *e, uint64_t ms);

/* Back on the bus, powered on afresh. Nothing happens to a card that is there. */
void hws_emu_replug(struct hws_emu *e);

/* Adds a fault to the plan. HWS_E_BUSY: it has HWS_EMU_MAX_FAULTS. */
enum hws_code hws_emu_plant(struct hws_emu *e, const struct hws_emu_fault *fault,
                            struct hws_err *err) HWS_MUST_USE;

/* Empties the plan. What a fault has done already stays done. */
void hws_emu_clear_faults(struct hws_emu *e);

#endif
