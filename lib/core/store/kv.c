/* Key/value pairs and append-only logs, each row with its own digest. */
#include "store/kv.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/mem.h"
#include "store/db_priv.h"

#define KV_TAG   "hawser kv"
#define LOG_TAG  "hawser log"
#define MAX_ROWS 1000u

static enum hws_code pair_digest(const struct hws_store_kv *r, struct hws_span key,
                                 struct hws_span value, struct hws_digest *out)
{
    const struct hws_span parts[] = {hws_store__span(r->ns), key, value};

    return hws_store__digest(KV_TAG, parts, 3, out);
}

static enum hws_code log_digest(const struct hws_store_kv *r, uint64_t seq, struct hws_span value,
                                struct hws_digest *out)
{
    uint8_t number[8];
    const struct hws_span parts[] = {
        hws_store__span(r->ns), hws_store__span(r->key), {number, sizeof(number)}, value};

    hws_store_be64(number, seq);
    return hws_store__digest(LOG_TAG, parts, 4, out);
}

/* Copies key (with a NUL) and value behind those of the pairs before; point_at sets the pointers.
 */
static enum hws_code keep_pair(struct hws_store_kv *r, struct hws_span key, uint64_t seq,
                               struct hws_span value)
{
    struct hws_store_pair *out = &r->pairs[r->n_pairs];
    struct hws_buf *bytes = r->bytes;
    uint8_t len[8];

    hws_store_be32(len, (uint32_t)key.n);
    hws_store_be32(len + 4, (uint32_t)value.n);
    enum hws_code rc = hws_buf_put(bytes, len, sizeof(len));
    if (rc == HWS_OK) {
        rc = hws_buf_put(bytes, key.bytes, key.n);
    }
    if (rc == HWS_OK) {
        rc = hws_buf_put(bytes, "", 1);
    }
    if (rc == HWS_OK) {
        rc = hws_buf_put(bytes, value.bytes, value.n);
    }
    if (rc != HWS_OK) {
        return hws_err_set(&r->job.err, HWS_E_NOMEM, "store: out of memory");
    }
    out->seq = seq;
    r->n_pairs++;
    return HWS_OK;
}

static void point_at(struct hws_store_kv *r)
{
    const uint8_t *p = hws_buf_peek(r->bytes);

    for (size_t i = 0; i < r->n_pairs; i++) {
        size_t n_key = hws_load_be32(p);
        size_t n_value = hws_load_be32(p + 4);
        r->pairs[i].key = r->pairs[i].seq == 0 ? (const char *)p + 8 : NULL;
        r->pairs[i].value.bytes = p + 8 + n_key + 1;
        r->pairs[i].value.n = n_value;
        p += 8 + n_key + 1 + n_value;
    }
}

static enum hws_code damaged(struct hws_store_kv *r, const char *what, struct hws_span key,
                             uint64_t seq)
{
    return hws_err_set(&r->job.err, HWS_E_PROTO, "store: %s %s/%.*s row %" PRIu64 " is damaged",
                       what, r->ns, (int)(key.n > 64 ? 64 : key.n), (const char *)key.bytes, seq);
}

static enum hws_code read_pair(struct hws_store_kv *r, const struct hws_store_q *q)
{
    struct hws_span key = hws_store__col(q, 0);
    struct hws_span value = hws_store__col(q, 1);
    struct hws_digest hash;
    struct hws_digest stored;

    if (pair_digest(r, key, value, &hash) != HWS_OK) {
        return hws_err_set(&r->job.err, HWS_E_NOMEM, "store: out of memory");
    }
    if (!hws_store__digest_of(hws_store__col(q, 2), &stored) || !hws_digest_eq(&hash, &stored)) {
        return damaged(r, "key", key, 0);
    }
    return keep_pair(r, key, 0, value);
}

static enum hws_code read_log(struct hws_store_kv *r, const struct hws_store_q *q)
{
    uint64_t seq = hws_store__col_u64(q, 0);
    uint64_t next = (r->n_pairs == 0 ? r->after_seq : r->pairs[r->n_pairs - 1].seq) + 1;
    struct hws_span value = hws_store__col(q, 1);
    struct hws_digest hash;
    struct hws_digest stored;

    if (seq != next) {
        return hws_err_set(&r->job.err, HWS_E_PROTO, "store: log %s/%s: row %" PRIu64 " is missing",
                           r->ns, r->key, next);
    }
    if (log_digest(r, seq, value, &hash) != HWS_OK) {
        return hws_err_set(&r->job.err, HWS_E_NOMEM, "store: out of memory");
    }
    if (!hws_store__digest_of(hws_store__col(q, 2), &stored) || !hws_digest_eq(&hash, &stored)) {
        return damaged(r, "log", hws_store__span(r->key), seq);
    }
    return keep_pair(r, hws_store__span(""), seq, value);
}

/* Runs a bound statement to its end, each row through read. */
static enum hws_code read_all(struct hws_store_kv *r, struct hws_store_q *q,
                              enum hws_code (*read)(struct hws_store_kv *,
                                                    const struct hws_store_q *))
{
    enum hws_store_step step;
    enum hws_code rc = HWS_OK;

    while (rc == HWS_OK && (step = hws_store__step(q, &r->job.err)) != HWS_STORE_STEP_DONE) {
        rc = step == HWS_STORE_STEP_ERROR ? r->job.err.code : read(r, q);
    }
    hws_store__q_end(q);
    point_at(r);
    return rc;
}

static enum hws_code get(struct hws_store_db *db, struct hws_store_kv *r)
{
    struct hws_store_q q;

    hws_store__q(&q, db, HWS_SQL_KV_GET);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    enum hws_code rc = read_all(r, &q, read_pair);
    if (rc == HWS_OK && r->n_pairs == 0) {
        return hws_err_set(&r->job.err, HWS_E_NOT_FOUND, "store: there is no key %s/%s", r->ns,
                           r->key);
    }
    return rc;
}

static enum hws_code put(struct hws_store_db *db, struct hws_store_kv *r)
{
    struct hws_store_q q;
    struct hws_digest digest;

    if (pair_digest(r, hws_store__span(r->key), r->value, &digest) != HWS_OK) {
        return hws_err_set(&r->job.err, HWS_E_NOMEM, "store: out of memory");
    }
    hws_store__q(&q, db, HWS_SQL_KV_PUT);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    hws_store__blob(&q, r->value.bytes, r->value.n);
    hws_store__blob(&q, digest.b, sizeof(digest.b));
    return hws_store__finish(&q, &r->job.err);
}

static enum hws_code swap(struct hws_store_db *db, struct hws_store_kv *r)
{
    enum hws_code rc = get(db, r);
    bool there = rc == HWS_OK;
    bool wanted = r->expect.bytes != NULL;

    if (rc != HWS_OK && rc != HWS_E_NOT_FOUND) {
        return rc;
    }
    hws_err_clear(&r->job.err);
    if (there != wanted ||
        (there && (r->pairs[0].value.n != r->expect.n ||
                   memcmp(r->pairs[0].value.bytes, r->expect.bytes, r->expect.n) != 0))) {
        return hws_err_set(&r->job.err, HWS_E_CONFLICT, "store: %s/%s has changed", r->ns, r->key);
    }
    r->n_pairs = 0;
    return put(db, r);
}

static enum hws_code list(struct hws_store_db *db, struct hws_store_kv *r)
{
    struct hws_store_q q;

    hws_store__q(&q, db, HWS_SQL_KV_LIST);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    hws_store__u64(&q, r->limit);
    return read_all(r, &q, read_pair);
}

static enum hws_code delete_both(struct hws_store_db *db, struct hws_store_kv *r)
{
    struct hws_store_q q;

    hws_store__q(&q, db, HWS_SQL_KV_DELETE);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    enum hws_code rc = hws_store__finish(&q, &r->job.err);
    if (rc != HWS_OK) {
        return rc;
    }
    hws_store__q(&q, db, HWS_SQL_LOG_DELETE);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    return hws_store__finish(&q, &r->job.err);
}

static enum hws_code append(struct hws_store_db *db, struct hws_store_kv *r)
{
    struct hws_store_q q;
    struct hws_digest digest;
    uint64_t seq = 1;

    hws_store__q(&q, db, HWS_SQL_LOG_LAST);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    enum hws_store_step step = hws_store__step(&q, &r->job.err);
    if (step == HWS_STORE_STEP_ROW) {
        seq = hws_store__col_u64(&q, 0) + 1; /* NULL, no row, reads as 0 */
    }
    hws_store__q_end(&q);
    if (step == HWS_STORE_STEP_ERROR) {
        return r->job.err.code;
    }
    if (log_digest(r, seq, r->value, &digest) != HWS_OK) {
        return hws_err_set(&r->job.err, HWS_E_NOMEM, "store: out of memory");
    }
    hws_store__q(&q, db, HWS_SQL_LOG_ADD);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    hws_store__u64(&q, seq);
    hws_store__blob(&q, r->value.bytes, r->value.n);
    hws_store__blob(&q, digest.b, sizeof(digest.b));
    enum hws_code rc = hws_store__finish(&q, &r->job.err);
    if (rc == HWS_OK) {
        r->out_seq = seq;
    }
    return rc;
}

static enum hws_code read_log_rows(struct hws_store_db *db, struct hws_store_kv *r)
{
    struct hws_store_q q;

    hws_store__q(&q, db, HWS_SQL_LOG_FROM);
    hws_store__text(&q, r->ns);
    hws_store__text(&q, r->key);
    hws_store__u64(&q, r->after_seq);
    hws_store__u64(&q, r->limit);
    return read_all(r, &q, read_log);
}

static enum hws_code check_request(struct hws_store_kv *r)
{
    struct hws_span ns = hws_store__span(r->ns);
    struct hws_span key = hws_store__span(r->key);
    bool may_be_empty = r->verb == HWS_STORE_KV_LIST;

    if (r->key == NULL) {
        r->key = "";
    }
    if (ns.n == 0 || ns.n > HWS_STORE_KEY_MAX_BYTES || (key.n == 0 && !may_be_empty) ||
        key.n > HWS_STORE_KEY_MAX_BYTES) {
        return hws_err_set(&r->job.err, HWS_E_INVALID, "store: namespace and key: 1 to %u bytes",
                           HWS_STORE_KEY_MAX_BYTES);
    }
    if (r->value.n > HWS_STORE_VALUE_MAX_BYTES) {
        return hws_err_set(&r->job.err, HWS_E_INVALID, "store: value of %s/%s: at most %u bytes",
                           r->ns, r->key, HWS_STORE_VALUE_MAX_BYTES);
    }
    if (r->after_seq >= (uint64_t)INT64_MAX) {
        return hws_err_set(&r->job.err, HWS_E_INVALID, "store: after_seq: at most %" PRId64,
                           INT64_MAX - 1);
    }
    if (r->limit == 0 || r->limit > MAX_ROWS) {
        r->limit = MAX_ROWS;
    }
    return HWS_OK;
}

static enum hws_code make_results(struct hws_store_kv *r)
{
    size_t n_rows = r->verb == HWS_STORE_KV_LIST || r->verb == HWS_STORE_KV_LOG ? r->limit : 1;

    r->bytes = hws_mem_zalloc(1, sizeof(struct hws_buf));
    r->pairs = hws_mem_zalloc(n_rows, sizeof(*r->pairs));
    if (r->bytes == NULL || r->pairs == NULL) {
        return hws_err_set(&r->job.err, HWS_E_NOMEM, "store: out of memory");
    }
    return HWS_OK;
}

static bool kv_run(struct hws_store_db *db, struct hws_store_job *job)
{
    static enum hws_code (*const verbs[HWS_N_STORE_KV_VERBS])(struct hws_store_db *,
                                                              struct hws_store_kv *) = {
        [HWS_STORE_KV_PUT] = put,           [HWS_STORE_KV_SWAP] = swap,
        [HWS_STORE_KV_GET] = get,           [HWS_STORE_KV_DELETE] = delete_both,
        [HWS_STORE_KV_LIST] = list,         [HWS_STORE_KV_APPEND] = append,
        [HWS_STORE_KV_LOG] = read_log_rows,
    };
    struct hws_store_kv *r = hws_container_of(job, struct hws_store_kv, job);

    enum hws_code rc = check_request(r);
    if (rc == HWS_OK) {
        rc = make_results(r);
    }
    return rc == HWS_OK && verbs[r->verb](db, r) == HWS_OK;
}

static void kv_deinit(struct hws_store_job *job)
{
    struct hws_store_kv *r = hws_container_of(job, struct hws_store_kv, job);

    if (r->bytes != NULL) {
        hws_buf_deinit(r->bytes);
    }
    hws_mem_free(r->bytes);
    hws_mem_free(r->pairs);
    r->bytes = NULL;
    r->pairs = NULL;
    r->n_pairs = 0;
}

static const struct hws_store_job_ops s_kv = {.run = kv_run, .deinit = kv_deinit};

void hws_store_kv_init(struct hws_store_kv *r, enum hws_store_kv_verb verb, const char *ns,
                       const char *key)
{
    hws_assert((unsigned)verb < HWS_N_STORE_KV_VERBS);
    memset(r, 0, sizeof(*r));
    r->job.ops = &s_kv;
    r->verb = verb;
    r->ns = ns;
    r->key = key;
}
