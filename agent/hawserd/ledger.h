/*
 * The two durable moments of an operation that changes something, around its run: begin (fence,
 * request id, intent) and end (outcome and answer). A repeated request id gets the first answer.
 */
#ifndef HWS_HAWSERD_LEDGER_H
#define HWS_HAWSERD_LEDGER_H

#include "base/err.h"
#include "hawserd/task.h"

/* Checks the mutation of task->want. HWS_E_INVALID, task->want.field names what is wrong. */
enum hws_code hws_ledger_check(struct hws_task *task, struct hws_err *err) HWS_MUST_USE;

/*
 * Stores the intent. Later go(task) is called for a new intent; a repeated or refused request ends
 * through ended(task) with task->err, task->answer, task->details and task->repeated set. On an
 * error neither is called.
 */
enum hws_code hws_ledger_begin(struct hws_task *task, void (*go)(struct hws_task *),
                               void (*ended)(struct hws_task *), struct hws_err *err) HWS_MUST_USE;

/*
 * Stores what a begun operation replaces (n bytes, borrowed until go), then calls go(task) with the
 * result in task->err: only after HWS_OK may the card be touched. On an error go is not called.
 */
enum hws_code hws_ledger_note(struct hws_task *task, const uint8_t *bytes, size_t n,
                              void (*go)(struct hws_task *), struct hws_err *err) HWS_MUST_USE;

/*
 * Stores the outcome task->outcome with task->err and task->answer, then calls ended(task). If it
 * cannot be stored, task->err becomes HWS_E_CONFLICT: the effect is as said, but whether a repeat
 * will know is in doubt.
 */
void hws_ledger_end(struct hws_task *task, void (*ended)(struct hws_task *));

#endif
