/* Execute's road, shared with the items of ExecuteStream: prepare, allow, run and drop of
 * task->work, which is a struct hws_exec, for an task whose request is a hawser.v1.ExecuteRequest.
 */
#ifndef HWS_HAWSERD_SVC_EXEC_H
#define HWS_HAWSERD_SVC_EXEC_H

#include "base/err.h"

struct hws_task;

enum hws_code hws_svc_exec_prepare(struct hws_task *task, struct hws_err *err);
enum hws_code hws_svc_exec_allow(struct hws_task *task, struct hws_err *err);
void hws_svc_exec_run(struct hws_task *task);
void hws_svc_exec_drop(struct hws_task *task);

#define HWS_SVC_EXEC_REPEATED_FIELD 8u /* ExecuteResponse.repeated_request */

#endif
