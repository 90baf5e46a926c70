/*
 * A disk that fails under the store: full, full in the middle of a write, unable to sync, turned
 * read-only; from a random operation on, for a while. A model of the agent begins, carries out and
 * ends changes, reads the log and notes reads all the while. Under test: no effect without an
 * intent on the disk (also after a power cut), reads go on, changes work as soon as the disk does,
 * and records of reads that were lost are counted, in the statistics and in the log.
 * HAWSER_DISKS sets the number of cases (1,200).
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/sign.h"
#include "mem_vfs.h"
#include "store_fixture.h"
#include "test.h"

#define DEFAULT_CASES   1200u
#define CASES_PER_STORE 6u /* then it begins anew */
#define CHANGES         6u /* tried in a case while the disk fails, and one more when it does not */
#define MAX_OPS         40u /* before the disk fails */

static struct hws_signer s_key;
static uint64_t s_rand;

/* One case. Changes have the numbers 0 to CHANGES. */
struct life {
    struct fixture f;
    unsigned no;
    enum mem_vfs_fault fault;
    bool has_effect[CHANGES + 1];
    bool is_acked[CHANGES + 1];
    bool has_intent[CHANGES + 1]; /* by the log */
    bool has_outcome[CHANGES + 1];
    uint64_t n_taken;   /* notes */
    uint64_t n_stored;  /* by the log */
    uint64_t n_told;    /* lost by the log's own word */
    uint64_t n_lost;    /* lost by the statistics */
    uint64_t first_seq; /* of the log: what is above is of this case */
    bool failed;        /* the store was, so that what it held is in doubt */
    bool restarted; /* the agent was while the disk failed, so that what it had counted is gone */
};

static struct {
    unsigned n_refused, n_effects, n_reads, n_failed, n_safe, n_cuts;
    unsigned n_hit[MEM_VFS_N_FAULTS]; /* cases in which the fault was noticed */
    uint64_t n_lost;
} s_sum;

static uint64_t draw(uint64_t n)
{
    return hws_test_rand(&s_rand) % n;
}

static bool by_chance(void *data)
{
    (void)data;
    return draw(2) == 0;
}

static void id_of(const struct life *l, unsigned i, char *dst, size_t cap)
{
    (void)hws_str_print(dst, cap, "case-%u-%u", l->no, i);
}

static void open_options(struct life *l)
{
    l->f.options = (struct hws_store_options){.path = "/hawser.db",
                                              .vfs = MEM_VFS,
                                              .min_free_bytes = 1,
                                              .signer = &s_key,
                                              .host = "host-a",
                                              .sign_records = 4};
}

/* Closes when all notes have ended, and keeps the statistics. */
static void close_store(struct life *l)
{
    struct hws_store_stats stats;
    struct pollfd p = {.fd = hws_store_fd(l->f.store), .events = POLLIN};

    for (hws_store_stats(l->f.store, &stats); stats.n_on_loan > 0;
         hws_store_stats(l->f.store, &stats)) {
        assert_int_equal(poll(&p, 1, 60000), 1);
        hws_store_turn(l->f.store);
    }
    l->n_lost += stats.n_lost;
    l->failed = l->failed || hws_store_failed(l->f.store, NULL);
    fixture_close(&l->f);
}

/* What a call that reads does: the log is read, then the read noted. Only a store that has failed
 * may refuse, and the agent ends then. */
static bool read_something(struct life *l)
{
    struct hws_store_query q;
    char detail[32];
    struct hws_record r = {.unix_ms = 1500,
                           .phase = HWS_RECORD_READ,
                           .effect = 1,
                           .principal = "spiffe://d/viewer",
                           .method = "/r",
                           .detail = detail};

    (void)hws_str_print(detail, sizeof(detail), "case-%u", l->no);
    hws_store_query_init(&q);
    q.last_n = 1;
    enum hws_code read = hws_store_run(l->f.store, &q.job, NULL);
    hws_store_job_deinit(&q.job);
    enum hws_code noted = read == HWS_OK ? hws_store_note(l->f.store, &r, NULL) : read;
    l->n_taken += noted == HWS_OK ? 1 : 0;
    if (noted != HWS_OK) {
        assert_true(hws_store_failed(l->f.store, NULL));
        return false;
    }
    s_sum.n_reads++;
    return true;
}

static bool change_something(struct life *l, unsigned i)
{
    struct hws_store_begin b;
    char id[32];

    id_of(l, i, id, sizeof(id));
    enum hws_code rc = fixture_begin(&l->f, &b, 5, id, id);
    hws_store_job_deinit(&b.job);
    if (rc != HWS_OK) {
        assert_true(rc == HWS_E_BUSY || rc == HWS_E_CONFLICT || rc == HWS_E_IO || rc == HWS_E_GONE);
        s_sum.n_refused++;
        return false;
    }
    assert_false(b.replay);
    l->has_effect[i] = true; /* only now is the card touched */
    s_sum.n_effects++;
    (void)read_something(l);
    l->is_acked[i] = fixture_end(&l->f, b.operation_id, HWS_INTENT_NEW, id) == HWS_OK;
    return l->is_acked[i];
}

/* The agent starts while the disk fails: it opens its log, or it serves reads without one. */
static void restart(struct life *l)
{
    struct hws_err err;

    l->restarted = true;
    close_store(l);
    enum hws_code rc = hws_store_open(&l->f.options, &l->f.store, &err);
    if (rc != HWS_OK) {
        assert_true(l->fault == MEM_VFS_EIO_SYNC || l->fault == MEM_VFS_EROFS);
        assert_code(rc, HWS_E_IO);
        l->f.store = NULL;
        s_sum.n_safe++;
        return;
    }
    (void)read_something(l);
}

/* While the disk fails. */
static void suffer(struct life *l)
{
    unsigned restart_at = (unsigned)draw(UINT64_C(2) * CHANGES);
    bool noticed = false;

    for (unsigned i = 0; i < CHANGES && l->f.store != NULL; i++) {
        if (i == restart_at) {
            restart(l);
        } else if (!change_something(l, i)) {
            noticed = true;
        }
        if (l->f.store != NULL && !read_something(l)) {
            noticed = true;
            restart(l);
        }
    }
    s_sum.n_hit[l->fault] += noticed || l->restarted ? 1 : 0;
}

/* The disk works again: at once if the store is open, else with the next start, which may come
 * after a power cut. */
static void recover(struct life *l)
{
    struct hws_err err;
    bool cut = draw(3) == 0;

    if (l->f.store != NULL && (cut || hws_store_failed(l->f.store, NULL))) {
        l->restarted = true;
        close_store(l);
    }
    if (cut) {
        s_sum.n_cuts++;
        mem_vfs_power_cut(by_chance, NULL);
    }
    mem_vfs_fail_from(0, MEM_VFS_SOUND, 0);
    if (l->f.store == NULL) {
        assert_ok(hws_store_open(&l->f.options, &l->f.store, &err), &err);
    }
    assert_true(change_something(l, CHANGES));
    assert_true(read_something(l));
    close_store(l);
}

static void judge(struct life *l, const struct hws_record *r)
{
    char id[32];

    if (r->phase == HWS_RECORD_READ) {
        id_of(l, 0, id, sizeof(id));
        id[strlen(id) - 2] = '\0';
        l->n_stored += strcmp(r->detail, id) == 0 ? 1 : 0;
    } else if (r->phase == HWS_RECORD_NOTE) {
        assert_string_equal(r->code, "DATA_LOSS");
        l->n_told += r->n_others;
    }
    for (unsigned i = 0; i <= CHANGES; i++) {
        id_of(l, i, id, sizeof(id));
        if (strcmp(r->request_id, id) == 0) {
            l->has_intent[i] = l->has_intent[i] || r->phase == HWS_RECORD_INTENT;
            l->has_outcome[i] = l->has_outcome[i] || r->phase == HWS_RECORD_OUTCOME;
        }
    }
}

static void read_log(struct life *l)
{
    uint64_t after = l->first_seq;
    size_t n;

    do {
        struct hws_store_query q;
        hws_store_query_init(&q);
        q.after_seq = after;
        assert_code(hws_store_run(l->f.store, &q.job, NULL), HWS_OK);
        n = q.n_records;
        for (size_t k = 0; k < n; k++) {
            judge(l, &q.records[k]);
            after = q.records[k].seq;
        }
        hws_store_job_deinit(&q.job);
    } while (n > 0);
}

/* What the disk holds in the end. */
static void inspect(struct life *l)
{
    l->f.options.full_check = true;
    fixture_open(&l->f);
    read_log(l);
    for (unsigned i = 0; i <= CHANGES; i++) {
        assert_true(l->has_intent[i] || !l->has_effect[i]);
        assert_true(l->has_outcome[i] || !l->is_acked[i]);
    }
    assert_true(l->n_stored + l->n_lost >= l->n_taken);
    assert_true(l->n_told <= l->n_lost);
    assert_true(!l->failed || l->fault == MEM_VFS_EIO_SYNC || l->fault == MEM_VFS_EROFS);
    if (!l->restarted) {
        assert_false(l->failed);
        assert_int_equal(l->n_stored + l->n_lost, l->n_taken);
        assert_int_equal(l->n_told, l->n_lost);
    }
    s_sum.n_failed += l->failed ? 1 : 0;
    s_sum.n_lost += l->n_lost;
    fixture_close(&l->f);
}

static void run_case(unsigned no)
{
    struct life l = {.no = no, .fault = (enum mem_vfs_fault)(1 + draw(MEM_VFS_N_FAULTS - 1))};

    if (no % CASES_PER_STORE == 0) {
        mem_vfs_reset();
    }
    open_options(&l);
    fixture_open(&l.f);
    l.first_seq = hws_store_audit_head(l.f.store);
    mem_vfs_fail_from(1 + draw(MAX_OPS), l.fault, draw(1u << 20));
    suffer(&l);
    recover(&l);
    inspect(&l);
}

static void no_effect_lacks_its_intent_reads_go_on_and_lost_records_are_told(void **state)
{
    const char *wanted = getenv("HAWSER_DISKS");
    unsigned n = wanted == NULL ? DEFAULT_CASES : (unsigned)strtoul(wanted, NULL, 10);

    (void)state;
    s_rand = hws_test_seed();
    for (unsigned no = 0; no < n; no++) {
        run_case(no);
    }
    printf(
        "%u cases: noticed %u full, %u short write, %u fsync, %u read-only; %u effects, 0 without "
        "an intent; %u changes refused, %u reads; %u stores failed, %u starts without one, %u "
        "power cuts; %llu records lost and counted\n",
        n, s_sum.n_hit[MEM_VFS_ENOSPC], s_sum.n_hit[MEM_VFS_SHORT], s_sum.n_hit[MEM_VFS_EIO_SYNC],
        s_sum.n_hit[MEM_VFS_EROFS], s_sum.n_effects, s_sum.n_refused, s_sum.n_reads, s_sum.n_failed,
        s_sum.n_safe, s_sum.n_cuts, (unsigned long long)s_sum.n_lost);
    for (int fault = 1; fault < MEM_VFS_N_FAULTS; fault++) {
        assert_true(s_sum.n_hit[fault] > n / 16);
    }
    assert_true(s_sum.n_effects > n / 2 && s_sum.n_refused > n / 2 && s_sum.n_lost > n / 4);
    assert_true(s_sum.n_failed > 0 && s_sum.n_safe > 0);
}

static int setup(void **state)
{
    (void)state;
    return hws_signer_new(&s_key, NULL) == HWS_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    hws_signer_deinit(&s_key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        no_effect_lacks_its_intent_reads_go_on_and_lost_records_are_told, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
