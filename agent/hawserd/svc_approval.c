/*
 * hawser.v1.ApprovalService: grants, and warrants on their way to a second person.
 *
 * What is answered OK is durable. The signatures are checked when they come and once more when the
 * warrant is used (enforce.c), there also by the device process.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawser/v1/approval.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"
#include "hawserd/task.h"

/* One put on its way to the store. */
struct put {
    struct hws_store_kv kv;
    char key[HWS_DANGER_KEY_BYTES];
    struct hws_buf value;
    struct hws_danger_put approval; /* REQUEST, SIGN */
    uint64_t grant_id;              /* GRANT, REVOKE: the grant may go while the store works */
    struct hws_warrant w;           /* REQUEST, SIGN */
};

/* Puts, or with an empty value removes, under the work's key; done comes unless this fails. */
static enum hws_code store(struct hws_task *task, const char *ns, struct hws_span value,
                           void (*done)(struct hws_store_job *job), struct hws_err *err)
{
    struct put *p = task->work;

    p->kv.job.cb = done;
    p->kv.job.data = task;
    return hws_danger_store(&task->agent->danger, &p->kv, ns, p->key, value, err);
}

static enum hws_code make_work(struct hws_task *task, const ProtobufCMessage *mutation,
                               struct hws_err *err)
{
    struct put *p = hws_mem_zalloc(1, sizeof(*p));

    task->want.effect = HWS_EFFECT_CONFIG_LIVE;
    hws_svc_mutation(task, mutation);
    if (p == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "out of memory");
    }
    hws_buf_init(&p->value, 0);
    task->work = p;
    return HWS_OK;
}

static void drop_work(struct hws_task *task)
{
    struct put *p = task->work;

    hws_buf_deinit(&p->value);
    hws_buf_deinit(&p->approval.value);
    hws_mem_free(task->work);
    task->work = NULL;
}

static void refuse(struct hws_task *task, const struct hws_err *err)
{
    task->outcome = HWS_INTENT_VOID;
    hws_task_fail(task, err);
}

/* ---- grants ---------------------------------------------------------------------------------- */

static struct hws_grant grant_of(const struct hws_task *task, uint64_t now_s)
{
    const Hawser__V1__GrantRequest *q = task->request;

    return (struct hws_grant){.principal = q->principal,
                              .device = q->device,
                              .effect = (enum hws_effect)q->effect,
                              .rows = (const char *const *)q->targets,
                              .n_rows = q->n_targets,
                              .from_s = now_s,
                              .until_s = now_s + q->seconds,
                              .granted_by = task->caller->principal,
                              .reason = task->want.mutation.reason};
}

static enum hws_code grant_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__GrantRequest *q = task->request;
    enum hws_code code = make_work(task, q->mutation == NULL ? NULL : &q->mutation->base, err);

    if (code != HWS_OK) {
        return code;
    }
    struct hws_grant g = grant_of(task, hws_danger_now(&task->agent->danger));
    task->want.detail = hws_arena_printf(&task->arena, "%s for %u s to %s on %s%s",
                                         hws_effect_name(g.effect), q->seconds, q->principal,
                                         q->device, q->n_targets > 0 ? ", some targets" : "");
    code = hws_grant_check(&g, &task->want.field, err);
    /* Who may grant an effect must be allowed that effect by the policy. */
    task->want.effect = code == HWS_OK ? g.effect : task->want.effect;
    return code;
}

static Hawser__V1__GrantInfo *grant_info(struct hws_task *task, const struct hws_danger_grant *g)
{
    Hawser__V1__GrantInfo *i = hws_arena_alloc(&task->arena, sizeof(*i));

    if (i == NULL) {
        return NULL;
    }
    hawser__v1__grant_info__init(i);
    i->id = g->id;
    i->principal = hws_arena_str(&task->arena, g->g.principal);
    i->device = hws_arena_str(&task->arena, g->g.device);
    i->effect = (Hawser__V1__Effect)g->g.effect;
    i->from_unix_s = g->g.from_s;
    i->until_unix_s = g->g.until_s;
    i->granted_by = hws_arena_str(&task->arena, g->g.granted_by);
    i->reason = hws_arena_str(&task->arena, g->g.reason);
    i->targets = hws_arena_ptrs(&task->arena, g->g.n_rows + 1);
    for (size_t k = 0; i->targets != NULL && k < g->g.n_rows; k++) {
        i->targets[i->n_targets++] = hws_arena_str(&task->arena, g->g.rows[k]);
    }
    return i;
}

static void grant_stored(struct hws_store_job *job)
{
    Hawser__V1__GrantResponse r = HAWSER__V1__GRANT_RESPONSE__INIT;
    struct hws_task *task = job->data;
    struct put *p = task->work;
    struct hws_err err = job->err;

    hws_store_job_deinit(job);
    if (err.code != HWS_OK) {
        (void)hws_danger_drop_grant(&task->agent->danger, p->grant_id);
        refuse(task, &err);
        return;
    }
    const struct hws_danger_grant *g = hws_danger_grant_by_id(&task->agent->danger, p->grant_id);
    if (g == NULL || g->revoked) {
        hws_err_set(&err, HWS_E_CONFLICT, "grant %llu was revoked meanwhile",
                    (unsigned long long)p->grant_id);
        refuse(task, &err);
        return;
    }
    task->want.detail = hws_arena_printf(&task->arena, "grant %llu: %s", (unsigned long long)g->id,
                                         task->want.detail);
    r.grant = grant_info(task, g);
    hws_svc_reply(task, &r.base);
}

static void grant_run(struct hws_task *task)
{
    struct hws_danger *d = &task->agent->danger;
    struct hws_grant g = grant_of(task, hws_danger_now(d));
    struct hws_danger_grant *added = NULL;
    struct put *p = task->work;
    struct hws_err err;

    enum hws_code code = hws_danger_is_on(d, &err);
    code = code == HWS_OK ? hws_danger_add_grant(d, &g, &added, &err) : code;
    if (code != HWS_OK) {
        refuse(task, &err);
        return;
    }
    p->grant_id = added->id;
    hws_str_print(p->key, sizeof(p->key), "%020llu", (unsigned long long)p->grant_id);
    code = hws_buf_put(&p->value, added->bytes, added->n_bytes);
    if (code == HWS_OK) {
        struct hws_span value = {hws_buf_peek(&p->value), hws_buf_len(&p->value)};
        code = store(task, HWS_DANGER_NS_GRANT, value, grant_stored, &err);
    } else {
        hws_err_set(&err, code, "out of memory");
    }
    if (code != HWS_OK) {
        (void)hws_danger_drop_grant(d, p->grant_id);
        refuse(task, &err);
    }
}

const struct hws_handler hws_handler_APPROVAL_GRANT = {
    .request = &hawser__v1__grant_request__descriptor,
    .prepare = grant_prepare,
    .run = grant_run,
    .drop = drop_work,
    .repeated_field = 2,
};

static enum hws_code revoke_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__RevokeRequest *q = task->request;

    task->want.detail = hws_arena_printf(&task->arena, "grant %llu", (unsigned long long)q->id);
    return make_work(task, q->mutation == NULL ? NULL : &q->mutation->base, err);
}

static void revoke_stored(struct hws_store_job *job)
{
    Hawser__V1__RevokeResponse r = HAWSER__V1__REVOKE_RESPONSE__INIT;
    struct hws_task *task = job->data;
    const struct put *p = task->work;
    struct hws_err err = job->err;

    hws_store_job_deinit(job);
    if (err.code != HWS_OK) {
        refuse(task, &err);
        return;
    }
    (void)hws_danger_drop_grant(&task->agent->danger, p->grant_id);
    hws_svc_reply(task, &r.base);
}

/* It is of no use from here on, whatever becomes of the store: a revocation fails safe. It stays
 * known until the store has it, so that who is told of a failure can ask again. */
static void revoke_run(struct hws_task *task)
{
    const Hawser__V1__RevokeRequest *q = task->request;
    struct hws_danger *d = &task->agent->danger;
    struct put *p = task->work;
    struct hws_err err;

    p->grant_id = q->id;
    if (!hws_danger_revoke_grant(d, q->id)) {
        task->want.field = "id";
        hws_err_set(&err, HWS_E_NOT_FOUND, "no grant %llu: see hawser grant list",
                    (unsigned long long)q->id);
        refuse(task, &err);
        return;
    }
    hws_str_print(p->key, sizeof(p->key), "%020llu", (unsigned long long)q->id);
    if (store(task, HWS_DANGER_NS_GRANT, hws_danger_revoked(), revoke_stored, &err) != HWS_OK) {
        refuse(task, &err);
    }
}

const struct hws_handler hws_handler_APPROVAL_REVOKE = {
    .request = &hawser__v1__revoke_request__descriptor,
    .prepare = revoke_prepare,
    .run = revoke_run,
    .drop = drop_work,
    .repeated_field = 1,
};

static enum hws_code nothing_to_check(struct hws_task *task, struct hws_err *err)
{
    (void)task;
    (void)err;
    return HWS_OK;
}

static void list_grants_run(struct hws_task *task)
{
    Hawser__V1__ListGrantsResponse r = HAWSER__V1__LIST_GRANTS_RESPONSE__INIT;
    const struct hws_danger *d = &task->agent->danger;

    r.grants = hws_arena_ptrs(&task->arena, d->n_grants + 1);
    for (size_t i = 0; r.grants != NULL && i < d->n_grants; i++) {
        if (d->grants[i]->revoked) {
            continue;
        }
        r.grants[r.n_grants] = grant_info(task, d->grants[i]);
        r.n_grants += r.grants[r.n_grants] != NULL ? 1u : 0u;
    }
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_APPROVAL_LIST_GRANTS = {
    .request = &hawser__v1__list_grants_request__descriptor,
    .prepare = nothing_to_check,
    .run = list_grants_run,
};

/* ---- warrants -------------------------------------------------------------------------------- */

/* Reads the request's warrant into the work; its adapter becomes the operation's. */
static enum hws_code take_warrant(struct hws_task *task, const char *text, struct hws_err *err)
{
    struct put *p = task->work;

    if (hws_warrant_parse(text, strlen(text), &p->w, err) != HWS_OK) {
        err->code = HWS_E_INVALID; /* whatever the parser calls it */
        return hws_svc_blame(task, "warrant", err);
    }
    task->want.detail =
        hws_arena_printf(&task->arena, "warrant %s of %s for %s: %s", p->w.request_id,
                         p->w.operator_id, p->w.device, p->w.reason);
    return hws_svc_adapter(task, p->w.device, err);
}

/* Judges what a person hands in now: everything but a second signature that is still to come. */
static enum hws_code judge(struct hws_task *task, const uint8_t *inbox, size_t n_inbox, bool by_two,
                           struct hws_err *err)
{
    const struct hws_danger *d = &task->agent->danger;
    const struct hws_adapter *a = task->want.adapter;
    struct put *p = task->work;
    struct hws_warrant_signers signers;
    struct hws_warrant bound = p->w;
    struct hws_warrant_use use = {.device = a->port->pci,
                                  .serial = a->known ? a->identity.serial : "",
                                  .in = inbox,
                                  .in_bytes = n_inbox,
                                  .now_s = hws_danger_now(d)};

    enum hws_code code = hws_danger_is_on(d, err);
    if (code != HWS_OK) {
        return code;
    }
    if (by_two) {
        return hws_warrant_judge(&p->w, &d->trust, &use, &signers, err);
    }
    code = hws_warrant_judge_request(&p->w, &d->trust, use.now_s, &signers, err);
    code = code == HWS_OK ? hws_warrant_bind(&bound, inbox, n_inbox, err) : code;
    if (code == HWS_OK &&
        (bound.in_bytes != p->w.in_bytes || !hws_digest_eq(&bound.inbox, &p->w.inbox))) {
        code = hws_err_set(err, HWS_E_DENIED, "warrant: hash mismatch: the inbox is another one");
    }
    if (code == HWS_OK && use.serial[0] != '\0' && !hws_str_eq(use.serial, p->w.serial)) {
        code = hws_err_set(err, HWS_E_DENIED, "warrant: the adapter's serial number is %s",
                           use.serial);
    }
    return code;
}

static enum hws_code keep(struct hws_task *task, const uint8_t *inbox,
                          void (*done)(struct hws_store_job *job), struct hws_err *err)
{
    struct hws_danger *d = &task->agent->danger;
    struct put *p = task->work;

    enum hws_code code = hws_danger_propose(d, &p->w, inbox, &p->approval, err);
    if (code != HWS_OK) {
        return code;
    }
    memcpy(p->key, p->approval.hash, sizeof(p->approval.hash));
    task->want.detail = hws_arena_printf(&task->arena, "%s; %s", task->want.detail, p->key);
    struct hws_span value = {hws_buf_peek(&p->approval.value), hws_buf_len(&p->approval.value)};
    code = store(task, HWS_DANGER_NS_APPROVAL, value, done, err);
    if (code != HWS_OK) {
        hws_danger_withdraw(d, &p->approval);
    }
    return code;
}

/* The store has answered: memory follows it. */
static enum hws_code settled(struct hws_task *task, struct hws_store_job *job, struct hws_err *err)
{
    const struct put *p = task->work;

    *err = job->err;
    hws_store_job_deinit(job);
    if (err->code == HWS_OK) {
        return hws_danger_settle(&task->agent->danger, &p->w, &p->approval, err);
    }
    hws_danger_withdraw(&task->agent->danger, &p->approval);
    return err->code;
}

static enum hws_code request_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__RequestApprovalRequest *q = task->request;
    enum hws_code code = make_work(task, q->mutation == NULL ? NULL : &q->mutation->base, err);

    code = code == HWS_OK ? take_warrant(task, q->warrant, err) : code;
    if (code == HWS_OK && (q->inbox.len < 16 || q->inbox.len > HWS_DANGER_INBOX_BYTES)) {
        (void)hws_err_set(err, HWS_E_INVALID, "inbox must have 16..%u bytes",
                          HWS_DANGER_INBOX_BYTES);
        code = hws_svc_blame(task, "inbox", err);
    }
    return code;
}

static void request_stored(struct hws_store_job *job)
{
    Hawser__V1__RequestApprovalResponse r = HAWSER__V1__REQUEST_APPROVAL_RESPONSE__INIT;
    struct hws_task *task = job->data;
    struct hws_err err;

    if (settled(task, job, &err) != HWS_OK) {
        refuse(task, &err);
        return;
    }
    r.hash = ((struct put *)task->work)->key;
    hws_svc_reply(task, &r.base);
}

static void request_run(struct hws_task *task)
{
    const Hawser__V1__RequestApprovalRequest *q = task->request;
    struct put *p = task->work;
    struct hws_err err;

    enum hws_code code = judge(task, q->inbox.data, q->inbox.len, false, &err);
    if (code == HWS_OK && !hws_str_eq(p->w.operator_id, task->caller->principal)) {
        code = hws_err_set(&err, HWS_E_DENIED, "warrant: its operator is %.100s, not the caller",
                           p->w.operator_id);
    }
    p->w.has_approver = false; /* the second person comes for himself */
    code = code == HWS_OK ? keep(task, q->inbox.data, request_stored, &err) : code;
    if (code != HWS_OK) {
        refuse(task, &err);
    }
}

const struct hws_handler hws_handler_APPROVAL_REQUEST = {
    .request = &hawser__v1__request_approval_request__descriptor,
    .prepare = request_prepare,
    .run = request_run,
    .drop = drop_work,
    .repeated_field = 2,
};

static enum hws_code sign_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__SignApprovalRequest *q = task->request;
    enum hws_code code = make_work(task, q->mutation == NULL ? NULL : &q->mutation->base, err);

    return code == HWS_OK ? take_warrant(task, q->warrant, err) : code;
}

static void sign_stored(struct hws_store_job *job)
{
    Hawser__V1__SignApprovalResponse r = HAWSER__V1__SIGN_APPROVAL_RESPONSE__INIT;
    struct hws_task *task = job->data;
    struct hws_err err;

    if (settled(task, job, &err) != HWS_OK) {
        refuse(task, &err);
        return;
    }
    hws_svc_reply(task, &r.base);
}

static enum hws_code check_signer(const struct hws_task *task, const struct put *p,
                                  const struct hws_danger_approval *kept, struct hws_err *err)
{
    const Hawser__V1__SignApprovalRequest *q = task->request;
    struct hws_digest hash;
    char hex[HWS_DIGEST_HEX_BYTES];

    if (kept == NULL) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "no warrant %.64s is kept here, or it has expired",
                           q->hash);
    }
    enum hws_code code = hws_warrant_hash(&p->w, &hash, err);
    if (code != HWS_OK) {
        return code;
    }
    hws_digest_hex(&hash, hex);
    if (!hws_str_eq(hex, q->hash)) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: hash mismatch: this is %s", hex);
    }
    if (p->w.has_approver && !hws_str_eq(p->w.approver_id, task->caller->principal)) {
        return hws_err_set(err, HWS_E_DENIED, "warrant: its approver is %.100s, not the caller",
                           p->w.approver_id);
    }
    return HWS_OK;
}

static void sign_run(struct hws_task *task)
{
    const Hawser__V1__SignApprovalRequest *q = task->request;
    const struct hws_danger_approval *kept = hws_danger_find(&task->agent->danger, q->hash);
    struct put *p = task->work;
    struct hws_err err;

    enum hws_code code = check_signer(task, p, kept, &err);
    code = code == HWS_OK ? judge(task, kept->inbox, kept->n_inbox, true, &err) : code;
    code = code == HWS_OK ? keep(task, kept->inbox, sign_stored, &err) : code;
    if (code != HWS_OK) {
        refuse(task, &err);
    }
}

const struct hws_handler hws_handler_APPROVAL_SIGN = {
    .request = &hawser__v1__sign_approval_request__descriptor,
    .prepare = sign_prepare,
    .run = sign_run,
    .drop = drop_work,
    .repeated_field = 1,
};

static Hawser__V1__ApprovalInfo *approval_info(struct hws_task *task,
                                               const struct hws_danger_approval *a)
{
    Hawser__V1__ApprovalInfo *i = hws_arena_alloc(&task->arena, sizeof(*i));
    struct hws_adapter *adapter = NULL;
    struct hws_buf text;

    if (i == NULL) {
        return NULL;
    }
    hawser__v1__approval_info__init(i);
    hws_buf_init(&text, HWS_WARRANT_MAX_BYTES);
    if (hws_warrant_format(&a->w, &text, NULL) != HWS_OK) {
        task->arena.failed = true; /* out of memory: what is kept was parsed before */
    }
    i->warrant = hws_arena_str_n(&task->arena, hws_buf_peek(&text), hws_buf_len(&text));
    hws_buf_deinit(&text);
    i->hash = hws_arena_str(&task->arena, a->hash);
    i->inbox.data = a->inbox;
    i->inbox.len = a->n_inbox;
    i->used = hws_danger_is_used(&task->agent->danger, a);
    if (hws_devices_find(&task->agent->devices, a->w.device, &adapter, NULL) == HWS_OK) {
        i->device = hws_arena_str(&task->arena, adapter->id);
    }
    return i;
}

static void list_run(struct hws_task *task)
{
    Hawser__V1__ListApprovalsResponse r = HAWSER__V1__LIST_APPROVALS_RESPONSE__INIT;
    const struct hws_danger *d = &task->agent->danger;

    r.approvals = hws_arena_ptrs(&task->arena, d->n_approvals + 1);
    for (size_t i = 0; r.approvals != NULL && i < d->n_approvals; i++) {
        r.approvals[r.n_approvals] = approval_info(task, d->approvals[i]);
        r.n_approvals += r.approvals[r.n_approvals] != NULL ? 1u : 0u;
    }
    hws_svc_reply(task, &r.base);
}

const struct hws_handler hws_handler_APPROVAL_LIST = {
    .request = &hawser__v1__list_approvals_request__descriptor,
    .prepare = nothing_to_check,
    .run = list_run,
};
