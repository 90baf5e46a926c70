/* Grants, warrants and uses over a real store in a temporary folder. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "hawser/v1/approval.pb-c.h"
#include "hawserd/danger.h"
#include "hawserd/handler.h"
#include "keeper.h"

#define OLGA    "spiffe://d/operator/olga"
#define OTTO    "spiffe://d/operator/otto"
#define NIC     "0000:3b:00.0"
#define N_MANY  (HWS_SPENT_MAX + 4u)
#define LATE_S  1800000000u /* of the latest use */
#define LIFE_S  600u
#define AN_HOUR 3600u

static int start(void **state)
{
    (void)state;
    keeper_open((struct hws_store_options){0});
    agent->danger.agent = agent;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hws_danger_deinit(&agent->danger);
    keeper_close();
    return 0;
}

static void put(const char *ns, const char *key, const void *bytes, size_t n)
{
    struct hws_store_kv job;
    struct hws_err err;

    hws_store_kv_init(&job, HWS_STORE_KV_PUT, ns, key);
    job.value = (struct hws_span){bytes, n};
    assert_ok(hws_store_run(agent->store, &job.job, &err), &err);
    hws_store_job_deinit(&job.job);
}

/* How many rows there are; the last one's key. */
static size_t rows(const char *ns, char last[HWS_DANGER_KEY_BYTES])
{
    struct hws_store_kv job;
    struct hws_err err;

    last[0] = '\0';
    hws_store_kv_init(&job, HWS_STORE_KV_LIST, ns, "");
    assert_ok(hws_store_run(agent->store, &job.job, &err), &err);
    size_t n = job.n_pairs;
    if (n > 0) {
        assert_true(hws_str_copy(last, HWS_DANGER_KEY_BYTES, job.pairs[n - 1].key));
    }
    hws_store_job_deinit(&job.job);
    return n;
}

/* What a restart does. */
static void load(void)
{
    hws_danger_deinit(&agent->danger);
    memset(&agent->danger, 0, sizeof(agent->danger));
    agent->danger.agent = agent;
    hws_danger_load(&agent->danger);
}

static struct hws_danger_grant *add(uint64_t from_s)
{
    struct hws_grant g = {.principal = OLGA,
                          .device = "*",
                          .effect = HWS_EFFECT_DEBUG_WRITE,
                          .from_s = from_s,
                          .until_s = from_s + AN_HOUR,
                          .granted_by = OTTO,
                          .reason = "test"};
    struct hws_danger_grant *out = NULL;
    struct hws_err err;

    assert_ok(hws_danger_add_grant(&agent->danger, &g, &out, &err), &err);
    return out;
}

static void store_grant(const struct hws_danger_grant *g, bool revoked)
{
    struct hws_span value =
        revoked ? hws_danger_revoked() : (struct hws_span){(const uint8_t *)g->bytes, g->n_bytes};
    char key[HWS_DANGER_KEY_BYTES];

    hws_str_print(key, sizeof(key), "%020llu", (unsigned long long)g->id);
    put(HWS_DANGER_NS_GRANT, key, value.bytes, value.n);
}

static enum hws_code find(struct hws_err *err)
{
    struct hws_grant_ask ask = {.principal = OLGA,
                                .device_id = NIC,
                                .device_pci = NIC,
                                .device_serial = "",
                                .effect = HWS_EFFECT_DEBUG_WRITE,
                                .target = "MTRC_CTRL",
                                .target_method = "write"};
    const struct hws_danger_grant *found = NULL;

    return hws_danger_find_grant(&agent->danger, &ask, &found, err);
}

static void a_revoked_grant_covers_nothing_and_stays_known_until_it_is_dropped(void **state)
{
    struct hws_danger *d = &agent->danger;
    struct hws_err err;

    (void)state;
    uint64_t id = add(hws_danger_now(d))->id;
    assert_ok(find(&err), &err);
    assert_true(hws_danger_revoke_grant(d, id));
    assert_code(find(&err), HWS_E_DENIED);
    assert_non_null(strstr(err.msg, "no grant"));
    assert_true(hws_danger_revoke_grant(d, id)); /* the store had failed: once more */
    assert_true(hws_danger_grant_by_id(d, id)->revoked);
    assert_true(hws_danger_drop_grant(d, id));
    assert_null(hws_danger_grant_by_id(d, id));
    assert_false(hws_danger_revoke_grant(d, id));
}

static void no_grant_id_is_given_twice_and_dead_grants_leave_the_store(void **state)
{
    struct hws_danger *d = &agent->danger;
    char last[HWS_DANGER_KEY_BYTES];
    struct hws_err err;

    (void)state;
    uint64_t now_s = hws_danger_now(d);
    store_grant(add(now_s - AN_HOUR - 60), false); /* 1: expired */
    store_grant(add(now_s), true);                 /* 2: revoked */
    store_grant(add(now_s), false);                /* 3: covers */
    store_grant(add(now_s), true);                 /* 4: revoked, the greatest */
    for (int i = 0; i < 2; i++) {
        load();
        assert_string_equal(d->broken, "");
        assert_int_equal(d->n_grants, 1);
        assert_int_equal(d->grants[0]->id, 3);
        assert_int_equal(rows(HWS_DANGER_NS_GRANT, last), 2);
        assert_string_equal(last, "00000000000000000004");
    }
    assert_ok(find(&err), &err);
    assert_int_equal(add(now_s)->id, 5);
}

static void put_use(unsigned number, uint64_t at_s, uint64_t until_s)
{
    struct hws_spent_use use = {.until_s = until_s, .at_s = at_s};
    char line[HWS_SPENT_LINE_BYTES];
    char key[HWS_DIGEST_HEX_BYTES];

    use.hash.b[0] = (uint8_t)(number >> 8);
    use.hash.b[1] = (uint8_t)number;
    hws_digest_hex(&use.hash, key);
    put(HWS_DANGER_NS_USE, key, line, hws_spent_line(&use, line));
}

static void expired_uses_leave_the_store_but_the_latest_keeps_the_time(void **state)
{
    struct hws_danger *d = &agent->danger;
    char last[HWS_DANGER_KEY_BYTES];

    (void)state;
    for (unsigned i = 0; i < N_MANY; i++) {
        put_use(i, LATE_S - AN_HOUR, LATE_S - AN_HOUR + LIFE_S);
    }
    put_use(N_MANY, LATE_S, LATE_S + LIFE_S); /* by its time the others have expired */
    for (int i = 0; i < 2; i++) {
        load();
        assert_string_equal(d->broken, "");
        assert_int_equal(d->spent.n, 1);
        assert_int_equal(d->spent.uses[0].at_s, LATE_S);
        assert_int_equal(d->spent.high_s, LATE_S);
        assert_int_equal(rows(HWS_DANGER_NS_USE, last), 1);
    }
}

static void more_live_uses_than_fit_turn_dangerous_commands_off(void **state)
{
    struct hws_danger *d = &agent->danger;
    struct hws_err err;

    (void)state;
    for (unsigned i = 0; i < N_MANY; i++) {
        put_use(i, LATE_S, LATE_S + LIFE_S);
    }
    load();
    assert_non_null(strstr(d->broken, "used warrants have not expired"));
    assert_code(hws_danger_is_on(d, &err), HWS_E_DENIED);
}

/* ---- Grant and Revoke on their way to the store ---------------------------------------------- */

static struct hws_caller caller = {
    .n_refs = 1000, .principal = OTTO, .serial = "01", .peer = "127.0.0.1:1"};
static struct hws_err ends[2]; /* by the operation's tag */

static void ended(struct hws_task *task)
{
    ends[task->tag] = task->err;
    n_ended++;
    task->request = NULL; /* the test's own */
}

/* Runs it as after its intent; its end is ends[tag]. */
static void begin(uint64_t tag, enum hws_method_id method, void *request)
{
    struct hws_task *task = hws_mem_zalloc(1, sizeof(*task));
    struct hws_err err;

    assert_non_null(task);
    hws_list_init(&task->link);
    task->agent = agent;
    task->caller = &caller;
    task->row = hws_method_at(method);
    task->handler = hws_handler_at(method);
    task->request = request;
    task->want.target = "";
    task->want.detail = "";
    task->ended = ended;
    task->tag = tag;
    hws_buf_init(&task->answer, 4096);
    hws_buf_init(&task->details, 4096);
    agent->n_ops++;
    assert_ok(task->handler->prepare(task, &err), &err);
    task->state = HWS_TASK_RUNNING;
    task->handler->run(task);
}

static void wait_for(int n)
{
    while (n_ended < n) {
        keeper_turn();
    }
}

static void a_grant_revoked_while_it_is_stored_is_refused_and_none(void **state)
{
    Hawser__V1__Mutation m = HAWSER__V1__MUTATION__INIT;
    Hawser__V1__GrantRequest grant = HAWSER__V1__GRANT_REQUEST__INIT;
    Hawser__V1__RevokeRequest revoke = HAWSER__V1__REVOKE_REQUEST__INIT;
    char last[HWS_DANGER_KEY_BYTES];
    struct hws_err err;

    (void)state;
    agent->danger.trust.n_keys = 1;
    m.reason = "ticket 4711";
    grant.principal = OLGA;
    grant.device = "*";
    grant.effect = HAWSER__V1__EFFECT__EFFECT_DEBUG_WRITE;
    grant.seconds = 60;
    grant.mutation = &m;
    revoke.id = 1;
    revoke.mutation = &m;
    n_ended = 0;
    begin(0, HWS_METHOD_APPROVAL_GRANT, &grant);
    assert_ok(find(&err), &err);
    begin(1, HWS_METHOD_APPROVAL_REVOKE, &revoke);
    assert_code(find(&err), HWS_E_DENIED); /* at once */
    wait_for(2);
    assert_code(ends[0].code, HWS_E_CONFLICT);
    assert_non_null(strstr(ends[0].msg, "revoked meanwhile"));
    assert_int_equal(ends[1].code, HWS_OK);
    assert_null(hws_danger_grant_by_id(&agent->danger, 1));
    load();
    assert_int_equal(agent->danger.n_grants, 0);
    assert_int_equal(agent->danger.last_grant_id, 1);
    assert_int_equal(rows(HWS_DANGER_NS_GRANT, last), 1);
}

static void a_revocation_that_was_not_stored_can_be_asked_for_again(void **state)
{
    Hawser__V1__Mutation m = HAWSER__V1__MUTATION__INIT;
    Hawser__V1__RevokeRequest revoke = HAWSER__V1__REVOKE_REQUEST__INIT;
    struct hws_store *store = agent->store;

    (void)state;
    store_grant(add(hws_danger_now(&agent->danger)), false);
    revoke.id = 1;
    revoke.mutation = &m;
    n_ended = 0;
    agent->store = NULL;
    begin(0, HWS_METHOD_APPROVAL_REVOKE, &revoke);
    agent->store = store;
    assert_int_equal(n_ended, 1);
    assert_code(ends[0].code, HWS_E_STATE);
    begin(1, HWS_METHOD_APPROVAL_REVOKE, &revoke);
    wait_for(2);
    assert_int_equal(ends[1].code, HWS_OK);
    load();
    assert_int_equal(agent->danger.n_grants, 0);
}

/* Takes every place at the store; how many there were. */
static unsigned fill_store(void)
{
    struct hws_err err;
    unsigned n = 0;

    while (hws_store_reserve(agent->store, &err) == HWS_OK) {
        n++;
    }
    assert_code(err.code, HWS_E_BUSY);
    return n;
}

static void empty_store(unsigned n)
{
    while (n-- > 0) {
        hws_store_unreserve(agent->store);
    }
}

static void what_the_store_has_no_place_for_is_refused_and_not_done(void **state)
{
    Hawser__V1__Mutation m = HAWSER__V1__MUTATION__INIT;
    Hawser__V1__GrantRequest grant = HAWSER__V1__GRANT_REQUEST__INIT;
    Hawser__V1__RevokeRequest revoke = HAWSER__V1__REVOKE_REQUEST__INIT;
    char last[HWS_DANGER_KEY_BYTES];
    struct hws_store_kv job;
    struct hws_err err;

    (void)state;
    agent->danger.trust.n_keys = 1;
    m.reason = "ticket 4711";
    grant.principal = OLGA;
    grant.device = "*";
    grant.effect = HAWSER__V1__EFFECT__EFFECT_DEBUG_WRITE;
    grant.seconds = 60;
    grant.mutation = &m;
    n_ended = 0;
    unsigned n = fill_store();
    memset(&job, 0, sizeof(job));
    assert_code(hws_danger_store(&agent->danger, &job, HWS_DANGER_NS_USE, "key",
                                 (struct hws_span){(const uint8_t *)"x", 1}, &err),
                HWS_E_BUSY);
    assert_non_null(strstr(err.msg, "max_jobs"));
    begin(0, HWS_METHOD_APPROVAL_GRANT, &grant);
    assert_int_equal(n_ended, 1); /* at once, and once */
    assert_code(ends[0].code, HWS_E_BUSY);
    assert_code(find(&err), HWS_E_DENIED);
    assert_int_equal(agent->danger.n_grants, 0);
    empty_store(n);
    assert_int_equal(rows(HWS_DANGER_NS_GRANT, last), 0);
    assert_int_equal(rows(HWS_DANGER_NS_USE, last), 0);

    begin(0, HWS_METHOD_APPROVAL_GRANT, &grant);
    wait_for(2);
    assert_int_equal(ends[0].code, HWS_OK);
    assert_ok(find(&err), &err);
    revoke.id = agent->danger.grants[0]->id;
    revoke.mutation = &m;
    n = fill_store();
    begin(1, HWS_METHOD_APPROVAL_REVOKE, &revoke);
    assert_int_equal(n_ended, 3);
    assert_code(ends[1].code, HWS_E_BUSY);
    assert_code(find(&err), HWS_E_DENIED); /* who asks for less gets it, stored or not */
    empty_store(n);
    begin(1, HWS_METHOD_APPROVAL_REVOKE, &revoke);
    wait_for(4);
    assert_int_equal(ends[1].code, HWS_OK);
    load();
    assert_int_equal(agent->danger.n_grants, 0);
}

/* ---- warrants on their way to the store ---- */

static void store_put(const struct hws_danger_put *p)
{
    put(HWS_DANGER_NS_APPROVAL, p->hash, hws_buf_peek(&p->value), hws_buf_len(&p->value));
}

/* One step of a warrant's life: what the store said, and whether it is kept and approved then. */
static void propose(struct hws_warrant *w, bool approved, bool stored, bool expect_kept,
                    bool expect_approved)
{
    static const uint8_t inbox[16] = {8, 5};
    struct hws_danger_put p = {.hash = ""};
    struct hws_err err;

    w->has_approver = approved;
    (void)hws_str_copy(w->approver_id, sizeof(w->approver_id), approved ? OTTO : "");
    struct hws_danger_approval *before = NULL;
    assert_ok(hws_danger_propose(&agent->danger, w, inbox, &p, &err), &err);
    before = hws_danger_find(&agent->danger, p.hash);
    assert_true(!approved || before == NULL || !before->w.has_approver); /* not before the store */
    if (stored) {
        store_put(&p);
        assert_ok(hws_danger_settle(&agent->danger, w, &p, &err), &err);
    } else {
        hws_danger_withdraw(&agent->danger, &p);
    }
    for (int restart = 0; restart < 2; restart++) { /* memory says what the store does */
        const struct hws_danger_approval *a = hws_danger_find(&agent->danger, p.hash);
        assert_int_equal(a != NULL, expect_kept);
        assert_int_equal(a != NULL && a->w.has_approver, expect_approved);
        assert_true(a == NULL || (a->n_inbox == sizeof(inbox) && a->inbox[0] == 8));
        load();
    }
    hws_buf_deinit(&p.value);
}

static void a_warrant_is_kept_and_approved_when_the_store_has_it_and_not_before(void **state)
{
    struct hws_warrant w = {.host = "host-a",
                            .device = NIC,
                            .serial = "MT1",
                            .in_bytes = 16,
                            .request_id = "r1",
                            .operator_id = OLGA,
                            .reason = "test",
                            .has_operator = true};

    (void)state;
    w.from_s = hws_danger_now(&agent->danger);
    w.until_s = w.from_s + LIFE_S;
    propose(&w, false, false, false, false);
    propose(&w, false, true, true, false);
    propose(&w, true, false, true, false);
    propose(&w, true, true, true, true);
    propose(&w, false, false, true, true); /* asked for again: the signature that is stored stays */
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_revoked_grant_covers_nothing_and_stays_known_until_it_is_dropped),
        T(no_grant_id_is_given_twice_and_dead_grants_leave_the_store),
        T(expired_uses_leave_the_store_but_the_latest_keeps_the_time),
        T(a_grant_revoked_while_it_is_stored_is_refused_and_none),
        T(a_revocation_that_was_not_stored_can_be_asked_for_again),
        T(what_the_store_has_no_place_for_is_refused_and_not_done),
        T(a_warrant_is_kept_and_approved_when_the_store_has_it_and_not_before),
        T(more_live_uses_than_fit_turn_dangerous_commands_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
