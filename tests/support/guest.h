/*
 * A host for an emulated card, written by hand and apart from the command queue of lib: one block
 * of memory, entries and mailbox chains put there byte by byte. It sees what a card answers,
 * whatever a driver would say.
 */
#ifndef HWS_TESTS_GUEST_H
#define HWS_TESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "emu/emu.h"

#define GUEST_BASE      UINT64_C(0x520000000000)
#define GUEST_BYTES     1048576u
#define GUEST_QUEUE     0x1000u
#define GUEST_IN        0x10000u /* + slot * GUEST_SLOT */
#define GUEST_OUT       0x18000u
#define GUEST_SLOT      0x10000u
#define GUEST_MAX_BYTES (16u + 31u * 512u)

struct guest {
    uint8_t mem[GUEST_BYTES];
    struct hws_emu_profile profile;
    struct hws_emu emu;
    uint64_t now_ms;
    uint8_t token;
    uint8_t nv[HWS_EMU_NV_MAX_BYTES]; /* what nv_dirty was given last */
    size_t n_nv;
    unsigned n_dirty;
    bool flash_broken; /* nv_dirty fails */
};

/* A profile with that identity (numbers and texts drawn from the state) and the extra YAML lines.
 */
void guest_profile_text(char *text, size_t cap, uint64_t *rand_state, const char *extra);

/* Parses the text and powers on with the stored bytes; fails the test if it cannot. */
void guest_start(struct guest *g, const char *profile, const uint8_t *nv, size_t n_nv);
void guest_stop(struct guest *g);

/* The DMA operations onto mem, for a model that is started elsewhere. */
struct hws_emu_dma guest_dma(struct guest *g);

/* Gives the card the queue address. */
void guest_queue(struct guest *g);

/* Writes entry and chains of a command into a slot without ringing. */
void guest_post(struct guest *g, unsigned slot, const uint8_t *in, uint32_t in_bytes,
                uint32_t out_bytes);

/* The entry and block n of a slot's chains, to spoil them; guest_sign_* make signatures right
 * again. */
uint8_t *guest_entry(struct guest *g, unsigned slot);
uint8_t *guest_in_block(struct guest *g, unsigned slot, unsigned n);
uint8_t *guest_out_block(struct guest *g, unsigned slot, unsigned n);
void guest_sign_entry(uint8_t *entry);
void guest_sign_block(uint8_t *block);

void guest_ring(struct guest *g, unsigned slot);

/* The card has given the entry back. */
bool guest_done(struct guest *g, unsigned slot);

/* The delivery status of a finished entry; copies the outbox if out is not NULL and checks its
 * signatures. */
uint8_t guest_take(struct guest *g, unsigned slot, uint8_t *out, uint32_t out_bytes);

/* post, ring, turn, take in slot 0. Fails the test if the card does not finish at once. Returns
 * delivery. */
uint8_t guest_cmd(struct guest *g, const uint8_t *in, uint32_t in_bytes, uint8_t *out,
                  uint32_t out_bytes);

/* A command of opcode and op_mod without a body; returns the command status. Delivery must be 0. */
uint8_t guest_op(struct guest *g, uint16_t op, uint16_t op_mod, uint8_t *out, uint32_t out_bytes);

/* ENABLE_HCA, pages as asked, INIT_HCA. */
void guest_bring_up(struct guest *g);

/* Register access with n bytes of data both ways; returns the command status, *syndrome if not
 * NULL. */
uint8_t guest_reg(struct guest *g, uint16_t id, bool write, uint8_t *data, uint32_t n,
                  uint32_t *syndrome);

#endif
