/*
 * Faults planted in an emulated adapter: which command they hit, from which match on, how often and
 * how likely, and what they do. A plan comes from the profile or from the control socket
 * (control.h); the adapter keeps its own copy of it beside the counts.
 *
 * Chance is drawn from the fault's seed and the number of the match alone: the same plan over the
 * same commands hits the same ones.
 *
 * Thread rule: the model's thread.
 */
#ifndef HWS_EMU_FAULT_H
#define HWS_EMU_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HWS_EMU_MAX_FAULTS   32u
#define HWS_EMU_MAX_DELAY_MS 86400000u /* a day */

enum hws_emu_fault_action {
    HWS_EMU_FAULT_NONE,
    HWS_EMU_FAULT_STATUS,        /* do not execute; answer status and syndrome */
    HWS_EMU_FAULT_DELIVERY,      /* do not execute; answer with the delivery status */
    HWS_EMU_FAULT_DROP,          /* execute, never give the entry back */
    HWS_EMU_FAULT_DROP_EVENT,    /* execute, give the entry back, post no event */
    HWS_EMU_FAULT_DELAY,         /* execute and complete delay_ms later */
    HWS_EMU_FAULT_FLIP,          /* xor one byte of the finished reply in memory */
    HWS_EMU_FAULT_BAD_TOKEN,     /* execute; the reply carries another command's token */
    HWS_EMU_FAULT_BAD_SIGNATURE, /* execute; the reply's entry is signed wrong */
    HWS_EMU_FAULT_HANG,          /* the firmware stands still for delay_ms (0: until it is reset) */
    HWS_EMU_FAULT_HEALTH,        /* execute; a syndrome appears in the health buffer */
    HWS_EMU_FAULT_FATAL,         /* the same with a reset request, and the firmware stands still */
    HWS_EMU_FAULT_RESET,         /* the firmware resets instead of executing */
    HWS_EMU_FAULT_UNPLUG,        /* off the bus; back delay_ms later (0: when replugged) */
    HWS_EMU_FAULT_N_ACTIONS
};

enum hws_emu_fault_access { HWS_EMU_ACCESS_ANY, HWS_EMU_ACCESS_READ, HWS_EMU_ACCESS_WRITE };

struct hws_emu_fault {
    bool any_op;
    uint16_t op; /* the opcode it hits */
    bool any_reg;
    uint16_t reg;                     /* for register access: the register */
    enum hws_emu_fault_access access; /* for register access: reads, writes or both */
    uint32_t countdown;               /* the first match it may act on, from 1 */
    uint32_t repeat;                  /* how often it acts; 0 = without end */
    uint8_t percent;                  /* 1..100: how likely it acts on a match */
    uint64_t seed;                    /* of the draw */
    enum hws_emu_fault_action action;
    uint8_t status;    /* STATUS, and DELIVERY (delivery status) */
    uint32_t syndrome; /* STATUS; HEALTH and FATAL (health syndrome, 1..255) */
    uint64_t delay_ms; /* DELAY, HANG, UNPLUG */
    uint32_t offset;   /* FLIP: of the byte in the outbox */
    uint8_t mask;      /* xored into it */
    bool sign;         /* FLIP: sign the reply again, so that only the content is wrong */
};

/* How far a fault has come. */
struct hws_emu_fault_count {
    uint32_t n_matches;
    uint32_t n_hits;
};

/* What a command looks like to a plan. */
struct hws_emu_fault_probe {
    uint16_t op;
    bool is_reg;
    uint16_t reg;
    bool is_write;
};

/*
 * Counts this command in counts[0..n-1] (one for each fault, kept by the caller) and returns the
 * first fault that acts on it, NULL if none does.
 */
const struct hws_emu_fault *hws_emu_fault_match(const struct hws_emu_fault *faults, uint32_t n,
                                                struct hws_emu_fault_count *counts,
                                                const struct hws_emu_fault_probe *probe);

/* The word for an action, as in a profile; NULL from HWS_EMU_FAULT_N_ACTIONS on. */
const char *hws_emu_fault_action_name(enum hws_emu_fault_action action);

/* One fault from YAML text, as in a profile: "{opcode: NOP, action: drop}". HWS_E_INVALID says what
 * is wrong; HWS_E_NOMEM. */
enum hws_code hws_emu_fault_parse(const char *text, size_t n, struct hws_emu_fault *out,
                                  struct hws_err *err) HWS_MUST_USE;

#endif
