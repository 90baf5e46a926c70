/*
 * hawser.v1.AuditService. Checkpoint: the newest signed checkpoint. Tail: the log from a sequence
 * number on, and, with follow, each new record when it is durable. One query at a time, then as
 * many messages as there is room for.
 */
#include <string.h>

#include "base/mem.h"
#include "hawser/v1/audit.pb-c.h"
#include "hawserd/agent.h"
#include "hawserd/handler.h"
#include "hawserd/svc.h"

#define LAST_MAX 10000u

struct tail {
    struct hws_store_query query;
    struct hws_task *task; /* NULL: the caller went away while the query ran */
    bool asking;           /* the query is with the store */
    bool has_rows;         /* its rows are being sent */
    size_t sent_idx;       /* of the records, then the keys, then the checkpoints of the query */
    uint64_t after_seq;
    uint64_t from_seq;  /* where it began */
    uint64_t after_key; /* hws_store_signed's */
    uint64_t after_checkpoint;
    uint64_t seen_signed; /* hws_store_audit_signed when the last query was made */
    uint64_t until_seq;   /* without follow it ends here: the newest when it began */
    uint32_t last_n;      /* of the first query */
    bool follow;
    bool signatures;
};

static enum hws_code prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__TailRequest *q = task->request;

    if (q->last > LAST_MAX) {
        task->want.field = "last";
        return hws_err_set(err, HWS_E_INVALID, "last must be at most %u", LAST_MAX);
    }
    task->want.detail = q->follow ? "follow" : "";
    return HWS_OK;
}

static char *text(const char *s)
{
    return s == NULL ? (char *)"" : (char *)s;
}

static bool send_record(struct hws_task *task, const struct hws_record *from)
{
    Hawser__V1__TailResponse r = HAWSER__V1__TAIL_RESPONSE__INIT;
    Hawser__V1__AuditRecord a = HAWSER__V1__AUDIT_RECORD__INIT;

    a.seq = from->seq;
    a.unix_ms = from->unix_ms;
    a.intent_seq = from->intent_seq;
    a.phase = (Hawser__V1__AuditPhase)from->phase;
    a.effect = (Hawser__V1__Effect)from->effect;
    a.principal = text(from->principal);
    a.cert_serial = text(from->cert_serial);
    a.peer = text(from->peer);
    a.method = text(from->method);
    a.device = text(from->device);
    a.rule = text(from->rule);
    a.detail = text(from->detail);
    a.code = text(from->code);
    a.request_id = text(from->request_id);
    a.prev_hash.data = (uint8_t *)from->prev_hash.b;
    a.prev_hash.len = HWS_DIGEST_BYTES;
    a.hash.data = (uint8_t *)from->hash.b;
    a.hash.len = HWS_DIGEST_BYTES;
    a.scope_plus_one = from->scope;
    a.n_others = from->n_others;
    a.taint_before = from->taint_before;
    a.taint_after = from->taint_after;
    a.table_hash.data = (uint8_t *)from->table_hash.b;
    a.table_hash.len = HWS_DIGEST_BYTES;
    a.policy_hash.data = (uint8_t *)from->policy_hash.b;
    a.policy_hash.len = HWS_DIGEST_BYTES;
    r.record = &a;
    return hws_svc_send(task, &r.base);
}

static void answered(struct hws_store_job *job);

static void ask(struct hws_task *task, struct tail *t)
{
    struct hws_err err;

    hws_store_query_init(&t->query);
    t->query.job.cb = answered;
    t->query.job.data = t;
    t->query.after_seq = t->after_seq;
    t->query.last_n = t->last_n;
    t->query.sigs.wanted = t->signatures;
    t->query.sigs.from_seq = t->from_seq;
    t->query.sigs.after_key = t->after_key;
    t->query.sigs.after_checkpoint = t->after_checkpoint;
    t->seen_signed = hws_store_audit_signed(task->agent->store);
    if (hws_store_submit(task->agent->store, &t->query.job, &err) != HWS_OK) {
        hws_task_fail(task, &err);
        return;
    }
    t->asking = true;
}

/* Tells of records that were asked for and pruned meanwhile; false when there is no room yet or the
 * operation was failed. */
static bool send_gap(struct hws_task *task, struct tail *t)
{
    Hawser__V1__TailResponse r = HAWSER__V1__TAIL_RESPONSE__INIT;
    Hawser__V1__AuditGap gap = HAWSER__V1__AUDIT_GAP__INIT;
    uint64_t horizon_seq = t->query.horizon_seq;

    /* Who asks for everything from the start, or for the newest, asks for what is kept. */
    if (t->after_seq == 0 || t->last_n != 0 || horizon_seq <= t->after_seq + 1) {
        return true;
    }
    if (!hws_rpc_has_room(task->rpc)) {
        return false;
    }
    gap.first_seq = t->after_seq + 1;
    gap.last_seq = horizon_seq - 1;
    r.gap = &gap;
    if (!hws_svc_send(task, &r.base)) {
        return false;
    }
    t->after_seq = gap.last_seq;
    return true;
}

static void fill_checkpoint(const struct hws_checkpoint *c, Hawser__V1__AuditCheckpoint *out)
{
    hawser__v1__audit_checkpoint__init(out);
    out->host = (char *)c->host;
    out->seq = c->seq;
    out->unix_ms = c->unix_ms;
    out->hash = (ProtobufCBinaryData){HWS_DIGEST_BYTES, (uint8_t *)c->hash.b};
    out->horizon_seq = c->horizon_seq;
    out->horizon_prev = (ProtobufCBinaryData){HWS_DIGEST_BYTES, (uint8_t *)c->horizon_prev.b};
    out->key = (ProtobufCBinaryData){HWS_PUBLIC_BYTES, (uint8_t *)c->key.b};
    out->signature = (ProtobufCBinaryData){HWS_SIGNATURE_BYTES, (uint8_t *)c->signature.b};
}

static void fill_key(const struct hws_key_step *k, Hawser__V1__AuditKey *out)
{
    hawser__v1__audit_key__init(out);
    out->from_seq = k->from_seq;
    out->unix_ms = k->unix_ms;
    out->key = (ProtobufCBinaryData){HWS_PUBLIC_BYTES, (uint8_t *)k->key.b};
    out->by = (ProtobufCBinaryData){HWS_PUBLIC_BYTES, (uint8_t *)k->by.b};
    out->signature = (ProtobufCBinaryData){HWS_SIGNATURE_BYTES, (uint8_t *)k->signature.b};
}

static bool send_key(struct hws_task *task, const struct hws_key_step *k)
{
    Hawser__V1__TailResponse r = HAWSER__V1__TAIL_RESPONSE__INIT;
    Hawser__V1__AuditKey key;

    fill_key(k, &key);
    r.key = &key;
    return hws_svc_send(task, &r.base);
}

static bool send_checkpoint(struct hws_task *task, const struct hws_checkpoint *c)
{
    Hawser__V1__TailResponse r = HAWSER__V1__TAIL_RESPONSE__INIT;
    Hawser__V1__AuditCheckpoint checkpoint;

    fill_checkpoint(c, &checkpoint);
    r.checkpoint = &checkpoint;
    return hws_svc_send(task, &r.base);
}

/* Item idx of a query: its records, then keys, then checkpoints, so that each checkpoint follows
 * the record it names and the key it is by. */
static bool send_item(struct hws_task *task, struct tail *t, size_t idx)
{
    const struct hws_store_query *q = &t->query;

    if (idx < q->n_records) {
        t->after_seq = q->records[idx].seq;
        return send_record(task, &q->records[idx]);
    }
    idx -= q->n_records;
    return idx < q->sigs.n_keys ? send_key(task, &q->sigs.keys[idx])
                                : send_checkpoint(task, &q->sigs.checkpoints[idx - q->sigs.n_keys]);
}

/* Sends while there is room; true when all that this query found is out. */
static bool send_rows(struct hws_task *task, struct tail *t)
{
    const struct hws_store_query *q = &t->query;

    if (!send_gap(task, t)) {
        return false;
    }
    while (t->sent_idx < q->n_records + q->sigs.n_keys + q->sigs.n_checkpoints) {
        if (!hws_rpc_has_room(task->rpc) || !send_item(task, t, t->sent_idx)) {
            return false;
        }
        t->sent_idx++;
    }
    t->after_key = q->sigs.wanted ? q->sigs.after_key : 0;
    t->after_checkpoint = q->sigs.wanted ? q->sigs.after_checkpoint : 0;
    return true;
}

/* True if the store has more to tell than the last query did. */
static bool has_news(const struct hws_task *task, const struct tail *t, bool more)
{
    const struct hws_store *store = task->agent->store;

    return hws_store_audit_head(store) > t->after_seq ||
           (t->signatures && (more || hws_store_audit_signed(store) > t->seen_signed));
}

static void next(struct hws_task *task)
{
    struct tail *t = task->work;
    bool more = false;

    if (t->asking) {
        return;
    }
    if (t->has_rows) {
        if (!send_rows(task, t)) {
            return;
        }
        bool limited = t->query.n_records > 0 && t->after_seq < t->until_seq;
        more = t->query.sigs.more;
        t->has_rows = false;
        t->last_n = 0;
        hws_store_job_deinit(&t->query.job);
        if (!limited && !more && !t->follow) {
            hws_task_done(task);
            return;
        }
    }
    if (has_news(task, t, more)) {
        ask(task, t);
    }
}

static void damaged(struct hws_task *task, struct tail *t)
{
    struct hws_err err = t->query.job.err;

    hws_store_job_deinit(&t->query.job);
    hws_task_fail(task, &err);
}

static void answered(struct hws_store_job *job)
{
    struct tail *t = job->data;
    struct hws_task *task = t->task;

    t->asking = false;
    if (task == NULL) {
        hws_store_job_deinit(job);
        hws_mem_free(t);
        return;
    }
    if (job->err.code != HWS_OK && t->query.n_records == 0) {
        damaged(task, t);
        return;
    }
    t->has_rows = true;
    t->sent_idx = 0;
    if (t->until_seq == 0) {
        t->until_seq = t->query.head_seq;
    }
    if (t->query.n_records == 0 && t->query.head_seq > t->after_seq) {
        t->after_seq = t->query.head_seq;
    }
    next(task);
}

static void run(struct hws_task *task)
{
    const Hawser__V1__TailRequest *q = task->request;

    if (task->agent->store == NULL) {
        hws_task_refuse(task, HWS_E_STATE, "no audit log: %s", task->agent->state_reason);
        return;
    }
    struct tail *t = hws_mem_zalloc(1, sizeof(*t));
    if (t == NULL) {
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory");
        return;
    }
    t->task = task;
    t->after_seq = q->after_seq;
    t->from_seq = q->after_seq;
    t->last_n = q->last;
    t->follow = q->follow;
    t->signatures = q->signatures;
    task->work = t;
    task->follows = q->follow ? HWS_FOLLOW_AUDIT : HWS_FOLLOW_NOTHING;
    ask(task, t);
}

static void stop(struct hws_task *task)
{
    hws_task_refuse(task, HWS_E_CANCELED, "canceled");
}

static void drop(struct hws_task *task)
{
    struct tail *t = task->work;

    task->work = NULL;
    if (t->asking) {
        t->task = NULL; /* freed when the query is back */
        return;
    }
    if (t->has_rows) {
        hws_store_job_deinit(&t->query.job);
    }
    hws_mem_free(t);
}

const struct hws_handler hws_handler_AUDIT_TAIL = {
    .request = &hawser__v1__tail_request__descriptor,
    .prepare = prepare,
    .run = run,
    .resume = next,
    .stop = stop,
    .drop = drop,
};

/* ---- Checkpoint ------------------------------------------------------------------------------ */

struct checkpoint {
    struct hws_store_checkpoint newest;
    struct hws_store_query at; /* the record asked about */
    struct hws_task *task;     /* NULL: the caller went away while a request ran */
    bool asking;
    bool has_at;
};

static enum hws_code checkpoint_prepare(struct hws_task *task, struct hws_err *err)
{
    const Hawser__V1__CheckpointRequest *q = task->request;
    (void)err;

    task->want.detail = q->at_seq == 0 ? ""
                                       : hws_arena_printf(&task->arena, "at_seq=%llu",
                                                          (unsigned long long)q->at_seq);
    return HWS_OK;
}

static void free_checkpoint(struct checkpoint *w)
{
    hws_store_job_deinit(&w->newest.job);
    if (w->has_at) {
        hws_store_job_deinit(&w->at.job);
    }
    hws_mem_free(w);
}

static void fill_keys(struct hws_task *task, const struct checkpoint *w,
                      Hawser__V1__CheckpointResponse *r)
{
    r->keys = hws_arena_ptrs(&task->arena, w->newest.n_keys);
    for (size_t i = 0; r->keys != NULL && i < w->newest.n_keys; i++) {
        Hawser__V1__AuditKey *out = hws_arena_alloc(&task->arena, sizeof(*out));
        if (out == NULL) {
            return;
        }
        fill_key(&w->newest.keys[i], out);
        r->keys[r->n_keys++] = out;
    }
}

static void answer_checkpoint(struct hws_task *task, struct checkpoint *w)
{
    const Hawser__V1__CheckpointRequest *q = task->request;
    Hawser__V1__CheckpointResponse r = HAWSER__V1__CHECKPOINT_RESPONSE__INIT;
    Hawser__V1__AuditCheckpoint c;

    fill_checkpoint(&w->newest.checkpoint, &c);
    r.checkpoint = &c;
    fill_keys(task, w, &r);
    if (w->has_at && w->at.n_records == 1 && w->at.records[0].seq == q->at_seq) {
        r.at_hash = (ProtobufCBinaryData){HWS_DIGEST_BYTES, w->at.records[0].hash.b};
    }
    hws_svc_reply(task, &r.base);
}

/* A request came back; false if there is nobody to go on for. */
static bool is_back(struct hws_store_job *job, struct checkpoint *w)
{
    w->asking = false;
    if (w->task == NULL) {
        free_checkpoint(w);
        return false;
    }
    if (job->err.code != HWS_OK) {
        struct hws_err err = job->err;
        hws_task_fail(w->task, &err);
        return false;
    }
    return true;
}

static void got_record(struct hws_store_job *job)
{
    struct checkpoint *w = job->data;

    if (is_back(job, w)) {
        answer_checkpoint(w->task, w);
    }
}

static void submit(struct checkpoint *w, struct hws_store_job *job,
                   void (*cb)(struct hws_store_job *))
{
    struct hws_err err;

    job->cb = cb;
    job->data = w;
    if (hws_store_submit(w->task->agent->store, job, &err) != HWS_OK) {
        hws_task_fail(w->task, &err);
        return;
    }
    w->asking = true;
}

static void got_checkpoint(struct hws_store_job *job)
{
    struct checkpoint *w = job->data;

    if (!is_back(job, w)) {
        return;
    }
    const Hawser__V1__CheckpointRequest *q = w->task->request;
    if (q->at_seq == 0) {
        answer_checkpoint(w->task, w);
        return;
    }
    hws_store_query_init(&w->at);
    w->has_at = true;
    w->at.after_seq = q->at_seq - 1;
    w->at.limit = 1;
    submit(w, &w->at.job, got_record);
}

static void checkpoint_run(struct hws_task *task)
{
    if (task->agent->store == NULL) {
        hws_task_refuse(task, HWS_E_STATE, "no audit log: %s", task->agent->state_reason);
        return;
    }
    struct checkpoint *w = hws_mem_zalloc(1, sizeof(*w));
    if (w == NULL) {
        hws_task_refuse(task, HWS_E_NOMEM, "out of memory");
        return;
    }
    w->task = task;
    task->work = w;
    hws_store_checkpoint_init(&w->newest);
    submit(w, &w->newest.job, got_checkpoint);
}

static void checkpoint_drop(struct hws_task *task)
{
    struct checkpoint *w = task->work;

    task->work = NULL;
    if (w->asking) {
        w->task = NULL; /* freed when the request is back */
        return;
    }
    free_checkpoint(w);
}

const struct hws_handler hws_handler_AUDIT_CHECKPOINT = {
    .request = &hawser__v1__checkpoint_request__descriptor,
    .prepare = checkpoint_prepare,
    .run = checkpoint_run,
    .stop = stop,
    .drop = checkpoint_drop,
};
