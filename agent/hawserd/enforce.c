/* Grant, warrant and use of one dangerous command. */
#include "hawserd/enforce.h"

#include <string.h>

#include "base/str.h"
#include "hawserd/agent.h"
#include "hawserd/audit.h"
#include "table/table.h"

#define KEY_ID_BYTES 17u /* the first 16 hex digits of a public key's x, and a NUL */

/* A use on its way to the store; in the operation's arena. */
struct use_job {
    struct hws_store_kv kv;
    struct hws_task *task;
    void (*go)(struct hws_task *task);
    char key[HWS_DIGEST_HEX_BYTES];
    char line[HWS_SPENT_LINE_BYTES];
};

/* A policy rule may want a second person for other effects, too: then there is a warrant, but no
 * grant. */
static bool is_dangerous(const struct hws_exec *x)
{
    return x->row != NULL && hws_grant_is_dangerous(x->row->effect);
}

enum hws_code hws_enforce_allow(const struct hws_task *task, const struct hws_exec *x,
                                const char *approval, struct hws_err *err)
{
    if (!is_dangerous(x) && approval[0] == '\0') {
        return HWS_OK;
    }
    if (approval[0] != '\0' && !hws_effect_mutates(task->want.effect)) {
        return hws_err_set(err, HWS_E_DENIED, "a read takes no approval");
    }
    enum hws_code code = hws_danger_is_on(&task->agent->danger, err);
    if (code == HWS_OK && approval[0] == '\0') {
        code = hws_err_set(err, HWS_E_DENIED,
                           "%s is %s: it needs a warrant that two persons have signed; "
                           "hawser ... --reason TEXT --sign KEY asks for one",
                           x->row->name, hws_effect_name(x->row->effect));
    }
    return code;
}

static struct hws_grant_ask ask_of(const struct hws_task *task)
{
    const struct hws_adapter *a = task->want.adapter;

    return (struct hws_grant_ask){
        .principal = task->caller->principal,
        .device_id = a->id,
        .device_pci = a->port->pci,
        .device_serial = a->known ? a->identity.serial : "",
        .effect = task->want.effect,
        .target = task->want.target,
        .target_method = task->want.target_method,
    };
}

/* For the policy's condition `approval`; whether the signatures are good is looked at before use.
 */
static bool is_approved(const struct hws_task *task, const struct hws_exec *x,
                        const struct hws_danger_approval *kept)
{
    return kept != NULL && kept->w.has_approver && x->in != NULL &&
           hws_str_eq(kept->w.operator_id, task->caller->principal) &&
           kept->n_inbox == x->in_bytes && memcmp(kept->inbox, x->in, x->in_bytes) == 0;
}

void hws_enforce_describe(struct hws_task *task, const struct hws_exec *x, const char *approval)
{
    const struct hws_danger *d = &task->agent->danger;
    const struct hws_danger_approval *kept = hws_danger_find(d, approval);
    const struct hws_danger_grant *grant = NULL;

    if (is_dangerous(x)) {
        struct hws_grant_ask ask = ask_of(task);
        if (hws_danger_find_grant(d, &ask, &grant, NULL) == HWS_OK) {
            task->want.detail =
                hws_arena_printf(&task->arena, "%s; grant %llu by %s", task->want.detail,
                                 (unsigned long long)grant->id, grant->g.granted_by);
        }
    }
    if (approval[0] != '\0') {
        task->want.approved = is_approved(task, x, kept);
        task->want.detail =
            hws_arena_printf(&task->arena, "%s; warrant %.64s approved by %s", task->want.detail,
                             approval, task->want.approved ? kept->w.approver_id : "nobody");
    }
}

static void key_id(const struct hws_public *key, char dst[KEY_ID_BYTES])
{
    char hex[HWS_PUBLIC_HEX_BYTES];

    hws_public_hex(key, hex);
    (void)hws_str_copy_n(dst, KEY_ID_BYTES, hex + 2, KEY_ID_BYTES - 1);
}

/* Is it the caller's own, for this request? */
static enum hws_code check_request(const struct hws_task *task, const struct hws_warrant *w,
                                   struct hws_err *err)
{
    if (!hws_str_eq(w->operator_id, task->caller->principal)) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: it is %.80s's, not %.80s's", w->operator_id,
                           task->caller->principal);
    }
    if (!hws_str_eq(w->request_id, task->want.mutation.request_id)) {
        return hws_err_set(err, HWS_E_DENIED,
                           "warrant: hash mismatch: it is for request_id %s, this is %s",
                           w->request_id, task->want.mutation.request_id);
    }
    return HWS_OK;
}

static enum hws_code judge(struct hws_task *task, struct hws_exec *x,
                           const struct hws_danger_approval *kept,
                           struct hws_warrant_signers *signers, struct hws_err *err)
{
    const struct hws_danger *d = &task->agent->danger;
    const struct hws_adapter *a = task->want.adapter;
    struct hws_warrant_use use = {.device = a->port->pci,
                                  .serial = a->known ? a->identity.serial : "",
                                  .in = x->in,
                                  .in_bytes = x->in_bytes,
                                  .now_s = hws_danger_now(d)};

    enum hws_code code = check_request(task, &kept->w, err);
    code = code == HWS_OK ? hws_warrant_judge(&kept->w, &d->trust, &use, signers, err) : code;
    return code == HWS_OK ? hws_spent_check(&d->spent, &signers->hash, err) : code;
}

/* The text that goes along to the device process. */
static enum hws_code take_text(struct hws_task *task, struct hws_exec *x,
                               const struct hws_warrant *w, struct hws_err *err)
{
    struct hws_buf text;

    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    enum hws_code code = hws_warrant_format(w, &text, err);
    if (code == HWS_OK) {
        x->warrant = hws_arena_str_n(&task->arena, hws_buf_peek(&text), hws_buf_len(&text));
        x->warrant_bytes = hws_buf_len(&text);
    }
    hws_buf_deinit(&text);
    if (code == HWS_OK && task->arena.failed) {
        code = hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    return code;
}

static void tell_signers(struct hws_task *task, const struct hws_warrant_signers *s)
{
    char operator_key[KEY_ID_BYTES];
    char approver_key[KEY_ID_BYTES];

    key_id(&s->operator_key, operator_key);
    key_id(&s->approver_key, approver_key);
    task->want.detail = hws_arena_printf(&task->arena, "%s; keys %s and %s", task->want.detail,
                                         operator_key, approver_key);
}

/* The intent is on record, and so will be how it ended. */
static void refuse(struct hws_task *task, struct hws_err *why)
{
    bool limit = why->code == HWS_E_NOMEM || why->code == HWS_E_BUSY;

    hws_audit_count_refusal(task->agent, limit ? HWS_REFUSAL_LIMIT : HWS_REFUSAL_WARRANT,
                            why->code);
    hws_err_at(why, HWS_STAGE_NOT_SENT);
    task->outcome = HWS_INTENT_VOID;
    hws_task_fail(task, why);
}

static void use_stored(struct hws_store_job *job)
{
    const struct use_job *u = job->data;
    struct hws_err err = job->err;

    hws_store_job_deinit(job);
    if (err.code != HWS_OK) {
        refuse(u->task, &err);
        return;
    }
    u->go(u->task);
}

static enum hws_code use(struct use_job *u, struct hws_exec *x, const char *approval,
                         struct hws_err *err)
{
    struct hws_task *task = u->task;
    struct hws_danger *d = &task->agent->danger;
    const struct hws_danger_approval *kept = hws_danger_find(d, approval);
    struct hws_grant_ask ask = ask_of(task);
    const struct hws_danger_grant *grant = NULL;
    struct hws_warrant_signers signers;

    enum hws_code code = is_dangerous(x) ? hws_danger_find_grant(d, &ask, &grant, err) : HWS_OK;
    if (code != HWS_OK) {
        return code;
    }
    if (kept == NULL) {
        return hws_err_set(err, HWS_E_DENIED, "no warrant %.64s is kept here, or it has expired",
                           approval);
    }
    code = judge(task, x, kept, &signers, err);
    code = code == HWS_OK ? take_text(task, x, &kept->w, err) : code;
    if (code != HWS_OK) {
        return code;
    }
    tell_signers(task, &signers);
    struct hws_spent_use used = {
        .hash = signers.hash, .until_s = kept->w.until_s, .at_s = hws_danger_now(d)};
    hws_spent_add(&d->spent, &used); /* at once: nobody else gets in while it is being stored */
    size_t n = hws_spent_line(&used, u->line);
    (void)hws_str_copy(u->key, sizeof(u->key), kept->hash);
    u->kv.job.cb = use_stored;
    u->kv.job.data = u;
    code = hws_danger_store(d, &u->kv, HWS_DANGER_NS_USE, u->key,
                            (struct hws_span){(const uint8_t *)u->line, n}, err);
    if (code != HWS_OK) {
        hws_spent_forget(&d->spent, &used.hash); /* the store has not heard of it */
    }
    return code;
}

void hws_enforce_use(struct hws_task *task, struct hws_exec *x, const char *approval,
                     void (*go)(struct hws_task *task))
{
    struct use_job *u;
    struct hws_err err;

    if (!is_dangerous(x) && approval[0] == '\0') {
        go(task);
        return;
    }
    u = hws_arena_alloc(&task->arena, sizeof(*u));
    if (u == NULL) {
        hws_err_set(&err, HWS_E_NOMEM, "out of memory");
        refuse(task, &err);
        return;
    }
    u->task = task;
    u->go = go;
    if (use(u, x, approval, &err) != HWS_OK) {
        refuse(task, &err);
    }
}
