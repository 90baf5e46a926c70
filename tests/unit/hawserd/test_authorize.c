/* The one question to the policy, as a table of who, what and where. */
#include <string.h>

#include "base/str.h"
#include "hawserd/authorize.h"
#include "link/methods.h"
#include "test.h"

static const char text[] = "version: 1\n"
                           "rules:\n"
                           "  - name: operators\n"
                           "    principals: [spiffe://d/operator/]\n"
                           "    methods: [observe, configure, command.execute]\n"
                           "    max_effect: config-next-reset\n"
                           "  - name: viewers\n"
                           "    principals: [spiffe://d/viewer/]\n"
                           "    methods: [observe]\n"
                           "    max_effect: read\n"
                           "  - name: one-card-only\n"
                           "    principals: [spiffe://d/guest]\n"
                           "    methods: [command.execute]\n"
                           "    devices: [\"pci:0000:03:00.0\"]\n"
                           "    targets: [\"MGIR:read\"]\n"
                           "    max_effect: read\n";

static struct hws_policy *load(void)
{
    struct hws_policy_method known[HWS_N_METHODS];
    struct hws_policy *p;
    struct hws_err err;

    for (size_t i = 0; i < HWS_N_METHODS; i++) {
        known[i].path = hws_method_at(i)->path;
        known[i].permission = hws_method_at(i)->permission;
    }
    assert_ok(hws_policy_load(text, strlen(text), "policy.yaml", known, HWS_N_METHODS, &p, &err),
              &err);
    return p;
}

static void verdicts_follow_the_rules(void **state)
{
    static const struct {
        const char *principal;
        const char *pci;
        const char *target;
        const char *target_method;
        const char *rule; /* of an allowed one */
        enum hws_method_id method;
        enum hws_effect effect;
        bool allowed;
    } rows[] = {
        {"spiffe://d/operator/o", "0000:03:00.0", "", "", "operators", HWS_METHOD_CONFIG_APPLY,
         HWS_EFFECT_CONFIG_NEXT_RESET, true},
        {"spiffe://d/operator/o", "0000:03:00.0", "MTMP", "write", "", HWS_METHOD_COMMAND_EXECUTE,
         HWS_EFFECT_CONFIG_LIVE, false},
        {"spiffe://d/operator/o", "", "", "", "", HWS_METHOD_AUDIT_TAIL, HWS_EFFECT_READ, false},
        {"spiffe://d/viewer/v", "", "", "", "viewers", HWS_METHOD_DEVICE_LIST, HWS_EFFECT_READ,
         true},
        {"spiffe://d/viewer/v", "0000:03:00.0", "", "", "", HWS_METHOD_CONFIG_APPLY,
         HWS_EFFECT_CONFIG_NEXT_RESET, false},
        {"spiffe://d/guest", "0000:03:00.0", "MGIR", "read", "one-card-only",
         HWS_METHOD_COMMAND_EXECUTE, HWS_EFFECT_READ, true},
        {"spiffe://d/guest", "0000:81:00.0", "MGIR", "read", "", HWS_METHOD_COMMAND_EXECUTE,
         HWS_EFFECT_READ, false},
        {"spiffe://d/guest", "0000:03:00.0", "MTMP", "read", "", HWS_METHOD_COMMAND_EXECUTE,
         HWS_EFFECT_READ, false},
        {"spiffe://d/nobody", "", "", "", "", HWS_METHOD_DEVICE_LIST, HWS_EFFECT_READ, false},
        {"", "", "", "", "", HWS_METHOD_DEVICE_LIST, HWS_EFFECT_READ, false},
        {"spiffe://d/viewer/v", "", "", "", "", HWS_METHOD_DEVICE_LIST, HWS_EFFECT_NONE, false},
    };
    struct hws_policy *p = load();
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hws_authorize_what what = {
            .device.id = "",
            .device.pci = rows[i].pci,
            .device.serial = "",
            .effect = rows[i].effect,
            .target = rows[i].target,
            .target_method = rows[i].target_method,
        };
        struct hws_policy_decision d;
        hws_authorize(p, hws_method_at(rows[i].method), rows[i].principal, &what, &d);
        if (d.allowed != rows[i].allowed) {
            fail_msg("row %zu: %s", i, d.reason);
        }
        if (rows[i].allowed) {
            assert_string_equal(d.rule, rows[i].rule);
        }
    }
    hws_policy_unref(p);
}

static void without_policy_or_row_everything_is_refused(void **state)
{
    struct hws_authorize_what what = {
        .device.id = "",
        .device.pci = "",
        .device.serial = "",
        .effect = HWS_EFFECT_READ,
        .target = "",
        .target_method = "",
    };
    struct hws_policy *p = load();
    struct hws_policy_decision d;
    (void)state;

    hws_authorize(NULL, hws_method_at(HWS_METHOD_DEVICE_LIST), "spiffe://d/viewer/v", &what, &d);
    assert_false(d.allowed);
    hws_authorize(p, NULL, "spiffe://d/viewer/v", &what, &d);
    assert_false(d.allowed);

    hws_policy_unref(p);
}

static void refusal_names_principal_permission_and_reason(void **state)
{
    struct hws_authorize_what what = {
        .device.id = "",
        .device.pci = "",
        .device.serial = "",
        .effect = HWS_EFFECT_READ,
        .target = "",
        .target_method = "",
    };
    struct hws_policy *p = load();
    struct hws_policy_decision d;
    struct hws_err err;
    const struct hws_method *row = hws_method_at(HWS_METHOD_AUDIT_TAIL);
    (void)state;

    hws_authorize(p, row, "spiffe://d/viewer/v", &what, &d);

    assert_code(hws_authorize_error(&d, "spiffe://d/viewer/v", row, &err), HWS_E_DENIED);
    assert_non_null(strstr(err.msg, "spiffe://d/viewer/v may not audit.tail"));
    hws_policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_follow_the_rules),
        cmocka_unit_test(without_policy_or_row_everything_is_refused),
        cmocka_unit_test(refusal_names_principal_permission_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
