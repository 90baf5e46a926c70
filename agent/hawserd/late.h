/*
 * Ends of changes that the store did not take: a full disk, a commit that failed. What the card
 * holds is known then, so each is kept and stored again until it is on record; until then a repeat
 * of its request is told that it is unfinished. There are no more of them than operations had begun
 * when the disk failed, since without space none begins. Thread rule: the loop thread.
 */
#ifndef HWS_HAWSERD_LATE_H
#define HWS_HAWSERD_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/list.h"
#include "store/mutation.h"

#define HWS_LATE_AGAIN_MS 1000u /* between two attempts */

struct hws_agent;

struct hws_late {
    struct hws_agent *agent; /* borrowed */
    struct hws_list ends;    /* oldest first */
    uv_timer_t timer;
    bool open;
    bool storing; /* the oldest is at the store */
};

/* Before any take; the loop is the agent's. */
void hws_late_open(struct hws_late *l, struct hws_agent *agent);
void hws_late_close(struct hws_late *l);

/* Keeps a copy of the end, to store it later. Without memory for it the intent stays open, and the
 * next start looks at the card: that is logged. */
void hws_late_take(struct hws_late *l, const struct hws_store_end *end);

/* True if the end of this operation is kept here. */
bool hws_late_has(const struct hws_late *l, uint64_t operation_id);

/* Tries to store the oldest; its success tries the next. The timer's. */
void hws_late_try(struct hws_late *l);

void hws_late_deinit(struct hws_late *l); /* after the store is closed; accepts a zeroed one */

#endif
