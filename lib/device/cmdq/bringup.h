/*
 * What a driver says to a card before and after its work, as steppers: each hands out one call at a
 * time and is fed its result. Order and sizes are those of mlx5_core (core/main.c
 * mlx5_function_open and _close, core/eq.c, Linux 7.2.13). Without a ring for events the UAR and
 * the event queue are left out, and completions are polled for; so they are where the card refuses
 * one.
 *
 * Up:   ENABLE_HCA, QUERY_ISSI, SET_ISSI, QUERY_PAGES boot, MANAGE_PAGES give, QUERY_HCA_CAP,
 * SET_HCA_CAP, QUERY_PAGES init, MANAGE_PAGES give, INIT_HCA, ALLOC_UAR, CREATE_EQ, QUERY_ADAPTER,
 * CREATE_UCTX (if the card offers it) Down: DESTROY_UCTX, DESTROY_EQ, DEALLOC_UAR, TEARDOWN_HCA,
 * MANAGE_PAGES take until all are back, DISABLE_HCA
 *
 * Thread rule: one thread. The owner embeds the struct and keeps it as long as the card is up: it
 * owns the pages that the card uses. The calls go through the queue of the same bar with uid 0.
 */
#ifndef HWS_CMDQ_BRINGUP_H
#define HWS_CMDQ_BRINGUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cmdq/event.h"
#include "ifc/bar.h"
#include "ifc/box.h"
#include "ifc/call.h"

#define HWS_CMDQ_PAGES_PER_CALL 512u /* one MANAGE_PAGES give; 16 + 8 * 512 bytes */
#define HWS_CMDQ_MAX_PAGE_RUNS  32u  /* 64 MiB of pages a card may ask for */

/* What bring-up learned. */
struct hws_cmdq_card {
    uint16_t issi;     /* the interface step in use */
    uint16_t uid;      /* of our user context; 0 = none: the card offers no tools access */
    uint32_t uctx_cap; /* granted HWS_UCTX_CAP_* */
    uint32_t n_pages;  /* 4 KiB pages the card holds */
    char psid[HWS_PSID_BYTES + 1];
};

struct hws_cmdq_bringup {
    struct hws_bar *bar;            /* borrowed (outlives this) */
    struct hws_cmdq_events *events; /* borrowed (the queue's); NULL = polled */
    uint64_t step_ms;               /* time allowed per command */
    struct hws_cmdq_card card;      /* the result, valid after HWS_STEP_DONE */
    struct hws_err err;             /* the reason, valid after HWS_STEP_FAILED */
    uint32_t step_idx;
    bool down; /* teardown, not bring-up */
    bool failed;
    bool has_uar;
    bool has_eq;
    uint32_t in_bytes; /* of the call that is out */
    uint32_t n_wanted; /* pages still to give in this phase */
    uint32_t n_run;    /* pages in the call that is out */
    uint32_t n_runs;
    uint32_t wanted_uctx_cap;

    struct hws_dma runs[HWS_CMDQ_MAX_PAGE_RUNS]; /* owned; the pages given */
    uint8_t caps[HWS_HCA_CAP_AREA_BYTES];        /* current general capabilities */
    uint8_t in[HWS_HCA_CAP_BYTES];
    uint8_t out[HWS_HCA_CAP_BYTES];
};

/* Starts at ENABLE_HCA. events: the queue's ring, started and stopped on the way; NULL = polled.
 * uctx_cap: the HWS_UCTX_CAP_* to ask for. step_ms 0 = the driver's default of 60 s. */
void hws_cmdq_bringup_init(struct hws_cmdq_bringup *b, struct hws_bar *bar,
                           struct hws_cmdq_events *events, uint32_t uctx_cap, uint64_t step_ms);

/* After HWS_STEP_DONE (or a failure): the way down from here. */
void hws_cmdq_bringup_down(struct hws_cmdq_bringup *b);

/*
 * Fills *call (buffers, scope, deadline; cb and data are the caller's) or says it has ended. Call
 * again only after feed.
 */
enum hws_step hws_cmdq_bringup_next(struct hws_cmdq_bringup *b, uint64_t now_ms,
                                    struct hws_ctl_call *call);

/* Takes the result of the call that next filled. */
void hws_cmdq_bringup_feed(struct hws_cmdq_bringup *b, const struct hws_ctl_call *call);

/* Frees the pages (the card loses them) whatever it still holds. Accepts a zeroed struct. */
void hws_cmdq_bringup_deinit(struct hws_cmdq_bringup *b);

#endif
