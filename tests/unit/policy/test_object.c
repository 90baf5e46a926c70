/* What a request is about, from the words that people give: a row of the command table, a device's
 * id. */
#include "policy/policy.h"
#include "test.h"

static void object_of_a_request_is_found_in_the_table(void **state)
{
    static const struct {
        const char *object;
        enum hws_effect given;
        const char *target;
        const char *method;
        enum hws_effect effect; /* NONE: refused */
    } cases[] = {
        {"MGIR", HWS_EFFECT_NONE, "MGIR", "read", HWS_EFFECT_READ},
        {"MNVDA:write", HWS_EFFECT_NONE, "MNVDA", "write", HWS_EFFECT_CONFIG_NEXT_RESET},
        {"MNVDA:write", HWS_EFFECT_FULL, "MNVDA", "write", HWS_EFFECT_FULL},
        {"QUERY_ADAPTER", HWS_EFFECT_NONE, "QUERY_ADAPTER", "", HWS_EFFECT_READ},
        {"", HWS_EFFECT_CONFIG_LIVE, NULL, NULL, HWS_EFFECT_CONFIG_LIVE},
        {"", HWS_EFFECT_NONE, NULL, NULL, HWS_EFFECT_NONE},
        {"QUERY_ADAPTER:read", HWS_EFFECT_READ, NULL, NULL, HWS_EFFECT_NONE},
        {"MGIR:execute", HWS_EFFECT_READ, NULL, NULL, HWS_EFFECT_NONE},
        {"NOTHING", HWS_EFFECT_READ, NULL, NULL, HWS_EFFECT_NONE},
        {"A_NAME_OF_MORE_THAN_SIXTY_FOUR_BYTES_IS_NO_NAME_IN_THE_COMMAND_TABLE", HWS_EFFECT_READ,
         NULL, NULL, HWS_EFFECT_NONE},
    };
    char name[65];
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_policy_request req = {.effect = cases[i].given};
        struct hws_err err;
        enum hws_code rc = hws_policy_object(cases[i].object, name, sizeof(name), &req, &err);
        if (cases[i].effect == HWS_EFFECT_NONE) {
            assert_int_equal(rc, HWS_E_INVALID);
            continue;
        }
        assert_ok(rc, &err);
        assert_int_equal(req.effect, cases[i].effect);
        if (cases[i].target != NULL) {
            assert_string_equal(req.target, cases[i].target);
            assert_string_equal(req.target_method, cases[i].method);
        }
    }
}

static void id_of_a_device_is_taken_apart(void **state)
{
    static const struct {
        const char *id;
        const char *pci;
        const char *serial;
    } cases[] = {
        {"mlx5:MT1@0000:81:00.0", "0000:81:00.0", "MT1"},
        {"mlx5:?@0000:81:00.0", "0000:81:00.0", "?"},
        {"0000:81:00.0", "", ""},
        {"serial", "", ""},
        {"a@b:c", "", ""},
        {"", "", ""},
        {"mlx5:MT1@0000000000111111111122222222223333333333444444444455555555556666", "", ""},
        {"mlx5:"
         "0000000000111111111122222222223333333333444444444455555555556666666666777777777788888"
         "8888899999999990000000000111111111122222222@0000:81:00.0",
         "", ""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hws_policy_request req = {0};
        struct hws_policy_device d;
        hws_policy_device(cases[i].id, &d, &req);
        assert_string_equal(req.device.id, cases[i].id);
        assert_string_equal(req.device.pci, cases[i].pci);
        assert_string_equal(req.device.serial, cases[i].serial);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(object_of_a_request_is_found_in_the_table),
        cmocka_unit_test(id_of_a_device_is_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
