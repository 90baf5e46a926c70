/* Memory with the life of one operation. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "hawserd/arena.h"
#include "test.h"

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct hws_arena a = {0};
    uint8_t *last = NULL;
    (void)state;

    for (size_t n = 1; n < 5000; n += 97) {
        uint8_t *p = hws_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(p[i], 0);
        }
        memset(p, 0xff, n);
        assert_ptr_not_equal(p, last);
        last = p;
    }

    assert_false(a.failed);
    hws_arena_deinit(&a);
}

static void failure_is_remembered_and_texts_stay_usable(void **state)
{
    struct hws_arena a = {0};
    (void)state;
    hws_mem_fail_after(1, true);

    char *s = hws_arena_str(&a, "hello");

    hws_mem_fail_after(0, false);
    assert_string_equal(s, "");
    assert_true(a.failed);
    hws_arena_deinit(&a);
    assert_string_equal(hws_arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    assert_null(hws_arena_alloc(&a, HWS_ARENA_MAX_BYTES + 1));
    assert_true(a.failed);
    hws_arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(failure_is_remembered_and_texts_stay_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
