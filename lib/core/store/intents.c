/* Listing intents: what was cut off between its two durable moments, or one operation by its id. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "store/db_priv.h"
#include "store/ledger_priv.h"

#define MAX_INTENTS 1000u

#define N_PARTS 4u

/* Copies the row's parts, each after its length, behind those of the rows before. */
static enum hws_code keep_intent(struct hws_store_intents *r, const struct hws_store_row *row,
                                 struct hws_buf *bytes, struct hws_err *err)
{
    const struct hws_span parts[N_PARTS] = {row->record, row->old_state, row->new_state,
                                            row->answer};

    for (size_t i = 0; i < N_PARTS; i++) {
        uint8_t len[8];
        hws_store_be64(len, parts[i].n);
        if (hws_buf_put(bytes, len, sizeof(len)) != HWS_OK ||
            hws_buf_put(bytes, parts[i].bytes, parts[i].n) != HWS_OK) {
            return hws_err_set(err, HWS_E_NOMEM, "store: list of intents: out of memory");
        }
    }
    r->intents[r->n_intents] = (struct hws_intent){.operation_id = row->id,
                                                   .intent_seq = row->intent_seq,
                                                   .state = (enum hws_intent_state)row->state,
                                                   .status = (uint32_t)row->status,
                                                   .ended_unix_ms = row->ended_ms};
    r->n_intents++;
    return HWS_OK;
}

static const uint8_t *next_part(const uint8_t *p, struct hws_span *out)
{
    out->n = (size_t)hws_load_be64(p);
    out->bytes = p + 8;
    return out->bytes + out->n;
}

/* Points the intents at the copied bytes, which move no more. */
static enum hws_code point_at(struct hws_store_intents *r, const uint8_t *p, struct hws_err *err)
{
    for (size_t i = 0; i < r->n_intents; i++) {
        struct hws_intent *it = &r->intents[i];
        struct hws_span record;
        p = next_part(p, &record);
        p = next_part(p, &it->old_state);
        p = next_part(p, &it->new_state);
        p = next_part(p, &it->answer);
        if (hws_record_decode(record.bytes, record.n, &it->record, err) != HWS_OK) {
            return hws_err_wrap(err, "store: ledger row %" PRIu64, it->operation_id);
        }
    }
    return HWS_OK;
}

static enum hws_code read_intents(struct hws_store_db *db, struct hws_store_intents *r,
                                  struct hws_buf *bytes, struct hws_err *err)
{
    struct hws_store_q q;
    struct hws_store_row row = {0};
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;

    hws_store__q(&q, db, r->operation_id == 0 ? HWS_SQL_LEDGER_UNFINISHED : HWS_SQL_LEDGER_BY_ID);
    if (r->operation_id != 0) {
        hws_store__u64(&q, r->operation_id);
    }
    while (rc == HWS_OK && r->n_intents < MAX_INTENTS &&
           (step = hws_store__step(&q, err)) != HWS_STORE_STEP_DONE) {
        rc = step == HWS_STORE_STEP_ERROR ? err->code : hws_store__row_read(&q, &row, err);
        if (rc == HWS_OK) {
            rc = keep_intent(r, &row, bytes, err);
        }
    }
    hws_store__q_end(&q);
    if (rc == HWS_OK && r->operation_id != 0 && r->n_intents == 0) {
        rc = hws_err_set(err, HWS_E_NOT_FOUND, "there is no operation %" PRIu64, r->operation_id);
    }
    return rc;
}

static bool intents_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_intents *r = hws_container_of(job, struct hws_store_intents, job);
    struct hws_buf *bytes = hws_mem_zalloc(1, sizeof(*bytes));

    r->bytes = bytes;
    r->intents = hws_mem_zalloc(MAX_INTENTS, sizeof(*r->intents));
    if (bytes == NULL || r->intents == NULL) {
        (void)hws_err_set(&job->err, HWS_E_NOMEM, "store: list of intents: out of memory");
        return true;
    }
    enum hws_code rc = read_intents(db, r, bytes, &job->err);
    if (rc == HWS_OK) {
        rc = point_at(r, hws_buf_peek(bytes), &job->err);
    }
    if (rc != HWS_OK) {
        r->n_intents = 0;
    }
    return true;
}

static void intents_deinit(struct hws_store_job *job)
{
    struct hws_store_intents *r = hws_container_of(job, struct hws_store_intents, job);

    if (r->bytes != NULL) {
        hws_buf_deinit(r->bytes);
    }
    hws_mem_free(r->bytes);
    hws_mem_free(r->intents);
    r->bytes = NULL;
    r->intents = NULL;
    r->n_intents = 0;
}

static const struct hws_store_job_ops s_intents = {
    .run = intents_run, .deinit = intents_deinit, .reads = true};

void hws_store_intents_init(struct hws_store_intents *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_intents;
}

const char *hws_intent_state_name(enum hws_intent_state state)
{
    static const char *const names[HWS_N_INTENT_STATES] = {"?",   "open",  "new",
                                                           "old", "stuck", "void"};

    return (unsigned)state < HWS_N_INTENT_STATES ? names[state] : "?";
}
