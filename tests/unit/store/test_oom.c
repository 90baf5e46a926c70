/*
 * SQLite allocates through base/mem, and each of its allocations may fail: the request then ends
 * with an error, the store stays usable or says that it failed, and the next open finds everything
 * whole.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store_fixture.h"
#include "test.h"

/* One life of a store with a mutation and a query; errors are fine, crashes and wrong answers are
 * not. */
static bool live_once(struct fixture *f, uint64_t n)
{
    struct hws_store *s = NULL;
    struct hws_store_begin b;
    struct hws_store_end e;
    struct hws_store_query q;
    char id[32];

    (void)hws_str_print(id, sizeof(id), "req-%05llu", (unsigned long long)n);
    if (hws_store_open(&f->options, &s, NULL) != HWS_OK) {
        return false;
    }
    hws_store_begin_init(&b);
    b.fence = (struct hws_fence){.role = "r", .low = 1};
    b.record = (struct hws_record){.principal = "p", .method = "/m", .request_id = id};
    enum hws_code rc = hws_store_run(s, &b.job, NULL);
    if (rc == HWS_OK) {
        hws_store_end_init(&e);
        e.operation_id = b.operation_id;
        e.state = HWS_INTENT_NEW;
        rc = hws_store_run(s, &e.job, NULL);
    }
    hws_store_query_init(&q);
    q.last_n = 3;
    enum hws_code rc2 = hws_store_run(s, &q.job, NULL);
    assert_true(rc2 != HWS_E_PROTO);
    hws_store_job_deinit(&q.job);
    hws_store_job_deinit(&b.job);
    hws_store_close_wait(s);
    return rc == HWS_OK && rc2 == HWS_OK;
}

static void every_failed_allocation_leaves_the_store_whole(void **state)
{
    struct fixture *f = *state;
    uint64_t rand = hws_test_seed();

    fixture_close(f);
    hws_mem_count_reset();
    assert_true(live_once(f, 0));
    uint64_t n = hws_mem_n_allocs();
    assert_true(n > 100); /* SQLite's are among them */

    uint64_t run = 1;
    for (uint64_t k = 1; k <= n; k += 1 + hws_test_rand(&rand) % 6) {
        hws_mem_fail_after(k, run % 2 == 0);
        (void)live_once(f, run++);
        hws_mem_fail_after(0, false);
    }
    f->options.full_check = true;
    fixture_open(f);
    (void)fixture_verify(f);
    fixture_close(f);
    assert_true(live_once(f, run));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_failed_allocation_leaves_the_store_whole),
    };

    if (hws_store_use_base_mem() != HWS_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
