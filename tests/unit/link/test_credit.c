/* Message credit: both directions start with four, nothing is sent without, nothing overflows. */
#include "link/credit.h"
#include "test.h"

static void both_directions_start_with_four(void **state)
{
    struct hws_link_credit c;

    (void)state;
    hws_link_credit_init(&c);
    for (unsigned i = 0; i < HWS_LINK_FIRST_CREDIT; i++) {
        assert_true(hws_link_credit_may_send(&c));
        hws_link_credit_sent(&c);
        assert_code(hws_link_credit_received(&c, NULL), HWS_OK);
    }
    assert_false(hws_link_credit_may_send(&c));
    assert_code(hws_link_credit_received(&c, NULL), HWS_E_PROTO);
}

static void grants_are_counted_and_bounded(void **state)
{
    struct hws_link_credit c;

    (void)state;
    hws_link_credit_init(&c);
    assert_code(hws_link_credit_granted(&c, 0, NULL), HWS_E_PROTO);
    assert_code(hws_link_credit_granted(&c, HWS_LINK_CREDIT_CAP, NULL), HWS_E_PROTO);
    assert_int_equal(c.send, HWS_LINK_FIRST_CREDIT);
    assert_code(hws_link_credit_granted(&c, HWS_LINK_CREDIT_CAP - HWS_LINK_FIRST_CREDIT, NULL),
                HWS_OK);
    assert_int_equal(c.send, HWS_LINK_CREDIT_CAP);
    hws_link_credit_give(&c, 1);
    assert_int_equal(c.recv, HWS_LINK_FIRST_CREDIT + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_start_with_four),
        cmocka_unit_test(grants_are_counted_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
