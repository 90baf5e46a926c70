/*
 * What was left unfinished, by an earlier keeper or by a change that lost its card. At start every
 * open intent is listed; a change that ends in doubt is taken over while the keeper lives. When the
 * adapter is there, nothing runs on it any more and its identity is known, the card is read and the
 * change is brought to an end: wholly there (new) or wholly put back (old). Stuck is left for what
 * cannot be read, what somebody else has written over, and what is no setting: a person decides.
 * Until then the adapter takes no changes; reads are served.
 *
 * What a change says about itself, so that this can be done later:
 *   new_state   with the intent: "name\0value\0" for each setting; an empty value is the default
 *   old_state   before its first write: the writes, old and new bytes (nvconfig/recover.h). An
 *               intent without them has written nothing, and its request id is free again.
 * Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_RECOVER_H
#define HWS_HAWSERD_RECOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "hawserd/run.h"
#include "nvconfig/get.h"
#include "nvconfig/plan.h"
#include "nvconfig/recover.h"
#include "store/mutation.h"

struct hws_adapter;
struct hws_agent;
struct hws_task;

struct hws_recover {
    struct hws_agent *agent; /* borrowed */
    struct hws_store_intents list;
    bool loading; /* the list is being read */
    bool loaded;
    bool reload;                 /* a change was taken over: the list is to be read again */
    bool due;                    /* turn has something to look at */
    bool busy;                   /* the intent at `next` is being read back or ended */
    size_t next_idx;             /* the intent to look at */
    size_t n_left;               /* not resolved yet */
    bool *resolved;              /* owned; one per intent of the list */
    struct hws_nv_recover *step; /* owned; while an intent is brought to its end */
    struct hws_nv_get get;       /* for the answer */
    const char *names[HWS_NV_MAX_PARAMS]; /* borrowed from the intent */
    size_t n_names;
    struct hws_run run;
    struct hws_store_end end;
    char detail[HWS_ERR_MSG_BYTES];
    struct hws_buf answer; /* what a repeat of the intent being ended will get */
};

/* Lists what is open. HWS_E_BUSY, HWS_E_GONE from the store. */
enum hws_code hws_recover_start(struct hws_recover *r, struct hws_agent *agent, struct hws_err *err)
    HWS_MUST_USE;

/* Goes on if it can: an adapter has come, or a read-back has ended. */
void hws_recover_turn(struct hws_recover *r);

/* True if unfinished changes of this adapter are not resolved (or the list is not known yet). */
bool hws_recover_concerns(const struct hws_recover *r, const struct hws_adapter *a);

/* Takes over a running change that ended in doubt: its intent stays open, its adapter takes no
 * other change, and the card is brought to one state when it can be read. */
void hws_recover_take(struct hws_recover *r, struct hws_adapter *a);

/* Fills new_state of task->want from settings. */
enum hws_code hws_recover_describe(struct hws_task *task, const struct hws_nv_setting *settings,
                                   size_t n, struct hws_err *err) HWS_MUST_USE;

/* Frees the list. */
void hws_recover_deinit(struct hws_recover *r);

#endif
