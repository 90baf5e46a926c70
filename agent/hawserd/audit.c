/* Reads and refusals on record. */
#include "hawserd/audit.h"

#include <string.h>

#include "base/str.h"
#include "common/log.h"
#include "hawserd/agent.h"
#include "hawserd/convert.h"
#include "hawserd/walls.h"

/* Who called what, and what it was judged by. */
static void fill_call(const struct hws_agent *agent, const struct hws_caller *caller,
                      const struct hws_method *row, struct hws_record *out)
{
    memset(out, 0, sizeof(*out));
    out->unix_ms = hws_agent_unix_ms();
    out->taint_before = hws_walls_taint();
    out->taint_after = out->taint_before;
    out->table_hash = agent->table_hash;
    if (agent->policy != NULL) {
        out->policy_hash = *hws_policy_hash(agent->policy);
    }
    out->principal = caller->principal;
    out->cert_serial = caller->serial;
    out->peer = caller->peer;
    out->method = row->path;
    out->code = "";
}

void hws_audit_fill(const struct hws_task *task, struct hws_record *out)
{
    fill_call(task->agent, task->caller, task->row, out);
    out->effect = (uint8_t)task->want.effect;
    out->scope = task->want.scope;
    out->device = task->want.adapter == NULL ? "" : task->want.adapter->id;
    out->rule = task->rule;
    out->detail = task->want.detail;
    out->request_id = task->want.mutation.request_id == NULL ? "" : task->want.mutation.request_id;
}

static void log_instead(const struct hws_record *r, const char *event)
{
    struct hws_log_q who;
    struct hws_log_q what;

    hws_log(event, "principal=%s method=%s detail=%s", hws_log_q(&who, r->principal), r->method,
            hws_log_q(&what, r->detail));
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

/* Two texts as one, in dst if need be. */
static const char *join(char *dst, size_t cap, const char *first, const char *second)
{
    if (first == NULL || first[0] == '\0') {
        return second;
    }
    (void)hws_str_print(dst, cap, "%s; %s", first, second);
    return dst;
}

enum hws_code hws_audit_read(struct hws_task *task, const char *code, struct hws_err *err)
{
    char detail[HWS_RECORD_TEXT_MAX_BYTES];
    struct hws_record r;

    if (task->noted) {
        return HWS_OK;
    }
    task->noted = true;
    hws_audit_fill(task, &r);
    r.phase = HWS_RECORD_READ;
    r.code = code;
    if (task->err.code != HWS_OK) {
        r.detail = join(detail, sizeof(detail), task->want.detail, task->err.msg);
    }
    if (task->agent->store == NULL) {
        log_instead(&r, "read_unrecorded");
        return HWS_OK;
    }
    hws_audit_give_back(task);
    enum hws_code noted = hws_store_note(task->agent->store, &r, err);
    return noted == HWS_OK ? HWS_OK : hws_err_wrap(err, "audit");
}

static enum hws_code note_counted(struct hws_agent *agent, const struct hws_refused_slot *slot,
                                  struct hws_err *err)
{
    char reasons[HWS_N_REFUSALS * 24];
    char detail[HWS_REFUSED_TEXT_BYTES + sizeof(reasons) + 96];
    struct hws_record r = {.unix_ms = hws_agent_unix_ms(),
                           .phase = HWS_RECORD_DENIED,
                           .n_others = slot->n,
                           .table_hash = agent->table_hash,
                           .principal = slot->principal,
                           .code = slot->status,
                           .detail = detail};

    if (agent->policy != NULL) {
        r.policy_hash = *hws_policy_hash(agent->policy);
    }
    hws_refused_reasons(slot, reasons, sizeof(reasons));
    (void)hws_str_print(detail, sizeof(detail),
                        "%u refused calls not recorded singly (%s); the last: %s", slot->n, reasons,
                        slot->last);
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
        hws_refused_told(slot);
    }
    if (!all && hws_refused_waits(&agent->refused)) {
        (void)uv_timer_start(&agent->refused_timer, on_refused, HWS_REFUSED_TELL_MS, 0);
    }
}

static void tell_later(struct hws_agent *agent)
{
    if (uv_is_active((uv_handle_t *)&agent->refused_timer) == 0) {
        (void)uv_timer_start(&agent->refused_timer, on_refused, HWS_REFUSED_TELL_MS, 0);
    }
}

void hws_audit_count_refusal(struct hws_agent *agent, enum hws_refusal why, enum hws_code code)
{
    agent->refusals[why]++;
    agent->counters[HWS_COUNT_DENIED] += code == HWS_E_DENIED ? 1 : 0;
}

/* The record is filled but for what is the same of all refusals; arguments are the request's. */
static void put_refusal(struct hws_agent *agent, enum hws_refusal why,
                        const struct hws_record *filled, const char *arguments)
{
    char detail[HWS_RECORD_TEXT_MAX_BYTES];
    char last[HWS_REFUSED_TEXT_BYTES];
    struct hws_record r = *filled;
    struct hws_err err;
    const struct hws_refused_call call = {r.principal, why, r.code, last};

    (void)hws_str_print(last, sizeof(last), "%s: %s", r.method, r.detail);
    if (!hws_refused_admit(&agent->refused, &call, hws_agent_now(agent))) {
        tell_later(agent);
        return;
    }
    r.phase = HWS_RECORD_DENIED;
    if (arguments != NULL && arguments[0] != '\0') {
        r.detail = join(detail, sizeof(detail), r.detail, arguments);
    }
    enum hws_code code =
        agent->store == NULL ? HWS_E_STATE : hws_store_note(agent->store, &r, &err);
    if (code == HWS_E_BUSY) {
        hws_refused_count(&agent->refused, &call, hws_agent_now(agent));
        tell_later(agent);
    } else if (code != HWS_OK) {
        log_instead(&r, "denied_unrecorded");
    }
}

void hws_audit_refused(const struct hws_task *task, enum hws_refusal why, enum hws_code code,
                       const char *text)
{
    struct hws_record r;

    hws_audit_count_refusal(task->agent, why, code);
    hws_audit_fill(task, &r);
    r.detail = text;
    r.code = hws_convert_name(hws_convert_code(code, HWS_STAGE_NONE));
    put_refusal(task->agent, why, &r, task->want.detail);
}

void hws_audit_refused_call(const struct hws_rpc *rpc, enum hws_refusal why, enum hws_code code,
                            const char *text)
{
    struct hws_record r;

    hws_audit_count_refusal(rpc->agent, why, code);
    if (rpc->caller == NULL) {
        return; /* no memory even for who it is */
    }
    fill_call(rpc->agent, rpc->caller, rpc->row, &r);
    r.detail = text;
    r.code = hws_convert_name(hws_convert_code(code, HWS_STAGE_NONE));
    put_refusal(rpc->agent, why, &r, "");
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
