/*
 * Dangerous commands on the road of a request: what they need beside a policy rule, and what goes
 * to the device process with them. A command of another effect passes through untouched, unless its
 * caller names a warrant (a policy rule may want one: `approval: required`); it needs no grant.
 *
 *   allow   before the ledger: dangerous commands are on, and a warrant is named
 *   use     after the intent is durable: a grant covers it, the warrant is the caller's, for this
 *           request and these bytes, signed by two persons, and its use is durable: then go
 */
#ifndef HWS_HAWSERD_ENFORCE_H
#define HWS_HAWSERD_ENFORCE_H

#include "base/err.h"
#include "hawserd/exec.h"
#include "hawserd/task.h"

/* HWS_E_DENIED with what is missing. approval is the request's field. */
enum hws_code hws_enforce_allow(const struct hws_task *task, const struct hws_exec *x,
                                const char *approval, struct hws_err *err) HWS_MUST_USE;

/* Adds to the record's line which grant and which warrant the command has; sets want.approved. */
void hws_enforce_describe(struct hws_task *task, const struct hws_exec *x, const char *approval);

/* Calls go(task) now or later, or fails the operation: then nothing was sent. */
void hws_enforce_use(struct hws_task *task, struct hws_exec *x, const char *approval,
                     void (*go)(struct hws_task *task));

#endif
