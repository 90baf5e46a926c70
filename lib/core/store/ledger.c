/* The ledger's rows: reading with their digest, writing, retention, the check at open. */
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "store/db_priv.h"
#include "store/ledger_priv.h"

#define LEDGER_TAG "hawser ledger"
#define MAX_DROPS  8 /* rows that one begin removes at most */

#define N_NUMBERS 6u
#define N_SPANS   8u

static enum hws_code row_digest(const struct hws_store_row *r, struct hws_digest *out)
{
    uint8_t numbers[8 * N_NUMBERS];
    const struct hws_span parts[1 + N_SPANS] = {{numbers, sizeof(numbers)},
                                                r->principal,
                                                r->method,
                                                r->request_id,
                                                r->request_hash,
                                                r->record,
                                                r->old_state,
                                                r->new_state,
                                                r->answer};

    hws_store_be64(numbers, r->id);
    hws_store_be64(numbers + 8, r->state);
    hws_store_be64(numbers + 16, r->intent_seq);
    hws_store_be64(numbers + 24, r->status);
    hws_store_be64(numbers + 32, r->begun_ms);
    hws_store_be64(numbers + 40, r->ended_ms);
    return hws_store__digest(LEDGER_TAG, parts, 1 + N_SPANS, out);
}

/* Reads the statement's row and checks its digest. */
enum hws_code hws_store__row_read(const struct hws_store_q *q, struct hws_store_row *r,
                                  struct hws_err *err)
{
    struct hws_digest stored;
    struct hws_digest hash;

    *r = (struct hws_store_row){.id = hws_store__col_u64(q, 0),
                                .state = hws_store__col_u64(q, 1),
                                .intent_seq = hws_store__col_u64(q, 2),
                                .status = hws_store__col_u64(q, 3),
                                .begun_ms = hws_store__col_u64(q, 4),
                                .ended_ms = hws_store__col_u64(q, 5),
                                .principal = hws_store__col(q, 6),
                                .method = hws_store__col(q, 7),
                                .request_id = hws_store__col(q, 8),
                                .request_hash = hws_store__col(q, 9),
                                .record = hws_store__col(q, 10),
                                .old_state = hws_store__col(q, 11),
                                .new_state = hws_store__col(q, 12),
                                .answer = hws_store__col(q, 13)};
    if (row_digest(r, &hash) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    if (!hws_store__digest_of(hws_store__col(q, 14), &stored) || !hws_digest_eq(&stored, &hash) ||
        r->request_hash.n != HWS_DIGEST_BYTES || r->state < HWS_INTENT_OPEN ||
        r->state > HWS_INTENT_STUCK) {
        return hws_err_set(err, HWS_E_PROTO,
                           "store: ledger row %" PRIu64 " does not match its digest", r->id);
    }
    return HWS_OK;
}

enum hws_code hws_store__row_delete(struct hws_store_db *db, uint64_t id, struct hws_err *err)
{
    struct hws_store_q q;

    hws_store__q(&q, db, HWS_SQL_LEDGER_DELETE);
    hws_store__u64(&q, id);
    enum hws_code rc = hws_store__finish(&q, err);
    if (rc == HWS_OK) {
        db->marks.n_ledger--;
    }
    return rc;
}

enum hws_code hws_store__make_room(struct hws_store_db *db, uint64_t now_unix_ms,
                                   struct hws_err *err)
{
    for (int i = 0; i < MAX_DROPS; i++) {
        struct hws_store_q q;
        uint64_t id = 0;
        uint64_t ended_ms = 0;
        hws_store__q(&q, db, HWS_SQL_LEDGER_OLDEST);
        enum hws_store_step step = hws_store__step(&q, err);
        if (step == HWS_STORE_STEP_ROW) {
            id = hws_store__col_u64(&q, 0);
            ended_ms = hws_store__col_u64(&q, 1);
        }
        hws_store__q_end(&q);
        if (step == HWS_STORE_STEP_ERROR) {
            return err->code;
        }
        bool full = db->marks.n_ledger >= db->opt.max_ledger_rows;
        bool old = now_unix_ms > ended_ms && now_unix_ms - ended_ms > db->opt.ledger_ms;
        if (step == HWS_STORE_STEP_DONE && full) {
            return hws_err_set(err, HWS_E_BUSY,
                               "store: %" PRIu64
                               " mutations are unfinished (limit max_ledger_rows)",
                               db->marks.n_ledger);
        }
        if (step == HWS_STORE_STEP_DONE || (!full && !old)) {
            return HWS_OK;
        }
        enum hws_code rc = hws_store__row_delete(db, id, err);
        if (rc != HWS_OK) {
            return rc;
        }
    }
    return HWS_OK;
}

/* The id after the largest ever given; ids are part of the row's digest, so it is known beforehand.
 */
enum hws_code hws_store__next_id(struct hws_store_db *db, uint64_t *out, struct hws_err *err)
{
    struct hws_store_q q;

    *out = 1;
    hws_store__q(&q, db, HWS_SQL_LEDGER_NEXT_ID);
    enum hws_store_step step = hws_store__step(&q, err);
    if (step == HWS_STORE_STEP_ROW) {
        *out = hws_store__col_u64(&q, 0) + 1;
    }
    hws_store__q_end(&q);
    return step == HWS_STORE_STEP_ERROR ? err->code : HWS_OK;
}

enum hws_code hws_store__row_add(struct hws_store_db *db, const struct hws_store_row *row,
                                 struct hws_err *err)
{
    struct hws_digest digest;
    struct hws_store_q q;

    if (row_digest(row, &digest) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    hws_store__q(&q, db, HWS_SQL_LEDGER_ADD);
    hws_store__u64(&q, row->id);
    hws_store__u64(&q, row->state);
    hws_store__u64(&q, row->intent_seq);
    hws_store__u64(&q, row->status);
    hws_store__u64(&q, row->begun_ms);
    hws_store__u64(&q, row->ended_ms);
    hws_store__text(&q, (const char *)row->principal.bytes);
    hws_store__text(&q, (const char *)row->method.bytes);
    hws_store__text(&q, (const char *)row->request_id.bytes);
    hws_store__blob(&q, row->request_hash.bytes, row->request_hash.n);
    hws_store__blob(&q, row->record.bytes, row->record.n);
    hws_store__blob(&q, row->old_state.bytes, row->old_state.n);
    hws_store__blob(&q, row->new_state.bytes, row->new_state.n);
    hws_store__blob(&q, row->answer.bytes, row->answer.n);
    hws_store__blob(&q, digest.b, sizeof(digest.b));
    enum hws_code rc = hws_store__finish(&q, err);
    if (rc == HWS_OK) {
        db->marks.n_ledger++;
    }
    return rc;
}

enum hws_code hws_store__row_note(struct hws_store_db *db, const struct hws_store_row *row,
                                  struct hws_err *err)
{
    struct hws_digest digest;
    struct hws_store_q q;

    if (row_digest(row, &digest) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    hws_store__q(&q, db, HWS_SQL_LEDGER_NOTE);
    hws_store__u64(&q, row->id);
    hws_store__blob(&q, row->old_state.bytes, row->old_state.n);
    hws_store__blob(&q, digest.b, sizeof(digest.b));
    return hws_store__finish(&q, err);
}

enum hws_code hws_store__row_end(struct hws_store_db *db, const struct hws_store_row *row,
                                 struct hws_err *err)
{
    struct hws_digest digest;
    struct hws_store_q q;

    if (row_digest(row, &digest) != HWS_OK) {
        return hws_err_set(err, HWS_E_NOMEM, "store: out of memory");
    }
    hws_store__q(&q, db, HWS_SQL_LEDGER_END);
    hws_store__u64(&q, row->id);
    hws_store__u64(&q, row->state);
    hws_store__u64(&q, row->status);
    hws_store__u64(&q, row->ended_ms);
    hws_store__blob(&q, row->answer.bytes, row->answer.n);
    hws_store__blob(&q, digest.b, sizeof(digest.b));
    return hws_store__finish(&q, err);
}

enum hws_code hws_store__ledger_open(struct hws_store_db *db, bool full, struct hws_err *err)
{
    struct hws_store_q q;
    struct hws_store_row row = {0};
    struct hws_err local;
    enum hws_store_step step;
    enum hws_code rc = hws_store__fence_check_all(db, err);

    if (rc != HWS_OK) {
        return rc;
    }
    hws_store__q(&q, db, full ? HWS_SQL_LEDGER_ALL : HWS_SQL_LEDGER_UNFINISHED);
    while (rc == HWS_OK && (step = hws_store__step(&q, &local)) != HWS_STORE_STEP_DONE) {
        rc = step == HWS_STORE_STEP_ERROR ? local.code : hws_store__row_read(&q, &row, &local);
    }
    hws_store__q_end(&q);
    if (rc != HWS_OK) {
        return hws_err_set(err, rc, "%s", local.msg);
    }
    hws_store__q(&q, db, HWS_SQL_LEDGER_COUNT);
    step = hws_store__step(&q, &local);
    if (step == HWS_STORE_STEP_ROW) {
        db->marks.n_ledger = hws_store__col_u64(&q, 0);
    }
    hws_store__q_end(&q);
    return step == HWS_STORE_STEP_ERROR ? hws_err_set(err, local.code, "%s", local.msg) : HWS_OK;
}
