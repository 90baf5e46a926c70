/*
 * A command queue on an emulated card in one process and in virtual time: what tests of both halves
 * together start from.
 */
#ifndef HWS_TESTS_CARD_H
#define HWS_TESTS_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmdq/bringup.h"
#include "cmdq/queue.h"
#include "emu/port.h"

struct card {
    struct hws_emu_profile profile;
    struct hws_emu_port port;
    struct hws_cmdq q;
    struct hws_cmdq_bringup bringup;
    uint64_t now_ms;
    bool events; /* event-driven; else polled */
};

/* One call with its buffers and what became of it. */
struct card_call {
    struct hws_ctl_call call;
    uint8_t in[4608];
    uint8_t out[4608];
    unsigned n_cb;
};

/* As card_open, with an event queue. */
void card_open_events(struct card *c, const char *profile, const struct hws_trace *trace);

/* Powers a card with this profile text and opens a queue on it; fails the test if it cannot. */
void card_open(struct card *c, const char *profile, const struct hws_trace *trace);

/* Runs the bring-up to its end; fails the test on a failure. Afterwards commands carry the user id.
 */
void card_bring_up(struct card *c);

/* Runs the way down. */
void card_take_down(struct card *c);

/* Closes, turns until closed, and frees everything. */
void card_close(struct card *c);

/* Fills a call: opcode, op_mod, lengths, deadline from now; the rest of in is the caller's. */
void card_prepare(struct card *c, struct card_call *call, uint16_t op, uint16_t op_mod,
                  size_t in_bytes, size_t out_bytes, uint64_t timeout_ms);

/* Submits and turns, moving time on, until the callback has come. Returns the code in call.err. */
enum hws_code card_run(struct card *c, struct card_call *call);

/* Turns at now_ms + ms. */
void card_step(struct card *c, uint64_t ms);

/* Register access through the queue; data both ways. */
enum hws_code card_reg(struct card *c, uint16_t id, bool write, uint8_t *data, size_t n,
                       struct hws_err *err);

#endif
