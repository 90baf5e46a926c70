/* Lockdown: what it refuses. */
#include <string.h>

#include "hawserd/walls.h"
#include "test.h"

static void locked_kernel_refuses_scopes_that_write(void **state)
{
    struct hws_err err;

    (void)state;
    assert_ok(hws_walls_scope(0, "confidentiality", &err), &err);
    assert_ok(hws_walls_scope(1, "integrity", &err), &err);
    assert_code(hws_walls_scope(2, "integrity", &err), HWS_E_DENIED);
    assert_non_null(strstr(err.msg, "locked down (integrity)"));
    assert_code(hws_walls_scope(3, "confidentiality", &err), HWS_E_DENIED);
}

static void open_kernel_refuses_nothing_here(void **state)
{
    struct hws_err err;

    (void)state;
    assert_ok(hws_walls_scope(2, "none", &err), &err);
    assert_ok(hws_walls_scope(2, "unknown", &err), &err);
}

static void state_of_this_kernel_is_one_word(void **state)
{
    char text[32];

    (void)state;
    hws_walls_lockdown(text, sizeof text);
    assert_true(strcmp(text, "none") == 0 || strcmp(text, "integrity") == 0 ||
                strcmp(text, "confidentiality") == 0 || strcmp(text, "unknown") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locked_kernel_refuses_scopes_that_write),
        cmocka_unit_test(open_kernel_refuses_nothing_here),
        cmocka_unit_test(state_of_this_kernel_is_one_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
