/* base/buf: order, ceiling, failure of growth. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "test.h"

static void bytes_come_out_in_the_order_they_went_in(void **state)
{
    struct hws_buf b;
    (void)state;
    hws_buf_init(&b, 0);

    for (int i = 0; i < 1000; i++) {
        uint8_t v = (uint8_t)i;
        assert_code(hws_buf_put(&b, &v, 1), HWS_OK);
        if (i % 3 == 2) {
            assert_int_equal(hws_buf_peek(&b)[0], (uint8_t)(i / 3));
            hws_buf_take(&b, 1);
        }
    }

    assert_int_equal(hws_buf_len(&b), 1000 - 333);
    assert_int_equal(hws_buf_peek(&b)[0], (uint8_t)333);
    hws_buf_deinit(&b);
}

static void over_the_ceiling_is_busy_and_changes_nothing(void **state)
{
    struct hws_buf b;
    (void)state;
    hws_buf_init(&b, 4);
    assert_code(hws_buf_put(&b, "abc", 3), HWS_OK);

    assert_code(hws_buf_put(&b, "de", 2), HWS_E_BUSY);

    assert_int_equal(hws_buf_len(&b), 3);
    assert_code(hws_buf_put(&b, "d", 1), HWS_OK);
    assert_memory_equal(hws_buf_peek(&b), "abcd", 4);
    hws_buf_deinit(&b);
}

static void printf_appends_and_cstr_terminates(void **state)
{
    struct hws_buf b;
    (void)state;
    hws_buf_init(&b, 0);

    assert_code(hws_buf_printf(&b, "%d-%s", 5, "x"), HWS_OK);
    assert_code(hws_buf_printf(&b, "!"), HWS_OK);

    assert_string_equal(hws_buf_cstr(&b), "5-x!");
    assert_int_equal(hws_buf_len(&b), 4);
    hws_buf_deinit(&b);
}

static enum hws_code grow_scenario(void *arg)
{
    struct hws_buf b;
    (void)arg;
    hws_buf_init(&b, 0);
    enum hws_code rc = HWS_OK;
    for (int i = 0; i < 5000 && rc == HWS_OK; i++) {
        rc = hws_buf_put(&b, "0123456789", 10);
    }
    hws_buf_deinit(&b);
    return rc;
}

static void every_failed_growth_is_nomem(void **state)
{
    (void)state;
    assert_true(hws_test_oom_sweep(grow_scenario, NULL) >= 5);
}

static void a_zeroed_buffer_is_valid(void **state)
{
    struct hws_buf b;
    (void)state;
    memset(&b, 0, sizeof(b));
    assert_int_equal(hws_buf_len(&b), 0);
    assert_non_null(hws_buf_peek(&b));
    hws_buf_take(&b, 0);
    hws_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(over_the_ceiling_is_busy_and_changes_nothing),
        cmocka_unit_test(printf_appends_and_cstr_terminates),
        cmocka_unit_test(every_failed_growth_is_nomem),
        cmocka_unit_test(a_zeroed_buffer_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
