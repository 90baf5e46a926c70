/* base/list: order, removal inside a walk, removing twice. */
#include "base/list.h"
#include "test.h"

struct item {
    int v;
    struct hws_list link;
};

static void items_keep_their_order_and_may_leave_during_a_walk(void **state)
{
    struct hws_list head;
    struct item items[4];
    int seen = 0;
    (void)state;
    hws_list_init(&head);
    for (int i = 0; i < 4; i++) {
        items[i].v = i;
        hws_list_push(&head, &items[i].link);
    }

    HWS_LIST_FOREACH (it, tmp, &head) {
        struct item *x = hws_container_of(it, struct item, link);
        assert_int_equal(x->v, seen++);
        hws_list_remove(it);
        hws_list_remove(it);
    }

    assert_int_equal(seen, 4);
    assert_true(hws_list_empty(&head));
    assert_null(hws_list_pop(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_keep_their_order_and_may_leave_during_a_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
