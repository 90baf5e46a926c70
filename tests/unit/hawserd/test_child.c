/* When another process is started again. */
#include "hawserd/child.h"
#include "hawserd/supervise.h"
#include "test.h"

static void free_lock_starts_at_once(void **state)
{
    struct hws_child c;
    uint64_t next;
    (void)state;
    hws_child_init(&c, false, 1000);

    assert_int_equal(hws_child_turn(&c, true, 1000, &next), HWS_CHILD_SPAWN);
}

static void held_lock_means_adopt_by_hello(void **state)
{
    struct hws_child c;
    uint64_t next;
    (void)state;
    hws_child_init(&c, false, 1000);

    assert_int_equal(hws_child_turn(&c, false, 1000, &next), HWS_CHILD_WAIT);
    assert_int_equal(next, 1000 + HWS_CHILD_POLL_MS);
    hws_child_hello(&c, 42, 7, 1010);

    assert_true(hws_child_connected(&c));
    assert_int_equal(hws_child_turn(&c, false, 1010, &next), HWS_CHILD_WAIT);
    assert_true(next == UINT64_MAX);
    assert_int_equal(c.n_restarts, 0);
}

static void started_child_is_not_started_twice_before_its_hello(void **state)
{
    struct hws_child c;
    uint64_t next;
    (void)state;
    hws_child_init(&c, false, 1000);
    hws_child_spawned(&c, 1000);

    assert_int_equal(hws_child_turn(&c, true, 1020, &next), HWS_CHILD_WAIT);

    assert_int_equal(next, 1000 + HWS_CHILD_START_MS);
    assert_int_equal(hws_child_turn(&c, true, next, &next), HWS_CHILD_KILL);
}

static void lost_child_comes_back_at_once_and_is_counted(void **state)
{
    struct hws_child c;
    uint64_t next;
    (void)state;
    hws_child_init(&c, false, 1000);
    hws_child_spawned(&c, 1000);
    hws_child_hello(&c, 42, 7, 1010);

    hws_child_lost(&c, 2000);

    assert_int_equal(hws_child_turn(&c, true, 2000, &next), HWS_CHILD_SPAWN);
    hws_child_spawned(&c, 2000);
    hws_child_hello(&c, 43, 8, 2010);
    assert_int_equal(c.n_restarts, 1);
    assert_int_equal(c.pid, 43);
}

static void reconnect_of_the_same_process_is_no_restart(void **state)
{
    struct hws_child c;
    (void)state;
    hws_child_init(&c, false, 1000);
    hws_child_hello(&c, 42, 7, 1010);
    hws_child_lost(&c, 1500);

    hws_child_hello(&c, 42, 7, 1520);

    assert_int_equal(c.n_restarts, 0);
}

static void quick_ends_are_spaced_out_up_to_two_seconds(void **state)
{
    static const uint64_t delays[] = {0, 0, 50, 100, 200, 400, 800, 1600, 2000, 2000};
    struct hws_child c;
    uint64_t now = 1000;
    uint64_t next;
    (void)state;
    hws_child_init(&c, false, now);

    for (unsigned i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        assert_int_equal(hws_backoff_ms(i), delays[i]);
        uint64_t due = c.spawned_ms + delays[i];
        if (delays[i] > 0) {
            assert_int_equal(hws_child_turn(&c, true, due - 1, &next), HWS_CHILD_WAIT);
            assert_int_equal(next, due);
        }
        now = due > now ? due : now;
        assert_int_equal(hws_child_turn(&c, true, now, &next), HWS_CHILD_SPAWN);
        hws_child_spawned(&c, now);
        hws_child_exited(&c, now);
    }
}

static void service_manager_mode_never_starts(void **state)
{
    struct hws_child c;
    uint64_t next;
    (void)state;
    hws_child_init(&c, true, 1000);

    assert_int_equal(hws_child_turn(&c, true, 1000, &next), HWS_CHILD_WAIT);

    assert_true(next == UINT64_MAX);
}

static void stopped_child_is_left_alone(void **state)
{
    struct hws_child c;
    uint64_t next;
    (void)state;
    hws_child_init(&c, false, 1000);
    hws_child_hello(&c, 42, 7, 1010);

    hws_child_stop(&c, 1100);
    hws_child_lost(&c, 1200);

    assert_int_equal(hws_child_turn(&c, true, 1200, &next), HWS_CHILD_WAIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_lock_starts_at_once),
        cmocka_unit_test(held_lock_means_adopt_by_hello),
        cmocka_unit_test(started_child_is_not_started_twice_before_its_hello),
        cmocka_unit_test(lost_child_comes_back_at_once_and_is_counted),
        cmocka_unit_test(reconnect_of_the_same_process_is_no_restart),
        cmocka_unit_test(quick_ends_are_spaced_out_up_to_two_seconds),
        cmocka_unit_test(service_manager_mode_never_starts),
        cmocka_unit_test(stopped_child_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
