/*
 * The two durable moments of an operation that changes something, around its run: begin (fence,
 * request id, intent) and end (outcome and answer). A repeated request id gets the first answer.
 */
#ifndef HWS_HAWSERD_LEDGER_H
#define HWS_HAWSERD_LEDGER_H

#include "base/err.h"
#include "hawserd/op.h"

/* Checks the mutation of op->want. HWS_E_INVALID, op->want.field names what is wrong. */
enum hws_code hws_ledger_check(struct hws_op *op, struct hws_err *err) HWS_MUST_USE;

/*
 * Stores the intent. Later go(op) is called for a new intent; a repeated or refused request ends
 * through ended(op) with op->err, op->answer, op->details and op->repeated set. On an error neither
 * is called.
 */
enum hws_code hws_ledger_begin(struct hws_op *op, void (*go)(struct hws_op *),
                               void (*ended)(struct hws_op *), struct hws_err *err) HWS_MUST_USE;

/*
 * Stores the outcome op->outcome with op->err and op->answer, then calls ended(op). If it cannot be
 * stored, op->err becomes HWS_E_CONFLICT: the effect is as said, but whether a repeat will know is
 * in doubt.
 */
void hws_ledger_end(struct hws_op *op, void (*ended)(struct hws_op *));

#endif
