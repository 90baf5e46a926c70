/* Reads and refusals on record. */
#include "hawserd/audit.h"

#include <string.h>

#include "common/log.h"
#include "hawserd/agent.h"

void hws_audit_fill(const struct hws_op *op, struct hws_record *out)
{
    memset(out, 0, sizeof(*out));
    out->unix_ms = hws_agent_unix_ms();
    out->effect = (uint8_t)op->want.effect;
    out->principal = op->caller->principal;
    out->cert_serial = op->caller->serial;
    out->peer = op->caller->peer;
    out->method = op->row->path;
    out->device = op->want.adapter == NULL ? "" : op->want.adapter->id;
    out->rule = op->rule;
    out->detail = op->want.detail;
    out->code = "";
    out->request_id = op->want.mutation.request_id == NULL ? "" : op->want.mutation.request_id;
}

static void log_instead(const struct hws_op *op, const char *event, const char *text)
{
    struct hws_log_q who;
    struct hws_log_q what;

    hws_log(event, "principal=%s method=%s detail=%s", hws_log_q(&who, op->caller->principal),
            op->row->path, hws_log_q(&what, text));
}

enum hws_code hws_audit_read(struct hws_op *op, const char *code, struct hws_err *err)
{
    struct hws_record r;

    if (op->noted) {
        return HWS_OK;
    }
    op->noted = true;
    if (op->agent->store == NULL) {
        log_instead(op, "read_unrecorded", op->want.detail);
        return HWS_OK;
    }
    hws_audit_fill(op, &r);
    r.phase = HWS_RECORD_READ;
    r.code = code;
    enum hws_code noted = hws_store_note(op->agent->store, &r, err);
    return noted == HWS_OK ? HWS_OK : hws_err_wrap(err, "audit");
}

void hws_audit_denied(const struct hws_op *op, const char *reason)
{
    struct hws_record r;
    struct hws_err err;

    op->agent->counters[HWS_COUNT_DENIED]++;
    hws_audit_fill(op, &r);
    r.phase = HWS_RECORD_DENIED;
    r.detail = reason;
    r.code = "PERMISSION_DENIED";
    if (op->agent->store == NULL || hws_store_note(op->agent->store, &r, &err) != HWS_OK) {
        log_instead(op, "denied_unrecorded", reason);
    }
}
