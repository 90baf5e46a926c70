/*
 * What goes into the audit log besides intents and outcomes: allowed reads and refusals. Both are
 * handed to the store and committed together with whatever else waits; a read that could not be
 * handed over is refused, so that nothing is read unrecorded. Without a database (state SAFE) reads
 * go on and are logged instead.
 */
#ifndef HWS_HAWSERD_AUDIT_H
#define HWS_HAWSERD_AUDIT_H

#include "base/err.h"
#include "hawserd/refused.h"
#include "hawserd/task.h"

/* Fills a record's who, what and when from the operation; texts are borrowed from it. */
void hws_audit_fill(const struct hws_task *task, struct hws_record *out);

/* Keeps a place in the store for the operation's last record (of a read: the record; of a change:
 * the outcome), before anything is done: a card is never touched for what could not be put on
 * record. HWS_E_BUSY, HWS_E_GONE. No effect without a database. */
enum hws_code hws_audit_reserve(struct hws_task *task, struct hws_err *err) HWS_MUST_USE;

/* Gives the place back: to use it, or because it is not needed. Idempotent. */
void hws_audit_give_back(struct hws_task *task);

/* Tells how many refusals were counted and not recorded singly (all: those just counted, too).
 * Called by a timer, and before the agent stops. */
void hws_audit_tell_refused(struct hws_agent *agent, bool all);

/* Records an allowed read with the gRPC status it came to ("" for a stream that begins), and why
 * if it failed. HWS_E_BUSY: the store's queue is full. */
enum hws_code hws_audit_read(struct hws_task *task, const char *code, struct hws_err *err)
    HWS_MUST_USE;

/* Puts a refusal on record with the gRPC status of code, or counts it when its principal has had
 * many (refused.h) or the store has no place now; text is for people. */
void hws_audit_refused(const struct hws_task *task, enum hws_refusal why, enum hws_code code,
                       const char *text);

/* The same for a call that has not become an operation. */
void hws_audit_refused_call(const struct hws_rpc *rpc, enum hws_refusal why, enum hws_code code,
                            const char *text);

/* Counts a refusal that is put on record elsewhere. */
void hws_audit_count_refusal(struct hws_agent *agent, enum hws_refusal why, enum hws_code code);

/* Records, under the name of the agent itself, what nobody asked for at this moment: a trial that
 * ended, a lock that expired. Without a database it is logged. */
void hws_audit_note(struct hws_agent *agent, const char *method, const char *detail);

#endif
