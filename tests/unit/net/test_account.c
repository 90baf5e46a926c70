/* The accounts of a listener's peers. */
#include "base/mem.h"
#include "base/str.h"
#include "net/account.h"
#include "test.h"

static const struct hws_net_book_config s_config = {
    .max_idle = 3, .attempt_burst = 10, .attempts_per_s = 1, .max_calls = 7, .max_held_bytes = 9};

static void connections_of_one_name_share_an_account(void **state)
{
    struct hws_net_book b;
    (void)state;

    hws_net_book_init(&b, &s_config);
    struct hws_net_account *one = assert_got(hws_net_book_open(&b, "192.0.2.1", 0));
    struct hws_net_account *two = assert_got(hws_net_book_open(&b, "192.0.2.2", 0));
    assert_ptr_equal(hws_net_book_open(&b, "192.0.2.1", 0), one);
    assert_ptr_not_equal(one, two);
    assert_int_equal(one->n_conns, 2);
    assert_int_equal(one->use.max_calls, 7);
    assert_int_equal(one->use.max_held_bytes, 9);
    hws_net_book_close(&b, one, 0);
    hws_net_book_close(&b, one, 0);
    hws_net_book_close(&b, two, 0);
    hws_net_book_deinit(&b);
}

static void a_spent_bucket_is_remembered_until_it_is_full_again(void **state)
{
    struct hws_net_book b;
    (void)state;

    hws_net_book_init(&b, &s_config);
    struct hws_net_account *a = assert_got(hws_net_book_open(&b, "192.0.2.1", 0));
    for (unsigned i = 0; i < 10; i++) {
        assert_true(hws_grpc_rate_take(&a->attempts, 0));
    }
    hws_net_book_close(&b, a, 0);
    a = assert_got(hws_net_book_open(&b, "192.0.2.1", 500));
    assert_false(hws_grpc_rate_take(&a->attempts, 500));
    hws_net_book_close(&b, a, 500);
    assert_int_equal(b.n, 1);

    hws_net_book_close(&b, assert_got(hws_net_book_open(&b, "192.0.2.2", 20000)), 20000);
    assert_int_equal(b.n, 0); /* both have nothing to tell */
    hws_net_book_deinit(&b);
}

static void idle_accounts_are_bounded_oldest_first(void **state)
{
    struct hws_net_book b;
    char name[32];
    (void)state;

    hws_net_book_init(&b, &s_config);
    for (unsigned i = 0; i < 50; i++) {
        hws_str_print(name, sizeof(name), "192.0.2.%u", i);
        struct hws_net_account *a = assert_got(hws_net_book_open(&b, name, i));
        assert_true(hws_grpc_rate_take(&a->attempts, i));
        hws_net_book_close(&b, a, i);
    }
    assert_int_equal(b.n, 3);
    struct hws_net_account *last = assert_got(hws_net_book_open(&b, "192.0.2.49", 50));
    assert_int_equal(last->n_opened, 2);
    hws_net_book_close(&b, last, 50);
    hws_net_book_deinit(&b);
}

static enum hws_code open_three(void *arg)
{
    struct hws_net_book b;
    enum hws_code code = HWS_OK;
    static const char *const names[] = {"a", "b", "c"};
    (void)arg;

    hws_net_book_init(&b, &s_config);
    for (size_t i = 0; i < 3; i++) {
        struct hws_net_account *a = hws_net_book_open(&b, names[i], 0);
        code = a == NULL ? HWS_E_NOMEM : code;
        hws_net_book_close(&b, a, 0);
    }
    hws_net_book_deinit(&b);
    return code;
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    assert_int_equal(hws_test_oom_sweep(open_three, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_of_one_name_share_an_account),
        cmocka_unit_test(a_spent_bucket_is_remembered_until_it_is_full_again),
        cmocka_unit_test(idle_accounts_are_bounded_oldest_first),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
