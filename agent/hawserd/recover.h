/*
 * What an earlier keeper left unfinished. At start every open intent is listed; when its adapter is
 * there, nothing of an earlier session runs on it any more and its identity is known, the card is
 * read and the intent ends as new (all wanted values are there), old (the revision is the one
 * before) or stuck (neither, or not a setting: a person decides). Until then the adapter takes no
 * changes; reads are served.
 *
 * What a change says about itself when it begins, so that this can be judged later:
 *   new_state   "name\0value\0" for each setting; an empty value stands for the default
 *   old_state   the 32 bytes of the revision before; empty if the caller did not name it
 * Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_RECOVER_H
#define HWS_HAWSERD_RECOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypt/digest.h"
#include "hawserd/run.h"
#include "nvconfig/get.h"
#include "nvconfig/plan.h"
#include "store/mutation.h"

#define HWS_RECOVER_MAX 64u /* settings of one intent that are read back */

struct hws_adapter;
struct hws_agent;
struct hws_task;

struct hws_recover {
    struct hws_agent *agent; /* borrowed */
    struct hws_store_intents list;
    bool loading; /* the list is being read */
    bool loaded;
    bool due;        /* turn has something to look at */
    bool busy;       /* the intent at `next` is being read back or ended */
    size_t next_idx; /* the intent to look at */
    size_t n_left;   /* not resolved yet */
    bool *resolved;  /* owned; one per intent of the list */
    struct hws_nv_get get;
    const char *names[HWS_RECOVER_MAX]; /* borrowed from the intent */
    const char *values[HWS_RECOVER_MAX];
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

/* Fills old_state and new_state of task->want from settings and the revision before (may be NULL).
 */
enum hws_code hws_recover_describe(struct hws_task *task, const struct hws_nv_setting *settings,
                                   size_t n, const struct hws_digest *revision, struct hws_err *err)
    HWS_MUST_USE;

/* Frees the list. */
void hws_recover_deinit(struct hws_recover *r);

#endif
