/*
 * Children that begin, carry out and end changes die at a failpoint of the file layer, as by
 * SIGKILL or as by a power cut that drops and tears what was not synced. After each death: the
 * store opens, its whole chain and its signatures are sound, every effect has its intent record,
 * and what was acknowledged is there. HAWSER_KILLS sets how many (500; `./test scope --long`:
 * 10,000).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypt/sign.h"
#include "mem_vfs.h"
#include "store_fixture.h"
#include "test.h"

#define DEFAULT_KILLS   500u
#define CHANGES         6u  /* of one life */
#define LIVES_PER_STORE 25u /* then it begins anew */
#define MAX_OPS         120u

/* What the child did, beyond its death. */
struct card {
    uint32_t n_effects; /* changes whose effect took place: ids 1..n of this life */
    uint32_t n_acked;   /* changes whose end was acknowledged */
};

static struct hws_signer s_key;
static struct card *s_card;
static uint64_t s_rand;

static void id_of(char *dst, size_t cap, unsigned life, unsigned i)
{
    (void)hws_str_print(dst, cap, "life-%u-%u", life, i);
}

static struct hws_store_options options(void)
{
    return (struct hws_store_options){.path = "/hawser.db",
                                      .vfs = MEM_VFS,
                                      .min_free_bytes = 1,
                                      .signer = &s_key,
                                      .host = "host-a",
                                      .sign_records = 4,
                                      .max_audit_rows = 200,
                                      .full_check = true};
}

/* One life: opens, changes things, closes; dies somewhere between. */
static void live(unsigned life)
{
    struct fixture f = {.options = options()};
    struct hws_err err;

    if (hws_store_open(&f.options, &f.store, &err) != HWS_OK) {
        (void)fprintf(stderr, "open: %s\n", err.msg);
        _exit(1);
    }
    for (unsigned i = 1; i <= CHANGES; i++) {
        char id[32];
        struct hws_store_begin b;
        id_of(id, sizeof(id), life, i);
        if (fixture_begin(&f, &b, 5, id, id) != HWS_OK) {
            _exit(2);
        }
        s_card->n_effects = i; /* only now is the card touched */
        if (fixture_append(&f, "a read") != HWS_OK ||
            fixture_end(&f, b.operation_id, HWS_INTENT_NEW, id) != HWS_OK) {
            _exit(3);
        }
        s_card->n_acked = i;
    }
    hws_store_close_wait(f.store);
    _exit(0);
}

static bool by_chance(void *data)
{
    (void)data;
    return hws_test_rand(&s_rand) % 2 == 0;
}

/* The intents and outcomes of this life on record. */
static void look_up(struct fixture *f, unsigned life, unsigned i, bool *has_intent,
                    bool *has_outcome)
{
    char id[32];
    uint64_t after = 0;
    size_t n;

    id_of(id, sizeof(id), life, i);
    do {
        struct hws_store_query q;
        hws_store_query_init(&q);
        q.after_seq = after;
        assert_code(hws_store_run(f->store, &q.job, NULL), HWS_OK);
        n = q.n_records;
        for (size_t k = 0; k < n; k++) {
            bool mine = strcmp(q.records[k].request_id, id) == 0;
            *has_intent = *has_intent || (mine && q.records[k].phase == HWS_RECORD_INTENT);
            *has_outcome = *has_outcome || (mine && q.records[k].phase == HWS_RECORD_OUTCOME);
            after = q.records[k].seq;
        }
        hws_store_job_deinit(&q.job);
    } while (n > 0);
}

static void resolve_unfinished(struct fixture *f)
{
    struct hws_store_intents list;

    hws_store_intents_init(&list);
    assert_code(hws_store_run(f->store, &list.job, NULL), HWS_OK);
    for (size_t i = 0; i < list.n_intents; i++) {
        assert_code(fixture_end(f, list.intents[i].operation_id, HWS_INTENT_OLD, "x"), HWS_OK);
    }
    hws_store_job_deinit(&list.job);
}

/* The survivor's look at what the dead left. */
static void inspect(unsigned life)
{
    struct fixture f = {.options = options()};
    struct hws_err err;

    assert_ok(hws_store_open(&f.options, &f.store, &err), &err);
    (void)fixture_verify(&f);
    for (unsigned i = 1; i <= s_card->n_effects; i++) {
        bool has_intent = false;
        bool has_outcome = false;
        look_up(&f, life, i, &has_intent, &has_outcome);
        assert_true(has_intent);
        assert_true(has_outcome || i > s_card->n_acked);
    }
    resolve_unfinished(&f);
    hws_store_close_wait(f.store);
}

static void no_effect_lacks_its_intent_and_the_chain_is_sound_after_each_death(void **state)
{
    const char *wanted = getenv("HAWSER_KILLS");
    unsigned n_kills = wanted == NULL ? DEFAULT_KILLS : (unsigned)strtoul(wanted, NULL, 10);
    unsigned n_died = 0;
    unsigned n_effects = 0;
    unsigned n_open = 0;

    (void)state;
    s_rand = hws_test_seed();
    for (unsigned life = 0; n_died < n_kills; life++) {
        if (life % LIVES_PER_STORE == 0) {
            mem_vfs_reset();
        }
        memset(s_card, 0, sizeof(*s_card));
        uint64_t nth = 1 + hws_test_rand(&s_rand) % MAX_OPS;
        uint64_t torn = hws_test_rand(&s_rand);
        bool power = hws_test_rand(&s_rand) % 2 == 0;
        pid_t child = fork();
        if (child == 0) {
            mem_vfs_die_at(nth, torn);
            live(life);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == MEM_VFS_DEAD);
        n_died += WEXITSTATUS(status) == MEM_VFS_DEAD ? 1 : 0;
        n_effects += s_card->n_effects;
        n_open += s_card->n_effects - s_card->n_acked;
        if (power) {
            mem_vfs_power_cut(by_chance, NULL);
        }
        inspect(life);
    }
    printf("%u kills, %u effects, %u of them cut off before their outcome, 0 without an intent\n",
           n_died, n_effects, n_open);
    assert_true(n_effects > n_kills / 2 && n_open > 0);
}

static int setup(void **state)
{
    (void)state;
    s_card = mmap(NULL, sizeof(*s_card), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return s_card == MAP_FAILED || hws_signer_new(&s_key, NULL) != HWS_OK ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    hws_signer_deinit(&s_key);
    return munmap(s_card, sizeof(*s_card));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        no_effect_lacks_its_intent_and_the_chain_is_sound_after_each_death, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
