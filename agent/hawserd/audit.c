/* Reads and refusals on record. */
#include "hawserd/audit.h"

#include <string.h>

#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/walls.h"

void hws_audit_fill(const struct hws_task *task, struct hws_record *out)
{
    memset(out, 0, sizeof(*out));
    out->unix_ms = hws_agent_unix_ms();
    out->effect = (uint8_t)task->want.effect;
    out->scope = task->want.scope;
    out->taint_before = hws_walls_taint();
    out->taint_after = out->taint_before;
    out->table_hash = task->agent->table_hash;
    if (task->agent->policy != NULL) {
        out->policy_hash = *hws_policy_hash(task->agent->policy);
    }
    out->principal = task->caller->principal;
    out->cert_serial = task->caller->serial;
    out->peer = task->caller->peer;
    out->method = task->row->path;
    out->device = task->want.adapter == NULL ? "" : task->want.adapter->id;
    out->rule = task->rule;
    out->detail = task->want.detail;
    out->code = "";
    out->request_id = task->want.mutation.request_id == NULL ? "" : task->want.mutation.request_id;
}

static void log_instead(const struct hws_task *task, const char *event, const char *text)
{
    struct hws_log_q who;
    struct hws_log_q what;

    hws_log(event, "principal=%s method=%s detail=%s", hws_log_q(&who, task->caller->principal),
            task->row->path, hws_log_q(&what, text));
}

enum hws_code hws_audit_reserve(struct hws_task *task, struct hws_err *err)
{
    if (task->agent->store == NULL || task->has_place) {
        return HWS_OK;
    }
    enum hws_code code = hws_store_reserve(task->agent->store, err);
    task->has_place = code == HWS_OK;
    return code == HWS_OK ? HWS_OK : hws_err_wrap(err, "audit");
}

void hws_audit_give_back(struct hws_task *task)
{
    if (task->has_place) {
        task->has_place = false;
        hws_store_unreserve(task->agent->store);
    }
}

enum hws_code hws_audit_read(struct hws_task *task, const char *code, struct hws_err *err)
{
    struct hws_record r;

    if (task->noted) {
        return HWS_OK;
    }
    task->noted = true;
    if (task->agent->store == NULL) {
        log_instead(task, "read_unrecorded", task->want.detail);
        return HWS_OK;
    }
    hws_audit_fill(task, &r);
    r.phase = HWS_RECORD_READ;
    r.code = code;
    hws_audit_give_back(task);
    enum hws_code noted = hws_store_note(task->agent->store, &r, err);
    return noted == HWS_OK ? HWS_OK : hws_err_wrap(err, "audit");
}

static enum hws_code note_counted(struct hws_agent *agent, const struct hws_refused_slot *slot,
                                  struct hws_err *err)
{
    char detail[HWS_REFUSED_TEXT_BYTES + 96];
    struct hws_record r = {.unix_ms = hws_agent_unix_ms(),
                           .phase = HWS_RECORD_DENIED,
                           .n_others = slot->n,
                           .table_hash = agent->table_hash,
                           .principal = slot->principal,
                           .code = "PERMISSION_DENIED",
                           .detail = detail};

    if (agent->policy != NULL) {
        r.policy_hash = *hws_policy_hash(agent->policy);
    }
    (void)hws_str_print(detail, sizeof(detail),
                        "%u refused calls not recorded singly; the last: %s", slot->n, slot->last);
    if (agent->store == NULL) {
        return hws_err_set(err, HWS_E_STATE, "no database");
    }
    return hws_store_note(agent->store, &r, err);
}

static void on_refused(uv_timer_t *timer)
{
    hws_audit_tell_refused(timer->data, false);
}

void hws_audit_tell_refused(struct hws_agent *agent, bool all)
{
    struct hws_refused_slot *slot;
    struct hws_err err;

    while ((slot = hws_refused_due(&agent->refused, hws_agent_now(agent), all)) != NULL) {
        if (note_counted(agent, slot, &err) != HWS_OK) {
            if (err.code == HWS_E_BUSY && !all) {
                break; /* the queue is full: they stay counted until the timer comes again */
            }
            struct hws_log_q who;
            hws_log("denied_unrecorded", "principal=%s calls=%u", hws_log_q(&who, slot->principal),
                    slot->n);
        }
        slot->n = 0;
    }
    if (!all && hws_refused_waits(&agent->refused)) {
        (void)uv_timer_start(&agent->refused_timer, on_refused, HWS_REFUSED_TELL_MS, 0);
    }
}

void hws_audit_denied(const struct hws_task *task, const char *reason)
{
    struct hws_agent *agent = task->agent;
    struct hws_record r;
    struct hws_err err;
    char last[HWS_REFUSED_TEXT_BYTES];

    agent->counters[HWS_COUNT_DENIED]++;
    (void)hws_str_print(last, sizeof(last), "%s: %s", task->row->path, reason);
    if (!hws_refused_admit(&agent->refused, task->caller->principal, last, hws_agent_now(agent))) {
        if (uv_is_active((uv_handle_t *)&agent->refused_timer) == 0) {
            (void)uv_timer_start(&agent->refused_timer, on_refused, HWS_REFUSED_TELL_MS, 0);
        }
        return;
    }
    hws_audit_fill(task, &r);
    r.phase = HWS_RECORD_DENIED;
    r.detail = reason;
    r.code = "PERMISSION_DENIED";
    if (agent->store == NULL || hws_store_note(agent->store, &r, &err) != HWS_OK) {
        log_instead(task, "denied_unrecorded", reason);
    }
}

void hws_audit_note(struct hws_agent *agent, const char *method, const char *detail)
{
    struct hws_record r = {
        .unix_ms = hws_agent_unix_ms(),
        .phase = HWS_RECORD_NOTE,
        .effect = HWS_EFFECT_CONFIG_LIVE,
        .taint_before = hws_walls_taint(),
        .table_hash = agent->table_hash,
        .principal = "hawserd",
        .method = method,
        .detail = detail,
        .code = "OK",
    };
    struct hws_err err;

    r.taint_after = r.taint_before;
    if (agent->policy != NULL) {
        r.policy_hash = *hws_policy_hash(agent->policy);
    }
    if (agent->store == NULL || hws_store_note(agent->store, &r, &err) != HWS_OK) {
        struct hws_log_q q;
        hws_log("note_unrecorded", "method=%s detail=%s", method, hws_log_q(&q, detail));
    }
}
