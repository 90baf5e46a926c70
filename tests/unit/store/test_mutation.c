/* Fence, request id, intent and outcome: what is durable, what is refused, what a repeat gets. */
#include <stdio.h>
#include <string.h>

#include "store_fixture.h"
#include "test.h"

static void begin_and_end_leave_two_chained_records(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    struct hws_store_query q;
    struct hws_err err;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "vfs=16"), HWS_OK);
    assert_false(b.replay);
    assert_int_equal(b.operation_id, 1);
    assert_int_equal(b.intent_seq, 1);
    assert_code(fixture_end(f, b.operation_id, HWS_INTENT_NEW, "answer"), HWS_OK);

    hws_store_query_init(&q);
    assert_ok(hws_store_run(f->store, &q.job, &err), &err);
    assert_int_equal(q.n_records, 2);
    assert_int_equal(q.records[0].phase, HWS_RECORD_INTENT);
    assert_string_equal(q.records[0].detail, "vfs=16");
    assert_int_equal(q.records[1].phase, HWS_RECORD_OUTCOME);
    assert_int_equal(q.records[1].intent_seq, 1);
    assert_string_equal(q.records[1].principal, "spiffe://d/op");
    assert_string_equal(q.records[1].request_id, "req-00001");
    assert_string_equal(q.records[1].code, "OK");
    hws_store_job_deinit(&q.job);
    hws_store_job_deinit(&b.job);
    assert_int_equal(fixture_verify(f), 2);
}

static void repeat_of_a_finished_request_gets_its_answer(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_code(fixture_end(f, b.operation_id, HWS_INTENT_NEW, "the answer"), HWS_OK);
    for (int round = 0; round < 2; round++) {
        assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
        assert_true(b.replay);
        assert_int_equal(b.status, 9);
        assert_int_equal(b.state, HWS_INTENT_NEW);
        assert_int_equal(b.answer_bytes, 10);
        assert_memory_equal(b.answer, "the answer", 10);
        hws_store_job_deinit(&b.job);
        fixture_reopen(f);
    }
    assert_int_equal(fixture_verify(f), 2);
}

static void repeat_of_an_unfinished_request_is_in_doubt(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    fixture_reopen(f);

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_E_CONFLICT);
    assert_int_equal(b.operation_id, 1);
    assert_int_equal(b.state, HWS_INTENT_OPEN);
    assert_non_null(strstr(b.job.err.msg, "operation 1"));

    assert_code(fixture_end(f, 1, HWS_INTENT_STUCK, ""), HWS_OK);
    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_E_CONFLICT);
    assert_int_equal(b.state, HWS_INTENT_STUCK);
}

static void request_id_with_other_content_is_taken(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_code(fixture_begin(f, &b, 1, "req-00001", "y"), HWS_E_EXISTS);
    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, ""), HWS_OK);
    assert_code(fixture_begin(f, &b, 1, "req-00001", "y"), HWS_E_EXISTS);
}

static void smaller_fence_is_refused_naming_the_current_one(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 7, "req-00001", "x"), HWS_OK);
    assert_code(fixture_begin(f, &b, 6, "req-00002", "x"), HWS_E_DENIED);
    assert_string_equal(b.job.err.msg,
                        "fence of role operator: election id 0:6 is older than the current 0:7");
    fixture_reopen(f);
    assert_code(fixture_begin(f, &b, 6, "req-00003", "x"), HWS_E_DENIED);
    assert_code(fixture_begin(f, &b, 7, "req-00004", "x"), HWS_OK);
    assert_int_equal(fixture_verify(f), 4); /* refusals are on record, too */
}

static void fence_never_goes_back_and_roles_are_apart(void **state)
{
    struct fixture *f = *state;
    uint64_t rand = hws_test_seed();
    struct {
        uint64_t high;
        uint64_t low;
    } max[3] = {{0, 0}, {0, 0}, {0, 0}};
    static const char *const roles[3] = {"operator", "controller", "repair"};

    for (int i = 0; i < 300; i++) {
        struct hws_store_begin b;
        char id[32];
        size_t role = (size_t)(hws_test_rand(&rand) % 3);
        (void)hws_str_print(id, sizeof(id), "req-%05d", i);
        hws_store_begin_init(&b);
        b.fence = (struct hws_fence){
            .role = roles[role], .high = hws_test_rand(&rand) % 3, .low = hws_test_rand(&rand) % 5};
        b.record = (struct hws_record){.principal = "p", .method = "/m", .request_id = id};
        bool zero = b.fence.high == 0 && b.fence.low == 0;
        bool less = b.fence.high < max[role].high ||
                    (b.fence.high == max[role].high && b.fence.low < max[role].low);

        enum hws_code rc = hws_store_run(f->store, &b.job, NULL);

        assert_code(rc, zero ? HWS_E_INVALID : less ? HWS_E_DENIED : HWS_OK);
        if (rc == HWS_OK) {
            max[role].high = b.fence.high;
            max[role].low = b.fence.low;
        }
        hws_store_job_deinit(&b.job);
        if (i % 100 == 99) {
            fixture_reopen(f);
        }
    }
}

static void ending_twice_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_code(fixture_end(f, 1, HWS_INTENT_OLD, "first"), HWS_OK);
    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, "second"), HWS_E_STATE);
    assert_code(fixture_end(f, 99, HWS_INTENT_NEW, "?"), HWS_E_NOT_FOUND);

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_int_equal(b.state, HWS_INTENT_OLD);
    assert_memory_equal(b.answer, "first", 5);
    hws_store_job_deinit(&b.job);
}

static void void_end_frees_the_request_id(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_code(fixture_end(f, 1, HWS_INTENT_VOID, ""), HWS_OK);

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_false(b.replay);
    assert_int_equal(b.operation_id, 2); /* ids are never used again */
    assert_int_equal(fixture_verify(f), 3);
}

static void unfinished_intents_are_listed_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    struct hws_store_intents list;
    struct hws_err err;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "one"), HWS_OK);
    assert_code(fixture_begin(f, &b, 1, "req-00002", "two"), HWS_OK);
    assert_code(fixture_begin(f, &b, 1, "req-00003", "three"), HWS_OK);
    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, ""), HWS_OK);
    assert_code(fixture_end(f, 2, HWS_INTENT_STUCK, ""), HWS_OK);
    fixture_reopen(f);

    hws_store_intents_init(&list);
    assert_ok(hws_store_run(f->store, &list.job, &err), &err);

    assert_int_equal(list.n_intents, 2);
    assert_int_equal(list.intents[0].operation_id, 2);
    assert_int_equal(list.intents[0].state, HWS_INTENT_STUCK);
    assert_int_equal(list.intents[1].operation_id, 3);
    assert_int_equal(list.intents[1].state, HWS_INTENT_OPEN);
    assert_string_equal(list.intents[1].record.device, "mlx5:A@0000:81:00.0");
    assert_int_equal(list.intents[1].old_state.n, 6);
    assert_memory_equal(list.intents[1].old_state.bytes, "before", 6);
    assert_int_equal(list.intents[1].new_state.n, 5);
    assert_memory_equal(list.intents[1].new_state.bytes, "three", 5);
    hws_store_job_deinit(&list.job);

    hws_store_intents_init(&list);
    list.operation_id = 1;
    assert_ok(hws_store_run(f->store, &list.job, &err), &err);
    assert_int_equal(list.n_intents, 1);
    assert_int_equal(list.intents[0].state, HWS_INTENT_NEW);
    hws_store_job_deinit(&list.job);

    hws_store_intents_init(&list);
    list.operation_id = 77;
    assert_code(hws_store_run(f->store, &list.job, &err), HWS_E_NOT_FOUND);
    hws_store_job_deinit(&list.job);
}

static enum hws_code note(struct fixture *f, uint64_t operation_id, const char *old_state)
{
    struct hws_store_note r;

    hws_store_note_init(&r);
    r.operation_id = operation_id;
    r.old_state = (struct hws_span){(const uint8_t *)old_state, strlen(old_state)};
    return hws_store_run(f->store, &r.job, NULL);
}

static void what_is_replaced_can_be_noted_until_the_end(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    struct hws_store_intents list;
    struct hws_err err;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "one"), HWS_OK);
    assert_code(note(f, 1, "the old bytes"), HWS_OK);
    fixture_reopen(f);

    hws_store_intents_init(&list);
    assert_ok(hws_store_run(f->store, &list.job, &err), &err);
    assert_int_equal(list.n_intents, 1);
    assert_int_equal(list.intents[0].old_state.n, 13);
    assert_memory_equal(list.intents[0].old_state.bytes, "the old bytes", 13);
    assert_int_equal(list.intents[0].new_state.n, 3);
    hws_store_job_deinit(&list.job);

    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, "answer"), HWS_OK);
    assert_code(note(f, 1, "other bytes"), HWS_E_STATE);
    assert_code(note(f, 77, "other bytes"), HWS_E_NOT_FOUND);
    assert_int_equal(fixture_verify(f), 2);
}

static void bad_requests_are_refused_by_field(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    char text[80];

    memset(text, 'r', sizeof(text));
    text[65] = '\0';
    assert_code(fixture_begin(f, &b, 0, "req-00001", "x"), HWS_E_INVALID);
    assert_non_null(strstr(b.job.err.msg, "fence"));
    assert_code(fixture_begin(f, &b, 1, "", "x"), HWS_E_INVALID);
    assert_non_null(strstr(b.job.err.msg, "request_id"));
    assert_code(fixture_begin(f, &b, 1, text, "x"), HWS_E_INVALID);
    assert_int_equal(hws_store_audit_head(f->store), 0);
}

static void ledger_keeps_the_newest_and_all_unfinished(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    char id[32];

    fixture_close(f);
    f->options.max_ledger_rows = 5;
    fixture_open(f);
    assert_code(fixture_begin(f, &b, 1, "open-0000", "x"), HWS_OK);
    for (int i = 0; i < 20; i++) {
        (void)hws_str_print(id, sizeof(id), "req-%05d", i);
        assert_code(fixture_begin(f, &b, 1, id, "x"), HWS_OK);
        assert_code(fixture_end(f, b.operation_id, HWS_INTENT_NEW, "a"), HWS_OK);
    }
    assert_code(fixture_begin(f, &b, 1, "open-0000", "x"), HWS_E_CONFLICT);
    assert_code(fixture_begin(f, &b, 1, "req-00019", "x"), HWS_OK);
    assert_true(b.replay);
    hws_store_job_deinit(&b.job);
    assert_code(fixture_begin(f, &b, 1, "req-00000", "x"), HWS_OK);
    assert_false(b.replay);
}

static void ledger_full_of_unfinished_refuses_more(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    char id[32];

    fixture_close(f);
    f->options.max_ledger_rows = 3;
    fixture_open(f);
    for (int i = 0; i < 3; i++) {
        (void)hws_str_print(id, sizeof(id), "req-%05d", i);
        assert_code(fixture_begin(f, &b, 1, id, "x"), HWS_OK);
    }
    assert_code(fixture_begin(f, &b, 1, "req-more0", "x"), HWS_E_BUSY);
    assert_non_null(strstr(b.job.err.msg, "max_ledger_rows"));
    assert_code(fixture_end(f, 2, HWS_INTENT_OLD, ""), HWS_OK);
    assert_code(fixture_begin(f, &b, 1, "req-more0", "x"), HWS_OK);
}

static void finished_rows_expire(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;

    fixture_close(f);
    f->options.ledger_ms = 1;
    fixture_open(f);
    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, "a"), HWS_OK); /* at 2000 ms */

    hws_store_begin_init(&b);
    b.fence = (struct hws_fence){.role = "operator", .low = 1};
    b.record = (struct hws_record){
        .unix_ms = 5000, .principal = "p", .method = "/m", .request_id = "req-00002"};
    assert_code(hws_store_run(f->store, &b.job, NULL), HWS_OK);

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_false(b.replay);
}

static void damaged_rows_are_refused(void **state)
{
    struct fixture *f = *state;
    struct hws_store_begin b;
    struct hws_err err;

    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_OK);
    assert_code(fixture_end(f, 1, HWS_INTENT_NEW, "answer"), HWS_OK);
    fixture_close(f);
    fixture_sql(f, "UPDATE ledger SET answer='Answer'");
    fixture_open(f);
    assert_code(fixture_begin(f, &b, 1, "req-00001", "x"), HWS_E_PROTO);
    assert_non_null(strstr(b.job.err.msg, "ledger row 1"));

    fixture_close(f);
    fixture_sql(f, "UPDATE ledger SET state=1");
    assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);

    fixture_sql(f, "DELETE FROM ledger; UPDATE fence SET role='operatos'");
    assert_code(hws_store_open(&f->options, &f->store, &err), HWS_E_PROTO);
    assert_non_null(strstr(err.msg, "fence"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(begin_and_end_leave_two_chained_records),
        CASE(repeat_of_a_finished_request_gets_its_answer),
        CASE(repeat_of_an_unfinished_request_is_in_doubt),
        CASE(request_id_with_other_content_is_taken),
        CASE(smaller_fence_is_refused_naming_the_current_one),
        CASE(fence_never_goes_back_and_roles_are_apart),
        CASE(ending_twice_changes_nothing),
        CASE(void_end_frees_the_request_id),
        CASE(unfinished_intents_are_listed_after_a_restart),
        CASE(what_is_replaced_can_be_noted_until_the_end),
        CASE(bad_requests_are_refused_by_field),
        CASE(ledger_keeps_the_newest_and_all_unfinished),
        CASE(ledger_full_of_unfinished_refuses_more),
        CASE(finished_rows_expire),
        CASE(damaged_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
