/*
 * The walk along a chain. Order of judgement for each record: its place (seq), its link
 * (prev_hash), its content (hash), so that the text names the deed and not its consequence.
 */
#include "record/verify.h"

#include <inttypes.h>
#include <string.h>

void hws_verify_init(struct hws_verify *v, uint64_t first_seq, const struct hws_digest *prev)
{
    memset(v, 0, sizeof(*v));
    v->next_seq = first_seq;
    if (prev != NULL) {
        v->prev = *prev;
        v->linked = true;
    }
}

void hws_verify_expect_head(struct hws_verify *v, uint64_t seq, const struct hws_digest *hash)
{
    v->head_seq = seq;
    v->head_hash = *hash;
}

static enum hws_code report(const struct hws_verify *v, struct hws_err *err)
{
    static const char *const texts[HWS_N_VERIFY_FAULTS] = {
        [HWS_VERIFY_SOUND] = "is sound",
        [HWS_VERIFY_EDITED] = "was edited: its hash does not match its content",
        [HWS_VERIFY_UNLINKED] = "does not follow the one before: one of both was replaced",
        [HWS_VERIFY_MISSING] = "is missing",
        [HWS_VERIFY_REORDERED] = "is out of order or repeated",
        [HWS_VERIFY_MALFORMED] = "is malformed",
        [HWS_VERIFY_TRUNCATED] = "is missing: the log ends before the expected head",
        [HWS_VERIFY_REWRITTEN] = "differs from the expected head: the log was rewritten",
    };

    return hws_err_set(err, HWS_E_PROTO, "audit record %" PRIu64 " (position %" PRIu64 ") %s",
                       v->bad_seq, v->bad_idx, texts[v->fault]);
}

static enum hws_code fail_at(struct hws_verify *v, enum hws_verify_fault fault, uint64_t seq,
                             struct hws_err *err)
{
    v->fault = fault;
    v->bad_seq = seq;
    v->bad_idx = v->n_seen == 0 ? 0 : v->n_seen - 1;
    return report(v, err);
}

/* The hash of the record's content after its prev_hash. */
static enum hws_code content_hash(const struct hws_record *r, struct hws_digest *out)
{
    struct hws_buf buf;

    hws_buf_init(&buf, HWS_RECORD_MAX_BYTES);
    enum hws_code rc = hws_record_encode(r, &buf);
    if (rc == HWS_OK) {
        rc = hws_record_hash(&r->prev_hash, hws_buf_peek(&buf), hws_buf_len(&buf), out);
    }
    hws_buf_deinit(&buf);
    return rc;
}

enum hws_code hws_verify_feed(struct hws_verify *v, const struct hws_record *r, struct hws_err *err)
{
    struct hws_digest hash;

    if (v->fault != HWS_VERIFY_SOUND) {
        return report(v, err);
    }
    enum hws_code rc = content_hash(r, &hash);
    if (rc == HWS_E_NOMEM) {
        return hws_err_set(err, rc, "audit record %" PRIu64 ": out of memory", r->seq);
    }
    v->n_seen++;
    if (v->next_seq != 0 && r->seq > v->next_seq) {
        return fail_at(v, HWS_VERIFY_MISSING, v->next_seq, err);
    }
    if (r->seq < v->next_seq || r->seq == 0) {
        return fail_at(v, HWS_VERIFY_REORDERED, r->seq, err);
    }
    if (rc != HWS_OK) {
        return fail_at(v, HWS_VERIFY_MALFORMED, r->seq, err);
    }
    if (!hws_digest_eq(&hash, &r->hash)) {
        return fail_at(v, HWS_VERIFY_EDITED, r->seq, err);
    }
    if (v->linked && !hws_digest_eq(&v->prev, &r->prev_hash)) {
        return fail_at(v, HWS_VERIFY_UNLINKED, r->seq, err);
    }
    if (v->head_seq != 0 && r->seq == v->head_seq) {
        if (!hws_digest_eq(&r->hash, &v->head_hash)) {
            return fail_at(v, HWS_VERIFY_REWRITTEN, r->seq, err);
        }
        v->head_seen = true;
    }
    v->prev = hash;
    v->linked = true;
    v->next_seq = r->seq + 1;
    return HWS_OK;
}

enum hws_code hws_verify_end(struct hws_verify *v, struct hws_err *err)
{
    if (v->fault != HWS_VERIFY_SOUND) {
        return report(v, err);
    }
    if (v->head_seq != 0 && !v->head_seen) {
        v->n_seen++; /* the position where the missing record belongs */
        return fail_at(v, HWS_VERIFY_TRUNCATED, v->next_seq == 0 ? v->head_seq : v->next_seq, err);
    }
    return HWS_OK;
}

const char *hws_verify_fault_name(enum hws_verify_fault fault)
{
    static const char *const names[HWS_N_VERIFY_FAULTS] = {"sound",     "edited",    "unlinked",
                                                           "missing",   "reordered", "malformed",
                                                           "truncated", "rewritten"};

    return (unsigned)fault < HWS_N_VERIFY_FAULTS ? names[fault] : "?";
}
