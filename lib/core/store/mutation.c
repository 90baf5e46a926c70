/*
 * Mutations in the store: fence, request id, intent, outcome.
 *
 * begin, in one transaction:
 *   1. the fence: an election id smaller than the stored one is refused; else it is stored
 *   2. the key (principal, method, request id): a finished one is answered from its row, an
 * unfinished one is a conflict, one with another content hash is taken
 *   3. room in the ledger: the oldest finished rows give way
 *   4. the audit record INTENT and the ledger row
 * A refusal leaves its own audit record of phase DENIED and keeps a raised fence: raising is safe,
 * and the controller that raised it has shown itself.
 */
#include "store/mutation.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "store/db_priv.h"
#include "store/ledger_priv.h"

/* ---- begin ---- */

static enum hws_code check_begin(const struct hws_store_begin *r, struct hws_err *err)
{
    struct hws_span role = hws_store__span(r->fence.role);
    struct hws_span key = hws_store__span(r->record.request_id);

    if (role.n == 0 || role.n > HWS_STORE_ROLE_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "fence.role: 1 to %u bytes",
                           HWS_STORE_ROLE_MAX_BYTES);
    }
    if (r->fence.high == 0 && r->fence.low == 0) {
        return hws_err_set(err, HWS_E_INVALID, "fence: an election id of 0 is refused");
    }
    if (key.n == 0 || key.n > HWS_STORE_REQUEST_ID_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "request_id: 1 to %u bytes",
                           HWS_STORE_REQUEST_ID_MAX_BYTES);
    }
    if (hws_store__span(r->record.principal).n == 0 || hws_store__span(r->record.method).n == 0) {
        return hws_err_set(err, HWS_E_INVALID, "a mutation needs a principal and a method");
    }
    if (r->old_state.n > HWS_STORE_BLOB_MAX_BYTES || r->new_state.n > HWS_STORE_BLOB_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "the states of a mutation: at most %u bytes",
                           HWS_STORE_BLOB_MAX_BYTES);
    }
    return HWS_OK;
}

/* Judges an earlier request with the same key. HWS_OK with replay set: it is answered. */
static enum hws_code judge_earlier(struct hws_store_begin *r, const struct hws_store_row *row,
                                   struct hws_err *err)
{
    if (memcmp(row->request_hash.bytes, r->request_hash.b, HWS_DIGEST_BYTES) != 0) {
        return hws_err_set(err, HWS_E_EXISTS,
                           "request_id %s was used for another request (operation %" PRIu64 ")",
                           r->record.request_id, row->id);
    }
    r->operation_id = row->id;
    r->intent_seq = row->intent_seq;
    r->state = (enum hws_intent_state)row->state;
    if (row->state == HWS_INTENT_OPEN || row->state == HWS_INTENT_STUCK) {
        return hws_err_set(err, HWS_E_CONFLICT,
                           "request_id %s is unfinished (%s): poll operation %" PRIu64,
                           r->record.request_id, hws_intent_state_name(r->state), row->id);
    }
    r->answer = hws_mem_dup(row->answer.bytes, row->answer.n);
    if (r->answer == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    r->answer_bytes = row->answer.n;
    r->status = (uint32_t)row->status;
    r->replay = true;
    return HWS_OK;
}

static enum hws_code check_key(struct hws_store_db *db, struct hws_store_begin *r,
                               struct hws_err *err)
{
    struct hws_store_q q;
    struct hws_store_row row = {0};
    enum hws_code rc = HWS_OK;

    hws_store__q(&q, db, HWS_SQL_LEDGER_BY_KEY);
    hws_store__text(&q, r->record.principal);
    hws_store__text(&q, r->record.method);
    hws_store__text(&q, r->record.request_id);
    enum hws_store_step step = hws_store__step(&q, err);
    if (step == HWS_STORE_STEP_ERROR) {
        rc = err->code;
    } else if (step == HWS_STORE_STEP_ROW) {
        rc = hws_store__row_read(&q, &row, err);
        if (rc == HWS_OK) {
            rc = judge_earlier(r, &row, err);
        }
    }
    hws_store__q_end(&q);
    return rc;
}

static enum hws_code write_intent(struct hws_store_db *db, struct hws_store_begin *r,
                                  struct hws_err *err)
{
    struct hws_record record = r->record;
    uint64_t id;
    enum hws_code rc = hws_store__next_id(db, &id, err);

    if (rc != HWS_OK) {
        return rc;
    }
    record.phase = HWS_RECORD_INTENT;
    record.intent_seq = 0;
    rc = hws_store__audit_append(db, &record, err);
    if (rc != HWS_OK) {
        return rc;
    }
    struct hws_store_row row = {.id = id,
                                .state = HWS_INTENT_OPEN,
                                .intent_seq = record.seq,
                                .begun_ms = record.unix_ms,
                                .principal = hws_store__span(r->record.principal),
                                .method = hws_store__span(r->record.method),
                                .request_id = hws_store__span(r->record.request_id),
                                .request_hash = {r->request_hash.b, sizeof(r->request_hash.b)},
                                .record = {hws_buf_peek(&db->body), hws_buf_len(&db->body)},
                                .old_state = r->old_state,
                                .new_state = r->new_state};
    rc = hws_store__row_add(db, &row, err);
    if (rc == HWS_OK) {
        r->operation_id = id;
        r->intent_seq = record.seq;
        r->state = HWS_INTENT_OPEN;
    }
    return rc;
}

/* Leaves a record of the refusal; false if even that failed. */
static bool record_refusal(struct hws_store_db *db, struct hws_store_begin *r)
{
    struct hws_record record = r->record;
    struct hws_err err;

    record.phase = HWS_RECORD_DENIED;
    record.intent_seq = 0;
    record.detail = r->job.err.msg;
    record.code = r->job.err.code == HWS_E_DENIED     ? "PERMISSION_DENIED"
                  : r->job.err.code == HWS_E_CONFLICT ? "ABORTED"
                                                      : "ALREADY_EXISTS";
    if (hws_store__audit_append(db, &record, &err) != HWS_OK) {
        r->job.err = err;
        return false;
    }
    return true;
}

static bool begin_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_begin *r = hws_container_of(job, struct hws_store_begin, job);
    enum hws_code rc = check_begin(r, &job->err);

    if (rc == HWS_OK) {
        rc = hws_store__fence_check(db, &r->fence, &job->err);
    }
    if (rc == HWS_OK) {
        rc = check_key(db, r, &job->err);
    }
    if (rc == HWS_OK && r->replay) {
        return true;
    }
    if (rc == HWS_E_DENIED || rc == HWS_E_CONFLICT || rc == HWS_E_EXISTS) {
        return record_refusal(db, r);
    }
    if (rc == HWS_OK) {
        rc = hws_store__make_room(db, r->record.unix_ms, &job->err);
    }
    return rc == HWS_OK && write_intent(db, r, &job->err) == HWS_OK;
}

static void begin_deinit(struct hws_store_job *job)
{
    struct hws_store_begin *r = hws_container_of(job, struct hws_store_begin, job);

    hws_mem_free(r->answer);
    r->answer = NULL;
    r->answer_bytes = 0;
}

static const struct hws_store_job_ops s_begin = {
    .run = begin_run, .deinit = begin_deinit, .needs_space = true};

void hws_store_begin_init(struct hws_store_begin *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_begin;
}

/* ---- note ---- */

/* The row of an operation: the statement stands on it. HWS_E_NOT_FOUND. */
static enum hws_code read_operation(struct hws_store_q *q, uint64_t operation_id,
                                    struct hws_store_row *row, struct hws_err *err)
{
    hws_store__u64(q, operation_id);
    enum hws_store_step step = hws_store__step(q, err);
    if (step == HWS_STORE_STEP_ROW) {
        return hws_store__row_read(q, row, err);
    }
    if (step == HWS_STORE_STEP_DONE) {
        return hws_err_set(err, HWS_E_NOT_FOUND, "there is no operation %" PRIu64, operation_id);
    }
    return err->code;
}

static enum hws_code check_note(const struct hws_store_note *r, const struct hws_store_row *row,
                                struct hws_err *err)
{
    if (row->state != HWS_INTENT_OPEN) {
        return hws_err_set(err, HWS_E_STATE, "operation %" PRIu64 " has ended as %s", row->id,
                           hws_intent_state_name((enum hws_intent_state)row->state));
    }
    if (r->old_state.n > HWS_STORE_BLOB_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "the states of a mutation: at most %u bytes",
                           HWS_STORE_BLOB_MAX_BYTES);
    }
    return HWS_OK;
}

static bool note_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_note *r = hws_container_of(job, struct hws_store_note, job);
    struct hws_store_q q;
    struct hws_store_row row = {0};

    hws_store__q(&q, db, HWS_SQL_LEDGER_BY_ID);
    enum hws_code rc = read_operation(&q, r->operation_id, &row, &job->err);
    if (rc == HWS_OK) {
        rc = check_note(r, &row, &job->err);
    }
    if (rc == HWS_OK) {
        row.old_state = r->old_state;
        rc = hws_store__row_note(db, &row, &job->err);
    }
    hws_store__q_end(&q);
    return rc == HWS_OK;
}

static const struct hws_store_job_ops s_note = {.run = note_run, .needs_space = true};

void hws_store_note_init(struct hws_store_note *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_note;
}

/* ---- end ---- */

static enum hws_code check_end(const struct hws_store_end *r, const struct hws_store_row *row,
                               struct hws_err *err)
{
    bool was_stuck = row->state == HWS_INTENT_STUCK;

    if (row->state != HWS_INTENT_OPEN && !was_stuck) {
        return hws_err_set(err, HWS_E_STATE, "operation %" PRIu64 " has ended as %s", row->id,
                           hws_intent_state_name((enum hws_intent_state)row->state));
    }
    if (r->state <= HWS_INTENT_OPEN || r->state >= HWS_N_INTENT_STATES ||
        (was_stuck && r->state == HWS_INTENT_VOID)) {
        return hws_err_set(err, HWS_E_INVALID, "operation %" PRIu64 " cannot end as %s", row->id,
                           hws_intent_state_name(r->state));
    }
    if (r->answer.n > HWS_STORE_BLOB_MAX_BYTES) {
        return hws_err_set(err, HWS_E_INVALID, "the answer of a mutation: at most %u bytes",
                           HWS_STORE_BLOB_MAX_BYTES);
    }
    return HWS_OK;
}

/* The OUTCOME record: who and what are the intent's. */
static enum hws_code write_outcome(struct hws_store_db *db, struct hws_store_end *r,
                                   const struct hws_store_row *row, struct hws_err *err)
{
    struct hws_record record;
    enum hws_code rc = hws_record_decode(row->record.bytes, row->record.n, &record, err);

    if (rc != HWS_OK) {
        return rc;
    }
    record.phase = HWS_RECORD_OUTCOME;
    record.intent_seq = row->intent_seq;
    record.unix_ms = r->unix_ms;
    record.detail = r->detail;
    record.code = r->code;
    record.taint_after = r->taint_after;
    rc = hws_store__audit_append(db, &record, err);
    if (rc == HWS_OK) {
        r->outcome_seq = record.seq;
    }
    return rc;
}

static bool end_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_end *r = hws_container_of(job, struct hws_store_end, job);
    struct hws_store_q q;
    struct hws_store_row row = {0};

    hws_store__q(&q, db, HWS_SQL_LEDGER_BY_ID);
    enum hws_code rc = read_operation(&q, r->operation_id, &row, &job->err);
    if (rc == HWS_OK) {
        rc = check_end(r, &row, &job->err);
    }
    if (rc == HWS_OK) {
        rc = write_outcome(db, r, &row, &job->err);
    }
    if (rc == HWS_OK && r->state != HWS_INTENT_VOID) {
        row.state = r->state;
        row.status = r->status;
        row.ended_ms = r->unix_ms;
        row.answer = r->answer;
        rc = hws_store__row_end(db, &row, &job->err);
    }
    hws_store__q_end(&q);
    if (rc == HWS_OK && r->state == HWS_INTENT_VOID) {
        rc = hws_store__row_delete(db, r->operation_id, &job->err);
    }
    return rc == HWS_OK;
}

static const struct hws_store_job_ops s_end = {.run = end_run};

void hws_store_end_init(struct hws_store_end *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_end;
}
