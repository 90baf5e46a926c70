/* The small steppers: health (MTMP) and reset (MFRL). */
#include <string.h>

#include "fake_ctl.h"
#include "hca/health.h"
#include "hca/reset.h"
#include "test.h"

static struct hws_fake_ctl fake;

static enum hws_step health(struct hws_hca_health *h)
{
    struct hws_ctl_call call = {0};
    enum hws_step step;

    hws_hca_health_init(h);
    while ((step = hws_hca_health_next(h, 0, &call)) == HWS_STEP_CALL) {
        hws_fake_answer(&fake, &call);
        hws_hca_health_feed(h, &call);
    }
    return step;
}

static void temperatures_are_thousandths_of_a_degree_and_may_be_below_zero(void **state)
{
    (void)state;
    uint8_t mtmp[0x20] = {0};
    struct hws_hca_health h;
    mtmp[6] = 0x01; /* 348 eighths = 43.5 */
    mtmp[7] = 0x5C;
    mtmp[0xA] = 0xFF; /* -8 eighths = -1 */
    mtmp[0xB] = 0xF8;
    mtmp[0xE] = 0x03; /* 840 eighths = 105 */
    mtmp[0xF] = 0x48;
    hws_fake_init(&fake);
    hws_fake_add_reg(&fake, 0x900A, mtmp, sizeof(mtmp));

    assert_int_equal(health(&h), HWS_STEP_DONE);

    assert_true(h.has_temperature);
    assert_int_equal(h.temperature_mc, 43500);
    assert_int_equal(h.max_mc, -1000);
    assert_int_equal(h.threshold_mc, 105000);
}

static void no_sensor_is_no_failure_but_a_lost_channel_is(void **state)
{
    (void)state;
    struct hws_hca_health h;
    hws_fake_init(&fake);

    assert_int_equal(health(&h), HWS_STEP_DONE);
    assert_false(h.has_temperature);

    fake.fault = HWS_FAKE_NOT_SENT;
    fake.n_fail = 9;
    assert_int_equal(health(&h), HWS_STEP_FAILED);
    assert_code(h.err.code, HWS_E_GONE);
}

static void reset_levels_and_state_are_read(void **state)
{
    (void)state;
    const uint8_t mfrl[8] = {0, 0, 0, 0, 0, 0x02, 0x03, 0x48};
    struct hws_ctl_call call = {0};
    struct hws_hca_reset r;
    hws_fake_init(&fake);
    hws_fake_add_reg(&fake, 0x9028, mfrl, sizeof(mfrl));

    hws_hca_reset_init(&r);
    assert_int_equal(hws_hca_reset_next(&r, 0, &call), HWS_STEP_CALL);
    hws_fake_answer(&fake, &call);
    hws_hca_reset_feed(&r, &call);
    assert_int_equal(hws_hca_reset_next(&r, 0, &call), HWS_STEP_DONE);

    assert_int_equal(r.levels, HWS_HCA_RESET_DRIVER | HWS_HCA_RESET_WARM);
    assert_int_equal(r.types, 3);
    assert_int_equal(r.state, 2);
    assert_string_equal(r.state_text, "in progress");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperatures_are_thousandths_of_a_degree_and_may_be_below_zero),
        cmocka_unit_test(no_sensor_is_no_failure_but_a_lost_channel_is),
        cmocka_unit_test(reset_levels_and_state_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
