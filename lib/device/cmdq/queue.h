/*
 * The driver's half of the command interface: up to 32 slots in one queue page, calls in, results
 * out.
 *
 * Calls follow ifc/call.h: submit and turn, callbacks only inside turn, each exactly once.
 * Completion is polled for until the bring-up has had the card create an event queue (events); then
 * an event says where to look, and a lost one costs HWS_CMDQ_CHECK_MS. The last slot serves
 * MANAGE_PAGES only, so that page traffic can never be starved. Nothing is allocated between open
 * and deinit.
 *
 * A card that reports a fatal error in its health buffer, or loses the queue's address, ends every
 * call HWS_E_GONE: nothing of them will come back.
 *
 * A call that times out or is cancelled ends at once, but its slot and its mailboxes stay taken
 * ("stalled") until the card gives the entry back: the card may still read and write them.
 *
 * Thread rule: one thread. The owner embeds the struct; bar outlives it. No time passes but in
 * turn.
 */
#ifndef HWS_CMDQ_QUEUE_H
#define HWS_CMDQ_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/trace.h"
#include "cmdq/event.h"
#include "cmdq/mailbox.h"
#include "ifc/bar.h"
#include "ifc/call.h"
#include "ifc/entry.h"

/* 31 commands of 4 KiB and one of 2 MiB, both ways. */
#define HWS_CMDQ_DEFAULT_BLOCKS (31u * 2u * 8u + 2u * HWS_MBOX_MAX_BLOCKS)
#define HWS_CMDQ_POLL_MS        1u /* between looks at a card that acts by itself */
#define HWS_CMDQ_CHECK_MS                                                                          \
    100u /* between looks whether the card is still there, while it has entries */
#define HWS_CMDQ_CLOSE_WAIT_MS 1000u /* how long close waits for stalled slots */
/* A stalled command is no longer waited for after this, as in the driver (its command timeout,
 * MLX5_TO_CMD_MS in core/lib/tout.c): its completion is taken as lost. */
#define HWS_CMDQ_GIVE_UP_MS 60000u

struct hws_cmdq_config {
    uint32_t n_blocks;      /* mailbox blocks; 0 = HWS_CMDQ_DEFAULT_BLOCKS */
    uint64_t poll_ms;       /* 0 = HWS_CMDQ_POLL_MS */
    uint64_t close_wait_ms; /* 0 = HWS_CMDQ_CLOSE_WAIT_MS */
    bool events;            /* have a ring for an event queue ready for the bring-up */
    struct hws_trace trace; /* borrowed hook; zeroed = off */
};

enum hws_cmdq_state {
    HWS_CMDQ_CLOSED, /* zeroed, or close has ended */
    HWS_CMDQ_OPEN,
    HWS_CMDQ_GONE, /* the card is away or was reset under us: close, then open again */
    HWS_CMDQ_CLOSING
};

struct hws_cmdq_slot {
    struct hws_ctl_call *call; /* on loan; NULL when free or stalled */
    uint64_t stalled_ms;       /* since when it is stalled */
    uint32_t in_head;          /* chains, held until the entry comes back */
    uint32_t out_head;
    uint32_t n_in;
    uint32_t n_out;
    uint16_t op;
    uint8_t token;
};

struct hws_cmdq {
    struct hws_bar *bar; /* borrowed (outlives the queue) */
    struct hws_cmdq_config config;
    struct hws_cmdq_pool pool;
    struct hws_cmdq_events events;
    struct hws_dma page;  /* the queue page */
    struct hws_list done; /* calls whose callback comes next */
    void (*closed)(struct hws_cmdq *q);
    void *data;        /* the owner's, for closed() */
    uint64_t now_ms;   /* of the last turn */
    uint64_t check_ms; /* when to look whether the card is there */
    uint64_t close_deadline_ms;
    enum hws_cmdq_state state;
    uint32_t n_slots; /* with the reserved one */
    uint32_t log_stride;
    uint32_t busy_mask;    /* slots with a call */
    uint32_t stalled_mask; /* slots whose call has ended without the card's answer */
    uint32_t cancel_mask;  /* busy slots to end in the next turn */
    uint32_t fw_rev;       /* init segment word 0: [31:16] minor [15:0] major */
    uint16_t fw_subminor;
    uint16_t uid; /* put into every inbox */
    uint8_t next_token;
    bool submitted;     /* since the card last ran */
    uint8_t fatal_synd; /* GONE: the health syndrome of a fatal error; 0 = away or reset */
    struct hws_cmdq_slot slots[HWS_ENTRY_MAX_SLOTS];
};

/*
 * Reads revision and sizes, allocates the queue page and the mailbox pool, gives the card the
 * address. config may be NULL. HWS_E_STATE while the card is still initializing (try again after
 * HWS_ISEG_READY_POLL_MS, give up after HWS_ISEG_READY_TIMEOUT_MS); HWS_E_GONE if nothing answers;
 * HWS_E_UNSUPPORTED for another interface revision; HWS_E_PROTO for impossible sizes; HWS_E_NOMEM.
 * A failed open needs no undo.
 */
enum hws_code hws_cmdq_open(struct hws_cmdq *q, struct hws_bar *bar,
                            const struct hws_cmdq_config *config, uint64_t now_ms,
                            struct hws_err *err) HWS_MUST_USE;

/* Frees what open took. No call may be on loan. Accepts a zeroed or closed queue. */
void hws_cmdq_deinit(struct hws_cmdq *q);

/*
 * Hands a call to the card. HWS_E_INVALID for lengths outside
 * HWS_CALL_MIN_BYTES..HWS_CALL_MAX_BYTES; HWS_E_BUSY with no free slot (the text says whether all
 * are stalled) or too few mailboxes; HWS_E_GONE; HWS_E_STATE when closed. The stage of all of them
 * is NOT_SENT.
 */
enum hws_code hws_cmdq_submit(struct hws_cmdq *q, struct hws_ctl_call *call, struct hws_err *err)
    HWS_MUST_USE;

/* The call ends in the next turn, HWS_E_CANCELED and stage UNKNOWN. No effect if it is not on loan
 * here. */
void hws_cmdq_cancel(struct hws_cmdq *q, struct hws_ctl_call *call);

/*
 * Ends cancelled calls, lets the card act, reaps, expires, runs callbacks (which may submit, cancel
 * and close). Returns when to call again; UINT64_MAX with nothing to do.
 */
uint64_t hws_cmdq_turn(struct hws_cmdq *q, uint64_t now_ms);

/*
 * Refuses new work. The next turn ends every call with HWS_E_CANCELED; when no stalled slot is
 * left, or after close_wait_ms (the card is then told to leave host memory alone), a turn frees
 * everything and calls closed (may be NULL), once. Calling close again, or on a closed queue, does
 * nothing.
 */
void hws_cmdq_close(struct hws_cmdq *q, void (*closed)(struct hws_cmdq *q));

/* From now on every command carries this user id (what CREATE_UCTX gave); 0 = the kernel's own. */
void hws_cmdq_set_uid(struct hws_cmdq *q, uint16_t uid);

/* Commands that may be in flight at once, without the reserved slot. */
uint32_t hws_cmdq_depth(const struct hws_cmdq *q);

/* Why the queue is GONE, for people. */
enum hws_code hws_cmdq_why_gone(const struct hws_cmdq *q, struct hws_err *err);

/* The syndrome of a fatal error that the card reports in its health buffer; 0 = none, or no card.
 */
uint8_t hws_cmdq_fatal_syndrome(struct hws_bar *bar);

/* Slots that wait for a late completion. */
uint32_t hws_cmdq_n_stalled(const struct hws_cmdq *q);

/*
 * Of those, the ones stalled for less than HWS_CMDQ_GIVE_UP_MS, which may still take effect;
 * *out_since_ms is when the oldest was stalled, untouched for 0.
 */
unsigned hws_cmdq_waited_for(const struct hws_cmdq *q, uint64_t *out_since_ms);

#endif
