/* What the services share. */
#include "hawser/v1/config.pb-c.h"
#include "hawserd/svc.h"
#include "test.h"

static struct hws_digest content_of(Hawser__V1__ApplyConfigRequest *q)
{
    struct hws_digest d;

    assert_code(hws_svc_content(&q->base, &d), HWS_OK);
    return d;
}

static void a_repeat_with_a_newer_fence_has_the_same_content(void **state)
{
    Hawser__V1__ApplyConfigRequest q = HAWSER__V1__APPLY_CONFIG_REQUEST__INIT;
    Hawser__V1__Mutation m = HAWSER__V1__MUTATION__INIT;
    Hawser__V1__Fence f = HAWSER__V1__FENCE__INIT;
    (void)state;
    q.device = "0000:03:00.0";
    m.request_id = "same-request";
    m.fence = &f;
    f.election_low = 7;
    q.mutation = &m;
    struct hws_digest first = content_of(&q);

    f.election_low = 8;
    struct hws_digest second = content_of(&q);

    assert_true(hws_digest_eq(&first, &second));
    assert_ptr_equal(q.mutation, &m);
}

static void another_device_is_other_content(void **state)
{
    Hawser__V1__ApplyConfigRequest q = HAWSER__V1__APPLY_CONFIG_REQUEST__INIT;
    (void)state;
    q.device = "0000:03:00.0";
    struct hws_digest first = content_of(&q);

    q.device = "0000:03:00.1";
    struct hws_digest second = content_of(&q);

    assert_false(hws_digest_eq(&first, &second));
}

static void a_request_without_a_mutation_has_content(void **state)
{
    Hawser__V1__GetConfigRequest q = HAWSER__V1__GET_CONFIG_REQUEST__INIT;
    struct hws_digest d = {{0}};
    struct hws_digest none = {{0}};
    (void)state;

    assert_code(hws_svc_content(&q.base, &d), HWS_OK);
    assert_false(hws_digest_eq(&d, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeat_with_a_newer_fence_has_the_same_content),
        cmocka_unit_test(another_device_is_other_content),
        cmocka_unit_test(a_request_without_a_mutation_has_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
