/*
 * Grants by one rule, tried again until it gives nothing:
 *   1. a writer runs, or the breaker is open: nobody
 *   2. reads are owed a round since the last write: the next principal's read, up to max_reads at
 * once
 *   3. a writer waits: it goes when no read is left, and no read starts meanwhile
 *   4. a read waits: the next principal's, up to max_reads at once
 * Every search is a walk over at most max_waiting tickets: the queue is short by design.
 */
#include "sched/sched.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

static struct hws_ticket *by_link(struct hws_list *item)
{
    return hws_container_of(item, struct hws_ticket, link);
}

static struct hws_ticket *by_entered(struct hws_list *item)
{
    return hws_container_of(item, struct hws_ticket, entered);
}

static struct hws_ticket *by_sibling(struct hws_list *item)
{
    return hws_container_of(item, struct hws_ticket, sibling);
}

void hws_sched_init(struct hws_sched *s, const struct hws_sched_options *opt)
{
    memset(s, 0, sizeof(*s));
    s->opt = *opt;
    s->opt.max_reads = opt->max_reads == 0 ? HWS_SCHED_KERNEL_READS : opt->max_reads;
    s->opt.max_waiting = opt->max_waiting == 0 ? HWS_SCHED_MAX_WAITING : opt->max_waiting;
    s->opt.max_per_owner = opt->max_per_owner == 0 ? HWS_SCHED_MAX_PER_OWNER : opt->max_per_owner;
    s->opt.hang_ms = opt->hang_ms == 0 ? HWS_SCHED_HANG_MS : opt->hang_ms;
    hws_list_init(&s->fronts[HWS_SCHED_READ]);
    hws_list_init(&s->fronts[HWS_SCHED_WRITE]);
    hws_list_init(&s->waiting);
    hws_list_init(&s->running);
}

bool hws_sched_breaker_open(const struct hws_sched *s)
{
    return s->n_hung > 0 || s->n_stalled > 0;
}

/* The first ticket in line of this principal and kind, NULL if none waits. */
static struct hws_ticket *front_of(struct hws_sched *s, enum hws_sched_kind kind, const char *owner)
{
    HWS_LIST_FOREACH (item, next, &s->fronts[kind]) {
        if (hws_str_eq(by_link(item)->owner, owner)) {
            return by_link(item);
        }
    }
    return NULL;
}

static uint32_t n_waiting_of(struct hws_sched *s, const char *owner)
{
    uint32_t n = 0;

    HWS_LIST_FOREACH (item, next, &s->waiting) {
        n += hws_str_eq(by_entered(item)->owner, owner) ? 1 : 0;
    }
    return n;
}

static enum hws_code refuse_if_full(struct hws_sched *s, const char *owner, struct hws_err *err)
{
    uint32_t n = s->n_waiting[HWS_SCHED_READ] + s->n_waiting[HWS_SCHED_WRITE];
    struct hws_list *oldest = s->running.next;

    if (s->n_hung > 0) {
        return hws_err_set(err, HWS_E_GONE,
                           "adapter: a command of %s has not returned for over %" PRIu64
                           " ms; nothing new is taken until it does",
                           by_link(oldest)->owner, s->opt.hang_ms);
    }
    if (s->n_stalled > 0) {
        return hws_err_set(
            err, HWS_E_GONE,
            "adapter: %u timed-out commands are still stuck in it; nothing new is taken "
            "until they return",
            s->n_stalled);
    }
    if (n >= s->opt.max_waiting) {
        return hws_err_set(err, HWS_E_BUSY, "adapter: %u commands wait already (limit max_waiting)",
                           n);
    }
    if (n_waiting_of(s, owner) >= s->opt.max_per_owner) {
        return hws_err_set(err, HWS_E_BUSY,
                           "adapter: %u commands of %.120s wait already (limit max_per_owner)",
                           s->opt.max_per_owner, owner);
    }
    return HWS_OK;
}

enum hws_code hws_sched_enter(struct hws_sched *s, struct hws_ticket *t, uint64_t now_ms,
                              struct hws_err *err)
{
    hws_assert(t->state == HWS_TICKET_IDLE && t->cb != NULL && t->owner != NULL);
    enum hws_code rc = refuse_if_full(s, t->owner, err);
    if (rc != HWS_OK) {
        return rc;
    }
    struct hws_ticket *front = front_of(s, t->kind, t->owner);
    hws_list_init(&t->link);
    hws_list_init(&t->sibling);
    if (front == NULL) {
        hws_list_push(&s->fronts[t->kind], &t->link);
    } else {
        hws_list_push(&front->sibling, &t->sibling);
    }
    hws_list_push(&s->waiting, &t->entered);
    t->state = HWS_TICKET_WAITING;
    t->entered_ms = now_ms;
    s->n_waiting[t->kind]++;
    return HWS_OK;
}

/* Takes a waiting ticket out of its line. Its principal's next one inherits the place if it keeps
 * its turn, else goes to the back of the ring. */
static void take_out(struct hws_sched *s, struct hws_ticket *t, bool keep_turn)
{
    bool is_front = !hws_list_empty(&t->link);

    hws_list_remove(&t->entered);
    s->n_waiting[t->kind]--;
    if (is_front && !hws_list_empty(&t->sibling)) {
        struct hws_ticket *heir = by_sibling(t->sibling.next);
        /* Where t stood in its principal's line, the heir now stands; the others follow it already.
         */
        hws_list_remove(&t->sibling);
        struct hws_list *place = keep_turn ? t->link.next : &s->fronts[t->kind];
        hws_list_push(place, &heir->link);
    } else {
        hws_list_remove(&t->sibling);
    }
    hws_list_remove(&t->link);
    t->state = HWS_TICKET_IDLE;
}

void hws_sched_drop(struct hws_sched *s, struct hws_ticket *t)
{
    if (t->state == HWS_TICKET_WAITING) {
        take_out(s, t, true);
    }
}

void hws_sched_leave(struct hws_sched *s, struct hws_ticket *t)
{
    hws_assert(t->state == HWS_TICKET_RUNNING || t->state == HWS_TICKET_HUNG);
    if (t->state == HWS_TICKET_HUNG) {
        s->n_hung--;
    }
    hws_list_remove(&t->link);
    t->state = HWS_TICKET_IDLE;
    if (t->kind == HWS_SCHED_READ) {
        s->n_reads--;
        return;
    }
    s->writing = false;
    uint32_t n = s->n_waiting[HWS_SCHED_READ];
    s->n_owed_reads = n < s->opt.max_reads ? n : s->opt.max_reads;
}

void hws_sched_set_stalled(struct hws_sched *s, uint32_t n_stalled)
{
    s->n_stalled = n_stalled;
}

/* The oldest waiting ticket that is past its deadline, NULL if none. */
static struct hws_ticket *find_expired(struct hws_sched *s, uint64_t now_ms)
{
    HWS_LIST_FOREACH (item, next, &s->waiting) {
        struct hws_ticket *t = by_entered(item);
        if (t->deadline_ms != 0 && t->deadline_ms <= now_ms) {
            return t;
        }
    }
    return NULL;
}

static void expire(struct hws_sched *s, uint64_t now_ms)
{
    struct hws_ticket *t;

    while ((t = find_expired(s, now_ms)) != NULL) {
        struct hws_err err;
        take_out(s, t, true);
        (void)hws_err_set(&err, HWS_E_TIMEOUT, "adapter: waited %" PRIu64 " ms for its turn",
                          now_ms - t->entered_ms);
        hws_err_at(&err, HWS_STAGE_NOT_SENT);
        t->cb(t, HWS_E_TIMEOUT, &err);
    }
}

static void mark_hung(struct hws_sched *s, uint64_t now_ms)
{
    HWS_LIST_FOREACH (item, next, &s->running) {
        struct hws_ticket *t = by_link(item);
        if (now_ms < t->granted_ms || now_ms - t->granted_ms < s->opt.hang_ms) {
            return; /* the others were granted later */
        }
        if (t->state == HWS_TICKET_RUNNING) {
            t->state = HWS_TICKET_HUNG;
            s->n_hung++;
        }
    }
}

/* Whose turn it is now, by the rule at the top; NULL for nobody. */
static struct hws_ticket *next_grant(struct hws_sched *s)
{
    bool room = s->n_reads < s->opt.max_reads && s->n_waiting[HWS_SCHED_READ] > 0;

    if (s->writing || hws_sched_breaker_open(s)) {
        return NULL;
    }
    if (s->n_waiting[HWS_SCHED_READ] == 0) {
        s->n_owed_reads = 0;
    }
    if (s->n_owed_reads > 0 || s->n_waiting[HWS_SCHED_WRITE] == 0) {
        return room ? by_link(s->fronts[HWS_SCHED_READ].next) : NULL;
    }
    return s->n_reads == 0 ? by_link(s->fronts[HWS_SCHED_WRITE].next) : NULL;
}

static void grant(struct hws_sched *s, struct hws_ticket *t, uint64_t now_ms)
{
    take_out(s, t, false);
    if (t->kind == HWS_SCHED_READ) {
        s->n_reads++;
        s->n_owed_reads -= s->n_owed_reads > 0 ? 1 : 0;
    } else {
        s->writing = true;
    }
    t->state = HWS_TICKET_RUNNING;
    t->granted_ms = now_ms;
    hws_list_push(&s->running, &t->link);
    t->cb(t, HWS_OK, NULL);
}

static uint64_t next_deadline(struct hws_sched *s)
{
    uint64_t next = UINT64_MAX;

    HWS_LIST_FOREACH (item, next_item, &s->waiting) {
        struct hws_ticket *t = by_entered(item);
        if (t->deadline_ms != 0 && t->deadline_ms < next) {
            next = t->deadline_ms;
        }
    }
    HWS_LIST_FOREACH (item, next_item, &s->running) {
        struct hws_ticket *t = by_link(item);
        if (t->state == HWS_TICKET_RUNNING && t->granted_ms + s->opt.hang_ms < next) {
            next = t->granted_ms + s->opt.hang_ms;
        }
    }
    return next;
}

uint64_t hws_sched_turn(struct hws_sched *s, uint64_t now_ms)
{
    struct hws_ticket *t;

    if (s->turning) {
        return now_ms;
    }
    s->turning = true;
    mark_hung(s, now_ms);
    expire(s, now_ms);
    while ((t = next_grant(s)) != NULL) {
        grant(s, t, now_ms);
    }
    s->turning = false;
    return next_deadline(s);
}

void hws_sched_flush(struct hws_sched *s, enum hws_code code, const char *why)
{
    uint32_t n = s->n_waiting[HWS_SCHED_READ] + s->n_waiting[HWS_SCHED_WRITE];
    struct hws_err err;

    (void)hws_err_set(&err, code, "adapter: %s", why);
    hws_err_at(&err, HWS_STAGE_NOT_SENT);
    /* As many as there are now: a callback may enter again. */
    for (; n > 0; n--) {
        struct hws_list *readers = &s->fronts[HWS_SCHED_READ];
        struct hws_list *from = hws_list_empty(readers) ? &s->fronts[HWS_SCHED_WRITE] : readers;
        if (hws_list_empty(from)) {
            return; /* a callback dropped the rest */
        }
        struct hws_ticket *t = by_link(from->next);
        take_out(s, t, false);
        t->cb(t, code, &err);
    }
}
