/*
 * Checkpoints of the audit log, the keys that sign them, and retention, whose horizon they sign.
 *
 * A checkpoint is written in the transaction of the records that it covers, so that none ever
 * speaks of a record that is not there. Pruning deletes the oldest records and signs the new
 * horizon in one transaction, so that at every moment the last checkpoint says where the log
 * begins.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/mem.h"
#include "store/audit.h"
#include "store/db_priv.h"

#define PRUNE_ROWS  256u /* records that one transaction prunes at most */
#define SLACK_ROWS  64u  /* how far over a limit the log may be before pruning begins */
#define SLACK_BYTES (UINT64_C(64) << 10)
#define SLACK_MS    60000u

#define TIME_AT 12u /* where a record's canonical bytes have its unix_ms */

static uint64_t unix_ms_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- checkpoints ---- */

static enum hws_code put_signed(struct hws_store_db *db, enum hws_store_sql id, uint64_t n,
                                const uint64_t *seq, const struct hws_signature *signature,
                                struct hws_err *err)
{
    struct hws_store_q q;

    hws_store__q(&q, db, id);
    hws_store__u64(&q, n);
    if (seq != NULL) {
        hws_store__u64(&q, *seq);
    }
    hws_store__blob(&q, hws_buf_peek(&db->body), hws_buf_len(&db->body));
    hws_store__blob(&q, signature->b, sizeof(signature->b));
    return hws_store__finish(&q, err);
}

/* The newest checkpoint covers the whole log; of the older ones only so many stay, or a quiet host,
 * which signs nearly every record by itself, would gather them without end. */
static enum hws_code drop_old_checkpoints(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_store_q q;

    if (db->marks.n_checkpoints <= db->opt.max_checkpoints) {
        return HWS_OK;
    }
    hws_store__q(&q, db, HWS_SQL_CHECKPOINT_TRIM);
    hws_store__u64(&q, db->marks.n_checkpoints - db->opt.max_checkpoints);
    return hws_store__finish(&q, err);
}

bool hws_store__unsigned(const struct hws_store_db *db)
{
    return db->marks.signer != NULL && db->marks.head_seq > db->marks.signed_seq;
}

enum hws_code hws_store__sign(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_checkpoint c = {.seq = db->marks.head_seq,
                               .unix_ms = unix_ms_now(),
                               .horizon_seq = db->marks.horizon_seq,
                               .hash = db->marks.head_hash,
                               .horizon_prev = db->marks.horizon_prev};

    if (db->marks.signer == NULL || db->marks.head_seq == 0) {
        return HWS_OK;
    }
    (void)hws_str_copy(c.host, sizeof(c.host), db->opt.host);
    enum hws_code rc = hws_checkpoint_sign(&c, db->marks.signer, err);
    if (rc == HWS_OK) {
        hws_buf_reset(&db->body);
        rc = hws_checkpoint_encode(&c, &db->body);
        rc = rc == HWS_OK ? HWS_OK : hws_err_set(err, rc, "store: %s", hws_code_text(rc));
    }
    if (rc == HWS_OK) {
        rc = put_signed(db, HWS_SQL_CHECKPOINT_ADD, db->marks.n_checkpoints + 1, &c.seq,
                        &c.signature, err);
    }
    if (rc == HWS_OK) {
        db->marks.n_checkpoints++;
        db->marks.signed_seq = c.seq;
        rc = drop_old_checkpoints(db, err);
    }
    return rc;
}

static enum hws_code add_key(struct hws_store_db *db, struct hws_key_step *k,
                             const struct hws_signer *by, struct hws_err *err)
{
    enum hws_code rc = hws_key_step_sign(k, by, err);

    if (rc == HWS_OK) {
        hws_buf_reset(&db->body);
        rc = hws_key_step_encode(k, &db->body);
        rc = rc == HWS_OK ? HWS_OK : hws_err_set(err, rc, "store: %s", hws_code_text(rc));
    }
    if (rc == HWS_OK) {
        rc = put_signed(db, HWS_SQL_KEY_ADD, db->marks.n_keys + 1, NULL, &k->signature, err);
    }
    db->marks.n_keys += rc == HWS_OK ? 1 : 0;
    return rc;
}

static bool read_signature(const struct hws_store_q *q, struct hws_signature *out)
{
    struct hws_span s = hws_store__col(q, 2);

    if (s.n != sizeof(out->b)) {
        return false;
    }
    memcpy(out->b, s.bytes, sizeof(out->b));
    return true;
}

/* Columns n, body, signature. */
static enum hws_code read_checkpoint(const struct hws_store_q *q, struct hws_checkpoint *out,
                                     struct hws_err *err)
{
    struct hws_span body = hws_store__col(q, 1);

    if (hws_checkpoint_decode(body.bytes, body.n, out) != HWS_OK ||
        !read_signature(q, &out->signature)) {
        return hws_err_set(err, HWS_E_PROTO, "store: checkpoint %" PRIu64 " is malformed",
                           hws_store__col_u64(q, 0));
    }
    return HWS_OK;
}

static enum hws_code read_key(const struct hws_store_q *q, struct hws_key_step *out,
                              struct hws_err *err)
{
    struct hws_span body = hws_store__col(q, 1);

    if (hws_key_step_decode(body.bytes, body.n, out) != HWS_OK ||
        !read_signature(q, &out->signature)) {
        return hws_err_set(err, HWS_E_PROTO, "store: audit key %" PRIu64 " is malformed",
                           hws_store__col_u64(q, 0));
    }
    return HWS_OK;
}

/* The newest checkpoint; HWS_E_NOT_FOUND. */
static enum hws_code last_checkpoint(struct hws_store_db *db, struct hws_checkpoint *out,
                                     uint64_t *out_n, struct hws_err *err)
{
    struct hws_store_q q;
    enum hws_code rc = HWS_OK;

    hws_store__q(&q, db, HWS_SQL_CHECKPOINT_LAST);
    enum hws_store_step step = hws_store__step(&q, err);
    if (step == HWS_STORE_STEP_ROW) {
        *out_n = hws_store__col_u64(&q, 0);
        rc = read_checkpoint(&q, out, err);
    } else if (step == HWS_STORE_STEP_ERROR) {
        rc = err->code;
    } else {
        rc = hws_err_set(err, HWS_E_NOT_FOUND, "store: nothing was signed yet");
    }
    hws_store__q_end(&q);
    return rc;
}

/* ---- open ---- */

/* The keys with a number above after_n into a new array. */
static enum hws_code read_keys(struct hws_store_db *db, uint64_t after_n, struct hws_key_step **out,
                               size_t *out_n, struct hws_err *err)
{
    struct hws_buf keys = {0};
    struct hws_store_q q;
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;

    hws_store__q(&q, db, HWS_SQL_KEY_FROM);
    hws_store__u64(&q, after_n);
    while (rc == HWS_OK && (step = hws_store__step(&q, err)) != HWS_STORE_STEP_DONE) {
        struct hws_key_step k;
        rc = step == HWS_STORE_STEP_ERROR ? err->code : read_key(&q, &k, err);
        if (rc == HWS_OK && hws_buf_put(&keys, &k, sizeof(k)) != HWS_OK) {
            rc = hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
        }
    }
    hws_store__q_end(&q);
    size_t n = hws_buf_len(&keys) / sizeof(**out);
    *out = rc == HWS_OK ? hws_mem_dup(hws_buf_peek(&keys), hws_buf_len(&keys) + (n == 0)) : NULL;
    *out_n = n;
    hws_buf_deinit(&keys);
    if (rc == HWS_OK && *out == NULL) {
        rc = hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    return rc;
}

/* Which of the two signers the log's last key is. */
static enum hws_code choose_signer(struct hws_store_db *db, const struct hws_public *last,
                                   struct hws_err *err)
{
    const struct hws_signer *candidates[] = {db->opt.signer, db->opt.next_signer};

    for (size_t i = 0; i < 2; i++) {
        struct hws_public key;
        if (candidates[i] == NULL) {
            continue;
        }
        enum hws_code rc = hws_signer_public(candidates[i], &key, err);
        if (rc != HWS_OK) {
            return rc;
        }
        if (hws_public_eq(&key, last)) {
            db->marks.signer = candidates[i];
            db->uses_next = i == 1;
            return HWS_OK;
        }
    }
    char hex[HWS_PUBLIC_HEX_BYTES];
    hws_public_hex(last, hex);
    return hws_err_set(err, HWS_E_PROTO,
                       "store: the audit log is signed by key %.16s..., which is "
                       "not the one given",
                       hex);
}

/* Every commit signs once sign_records wait, so a log that has more of them lost its checkpoints or
 * was made by another: it would be signed as ours. Nor is one pruned without a checkpoint. */
static enum hws_code check_unsigned(const struct hws_store_db *db, struct hws_err *err)
{
    const struct hws_store_marks *m = &db->marks;

    if (m->head_seq - m->signed_seq <= db->opt.sign_records &&
        (m->signed_seq != 0 || m->horizon_seq <= 1)) {
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_PROTO,
                       "store: no checkpoint covers audit records %" PRIu64 " to %" PRIu64
                       "; at most %" PRIu32 " may be unsigned (sign_records)",
                       m->signed_seq + 1, m->head_seq, db->opt.sign_records);
}

/* The newest checkpoint is always the present key's: a rotation signs once more with the new one.
 */
static enum hws_code check_signature(const struct hws_store_db *db, const struct hws_checkpoint *c,
                                     struct hws_err *err)
{
    struct hws_public key;
    enum hws_code rc = hws_signer_public(db->marks.signer, &key, err);

    if (rc == HWS_OK) {
        rc = hws_public_eq(&key, &c->key) ? hws_checkpoint_check(c, err) : HWS_E_DENIED;
    }
    return rc == HWS_OK || rc == HWS_E_NOMEM
               ? rc
               : hws_err_set(err, HWS_E_PROTO,
                             "store: the last audit checkpoint is not signed by the log's key");
}

static enum hws_code check_last(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_checkpoint c = {0};
    struct hws_store_q q;
    struct hws_digest hash = {{0}};
    enum hws_code rc = last_checkpoint(db, &c, &db->marks.n_checkpoints, err);

    if (rc == HWS_OK) {
        rc = check_signature(db, &c, err);
    }
    if (rc != HWS_OK) {
        return rc == HWS_E_NOT_FOUND ? check_unsigned(db, err) : rc;
    }
    hws_store__q(&q, db, HWS_SQL_AUDIT_HASH);
    hws_store__u64(&q, c.seq);
    enum hws_store_step step = hws_store__step(&q, err);
    bool met = step == HWS_STORE_STEP_ROW && hws_store__digest_of(hws_store__col(&q, 0), &hash) &&
               hws_digest_eq(&hash, &c.hash);
    hws_store__q_end(&q);
    if (step == HWS_STORE_STEP_ERROR) {
        return err->code;
    }
    if (!met || c.horizon_seq != db->marks.horizon_seq ||
        !hws_digest_eq(&c.horizon_prev, &db->marks.horizon_prev)) {
        return hws_err_set(err, HWS_E_PROTO,
                           "store: the audit log from %" PRIu64 " to %" PRIu64
                           " is not what was signed (%" PRIu64 " to %" PRIu64 " or later)",
                           db->marks.horizon_seq, db->marks.head_seq, c.horizon_seq, c.seq);
    }
    db->marks.signed_seq = c.seq;
    return check_unsigned(db, err);
}

/* The first key of a log vouches for itself. */
static enum hws_code first_key(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_key_step k = {.from_seq = 1, .unix_ms = unix_ms_now()};

    if (db->marks.head_seq != 0) {
        return hws_err_set(err, HWS_E_PROTO, "store: the audit log has records and no key");
    }
    enum hws_code rc = hws_signer_public(db->opt.signer, &k.key, err);

    return rc == HWS_OK ? add_key(db, &k, db->opt.signer, err) : rc;
}

enum hws_code hws_store__sign_open(struct hws_store_db *db, struct hws_err *err)
{
    struct hws_key_step *keys = NULL;
    struct hws_err local;
    size_t n = 0;

    if (db->opt.signer == NULL) {
        return HWS_OK;
    }
    enum hws_code rc = read_keys(db, 0, &keys, &n, &local);
    if (rc == HWS_OK) {
        db->marks.n_keys = n;
        db->marks.signer = db->opt.signer;
        rc = n == 0 ? first_key(db, &local) : choose_signer(db, &keys[n - 1].key, &local);
    }
    hws_mem_free(keys);
    if (rc == HWS_OK) {
        rc = check_last(db, &local);
    }
    return rc == HWS_OK ? HWS_OK : hws_err_set(err, rc, "%s", local.msg);
}

/* ---- retention ---- */

bool hws_store__prune_due(const struct hws_store_db *db, uint64_t unix_ms, uint64_t *out_wait_ms)
{
    const struct hws_store_marks *m = &db->marks;
    uint64_t n_kept = m->head_seq - m->horizon_seq + 1;
    uint64_t age_ms = unix_ms > m->horizon_ms ? unix_ms - m->horizon_ms : 0;
    uint64_t max_age_ms = db->opt.max_audit_ms + SLACK_MS;

    *out_wait_ms = UINT64_MAX;
    if (m->head_seq == 0 || n_kept <= 1) {
        return false; /* the newest record stays: the chain goes on from it */
    }
    if (db->opt.max_audit_ms != 0) {
        if (age_ms > max_age_ms) {
            return true;
        }
        *out_wait_ms = max_age_ms - age_ms + 1;
    }
    return n_kept > (uint64_t)db->opt.max_audit_rows + SLACK_ROWS ||
           m->audit_bytes > db->opt.max_audit_bytes + SLACK_BYTES;
}

/* True while the record now at the horizon, written at unix_ms, is one too many. */
static bool too_many(const struct hws_store_db *db, const struct hws_store_marks *m, uint64_t at_ms,
                     uint64_t now_ms)
{
    bool old = db->opt.max_audit_ms != 0 && now_ms > at_ms && now_ms - at_ms > db->opt.max_audit_ms;

    return m->horizon_seq < m->head_seq &&
           (old || m->head_seq - m->horizon_seq + 1 > db->opt.max_audit_rows ||
            m->audit_bytes > db->opt.max_audit_bytes);
}

/* Moves the marks over the records that go. */
static enum hws_code find_horizon(struct hws_store_db *db, uint64_t now_ms,
                                  struct hws_store_marks *m, struct hws_err *err)
{
    struct hws_store_q q;
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;

    hws_store__q(&q, db, HWS_SQL_AUDIT_FROM);
    hws_store__u64(&q, 0);
    hws_store__u64(&q, PRUNE_ROWS + 1);
    while ((step = hws_store__step(&q, err)) == HWS_STORE_STEP_ROW) {
        struct hws_span body = hws_store__col(&q, 1);
        uint64_t at_ms = body.n < TIME_AT + 8 ? 0 : hws_load_be64(body.bytes + TIME_AT);
        m->horizon_seq = hws_store__col_u64(&q, 0);
        m->horizon_ms = at_ms;
        if (!hws_store__digest_of(hws_store__col(&q, 2), &m->horizon_prev)) {
            rc = hws_err_set(err, HWS_E_PROTO, "audit record %" PRIu64 " is malformed",
                             m->horizon_seq);
            break;
        }
        if (!too_many(db, m, at_ms, now_ms) ||
            m->horizon_seq - db->marks.horizon_seq >= PRUNE_ROWS) {
            break;
        }
        m->audit_bytes -= body.n < m->audit_bytes ? body.n : m->audit_bytes;
    }
    hws_store__q_end(&q);
    return step == HWS_STORE_STEP_ERROR ? err->code : rc;
}

enum hws_code hws_store__prune(struct hws_store_db *db, uint64_t unix_ms, struct hws_err *err)
{
    struct hws_store_marks m = db->marks;
    struct hws_store_q q;
    enum hws_code rc = find_horizon(db, unix_ms, &m, err);

    if (rc != HWS_OK) {
        return rc;
    }
    hws_store__q(&q, db, HWS_SQL_AUDIT_DROP);
    hws_store__u64(&q, m.horizon_seq - 1);
    rc = hws_store__finish(&q, err);
    if (rc == HWS_OK) {
        db->marks = m;
        rc = hws_store__audit_seal(db, err);
    }
    if (rc == HWS_OK) {
        rc = hws_store__sign(db, err);
    }
    if (rc == HWS_OK) {
        hws_store__q(&q, db, HWS_SQL_CHECKPOINT_DROP);
        hws_store__u64(&q, m.horizon_seq);
        hws_store__u64(&q, db->marks.n_checkpoints);
        rc = hws_store__finish(&q, err);
    }
    return rc;
}

/* ---- checkpoint: the request ---- */

static bool checkpoint_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_checkpoint *r = hws_container_of(job, struct hws_store_checkpoint, job);
    uint64_t n;
    enum hws_code rc = HWS_OK;

    if (hws_store__unsigned(db) && !hws_store__db_low(db)) {
        rc = hws_store__sign(db, &job->err);
    }
    if (rc == HWS_OK) {
        rc = last_checkpoint(db, &r->checkpoint, &n, &job->err);
    }
    if (rc == HWS_OK) {
        rc = read_keys(db, 0, &r->keys, &r->n_keys, &job->err);
    }
    r->head_seq = db->marks.head_seq;
    return rc == HWS_OK;
}

static void checkpoint_deinit(struct hws_store_job *job)
{
    struct hws_store_checkpoint *r = hws_container_of(job, struct hws_store_checkpoint, job);

    hws_mem_free(r->keys);
    r->keys = NULL;
    r->n_keys = 0;
}

static const struct hws_store_job_ops s_checkpoint = {.run = checkpoint_run,
                                                      .deinit = checkpoint_deinit};

void hws_store_checkpoint_init(struct hws_store_checkpoint *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_checkpoint;
}

/* ---- signatures of a query ---- */

static enum hws_code read_checkpoints(struct hws_store_db *db, uint64_t last_seq,
                                      struct hws_store_signed *sig, struct hws_err *err)
{
    struct hws_store_q q;
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;

    hws_store__q(&q, db, HWS_SQL_CHECKPOINT_FROM);
    hws_store__u64(&q, sig->after_checkpoint);
    hws_store__u64(&q, sig->from_seq);
    hws_store__u64(&q, last_seq);
    hws_store__u64(&q, HWS_STORE_QUERY_SIGNED);
    while (rc == HWS_OK && sig->n_checkpoints < HWS_STORE_QUERY_SIGNED &&
           (step = hws_store__step(&q, err)) != HWS_STORE_STEP_DONE) {
        rc = step == HWS_STORE_STEP_ERROR
                 ? err->code
                 : read_checkpoint(&q, &sig->checkpoints[sig->n_checkpoints], err);
        if (rc == HWS_OK) {
            sig->n_checkpoints++;
            sig->after_checkpoint = hws_store__col_u64(&q, 0);
        }
    }
    hws_store__q_end(&q);
    sig->more = sig->n_checkpoints == HWS_STORE_QUERY_SIGNED;
    return rc;
}

enum hws_code hws_store__signed_from(struct hws_store_db *db, uint64_t last_seq,
                                     struct hws_store_signed *sig, struct hws_err *err)
{
    sig->checkpoints = hws_mem_zalloc(HWS_STORE_QUERY_SIGNED, sizeof(*sig->checkpoints));
    if (sig->checkpoints == NULL) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    enum hws_code rc = read_keys(db, sig->after_key, &sig->keys, &sig->n_keys, err);
    if (rc == HWS_OK) {
        sig->after_key += sig->n_keys;
        rc = read_checkpoints(db, last_seq, sig, err);
    }
    return rc;
}

/* ---- rotate: the request ---- */

static enum hws_code note_rotation(struct hws_store_db *db, const struct hws_store_rotate *r,
                                   const struct hws_public *old_key,
                                   const struct hws_public *new_key, struct hws_err *err)
{
    char detail[2 * HWS_PUBLIC_HEX_BYTES + 64];
    char was[HWS_PUBLIC_HEX_BYTES];
    char is[HWS_PUBLIC_HEX_BYTES];
    struct hws_record record = {.unix_ms = r->unix_ms,
                                .phase = HWS_RECORD_NOTE,
                                .principal = "hawserd",
                                .code = "OK",
                                .detail = detail};

    hws_public_hex(old_key, was);
    hws_public_hex(new_key, is);
    (void)hws_str_print(detail, sizeof(detail), "audit key changed: from=%s to=%s", was, is);
    return hws_store__audit_append(db, &record, err);
}

static bool rotate_run(struct hws_store_db *db, struct hws_store_job *job)
{
    struct hws_store_rotate *r = hws_container_of(job, struct hws_store_rotate, job);
    struct hws_key_step k = {.unix_ms = r->unix_ms};
    struct hws_public old_key;
    struct hws_err *err = &job->err;

    if (db->marks.signer == NULL) {
        (void)hws_err_set(err, HWS_E_STATE, "store: this log is not signed");
        return false;
    }
    if (hws_signer_public(db->marks.signer, &old_key, err) != HWS_OK ||
        hws_signer_public(r->next, &k.key, err) != HWS_OK) {
        return false;
    }
    if (hws_public_eq(&old_key, &k.key)) {
        (void)hws_err_set(err, HWS_E_EXISTS, "store: this is the present audit key");
        return false;
    }
    if (hws_store__sign(db, err) != HWS_OK ||
        note_rotation(db, r, &old_key, &k.key, err) != HWS_OK) {
        return false;
    }
    k.from_seq = db->marks.head_seq;
    if (add_key(db, &k, db->marks.signer, err) != HWS_OK) {
        return false;
    }
    r->from_seq = k.from_seq;
    db->marks.signer = r->next;
    return hws_store__sign(db, err) == HWS_OK;
}

static const struct hws_store_job_ops s_rotate = {.run = rotate_run, .needs_space = true};

void hws_store_rotate_init(struct hws_store_rotate *r)
{
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_rotate;
}
