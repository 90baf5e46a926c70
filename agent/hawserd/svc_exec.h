/* Execute's road, shared with the items of ExecuteStream: prepare, run and drop of op->work, which
 * is a struct hws_exec, for an op whose request is a hawser.v1.ExecuteRequest. */
#ifndef HWS_HAWSERD_SVC_EXEC_H
#define HWS_HAWSERD_SVC_EXEC_H

#include "base/err.h"

struct hws_op;

enum hws_code hws_svc_exec_prepare(struct hws_op *op, struct hws_err *err);
void hws_svc_exec_run(struct hws_op *op);
void hws_svc_exec_drop(struct hws_op *op);

#define HWS_SVC_EXEC_REPEATED_FIELD 8u /* ExecuteResponse.repeated_request */

#endif
