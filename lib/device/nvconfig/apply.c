/*
 * Does what a plan said, wholly or not at all.
 *
 *   plan again -> compare with what the caller saw -> for each record: write -> read back -> done
 *
 * Failures and what follows:
 *   nothing sent yet                      nothing to undo
 *   write not sent or rejected            undo the records before it
 *   write refused, or its fate unknown    read back: found done after UNKNOWN, go on; found old,
 * undo those before it; anything else, or not readable, undo it, too read-back fails or differs
 * undo this record and those before it undo fails                            try again,
 * HWS_NV_UNDO_TRIES times; then in doubt
 */
#include "nvconfig/apply.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "nvconfig/plan_priv.h"

enum state {
    PLANNING,
    WRITING,
    VERIFYING, /* the card said done */
    JUDGING,   /* the card said no, or nothing */
    UNDOING,
    UNDO_VERIFYING,
    ENDED,
    BROKEN
};

static const char *record_name(const struct hws_nv_apply *a)
{
    return hws_nv_tlv_at(a->plan.writes[a->write_idx].tlv_idx)->name;
}

void hws_nv_apply_start(struct hws_nv_apply *apply, const struct hws_digest *plan_hash,
                        const struct hws_digest *expected_revision)
{
    memset(apply, 0, sizeof(*apply));
    apply->timeout_ms = HWS_HCA_CMD_TIMEOUT_MS;
    apply->has_hash = plan_hash != NULL;
    apply->has_revision = expected_revision != NULL;
    if (plan_hash != NULL) {
        apply->want_hash = *plan_hash;
    }
    if (expected_revision != NULL) {
        apply->want_revision = *expected_revision;
    }
}

enum hws_code hws_nv_apply_init(struct hws_nv_apply *apply, const char *device_id,
                                const struct hws_nv_setting *settings, size_t n_settings,
                                const struct hws_digest *plan_hash,
                                const struct hws_digest *expected_revision, struct hws_err *err)
{
    hws_nv_apply_start(apply, plan_hash, expected_revision);
    return hws_nv_plan_init(&apply->plan, device_id, settings, n_settings, err);
}

const char *hws_nv_outcome_name(enum hws_nv_outcome outcome)
{
    static const char *const names[] = {"untouched", "applied", "restored", "in-doubt"};
    return (unsigned)outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : "?";
}

static size_t n_in_doubt(const struct hws_nv_apply *a)
{
    size_t n = 0;
    for (size_t i = 0; i < a->plan.n_writes; i++) {
        n += a->in_doubt[i] ? 1u : 0u;
    }
    return n;
}

/* "in doubt: PCI, SOFTWARE: <why the last could not be put back>" */
static void name_doubts(struct hws_nv_apply *a)
{
    size_t used = 0;
    for (size_t i = 0; i < a->plan.n_writes; i++) {
        const char *name = hws_nv_tlv_at(a->plan.writes[i].tlv_idx)->name;
        if (a->in_doubt[i] && hws_str_print(a->detail + used, sizeof(a->detail) - used, "%s%s",
                                            used == 0 ? "could not be put back: " : ", ", name)) {
            used += strlen(a->detail + used);
        }
    }
    (void)hws_str_print(a->detail + used, sizeof(a->detail) - used, ": %s",
                        a->last.code != HWS_OK ? a->last.msg
                                               : "other bytes than the old read back");
}

/* Ends without success; err is set. */
static void fail(struct hws_nv_apply *a)
{
    const char *late = a->late_write ? "; a write that timed out may still land" : "";

    a->state = BROKEN;
    if (n_in_doubt(a) > 0) {
        a->outcome = HWS_NV_IN_DOUBT;
        name_doubts(a);
    } else if (a->sent) {
        a->outcome = HWS_NV_RESTORED;
        (void)hws_str_print(a->detail, sizeof(a->detail),
                            "every record holds its old values, read back%s", late);
    } else {
        a->outcome = HWS_NV_UNTOUCHED;
        (void)hws_str_copy(a->detail, sizeof(a->detail), "nothing was written");
    }
}

/* All writes are read back. */
static void succeed(struct hws_nv_apply *a)
{
    for (size_t i = 0; i < a->plan.n_writes; i++) {
        const struct hws_nv_write *w = &a->plan.writes[i];
        memcpy(a->plan.reader.records[w->tlv_idx].data[HWS_NV_NEXT], w->new_bytes, w->n_bytes);
    }
    a->outcome = HWS_NV_APPLIED;
    a->state = ENDED;
    if (a->plan.n_writes == 0) {
        (void)hws_str_copy(a->detail, sizeof(a->detail),
                           "nothing to write: the records hold the wanted values");
    } else {
        (void)hws_str_print(a->detail, sizeof(a->detail),
                            "%zu records hold the new values, read back", a->plan.n_writes);
    }
    if (hws_nv_reader_revision(&a->plan.reader, &a->revision) != HWS_OK) {
        (void)hws_err_set(&a->err, HWS_E_NOMEM, "revision");
        a->state = BROKEN; /* the card holds the new values all the same, and outcome says so */
    }
}

/*
 * Goes on undoing below the given number of writes, last first. The first pass takes each, the next
 * what is in doubt: a card may refuse one record's old bytes until another's are back.
 */
static void undo_from(struct hws_nv_apply *a, size_t n_writes)
{
    a->n_tries = 0;
    for (;;) {
        while (n_writes > 0 && a->n_passes > 0 && !a->in_doubt[n_writes - 1]) {
            n_writes--;
        }
        if (n_writes > 0) {
            a->write_idx = n_writes - 1;
            a->state = UNDOING;
            return;
        }
        if (n_in_doubt(a) == 0 || ++a->n_passes >= HWS_NV_UNDO_PASSES) {
            fail(a);
            return;
        }
        n_writes = a->plan.n_writes;
    }
}

void hws_nv_apply_undo(struct hws_nv_apply *apply)
{
    apply->sent = true;
    undo_from(apply, apply->plan.n_writes);
}

/* The card must still be what the caller saw, and the plan what the caller agreed to. */
static void compare(struct hws_nv_apply *a)
{
    if (a->has_revision && !hws_digest_eq(&a->want_revision, &a->plan.revision)) {
        (void)hws_err_set(&a->err, HWS_E_CONFLICT,
                          "the stored settings changed since the plan was made; plan again");
        fail(a);
        return;
    }
    if (a->has_hash && !hws_digest_eq(&a->want_hash, &a->plan.hash)) {
        (void)hws_err_set(&a->err, HWS_E_CONFLICT,
                          "these settings on this adapter make another plan than the one named");
        fail(a);
        return;
    }
    if (a->plan.n_writes == 0) {
        succeed(a);
        return;
    }
    a->state = WRITING;
}

enum hws_step hws_nv_apply_next(struct hws_nv_apply *a, uint64_t now_ms, struct hws_ctl_call *call)
{
    uint8_t reg[HWS_NV_HEADER_BYTES + HWS_NV_TLV_MAX_BYTES];
    uint16_t reg_id = 0;

    if (a->state == PLANNING) {
        a->plan.timeout_ms = a->timeout_ms;
        enum hws_step step = hws_nv_plan_next(&a->plan, now_ms, call);
        if (step == HWS_STEP_CALL) {
            return step;
        }
        if (step == HWS_STEP_DONE) {
            compare(a);
        } else {
            a->err = a->plan.err;
            fail(a);
        }
    }
    if (a->state >= ENDED) {
        return a->state == ENDED ? HWS_STEP_DONE : HWS_STEP_FAILED;
    }
    const struct hws_nv_write *w = &a->plan.writes[a->write_idx];
    uint64_t deadline_ms = now_ms + a->timeout_ms;
    if (a->state == WRITING || a->state == UNDOING) {
        size_t n = hws_nv_write_encode(w, a->state == UNDOING, reg, &reg_id);
        hws_hca_regio_prepare(&a->io, reg_id, true, reg, n, deadline_ms, call);
    } else {
        hws_nv_read_back(&a->io, w, deadline_ms, call);
    }
    return HWS_STEP_CALL;
}

static void verified(struct hws_nv_apply *a)
{
    a->n_tries = 0;
    a->write_idx++;
    a->state = WRITING;
    if (a->write_idx == a->plan.n_writes) {
        succeed(a);
    }
}

static void feed_write(struct hws_nv_apply *a, const struct hws_ctl_call *call)
{
    const uint8_t *b = NULL;
    struct hws_err err = {0};

    enum hws_code rc = hws_hca_regio_result(&a->io, call, &b, &err);
    a->n_tries = 0;
    if (rc == HWS_OK) {
        a->sent = true;
        a->state = VERIFYING;
        return;
    }
    a->err = err;
    (void)hws_err_wrap(&a->err, "record %s", record_name(a));
    if (err.stage == HWS_STAGE_NOT_SENT || err.stage == HWS_STAGE_REJECTED) {
        undo_from(a, a->write_idx);
        return;
    }
    a->sent = true;
    a->state = JUDGING;
}

/* The NEXT bytes in a reply; NULL and last set if there are none. */
static const uint8_t *bytes_of(struct hws_nv_apply *a, const struct hws_ctl_call *call)
{
    const struct hws_nv_write *w = &a->plan.writes[a->write_idx];
    const uint8_t *b = NULL;
    const uint8_t *data = NULL;

    if (hws_hca_regio_result(&a->io, call, &b, &a->last) != HWS_OK ||
        hws_nv_mnvda_decode(b, a->io.reg_bytes, hws_nv_tlv_at(w->tlv_idx)->type, HWS_NV_NEXT,
                            w->n_bytes, &data, &a->last) != HWS_OK) {
        return NULL;
    }
    return data;
}

static void feed_verify(struct hws_nv_apply *a, const struct hws_ctl_call *call)
{
    const struct hws_nv_write *w = &a->plan.writes[a->write_idx];
    const uint8_t *data = bytes_of(a, call);

    if (data != NULL && memcmp(data, w->new_bytes, w->n_bytes) == 0) {
        verified(a);
        return;
    }
    if (data == NULL && ++a->n_tries < HWS_NV_READ_TRIES) {
        return; /* read once more */
    }
    if (data == NULL) {
        a->err = a->last;
    } else {
        (void)hws_err_set(&a->err, HWS_E_DEVICE,
                          "the write was accepted, but other bytes read back");
        hws_err_at(&a->err, HWS_STAGE_EXECUTED);
    }
    (void)hws_err_wrap(&a->err, "record %s", record_name(a));
    undo_from(a, a->write_idx + 1);
}

static void feed_judge(struct hws_nv_apply *a, const struct hws_ctl_call *call)
{
    const struct hws_nv_write *w = &a->plan.writes[a->write_idx];
    const uint8_t *data = bytes_of(a, call);
    bool unknown = a->err.stage != HWS_STAGE_EXECUTED;

    if (data == NULL && ++a->n_tries < HWS_NV_READ_TRIES) {
        return;
    }
    if (data != NULL && unknown && memcmp(data, w->new_bytes, w->n_bytes) == 0) {
        hws_err_clear(&a->err);
        verified(a);
        return;
    }
    a->late_write = a->late_write || unknown;
    bool old = data != NULL && memcmp(data, w->old_bytes, w->n_bytes) == 0;
    undo_from(a, old ? a->write_idx : a->write_idx + 1);
}

/* Whatever the write came to, the card's bytes decide; its error is kept for the detail. */
static void feed_undo(struct hws_nv_apply *a, const struct hws_ctl_call *call)
{
    const uint8_t *b = NULL;

    hws_err_clear(&a->last);
    if (hws_hca_regio_result(&a->io, call, &b, &a->last) == HWS_OK) {
        hws_err_clear(&a->last);
    }
    a->state = UNDO_VERIFYING;
}

static void feed_undo_verify(struct hws_nv_apply *a, const struct hws_ctl_call *call)
{
    const struct hws_nv_write *w = &a->plan.writes[a->write_idx];
    const uint8_t *data = bytes_of(a, call);

    if (data == NULL || memcmp(data, w->old_bytes, w->n_bytes) != 0) {
        if (++a->n_tries < HWS_NV_UNDO_TRIES) {
            a->state = UNDOING;
            return;
        }
        a->in_doubt[a->write_idx] = true;
    } else {
        a->in_doubt[a->write_idx] = false;
    }
    undo_from(a, a->write_idx);
}

void hws_nv_apply_feed(struct hws_nv_apply *a, const struct hws_ctl_call *call)
{
    switch ((enum state)a->state) {
    case PLANNING:
        hws_nv_plan_feed(&a->plan, call);
        return;
    case WRITING:
        feed_write(a, call);
        return;
    case VERIFYING:
        feed_verify(a, call);
        return;
    case JUDGING:
        feed_judge(a, call);
        return;
    case UNDOING:
        feed_undo(a, call);
        return;
    case UNDO_VERIFYING:
        feed_undo_verify(a, call);
        return;
    case ENDED:
    case BROKEN:
    default:
        hws_assert(a->state < ENDED); /* fed after its end */
    }
}
