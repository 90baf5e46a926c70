/* The judgement over keys, checkpoints and records of one log. */
#include "record/log.h"

#include <inttypes.h>
#include <string.h>

static const struct hws_key_step *step_at(const struct hws_log_check *c, size_t i)
{
    return (const struct hws_key_step *)(const void *)hws_buf_peek(&c->keys) + i;
}

static size_t n_steps(const struct hws_log_check *c)
{
    return hws_buf_len(&c->keys) / sizeof(struct hws_key_step);
}

static size_t n_marks(const struct hws_log_check *c)
{
    return hws_buf_len(&c->marks) / sizeof(struct hws_log_mark);
}

/* The newest checkpoint; NULL if there is none. */
static const struct hws_checkpoint *newest(const struct hws_log_check *c)
{
    return n_marks(c) == 0 ? NULL : &c->last;
}

void hws_log_check_init(struct hws_log_check *c)
{
    memset(c, 0, sizeof(*c));
    hws_buf_init(&c->keys, HWS_LOG_MAX_KEYS * sizeof(struct hws_key_step));
    hws_buf_init(&c->marks, HWS_LOG_MAX_CHECKPOINTS * sizeof(struct hws_log_mark));
}

void hws_log_check_deinit(struct hws_log_check *c)
{
    hws_buf_deinit(&c->keys);
    hws_buf_deinit(&c->marks);
}

/* The first fault stays. */
static enum hws_code told(const struct hws_log_check *c, struct hws_err *err)
{
    return hws_err_set(err, HWS_E_PROTO, "%s", c->err.msg);
}

static enum hws_code blame(struct hws_log_check *c, const char *fault, uint64_t seq,
                           const char *text, struct hws_err *err)
{
    c->fault = fault;
    c->bad_seq = seq == 0 ? 1 : seq;
    (void)hws_err_set(&c->err, HWS_E_PROTO, "audit record %" PRIu64 ": %s", c->bad_seq, text);
    return told(c, err);
}

static enum hws_code no_room(enum hws_code rc, struct hws_err *err)
{
    return hws_err_set(err, rc, "audit log: %s", hws_code_text(rc));
}

enum hws_code hws_log_check_key(struct hws_log_check *c, const struct hws_key_step *k,
                                struct hws_err *err)
{
    size_t n = n_steps(c);
    const struct hws_key_step *last = n == 0 ? k : step_at(c, n - 1);

    if (c->fault != NULL) {
        return told(c, err);
    }
    for (size_t i = 0; i < n; i++) {
        const struct hws_key_step *known = step_at(c, i);
        if (known->from_seq == k->from_seq && hws_public_eq(&known->key, &k->key) &&
            hws_public_eq(&known->by, &k->by)) {
            return HWS_OK; /* an export that was resumed tells its keys again */
        }
    }
    enum hws_code rc = hws_key_step_check(k, NULL);
    if (rc == HWS_E_NOMEM) {
        return no_room(rc, err);
    }
    if (rc != HWS_OK || !hws_public_eq(&k->by, &last->key) || k->from_seq < last->from_seq) {
        return blame(c, "key", k->from_seq,
                     "the signing key from here on is not vouched for by the key before", err);
    }
    rc = hws_buf_put(&c->keys, k, sizeof(*k));
    return rc == HWS_OK ? HWS_OK : no_room(rc, err);
}

/* True if the log knows the key and it was in force at this record (the last one of a key's time
 * may bear the signatures of both). */
static bool key_in_force(const struct hws_log_check *c, const struct hws_public *key, uint64_t seq)
{
    for (size_t i = 0; i < n_steps(c); i++) {
        uint64_t until = i + 1 < n_steps(c) ? step_at(c, i + 1)->from_seq : UINT64_MAX;
        if (hws_public_eq(&step_at(c, i)->key, key) && seq >= step_at(c, i)->from_seq &&
            seq <= until) {
            return true;
        }
    }
    return false;
}

static enum hws_code check_signed(struct hws_log_check *c, const struct hws_checkpoint *p,
                                  const char *fault, struct hws_err *err)
{
    enum hws_code rc = hws_checkpoint_check(p, NULL);

    if (rc == HWS_E_NOMEM) {
        return no_room(rc, err);
    }
    if (rc != HWS_OK) {
        return blame(c, fault, p->seq, "the checkpoint's signature is not its key's", err);
    }
    if (!key_in_force(c, &p->key, p->seq)) {
        return blame(c, fault, p->seq,
                     "the checkpoint is signed by a key that this log does not have", err);
    }
    return HWS_OK;
}

enum hws_code hws_log_check_checkpoint(struct hws_log_check *c, const struct hws_checkpoint *p,
                                       struct hws_err *err)
{
    const struct hws_checkpoint *last = newest(c);
    struct hws_log_mark mark = {.seq = p->seq, .hash = p->hash};

    if (c->fault != NULL) {
        return told(c, err);
    }
    enum hws_code rc = check_signed(c, p, "checkpoint", err);
    if (rc != HWS_OK) {
        return rc;
    }
    if (last != NULL && (p->seq < last->seq || p->horizon_seq < last->horizon_seq)) {
        return blame(c, "checkpoint", p->seq, "its checkpoint is out of order", err);
    }
    rc = hws_buf_put(&c->marks, &mark, sizeof(mark));
    if (rc != HWS_OK) {
        return no_room(rc, err);
    }
    c->last = *p;
    return HWS_OK;
}

enum hws_code hws_log_check_pin(struct hws_log_check *c, const struct hws_checkpoint *p,
                                struct hws_err *err)
{
    if (c->fault != NULL) {
        return told(c, err);
    }
    enum hws_code rc = check_signed(c, p, "pin", err);
    if (rc != HWS_OK) {
        return rc;
    }
    const struct hws_checkpoint *last = newest(c);
    if (last != NULL && strcmp(p->host, last->host) != 0) {
        return blame(c, "pin", p->seq, "the checkpoint that was kept is another host's", err);
    }
    c->pin = *p;
    c->pinned = true;
    return HWS_OK;
}

const struct hws_public *hws_log_check_signer(const struct hws_log_check *c)
{
    if (newest(c) != NULL) {
        return &newest(c)->key;
    }
    return n_steps(c) > 0 ? &step_at(c, n_steps(c) - 1)->key : NULL;
}

/* True if must_be_by comes no later among the keys than the newest checkpoint's. That a key merely
 * stands in the log says nothing: any key can vouch for it. */
static bool is_by(const struct hws_log_check *c)
{
    const struct hws_public *signer = hws_log_check_signer(c);
    bool led = false;

    for (size_t i = 0; i < n_steps(c); i++) {
        led = led || hws_public_eq(&step_at(c, i)->key, &c->must_be_by);
        if (led && hws_public_eq(&step_at(c, i)->key, signer)) {
            return true;
        }
    }
    return false;
}

/* A log that nothing vouches for is none. */
static enum hws_code has_keys(struct hws_log_check *c, struct hws_err *err)
{
    if (c->fault != NULL) {
        return told(c, err);
    }
    if (n_steps(c) == 0) {
        return blame(c, "key", 1, "nothing here is signed: the log's keys are missing", err);
    }
    return !c->has_key || is_by(c) ? HWS_OK
                                   : blame(c, "key", 1,
                                           "the log is signed by another key than the one asked "
                                           "for, which does not lead to it either",
                                           err);
}

enum hws_code hws_log_check_begin(struct hws_log_check *c, struct hws_err *err)
{
    static const struct hws_digest none;
    const struct hws_checkpoint *last = newest(c);
    enum hws_code rc = has_keys(c, err);

    if (rc != HWS_OK) {
        return rc;
    }
    if (last == NULL) {
        hws_verify_init(&c->walk, 1, &none);
        return HWS_OK;
    }
    hws_verify_init(&c->walk, last->horizon_seq, &last->horizon_prev);
    return HWS_OK;
}

enum hws_code hws_log_check_begin_at(struct hws_log_check *c, uint64_t first_seq,
                                     struct hws_err *err)
{
    static const struct hws_digest none;
    enum hws_code rc = has_keys(c, err);

    if (rc == HWS_OK) {
        hws_verify_init(&c->walk, first_seq == 0 ? 1 : first_seq, first_seq <= 1 ? &none : NULL);
    }
    return rc;
}

/* Compares a good record with every checkpoint that names it. */
static enum hws_code meet_checkpoints(struct hws_log_check *c, const struct hws_record *r,
                                      struct hws_err *err)
{
    const struct hws_log_mark *marks = (const void *)hws_buf_peek(&c->marks);

    while (c->next_mark < n_marks(c)) {
        const struct hws_log_mark *p = &marks[c->next_mark];
        if (p->seq > r->seq) {
            break;
        }
        c->next_mark++;
        if (p->seq < r->seq) {
            continue; /* of a record before the first one here */
        }
        if (!hws_digest_eq(&p->hash, &r->hash)) {
            return blame(c, "rewritten", r->seq,
                         "differs from what was signed: the log was rewritten", err);
        }
        c->signed_seq = r->seq;
    }
    if (c->pinned && c->pin.seq == r->seq) {
        if (!hws_digest_eq(&c->pin.hash, &r->hash)) {
            return blame(c, "rewritten", r->seq,
                         "differs from the checkpoint that was kept: the log was rewritten", err);
        }
        c->signed_seq = r->seq > c->signed_seq ? r->seq : c->signed_seq;
    }
    return HWS_OK;
}

enum hws_code hws_log_check_record(struct hws_log_check *c, const struct hws_record *r,
                                   struct hws_err *err)
{
    if (c->fault != NULL) {
        return told(c, err);
    }
    enum hws_code rc = hws_verify_feed(&c->walk, r, &c->err);
    if (rc == HWS_E_PROTO && c->walk.fault == HWS_VERIFY_REORDERED) {
        /* What stands there says any number of itself: the place is what is wrong. */
        return blame(c, hws_verify_fault_name(c->walk.fault), c->walk.next_seq,
                     "is out of order or repeated", err);
    }
    if (rc == HWS_E_PROTO) {
        c->fault = hws_verify_fault_name(c->walk.fault);
        c->bad_seq = c->walk.bad_seq;
        return told(c, err);
    }
    if (rc != HWS_OK) {
        return no_room(rc, err);
    }
    c->first_seq = c->first_seq == 0 ? r->seq : c->first_seq;
    c->last_seq = r->seq;
    c->n_records++;
    return meet_checkpoints(c, r, err);
}

enum hws_code hws_log_check_malformed(struct hws_log_check *c, uint64_t seq, struct hws_err *err)
{
    if (c->fault != NULL) {
        return told(c, err);
    }
    uint64_t next = c->walk.next_seq;
    /* A seq that the walk does not expect is itself part of the damage: the place counts. */
    return blame(c, "malformed", next != 0 ? next : seq, "is malformed", err);
}

enum hws_code hws_log_check_gap(struct hws_log_check *c, uint64_t first_seq, uint64_t last_seq,
                                struct hws_err *err)
{
    if (c->fault != NULL) {
        return told(c, err);
    }
    if (first_seq != c->walk.next_seq || last_seq < first_seq || newest(c) == NULL ||
        newest(c)->horizon_seq <= last_seq) {
        return blame(c, "missing", c->walk.next_seq,
                     "is missing, and no signed horizon says that it was pruned", err);
    }
    hws_verify_init(&c->walk, last_seq + 1, NULL);
    c->n_gaps++;
    return HWS_OK;
}

static enum hws_code missing(struct hws_log_check *c, const char *text, struct hws_err *err)
{
    uint64_t next = c->walk.next_seq;

    return blame(c, "truncated", next == 0 ? c->last_seq + 1 : next, text, err);
}

/* Whoever cannot sign can still drop signatures and make a chain anew. */
static enum hws_code is_signed(struct hws_log_check *c, struct hws_err *err)
{
    uint64_t from = c->signed_seq >= c->first_seq ? c->signed_seq + 1 : c->first_seq;

    if (c->max_unsigned == 0 || c->last_seq < from || c->last_seq - from < c->max_unsigned) {
        return HWS_OK;
    }
    c->fault = "unsigned";
    c->bad_seq = from;
    (void)hws_err_set(&c->err, HWS_E_PROTO,
                      "audit record %" PRIu64 ": no signature covers it or the %" PRIu64
                      " after it; the log's writer leaves at most %" PRIu64 " unsigned",
                      from, c->last_seq - from, c->max_unsigned);
    return told(c, err);
}

enum hws_code hws_log_check_end(struct hws_log_check *c, struct hws_err *err)
{
    if (c->fault != NULL) {
        return told(c, err);
    }
    if (newest(c) != NULL && newest(c)->seq > c->last_seq) {
        return missing(c, "is missing: a signed checkpoint says that the log goes on", err);
    }
    if (c->stated_head > c->last_seq) {
        return missing(c, "is missing: the log says that it goes on", err);
    }
    if (c->pinned && c->pin.seq > c->last_seq) {
        return missing(c, "is missing: the checkpoint that was kept says that the log goes on",
                       err);
    }
    return is_signed(c, err);
}
