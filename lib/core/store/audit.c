/*
 * The audit chain in the store: one writer, so sequence numbers have no gaps and every record
 * follows the one before. The end of the chain is stored a second time in `meta` with every commit,
 * so a lost last row is seen at open.
 */
#include "store/audit.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "record/verify.h"
#include "store/store_priv.h"

#define HEAD_KEY    "audit_head"
#define HEAD_BYTES  (16u + HWS_DIGEST_BYTES) /* seq, hash, bytes of all records */
#define QUERY_BYTES (1u << 20)

static enum hws_code write_row(struct hws_store_db *db, const struct hws_record *r,
                               struct hws_err *err)
{
    struct hws_store_q q;

    hws_store__q(&q, db, HWS_SQL_AUDIT_ADD);
    hws_store__u64(&q, r->seq);
    hws_store__blob(&q, hws_buf_peek(&db->body), hws_buf_len(&db->body));
    hws_store__blob(&q, r->prev_hash.b, sizeof(r->prev_hash.b));
    hws_store__blob(&q, r->hash.b, sizeof(r->hash.b));
    return hws_store__finish(&q, err);
}

enum hws_code hws_store__audit_append(struct hws_store_db *db, struct hws_record *r,
                                      struct hws_err *err)
{
    enum hws_code rc = hws_record_clean(r, &db->text);

    r->seq = db->marks.head_seq + 1;
    r->prev_hash = db->marks.head_hash;
    hws_buf_reset(&db->body);
    if (rc == HWS_OK) {
        rc = hws_record_encode(r, &db->body);
    }
    if (rc == HWS_OK) {
        rc = hws_record_hash(&r->prev_hash, hws_buf_peek(&db->body), hws_buf_len(&db->body),
                             &r->hash);
    }
    if (rc != HWS_OK) {
        return hws_err_set(err, rc, "store: audit record of phase %u: %s", r->phase,
                           hws_code_text(rc));
    }
    rc = write_row(db, r, err);
    if (rc != HWS_OK) {
        return rc;
    }
    db->marks.head_seq = r->seq;
    db->marks.head_hash = r->hash;
    db->marks.audit_bytes += hws_buf_len(&db->body);
    if (db->marks.horizon_seq == 0) {
        db->marks.horizon_seq = r->seq;
        db->marks.horizon_ms = r->unix_ms;
        db->marks.horizon_prev = r->prev_hash;
    }
    return HWS_OK;
}

enum hws_code hws_store__audit_seal(struct hws_store_db *db, struct hws_err *err)
{
    uint8_t head[HEAD_BYTES];
    struct hws_store_q q;

    hws_store_be64(head, db->marks.head_seq);
    memcpy(head + 8, db->marks.head_hash.b, HWS_DIGEST_BYTES);
    hws_store_be64(head + 8 + HWS_DIGEST_BYTES, db->marks.audit_bytes);
    hws_store__q(&q, db, HWS_SQL_META_PUT);
    hws_store__text(&q, HEAD_KEY);
    hws_store__blob(&q, head, sizeof(head));
    return hws_store__finish(&q, err);
}

/* Reads columns seq, body, prev, hash and judges the row by the walk v. The texts of *out point
 * into the row. */
static enum hws_code read_row(const struct hws_store_q *q, struct hws_verify *v,
                              struct hws_record *out, struct hws_err *err)
{
    uint64_t seq = hws_store__col_u64(q, 0);
    struct hws_span body = hws_store__col(q, 1);
    struct hws_record r;

    if (hws_record_decode(body.bytes, body.n, &r, NULL) != HWS_OK || r.seq != seq ||
        !hws_store__digest_of(hws_store__col(q, 2), &r.prev_hash) ||
        !hws_store__digest_of(hws_store__col(q, 3), &r.hash)) {
        v->bad_seq = seq;
        return hws_err_set(err, HWS_E_PROTO, "audit record %" PRIu64 " is malformed", seq);
    }
    enum hws_code rc = hws_verify_feed(v, &r, err);
    if (rc == HWS_OK) {
        *out = r;
    }
    return rc;
}

/* Walks all stored rows; each must follow the one before. */
static enum hws_code walk_all(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_store_q q;
    struct hws_verify v;
    struct hws_record r;
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;

    hws_verify_init(&v, db->marks.horizon_seq, NULL);
    hws_store__q(&q, db, HWS_SQL_AUDIT_FROM);
    hws_store__u64(&q, 0);
    hws_store__u64(&q, INT64_MAX);
    while (rc == HWS_OK && (step = hws_store__step(&q, err)) != HWS_STORE_STEP_DONE) {
        rc = step == HWS_STORE_STEP_ERROR ? HWS_E_PROTO : read_row(&q, &v, &r, err);
    }
    hws_store__q_end(&q);
    return rc;
}

/* The end of the chain by its last row and by `meta`; both must agree. */
static enum hws_code read_head(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_store_q q;
    struct hws_verify v;
    struct hws_record last = {0};
    struct hws_err local;
    enum hws_code rc = HWS_OK;

    hws_verify_init(&v, 0, NULL);
    hws_store__q(&q, db, HWS_SQL_AUDIT_LAST);
    enum hws_store_step step = hws_store__step(&q, &local);
    if (step == HWS_STORE_STEP_ROW) {
        rc = read_row(&q, &v, &last, &local);
    } else if (step == HWS_STORE_STEP_ERROR) {
        rc = local.code;
    }
    hws_store__q_end(&q);
    if (rc != HWS_OK) {
        return hws_err_set(err, rc, "%s", local.msg);
    }
    db->marks.head_seq = last.seq;
    db->marks.head_hash = last.hash;

    hws_store__q(&q, db, HWS_SQL_META_GET);
    hws_store__text(&q, HEAD_KEY);
    step = hws_store__step(&q, &local);
    if (step == HWS_STORE_STEP_ERROR) {
        rc = hws_err_set(err, local.code, "%s", local.msg);
    } else {
        uint8_t want[HEAD_BYTES] = {0};
        struct hws_span head = {.bytes = want,
                                .n = HEAD_BYTES}; /* absent: no record was ever written */
        if (step == HWS_STORE_STEP_ROW) {
            head = hws_store__col(&q, 0);
        }
        uint64_t seq = head.n == HEAD_BYTES ? hws_load_be64(head.bytes) : UINT64_MAX;
        if (seq != last.seq || memcmp(head.bytes + 8, last.hash.b, HWS_DIGEST_BYTES) != 0) {
            rc = hws_err_set(err, HWS_E_PROTO,
                             "store: the audit log ends at %" PRIu64 " but should end at %" PRIu64,
                             last.seq, seq);
        } else {
            db->marks.audit_bytes = hws_load_be64(head.bytes + 8 + HWS_DIGEST_BYTES);
        }
    }
    hws_store__q_end(&q);
    return rc;
}

/* Where the log begins. */
static enum hws_code read_horizon(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_store_q q;
    struct hws_verify v;
    struct hws_record first = {0};
    struct hws_err local;
    enum hws_code rc = HWS_OK;

    hws_verify_init(&v, 0, NULL);
    hws_store__q(&q, db, HWS_SQL_AUDIT_FROM);
    hws_store__u64(&q, 0);
    hws_store__u64(&q, 1);
    enum hws_store_step step = hws_store__step(&q, &local);
    if (step == HWS_STORE_STEP_ROW) {
        rc = read_row(&q, &v, &first, &local);
    } else if (step == HWS_STORE_STEP_ERROR) {
        rc = local.code;
    }
    if (rc == HWS_OK && step == HWS_STORE_STEP_ROW) {
        db->marks.horizon_seq = first.seq;
        db->marks.horizon_ms = first.unix_ms;
        db->marks.horizon_prev = first.prev_hash;
    }
    hws_store__q_end(&q);
    return rc == HWS_OK ? HWS_OK : hws_err_set(err, rc, "%s", local.msg);
}

enum hws_code hws_store__audit_open(struct hws_store_db *db, bool full, struct hws_err *err)
{
    enum hws_code rc = read_head(db, err);

    if (rc == HWS_OK) {
        rc = read_horizon(db, err);
    }
    return rc == HWS_OK && full ? walk_all(db, err) : rc;
}

/* ---- append ---- */

static bool append_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_append *r = hws_container_of(job, struct hws_store_append, job);

    return hws_store__audit_append(db, &r->record, &job->err) == HWS_OK;
}

static const struct hws_store_job_ops s_append = {.run = append_run};

void hws_store_append_init(struct hws_store_append *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_append;
}

/* ---- lost records ---- */

enum hws_code hws_store__tell_lost(struct hws_store_db *db, uint64_t unix_ms, struct hws_err *err)
{
    char detail[96];
    uint64_t n = db->n_untold;
    struct hws_record record = {.unix_ms = unix_ms,
                                .phase = HWS_RECORD_NOTE,
                                .n_others = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX,
                                .principal = "hawserd",
                                .code = "DATA_LOSS",
                                .detail = detail};

    (void)hws_str_print(detail, sizeof(detail),
                        "audit records lost: %" PRIu64 " before this one could not be stored", n);
    return hws_store__audit_append(db, &record, err);
}

/* ---- note: an append that owns its texts ---- */

struct note {
    struct hws_store_append append;
    struct hws_buf bytes; /* canonical form, what the texts point into */
};

static const struct hws_store_job_ops s_note = {.run = append_run, .unheard = true};

static void note_done(struct hws_store_job *job)
{
    struct note *n = hws_container_of(job, struct note, append.job);

    hws_buf_deinit(&n->bytes);
    hws_mem_free(n);
}

enum hws_code hws_store_note(struct hws_store *s, const struct hws_record *record,
                             struct hws_err *err)
{
    struct hws_buf texts = {0};
    struct hws_record r = *record;
    struct note *n = hws_mem_zalloc(1, sizeof(*n));
    enum hws_code rc = n == NULL ? HWS_E_NOMEM : hws_record_clean(&r, &texts);

    if (rc == HWS_OK) {
        rc = hws_record_encode(&r, &n->bytes);
    }
    hws_buf_deinit(&texts);
    if (rc != HWS_OK) {
        (void)hws_err_set(err, rc, "audit record: %s", hws_code_text(rc));
    } else {
        hws_store_append_init(&n->append);
        rc = hws_record_decode(hws_buf_peek(&n->bytes), hws_buf_len(&n->bytes), &n->append.record,
                               err);
    }
    if (rc == HWS_OK) {
        n->append.job.ops = &s_note;
        n->append.job.cb = note_done;
        rc = hws_store_submit(s, &n->append.job, err);
    }
    if (rc != HWS_OK && n != NULL) {
        note_done(&n->append.job);
    }
    return rc;
}

/* ---- query ---- */

/* Copies the row's canonical bytes, their length in front, behind those of the rows before. */
static enum hws_code keep_row(struct hws_store_query *r, const struct hws_store_q *q,
                              struct hws_verify *v, struct hws_buf *bytes)
{
    struct hws_record *out = &r->records[r->n_records];
    struct hws_err *err = &r->job.err;
    struct hws_span body = hws_store__col(q, 1);
    uint8_t len[4];
    enum hws_code rc = read_row(q, v, out, err);

    if (rc == HWS_E_PROTO) {
        r->bad_seq = v->bad_seq;
    }
    if (rc != HWS_OK) {
        return rc;
    }
    hws_store_be32(len, (uint32_t)body.n);
    rc = hws_buf_put(bytes, len, sizeof(len));
    if (rc == HWS_OK) {
        rc = hws_buf_put(bytes, body.bytes, body.n);
    }
    if (rc != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "store: audit query: out of memory");
    }
    r->n_records++;
    return HWS_OK;
}

/* Points the texts of the records at the copied bytes, which move no more. */
static void point_at(struct hws_store_query *r, const uint8_t *p)
{
    for (size_t i = 0; i < r->n_records; i++) {
        struct hws_record *rec = &r->records[i];
        struct hws_digest prev = rec->prev_hash;
        struct hws_digest hash = rec->hash;
        size_t n = hws_load_be32(p);
        enum hws_code rc = hws_record_decode(p + 4, n, rec, NULL);
        hws_assert(rc == HWS_OK); /* it was decoded before */
        rec->prev_hash = prev;
        rec->hash = hash;
        p += 4 + n;
    }
}

static enum hws_code read_rows(struct hws_store_db *db, struct hws_store_query *r, uint32_t limit,
                               struct hws_buf *bytes)
{
    struct hws_store_q q;
    struct hws_verify v;
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;
    uint64_t first = r->after_seq + 1 > r->horizon_seq ? r->after_seq + 1 : r->horizon_seq;

    hws_verify_init(&v, first, NULL);
    hws_store__q(&q, db, HWS_SQL_AUDIT_FROM);
    hws_store__u64(&q, r->after_seq);
    hws_store__u64(&q, limit);
    while (rc == HWS_OK && r->n_records < limit && hws_buf_len(bytes) < QUERY_BYTES &&
           (step = hws_store__step(&q, &r->job.err)) != HWS_STORE_STEP_DONE) {
        rc = step == HWS_STORE_STEP_ERROR ? r->job.err.code : keep_row(r, &q, &v, bytes);
    }
    hws_store__q_end(&q);
    return rc;
}

static bool query_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_query *r = hws_container_of(job, struct hws_store_query, job);
    uint32_t limit = r->limit == 0 ? HWS_STORE_QUERY_ROWS : r->limit;
    struct hws_buf *bytes = hws_mem_zalloc(1, sizeof(*bytes));

    limit = limit > HWS_STORE_QUERY_MAX_ROWS ? HWS_STORE_QUERY_MAX_ROWS : limit;
    r->bytes = bytes;
    r->records = hws_mem_zalloc(limit, sizeof(*r->records));
    if (bytes == NULL || r->records == NULL) {
        (void)hws_err_set(&job->err, HWS_E_NOMEM, "store: audit query: out of memory");
        return true;
    }
    r->horizon_seq = db->marks.horizon_seq;
    r->head_seq = db->marks.head_seq;
    if (r->last_n != 0) {
        r->after_seq = r->head_seq > r->last_n ? r->head_seq - r->last_n : 0;
    }
    if (r->after_seq > (uint64_t)INT64_MAX) {
        return true; /* SQLite's numbers are signed; nothing lies up there */
    }
    /* The error is in the job; the rows before it are given. */
    enum hws_code rc = read_rows(db, r, limit, bytes);
    point_at(r, hws_buf_peek(bytes));
    if (rc == HWS_OK && r->sigs.wanted) {
        uint64_t last_seq = r->n_records == 0 ? r->after_seq : r->records[r->n_records - 1].seq;
        (void)!hws_store__signed_from(db, last_seq, &r->sigs, &job->err);
    }
    return true;
}

static void query_deinit(struct hws_store_job *job)
{
    struct hws_store_query *r = hws_container_of(job, struct hws_store_query, job);

    if (r->bytes != NULL) {
        hws_buf_deinit(r->bytes);
    }
    hws_mem_free(r->bytes);
    hws_mem_free(r->records);
    hws_mem_free(r->sigs.keys);
    hws_mem_free(r->sigs.checkpoints);
    r->bytes = NULL;
    r->records = NULL;
    r->n_records = 0;
    memset(&r->sigs, 0, sizeof(r->sigs));
}

static const struct hws_store_job_ops s_query = {
    .run = query_run, .deinit = query_deinit, .reads = true};

void hws_store_query_init(struct hws_store_query *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_query;
}
