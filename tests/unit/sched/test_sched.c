/* The scheduler: exclusion, shares, limits, breaker; then the same as properties over random
 * histories. */
#include <stdio.h>
#include <string.h>

#include "sched/sched.h"
#include "test.h"

#define N 400

struct probe {
    struct hws_ticket ticket;
    int n_granted;
    int n_failed;
    enum hws_code code;
    char why[HWS_ERR_MSG_BYTES];
    int *order; /* where grants write their index */
    int *n_order;
};

static void on_turn(struct hws_ticket *t, enum hws_code code, const struct hws_err *err)
{
    struct probe *p = t->data;

    p->code = code;
    if (code == HWS_OK) {
        p->n_granted++;
        if (p->order != NULL) {
            p->order[(*p->n_order)++] = (int)(p->ticket.owner[0]);
        }
    } else {
        p->n_failed++;
        (void)snprintf(p->why, sizeof(p->why), "%s", err->msg);
    }
}

static void prepare(struct probe *p, enum hws_sched_kind kind, const char *owner)
{
    memset(p, 0, sizeof(*p));
    p->ticket.kind = kind;
    p->ticket.owner = owner;
    p->ticket.cb = on_turn;
    p->ticket.data = p;
}

static void enter(struct hws_sched *s, struct probe *p, enum hws_sched_kind kind, const char *owner)
{
    struct hws_err err;

    prepare(p, kind, owner);
    assert_ok(hws_sched_enter(s, &p->ticket, 0, &err), &err);
}

static bool runs(const struct probe *p)
{
    return p->ticket.state == HWS_TICKET_RUNNING || p->ticket.state == HWS_TICKET_HUNG;
}

static void reads_are_shared_up_to_the_limit(void **state)
{
    struct hws_sched s;
    struct probe p[6];

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){.max_reads = 4});
    for (int i = 0; i < 6; i++) {
        enter(&s, &p[i], HWS_SCHED_READ, "a");
    }
    assert_int_equal(p[0].n_granted, 0); /* never inside enter */
    (void)hws_sched_turn(&s, 0);
    assert_true(runs(&p[3]));
    assert_false(runs(&p[4]));

    hws_sched_leave(&s, &p[1].ticket);
    (void)hws_sched_turn(&s, 0);
    assert_true(runs(&p[4]));
    assert_false(runs(&p[5]));
}

static void writer_is_alone_and_stops_new_reads(void **state)
{
    struct hws_sched s;
    struct probe r1;
    struct probe r2;
    struct probe w1;
    struct probe w2;

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){0});
    enter(&s, &r1, HWS_SCHED_READ, "a");
    (void)hws_sched_turn(&s, 0);
    enter(&s, &w1, HWS_SCHED_WRITE, "b");
    enter(&s, &r2, HWS_SCHED_READ, "a");
    enter(&s, &w2, HWS_SCHED_WRITE, "b");
    (void)hws_sched_turn(&s, 0);
    assert_false(runs(&w1));
    assert_false(runs(&r2));

    hws_sched_leave(&s, &r1.ticket);
    (void)hws_sched_turn(&s, 0);
    assert_true(runs(&w1));
    assert_false(runs(&r2));

    hws_sched_leave(&s, &w1.ticket);
    (void)hws_sched_turn(&s, 0);
    assert_true(runs(&r2)); /* it waited while the writer ran */
    assert_false(runs(&w2));

    hws_sched_leave(&s, &r2.ticket);
    (void)hws_sched_turn(&s, 0);
    assert_true(runs(&w2));
}

static void turns_go_round_by_principal(void **state)
{
    static const char *const owners[] = {"a", "a", "a", "a", "b", "c", "b"};
    struct hws_sched s;
    struct probe p[7];
    int order[7];
    int n = 0;

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){0});
    for (int i = 0; i < 7; i++) {
        enter(&s, &p[i], HWS_SCHED_WRITE, owners[i]);
        p[i].order = order;
        p[i].n_order = &n;
    }
    for (int done = 0; done < 7; done++) {
        (void)hws_sched_turn(&s, 0);
        for (int i = 0; i < 7; i++) {
            if (runs(&p[i])) {
                hws_sched_leave(&s, &p[i].ticket);
                break;
            }
        }
    }

    static const int expected[] = {'a', 'b', 'c', 'a', 'b', 'a', 'a'};
    assert_int_equal(n, 7);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(order[i], expected[i]);
    }
}

static void limits_are_named(void **state)
{
    struct hws_sched s;
    struct probe p[4];
    struct hws_err err;

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){.max_waiting = 3, .max_per_owner = 2});
    enter(&s, &p[0], HWS_SCHED_READ, "a");
    enter(&s, &p[1], HWS_SCHED_WRITE, "a");
    prepare(&p[2], HWS_SCHED_READ, "a");
    assert_code(hws_sched_enter(&s, &p[2].ticket, 0, &err), HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "max_per_owner"));
    enter(&s, &p[2], HWS_SCHED_READ, "b");
    prepare(&p[3], HWS_SCHED_READ, "c");
    assert_code(hws_sched_enter(&s, &p[3].ticket, 0, &err), HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "max_waiting"));
}

static void waiting_ends_at_its_deadline(void **state)
{
    struct hws_sched s;
    struct probe w;
    struct probe late;
    struct probe behind;

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){0});
    enter(&s, &w, HWS_SCHED_WRITE, "a");
    (void)hws_sched_turn(&s, 0);
    enter(&s, &late, HWS_SCHED_WRITE, "b");
    late.ticket.deadline_ms = 50;
    enter(&s, &behind, HWS_SCHED_WRITE, "b");
    assert_int_equal(hws_sched_turn(&s, 0), 50);
    assert_int_equal(late.n_failed, 0);

    assert_int_equal(hws_sched_turn(&s, 50), HWS_SCHED_HANG_MS);

    assert_int_equal(late.n_failed, 1);
    assert_code(late.code, HWS_E_TIMEOUT);
    assert_string_equal(late.why, "adapter: waited 50 ms for its turn");
    hws_sched_leave(&s, &w.ticket);
    (void)hws_sched_turn(&s, 51);
    assert_true(runs(&behind));
}

static void breaker_opens_at_one_hung_command_and_closes_by_itself(void **state)
{
    struct hws_sched s;
    struct probe hung;
    struct probe waiting;
    struct probe refused;
    struct hws_err err;

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){.hang_ms = 100});
    enter(&s, &hung, HWS_SCHED_READ, "a");
    assert_int_equal(hws_sched_turn(&s, 0), 100);
    (void)hws_sched_turn(&s, 99);
    assert_false(hws_sched_breaker_open(&s));
    enter(&s, &waiting, HWS_SCHED_READ, "b");

    assert_int_equal(hws_sched_turn(&s, 100), UINT64_MAX);

    assert_true(hws_sched_breaker_open(&s));
    assert_false(runs(&waiting));
    prepare(&refused, HWS_SCHED_READ, "c");
    assert_code(hws_sched_enter(&s, &refused.ticket, 100, &err), HWS_E_GONE);
    assert_non_null(strstr(err.msg, "a command of a has not returned"));

    hws_sched_leave(&s, &hung.ticket);
    (void)hws_sched_turn(&s, 200);
    assert_false(hws_sched_breaker_open(&s));
    assert_true(runs(&waiting));
}

static void stalled_slots_keep_the_breaker_open(void **state)
{
    struct hws_sched s;
    struct probe p;
    struct hws_err err;

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){0});
    hws_sched_set_stalled(&s, 1);
    prepare(&p, HWS_SCHED_READ, "a");
    assert_code(hws_sched_enter(&s, &p.ticket, 0, &err), HWS_E_GONE);
    hws_sched_set_stalled(&s, 0);
    assert_ok(hws_sched_enter(&s, &p.ticket, 0, &err), &err);
}

static void dropped_ticket_hears_nothing_and_its_principal_keeps_its_place(void **state)
{
    struct hws_sched s;
    struct probe w;
    struct probe a1;
    struct probe a2;
    struct probe b;

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){0});
    enter(&s, &w, HWS_SCHED_WRITE, "w");
    (void)hws_sched_turn(&s, 0);
    enter(&s, &a1, HWS_SCHED_WRITE, "a");
    enter(&s, &a2, HWS_SCHED_WRITE, "a");
    enter(&s, &b, HWS_SCHED_WRITE, "b");
    hws_sched_drop(&s, &a1.ticket);
    hws_sched_drop(&s, &a1.ticket);
    hws_sched_leave(&s, &w.ticket);
    (void)hws_sched_turn(&s, 0);

    assert_true(runs(&a2));
    assert_int_equal(a1.n_granted + a1.n_failed, 0);
}

static void flush_ends_all_that_wait(void **state)
{
    struct hws_sched s;
    struct probe p[5];

    (void)state;
    hws_sched_init(&s, &(struct hws_sched_options){0});
    for (int i = 0; i < 5; i++) {
        enter(&s, &p[i], i % 2 == 0 ? HWS_SCHED_READ : HWS_SCHED_WRITE, i < 3 ? "a" : "b");
    }
    hws_sched_flush(&s, HWS_E_GONE, "the card was removed");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(p[i].n_failed, 1);
        assert_code(p[i].code, HWS_E_GONE);
        assert_string_equal(p[i].why, "adapter: the card was removed");
    }
    assert_int_equal(hws_sched_turn(&s, 0), UINT64_MAX);
}

/* ---- properties over random histories ---- */

struct world {
    struct hws_sched s;
    struct probe p[N];
    uint64_t now_ms;
    uint64_t rand;
    uint32_t max_reads;
};

static void check_exclusion(struct world *w)
{
    uint32_t n_reads = 0;
    uint32_t n_writes = 0;

    for (int i = 0; i < N; i++) {
        if (runs(&w->p[i])) {
            n_reads += w->p[i].ticket.kind == HWS_SCHED_READ ? 1 : 0;
            n_writes += w->p[i].ticket.kind == HWS_SCHED_WRITE ? 1 : 0;
        }
    }
    assert_true(n_writes <= 1);
    assert_true(n_reads <= w->max_reads);
    assert_true(n_writes == 0 || n_reads == 0);
}

static void random_step(struct world *w, int *n_entered, uint32_t n_owners)
{
    static const char *const owners[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    uint64_t dice = hws_test_rand(&w->rand) % 10;

    if (dice < 5 && *n_entered < N) {
        struct probe *p = &w->p[(*n_entered)];
        enum hws_sched_kind kind =
            hws_test_rand(&w->rand) % 3 == 0 ? HWS_SCHED_WRITE : HWS_SCHED_READ;
        prepare(p, kind, owners[hws_test_rand(&w->rand) % n_owners]);
        if (hws_test_rand(&w->rand) % 8 == 0) {
            p->ticket.deadline_ms = w->now_ms + 1 + hws_test_rand(&w->rand) % 50;
        }
        if (hws_sched_enter(&w->s, &p->ticket, w->now_ms, NULL) == HWS_OK) {
            (*n_entered)++;
        }
    } else if (dice < 6 && *n_entered > 0) {
        hws_sched_drop(&w->s, &w->p[hws_test_rand(&w->rand) % (uint64_t)*n_entered].ticket);
    } else if (*n_entered > 0) {
        struct probe *p = &w->p[hws_test_rand(&w->rand) % (uint64_t)*n_entered];
        if (runs(p)) {
            hws_sched_leave(&w->s, &p->ticket);
        }
    }
    w->now_ms += hws_test_rand(&w->rand) % 3;
    (void)hws_sched_turn(&w->s, w->now_ms);
}

static void all_that_run_leave(struct world *w, int n_entered)
{
    for (int i = 0; i < n_entered; i++) {
        if (runs(&w->p[i])) {
            hws_sched_leave(&w->s, &w->p[i].ticket);
        }
    }
    (void)hws_sched_turn(&w->s, w->now_ms);
    check_exclusion(w);
}

static void play(struct world *w, uint64_t seed)
{
    int n_entered = 0;

    memset(w, 0, sizeof(*w));
    w->rand = seed;
    w->max_reads = 1 + (uint32_t)(hws_test_rand(&w->rand) % 5);
    hws_sched_init(&w->s, &(struct hws_sched_options){
                              .max_reads = w->max_reads, .max_waiting = 64, .max_per_owner = 32});
    for (int step = 0; step < 800; step++) {
        random_step(w, &n_entered, 8);
        check_exclusion(w);
    }
    /* Everything that runs returns: then nothing may be left waiting. */
    for (int step = 0; step < N; step++) {
        all_that_run_leave(w, n_entered);
    }
    for (int i = 0; i < n_entered; i++) {
        assert_int_equal(w->p[i].ticket.state, HWS_TICKET_IDLE);
        assert_true(w->p[i].n_granted + w->p[i].n_failed <= 1);
    }
    assert_int_equal(w->s.n_waiting[0] + w->s.n_waiting[1], 0);
    assert_true(hws_list_empty(&w->s.waiting));
}

static void never_two_writers_and_nobody_is_forgotten(void **state)
{
    static struct world w;
    uint64_t seed = hws_test_seed();

    (void)state;
    for (int round = 0; round < 100; round++) {
        play(&w, seed + (uint64_t)round);
    }
}

#define FLOOD 24

/* Each running ticket of the flood returns and comes back at once with the same. */
static void flood_again(struct hws_sched *s, struct probe *flood)
{
    for (int i = 0; i < FLOOD; i++) {
        if (runs(&flood[i])) {
            enum hws_sched_kind kind = flood[i].ticket.kind;
            hws_sched_leave(s, &flood[i].ticket);
            enter(s, &flood[i], kind, "flood");
        }
    }
    (void)hws_sched_turn(s, 0);
}

static void flood_starves_neither_reader_nor_writer(void **state)
{
    struct hws_sched s;
    struct probe flood[FLOOD];
    struct probe quiet;

    (void)state;
    for (int kind = HWS_SCHED_READ; kind <= HWS_SCHED_WRITE; kind++) {
        hws_sched_init(&s, &(struct hws_sched_options){.max_reads = 4});
        for (int i = 0; i < FLOOD; i++) {
            enter(&s, &flood[i], i % 2 == 0 ? HWS_SCHED_READ : HWS_SCHED_WRITE, "flood");
        }
        (void)hws_sched_turn(&s, 0);
        enter(&s, &quiet, (enum hws_sched_kind)kind, "quiet");
        for (int rounds = 0; quiet.n_granted == 0; rounds++) {
            assert_true(rounds < 4);
            flood_again(&s, flood);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_shared_up_to_the_limit),
        cmocka_unit_test(writer_is_alone_and_stops_new_reads),
        cmocka_unit_test(turns_go_round_by_principal),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(waiting_ends_at_its_deadline),
        cmocka_unit_test(breaker_opens_at_one_hung_command_and_closes_by_itself),
        cmocka_unit_test(stalled_slots_keep_the_breaker_open),
        cmocka_unit_test(dropped_ticket_hears_nothing_and_its_principal_keeps_its_place),
        cmocka_unit_test(flush_ends_all_that_wait),
        cmocka_unit_test(never_two_writers_and_nobody_is_forgotten),
        cmocka_unit_test(flood_starves_neither_reader_nor_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
