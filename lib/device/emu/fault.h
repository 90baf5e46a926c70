/*
 * Faults planted in an emulated adapter: which command they hit, from which match on, how often,
 * and what they do. A plan is read-only; how often it has matched is kept beside the model.
 *
 * Thread rule: the model's thread.
 */
#ifndef HWS_EMU_FAULT_H
#define HWS_EMU_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define HWS_EMU_MAX_FAULTS 32u

enum hws_emu_fault_action {
    HWS_EMU_FAULT_NONE,
    HWS_EMU_FAULT_STATUS, /* do not execute; answer status and syndrome */
    HWS_EMU_FAULT_DROP,   /* execute, never give the entry back */
    HWS_EMU_FAULT_DELAY,  /* execute and complete delay_ms later */
    HWS_EMU_FAULT_FLIP    /* xor one byte of the finished reply in memory */
};

enum hws_emu_fault_access { HWS_EMU_ACCESS_ANY, HWS_EMU_ACCESS_READ, HWS_EMU_ACCESS_WRITE };

struct hws_emu_fault {
    bool any_op;
    uint16_t op; /* the opcode it hits */
    bool any_reg;
    uint16_t reg;                     /* for register access: the register */
    enum hws_emu_fault_access access; /* for register access: reads, writes or both */
    uint32_t countdown;               /* the first match it acts on, from 1 */
    uint32_t repeat;                  /* matches it acts on from there; 0 = all */
    enum hws_emu_fault_action action;
    uint8_t status;
    uint32_t syndrome;
    uint64_t delay_ms;
    uint32_t offset; /* of the byte in the outbox */
    uint8_t mask;    /* xored into it */
    bool sign;       /* FLIP: sign the reply again, so that only the content is wrong */
};

/* What a command looks like to a plan. */
struct hws_emu_fault_probe {
    uint16_t op;
    bool is_reg;
    uint16_t reg;
    bool is_write;
};

/*
 * Counts this command in n_matches[0..n-1] (one counter per fault, kept by the caller) and returns
 * the first fault that acts on it, NULL if none does.
 */
const struct hws_emu_fault *hws_emu_fault_match(const struct hws_emu_fault *faults, uint32_t n,
                                                uint32_t *n_matches,
                                                const struct hws_emu_fault_probe *probe);

#endif
