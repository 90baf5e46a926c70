/*
 * What goes into the audit log besides intents and outcomes: allowed reads and refusals. Both are
 * handed to the store and committed together with whatever else waits; a read that could not be
 * handed over is refused, so that nothing is read unrecorded. Without a database (state SAFE) reads
 * go on and are logged instead.
 */
#ifndef HWS_HAWSERD_AUDIT_H
#define HWS_HAWSERD_AUDIT_H

#include "base/err.h"
#include "hawserd/task.h"

/* Fills a record's who, what and when from the operation; texts are borrowed from it. */
void hws_audit_fill(const struct hws_task *task, struct hws_record *out);

/* Records an allowed read with the gRPC status it came to ("" for a stream that begins).
 * HWS_E_BUSY: the store's queue is full. */
enum hws_code hws_audit_read(struct hws_task *task, const char *code, struct hws_err *err)
    HWS_MUST_USE;

/* Records a refusal; reason is for people. */
void hws_audit_denied(const struct hws_task *task, const char *reason);

/* Records, under the name of the agent itself, what nobody asked for at this moment: a trial that
 * ended, a lock that expired. Without a database it is logged. */
void hws_audit_note(struct hws_agent *agent, const char *method, const char *detail);

#endif
